package flow

import (
	"math"
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
	// In this order each pair is read at once.
	h := (uint64(s.Seq.Uint32()) | uint64(s.Ack.Uint32())<<32) * 0x9e3779b97f4a7c15
	h += (uint64(s.Len) | uint64(s.Window)<<32 | uint64(s.IPID)<<48) * 0xc4ceb9fe1a85ec53
	if s.HasTS() {
		h += (uint64(s.TSVal.Uint32()) | uint64(s.TSEcr.Uint32())<<32) * 0xd6e8feb86659fd93
	}
	return uint32(h>>32) ^ uint32(s.Flags)
}

// duplicate tells whether s is a second copy of the last segment of end e.
func (r *record) duplicate(s *segment.Segment, e Side, print uint32) bool {
	h := &r.hot[e&1]
	if h.print != print || h.lastAck != s.Ack || h.bits&endLast == 0 {
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
	h := &r.hot[e&1]
	if h.bits&endAny == 0 {
		h.bits |= endAny
		h.ttl = s.TTL
	}
	if h.segs++; h.segs == 0 {
		r.segsHigh[e]++
	}
	h.bytes += uint64(s.Len)
	r.seenFrame, r.seenTime = uint32(s.Frame), s.Time
	if s.Doubt.Relative() {
		r.bits |= bitRelative
	}
}

// update moves the marks of end e as its segment s, which belongs here, says.
func (t *Table) update(n uint32, r *record, s *segment.Segment, e Side, print uint32) {
	h, d := &r.hot[e&1], t.deep(n)
	t.observed.Longest = max(t.observed.Longest, s.Len)
	if s.Flags&segment.RST == 0 {
		if s.Seq != h.sndNxt || s.Len != 0 || s.Flags&(segment.SYN|segment.FIN) != 0 || h.bits&endSnd == 0 {
			t.updateSeq(r, d, s, e)
		}
		if s.Flags&segment.ACK != 0 {
			if s.Ack != h.rcvNxt || h.bits&endRcv == 0 {
				t.updateAck(r, d, s, e)
			}
			if s.Flags&segment.SYN == 0 {
				if s.Window == 0 || h.lastWindow == 0 {
					t.noteWindow(r, s, e)
				}
				h.lastWindow = s.Window
				h.bits |= endWindow
			}
		}
	}
	if s.HasTS() {
		h.bits |= endTS
		h.tsVal = s.TSVal
	} else if s.Options.Has(segment.OptCut) {
		h.bits |= endCut
	}
	if !t.linesOnly {
		if s.HasTS() && s.Flags&segment.ACK != 0 {
			d.tsEcr[e&1] = s.TSEcr
			h.bits = h.bits&^endEcrElse | endEcr
		} else if h.bits&(endEcr|endEcrElse) == endEcr {
			t.keepEcr(r, h, e)
		}
	}
	d.ipid[e&1] = s.IPID
	h.bits |= endLast
	h.lastAck, h.lastFrame, h.lastTime, h.print = s.Ack, uint32(s.Frame), s.Time, print
}

// keepEcr notes that the last segment of end e, h, is no longer the one that carried its TSecr.
func (t *Table) keepEcr(r *record, h *hotEnd, e Side) {
	if x := t.rareFor(r); x != nil {
		x.end[e].ecrFrame, x.end[e].ecrTime = h.lastFrame, h.lastTime
		h.bits |= endEcrElse
	}
}

// updateSeq takes in the sequence space of a segment.
func (t *Table) updateSeq(r *record, d *deep, s *segment.Segment, e Side) {
	e &= 1
	h := &r.hot[e]
	end := s.End()
	space := end != s.Seq
	if h.bits&endSnd == 0 {
		h.bits |= endSnd
		if space {
			h.bits |= endTimed
		}
		h.sndNxt, h.sndFrame, d.sndTime[e] = end, uint32(s.Frame), s.Time
		d.maxSent[e] = uint16(min(s.Len, math.MaxUint16))
		return
	}
	skipped := s.Seq.Sub(h.sndNxt)
	if skipped > 0 {
		t.noteHole(r, s, e)
	}
	if end.After(h.sndNxt) {
		if skipped < 0 {
			d.retransmits[e]++
			t.noteRepeat(r, d, s, e)
		}
		d.maxSent[e] = max(d.maxSent[e], uint16(min(s.Len, math.MaxUint16)))
		h.sndNxt, h.sndFrame, d.sndTime[e] = end, uint32(s.Frame), s.Time
		if h.bits &^= endTimed; space {
			h.bits |= endTimed
		}
		return
	}
	if !space {
		if skipped == -1 {
			t.noteTrouble(r, s, e) // a keep-alive, or a probe of a closed window
		}
		return
	}
	if h.bits&endHoles != 0 && t.fillHole(r, s.Seq, end, e) {
		return
	}
	if !t.linesOnly && d.lateCopy(s, e) {
		t.observed.copied(s.Frame) // it is counted as a segment already
		return
	}
	// RFC 6298 §3 (Karn): an ACK does not tell which copy it answers.
	d.retransmits[e]++
	h.bits &^= endTimed
	t.noteRepeat(r, d, s, e)
}

// noteHole remembers the stretch that segment s skips.
func (t *Table) noteHole(r *record, s *segment.Segment, e Side) {
	h := &r.hot[e]
	h.bits |= endHoles
	if t.linesOnly {
		return
	}
	if x := t.rareFor(r); x != nil {
		x.end[e].holeLeft, x.end[e].holeRight = h.sndNxt, s.Seq
	}
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
func (t *Table) updateAck(r *record, d *deep, s *segment.Segment, e Side) {
	e &= 1
	h, p := &r.hot[e], &r.hot[e^1]
	first := h.bits&endRcv == 0
	if !first && !s.Ack.After(h.rcvNxt) {
		return
	}
	h.rcvNxt, d.rcvFrame[e], d.rcvTime[e] = s.Ack, uint32(s.Frame), s.Time
	h.bits |= endRcv
	if p.bits&endSnd == 0 {
		// Nothing of the peer was ever seen, and still there is more of it.
		if !first || r.bits&bitMidStream == 0 {
			p.bits |= endUnseen
		}
		return
	}
	r.acked(d, s, e, t.linesOnly)
	if p.bits&(endFIN|endFINAcked) == endFIN && !s.Ack.Before(r.fin[e.Other()]) {
		t.noteFINAck(r, e.Other(), uint32(s.Frame), s.Time)
	}
}

// acked holds the ACK of a segment of end e against what its peer sent.
func (r *record) acked(d *deep, s *segment.Segment, e Side, linesOnly bool) {
	o := e&1 ^ 1
	p := &r.hot[o]
	switch ahead := s.Ack.Sub(p.sndNxt); {
	case ahead > 0:
		p.bits |= endUnseen
	case ahead == 0:
		if d.maxSent[o] > d.maxAcked[o] {
			d.maxAcked[o] = d.maxSent[o]
		}
		if p.bits&endTimed != 0 {
			if !linesOnly {
				d.sampleRTT(o, time.Duration(s.Time-d.sndTime[o]))
			}
			p.bits &^= endTimed
		}
	}
}

// noteFIN remembers the first FIN of end e.
func (t *Table) noteFIN(n uint32, r *record, s *segment.Segment, e Side) {
	h, p := &r.hot[e], &r.hot[e.Other()]
	if h.bits&endFIN != 0 {
		return
	}
	if !t.linesOnly {
		x := t.extraOf(r)
		if x == nil {
			return
		}
		x.finTime[e] = s.Time
	}
	h.bits |= endFIN
	r.fin[e], r.finAck[e], r.finFrame[e] = s.End(), s.Ack, uint32(s.Frame)
	// Frames of two interfaces may stand in the wrong order: its ACK may have come first.
	if p.bits&endRcv != 0 && !p.rcvNxt.Before(r.fin[e]) {
		d := t.deep(n)
		t.noteFINAck(r, e, d.rcvFrame[e.Other()], d.rcvTime[e.Other()])
	}
}

// noteFINAck remembers that the FIN of end e, which was seen, was acknowledged.
func (t *Table) noteFINAck(r *record, e Side, frame uint32, time int64) {
	r.hot[e].bits |= endFINAcked
	if !t.linesOnly {
		x := t.extras.at(r.extra)
		x.ackedFrame[e], x.ackedTime[e] = frame, time
	}
}

// noteRST remembers the first RST of end e.
func (t *Table) noteRST(r *record, s *segment.Segment, e Side) {
	h := &r.hot[e]
	if h.bits&endRST != 0 {
		return
	}
	if x := t.rareFor(r); x != nil {
		h.bits |= endRST
		f := &x.end[e]
		f.rst, f.rstFrame, f.rstTime = s.Seq, uint32(s.Frame), s.Time
	}
}

// noteStart remembers what the SYN or SYN-ACK of end e carried.
func (t *Table) noteStart(n uint32, r *record, s *segment.Segment, e Side) {
	h, d := &r.hot[e], t.deep(n)
	h.isn = s.Seq
	h.bits = h.bits&^endImplied | endISN
	if e == Listener {
		r.isnFrame, d.isnTime = uint32(s.Frame), s.Time
	}
	h.firstWindow = s.Window
	if s.HasTS() {
		h.bits |= endTSOffered
		d.firstTSVal[e], d.firstTSEcr[e] = s.TSVal, s.TSEcr
	}
	if s.Options.Has(segment.OptWScale) {
		h.bits |= endWSOffered
		h.wscale = s.WScale
	}
	if s.Options.Has(segment.OptSACKPermitted) {
		h.bits |= endSACKOffered
	}
	if s.Options.Has(segment.OptMSS) {
		h.mss = s.MSS
	}
	if s.Options.Has(segment.OptFastOpen) {
		h.bits |= endFastOpen
	}
}

// implyISN sets the ISN of end e from the peer's ACK of it.
func (t *Table) implyISN(n uint32, r *record, s *segment.Segment, e Side) {
	h := &r.hot[e]
	h.isn = s.Ack.Add(^uint32(0))
	h.bits |= endISN | endImplied
	if e == Listener {
		r.isnFrame, t.deep(n).isnTime = uint32(s.Frame), s.Time
	}
}

// deep returns the deep part of record n.
func (t *Table) deep(n uint32) *deep {
	if t.linesOnly {
		return &t.nowhere
	}
	return t.deeps.at(n)
}

// extraOf returns the extra of r, which it gets if it has none; nil where
// memory is short.
func (t *Table) extraOf(r *record) *extra {
	if r.extra != 0 {
		return t.extras.at(r.extra)
	}
	n, x := take(t, &t.extras, needRecord)
	r.extra = n
	return x
}

// rareOf returns the rare of an extra, which it gets if it has none; nil where
// memory is short.
func (t *Table) rareOf(x *extra) *rare {
	if x.rare != 0 {
		return t.rares.at(x.rare)
	}
	n, y := take(t, &t.rares, needRecord)
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
