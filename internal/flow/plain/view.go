package plain

import (
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Of the frames that a connection keeps, the first headFrames and the last
// tailFrames are handed out.
const (
	headFrames = 40
	tailFrames = 8
)

// view returns a copy of a connection as it is handed out.
func (t *Table) view(c *conn) *flow.Connection {
	v := c.Connection
	v.Superseded = !t.cfg.LinesOnly && (c.pinned || c.orphan)
	var omitted int
	v.Frames, omitted = cut(v.Frames)
	if v.FramesOmitted = uint32(omitted); omitted > 0 {
		v.OmittedAfter = headFrames - 1
	}
	v.Troubles, omitted = cut(v.Troubles)
	v.TroublesOmitted = uint32(omitted)
	if v.Held.Times == 0 {
		v.Held = flow.Held{} // no answer came
	}
	v.Ends[flow.Opener].ISN = openerISN(c)
	if t.cfg.LinesOnly {
		forLine(&v)
	}
	return &v
}

// openerISN returns the opener's ISN: wherever it is known, the first frame shows it.
func openerISN(c *conn) flow.Mark {
	isn := c.Ends[flow.Opener].ISN
	if isn.Seen() {
		isn.Point = c.First
	}
	return isn
}

// cut returns a copy of the frames without those in the middle, and how many these are.
func cut(all []flow.Frame) (kept []flow.Frame, omitted int) {
	omitted = max(len(all)-headFrames-tailFrames, 0)
	kept = slices.Clone(all)
	if omitted > 0 {
		kept = slices.Delete(kept, headFrames, headFrames+omitted)
	}
	return kept, omitted
}

// forLine takes out of a connection what is left out where only lines are wanted.
func forLine(c *flow.Connection) {
	c.Frames, c.FramesOmitted, c.OmittedAfter, c.Duplicates = nil, 0, 0, 0
	c.Troubles, c.TroublesOmitted = nil, 0
	c.SilenceFrom, c.SilenceTo, c.Pause, c.Held = flow.Point{}, flow.Point{}, flow.Pause{}, flow.Held{}
	for e := range c.Ends {
		v := &c.Ends[e]
		v.RcvNxt, v.TSEcr, v.HasTSEcr = flow.Mark{}, flow.Mark{}, false
		v.BeforeEnd, v.FINAcked = flow.Point{}, flow.Point{}
		v.FirstTSVal, v.FirstTSEcr = seq.Num{}, seq.Num{}
		v.SRTT, v.RTTVar, v.Retransmits, v.LongestAcked, v.IPID = 0, 0, 0, 0, 0
		v.SndNxt.Time, v.FIN.Time, v.FINAck.Time = 0, 0, 0
		if flow.Side(e) == flow.Listener {
			v.ISN.Time = 0
		}
	}
}

const (
	longestFrame = 1<<24 - 1 // bytes of payload that a kept frame tells
	widestScale  = 15        // of a kept frame: its low four bits (RFC 7323 §2.3 allows up to 14)
)

// frameOf returns a segment as it is kept.
func frameOf(s *segment.Segment, e flow.Side) flow.Frame {
	f := flow.Frame{
		Ref: s.Ref, From: e, Seq: s.Seq, Ack: s.Ack, Flags: s.Flags, Window: s.Window,
		Len: min(s.Len, longestFrame), TTL: s.TTL, IPID: s.IPID, Doubt: s.Doubt &^ segment.IPUnsaid,
		HasOptions: s.Options != 0 || len(s.RawOptions) > 0, OptionsCut: s.Options.Has(segment.OptCut),
		FastOpen: s.Options.Has(segment.OptFastOpen),
	}
	if s.HasTS() {
		f.HasTS, f.TSVal, f.TSEcr = true, s.TSVal, s.TSEcr
	}
	if s.Flags&segment.SYN == 0 {
		return f
	}
	if s.Options.Has(segment.OptMSS) {
		f.MSS = s.MSS
	}
	if s.Options.Has(segment.OptWScale) {
		f.HasWScale, f.WScale = true, s.WScale&widestScale
	}
	f.SACKPermitted = s.Options.Has(segment.OptSACKPermitted)
	return f
}
