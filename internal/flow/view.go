package flow

import "time"

// view unpacks a record into c, whose Frames are used again as far as their
// capacity reaches.
func (t *Table) view(r *record, c *Connection) {
	c.ID, c.MidStream, c.State = r.id, r.bits&bitMidStream != 0, r.state
	c.First, c.LastSeen = Point{r.firstFrame, r.firstTime}, Point{t.widen(r.seenFrame), r.seenTime}
	c.EndedAt, c.Duplicates = Point{}, 0
	c.FramesOmitted, c.OmittedAfter = 0, 0
	c.Frames = c.Frames[:0]
	c.Previous = nil
	var x *extra
	var y *rare
	if r.extra != 0 {
		x = t.extras.at(r.extra)
		if r.ended() {
			c.EndedAt = Point{t.widen(x.ended), x.endedTime}
		}
		if x.rare != 0 {
			y = t.rares.at(x.rare)
			c.Duplicates = y.dups
		}
		c.Frames = t.appendFrames(c.Frames, x)
		if x.frames.count > headFrames+tailFrames {
			c.FramesOmitted = x.frames.count - headFrames - tailFrames
			c.OmittedAfter = headFrames - 1
		}
	}
	t.viewEnd(r, x, y, Opener, &c.Ends[Opener])
	t.viewEnd(r, x, y, Listener, &c.Ends[Listener])
}

func (t *Table) viewEnd(r *record, x *extra, y *rare, e Side, v *End) {
	h, c := &r.hot[e], &r.cold[e]
	*v = End{}
	has := func(b endBits) bool { return c.bits&b != 0 }
	v.Endpoint = r.endpoint(e)
	if has(endISN) {
		v.ISN = Mark{c.isn, Point{r.firstFrame, r.firstTime}}
		if e == Listener {
			v.ISN.Point = Point{t.widen(r.isnFrame), r.isnTime}
		}
		v.ISNImplied = has(endImplied)
	}
	if has(endSnd) {
		v.SndNxt = Mark{h.sndNxt, Point{t.widen(h.sndFrame), h.sndTime}}
	}
	if has(endRcv) {
		v.RcvNxt = Mark{h.rcvNxt, Point{t.widen(h.rcvFrm), h.rcvTime}}
	}
	last := Point{}
	if has(endLast) {
		last = Point{t.widen(h.lastFrame), h.lastTime}
		v.Last = Mark{h.lastAck, last}
	}
	v.HasTS, v.HasTSEcr, v.HasLastWindow = has(endTS), has(endEcr), has(endWindow)
	v.TSOffered, v.WScaleOffered, v.SACKOffered = has(endTSOffered), has(endWSOffered), has(endSACKOffered)
	v.FirstTSVal, v.FirstTSEcr, v.TSVal = c.firstTSVal, c.firstTSEcr, h.tsVal
	if has(endEcr) {
		v.TSEcr = Mark{h.tsEcr, last}
	}
	v.FirstWindow, v.LastWindow, v.WScale, v.MSS, v.TTL = c.firstWindow, c.lastWindow, c.wscale, c.mss, c.ttl
	v.SRTT, v.RTTVar = time.Duration(c.srtt)*time.Microsecond, time.Duration(c.rttvar)*time.Microsecond
	v.Segments, v.Bytes = uint64(r.segsHigh[e])<<32|uint64(h.segs), r.bytes[e]
	v.Unseen, v.Holes, v.Retransmits = has(endUnseen), has(endHoles), c.retransmits
	if x == nil {
		return
	}
	f := &x.end[e]
	if has(endFIN) {
		p := Point{t.widen(f.finFrame), f.finTime}
		v.FIN, v.FINAck = Mark{f.fin, p}, Mark{f.finAck, p}
	}
	if has(endFINAcked) {
		v.FINAcked = Point{t.widen(f.ackedFrame), f.ackedTime}
	}
	if y == nil {
		return
	}
	if has(endEcr) && has(endEcrElse) {
		v.TSEcr.Point = Point{t.widen(y.end[e].ecrFrame), y.end[e].ecrTime}
	}
	if has(endRST) {
		v.RST = Mark{y.end[e].rst, Point{t.widen(y.end[e].rstFrame), y.end[e].rstTime}}
	}
}
