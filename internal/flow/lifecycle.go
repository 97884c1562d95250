package flow

import (
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// absorb takes a segment of end e into the record that it belongs to. It
// reports whether the segment is worth keeping as a frame by itself: a repeat of
// the handshake, or numbers that do not fit. With inert set, a RST does not end the connection.
func (t *Table) absorb(n uint32, r *record, s *segment.Segment, e Side, print uint32, inert bool) (notable bool) {
	r.count(s, e)
	fits := true
	switch {
	case s.Flags&segment.RST != 0:
		t.noteRST(r, s, e)
		if !r.rstCounts(s, e) {
			return true
		}
	case s.Flags&(segment.SYN|segment.ACK) == segment.SYN:
		notable = true // the first one does not come here
		r.bits |= bitTrouble
	case r.state == SynOnly || r.state == SynAcked:
		if e == Listener {
			fits, notable = t.listenerOpens(n, r, s)
		} else {
			fits, notable = t.openerOpens(n, r, s)
		}
	case s.Flags&segment.SYN != 0:
		fits, notable = r.repeatedSynAck(s, e)
	default:
		fits = r.near(s, e)
	}
	if !fits {
		return true
	}
	if s.Flags&segment.RST != 0 && r.has(e, endLast) {
		// The identification stays that of the segment before, to compare the RST's with.
		d := t.deep(n)
		before := d.ipid[e]
		t.update(n, r, s, e, print)
		d.ipid[e] = before
	} else {
		t.update(n, r, s, e, print)
	}
	t.advance(n, r, s, e, inert)
	return notable
}

// near tells whether a segment's numbers can be progress or a repeat of end e.
// Without ACK it cannot: a synchronised end drops it (RFC 9293 §3.10.7.4).
func (r *record) near(s *segment.Segment, e Side) bool {
	h := &r.hot[e&1]
	return s.Flags&segment.ACK != 0 && (within(s.Seq, h.sndNxt, maxStep) || h.bits&endSnd == 0) && (within(s.Ack, h.rcvNxt, maxStep) || h.bits&endRcv == 0)
}

// within tells whether a and b are less than d apart.
func within(a, b seq.Num, d uint32) bool { return a.Ahead(b)+d-1 < 2*d-1 }

// answersSYN tells whether a segment of the listener acknowledges the SYN: what
// an opener in SYN-SENT takes for an answer (RFC 9293 §3.10.7.3).
func (r *record) answersSYN(s *segment.Segment) bool {
	return s.Flags&segment.ACK != 0 && r.has(Opener, endISN) &&
		s.Ack.After(r.hot[Opener].isn) && !s.Ack.After(r.hot[Opener].sndNxt)
}

// listenerOpens judges a segment of the listener before the connection is established.
func (t *Table) listenerOpens(n uint32, r *record, s *segment.Segment) (fits, notable bool) {
	c := &r.hot[Listener]
	if s.Flags&segment.SYN != 0 {
		switch {
		case !r.answersSYN(s):
			return false, true
		case c.bits&endISN == 0:
			t.noteStart(n, r, s, Listener)
			t.noteHost(s)
			r.state = SynAcked
			return true, false
		case c.isn != s.Seq:
			r.bits |= bitTwoAnswers
			return false, true
		case c.bits&endImplied != 0:
			t.noteStart(n, r, s, Listener)
		default:
			r.bits |= bitTrouble
		}
		return true, true
	}
	// Anything but a pure ACK shows that the handshake was completed. A pure ACK
	// may be a challenge whose number happens to fit.
	if r.state == SynOnly {
		if !r.answersSYN(s) || s.Len == 0 && s.Flags&segment.FIN == 0 {
			return false, true
		}
	} else if !r.near(s, Listener) || !s.Ack.After(r.hot[Opener].isn) {
		return false, true
	}
	if s.Len > 0 || s.Flags&segment.FIN != 0 {
		t.establish(n, r)
	}
	return true, true
}

// openerOpens judges a segment of the opener before the connection is
// established, and takes the listener's ISN from it where the capture misses the SYN-ACK.
func (t *Table) openerOpens(n uint32, r *record, s *segment.Segment) (fits, notable bool) {
	h, l := &r.hot[Opener], &r.hot[Listener]
	if s.Flags&segment.ACK == 0 || !within(s.Seq, h.sndNxt, maxStep) || s.Seq.Before(r.hot[Opener].isn) {
		return false, true
	}
	if s.Flags&segment.SYN != 0 && s.Seq != r.hot[Opener].isn {
		return false, true
	}
	if r.state == SynOnly {
		if s.Flags&segment.SYN == 0 && s.Seq != h.sndNxt {
			return false, true
		}
		t.implyISN(n, r, s, Listener)
		r.hot[Listener].bits |= endUnseen
		r.state = SynAcked
		return true, true
	}
	if s.Ack.After(l.isn) && (l.bits&endSnd == 0 || s.Ack.Sub(r.hot[Listener].sndNxt) < nearBy) {
		return true, false
	}
	if r.bits&bitTwoAnswers != 0 && s.Seq == h.sndNxt {
		// It took another SYN-ACK than the first.
		t.implyISN(n, r, s, Listener)
		l.sndNxt, l.sndFrame, t.deep(n).sndTime[Listener] = s.Ack, uint32(s.Frame), s.Time
		l.bits &^= endTimed
		return true, true
	}
	return false, true
}

// repeatedSynAck judges a SYN-ACK on a connection that is past its handshake.
func (r *record) repeatedSynAck(s *segment.Segment, e Side) (fits, notable bool) {
	if !r.has(e, endISN) {
		return r.near(s, e), true
	}
	if s.Seq != r.hot[e].isn {
		return false, true
	}
	if e == Listener && r.state == Established {
		r.bits |= bitLateSynAck
	}
	return true, true
}

// advance moves the state after the marks were updated.
func (t *Table) advance(n uint32, r *record, s *segment.Segment, e Side, inert bool) {
	if r.state == SynAcked && r.has(Opener, endRcv) && r.has(Listener, endISN) &&
		r.hot[Opener].rcvNxt.After(r.hot[Listener].isn) {
		t.establish(n, r)
	}
	if s.Flags&segment.RST != 0 {
		if !inert && !r.over() {
			r.state = Reset
			t.end(n, r, s)
		}
		return
	}
	if s.Flags&(segment.FIN|segment.SYN) == segment.FIN {
		t.noteFIN(n, r, s, e)
	}
	o, l := r.hot[Opener].bits, r.hot[Listener].bits
	if (o|l)&endFIN == 0 || r.state < Established || r.over() {
		return
	}
	was := r.state
	switch {
	case o&l&(endFIN|endFINAcked) == endFIN|endFINAcked:
		r.state = Closed
		t.end(n, r, s)
		if !t.linesOnly && !t.reliving {
			t.noteClosing(n, r, Opener)
			t.noteClosing(n, r, Listener)
		}
		return
	case o&l&endFIN != 0:
		r.state = Closing
	default:
		r.state = HalfClosed
	}
	if r.state != was && r.quiet() {
		t.enqueue(n, r, 0)
	}
}

// establish notes that the handshake was completed. Whatever lived before on
// the four-tuple is then certainly gone.
func (t *Table) establish(n uint32, r *record) {
	r.state = Established
	r.bits |= bitEstablished
	for p := r.prev; p != 0; {
		o := t.records.at(p)
		if o.bits&(bitQueued|bitAnnounced) == 0 && !o.quiet() {
			t.enqueue(p, o, eventEnded)
		}
		p = o.prev
	}
}

// end notes that the segment ended the connection.
func (t *Table) end(n uint32, r *record, s *segment.Segment) {
	r.ended, r.endedTime = uint32(s.Frame), s.Time
	if r.bits&bitQueued == 0 {
		t.enqueue(n, r, eventEnded)
	}
}

// rstCounts tells whether a RST of end e can end the connection: it answers a
// SYN, or its number is one that the peer takes or that a socket without memory
// would give (RFC 9293 §3.10.7, RFC 5961 §3.2).
func (r *record) rstCounts(s *segment.Segment, e Side) bool {
	p := e.Other()
	if r.state < Established && e == Listener && r.answersSYN(s) {
		return true
	}
	if r.state == SynOnly && e == Listener {
		return false
	}
	rcv, snd := r.has(p, endRcv), r.has(e, endSnd)
	if !rcv && !snd {
		return true
	}
	if snd && s.Seq == r.hot[e].sndNxt {
		return true
	}
	if rcv && s.Seq.Ahead(r.hot[p].rcvNxt) < r.window(p) {
		return true
	}
	return r.hasAny(p) && s.Seq == r.hot[p].lastAck && r.state >= Established
}

// noteClosing remembers end e's TIME_WAIT if it closed first: its FIN did not
// acknowledge the peer's.
func (t *Table) noteClosing(n uint32, r *record, e Side) {
	p := e.Other()
	if !r.finAck[e].Before(r.fin[p]) {
		return
	}
	v := closing{
		pair: t.closings.hash(r.endpoint(e).Addr, r.endpoint(p).Addr),
		time: r.endedTime, frame: t.widen(r.ended), conn: r.id,
	}
	switch {
	case r.has(e, endEcr):
		v.tsVal = t.deeps.at(n).tsEcr[e]
	case r.has(e, endTS) && r.has(p, endTS): // one end alone does not make a connection with timestamps
		v.tsVal = r.hot[p].tsVal
	default:
		return
	}
	t.enterPast() // they came before
	t.closings.push(&v)
}
