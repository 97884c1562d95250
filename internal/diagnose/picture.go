package diagnose

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// draw fills in what a finding's pictures are made from.
func (f *finding) draw(out *report.Finding, conns []*flow.Connection) {
	steps, t := ladder(conns, f)
	if len(steps) == 0 {
		return
	}
	out.Ladder = steps
	out.Lanes = f.lanes(conns, t)
	if f.q != nil && f.question != "port-taken-over" {
		out.Ring = f.q.ring()
	}
	for _, s := range []flow.Side{flow.Listener, flow.Opener} {
		if out.Clock = f.clock(conns, s, t); out.Clock != nil {
			return
		}
	}
}

// fieldsRoom is Fields with what it points to.
type fieldsRoom struct {
	report.Fields
	tsVal, tsEcr uint32
}

// fieldsOf are the numbers of a frame.
func (m *scratch) fieldsOf(c *flow.Connection, f *flow.Frame) *report.Fields {
	room := m.fields.one()
	out := &room.Fields
	*out = report.Fields{Flags: f.Flags.String(), Seq: f.Seq.Uint32(), Len: f.Len, Window: f.Window, TTL: f.TTL, IPID: f.IPID, MSS: f.MSS,
		Relative: c.Relative || f.Doubt.Relative()}
	if f.Flags.Has(segment.ACK) {
		out.Ack = f.Ack.Uint32()
	}
	if f.HasTS {
		room.tsVal, room.tsEcr = f.TSVal.Uint32(), f.TSEcr.Uint32()
		out.TSVal, out.TSEcr = &room.tsVal, &room.tsEcr
	}
	if e := &c.Ends[f.From]; f.Flags.Has(segment.SYN) && e.ISN.Seen() && !e.ISNImplied && f.Seq == e.ISN.Num {
		out.MSS = e.MSS
		if out.TTL == 0 {
			out.TTL = e.TTL
		}
	}
	return out
}

// ringRoom is Ring with what it points to.
type ringRoom struct {
	report.Ring
	rcvNxt, sndNxt, isn uint32
	after               bool
	candidates          [2]report.Candidate
}

// ring is what the SYN met; nil where numbers of the two connections cannot be compared.
func (q *asked) ring() *report.Ring {
	if q.p.Relative {
		return nil
	}
	n := q.numbers()
	e, p := q.old()
	syn := &q.r().syn
	room := q.e.mem.rings.one()
	out := &room.Ring
	out.End, out.Seq = "server", syn.Seq.Uint32()
	if n.rcvNxt.Known {
		at := n.rcvNxt.Num
		if p.FIN.Seen() && p.FIN.Num.After(at) && q.holds[0].kind == twTrue {
			at = p.FIN.Num
		}
		room.rcvNxt, room.after = at.Uint32(), syn.Seq.After(at)
		out.RcvNxt, out.After = &room.rcvNxt, &room.after
	}
	if n.sndNxt.Known {
		room.sndNxt = n.sndNxt.Uint32()
		out.SndNxt = &room.sndNxt
	}
	x := &q.isn
	out.Frames = frameList(syn.Frame, x.frame, e.FIN.Frame, p.FIN.Frame)
	if x.frame == 0 {
		return out
	}
	room.isn = x.isn.Uint32()
	out.ISN = &room.isn
	candidates := room.candidates[:0]
	if x.want.Known {
		candidates = append(candidates, report.Candidate{Name: "snd_nxt + 65537", Value: x.want.Num.Uint32(), Met: x.inherits == kernel.Yes})
	}
	if x.onLine != kernel.Unknown {
		candidates = append(candidates, report.Candidate{Name: "clock line", Value: x.line.Predicted.Uint32(), Tolerance: x.line.Tolerance, Met: x.onLine == kernel.Yes})
		out.Frames = frameList(append(out.Frames, x.base.Frame)...)
	}
	if len(candidates) > 0 {
		out.Candidates = candidates
	}
	return out
}

