package tcpwhy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Sure are findings that nothing of the capture to come can change.
type Sure struct {
	// Report holds the findings and the connections that they name, Capture.Sources the
	// files so far, and Capture.Packets how far they were read; all else in it is empty. It is
	// nil where everything that has come was read and there is nothing to tell: before a pause.
	Report *Report
	// Last: these are the answers of the end, to what was not settled when the reading ended.
	Last bool
	// Position is how far the capture was read, at least.
	Position Position
}

// Position is how far a capture was read.
type Position struct {
	// Frame is the number of the last packet.
	Frame uint64
	// Sources are the files, in the order of their first packets.
	Sources []SourcePosition
}

// SourcePosition is how far a file was read.
type SourcePosition struct {
	// Name is the file's, and Bytes is how many of its bytes were read, as they lie on the disk.
	Name  string
	Bytes int64
}

const (
	// pollEvery is how often it is looked whether a file has grown.
	pollEvery = 100 * time.Millisecond
	// drainFor is how long after an interrupt what is there already is still read.
	drainFor = time.Second
	// settleEvery is how often, in the time of the capture, it is asked what has become sure;
	// each further settleLoad connections that wait or are remembered add as much again, so that
	// asking does not cost more than reading.
	settleEvery = time.Second
	settleLoad  = 10000
)

// Follow reads a capture that grows: a file, a directory in which files appear one after another
// (tcpdump -G and -C), or a stream ("-"). It calls found with each finding once it is sure: when
// its question is settled or its connection is over, late segments included, so that what comes later
// belongs to others. A finding says what the capture showed of hosts up to then. Ids are given in this
// order, none twice; the same capture gives the same, however it came in pieces.
//
// It ends where a stream ends, or when Options.Interrupt is closed, and answers then what is left. It
// returns the report without the findings and connections. Options.Connection is not used.
func Follow(ctx context.Context, path string, o Options, found func(*Sure) error) (*Report, error) {
	o.Connection, o.NoFindings, o.follows = nil, false, true
	facts, err := readFacts(o)
	if err != nil {
		return nil, &UsageError{err}
	}
	sel, err := readSelection(&o)
	if err != nil {
		return nil, &UsageError{err}
	}
	r, err := capture.Open([]string{path}, capture.Options{Stdin: o.Stdin, Follow: true})
	if err != nil {
		return nil, err
	}
	defer r.Close() // read only: nothing is lost by a failing close
	f := &follower{o: &o, r: r, found: found, sel: sel, s: &sink{o: &o, names: newNamer(r.Names())}}
	if info, err := os.Stat(path); err == nil && path != "-" {
		f.several = info.IsDir()
	}
	f.t = o.makeTable(f.s)
	defer f.t.Close()
	f.s.engine = diagnose.New(facts, f.t)
	f.s.engine.Limit(o.MaxMemory / shareKept)
	f.s.engine.Endless()
	if err := f.read(ctx); err != nil {
		return nil, err
	}
	return f.end()
}

// follower is a capture that is followed.
type follower struct {
	o     *Options
	r     *capture.Reader
	t     table
	s     *sink
	sel   *selection
	found func(*Sure) error

	now    int64 // time of the last segment
	next   int64 // when it is asked next what is sure; 0: no segment was read
	frame  uint64
	given  uint64
	window *window // of the selection; nil until there is a finding
	hidden int
	sum    report.Summary
	// several: the findings name their frames in their own files. Of a directory they all do, of
	// a file none, so that it does not depend on how many files there were at that time.
	several bool
}

// read reads until the end, or until an interrupt.
func (f *follower) read(ctx context.Context) error {
	batch := make([]segment.Segment, 64)
	interrupt := f.o.Interrupt
	var until time.Time // after an interrupt
	paused := false
	for i := 0; ; i++ {
		n, err := f.r.Read(batch)
		if e := f.take(batch[:n]); e != nil {
			return e
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, capture.ErrWait):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !until.IsZero() && time.Now().After(until):
			f.s.cut = f.r.Frames()
			return nil
		}
		wait := errors.Is(err, capture.ErrWait)
		if wait && !paused {
			if err := f.found(&Sure{Position: f.position()}); err != nil {
				return err
			}
		}
		paused = wait
		if !wait && i%16 != 0 {
			continue
		}
		switch halted, err := pause(ctx, interrupt, wait); {
		case err != nil:
			return err
		case halted:
			interrupt, until = nil, time.Now().Add(drainFor)
			f.r.Finish()
		}
	}
}

// pause looks for an interrupt, for a while where there is nothing to read.
func pause(ctx context.Context, interrupt <-chan struct{}, wait bool) (interrupted bool, err error) {
	if !wait {
		return closed(interrupt), nil
	}
	t := time.NewTimer(pollEvery)
	defer t.Stop()
	select {
	case <-interrupt:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-t.C:
		return false, nil
	}
}

