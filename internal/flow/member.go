package flow

import (
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// certainlyNear is the distance from an established connection's numbers below
// which a segment need not be compared with earlier incarnations.
const certainlyNear = 1 << 16

// route decides to which incarnation a segment belongs that is no SYN: the
// current one, n, or an earlier one whose late packet it is. What fits none
// stays with the current one, unless it shows that the capture misses the start of a new
// connection (fresh).
func (t *Table) route(n uint32, r *record, s *segment.Segment, fromHigh bool) (member uint32, fresh bool) {
	far, dims := t.closeness(r, s, r.side(fromHigh))
	if dims > 0 && (r.prev == 0 || far < certainlyNear && r.state >= Established) {
		return n, false
	}
	// An opener that got no SYN-ACK yet sends a RST only for numbers that are
	// not its own.
	rescue := s.Flags&segment.RST != 0 && r.state == SynOnly && r.side(fromHigh) == Opener
	best := n
	for p := r.prev; p != 0; {
		o := t.records.at(p)
		f, d := t.closeness(o, s, o.side(fromHigh))
		if d > 0 && (dims == 0 || f < far || f == far && (d > dims || rescue && best == n)) {
			best, far, dims = p, f, d
		}
		p = o.prev
	}
	if dims > 0 || s.Flags&(segment.RST|segment.ACK) != segment.ACK {
		return best, false
	}
	if s.Flags&segment.SYN != 0 {
		// From the old opener it is rather a stray one than a start.
		return n, r.state >= Established && r.side(fromHigh) == Listener
	}
	return n, r.state >= Closed && (s.Len > 0 || s.Flags&segment.FIN != 0)
}

// ambiguous tells whether a segment that is no SYN may belong to an earlier
// incarnation, or begin a new one that the capture shows from its middle.
func (r *record) ambiguous(s *segment.Segment) bool {
	return r.prev != 0 || s.Flags&segment.SYN != 0 || r.state >= Closed && (s.Len > 0 || s.Flags&segment.FIN != 0)
}

// firstAnswer tells whether a segment is the plain answer to the SYN of a
// record without a past, which needs no look elsewhere.
func (r *record) firstAnswer(s *segment.Segment, fromHigh bool) bool {
	return r.state == SynOnly && r.prev == 0 && s.Flags&(segment.SYN|segment.ACK|segment.RST) == segment.SYN|segment.ACK &&
		r.side(fromHigh) == Listener && r.has(Opener, endISN|endSnd) && s.Ack == r.hot[Opener].sndNxt && r.answersSYN(s)
}

// closeness tells how far a segment of end e lies from a record's numbers, and
// how many of its two numbers could be compared: none if it cannot belong there.
func (t *Table) closeness(r *record, s *segment.Segment, e Side) (far uint32, dims int) {
	p := e.Other()
	if s.Flags&(segment.SYN|segment.ACK|segment.RST) == segment.SYN|segment.ACK && r.has(e, endISN) {
		if s.Seq != r.hot[e].isn {
			return 0, 0
		}
		return 0, 1 + int(e) // the opener sends one only where both ends open at once
	}
	if r.has(e, endSnd) || r.has(p, endRcv) {
		d := t.distance(r, s.Seq, e)
		if r.has(e, endISN) && s.Seq.Before(r.hot[e].isn) || d >= max(nearBy, min(r.window(p), maxStep)) {
			return 0, 0
		}
		far, dims = d, 1
	}
	if s.Flags&segment.ACK != 0 && (r.has(p, endSnd) || r.has(e, endRcv)) {
		d := t.distance(r, s.Ack, p)
		switch {
		case r.has(p, endISN) && !s.Ack.After(r.hot[p].isn),
			r.state < Established && e == Listener && !r.answersSYN(s),
			d >= max(nearBy, min(r.window(e), maxStep)):
			return 0, 0
		}
		far, dims = far+d, dims+1
	}
	return far, dims
}

// distance tells how far a number in the sequence space of end e lies from the
// nearest of its marks. Nothing lies behind a FIN.
func (t *Table) distance(r *record, x seq.Num, e Side) uint32 {
	d := uint32(maxStep)
	if r.has(e, endSnd) {
		d = min(d, absolute(x.Sub(r.hot[e].sndNxt)))
	}
	if p := e.Other(); r.has(p, endRcv) {
		d = min(d, absolute(x.Sub(r.hot[p].rcvNxt)))
	}
	if r.has(e, endFIN) && x.After(r.fin[e]) {
		return maxStep
	}
	return d
}

func absolute(d int32) uint32 {
	if d < 0 {
		return -uint32(d)
	}
	return uint32(d)
}

// repeatsSYN tells whether a SYN of the record's own opener is another copy of
// the one that opened it.
func (r *record) repeatsSYN(s *segment.Segment, e Side) bool {
	if e != Opener || !r.has(Opener, endISN) || r.hot[Opener].isn != s.Seq {
		return false
	}
	if r.state == Established {
		// A socket that sent the final ACK sends no SYN any more: a newer
		// timestamp comes from another one that chose the same number.
		return !s.HasTS() || !r.has(Opener, endTS) || !s.TSVal.After(r.hot[Opener].tsVal)
	}
	return r.state < Established
}

// routeSYN decides to which record a SYN on a known four-tuple belongs; 0: it opens a new one.
func (t *Table) routeSYN(n uint32, r *record, s *segment.Segment, fromHigh bool) uint32 {
	if r.repeatsSYN(s, r.side(fromHigh)) {
		return n
	}
	for p := r.prev; p != 0; {
		// Two openers behind one address take turns.
		o := t.records.at(p)
		if o.state < Established && o.repeatsSYN(s, o.side(fromHigh)) {
			return p
		}
		p = o.prev
	}
	return 0
}