// clock is the ISNs and timestamps of an end; nil where there are not two ISNs.
func (f *finding) clock(conns []*flow.Connection, side flow.Side, t stretch) *report.Clock {
	end := f.c.Ends[side].Endpoint
	isns := f.mem.points.take(len(conns))
	var base flow.Mark
	samples := f.mem.samples[:0]
	for i, c := range conns {
		s := sideOf(c, end)
		e := &c.Ends[s]
		if e.Endpoint != end || c.Relative {
			continue
		}
		samples = appendTSSamples(samples, c, s)
		if !e.ISN.Seen() || e.ISNImplied && e.SndNxt.Seen() && e.ISN.Num == e.SndNxt.Num {
			continue
		}
		pt := report.ClockPoint{Frame: e.ISN.Frame, AtS: atS(e.ISN.Time, t), Value: e.ISN.Num.Uint32(), Is: "base"}
		if base.Seen() {
			pt.Is = f.isnIs(e.ISN, base, conns[:i], end)
		} else {
			base = e.ISN
		}
		isns = append(isns, pt)
	}
	f.mem.samples = samples
	if len(isns) < 2 {
		return nil
	}
	out := &report.Clock{End: name(side), ISNs: isns}
	if len(samples) > 0 {
		out.TSVals = f.mem.points.take(len(samples))
	}
	for _, x := range samples {
		out.TSVals = append(out.TSVals, report.ClockPoint{Frame: x.Frame, AtS: atS(x.Time, t), Value: x.TSVal.Uint32()})
	}
	out.TSRate = tickRate(samples)
	return out
}

// isnIs says what an ISN is in view of an older one and of what the end sent before.
func (f *finding) isnIs(isn, base flow.Mark, past []*flow.Connection, end segment.Endpoint) string {
	var line listen.Line
	on := kernel.Unknown
	if q := f.q; q != nil && q.isn.frame == isn.Frame && q.isn.onLine != kernel.Unknown {
		on = q.isn.onLine
	} else if line = listen.OnClockLine(base.Num, isn.Num, isn.Since(base.Point), 0); line.Chance <= worstChance {
		on = kernel.If(line.On)
	}
	var was flow.Connection
	for i := len(past) - 1; i >= 0; i-- {
		s := sideOf(past[i], end)
		asOfInto(&was, past[i], isn.Frame)
		n := numbersOf(&was, s, isn.Frame)
		if want := kernel.InheritedISN(n.sndNxt); past[i].Ends[s].Endpoint == end && want.Known && want.Num == isn.Num {
			return "inherited"
		}
	}
	switch on {
	case kernel.Yes:
		return "on the line"
	case kernel.No:
		return "off the line"
	case kernel.Unknown:
	}
	return ""
}

// appendTSSamples lists the timestamps of an end that were kept, in order.
func appendTSSamples(out []flow.TSSample, c *flow.Connection, s flow.Side) []flow.TSSample {
	e := &c.Ends[s]
	if e.TSOffered && e.ISN.Seen() && !e.ISNImplied {
		out = append(out, flow.TSSample{TSVal: e.FirstTSVal, Point: e.ISN.Point})
	}
	for i := range c.Frames {
		if f := &c.Frames[i]; f.From == s && f.HasTS && f.Frame > e.ISN.Frame {
			out = append(out, flow.TSSample{TSVal: f.TSVal, Point: f.Point()})
		}
	}
	return out
}

// tickRate returns the ticks a second that all samples agree with, 0 where none does or
// several do.
func tickRate(samples []flow.TSSample) float64 {
	if len(samples) < 2 {
		return 0
	}
	a, b := samples[0], samples[len(samples)-1]
	elapsed := b.Since(a.Point)
	if elapsed < time.Second {
		return 0
	}
	for _, hz := range tickRates {
		if oneLineAt(a, b, elapsed, hz) {
			return float64(hz)
		}
	}
	return 0
}
