package plain

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// conn is a connection. What is handed out of it lies in a flow.Connection from
// the start, with all frames and troubles uncut; a mark is set if it was seen.
type conn struct {
	flow.Connection
	prev  *conn
	first flow.Side // which end sent the first segment
	more  [2]more

	past        bool // it was opened on a four-tuple with a past
	neverAsked  bool // it began with neither SYN nor SYN-ACK: nothing to ask
	established bool // it was established at some time
	ending      bool // a FIN or RST was seen: every frame is kept
	lateSynAck  bool // a SYN-ACK was repeated after the opener's ACK
	twoAnswers  bool // SYN-ACKs with different ISNs answer the SYN
	trouble     bool // its life shows something that calls for a reason
	after       int  // frames on the four-tuple since it was established, with a past
	pending     *heldBack

	asked     bool // Asked was called
	queued    bool // it ended and has its place in the order of ends
	announced bool // Ended was called
	pinned    bool // a later incarnation has it as its prev
	orphan    bool // it was cut off a chain and waits to be announced
	forgotten bool
}

// more is what is needed of an end beside what is handed out.
type more struct {
	last    segment.Segment // the last segment that moved the marks
	moved   bool            // there is one
	ipid    uint16          // of the last segment that is no RST, of the first where all are
	timed   bool            // an ACK that reaches SndNxt gives a round trip
	watched bool            // its next segment tells whether a wait ended: see noteGap
	maxSent uint16          // the longest payload since an ACK of everything
	// [holeLeft, holeRight) is the last stretch of sequence numbers that was
	// skipped; empty where both are equal.
	holeLeft, holeRight seq.Num
}

// side returns the end that sent the segment.
func (c *conn) side(s *segment.Segment) flow.Side {
	if s.Src == c.Ends[c.first].Endpoint {
		return c.first // of a connection to itself all of them are
	}
	return c.first.Other()
}

func (c *conn) seen(e flow.Side) bool { return c.Ends[e].Segments > 0 }

// over tells whether the connection is over for both ends.
func (c *conn) over() bool { return c.State == flow.Closed || c.State == flow.Reset }

// quiet tells whether the connection is forgotten when nothing more is heard of it.
func (c *conn) quiet() bool {
	switch c.State {
	case flow.SynOnly, flow.SynAcked, flow.Closing:
		return true
	case flow.HalfClosed:
		return !c.seen(flow.Opener) || !c.seen(flow.Listener)
	case flow.Established, flow.Closed, flow.Reset:
	}
	return false
}

// window returns the window in bytes that an end last advertised, or a customary
// one where none was seen.
func (c *conn) window(e flow.Side) uint32 {
	v := &c.Ends[e]
	if !v.HasLastWindow {
		if v.ISN.Seen() && !v.ISNImplied {
			return max(uint32(v.FirstWindow), 1)
		}
		return 1 << 16
	}
	w := uint32(v.LastWindow)
	if v.WScaleOffered && c.Ends[e.Other()].WScaleOffered {
		w <<= min(v.WScale, 14)
	} else if c.MidStream {
		w = max(w, 1<<16)
	}
	return max(w, 1)
}

// Distances on the circle of sequence numbers, and how soon a copy follows.
const (
	maxStep            = 1 << 30
	nearBy             = 1 << 20
	duplicateWithin    = 2 * time.Millisecond
	duplicateAckWithin = 50 * time.Microsecond
)

// duplicate tells whether s is a second copy of the last segment of the end.
func (m *more) duplicate(s *segment.Segment) bool {
	l := &m.last
	if !m.moved || s.Seq != l.Seq || s.Ack != l.Ack || s.Flags != l.Flags || s.Len != l.Len || s.Window != l.Window || s.IPID != l.IPID {
		return false
	}
	if s.HasTS() != l.HasTS() || s.HasTS() && (s.TSVal != l.TSVal || s.TSEcr != l.TSEcr) {
		return false
	}
	d := time.Duration(s.Time - l.Time)
	if d < 0 {
		d = -d
	}
	if s.Len > 0 || s.Flags&(segment.SYN|segment.FIN|segment.RST) != 0 || s.IPID != 0 {
		return d < duplicateWithin
	}
	return d < duplicateAckWithin
}

