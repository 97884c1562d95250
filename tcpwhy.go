// Package tcpwhy explains why TCP connections in a packet capture did what they
// did. Explain reads captures and returns the findings with their proof; package
// cmd/tcpwhy is the command line around it.
package tcpwhy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Report is the result: the JSON contract "tcpwhy.report/1" as plain values.
type Report = report.Report

// Options are what is known beside the capture, and what is wanted. The zero
// value reads and explains with nothing known.
type Options struct {
	// Facts are of the form WHO:NAME=VALUE; WHO is client, server or an address
	// (IPv6 in brackets), NAME is kernel or a sysctl.
	Facts []string
	// FactFiles are of the form WHO=FILE, each a file of "sysctl -a" lines.
	FactFiles []string
	// Stdin is what the path "-" reads.
	Stdin io.Reader
	// Connection, if not nil, is called for each connection in the order in which
	// they end. The value is valid during the call.
	Connection func(*report.Connection) error
	// NoFindings: only connections are wanted.
	NoFindings bool
	// JSON, if not nil, is called once, when the captures are read, with what then writes the report as
	// report.WriteJSON does, finding by finding as they are answered; it returns what that returns, or
	// an error of its own. The report that Explain returns has no findings then, only what is told of all of them.
	JSON func(write func(io.Writer) error) error
	// MadeBy is Report.MadeBy.
	MadeBy string
	// Only, Flows, Since and Until select findings; Report.HiddenFindings counts the
	// others. The whole capture is read all the same, and ids stay those of all findings.
	//
	// Only has slugs of questions, or of causes: then a finding is wanted whose verdict
	// it is, or in which it is not ruled out. Flows has flows such as
	// "10.0.0.1:40000-10.0.0.2:80" in either direction, a port or an end left out for any.
	// Since and Until are times: RFC 3339, "2006-01-02 15:04:05", "15:04:05" on the day of
	// the first packet (UTC both), or "+12.5s" from the first packet; wanted is what has
	// frames asked about on both sides of a limit, too.
	Only         []string
	Flows        []string
	Since, Until string
	// Progress, if not nil, is kept up to date while the captures are read.
	Progress *Progress
	// Workers is how many goroutines work: with two, one decodes while the other works, and both
	// answer. 0 is one, more than two are two. The report is the same to the byte. Where there is little
	// to do but to decode (bulk data), two take longer than one.
	Workers int
	// MaxMemory bounds what is remembered while captures are read, in bytes; 0: nothing does. What
	// does not find room is forgotten, what was silent longest first, and a warning says how
	// much; the findings themselves are not counted. Half of it is for the table of connections.
	MaxMemory int64
	// Interrupt, once it is closed, ends the reading: what was read until then is
	// explained, with a warning that says so. nil: nothing does.
	Interrupt <-chan struct{}

	follows bool // see Follow
	// worker, if not nil, is called where a worker begins, and what it returns where it ends: the first
	// decodes and later answers, the second does the rest. Tests measure them.
	worker func(first bool) (end func())

	// newTable makes the table of connections, nil: flow.NewTable. Tests put the plain one in its place.
	newTable func(flow.Config, flow.Sink) table
}

