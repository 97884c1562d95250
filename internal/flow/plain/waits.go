package plain

import (
	"math"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// How long an ACK must come late, and what then follows: see flow.Held.
const (
	waitFrom        = 35 * time.Millisecond
	waitAtMost      = 550 * time.Millisecond
	heldWithin      = 20 * time.Millisecond
	smallMSS        = 1220
	waitsForTrouble = 3
	looks           = 3 // how many segments without data may pass before the answer
	waitTick        = time.Millisecond / 10
)

// heldBack is a wait that counts once the answer comes.
type heldBack struct {
	from flow.Side
	wait time.Duration
	left int // looks
}

// noteGap is called before a segment is counted that ends a silence, or that comes from
// an end whose next segment was to be looked at.
func (t *Table) noteGap(c *conn, s *segment.Segment, e flow.Side) {
	silent := time.Duration(s.Time - c.LastSeen.Time)
	watched := c.more[e].watched
	if silent <= waitFrom && !watched {
		return
	}
	if silent > time.Second {
		t.noteSilence(c, s, e)
	}
	c.more[e].watched = false
	if watched && !c.noteAnswer(s, e) {
		c.noteHeld(s, e)
	}
	v, p := &c.Ends[e], &c.Ends[e.Other()]
	late := time.Duration(s.Time - p.SndNxt.Time)
	pureACK := s.Len == 0 && s.Flags&^segment.ECE == segment.ACK
	if late < waitFrom || late > waitAtMost || c.State != flow.Established || !pureACK || !p.SndNxt.Seen() || s.Ack != p.SndNxt.Num || !v.RcvNxt.Seen() {
		return
	}
	if n := s.Ack.Sub(v.RcvNxt.Num); n > 0 && n < smallest(v.MSS) {
		c.more[e.Other()].watched = true
	}
}

// smallest is how long a segment to an end that offered an MSS is at least if it is full.
func smallest(mss uint16) int32 {
	if mss == 0 {
		return smallMSS
	}
	return max(int32(mss), 64) - 40
}

// noteHeld takes the segment of end e that follows a late ACK.
func (c *conn) noteHeld(s *segment.Segment, e flow.Side) {
	v, p := &c.Ends[e], &c.Ends[e.Other()]
	wait := time.Duration(p.Last.Time - v.SndNxt.Time)
	switch {
	case s.Len == 0, s.Flags&(segment.SYN|segment.RST) != 0,
		s.Seq != v.SndNxt.Num, p.Last.Num != v.SndNxt.Num, c.LastSeen.Frame != p.Last.Frame, p.RcvNxt.Frame != p.Last.Frame,
		time.Duration(s.Time-c.LastSeen.Time) > heldWithin, wait < waitFrom, wait > waitAtMost:
		return
	case c.Held.Times > 0 && c.Held.From != e:
		return
	case c.Held.Times == 0:
		c.Held = flow.Held{From: e, Sent: v.SndNxt, ACK: c.lastACK(e.Other()), Next: frameOf(s, e)}
	}
	c.pending = &heldBack{from: e, wait: wait.Truncate(waitTick), left: looks}
	c.more[e.Other()].watched = true
}

// lastACK makes a frame of what the marks tell of end e's last segment.
func (c *conn) lastACK(e flow.Side) flow.Frame {
	v := &c.Ends[e]
	f := flow.Frame{From: e, Seq: v.SndNxt.Num, Ack: v.Last.Num, Flags: segment.ACK, Window: v.LastWindow, TTL: v.TTL, IPID: c.more[e].ipid, Rebuilt: true}
	f.Frame, f.Time = v.Last.Frame, v.Last.Time
	if v.HasTS {
		f.HasOptions, f.HasTS, f.TSVal, f.TSEcr = true, true, v.TSVal, v.TSEcr.Num
	}
	return f
}

// noteAnswer takes a segment of end e, whose answer is waited for; it returns false where
// none is.
func (c *conn) noteAnswer(s *segment.Segment, e flow.Side) bool {
	w, h := c.pending, &c.Held
	if w == nil || w.from == e {
		return false
	}
	switch {
	case s.Len > 0:
		c.pending = nil
		if h.Times == 0 {
			h.Answer, h.Shortest = frameOf(s, e), w.wait
		}
		h.Times = min(h.Times+1, math.MaxUint16)
		if h.Times == waitsForTrouble {
			c.trouble = true
		}
		h.Shortest, h.Longest = min(h.Shortest, w.wait), max(h.Longest, w.wait)
	case w.left == 0:
		c.pending = nil
	default:
		w.left--
		c.more[e].watched = true
	}
	return true
}

// noteSilence remembers the longest silence, told in whole milliseconds: of two that
// are as long the first. Of the first connections it keeps what stood still in it.
func (t *Table) noteSilence(c *conn, s *segment.Segment, e flow.Side) {
	d := min((s.Time-c.LastSeen.Time)/int64(time.Millisecond), math.MaxUint32) * int64(time.Millisecond)
	if d <= c.SilenceTo.Time-c.SilenceFrom.Time {
		return
	}
	c.SilenceTo = pointOf(s)
	c.SilenceFrom = flow.Point{Frame: c.LastSeen.Frame, Time: s.Time - d}
	if c.ID > t.cfg.TellFirst {
		return
	}
	from := flow.Opener
	if c.Ends[flow.Listener].SndNxt.Time > c.Ends[flow.Opener].SndNxt.Time {
		from = flow.Listener
	}
	c.Pause = flow.Pause{From: from, Sent: c.Ends[from].SndNxt, Acked: c.Ends[from.Other()].RcvNxt, End: frameOf(s, e)}
}
