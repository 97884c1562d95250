package flow

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// What a connection shows of trouble: repeats, closed windows, probes, long
// silence. Few connections have any, so it lives in their rare part.

const (
	// gapFrom is how long nothing must be seen to count as a silence.
	gapFrom = int64(time.Second)
	// slowRepeat is how late a repeat must come to call for a reason: later than
	// what fast retransmission and a first timeout on a short path need.
	slowRepeat = int64(900 * time.Millisecond)
	// sameAgain is how far two repeats of the same segment must be apart for that.
	sameAgain = int64(300 * time.Millisecond)
)

// noteTrouble keeps a frame among those that show trouble, and returns it; nil where
// there is no room.
func (t *Table) noteTrouble(r *record, s *segment.Segment, e Side) *packedFrame {
	if t.linesOnly {
		return nil
	}
	y := t.rareFor(r)
	if y == nil {
		return nil
	}
	p := t.frameSlot(&y.troubles, &y.troubleRing)
	if p == nil {
		t.leftOut()
		return nil
	}
	p.pack(s, e)
	y.troubles.count++
	return p
}

// lastTrouble returns the last frame of end e that was noted, nil if the last one is
// the other end's or there is none.
func (t *Table) lastTrouble(r *record, e Side) *packedFrame {
	if r.extra == 0 || t.extras.at(r.extra).rare == 0 {
		return nil
	}
	y := t.rares.at(t.extras.at(r.extra).rare)
	l := &y.troubles
	if l.count == 0 {
		return nil
	}
	i := l.count - 1
	b := l.tail
	if i >= headFrames {
		i = (i - headFrames) % tailFrames
		b = y.troubleRing[i/blockFrames]
	}
	p := &t.blocks.at(b).f[i%blockFrames]
	if (p.flags&frameListener != 0) != (e == Listener) {
		return nil
	}
	return p
}

// noteRepeat keeps a segment that repeats sequence space, and before the first
// repeat of the latest segment that one itself, as far as the marks tell it.
func (t *Table) noteRepeat(r *record, d *deep, s *segment.Segment, e Side) {
	if t.linesOnly {
		return
	}
	h := &r.hot[e]
	last := t.lastTrouble(r, e)
	again := last != nil && last.seq == s.Seq
	if !again && s.End() == h.sndNxt && h.sndFrame != uint32(s.Frame) {
		first := *s
		first.Frame, first.SourceFrame, first.Time = t.widen(h.sndFrame), 0, d.sndTime[e]
		if p := t.noteTrouble(r, &first, e); p != nil {
			p.wscale |= frameRebuilt
		}
	}
	if again && s.Time-last.time() >= sameAgain || s.End() == h.sndNxt && s.Time-d.sndTime[e] >= slowRepeat || s.Flags&segment.FIN != 0 {
		r.bits |= bitTrouble
	}
	t.noteTrouble(r, s, e)
}

// lateCopy tells whether a segment that repeats sequence space is not sent again but
// seen again: behind others of a burst, with an IP identification that the sender
// had passed already (Linux counts it up for each segment of a socket).
func (d *deep) lateCopy(s *segment.Segment, e Side) bool {
	if s.IPID == 0 || d.ipid[e] == 0 || s.Time-d.sndTime[e] > int64(copyWithin) {
		return false
	}
	back := int16(s.IPID - d.ipid[e])
	return back <= 0 && back > -copySpan
}

const (
	copyWithin = 20 * time.Millisecond
	copySpan   = 64
)

// noteWindow keeps the segments that close a window, and that which opens it again.
func (t *Table) noteWindow(r *record, s *segment.Segment, e Side) {
	h := &r.hot[e]
	if h.bits&endWindow == 0 && s.Window != 0 {
		return // the first window of all
	}
	if (s.Window == 0) == (h.bits&endWindow != 0 && h.lastWindow == 0) {
		return // it stays closed
	}
	r.bits |= bitTrouble
	t.noteTrouble(r, s, e)
}

// Mark asks for a reason of the connection between two endpoints, if it is known:
// something beside its own segments calls for one.
func (t *Table) Mark(a, b segment.Endpoint) {
	if t.closed {
		return
	}
	var k key
	k.set(&segment.Segment{Src: a, Dst: b})
	p := t.probeOf(&k)
	n := t.lookup(&p)
	if n&isBrief != 0 {
		n = t.unfold(n, p.hash)
	}
	if n != 0 {
		t.records.at(n).bits |= bitTrouble
	}
}

// noteEnding remembers where both ends stood before the first FIN or RST.
func (t *Table) noteEnding(r *record) {
	if t.linesOnly {
		return
	}
	x := t.extraOf(r)
	if x == nil {
		return
	}
	for e := range x.beforeFrame {
		x.beforeFrame[e], x.beforeTime[e] = r.hot[e].lastFrame, r.hot[e].lastTime
	}
}

func (p *packedFrame) time() int64 { return int64(p.timeHigh)<<32 | int64(p.timeLow) }

// troubled reports a connection whose life or end calls for a reason.
func (t *Table) troubled(n uint32, r *record) {
	if t.linesOnly || !t.calls(r) {
		return
	}
	c := new(Connection)
	t.view(n, r, c)
	t.sink.Troubled(c)
}

// calls tells whether a connection's life or end calls for a reason.
func (t *Table) calls(r *record) bool {
	switch {
	case r.id <= t.tellFirst, r.bits&(bitTrouble|bitTwoAnswers) != 0, (r.hot[Opener].bits|r.hot[Listener].bits)&endRST != 0:
		return true
	case r.bits&bitMidStream != 0 && r.bits&bitNeverAsked == 0 && r.bits&bitEstablished == 0:
		return true // a SYN-ACK that nobody asked for, as far as the capture shows
	}
	return r.state == HalfClosed || r.state == Closing
}
