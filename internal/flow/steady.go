package flow

import (
	"math"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// endSteady are the bits of an end whose marks are all set, and of which nothing is waited for.
const endSteady = endAny | endSnd | endRcv | endLast | endWindow

// steady tells whether a plain segment of end e is what nearly all of a long connection are: next in order, no second copy,
// after no silence, both windows open. Of such a one step has all that plain would do.
func (r *record) steady(s *segment.Segment, e Side, print uint32) bool {
	h, p := &r.hot[e&1], &r.hot[e&1^1]
	if s.Seq != h.sndNxt || s.Ack.Ahead(h.rcvNxt) >= maxStep || h.print == print || s.Time-r.seenTime > waitFrom {
		return false
	}
	if s.Window == 0 || h.lastWindow == 0 || s.Len > math.MaxUint16 || s.Doubt != 0 || p.bits&endSnd == 0 {
		return false
	}
	if s.Options&(segment.OptTimestamps|segment.OptCut) == segment.OptTimestamps {
		return h.bits&(endSteady|endWatched) == endSteady
	}
	return s.Options&segment.OptCut == 0 && h.bits&(endSteady|endWatched|endEcr) == endSteady
}

// step is what count and update come down to for a steady segment. On long connections a segment takes 200 instructions less.
func (t *Table) step(n uint32, r *record, s *segment.Segment, e Side, print uint32) {
	h, d := &r.hot[e&1], t.deep(n)
	if h.segs++; h.segs == 0 {
		r.segsHigh[e&1]++
	}
	frame, now, bits := uint32(s.Frame), s.Time, h.bits
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
	h.lastWindow = s.Window
	if s.HasTS() {
		h.tsVal, d.tsEcr[e&1] = s.TSVal, s.TSEcr
		bits = bits&^endEcrElse | endTS | endEcr
	}
	d.ipid[e&1] = s.IPID
	h.bits = bits
	h.lastAck, h.lastFrame, h.lastTime, h.print = s.Ack, frame, now, print
}
