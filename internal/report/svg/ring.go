package svg

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Ring draws the circle of the 2^32 sequence numbers at the moment of the SYN: zero at the
// top, rising clockwise, the half that counts as after rcv_nxt thick, and the numbers that
// are compared. It is nil where the finding has no ring.
func Ring(f *report.Finding, o Options) []byte {
	r := f.Ring
	if r == nil {
		return nil
	}
	c := newCanvas(o)
	top := c.caption(f) + 8
	g := &ring{canvas: c, r: r}
	g.radius = min(c.w/2-60, 110)
	g.x, g.y = g.radius+50, top+g.radius+40
	g.circle()
	marks := g.marks()
	g.point(marks)
	y := g.legend(marks, top)
	return c.picture(max(g.y+g.radius+40, y)+margin, "Ring of sequence numbers: "+f.Asks, g.describe(marks))
}

type ring struct {
	*canvas
	r            *report.Ring
	x, y, radius float64
}

// mark is a number on the circle.
type mark struct {
	letter, name string
	value        uint32
	tolerance    uint32
	class, fill  string
	note         string
}

// at returns the point of a number at a distance from the centre; 0 is at the top.
func (g *ring) at(n uint32, radius float64) (x, y float64) {
	a := float64(n)/(1<<32)*2*math.Pi - math.Pi/2
	return g.x + radius*math.Cos(a), g.y + radius*math.Sin(a)
}

// arc is a path from one number clockwise over a distance.
func (g *ring) arc(from, length uint32, radius float64) string {
	x0, y0 := g.at(from, radius)
	x1, y1 := g.at(from+length, radius)
	large := "0"
	if length > 1<<31 {
		large = "1"
	}
	return "M" + num(x0) + " " + num(y0) + "A" + num(radius) + " " + num(radius) + " 0 " + large + " 1 " + num(x1) + " " + num(y1)
}

func (g *ring) circle() {
	g.tag("circle", false, "cx", num(g.x), "cy", num(g.y), "r", num(g.radius), "class", "thin")
	for i := range 4 {
		n := uint32(i) << 30
		x0, y0 := g.at(n, g.radius-4)
		x1, y1 := g.at(n, g.radius+4)
		g.line(x0, y0, x1, y1, "thin")
	}
	if g.r.RcvNxt == nil {
		g.text(g.x, g.y+4, "middle", "small dim", "rcv_nxt not known")
		return
	}
	half := uint32(1)<<31 - 1
	g.tag("g", true)
	g.title("the half of the circle that the kernel's signed compare takes for after rcv_nxt")
	g.path(g.arc(*g.r.RcvNxt, half, g.radius), "est0", "stroke", "#2da44e", "stroke-width", "7", "fill", "none", "stroke-opacity", "0.55")
	g.end("g")
	g.path(g.arc(*g.r.RcvNxt, half, g.radius+6), "thin")
	x, y := g.at(*g.r.RcvNxt+half/2, g.radius-34)
	g.text(x, y, "middle", "small dim", "after")
	x, y = g.at(*g.r.RcvNxt-half/2, g.radius-34)
	g.text(x, y, "middle", "small dim", "before")
}

// marks lists the numbers that are known.
func (g *ring) marks() []mark {
	r := g.r
	var out []mark
	if r.RcvNxt != nil {
		out = append(out, mark{letter: "R", name: "rcv_nxt", value: *r.RcvNxt, class: "ln", fill: "ink"})
	}
	seq := mark{letter: "S", name: "seq of the SYN", value: r.Seq, class: "syn", fill: "hsyn"}
	if r.After != nil {
		seq.note = "not after rcv_nxt"
		if *r.After {
			seq.note = "after rcv_nxt"
		}
		if r.RcvNxt != nil {
			seq.note += fmt.Sprintf(" (%+d)", int32(r.Seq-*r.RcvNxt))
		}
	}
	out = append(out, seq)
	if r.SndNxt != nil {
		out = append(out, mark{letter: "N", name: "snd_nxt", value: *r.SndNxt, class: "ln", fill: "ink"})
	}
	for i := range r.Candidates {
		k := &r.Candidates[i]
		m := mark{letter: strconv.Itoa(i + 1), name: k.Name, value: k.Value, tolerance: k.Tolerance, class: "fin", fill: "hfin", note: "predicted, not met"}
		if k.Met {
			m.note = "predicted, and met"
		}
		if k.Tolerance > 0 {
			m.note += fmt.Sprintf(", ±%d", k.Tolerance)
		}
		if r.ISN != nil && !k.Met {
			m.note += fmt.Sprintf(" (off by %d)", int32(*r.ISN-k.Value))
		}
		out = append(out, m)
	}
	if r.ISN != nil {
		out = append(out, mark{letter: "I", name: "ISN of the SYN-ACK", value: *r.ISN, class: "rst", fill: "hrst"})
	}
	return out
}

