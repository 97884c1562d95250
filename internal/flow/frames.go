package flow

import (
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Of the frames that a connection keeps, the first headFrames and the last
// tailFrames stay.
const (
	headFrames  = 40
	tailFrames  = 8
	blockFrames = 4
)

// packedFrame is a kept frame in 48 bytes.
type packedFrame struct {
	time        int64
	frame       uint32
	sourceFrame uint32
	seq, ack    seq.Num
	len         uint32
	tsVal       seq.Num
	tsEcr       seq.Num
	window      uint16
	source      uint16
	ipid        uint16
	flags       uint16 // segment.Flags, with the bits below
	ttl         uint8
	_           [3]uint8
}

// Bits above segment.Flags in packedFrame.flags.
const (
	frameListener = 1 << (15 - iota) // sent by the listener
	frameTS
	frameOptions
	frameFlags = 1<<13 - 1
)

// frameBlock is a link of a list of kept frames.
type frameBlock struct {
	f    [blockFrames]packedFrame
	next uint32
	_    uint32
}

// frameList is the list of frames that a connection keeps: blocks in a row for
// the first headFrames, then a ring of two blocks for the last ones.
type frameList struct {
	head, tail uint32
	ring       [tailFrames / blockFrames]uint32
	count      uint32 // all frames, those left out among them
}

// keepFrame appends a frame to those that r keeps. Where memory is short it is left out.
func (t *Table) keepFrame(r *record, s *segment.Segment, e Side) {
	x := t.extraOf(r)
	if x == nil {
		return
	}
	if p := t.frameSlot(&x.frames); p != nil {
		packFrame(p, s, e)
		x.frames.count++
	}
}

// frameSlot returns the place for the next frame of the list.
func (t *Table) frameSlot(l *frameList) *packedFrame {
	i := l.count
	if i < headFrames {
		if i%blockFrames == 0 {
			n, b := t.blocks.alloc()
			if b == nil {
				return nil
			}
			if i == 0 {
				l.head = n
			} else {
				t.blocks.at(l.tail).next = n
			}
			l.tail = n
		}
		return &t.blocks.at(l.tail).f[i%blockFrames]
	}
	i = (i - headFrames) % tailFrames
	at := &l.ring[i/blockFrames]
	if *at == 0 {
		n, b := t.blocks.alloc()
		if b == nil {
			return nil
		}
		*at = n
	}
	return &t.blocks.at(*at).f[i%blockFrames]
}

// dropFrames forgets the frames of a list.
func (t *Table) dropFrames(l *frameList) {
	for n := l.head; n != 0; {
		next := t.blocks.at(n).next
		t.blocks.release(n)
		n = next
	}
	for _, n := range l.ring {
		if n != 0 {
			t.blocks.release(n)
		}
	}
	*l = frameList{}
}

func packFrame(p *packedFrame, s *segment.Segment, e Side) {
	fl := uint16(s.Flags) & frameFlags
	if e == Listener {
		fl |= frameListener
	}
	if s.HasTS() {
		fl |= frameTS
	}
	if s.Options != 0 || len(s.RawOptions) > 0 {
		fl |= frameOptions
	}
	*p = packedFrame{
		time: s.Time, frame: uint32(s.Frame), sourceFrame: uint32(s.SourceFrame), source: s.Source,
		seq: s.Seq, ack: s.Ack, len: s.Len, window: s.Window, flags: fl, ttl: s.TTL, ipid: s.IPID,
	}
	if s.HasTS() {
		p.tsVal, p.tsEcr = s.TSVal, s.TSEcr
	}
}

// appendFrames unpacks the frames of a list.
func (t *Table) appendFrames(to []Frame, l *frameList) []Frame {
	left := min(l.count, headFrames)
	for n := l.head; n != 0 && left > 0; {
		b := t.blocks.at(n)
		for i := 0; i < blockFrames && left > 0; i++ {
			to = append(to, t.unpackFrame(&b.f[i]))
			left--
		}
		n = b.next
	}
	if l.count <= headFrames {
		return to
	}
	more := l.count - headFrames
	first := uint32(0)
	if more > tailFrames {
		first, more = more-tailFrames, tailFrames
	}
	for i := first; i < first+more; i++ {
		j := i % tailFrames
		to = append(to, t.unpackFrame(&t.blocks.at(l.ring[j/blockFrames]).f[j%blockFrames]))
	}
	return to
}

func (t *Table) unpackFrame(p *packedFrame) Frame {
	f := Frame{
		Ref:  segment.Ref{Frame: t.widen(p.frame), Time: p.time, Source: p.source},
		From: Opener, Seq: p.seq, Ack: p.ack, Flags: segment.Flags(p.flags & frameFlags),
		Window: p.window, Len: p.len, HasTS: p.flags&frameTS != 0, TSVal: p.tsVal, TSEcr: p.tsEcr,
		TTL: p.ttl, IPID: p.ipid, HasOptions: p.flags&frameOptions != 0,
	}
	if p.flags&frameListener != 0 {
		f.From = Listener
	}
	// A file's own frame number is at most the merged one.
	f.SourceFrame = widenTo(f.Frame, p.sourceFrame)
	return f
}

// widen restores a frame number that was cut to 32 bits: the highest one with
// those bits that is not beyond the current frame.
func (t *Table) widen(n uint32) uint64 { return widenTo(t.frame, n) }

func widenTo(current uint64, n uint32) uint64 {
	back := uint64(uint32(current) - n)
	if back > current {
		return uint64(n)
	}
	return current - back
}
