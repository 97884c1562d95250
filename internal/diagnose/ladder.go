package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxRungs bounds the ladder: a finding should fit a screen.
const maxRungs = 24

// rung is a step before it is put into words.
type rung struct {
	step report.Step
	time int64
}

// stretch is the time that a ladder spans, in nanoseconds since the Unix epoch.
type stretch struct{ from, to int64 }

// ladder lays the deciding frames of all incarnations out in order.
func ladder(conns []*flow.Connection, f *finding) ([]report.Step, stretch) {
	n := 0
	for _, c := range conns {
		n += len(c.Frames) + len(c.Troubles) + 3 // those that were not kept: of the handshake, and up to where it went
	}
	rungs := f.mem.rungs.take(n)
	for i, c := range conns {
		rungs = appendRungs(rungs, c, i+1, f)
	}
	// Connections overlap, and repeats of a SYN are kept beside what came after them.
	slices.SortStableFunc(rungs, func(a, b rung) int { return cmp.Compare(a.time, b.time) })
	// A frame that two connections keep has one rung.
	rungs = slices.CompactFunc(rungs, func(a, b rung) bool { return a.step.Frame != 0 && a.step.Frame == b.step.Frame })
	rungs = cutMiddle(rungs, f)
	out := f.mem.steps.take(2 * len(rungs))
	for i := range rungs {
		r := &rungs[i]
		if i > 0 {
			if gap := r.time - rungs[i-1].time; gap >= int64(500*time.Millisecond) {
				out = append(out, report.Step{AtS: at(rungs[i-1].time, rungs[0].time), Note: seconds(time.Duration(gap)) + " pass"})
			}
		}
		r.step.AtS = at(r.time, rungs[0].time)
		if r.step.Frame != 0 {
			r.step.Time = f.mem.time(r.time)
		}
		out = append(out, r.step)
	}
	if len(rungs) == 0 {
		return nil, stretch{}
	}
	return out, stretch{rungs[0].time, rungs[len(rungs)-1].time}
}

func at(t, zero int64) float64 { return float64(t-zero) / 1e9 }

// appendRungs adds the rungs of one connection, the n-th on its four-tuple.
func appendRungs(out []rung, c *flow.Connection, n int, f *finding) []rung {
	client := f.c.Ends[flow.Opener].Endpoint
	name := func(s flow.Side) string {
		if c.Ends[s].Endpoint == client {
			return "client"
		}
		return "server"
	}
	add := func(fr *flow.Frame) {
		out = append(out, rung{report.Step{Frame: fr.Frame, From: name(fr.From), Segment: f.mem.frameText(c, fr), Fields: f.mem.fieldsOf(c, fr),
			Asked: slices.Contains(f.frames, fr.Frame), Incarnation: n}, fr.Time})
	}
	var room [32]uint64
	kept := frameSet(room[:0])
	for i := range c.Frames {
		kept = append(kept, c.Frames[i].Frame)
	}
	for _, s := range []flow.Side{flow.Opener, flow.Listener} {
		e := &c.Ends[s]
		repeated := slices.ContainsFunc(c.Troubles, func(fr flow.Frame) bool { return fr.Frame == e.ISN.Frame })
		if e.ISN.Seen() && !e.ISNImplied && !kept.has(e.ISN.Frame) && !repeated {
			fr := handshakeFrame(c, s)
			fr.Frame, fr.Time = e.ISN.Frame, e.ISN.Time
			add(&fr)
		}
	}
	if len(c.Frames) > 0 && !c.Ends[flow.Opener].FIN.Seen() && !c.Ends[flow.Listener].FIN.Seen() && c.State < flow.HalfClosed && c.Previous == nil {
		// A connection that was never closed: where it stood.
		out = append(out, lastRung(c, n, name)...)
	} else if len(c.Frames) == 0 && len(c.Troubles) == 0 {
		out = append(out, lastRung(c, n, name)...)
	}
	for i := range c.Frames {
		add(&c.Frames[i])
	}
	for i := range c.Troubles {
		if fr := &c.Troubles[i]; !kept.has(fr.Frame) {
			kept = append(kept, fr.Frame)
			add(fr)
		}
	}
	for _, fr := range waitFrames(c) {
		if !kept.has(fr.Frame) && slices.Contains(f.frames, fr.Frame) {
			kept = append(kept, fr.Frame)
			add(fr)
		}
	}
	// A frame asked about that was not kept is known by the mark that it moved.
	var marks [7]movedMark
	for _, m := range marksOf(c, marks[:0]) {
		if m.Seen() && slices.Contains(f.frames, m.Frame) && !kept.has(m.Frame) {
			kept = append(kept, m.Frame)
			out = append(out, rung{report.Step{Frame: m.Frame, From: name(m.from), Note: m.says + m.Num.String(), Asked: true, Incarnation: n}, m.Time})
		}
	}
	return out
}