// point puts the marks on the circle. Letters of numbers that lie close together are
// spread, in their order, and a line leads to each.
func (g *ring) point(marks []mark) {
	g.text(g.x, g.y-g.radius+20, "middle", "small dim", "0")
	const full = 2 * math.Pi
	order := make([]int, len(marks))
	angle := make([]float64, len(marks))
	for i := range marks {
		order[i], angle[i] = i, float64(marks[i].value)/(1<<32)*full
	}
	sort.SliceStable(order, func(a, b int) bool { return marks[order[a]].value < marks[order[b]].value })
	order = afterGap(order, angle, full)
	spread(order, angle, 15/(g.radius+20))
	for _, i := range order {
		m := &marks[i]
		g.tag("g", true)
		g.title(m.name + " " + strconv.FormatUint(uint64(m.value), 10) + "\n" + m.note)
		if m.tolerance > 1<<24 {
			g.path(g.arc(m.value-m.tolerance, 2*min(m.tolerance, 1<<31-2), g.radius-6), m.class, "stroke-width", "4")
		}
		x0, y0 := g.at(m.value, g.radius-6)
		x1, y1 := g.at(m.value, g.radius+5)
		a := angle[i] - math.Pi/2
		x2, y2 := g.x+(g.radius+14)*math.Cos(a), g.y+(g.radius+14)*math.Sin(a)
		g.path("M"+num(x0)+" "+num(y0)+"L"+num(x1)+" "+num(y1)+"L"+num(x2)+" "+num(y2), m.class, "stroke-width", "1.5")
		g.text(g.x+(g.radius+23)*math.Cos(a), g.y+(g.radius+23)*math.Sin(a)+4, "middle", "bold", m.letter)
		g.end("g")
	}
}

// afterGap begins an order of angles behind the widest gap, and counts them on from there.
func afterGap(order []int, angle []float64, full float64) []int {
	n := len(order)
	widest, at := 0.0, 0
	for i := range order {
		gap := angle[order[i]] - angle[order[(i+n-1)%n]]
		if i == 0 {
			gap += full
		}
		if gap > widest {
			widest, at = gap, i
		}
	}
	for _, i := range order[:at] {
		angle[i] += full
	}
	return append(slices.Clone(order[at:]), order[:at]...)
}

// spread moves angles apart as little as can be, so that none is nearer to the next than a
// distance (pool adjacent violators).
func spread(order []int, angle []float64, least float64) {
	type pool struct {
		sum float64
		n   int
	}
	var pools []pool
	for k, i := range order {
		pools = append(pools, pool{angle[i] - float64(k)*least, 1})
		for len(pools) > 1 {
			a, b := pools[len(pools)-2], pools[len(pools)-1]
			if a.sum/float64(a.n) <= b.sum/float64(b.n) {
				break
			}
			pools = append(pools[:len(pools)-2], pool{a.sum + b.sum, a.n + b.n})
		}
	}
	k := 0
	for _, p := range pools {
		for range p.n {
			angle[order[k]] = p.sum/float64(p.n) + float64(k)*least
			k++
		}
	}
}

// legend says what the letters are, beside the circle or below it, and returns where it
// ends.
func (g *ring) legend(marks []mark, top float64) float64 {
	x, y := g.x+g.radius+70, top+32
	if g.w-x < 240 {
		x, y = margin, g.y+g.radius+56
	}
	w := g.w - x - margin
	for _, m := range marks {
		y = g.paragraph(x, y, w, "bold", m.letter+" "+m.name+" "+strconv.FormatUint(uint64(m.value), 10))
		if m.note != "" {
			y = g.paragraph(x+14, y, w-14, "dim", m.note)
		}
		y += 4
	}
	if g.r.RcvNxt != nil {
		y = g.paragraph(x, y, w, "small dim", "The thick half is after rcv_nxt for the kernel's signed compare; clockwise is forward, 0 is at the top.")
	}
	return y
}

func (g *ring) describe(marks []mark) string {
	s := "What the " + g.r.End + " compares:"
	for _, m := range marks {
		s += fmt.Sprintf(" %s %d", m.name, m.value)
		if m.note != "" {
			s += " (" + m.note + ")"
		}
		s += ";"
	}
	return s
}
