package flow

import "time"

// view unpacks record n into c, whose Frames are used again as far as their
// capacity reaches.
func (t *Table) view(n uint32, r *record, c *Connection) {
	c.ID, c.MidStream, c.State, c.Relative = r.id, r.bits&bitMidStream != 0, r.state, r.bits&bitRelative != 0
	c.First, c.LastSeen = Point{r.firstFrame, r.firstTime}, Point{t.widen(r.seenFrame), r.seenTime}
	c.EndedAt, c.Duplicates = Point{}, 0
	c.FramesOmitted, c.OmittedAfter = 0, 0
	c.Frames, c.Troubles, c.TroublesOmitted = c.Frames[:0], c.Troubles[:0], 0
	c.SilenceFrom, c.SilenceTo = Point{}, Point{}
	c.Pause, c.Held = Pause{}, Held{}
	c.Superseded, c.Previous = !t.linesOnly && r.bits&(bitPinned|bitOrphan) != 0, nil
	if r.over() {
		c.EndedAt = Point{t.widen(r.ended), r.endedTime}
	}
	var x *extra
	var y *rare
	if r.extra != 0 {
		x = t.extras.at(r.extra)
		if x.rare != 0 {
			y = t.rares.at(x.rare)
			c.Duplicates = y.dups
			c.Troubles = t.appendList(c.Troubles, &y.troubles, nil, &y.troubleRing)
			c.TroublesOmitted = y.troubles.count - uint32(len(c.Troubles))
			t.viewWaits(&y.waits, c)
		}
		c.Frames = t.appendFrames(c.Frames, x)
		if x.frames.count > headFrames+tailFrames {
			c.FramesOmitted = x.frames.count - headFrames - tailFrames
			c.OmittedAfter = headFrames - 1
		}
	}
	if !t.linesOnly {
		if d := t.deeps.at(n); d.gapFor > 0 {
			c.SilenceFrom, c.SilenceTo = Point{t.widen(d.gapLast), d.gapEnd - int64(d.gapFor)*int64(time.Millisecond)}, Point{t.widen(d.gapNext), d.gapEnd}
		}
	}
	for e := range c.Ends {
		t.viewEnd(r, Side(e), &c.Ends[e])
		if !t.linesOnly {
			t.viewDeep(t.deeps.at(n), r, x, Side(e), &c.Ends[e])
		}
		if y != nil {
			t.viewRare(r, y, Side(e), &c.Ends[e])
		}
	}
}

// viewEnd sets what the record itself holds of an end: all that a line needs.
func (t *Table) viewEnd(r *record, e Side, v *End) {
	h := &r.hot[e]
	*v = End{}
	has := func(b endBits) bool { return h.bits&b != 0 }
	v.Endpoint = r.endpoint(e)
	if has(endISN) {
		v.ISN = Mark{h.isn, Point{r.firstFrame, r.firstTime}}
		if e == Listener {
			v.ISN.Point = Point{t.widen(r.isnFrame), 0}
		}
		v.ISNImplied = has(endImplied)
	}
	if has(endSnd) {
		v.SndNxt = Mark{h.sndNxt, Point{t.widen(h.sndFrame), 0}}
	}
	if has(endLast) {
		v.Last = Mark{h.lastAck, Point{t.widen(h.lastFrame), h.lastTime}}
	}
	v.HasTS, v.HasLastWindow = has(endTS), has(endWindow)
	v.FastOpen, v.OptionsCut = has(endFastOpen), has(endCut)
	v.TSOffered, v.WScaleOffered, v.SACKOffered = has(endTSOffered), has(endWSOffered), has(endSACKOffered)
	v.TSVal = h.tsVal
	v.FirstWindow, v.LastWindow, v.WScale, v.MSS, v.TTL = h.firstWindow, h.lastWindow, h.wscale, h.mss, h.ttl
	v.Segments, v.Bytes = uint64(r.segsHigh[e])<<32|uint64(h.segs), h.bytes
	v.Unseen, v.Holes = has(endUnseen), has(endHoles)
	if has(endFIN) {
		p := Point{t.widen(r.finFrame[e]), 0}
		v.FIN, v.FINAck = Mark{r.fin[e], p}, Mark{r.finAck[e], p}
	}
}

// viewDeep adds what only a diagnosis asks for; x may be nil.
func (t *Table) viewDeep(d *deep, r *record, x *extra, e Side, v *End) {
	h := &r.hot[e]
	has := func(b endBits) bool { return h.bits&b != 0 }
	if has(endISN) && e == Listener {
		v.ISN.Time = d.isnTime
	}
	v.SndNxt.Time, v.IPID = d.sndTime[e], d.ipid[e]
	if has(endRcv) {
		v.RcvNxt = Mark{h.rcvNxt, Point{t.widen(d.rcvFrame[e]), d.rcvTime[e]}}
	}
	v.FirstTSVal, v.FirstTSEcr = d.firstTSVal[e], d.firstTSEcr[e]
	if v.HasTSEcr = has(endEcr); v.HasTSEcr {
		v.TSEcr = Mark{d.tsEcr[e], v.Last.Point}
	}
	v.SRTT, v.RTTVar = time.Duration(d.srtt[e])*time.Microsecond, time.Duration(d.rttvar[e])*time.Microsecond
	v.Retransmits, v.LongestAcked = d.retransmits[e], d.maxAcked[e]
	if x == nil {
		return
	}
	if has(endFIN) {
		v.FIN.Time, v.FINAck.Time = x.finTime[e], x.finTime[e]
	}
	if has(endFINAcked) {
		v.FINAcked = Point{t.widen(x.ackedFrame[e]), x.ackedTime[e]}
	}
	if x.beforeFrame[e] != 0 {
		v.BeforeEnd = Point{t.widen(x.beforeFrame[e]), x.beforeTime[e]}
	}
}

// viewRare adds what few connections have.
func (t *Table) viewRare(r *record, y *rare, e Side, v *End) {
	f := &y.end[e]
	if r.has(e, endEcr|endEcrElse) {
		v.TSEcr.Point = Point{t.widen(f.ecrFrame), f.ecrTime}
	}
	if r.has(e, endRST) {
		v.RST = Mark{f.rst, Point{t.widen(f.rstFrame), f.rstTime}}
	}
}
