package flow

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Distances on the circle of sequence numbers.
const (
	// maxStep is the largest distance from what was seen before at which a
	// number still counts as progress, or as a repeat.
	maxStep = 1 << 30
	// nearBy is how far a segment may lie from an incarnation's numbers and
	// still be taken for one of its late packets.
	nearBy = 1 << 20
	// duplicateWithin is how soon the second copy of a frame follows the first
	// where the capture sees it twice; between pure ACKs that carry no IP
	// identification, equal ones are legal and only the shorter time makes a copy.
	duplicateWithin    = 2 * time.Millisecond
	duplicateAckWithin = 50 * time.Microsecond
)

// fingerprint mixes the fields that a second copy of a segment shares with the
// first; TTL and checksum may differ.
func fingerprint(s *segment.Segment) uint32 {
	a := uint64(s.Seq.Uint32())<<32 | uint64(s.Ack.Uint32())
	b := uint64(s.Len)<<32 | uint64(s.Window)<<16 | uint64(s.IPID)
	h := (a ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	h ^= h>>29 ^ b*0xc4ceb9fe1a85ec53 ^ uint64(s.Flags)<<47
	if s.HasTS() {
		h ^= (uint64(s.TSVal.Uint32())<<32 | uint64(s.TSEcr.Uint32())) * 0xd6e8feb86659fd93
	}
	h *= 0xff51afd7ed558ccd
	return uint32(h >> 32)
}

// duplicate tells whether s is a second copy of the last segment of end e.
func (r *record) duplicate(s *segment.Segment, e Side, print uint32) bool {
	h := &r.hot[e]
	if h.print != print || h.lastAck != s.Ack || r.cold[e].bits&endLast == 0 {
		return false
	}
	d := time.Duration(s.Time - h.lastTime)
	if d < 0 {
		d = -d
	}
	if s.Len > 0 || s.Flags&(segment.SYN|segment.FIN|segment.RST) != 0 || s.IPID != 0 {
		return d < duplicateWithin
	}
	return d < duplicateAckWithin
}

// count takes a segment into the counters, whatever its numbers are.
func (r *record) count(s *segment.Segment, e Side) {
	if !r.hasAny(e) {
		r.cold[e].ttl = s.TTL
	}
	if r.hot[e].segs++; r.hot[e].segs == 0 {
		r.segsHigh[e]++
	}
	r.bytes[e] += uint64(s.Len)
	r.seenFrame, r.seenTime = uint32(s.Frame), s.Time
}

// update moves the marks of end e as its segment s, which belongs here, says.
func (t *Table) update(r *record, s *segment.Segment, e Side, print uint32) {
	h, c := &r.hot[e], &r.cold[e]
	if s.Flags&segment.RST == 0 {
		if s.Seq != h.sndNxt || s.Len != 0 || s.Flags&(segment.SYN|segment.FIN) != 0 || c.bits&endSnd == 0 {
			t.updateSeq(r, s, e)
		}
		if s.Flags&segment.ACK != 0 {
			if s.Ack != h.rcvNxt || c.bits&endRcv == 0 {
				t.updateAck(r, s, e)
			}
			if s.Flags&segment.SYN == 0 {
				c.lastWindow = s.Window
				c.bits |= endWindow
			}
		}
	}
	if s.HasTS() {
		c.bits |= endTS
		h.tsVal = s.TSVal
	}
	if s.HasTS() && s.Flags&segment.ACK != 0 {
		h.tsEcr = s.TSEcr
		c.bits = c.bits&^endEcrElse | endEcr
	} else if c.bits&(endEcr|endEcrElse) == endEcr {
		if x := t.rareFor(r); x != nil {
			x.end[e].ecrFrame, x.end[e].ecrTime = h.lastFrame, h.lastTime
			c.bits |= endEcrElse
		}
	}
	c.bits |= endLast
	h.lastAck, h.lastFrame, h.lastTime, h.print = s.Ack, uint32(s.Frame), s.Time, print
}

// updateSeq takes in the sequence space of a segment.
func (t *Table) updateSeq(r *record, s *segment.Segment, e Side) {
	h, c := &r.hot[e], &r.cold[e]
	end := s.End()
	space := end != s.Seq
	if c.bits&endSnd == 0 {
		c.bits |= endSnd
		if space {
			c.bits |= endTimed
		}
		h.sndNxt, h.sndFrame, h.sndTime = end, uint32(s.Frame), s.Time
		return
	}
	skipped := s.Seq.Sub(h.sndNxt)
	if skipped > 0 {
		c.bits |= endHoles
		if x := t.rareFor(r); x != nil {
			x.end[e].holeLeft, x.end[e].holeRight = h.sndNxt, s.Seq
		}
	}
	if end.After(h.sndNxt) {
		if skipped < 0 {
			c.retransmits++
		}
		h.sndNxt, h.sndFrame, h.sndTime = end, uint32(s.Frame), s.Time
		if c.bits &^= endTimed; space {
			c.bits |= endTimed
		}
		return
	}
	if !space {
		return
	}
	if c.bits&endHoles != 0 && t.fillHole(r, s.Seq, end, e) {
		return
	}
	// RFC 6298 §3 (Karn): an ACK does not tell which copy it answers.
	c.retransmits++
	c.bits &^= endTimed
}

// fillHole tells whether [from, to) lies in the stretch that was skipped last,
// and cuts it out of there.
func (t *Table) fillHole(r *record, from, to seq.Num, e Side) bool {
	if r.extra == 0 {
		return false
	}
	y := t.extras.at(r.extra).rare
	if y == 0 {
		return false
	}
	x := &t.rares.at(y).end[e]
	if from.Before(x.holeLeft) || to.After(x.holeRight) {
		return false
	}
	// Of the two stretches left over the larger one is remembered.
	if from.Ahead(x.holeLeft) >= x.holeRight.Ahead(to) {
		x.holeRight = from
	} else {
		x.holeLeft = to
	}
	return true
}

// updateAck takes in the acknowledgement number of a segment of end e.
func (t *Table) updateAck(r *record, s *segment.Segment, e Side) {
	h, c := &r.hot[e], &r.cold[e]
	p, pc := &r.hot[e.Other()], &r.cold[e.Other()]
	first := c.bits&endRcv == 0
	if !first && !s.Ack.After(h.rcvNxt) {
		return
	}
	h.rcvNxt, h.rcvFrm, h.rcvTime = s.Ack, uint32(s.Frame), s.Time
	c.bits |= endRcv
	if pc.bits&endSnd == 0 {
		// Nothing of the peer was ever seen, and still there is more of it.
		if !first || r.bits&bitMidStream == 0 {
			pc.bits |= endUnseen
		}
		return
	}
	switch d := s.Ack.Sub(p.sndNxt); {
	case d > 0:
		pc.bits |= endUnseen
	case d == 0 && pc.bits&endTimed != 0:
		pc.sampleRTT(time.Duration(s.Time - p.sndTime))
		pc.bits &^= endTimed
	}
	if pc.bits&(endFIN|endFINAcked) == endFIN {
		if x := &t.extras.at(r.extra).end[e.Other()]; !s.Ack.Before(x.fin) {
			x.ackedFrame, x.ackedTime = uint32(s.Frame), s.Time
			pc.bits |= endFINAcked
		}
	}
}

// noteFIN remembers the first FIN of end e.
func (t *Table) noteFIN(r *record, s *segment.Segment, e Side) {
	c := &r.cold[e]
	if c.bits&endFIN != 0 {
		return
	}
	x := t.extraOf(r)
	if x == nil {
		return
	}
	c.bits |= endFIN
	f := &x.end[e]
	f.fin, f.finAck, f.finFrame, f.finTime = s.End(), s.Ack, uint32(s.Frame), s.Time
	// Frames of two interfaces may stand in the wrong order: its ACK may have come first.
	if p := e.Other(); r.has(p, endRcv) && !r.hot[p].rcvNxt.Before(f.fin) {
		c.bits |= endFINAcked
		f.ackedFrame, f.ackedTime = r.hot[p].rcvFrm, r.hot[p].rcvTime
	}
}

// noteRST remembers the first RST of end e.
func (t *Table) noteRST(r *record, s *segment.Segment, e Side) {
	c := &r.cold[e]
	if c.bits&endRST != 0 {
		return
	}
	if x := t.rareFor(r); x != nil {
		c.bits |= endRST
		f := &x.end[e]
		f.rst, f.rstFrame, f.rstTime = s.Seq, uint32(s.Frame), s.Time
	}
}

// noteStart remembers what the SYN or SYN-ACK of end e carried.
func (r *record) noteStart(s *segment.Segment, e Side) {
	c := &r.cold[e]
	c.isn = s.Seq
	c.bits = c.bits&^endImplied | endISN
	if e == Listener {
		r.isnFrame, r.isnTime = uint32(s.Frame), s.Time
	}
	c.firstWindow = s.Window
	if s.HasTS() {
		c.bits |= endTSOffered
		c.firstTSVal, c.firstTSEcr = s.TSVal, s.TSEcr
	}
	if s.Options.Has(segment.OptWScale) {
		c.bits |= endWSOffered
		c.wscale = s.WScale
	}
	if s.Options.Has(segment.OptSACKPermitted) {
		c.bits |= endSACKOffered
	}
	if s.Options.Has(segment.OptMSS) {
		c.mss = s.MSS
	}
}

// implyISN sets the ISN of end e from the peer's ACK of it.
func (r *record) implyISN(s *segment.Segment, e Side) {
	c := &r.cold[e]
	c.isn = s.Ack.Add(^uint32(0))
	c.bits |= endISN | endImplied
	if e == Listener {
		r.isnFrame, r.isnTime = uint32(s.Frame), s.Time
	}
}

// extraOf returns the extra of r, which it gets if it has none; nil where
// memory is short.
func (t *Table) extraOf(r *record) *extra {
	if r.extra != 0 {
		return t.extras.at(r.extra)
	}
	n, x := t.extras.alloc()
	r.extra = n
	return x
}

// rareOf returns the rare of an extra, which it gets if it has none; nil where
// memory is short.
func (t *Table) rareOf(x *extra) *rare {
	if x.rare != 0 {
		return t.rares.at(x.rare)
	}
	n, y := t.rares.alloc()
	x.rare = n
	return y
}

func (t *Table) rareFor(r *record) *rare {
	x := t.extraOf(r)
	if x == nil {
		return nil
	}
	return t.rareOf(x)
}