// UsageError is a wrong option, such as a fact that cannot be read.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Explain reads captures ("-" is standard input), several in time order, and
// answers every question that they raise. An error is a capture that cannot be
// read at all, a UsageError, or what Options.Connection returned; whatever
// part of a capture cannot be read is a warning in the report.
func Explain(ctx context.Context, paths []string, o Options) (*Report, error) {
	defer o.works(false)()
	facts, err := readFacts(o)
	if err != nil {
		return nil, &UsageError{err}
	}
	sel, err := readSelection(&o)
	if err != nil {
		return nil, &UsageError{err}
	}
	r, err := capture.Open(paths, capture.Options{Stdin: o.Stdin})
	if err != nil {
		return nil, err
	}
	defer r.Close() // read only: nothing is lost by a failing close
	s := &sink{o: &o, names: newNamer(r.Names())}
	t := o.makeTable(s)
	s.engine = diagnose.New(facts, t)
	s.engine.Limit(o.MaxMemory / shareKept)
	reading := read
	if o.Workers > 1 {
		reading = readAhead
	}
	if err := reading(ctx, r, t, s); err != nil {
		return nil, err
	}
	t.Close()
	if s.err != nil {
		return nil, s.err
	}
	out, err := s.report(r, t, sel)
	if err != nil {
		return nil, err
	}
	if out, err = s.names.report(out); err != nil {
		return nil, err
	}
	if o.JSON != nil && s.names != nil {
		if err := o.JSON(func(to io.Writer) error { return report.WriteJSON(to, out) }); err != nil {
			return nil, err
		}
		out.Findings = []report.Finding{}
	}
	return out, nil
}

// works tells that a worker begins; what it returns, that it ends.
func (o *Options) works(first bool) (end func()) {
	if o.worker == nil {
		return func() {}
	}
	return o.worker(first)
}

// table is what the table of connections has to keep. Where nothing is asked, a
// connection only has to wait for its own late segments: for the next SYN of an
// attempt (Linux pauses 32 s before its last, tcp_syn_retries, and gives up 64 s
// after it), and for repeats and copies of the last FIN.
func (o *Options) table() flow.Config {
	c := flow.Config{LinesOnly: o.NoFindings, AskedOnly: o.Connection == nil, TellFirst: diagnose.FewConnections}
	c.MaxBytes = o.MaxMemory / 2
	if o.follows {
		c.TellFirst = 0 // that nothing is wrong is not told of single connections
	}
	if o.NoFindings {
		c.Keep, c.KeepEnded = 70*time.Second, 10*time.Second
	}
	return c // else flow's own times, long enough for every TIME_WAIT
}

// table is what is asked of a flow.Table.
type table interface {
	diagnose.Hosts
	Add([]segment.Segment)
	Mark(a, b segment.Endpoint)
	Close()
	Connections() uint64
	Observed() flow.Observed
}

func (o *Options) makeTable(s flow.Sink) table {
	if o.newTable != nil {
		return o.newTable(o.table(), s)
	}
	return flow.NewTable(o.table(), s)
}

// read runs the capture through the table.
func read(ctx context.Context, r *capture.Reader, t table, s *sink) error {
	batch := make([]segment.Segment, batchSize)
	for i := 0; ; i++ {
		n, err := r.Read(batch)
		t.Add(batch[:n])
		if !s.o.NoFindings {
			s.clock.see(batch[:n])
			s.beside(r, t, batch[:n])
		}
		if i%16 == 0 || err != nil || n < len(batch) {
			s.o.Progress.note(r, errors.Is(err, io.EOF))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case s.err != nil:
			return s.err
		case i%1024 == 0 && ctx.Err() != nil:
			return ctx.Err()
		case i%1024 == 0 && closed(s.o.Interrupt):
			s.cut = max(r.Frames(), 1)
			return nil
		}
	}
}

// closed tells whether a channel was closed; nil is not.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// beside hands on what frames say beside their segments: who sent those that decide, and
// what is no segment at all.
func (s *sink) beside(r *capture.Reader, t table, batch []segment.Segment) {
	for i := range batch {
		if s.enough {
			break
		}
		if x := &batch[i]; decides(x) {
			s.enough = !s.engine.Seen(x, r.Wire(x))
		}
	}
	s.notes(r.Notes(), t)
}

// decides tells whether a segment is one of those that open and end connections.
func decides(x *segment.Segment) bool { return x.Flags&(segment.SYN|segment.FIN|segment.RST) != 0 }

// notes hands on what is no segment.
func (s *sink) notes(notes []segment.Note, t table) {
	for _, n := range notes {
		s.engine.Note(n)
		if n.Kind == segment.NoteICMP {
			t.Mark(n.Quoted.Src, n.Quoted.Dst)
		}
	}
}

