package svg

import (
	"fmt"
	"math"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// isnRate is how many steps a second the clock of initial sequence numbers makes: one in
// 64 ns (RFC 6528, secure_tcp_seq).
const isnRate = 15.625e6

// Clock draws the initial sequence numbers of an end over time against the line of
// 15.625 million a second through the first, and below it the timestamps against the rate at
// which they tick. It is nil where the finding has no clock.
func Clock(f *report.Finding, o Options) []byte {
	k := f.Clock
	if k == nil || len(k.ISNs) < 2 {
		return nil
	}
	c := newCanvas(o)
	y := c.caption(f) + 8
	p := &clock{canvas: c, k: k}
	p.bounds()
	y = p.isns(y)
	if len(k.TSVals) > 1 {
		y = p.tsvals(y + 14)
	}
	return c.picture(y+margin, "Clock of the "+k.End+": "+f.Asks, p.describe())
}

type clock struct {
	*canvas
	k      *report.Clock
	t0, t1 float64
}

func (p *clock) bounds() {
	p.t0, p.t1 = math.Inf(1), math.Inf(-1)
	for _, l := range [][]report.ClockPoint{p.k.ISNs, p.k.TSVals} {
		for i := range l {
			p.t0, p.t1 = min(p.t0, l[i].AtS), max(p.t1, l[i].AtS)
		}
	}
	pad := max((p.t1-p.t0)*0.05, 1e-3)
	p.t0, p.t1 = p.t0-pad, p.t1+pad
}

// signs tell what an ISN is by shape.
var signs = map[string]string{
	"base": "square", "on the line": "circle", "inherited": "diamond", "off the line": "cross",
}

// isns plots the numbers themselves, 0 to 2^32: the line comes round every 275 s.
func (p *clock) isns(y float64) float64 {
	a := p.plot(y, 150, 62, "ISNs of the "+p.k.End+"; the line counts 15.625 M/s and comes round every 275 s")
	a.t0, a.t1, a.v1 = p.t0, p.t1, 1<<32
	a.frame()
	base := p.k.ISNs[0]
	p.sawtooth(a, base, isnRate)
	for i := range p.k.ISNs {
		n := &p.k.ISNs[i]
		p.tag("g", true)
		p.title(fmt.Sprintf("frame %d  %s\nISN %d\n%s", n.Frame, seconds(n.AtS), n.Value, n.Is))
		p.sign(a.px(n.AtS), a.py(float64(n.Value)), signs[n.Is])
		p.end("g")
	}
	return p.list(a.y + a.h + 36)
}

// list says in words what the signs are.
func (p *clock) list(y float64) float64 {
	for i := range p.k.ISNs {
		n := &p.k.ISNs[i]
		if i >= 12 {
			return p.paragraph(margin+16, y, p.w-2*margin-16, "dim", fmt.Sprintf("and %d more", len(p.k.ISNs)-i))
		}
		p.sign(margin+5, y-4, signs[n.Is])
		s := fmt.Sprintf("frame %d, %s: ISN %d", n.Frame, seconds(n.AtS), n.Value)
		if n.Is != "" {
			s += ", " + n.Is
		}
		if i > 0 {
			b := &p.k.ISNs[0]
			steps := math.Mod((n.AtS-b.AtS)*isnRate, 1<<32)
			if !math.IsNaN(steps) && steps >= 0 {
				s += fmt.Sprintf(" (%+.1f ms of clock)", float64(int32(n.Value-b.Value-uint32(steps)))/isnRate*1000)
			}
		}
		y = p.paragraph(margin+16, y, p.w-2*margin-16, "", s)
	}
	return y
}

// sign draws a mark of its own shape.
func (p *clock) sign(x, y float64, kind string) {
	switch kind {
	case "square":
		p.rect(x-4, y-4, 8, 8, "ink")
	case "circle":
		p.tag("circle", false, "cx", num(x), "cy", num(y), "r", "4.5", "class", "est")
	case "diamond":
		p.path("M"+num(x)+" "+num(y-6)+"l6 6l-6 6l-6 -6Z", "hfin")
	case "cross":
		p.path("M"+num(x-5)+" "+num(y-5)+"l10 10m0 -10l-10 10", "rst", "stroke-width", "2.5")
	default:
		p.tag("circle", false, "cx", num(x), "cy", num(y), "r", "4", "class", "ln")
	}
}

// sawtooth draws a line of so many steps a second through a point, round the circle.
func (p *clock) sawtooth(a *axes, base report.ClockPoint, rate float64) {
	const circle = 1 << 32
	if !(rate > 0) || (a.t1-a.t0)*rate/circle > 200 {
		return // it would be a grey field
	}
	t, v := a.t0, math.Mod(float64(base.Value)-(base.AtS-a.t0)*rate, circle)
	if v < 0 {
		v += circle
	}
	for n := 0; t < a.t1 && n < 400; n++ {
		end := min(a.t1, t+(circle-v)/rate)
		if end <= t {
			break
		}
		p.line(a.px(t), a.py(v), a.px(end), a.py(v+(end-t)*rate), "thin", "stroke-dasharray", "6 3")
		t, v = end, 0
	}
}

// tsvals plots the timestamps as the distance from the first, so that a jump is seen.
func (p *clock) tsvals(y float64) float64 {
	k := p.k
	base := k.TSVals[0]
	lo, hi := 0.0, 0.0
	d := func(i int) float64 { return float64(int32(k.TSVals[i].Value - base.Value)) }
	for i := range k.TSVals {
		lo, hi = min(lo, d(i)), max(hi, d(i))
	}
	if k.TSRate > 0 {
		hi = max(hi, min((p.t1-base.AtS)*k.TSRate, math.MaxInt32))
	}
	title := "TSvals of the " + k.End + " since its first"
	if k.TSRate > 0 {
		title += fmt.Sprintf("; the line ticks %g a second", k.TSRate)
	}
	a := p.plot(y, 110, 62, title)
	a.t0, a.t1, a.v0, a.v1 = p.t0, p.t1, lo, hi
	a.frame()
	if k.TSRate > 0 {
		p.line(a.px(base.AtS), a.py(0), a.px(p.t1), a.py((p.t1-base.AtS)*k.TSRate), "thin", "stroke-dasharray", "6 3")
	}
	for i := range k.TSVals {
		n := &k.TSVals[i]
		p.tag("g", true)
		p.title(fmt.Sprintf("frame %d  %s\nTSval %d", n.Frame, seconds(n.AtS), n.Value))
		p.tag("circle", false, "cx", num(a.px(n.AtS)), "cy", num(a.py(d(i))), "r", "3.5", "class", "hsyn")
		p.end("g")
	}
	return a.y + a.h + 22
}

func (p *clock) describe() string {
	s := "Initial sequence numbers of the " + p.k.End + ":"
	for i := range p.k.ISNs {
		n := &p.k.ISNs[i]
		s += fmt.Sprintf(" frame %d at %s %d %s;", n.Frame, seconds(n.AtS), n.Value, n.Is)
	}
	if p.k.TSRate > 0 {
		s += fmt.Sprintf(" its timestamps tick %g times a second.", p.k.TSRate)
	}
	return s
}
