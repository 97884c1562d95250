package svg

import (
	"fmt"
	"math"
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

// point puts the marks on the circle; letters of numbers that lie close are moved outwards.
func (g *ring) point(marks []mark) {
	g.text(g.x, g.y-g.radius-28, "middle", "small dim", "0")
	var taken [][2]float64
	for _, m := range marks {
		dist := g.radius + 17
		var x, y float64
		for {
			x, y = g.at(m.value, dist)
			free := true
			for _, p := range taken {
				free = free && math.Hypot(p[0]-x, p[1]-y) > 12
			}
			if free || dist < 30 {
				break
			}
			if dist > g.radius+17 || dist < g.radius {
				dist -= 14
			} else {
				dist = g.radius - 16
			}
		}
		taken = append(taken, [2]float64{x, y})
		g.tag("g", true)
		g.title(m.name + " " + strconv.FormatUint(uint64(m.value), 10) + "\n" + m.note)
		from, to := g.radius-5, max(dist-9, g.radius+5)
		if dist < g.radius {
			from, to = min(dist+9, g.radius-5), g.radius+5
		}
		x0, y0 := g.at(m.value, from)
		x1, y1 := g.at(m.value, to)
		if m.tolerance > 1<<24 {
			g.path(g.arc(m.value-m.tolerance, 2*min(m.tolerance, 1<<31-2), g.radius-6), m.class, "stroke-width", "4")
		}
		g.line(x0, y0, x1, y1, m.class, "stroke-width", "2")
		g.text(x, y+4, "middle", "bold", m.letter)
		g.end("g")
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