// sink takes what the table hands out.
type sink struct {
	o         *Options
	engine    *diagnose.Engine
	describer diagnose.Describer
	line      report.Connection
	clock     clock
	enough    bool   // senders of as many frames as can matter are remembered
	cut       uint64 // the frame at which the reading was interrupted; 0: it was not
	err       error
	names     *namer
}

func (s *sink) Ended(c *flow.Connection) {
	if s.err != nil {
		return
	}
	s.describer.Describe(c, &s.line)
	s.names.connection(&s.line)
	s.err = s.o.Connection(&s.line)
}

func (s *sink) Asked(c *flow.Connection) { s.engine.Ask(c) }

func (s *sink) Troubled(c *flow.Connection) { s.engine.Trouble(c) }

// report puts everything together.
func (s *sink) report(r *capture.Reader, t table, sel *selection) (*Report, error) {
	out, st, c := s.overview(r, t)
	if s.o.JSON != nil && s.names == nil {
		return out, s.o.JSON(func(to io.Writer) error { return s.stream(to, out, r, sel, st.First, c) })
	}
	return out, s.findings(out, r, sel, st.First, s.engine.Answer(c))
}

// overview is a report of what was read, without findings, and what diagnose must know of it.
func (s *sink) overview(r *capture.Reader, t table) (*Report, capture.Stats, diagnose.Capture) {
	st := r.Stats()
	out := &Report{Schema: report.Schema, MadeBy: s.o.MadeBy, Findings: []report.Finding{}, Connections: []report.Connection{}}
	out.Capture = report.Capture{Sources: r.Sources(), Packets: st.Packets, Segments: st.Segments, Connections: t.Connections(), Warnings: []report.Warning{}}
	if st.Packets > 0 {
		out.Capture.First, out.Capture.Last = report.FormatTime(st.First), report.FormatTime(st.Last)
	}
	misses, timeless := false, false
	for _, w := range st.Warnings {
		out.Capture.Warnings = append(out.Capture.Warnings, report.Warning{Code: w.Code, Says: w.Says, Frame: w.Frame})
		switch w.Code {
		case "capture-drops", "capture-cut-short", "capture-broken", "file-gone", "file-grew-late":
			misses = true
		case "times-missing":
			timeless = true
		}
	}
	for _, k := range st.Skipped {
		if !ordinary(k.Code) {
			out.Capture.Warnings = append(out.Capture.Warnings, report.Warning{Code: k.Code, Says: fmt.Sprintf("%d frames were not used: %s", k.Count, k.Says), Frame: k.Frame})
		}
	}
	out.Capture.Warnings = append(out.Capture.Warnings, observations(t.Observed(), st)...)
	if w, ok := s.forgotten(t); ok {
		misses = true // what was forgotten is as if the capture did not show it
		out.Capture.Warnings = append(out.Capture.Warnings, w...)
	}
	if s.cut != 0 {
		out.Capture.Warnings = append(out.Capture.Warnings, interrupted(s.cut))
	}
	return out, st, diagnose.Capture{Last: st.Last, SetBack: s.clock.setBack, Misses: misses, Timeless: timeless, Connections: t.Connections()}
}

// findings puts those that are selected into the report, and counts the others.
func (s *sink) findings(out *Report, r *capture.Reader, sel *selection, first int64, results []diagnose.Result) error {
	w, err := sel.window(first)
	if err != nil {
		return err
	}
	var all []report.Finding
	named := map[uint64]bool{}
	for i := range results {
		res := &results[i]
		all = append(all, res.Finding)
		if !sel.wants(res, w, s.names.name) {
			out.HiddenFindings++
			continue
		}
		f := res.Finding
		if len(out.Capture.Sources) > 1 {
			addRefs(r, out.Capture.Sources, &f)
		}
		out.Findings = append(out.Findings, f)
		s.name(out, res.Connections, named)
	}
	out.Summary = report.Summarize(out.Findings)
	out.QuietConnections = report.Quiet(out.Capture.Connections, all)
	return nil
}

