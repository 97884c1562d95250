package plain

import (
	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// absorb takes a segment of end e into the connection that it belongs to. It
// reports whether the segment is worth keeping as a frame by itself. With inert
// set, a RST does not end the connection.
func (t *Table) absorb(c *conn, s *segment.Segment, e flow.Side, inert bool) (notable bool) {
	c.count(s, e)
	fits := true
	switch {
	case s.Flags&segment.RST != 0:
		c.noteRST(s, e)
		if !c.rstCounts(s, e) {
			return true
		}
	case opensConnection(s.Flags):
		notable = true
		c.trouble = true
	case (c.State == flow.SynOnly || c.State == flow.SynAcked) && e == flow.Listener:
		fits, notable = t.listenerOpens(c, s)
	case c.State == flow.SynOnly || c.State == flow.SynAcked:
		fits, notable = c.openerOpens(s)
	case s.Flags&segment.SYN != 0:
		fits, notable = c.repeatedSynAck(s, e)
	default:
		fits = c.near(s, e)
	}
	if !fits {
		return true
	}
	t.update(c, s, e)
	t.advance(c, s, e, inert)
	return notable
}

// answersSYN tells whether a segment of the listener acknowledges the SYN.
func (c *conn) answersSYN(s *segment.Segment) bool {
	o := &c.Ends[flow.Opener]
	return s.Flags&segment.ACK != 0 && o.ISN.Seen() && s.Ack.After(o.ISN.Num) && !s.Ack.After(o.SndNxt.Num)
}

// listenerOpens judges a segment of the listener before the connection is established.
func (t *Table) listenerOpens(c *conn, s *segment.Segment) (fits, notable bool) {
	v := &c.Ends[flow.Listener]
	if s.Flags&segment.SYN != 0 {
		switch {
		case !c.answersSYN(s):
			return false, true
		case !v.ISN.Seen():
			c.noteStart(s, flow.Listener)
			t.noteHost(s)
			c.State = flow.SynAcked
			return true, false
		case v.ISN.Num != s.Seq:
			c.twoAnswers = true
			return false, true
		case v.ISNImplied:
			c.noteStart(s, flow.Listener)
		default:
			c.trouble = true
		}
		return true, true
	}
	pureACK := s.Len == 0 && s.Flags&segment.FIN == 0
	if c.State == flow.SynOnly {
		if !c.answersSYN(s) || pureACK {
			return false, true
		}
	} else if !c.near(s, flow.Listener) || !s.Ack.After(c.Ends[flow.Opener].ISN.Num) {
		return false, true
	}
	if !pureACK {
		t.establish(c)
	}
	return true, true
}

// openerOpens judges a segment of the opener before the connection is established,
// and takes the listener's ISN from it where the capture misses the SYN-ACK.
func (c *conn) openerOpens(s *segment.Segment) (fits, notable bool) {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	if s.Flags&segment.ACK == 0 || !within(s.Seq, o.SndNxt.Num, maxStep) || s.Seq.Before(o.ISN.Num) {
		return false, true
	}
	if s.Flags&segment.SYN != 0 && s.Seq != o.ISN.Num {
		return false, true
	}
	if c.State == flow.SynOnly {
		if s.Flags&segment.SYN == 0 && s.Seq != o.SndNxt.Num {
			return false, true
		}
		c.implyISN(s, flow.Listener)
		l.Unseen = true
		c.State = flow.SynAcked
		return true, true
	}
	if s.Ack.After(l.ISN.Num) && (!l.SndNxt.Seen() || s.Ack.Sub(l.SndNxt.Num) < nearBy) {
		return true, false
	}
	if c.twoAnswers && s.Seq == o.SndNxt.Num {
		// It took another SYN-ACK than the first.
		c.implyISN(s, flow.Listener)
		l.SndNxt = flow.Mark{Num: s.Ack, Point: pointOf(s)}
		c.more[flow.Listener].timed = false
		return true, true
	}
	return false, true
}

// repeatedSynAck judges a SYN-ACK on a connection that is past its handshake.
func (c *conn) repeatedSynAck(s *segment.Segment, e flow.Side) (fits, notable bool) {
	v := &c.Ends[e]
	if !v.ISN.Seen() {
		return c.near(s, e), true
	}
	if s.Seq != v.ISN.Num {
		return false, true
	}
	if e == flow.Listener && c.State == flow.Established {
		c.lateSynAck = true
	}
	return true, true
}

// advance moves the state after the marks were updated.
func (t *Table) advance(c *conn, s *segment.Segment, e flow.Side, inert bool) {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	if c.State == flow.SynAcked && o.RcvNxt.Seen() && l.ISN.Seen() && o.RcvNxt.Num.After(l.ISN.Num) {
		t.establish(c)
	}
	if s.Flags&segment.RST != 0 {
		if !inert && !c.over() {
			c.State = flow.Reset
			t.end(c, s)
		}
		return
	}
	if s.Flags&(segment.FIN|segment.SYN) == segment.FIN {
		c.noteFIN(s, e)
	}
	if !o.FIN.Seen() && !l.FIN.Seen() || c.State < flow.Established || c.over() {
		return
	}
	was := c.State
	switch {
	case o.FIN.Seen() && l.FIN.Seen() && o.FINAcked.Seen() && l.FINAcked.Seen():
		c.State = flow.Closed
		t.end(c, s)
		t.noteClosing(c, flow.Opener)
		t.noteClosing(c, flow.Listener)
		return
	case o.FIN.Seen() && l.FIN.Seen():
		c.State = flow.Closing
	default:
		c.State = flow.HalfClosed
	}
	if c.State != was && c.quiet() {
		t.enqueue(c, false)
	}
}

// establish notes that the handshake was completed. Whatever lived before on the
// four-tuple is then certainly gone.
func (t *Table) establish(c *conn) {
	c.State, c.established = flow.Established, true
	for p := c.prev; p != nil; p = p.prev {
		if !p.queued && !p.announced && !p.quiet() {
			t.enqueue(p, true)
		}
	}
}

// end notes that the segment ended the connection.
func (t *Table) end(c *conn, s *segment.Segment) {
	c.EndedAt = pointOf(s)
	if !c.queued {
		t.enqueue(c, true)
	}
}

// rstCounts tells whether a RST of end e can end the connection.
func (c *conn) rstCounts(s *segment.Segment, e flow.Side) bool {
	v, p := &c.Ends[e], &c.Ends[e.Other()]
	if c.State < flow.Established && e == flow.Listener && c.answersSYN(s) {
		return true
	}
	if c.State == flow.SynOnly && e == flow.Listener {
		return false
	}
	switch {
	case !p.RcvNxt.Seen() && !v.SndNxt.Seen(),
		v.SndNxt.Seen() && s.Seq == v.SndNxt.Num,
		p.RcvNxt.Seen() && s.Seq.Ahead(p.RcvNxt.Num) < c.window(e.Other()):
		return true
	}
	return c.seen(e.Other()) && s.Seq == p.Last.Num && c.State >= flow.Established
}