// count takes a segment into the counters, whatever its numbers are.
func (c *conn) count(s *segment.Segment, e flow.Side) {
	v := &c.Ends[e]
	if v.Segments == 0 {
		v.TTL = s.TTL
	}
	v.Segments++
	v.Bytes += uint64(s.Len)
	c.LastSeen = pointOf(s)
	if s.Doubt.Relative() {
		c.Relative = true
	}
}

// noteStart remembers what the SYN or SYN-ACK of end e carried.
func (c *conn) noteStart(s *segment.Segment, e flow.Side) {
	v := &c.Ends[e]
	v.ISN, v.ISNImplied = flow.Mark{Num: s.Seq, Point: pointOf(s)}, false
	v.FirstWindow = s.Window
	if s.HasTS() {
		v.TSOffered, v.FirstTSVal, v.FirstTSEcr = true, s.TSVal, s.TSEcr
	}
	if s.Options.Has(segment.OptWScale) {
		v.WScaleOffered, v.WScale = true, s.WScale
	}
	if s.Options.Has(segment.OptSACKPermitted) {
		v.SACKOffered = true
	}
	if s.Options.Has(segment.OptMSS) {
		v.MSS = s.MSS
	}
	if s.Options.Has(segment.OptFastOpen) {
		v.FastOpen = true
	}
}

// implyISN sets the ISN of end e from the peer's ACK of it.
func (c *conn) implyISN(s *segment.Segment, e flow.Side) {
	v := &c.Ends[e]
	v.ISN, v.ISNImplied = flow.Mark{Num: s.Ack.Add(^uint32(0)), Point: pointOf(s)}, true
}

// noteFIN remembers the first FIN of end e.
func (c *conn) noteFIN(s *segment.Segment, e flow.Side) {
	v, p := &c.Ends[e], &c.Ends[e.Other()]
	if v.FIN.Seen() {
		return
	}
	v.FIN = flow.Mark{Num: s.End(), Point: pointOf(s)}
	v.FINAck = flow.Mark{Num: s.Ack, Point: pointOf(s)}
	if p.RcvNxt.Seen() && !p.RcvNxt.Num.Before(v.FIN.Num) {
		v.FINAcked = p.RcvNxt.Point // frames of two interfaces in the wrong order
	}
}

// noteRST remembers the first RST of end e.
func (c *conn) noteRST(s *segment.Segment, e flow.Side) {
	if v := &c.Ends[e]; !v.RST.Seen() {
		v.RST = flow.Mark{Num: s.Seq, Point: pointOf(s)}
	}
}

// noteEnding remembers where both ends stood before the first FIN or RST.
func (c *conn) noteEnding() {
	for e := range c.Ends {
		c.Ends[e].BeforeEnd = c.Ends[e].Last.Point
	}
}

// near tells whether a segment's numbers can be progress or a repeat of end e.
func (c *conn) near(s *segment.Segment, e flow.Side) bool {
	v := &c.Ends[e]
	if s.Flags&segment.ACK == 0 || v.SndNxt.Seen() && !within(s.Seq, v.SndNxt.Num, maxStep) {
		return false
	}
	return !v.RcvNxt.Seen() || within(s.Ack, v.RcvNxt.Num, maxStep)
}

func within(a, b seq.Num, d int32) bool {
	x := a.Sub(b)
	return x < d && x > -d
}

// sampleRTT takes a round trip into the estimate of an end (RFC 6298 §2), in whole
// microseconds.
func sampleRTT(v *flow.End, t time.Duration) {
	if t < 0 {
		return
	}
	m := min(max(t.Microseconds(), 1), 1<<31)
	srtt, rttvar := v.SRTT.Microseconds(), v.RTTVar.Microseconds()
	if srtt == 0 {
		srtt, rttvar = m, m/2
	} else {
		dev := m - srtt
		if dev < 0 {
			dev = -dev
		}
		rttvar = (3*rttvar + dev) / 4
		srtt = max((7*srtt+m)/8, 1)
	}
	v.SRTT, v.RTTVar = time.Duration(srtt)*time.Microsecond, time.Duration(rttvar)*time.Microsecond
}
