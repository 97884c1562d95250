package plain

import (
	"math"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// update moves the marks of end e as its segment s, which belongs here, says.
func (t *Table) update(c *conn, s *segment.Segment, e flow.Side) {
	v, m := &c.Ends[e], &c.more[e]
	t.observed.Longest = max(t.observed.Longest, s.Len)
	if s.Flags&segment.RST == 0 {
		t.updateSeq(c, s, e)
		if s.Flags&segment.ACK != 0 {
			c.updateAck(s, e)
			if s.Flags&segment.SYN == 0 {
				c.noteWindow(s, e)
				v.HasLastWindow, v.LastWindow = true, s.Window
			}
		}
	}
	if s.HasTS() {
		v.HasTS, v.TSVal = true, s.TSVal
		if s.Flags&segment.ACK != 0 {
			v.HasTSEcr, v.TSEcr = true, flow.Mark{Num: s.TSEcr, Point: pointOf(s)}
		}
	} else if s.Options.Has(segment.OptCut) {
		v.OptionsCut = true
	}
	v.Last = flow.Mark{Num: s.Ack, Point: pointOf(s)}
	if s.Flags&segment.RST == 0 || !m.moved {
		m.ipid, v.IPID = s.IPID, s.IPID
	}
	m.last, m.moved = *s, true
}

// updateSeq takes in the sequence space of a segment.
func (t *Table) updateSeq(c *conn, s *segment.Segment, e flow.Side) {
	v, m := &c.Ends[e], &c.more[e]
	end, length := s.End(), uint16(min(s.Len, math.MaxUint16))
	space := end != s.Seq
	if !v.SndNxt.Seen() {
		v.SndNxt = flow.Mark{Num: end, Point: pointOf(s)}
		m.timed, m.maxSent = space, length
		return
	}
	skipped := s.Seq.Sub(v.SndNxt.Num)
	if skipped > 0 {
		v.Holes = true
		m.holeLeft, m.holeRight = v.SndNxt.Num, s.Seq
	}
	switch {
	case end.After(v.SndNxt.Num):
		if skipped < 0 {
			v.Retransmits++
			c.noteRepeat(s, e)
		}
		m.maxSent = max(m.maxSent, length)
		v.SndNxt = flow.Mark{Num: end, Point: pointOf(s)}
		m.timed = space
	case !space:
		if skipped == -1 {
			c.noteTrouble(s, e) // a keep-alive, or a probe of a closed window
		}
	case v.Holes && m.fillHole(s.Seq, end):
	case !t.cfg.LinesOnly && c.lateCopy(s, e):
		t.copied(s)
	default:
		v.Retransmits++
		m.timed = false // RFC 6298 §3 (Karn)
		c.noteRepeat(s, e)
	}
}

// fillHole tells whether [from, to) lies in the stretch that was skipped last, and
// cuts it out of there: of the two stretches left over the larger one is remembered.
func (m *more) fillHole(from, to seq.Num) bool {
	if from.Before(m.holeLeft) || to.After(m.holeRight) {
		return false
	}
	if from.Ahead(m.holeLeft) >= m.holeRight.Ahead(to) {
		m.holeRight = from
	} else {
		m.holeLeft = to
	}
	return true
}

const (
	copyWithin = 20 * time.Millisecond
	copySpan   = 64
)

// lateCopy tells whether a segment that repeats sequence space is not sent again
// but seen again: its IP identification had been passed already.
func (c *conn) lateCopy(s *segment.Segment, e flow.Side) bool {
	last := c.more[e].ipid
	if s.IPID == 0 || last == 0 || s.Time-c.Ends[e].SndNxt.Time > int64(copyWithin) {
		return false
	}
	back := int16(s.IPID - last)
	return back <= 0 && back > -copySpan
}

// updateAck takes in the acknowledgement number of a segment of end e.
func (c *conn) updateAck(s *segment.Segment, e flow.Side) {
	v, p, m := &c.Ends[e], &c.Ends[e.Other()], &c.more[e.Other()]
	first := !v.RcvNxt.Seen()
	if !first && !s.Ack.After(v.RcvNxt.Num) {
		return
	}
	v.RcvNxt = flow.Mark{Num: s.Ack, Point: pointOf(s)}
	if !p.SndNxt.Seen() {
		if !first || !c.MidStream {
			p.Unseen = true
		}
		return
	}
	switch ahead := s.Ack.Sub(p.SndNxt.Num); {
	case ahead > 0:
		p.Unseen = true
	case ahead == 0:
		p.LongestAcked = max(p.LongestAcked, m.maxSent)
		if m.timed {
			sampleRTT(p, time.Duration(s.Time-p.SndNxt.Time))
			m.timed = false
		}
	}
	if p.FIN.Seen() && !p.FINAcked.Seen() && !s.Ack.Before(p.FIN.Num) {
		p.FINAcked = pointOf(s)
	}
}

// When a repeat is late.
const (
	slowRepeat = int64(900 * time.Millisecond)
	sameAgain  = int64(300 * time.Millisecond)
)

// noteRepeat keeps a segment that repeats sequence space, and before the first
// repeat of the latest segment that one itself, as far as the marks tell it.
func (c *conn) noteRepeat(s *segment.Segment, e flow.Side) {
	v := &c.Ends[e]
	latest := s.End() == v.SndNxt.Num
	var last *flow.Frame
	if n := len(c.Troubles); n > 0 && c.Troubles[n-1].From == e {
		last = &c.Troubles[n-1]
	}
	again := last != nil && last.Seq == s.Seq
	if again && s.Time-last.Time >= sameAgain || latest && s.Time-v.SndNxt.Time >= slowRepeat || s.Flags&segment.FIN != 0 {
		c.trouble = true
	}
	if !again && latest && v.SndNxt.Frame != s.Frame {
		first := *s
		first.Frame, first.SourceFrame, first.Time = v.SndNxt.Frame, 0, v.SndNxt.Time
		c.noteTrouble(&first, e)
		c.Troubles[len(c.Troubles)-1].Rebuilt = true
	}
	c.noteTrouble(s, e)
}

// noteWindow keeps the segments that close a window, and that which opens it again.
func (c *conn) noteWindow(s *segment.Segment, e flow.Side) {
	v := &c.Ends[e]
	wasClosed := v.HasLastWindow && v.LastWindow == 0
	if (s.Window == 0) == wasClosed {
		return
	}
	c.trouble = true
	c.noteTrouble(s, e)
}

func (c *conn) noteTrouble(s *segment.Segment, e flow.Side) {
	c.Troubles = append(c.Troubles, frameOf(s, e))
}

func (c *conn) keepFrame(s *segment.Segment) {
	c.Frames = append(c.Frames, frameOf(s, c.side(s)))
}
