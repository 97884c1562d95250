package tcpwhy

import (
	"sync/atomic"

	"github.com/tcpwhy/tcpwhy/internal/capture"
)

// Progress tells how far Explain has come, while it runs, to other goroutines. The zero
// value is ready; it serves one Explain.
type Progress struct {
	read, total, packets atomic.Int64
	done                 atomic.Bool
}

// Done is what was read so far.
type Done struct {
	// Bytes of the files were read, as they lie on the disk, and Total is how many there
	// are: 0 where one of them is a stream, or none is open yet.
	Bytes, Total int64
	// Packets is how many of them were looked at.
	Packets int64
	// All tells that everything was read: what is left is to answer the questions.
	All bool
}

// Done returns how far it is now.
func (p *Progress) Done() Done {
	return Done{Bytes: p.read.Load(), Total: p.total.Load(), Packets: p.packets.Load(), All: p.done.Load()}
}

// note takes what a batch of the reader brought.
func (p *Progress) note(r *capture.Reader, all bool) {
	if p == nil {
		return
	}
	read, total := r.Progress()
	p.read.Store(read)
	p.total.Store(total)
	p.packets.Store(int64(r.Frames()))
	p.done.Store(all)
}
