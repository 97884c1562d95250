package svg

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// TimeSequence draws the absolute sequence numbers of a finding's frames over time, one
// plot a direction, both incarnations on the same axis. It is nil where fewer than two
// frames carry numbers that mean something.
func TimeSequence(f *report.Finding, o Options) []byte {
	p := &sequence{canvas: newCanvas(o), f: f}
	n := 0
	p.t0, p.t1 = math.Inf(1), math.Inf(-1)
	for i := range f.Ladder {
		s := &f.Ladder[i]
		if usable(s) {
			n++
			p.t0, p.t1 = min(p.t0, s.AtS), max(p.t1, s.AtS)
		}
	}
	if n < 2 {
		return nil
	}
	pad := max((p.t1-p.t0)*0.04, 1e-3)
	p.t0, p.t1 = p.t0-pad, p.t1+pad
	y := p.caption(f) + 4
	for _, from := range []string{"client", "server"} {
		y = p.direction(from, y)
	}
	y = p.paragraph(margin, y+14, p.w-2*margin, "small dim", "Filled marks are segments of the first connection, hollow ones of later connections; a square is a SYN, a diamond a FIN, a cross a RST, a dot any other; a horizontal tick is what the other end acknowledged. Frames asked about have a ring.")
	return p.picture(y+2, "Sequence numbers over time: "+f.Asks, p.describe())
}

type sequence struct {
	*canvas
	f      *report.Finding
	t0, t1 float64
}

// usable: the step is a frame with absolute numbers.
func usable(s *report.Step) bool { return s.Frame != 0 && s.Fields != nil && !s.Fields.Relative }

// unwrap places numbers on a line: each as near as can be to the middle of all, so that a
// range that wraps stays in one piece.
func (p *sequence) unwrap(from string) (of func(uint32) float64, lo, hi float64, ok bool) {
	var base uint32
	for i := range p.f.Ladder {
		s := &p.f.Ladder[i]
		if !usable(s) {
			continue
		}
		for _, n := range p.numbers(s, from) {
			if !ok {
				base, ok = n, true
				of = func(n uint32) float64 { return float64(base) + float64(int32(n-base)) }
				lo, hi = of(n), of(n)
			}
			lo, hi = min(lo, of(n)), max(hi, of(n))
		}
	}
	return of, lo, hi, ok
}

// numbers are those of a direction that a frame carries: its own, or what it acknowledges.
func (p *sequence) numbers(s *report.Step, from string) []uint32 {
	if s.From == from {
		return []uint32{s.Fields.Seq, s.Fields.Seq + s.Fields.Len}
	}
	if strings.Contains(s.Fields.Flags, ".") && !strings.Contains(s.Fields.Flags, "R") {
		return []uint32{s.Fields.Ack}
	}
	return nil
}

func (p *sequence) direction(from string, y float64) float64 {
	of, lo, hi, ok := p.unwrap(from)
	if !ok {
		return y
	}
	pad := max((hi-lo)*0.08, 10)
	a := p.canvas.plot(y, 130, 88, "seq of the "+from+", absolute")
	a.t0, a.t1, a.v0, a.v1 = p.t0, p.t1, lo-pad, hi+pad
	a.tick = func(v float64) string {
		v = math.Mod(v, 1<<32)
		if v < 0 {
			v += 1 << 32
		}
		return strconv.FormatUint(uint64(v), 10)
	}
	a.frame()
	if w := math.Ceil(lo/(1<<32)) * (1 << 32); w > lo && w < hi {
		a.line(a.x, a.py(w), a.x+a.w, a.py(w), "rst", "stroke-dasharray", "2 3")
		a.text(a.x+a.w, a.py(w)-3, "end", "small dim", "wraps at 2^32")
	}
	for i := range p.f.Ladder {
		s := &p.f.Ladder[i]
		if !usable(s) {
			continue
		}
		x := a.px(s.AtS)
		p.tag("g", true)
		p.title(hover(s))
		switch {
		case s.From == from:
			y0, y1 := a.py(of(s.Fields.Seq)), a.py(of(s.Fields.Seq+s.Fields.Len))
			p.line(x, y0, x, y1, "ln", "stroke-width", "2")
			p.mark(x, y0, s)
		case len(p.numbers(s, from)) > 0:
			v := a.py(of(s.Fields.Ack))
			p.line(x-5, v, x+5, v, "thin", "stroke-width", "1.5")
		}
		p.end("g")
	}
	return a.y + a.h + 22
}

// mark draws a frame by its flags; of later connections only the outline.
func (p *sequence) mark(x, y float64, s *report.Step) {
	flags, fill, line := s.Fields.Flags, true, "ln"
	if s.Incarnation > 1 {
		fill = false
	}
	class := func(filled, outline string) string {
		if fill {
			return filled
		}
		return outline
	}
	switch {
	case strings.Contains(flags, "R"):
		p.path("M"+num(x-4)+" "+num(y-4)+"l8 8m0 -8l-8 8", "rst", "stroke-width", "2.5")
	case strings.Contains(flags, "S"):
		p.rect(x-4, y-4, 8, 8, class("hsyn", "syn"), "stroke-width", "2")
	case strings.Contains(flags, "F"):
		p.path("M"+num(x)+" "+num(y-5.5)+"l5.5 5.5l-5.5 5.5l-5.5 -5.5Z", class("hfin", "fin"), "stroke-width", "2")
	default:
		p.tag("circle", false, "cx", num(x), "cy", num(y), "r", "3", "class", class("ink", line))
	}
	if s.Asked {
		p.tag("circle", false, "cx", num(x), "cy", num(y), "r", "9", "class", "ln", "stroke-dasharray", "2 2")
	}
}

func (p *sequence) describe() string {
	var b strings.Builder
	for i := range p.f.Ladder {
		if s := &p.f.Ladder[i]; usable(s) && i < 60 {
			fmt.Fprintf(&b, "frame %d %s from the %s: seq %d, length %d; ", s.Frame, seconds(s.AtS), s.From, s.Fields.Seq, s.Fields.Len)
		}
	}
	return strings.TrimSuffix(b.String(), "; ")
}
