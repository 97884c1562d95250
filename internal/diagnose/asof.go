package diagnose

import "github.com/tcpwhy/tcpwhy/internal/flow"

// asOf returns what the capture had shown of a connection before a frame. A late
// segment of the old connection, above all the very answer that is to be
// explained, moves its marks: without this an answer would explain itself.
func (m *scratch) asOf(c *flow.Connection, before uint64) *flow.Connection {
	out := m.conns.one()
	asOfInto(out, c, before)
	return out
}

// asOfInto is asOf for who has room for the connection.
func asOfInto(out, c *flow.Connection, before uint64) {
	*out = *c
	out.Frames = framesBefore(c.Frames, before)
	for s := range out.Ends {
		endAsOf(out, flow.Side(s), before)
	}
	for s := range out.Ends {
		// What the peer had acknowledged shows how far an end had come at least.
		e, p := &out.Ends[s], &out.Ends[flow.Side(s).Other()]
		if !e.SndNxt.Seen() && p.RcvNxt.Seen() && c.Ends[s].SndNxt.Seen() {
			e.SndNxt = p.RcvNxt
		}
	}
	if out.EndedAt.Frame >= before {
		out.EndedAt = flow.Point{}
	}
	out.State = stateAsOf(out)
}

// framesBefore returns the frames before one; in capture order they are a part of the list.
func framesBefore(frames []flow.Frame, before uint64) []flow.Frame {
	n := 0
	for n < len(frames) && frames[n].Frame < before {
		n++
	}
	out := frames[:n:n]
	for _, f := range frames[n:] {
		if f.Frame < before {
			out = append(out, f)
		}
	}
	return out
}

// endAsOf takes back the marks of an end that later frames moved, to the last kept
// frame before.
func endAsOf(c *flow.Connection, s flow.Side, before uint64) {
	e := &c.Ends[s]
	for _, m := range []*flow.Mark{&e.FIN, &e.FINAck, &e.RST} {
		if m.Frame >= before {
			*m = flow.Mark{}
		}
	}
	if e.FINAcked.Frame >= before {
		e.FINAcked = flow.Point{}
	}
	late := func(m flow.Mark) bool { return m.Seen() && m.Frame >= before }
	sndLate, rcvLate, lastLate := late(e.SndNxt), late(e.RcvNxt), late(e.Last)
	if !sndLate && !rcvLate && !lastLate {
		return
	}
	if sndLate {
		e.SndNxt = e.FIN
	}
	if rcvLate {
		e.RcvNxt = flow.Mark{}
	}
	if lastLate {
		e.Last, e.HasLastWindow = flow.Mark{}, false
	}
	for i := range c.Frames {
		f := &c.Frames[i]
		if f.From != s || f.Flags&(synFlag|rstFlag) != 0 {
			continue
		}
		if sndLate && (!e.SndNxt.Seen() || f.End().After(e.SndNxt.Num)) {
			e.SndNxt = flow.Mark{Num: f.End(), Point: f.Point()}
		}
		if rcvLate && (!e.RcvNxt.Seen() || f.Ack.After(e.RcvNxt.Num)) {
			e.RcvNxt = flow.Mark{Num: f.Ack, Point: f.Point()}
		}
		if lastLate {
			e.Last = flow.Mark{Num: f.Ack, Point: f.Point()}
			e.LastWindow, e.HasLastWindow = f.Window, true
		}
	}
}

// stateAsOf reads the state off the marks that are left.
func stateAsOf(c *flow.Connection) flow.State {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	switch {
	case c.EndedAt.Seen() || c.State < flow.HalfClosed:
		return c.State
	case o.FIN.Seen() && l.FIN.Seen():
		return flow.Closing
	case o.FIN.Seen() || l.FIN.Seen():
		return flow.HalfClosed
	case c.State == flow.Reset && !l.ISN.Seen() && !c.MidStream:
		return flow.SynOnly
	}
	return flow.Established
}
