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
		d.free <- &parcel{segments: make([]segment.Segment, batchSize)}
	}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		d.run()
	}()
	defer done.Wait() // the reader is the caller's again
	interrupted := false
	for i := 0; ; i++ {
		p := <-d.full
		if errors.Is(p.err, errStopped) {
			s.cut = max(r.Frames(), 1)
			return nil
		}
		t.Add(p.segments[:p.n])
		if !s.o.NoFindings {
			s.clock.see(p.segments[:p.n])
			s.parcel(p, t)
			d.enough.Store(s.enough)
		}
		err := p.err
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil && s.err != nil:
			err = s.err
		case err == nil && i%1024 == 0:
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
		if !interrupted && i%1024 == 0 && closed(s.o.Interrupt) {
			interrupted = true
			d.stop.Store(true) // what was decoded until then is taken in
		}
		d.free <- p
	}
}

const (
	// batchSize is how many segments the table gets at a time.
	batchSize = 64
	// parcels is how far the decoder may be ahead. All of them together fit into a second-level cache.
	parcels = 12
)

// parcel is what one Read brought.
type parcel struct {
	segments []segment.Segment
	n        int
	wires    []segment.Wire // of those with SYN, FIN or RST, in their order
	notes    []segment.Note
	err      error
}

// parcel is beside, for what the decoder kept.
func (s *sink) parcel(p *parcel, t table) {
	w := p.wires
	for i := range p.segments[:p.n] {
		if s.enough || len(w) == 0 {
			break
		}
		if x := &p.segments[i]; decides(x) {
			s.enough = !s.engine.Seen(x, w[0])
			w = w[1:]
		}
	}
	s.notes(p.notes, t)
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
	for i := 0; ; i++ {
		p := <-d.free
		p.n, p.wires, p.notes = 0, p.wires[:0], p.notes[:0]
		if d.stop.Load() {
			p.err = errStopped
			d.full <- p
			return
		}
		p.n, p.err = d.r.Read(p.segments)
		if !d.o.NoFindings {
			d.beside(p)
		}
		if i%16 == 0 || p.err != nil || p.n < len(p.segments) {
			d.o.Progress.note(d.r, errors.Is(p.err, io.EOF))
		}
		end := p.err != nil // the parcel is the other worker's from here on
		d.full <- p
		if end {
			return
		}
	}
}

// beside keeps what the reader knows only until its next Read.
func (d *decoder) beside(p *parcel) {
	if !d.enough.Load() {
		for i := range p.segments[:p.n] {
			if x := &p.segments[i]; decides(x) {
				p.wires = append(p.wires, d.r.Wire(x))
			}
		}
	}
	p.notes = append(p.notes, d.r.Notes()...)
}
