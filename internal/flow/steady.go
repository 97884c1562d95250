package flow

import (
	"math"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// endSteady are the bits of an end whose marks are all set.
const endSteady = endAny | endSnd | endRcv | endLast | endWindow

// steady takes a plain segment of end e in, if it is what nearly all of a long connection are: next in order, no second copy,
// after no silence, both windows open, nothing waited for. For such a one it is what the rest of plain comes down to, in 200
// instructions instead of 330. Otherwise it changes nothing.
func (t *Table) steady(n uint32, r *record, s *segment.Segment, e Side, print uint32) bool {
	h, p, bits := &r.hot[e&1], &r.hot[e&1^1], r.hot[e&1].bits
	if s.Seq != h.sndNxt || s.Ack.Ahead(h.rcvNxt) >= maxStep || h.print == print || s.Time-r.seenTime > waitFrom ||
		s.Window == 0 || h.lastWindow == 0 || s.Len > math.MaxUint16 || s.Doubt != 0 || p.bits&endSnd == 0 ||
		bits&(endSteady|endWatched) != endSteady {
		return false
	}
	d, frame, now := t.deep(n), uint32(s.Frame), s.Time
	switch {
	case s.HasTS():
		h.tsVal, d.tsEcr[e&1] = s.TSVal, s.TSEcr
		bits = bits&^endEcrElse | endTS | endEcr
	case bits&endEcr != 0 || s.Options.Has(segment.OptCut):
		return false
	}
	if h.segs++; h.segs == 0 {
		r.segsHigh[e&1]++
	}
	r.seenFrame, r.seenTime = frame, now
	if s.Len > 0 {
		h.bytes += uint64(s.Len)
		t.observed.Longest = max(t.observed.Longest, s.Len)
		d.maxSent[e&1] = max(d.maxSent[e&1], uint16(s.Len))
		h.sndNxt, h.sndFrame, d.sndTime[e&1] = s.Seq.Add(s.Len), frame, now
		bits |= endTimed
	}
	if s.Ack != h.rcvNxt {
		h.rcvNxt, d.rcvFrame[e&1], d.rcvTime[e&1] = s.Ack, frame, now
		r.acked(d, s, e, t.linesOnly)
	}
	d.ipid[e&1] = s.IPID
	h.bits, h.lastAck, h.lastWindow, h.lastFrame, h.lastTime, h.print = bits, s.Ack, s.Window, frame, now, print
	return true
}