// take takes in what a Read brought. What becomes sure is asked for between the same
// two frames however the capture was read in pieces.
func (f *follower) take(batch []segment.Segment) error {
	notes := f.r.Notes()
	before := func(frame uint64) {
		for len(notes) > 0 && notes[0].Frame <= frame {
			f.note(&notes[0])
			notes = notes[1:]
		}
	}
	for len(batch) > 0 {
		n := 0
		for n < len(batch) && !f.due(batch[n].Time) && (len(notes) == 0 || batch[n].Frame < notes[0].Frame) {
			n++
		}
		f.add(batch[:n])
		batch = batch[n:]
		if len(batch) == 0 {
			break
		}
		before(batch[0].Frame)
		if f.due(batch[0].Time) {
			if err := f.settle(batch[0].Time); err != nil {
				return err
			}
		}
	}
	for i := range notes {
		f.note(&notes[i])
	}
	return nil
}

func (f *follower) note(n *segment.Note) {
	f.s.engine.Note(*n)
	if n.Kind == segment.NoteICMP {
		f.t.Mark(n.Quoted.Src, n.Quoted.Dst)
	}
}

func (f *follower) add(batch []segment.Segment) {
	for i := range batch {
		x := &batch[i]
		if x.Flags&(segment.SYN|segment.FIN|segment.RST) != 0 {
			f.s.engine.Seen(x, f.r.Wire(x))
		}
		f.now, f.frame = x.Time, x.Frame
	}
	f.t.Add(batch)
}

// due tells whether a segment of that time is the first behind a time to settle. A clock
// that is set back by much begins anew.
func (f *follower) due(time int64) bool {
	return time >= f.next || time < f.next-int64(10*settleEvery)
}

// settle hands on what is sure before a segment of the given time.
func (f *follower) settle(time int64) error {
	started := f.next != 0
	every := int64(settleEvery) * int64(1+f.s.engine.Waiting()/settleLoad)
	now := time - time%every
	f.next = now + every
	if !started {
		return nil
	}
	return f.give(f.s.engine.Settle(diagnose.Capture{Last: now, Misses: f.r.Missed(f.frame) || forgets(f.t)}), false)
}

// give hands on findings, of those that are wanted.
func (f *follower) give(results []diagnose.Result, last bool) error {
	if len(results) == 0 {
		return nil
	}
	if f.window == nil {
		w, err := f.sel.window(f.r.Stats().First)
		if err != nil {
			return err
		}
		f.window = &w
	}
	sources := f.r.Sources()
	piece := &Report{Schema: report.Schema, Findings: []report.Finding{}, Summary: []report.Group{}, Connections: []report.Connection{}}
	piece.Capture = report.Capture{Sources: sources, Packets: f.frame, Warnings: []report.Warning{}}
	named := map[uint64]bool{}
	for i := range results {
		res := &results[i]
		f.given++
		res.Finding.ID = "f" + strconv.FormatUint(f.given, 10)
		if !f.sel.wants(res, *f.window, f.s.names.name) {
			f.sum.Hide(&res.Finding)
			f.hidden++
			continue
		}
		f.sum.Add(&res.Finding)
		if f.several {
			addRefs(f.r, sources, &res.Finding)
		}
		piece.Findings = append(piece.Findings, res.Finding)
		for _, c := range res.Connections {
			if !named[c.ID] {
				named[c.ID] = true
				var line report.Connection
				f.s.describer.Describe(c, &line)
				piece.Connections = append(piece.Connections, line)
			}
		}
	}
	if len(piece.Findings) == 0 {
		return nil
	}
	piece, err := f.s.names.report(piece)
	if err != nil {
		return err
	}
	return f.found(&Sure{Report: piece, Last: last, Position: f.position()})
}

func (f *follower) position() Position {
	p := Position{Frame: f.r.Frames()}
	for i, name := range f.r.Sources() {
		p.Sources = append(p.Sources, SourcePosition{name, f.r.Consumed(i)})
	}
	return p
}

// end answers what is left, in the order in which it is found, and says what was read.
func (f *follower) end() (_ *Report, err error) {
	f.t.Close()
	out, _, c := f.s.overview(f.r, f.t)
	// One by one: at the end there may be as many as the capture has connections.
	f.s.engine.AnswerEach(c, func(res *diagnose.Result) {
		if err == nil {
			err = f.give([]diagnose.Result{*res}, true)
		}
	})
	if err != nil {
		return nil, err
	}
	out.Summary, out.HiddenFindings = f.sum.Groups(), f.hidden
	out.QuietConnections = f.sum.Quiet(out.Capture.Connections)
	return f.s.names.report(out)
}

// interrupted is the warning of a reading that was ended before the capture was.
func interrupted(frame uint64) report.Warning {
	return report.Warning{Code: "interrupted", Frame: frame, Says: fmt.Sprintf("the reading was interrupted after frame %d: what comes after it is not told", frame)}
}
