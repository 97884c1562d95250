package tcpwhy

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// readAhead is read by two workers: one decodes the capture, the other takes what that makes
// through the table, in the same parcels and the same order, so that the report is the same to the byte.
// Decoding is about a third of the work on short connections, and most of it on long ones.
func readAhead(ctx context.Context, r *capture.Reader, t table, s *sink) error {
	d := &decoder{r: r, o: s.o, free: make(chan *parcel, parcels), full: make(chan *parcel, parcels)}
	for range parcels {
		d.free <- &parcel{segments: make([]segment.Segment, parcelSize)}
	}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		d.run()
	}()
	defer done.Wait() // the reader is the caller's again
	interrupted := false
	for {
		p := <-d.full
		if errors.Is(p.err, errStopped) {
			s.cut = max(r.Frames(), 1)
			return nil
		}
		for i := range p.reads {
			s.takeRead(&p.reads[i], t)
		}
		d.enough.Store(s.enough)
		err := p.err
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil && s.err != nil:
			err = s.err
		case err == nil:
			err = ctx.Err()
		}
		if err != nil {
			d.stop.Store(true)
			for p.err == nil {
				d.free <- p
				p = <-d.full
			}
			return err
		}
		if !interrupted && closed(s.o.Interrupt) {
			interrupted = true
			d.stop.Store(true) // what was decoded until then is taken in
		}
		d.free <- p
	}
}

const (
	// batchSize is how many segments the table gets at a time.
	batchSize = 64
	// parcelSize is how many go from worker to worker at once: to wake the other one takes longer than
	// to decode a batch.
	parcelSize = 4 * batchSize
	// parcels is how far the decoder may be ahead: many small ones, so that both seldom wait. As many
	// bytes in four large ones take 8 % more time on a capture of whole frames.
	parcels = 16
)

// parcel is what some Reads brought.
type parcel struct {
	segments []segment.Segment
	n        int
	reads    []oneRead
	wires    []segment.Wire
	notes    []segment.Note
	err      error
}

// oneRead is what one Read brought; its lists are parts of the parcel's.
type oneRead struct {
	segments []segment.Segment
	wires    []segment.Wire // of those with SYN, FIN or RST, in their order
	notes    []segment.Note
}

// takeRead hands on what one Read brought, as read does.
func (s *sink) takeRead(x *oneRead, t table) {
	t.Add(x.segments)
	if s.o.NoFindings {
		return
	}
	s.clock.see(x.segments)
	w := x.wires
	for i := range x.segments {
		if s.enough || len(w) == 0 {
			break
		}
		if g := &x.segments[i]; decides(g) {
			s.enough = !s.engine.Seen(g, w[0])
			w = w[1:]
		}
	}
	s.notes(x.notes, t)
}

// errStopped ends the parcels of a decoder that was told to stop.
var errStopped = errors.New("reading was stopped")

// decoder fills parcels until the capture ends, or until it is told to stop.
type decoder struct {
	r            *capture.Reader
	o            *Options
	free, full   chan *parcel
	enough, stop atomic.Bool
}

func (d *decoder) run() {
	defer d.o.works(true)()
	for {
		p := <-d.free
		p.n, p.reads, p.wires, p.notes = 0, p.reads[:0], p.wires[:0], p.notes[:0]
		if d.stop.Load() {
			p.err = errStopped
			d.full <- p
			return
		}
		d.fill(p)
		d.o.Progress.note(d.r, errors.Is(p.err, io.EOF))
		end := p.err != nil // the parcel is the other worker's from here on
		d.full <- p
		if end {
			return
		}
	}
}

// fill reads until a parcel is full, or the reader has no more at hand: what comes from a live
// capture does not wait.
func (d *decoder) fill(p *parcel) {
	for p.err == nil && p.n < len(p.segments) {
		x := oneRead{segments: p.segments[p.n : p.n+batchSize]}
		n, err := d.r.Read(x.segments)
		x.segments = x.segments[:n]
		p.n, p.err = p.n+n, err
		if !d.o.NoFindings {
			d.beside(p, &x)
		}
		p.reads = append(p.reads, x)
		if n < batchSize {
			return
		}
	}
}

// beside keeps what the reader knows only until its next Read. (Where the parcel's lists move to make
// room, those before stay valid.)
func (d *decoder) beside(p *parcel, x *oneRead) {
	if from := len(p.wires); !d.enough.Load() {
		for i := range x.segments {
			if g := &x.segments[i]; decides(g) {
				p.wires = append(p.wires, d.r.Wire(g))
			}
		}
		x.wires = p.wires[from:]
	}
	from := len(p.notes)
	p.notes = append(p.notes, d.r.Notes()...)
	x.notes = p.notes[from:]
}
