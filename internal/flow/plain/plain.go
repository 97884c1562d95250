// Package plain is package flow once more, in its plainest form: maps and slices,
// one segment at a time, whole numbers, nothing packed, nothing prefetched. It is
// the oracle that flow is held against in tests, and no part of the program:
// both must hand out the same connections in the same order, whatever they are fed.
//
// A rule has the name that it has in flow, which says why it is so. What flow only
// does to be fast has no counterpart here; where its way of storing a value shows
// in what it hands out, that is written down here as a rule (view.go).
package plain

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// defaultKeep is flow.Config.Keep where it is 0.
const defaultKeep = 240 * time.Second

// Table holds the connections of a capture, as flow.Table does. It is not safe
// for concurrent use.
type Table struct {
	cfg             flow.Config
	sink            flow.Sink
	keep, keepEnded int64 // nanoseconds

	current map[tuple]*conn  // the last incarnation of each four-tuple
	live    map[uint64]*conn // all that are not forgotten, by their ID
	turns   turns
	orphans int
	now     int64 // time of the segment in work
	opened  uint64
	closed  bool

	hosts    hosts
	closings closings
	observed flow.Observed
	overflow flow.Overflow
}

// NewTable returns an empty table that reports to sink.
func NewTable(cfg flow.Config, sink flow.Sink) *Table {
	t := &Table{cfg: cfg, sink: sink, keep: int64(cfg.Keep), keepEnded: int64(cfg.KeepEnded)}
	if t.keep <= 0 {
		t.keep = int64(defaultKeep)
	}
	if t.keepEnded <= 0 {
		t.keepEnded = t.keep
	}
	t.current, t.live = map[tuple]*conn{}, map[uint64]*conn{}
	t.hosts, t.closings.of = hosts{}, map[pair][]closing{}
	return t
}

// Connections returns how many connections were seen so far.
func (t *Table) Connections() uint64 { return t.opened }

// Overflow returns what had to be left out so far. There is no bound on memory here, so
// that Segments counts only those that came after Close.
func (t *Table) Overflow() flow.Overflow { return t.overflow }

// Observed returns what was seen of the capture as a whole so far.
func (t *Table) Observed() flow.Observed { return t.observed }

// tuple is a four-tuple without direction: a is not after b.
type tuple struct{ a, b segment.Endpoint }

// tupleOf returns the four-tuple of two endpoints, in either order.
func tupleOf(x, y segment.Endpoint) tuple {
	if before(y, x) {
		x, y = y, x
	}
	return tuple{x, y}
}

func before(x, y segment.Endpoint) bool {
	switch {
	case x.Addr.Hi != y.Addr.Hi:
		return x.Addr.Hi < y.Addr.Hi
	case x.Addr.Lo != y.Addr.Lo:
		return x.Addr.Lo < y.Addr.Lo
	}
	return x.Port < y.Port
}

// Mark asks for a reason of the connection between two endpoints, if it is known.
func (t *Table) Mark(a, b segment.Endpoint) {
	if c := t.current[tupleOf(a, b)]; c != nil && !t.closed {
		c.trouble = true
	}
}

// Add takes in the next segments of the capture, in its order.
func (t *Table) Add(batch []segment.Segment) {
	if t.closed {
		t.overflow.Segments += uint64(len(batch))
		return
	}
	for i := range batch {
		t.add(&batch[i])
	}
}

// add takes in one segment: it goes to the incarnation that it belongs to, or opens a new one.
func (t *Table) add(s *segment.Segment) {
	t.now = s.Time
	t.expire(s.Time)
	c := t.current[tupleOf(s.Src, s.Dst)]
	if c == nil {
		t.open(s, nil)
		return
	}
	member, fresh := c, false
	switch {
	case opensConnection(s.Flags):
		member = c.routeSYN(s)
		fresh = member == nil
	case c.ambiguous(s) && !c.firstAnswer(s):
		member, fresh = c.route(s)
	}
	if fresh {
		t.open(s, c)
		return
	}
	t.take(c, member, s)
}