// frameSet is numbers of frames: a few, of which a list costs less than a map.
type frameSet []uint64

func (s frameSet) has(n uint64) bool { return slices.Contains(s, n) }

// movedMark is a mark and what the frame that moved it did.
type movedMark struct {
	flow.Mark
	from flow.Side
	says string
}

// marksOf lists the marks of a connection that stand for frames that were not kept.
func marksOf(c *flow.Connection, out []movedMark) []movedMark {
	const acks, sends = "acknowledges up to ", "sends up to "
	for _, s := range []flow.Side{flow.Opener, flow.Listener} {
		e := &c.Ends[s]
		for _, m := range []movedMark{{e.RcvNxt, s, acks}, {e.SndNxt, s, sends}} {
			if m.Frame != e.ISN.Frame {
				out = append(out, m)
			}
		}
	}
	p, h := &c.Pause, &c.Held
	return append(out, movedMark{h.Sent, h.From, sends}, movedMark{p.Sent, p.From, sends}, movedMark{p.Acked, p.From.Other(), acks})
}

// waitFrames are the frames that were kept of a wait.
func waitFrames(c *flow.Connection) []*flow.Frame {
	var out []*flow.Frame
	if h := &c.Held; h.Times > 0 {
		out = append(out, &h.ACK, &h.Next, &h.Answer)
	}
	if p := &c.Pause; p.End.Frame != 0 {
		out = append(out, &p.End)
	}
	return out
}

// lastRung tells how far a connection without kept frames had come.
func lastRung(c *flow.Connection, n int, name func(flow.Side) string) []rung {
	e := &c.Ends[flow.Listener]
	if !e.Last.Seen() || e.Last.Frame == e.ISN.Frame {
		return nil
	}
	return []rung{{report.Step{From: "", Note: fmt.Sprintf("… up to frame %d: %s snd_nxt %s, %s snd_nxt %s", c.LastSeen.Frame,
		name(flow.Opener), c.Ends[flow.Opener].SndNxt.Num, name(flow.Listener), e.SndNxt.Num), Incarnation: n}, e.Last.Time}}
}

// handshakeFrame rebuilds a SYN or SYN-ACK from the marks of its end.
func handshakeFrame(c *flow.Connection, s flow.Side) flow.Frame {
	e := &c.Ends[s]
	f := flow.Frame{From: s, Seq: e.ISN.Num, Flags: segment.SYN, Window: e.FirstWindow, HasTS: e.TSOffered, TSVal: e.FirstTSVal, TSEcr: e.FirstTSEcr}
	if s == flow.Listener {
		f.Flags |= segment.ACK
		f.Ack = c.Ends[flow.Opener].ISN.Num.Add(1)
	}
	return f
}

// frameText prints a kept frame in packetdrill's notation, a SYN or SYN-ACK with the
// options that its end offered.
func (m *scratch) frameText(c *flow.Connection, f *flow.Frame) string {
	s := segmentOf(f)
	if e := &c.Ends[f.From]; f.Flags.Has(segment.SYN) && e.ISN.Seen() && !e.ISNImplied && f.Seq == e.ISN.Num {
		if e.MSS != 0 {
			s.Options, s.MSS = s.Options|segment.OptMSS, e.MSS
		}
		if e.SACKOffered {
			s.Options |= segment.OptSACKPermitted
		}
		if e.WScaleOffered {
			s.Options, s.WScale = s.Options|segment.OptWScale, e.WScale
		}
	}
	var room [160]byte
	return m.text(segment.AppendPacketdrill(room[:0], &s))
}

// cutMiddle keeps the rungs around the frames that are asked about and drops the
// middle of a long story.
func cutMiddle(rungs []rung, f *finding) []rung {
	if len(rungs) <= maxRungs {
		return rungs
	}
	first := len(rungs)
	for i, r := range rungs {
		if r.step.Asked {
			first = i
			break
		}
	}
	keep := map[int]bool{}
	for i := range rungs {
		if i < 6 || i >= first-6 && i < first+10 || i >= len(rungs)-2 {
			keep[i] = true
		}
	}
	var out []rung
	dropped := 0
	for i, r := range rungs {
		if keep[i] {
			if dropped > 0 {
				out = append(out, rung{report.Step{Note: fmt.Sprintf("… %d frames between", dropped)}, r.time})
				dropped = 0
			}
			out = append(out, r)
			continue
		}
		dropped++
	}
	return out
}
