package plain

import (
	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// certainlyNear is the distance from an established connection's numbers below
// which a segment need not be compared with earlier incarnations.
const certainlyNear = 1 << 16

// route decides to which incarnation a segment belongs that is no SYN: the current
// one, c, or an earlier one whose late packet it is. What fits none stays with the
// current one, unless it shows that the capture misses the start of a new
// connection (fresh).
func (c *conn) route(s *segment.Segment) (member *conn, fresh bool) {
	far, dims := c.closeness(s)
	if dims > 0 && (c.prev == nil || far < certainlyNear && c.State >= flow.Established) {
		return c, false
	}
	// An opener that got no SYN-ACK yet sends a RST only for numbers that are not its own.
	rescue := s.Flags&segment.RST != 0 && c.State == flow.SynOnly && c.side(s) == flow.Opener
	best := c
	for p := c.prev; p != nil; p = p.prev {
		f, d := p.closeness(s)
		if d > 0 && (dims == 0 || f < far || f == far && (d > dims || rescue && best == c)) {
			best, far, dims = p, f, d
		}
	}
	switch {
	case dims > 0 || s.Flags&(segment.RST|segment.ACK) != segment.ACK:
		return best, false
	case s.Flags&segment.SYN != 0:
		return c, c.State >= flow.Established && c.side(s) == flow.Listener
	}
	return c, c.State >= flow.Closed && (s.Len > 0 || s.Flags&segment.FIN != 0)
}

// ambiguous tells whether a segment that is no SYN may belong to an earlier
// incarnation, or begin a new one that the capture shows from its middle.
func (c *conn) ambiguous(s *segment.Segment) bool {
	return c.prev != nil || s.Flags&segment.SYN != 0 || c.State >= flow.Closed && (s.Len > 0 || s.Flags&segment.FIN != 0)
}

// firstAnswer tells whether a segment is the plain answer to the SYN of a
// connection without a past, which needs no look elsewhere.
func (c *conn) firstAnswer(s *segment.Segment) bool {
	o := &c.Ends[flow.Opener]
	return c.State == flow.SynOnly && c.prev == nil && s.Flags&(segment.SYN|segment.ACK|segment.RST) == segment.SYN|segment.ACK &&
		c.side(s) == flow.Listener && o.ISN.Seen() && o.SndNxt.Seen() && s.Ack == o.SndNxt.Num && c.answersSYN(s)
}

// closeness tells how far a segment lies from the connection's numbers, and how many
// of its two numbers could be compared: none if it cannot belong there.
func (c *conn) closeness(s *segment.Segment) (far uint32, dims int) {
	e := c.side(s)
	v, p := &c.Ends[e], &c.Ends[e.Other()]
	if s.Flags&(segment.SYN|segment.ACK|segment.RST) == segment.SYN|segment.ACK && v.ISN.Seen() {
		switch {
		case s.Seq != v.ISN.Num:
			return 0, 0
		case e == flow.Opener:
			return 0, 1 // it sends one only where both ends open at once
		}
		return 0, 2
	}
	if v.SndNxt.Seen() || p.RcvNxt.Seen() {
		d := c.distance(s.Seq, e)
		if v.ISN.Seen() && s.Seq.Before(v.ISN.Num) || d >= max(nearBy, min(c.window(e.Other()), maxStep)) {
			return 0, 0
		}
		far, dims = d, 1
	}
	if s.Flags&segment.ACK != 0 && (p.SndNxt.Seen() || v.RcvNxt.Seen()) {
		d := c.distance(s.Ack, e.Other())
		if p.ISN.Seen() && !s.Ack.After(p.ISN.Num) || c.State < flow.Established && e == flow.Listener && !c.answersSYN(s) ||
			d >= max(nearBy, min(c.window(e), maxStep)) {
			return 0, 0
		}
		far, dims = far+d, dims+1
	}
	return far, dims
}

// distance tells how far a number in the sequence space of end e lies from the
// nearest of its marks. Nothing lies behind a FIN.
func (c *conn) distance(x seq.Num, e flow.Side) uint32 {
	v, p := &c.Ends[e], &c.Ends[e.Other()]
	if v.FIN.Seen() && x.After(v.FIN.Num) {
		return maxStep
	}
	d := uint32(maxStep)
	if v.SndNxt.Seen() {
		d = min(d, x.Ahead(v.SndNxt.Num), v.SndNxt.Num.Ahead(x))
	}
	if p.RcvNxt.Seen() {
		d = min(d, x.Ahead(p.RcvNxt.Num), p.RcvNxt.Num.Ahead(x))
	}
	return d
}

// repeatsSYN tells whether a SYN of the connection's own opener is another copy of
// the one that opened it.
func (c *conn) repeatsSYN(s *segment.Segment) bool {
	o := &c.Ends[flow.Opener]
	if c.side(s) != flow.Opener || !o.ISN.Seen() || o.ISN.Num != s.Seq {
		return false
	}
	if c.State == flow.Established {
		return !s.HasTS() || !o.HasTS || !s.TSVal.After(o.TSVal)
	}
	return c.State < flow.Established
}

// routeSYN decides to which incarnation a SYN on a known four-tuple belongs; nil: it
// opens a new one.
func (c *conn) routeSYN(s *segment.Segment) *conn {
	if c.repeatsSYN(s) {
		return c
	}
	for p := c.prev; p != nil; p = p.prev {
		if p.State < flow.Established && p.repeatsSYN(s) {
			return p
		}
	}
	return nil
}