func opensConnection(f segment.Flags) bool {
	return f&(segment.SYN|segment.ACK|segment.RST) == segment.SYN
}

const (
	// framesAfter is how many frames after the handshake a connection with a past keeps.
	framesAfter = 6
	// askedAfter is how many frames after the handshake show that it holds.
	askedAfter = 4
)

// take enters a segment into its incarnation m, and keeps it as a frame of the
// current one, c, where that calls for it.
func (t *Table) take(c, m *conn, s *segment.Segment) {
	e := m.side(s)
	if m.more[e].duplicate(s) {
		t.copied(s)
		m.Duplicates++
		m.LastSeen = pointOf(s)
		return
	}
	t.noteGap(m, s, e)
	if s.Flags&(segment.FIN|segment.RST) != 0 && !m.ending {
		m.noteEnding()
	}
	opening := !c.established
	inert := m != c && opening && c.side(s) == flow.Opener
	notable := t.absorb(m, s, e, inert)
	if m != c {
		notable = false
	} else if s.Flags&(segment.FIN|segment.RST) != 0 {
		c.ending = true
	}
	if notable || c.ending || c.past && (opening || c.after < framesAfter) {
		c.keepFrame(s)
	}
	if !c.past {
		return
	}
	if !opening && c.after < framesAfter {
		c.after++
	}
	if !c.asked && !c.neverAsked && (c.over() || c.after >= askedAfter) {
		t.ask(c)
	}
}

// copied counts a frame that was seen twice.
func (t *Table) copied(s *segment.Segment) {
	if t.observed.Copies++; t.observed.Copies == 1 {
		t.observed.FirstCopy = s.Frame
	}
}

// open enters a new connection that begins with segment s; prev is the one that
// its four-tuple has so far, or nil.
func (t *Table) open(s *segment.Segment, prev *conn) {
	t.opened++
	c := &conn{prev: prev}
	c.ID, c.First = t.opened, pointOf(s)
	t.live[c.ID] = c
	t.current[tupleOf(s.Src, s.Dst)] = c
	if prev != nil {
		prev.pinned = true
		t.askIfOpen(prev)
		c.past = true
		t.limitChain(c)
	}
	t.begin(c, s)
}

// nfs is the service whose clients open from ports below its own (bindresvport).
const nfs = 2049

// opensFrom tells whether a port is rather the opener's than the other one.
func opensFrom(port, other uint16) bool {
	reserved := port == nfs && other < 1024 || other == nfs && port < 1024
	return (port > other) != reserved
}

// begin sets a new connection up by its first segment.
func (t *Table) begin(c *conn, s *segment.Segment) {
	e := flow.Opener
	switch {
	case opensConnection(s.Flags):
	case s.Flags&(segment.SYN|segment.RST) == segment.SYN:
		c.MidStream = true
		e = flow.Listener
	default:
		c.MidStream, c.neverAsked = true, true
		if s.Src.Port != s.Dst.Port && !opensFrom(s.Src.Port, s.Dst.Port) {
			e = flow.Listener
		}
	}
	c.first = e
	c.Ends[e].Endpoint, c.Ends[e.Other()].Endpoint = s.Src, s.Dst
	c.count(s, e)
	switch {
	case c.neverAsked:
		t.establish(c)
	case c.MidStream:
		c.State = flow.SynAcked
		c.implyISN(s, e.Other())
		c.noteStart(s, e)
		t.noteHost(s)
		t.enqueue(c, false)
	default:
		c.State = flow.SynOnly
		c.noteStart(s, e)
		t.noteHost(s)
		t.enqueue(c, false)
	}
	if s.Flags&segment.RST != 0 {
		c.noteRST(s, e)
	}
	t.update(c, s, e)
	t.advance(c, s, e, false)
	if s.Flags&(segment.FIN|segment.RST) != 0 && !opensConnection(s.Flags) {
		c.ending = true
	}
	if c.past || c.ending {
		c.keepFrame(s)
	}
}

func pointOf(s *segment.Segment) flow.Point { return flow.Point{Frame: s.Frame, Time: s.Time} }