// name adds connections to the report that it does not have yet.
func (s *sink) name(out *Report, connections []*flow.Connection, named map[uint64]bool) {
	for _, c := range connections {
		if !named[c.ID] {
			named[c.ID] = true
			var line report.Connection
			s.describer.Describe(c, &line)
			out.Connections = append(out.Connections, line)
		}
	}
}

// offloadFrom is the payload that no Ethernet frame carries: 9000 bytes less the headers.
const offloadFrom = 9000 - 40

// observations words what was seen of the capture as a whole, where it bounds what
// can be concluded.
func observations(o flow.Observed, st capture.Stats) []report.Warning {
	var out []report.Warning
	add := func(code string, frame uint64, format string, args ...any) {
		out = append(out, report.Warning{Code: code, Says: fmt.Sprintf(format, args...), Frame: frame})
	}
	if o.Copies > 0 {
		add("duplicates", o.FirstCopy, "%d frames were captured more than once (several interfaces, a mirror, both sides of a box); the copies were left out", o.Copies)
	}
	if st.Tunnelled > 0 {
		add("tunnels", st.FirstTunnelled, "%d segments were inside tunnels; what is told is of the connections within", st.Tunnelled)
	}
	if o.MidStream > 0 {
		add("no-handshake", 0, "%d connections began before the capture: their window scales, and what was agreed when they were opened, are not known", o.MidStream)
	}
	if o.OneSided > 0 {
		add("one-sided", 0, "of %d connections the capture shows one direction only: what the other end sent is not known", o.OneSided)
	}
	if o.Unseen > 0 {
		add("unseen-bytes", o.FirstUnseen, "in %d connections an end acknowledges bytes that the capture does not show: the capture missed them, the network did not lose them", o.Unseen)
	}
	if o.Longest >= offloadFrom {
		add("offload", 0, "segments of up to %d bytes: captured before the network card cut them up, or after it put them together (TSO, GRO); on the wire they are shorter", o.Longest)
	}
	return out
}

// ordinary: traffic that is no TCP, which needs no warning.
func ordinary(code string) bool { return strings.HasPrefix(code, "not-") }

// addRefs names each frame in its own file, of those that r reads.
func addRefs(r *capture.Reader, sources []string, f *report.Finding) {
	refs := func(frames []uint64) []report.Ref {
		var out []report.Ref
		for _, n := range frames {
			if src, own, ok := r.Locate(n); ok {
				out = append(out, report.Ref{Source: sources[src], Frame: own, Time: timeOf(f, n)})
			}
		}
		return out
	}
	f.Refs = refs(f.Frames)
	for i := range f.Causes {
		for j := range f.Causes[i].Evidence {
			ev := &f.Causes[i].Evidence[j]
			ev.Refs = refs(ev.Frames)
		}
	}
}

// timeOf returns a frame's time as the ladder tells it, or nothing.
func timeOf(f *report.Finding, frame uint64) string {
	for i := range f.Ladder {
		if f.Ladder[i].Frame == frame {
			return f.Ladder[i].Time
		}
	}
	return ""
}

// readFacts reads the facts of the options.
func readFacts(o Options) (*diagnose.Facts, error) {
	f := &diagnose.Facts{}
	for _, s := range o.Facts {
		if err := f.Add(s); err != nil {
			return nil, err
		}
	}
	for _, s := range o.FactFiles {
		i := strings.LastIndex(s, "]=")
		if i < 0 {
			i = strings.Index(s, "=")
		} else {
			i++
		}
		if i < 0 {
			return nil, fmt.Errorf("facts %q: expected WHO=FILE, for example server=sysctl.txt", s)
		}
		if err := readFactFile(f, s[:i], s[i+1:]); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func readFactFile(f *diagnose.Facts, who, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close() // read only
	return f.AddFile(who, name, file)
}
