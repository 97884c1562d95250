package svg

import (
	"math"
	"strconv"
)

// axes is a plot of numbers over time.
type axes struct {
	*canvas
	x, y, w, h     float64
	t0, t1, v0, v1 float64
	tick           func(float64) string
}

// plot begins one below y, h high, left of it room for numbers, its title above.
func (c *canvas) plot(y, h, left float64, title string) *axes {
	y = c.paragraph(margin, y+lineHeight, c.w-2*margin, "small dim", title)
	return &axes{canvas: c, x: left, y: y - 4, w: c.w - left - 16, h: h, tick: human}
}

// px and py are where a value lies.
func (a *axes) px(t float64) float64 { return a.x + a.w*clamp((t-a.t0)/(a.t1-a.t0)) }
func (a *axes) py(v float64) float64 { return a.y + a.h*(1-clamp((v-a.v0)/(a.v1-a.v0))) }

// clamp keeps what is out of range at the edge, and what is no number at the beginning.
func clamp(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return min(max(f, 0), 1)
}

// frame draws the axes, with at most a few ticks so that their texts do not meet.
func (a *axes) frame() {
	if !(a.t1 > a.t0) {
		a.t1 = a.t0 + 1
	}
	if !(a.v1 > a.v0) {
		a.v1 = a.v0 + 1
	}
	a.line(a.x, a.y, a.x, a.y+a.h, "ln")
	a.line(a.x, a.y+a.h, a.x+a.w, a.y+a.h, "ln")
	for _, t := range ticks(a.t0, a.t1, int(a.w/90)) {
		x := a.px(t)
		a.line(x, a.y+a.h, x, a.y+a.h+4, "ln")
		a.text(x, a.y+a.h+16, "middle", "small dim", strconv.FormatFloat(t, 'g', 6, 64)+" s")
	}
	for _, v := range ticks(a.v0, a.v1, int(a.h/34)) {
		y := a.py(v)
		a.line(a.x-4, y, a.x, y, "ln")
		a.line(a.x, y, a.x+a.w, y, "thin", "stroke-dasharray", "1 5")
		a.text(a.x-7, y+3, "end", "small dim", a.tick(v))
	}
}

// ticks returns round values within a range, at most n and at least 2 intervals where
// that can be.
func ticks(from, to float64, n int) []float64 {
	if !(to > from) || math.IsInf(to-from, 0) {
		return nil
	}
	raw := (to - from) / float64(max(n, 2))
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := unit * 10
	for _, k := range []float64{1, 2, 5} {
		if unit*k >= raw {
			step = unit * k
			break
		}
	}
	var out []float64
	for i := math.Ceil(from / step); i*step <= to && len(out) < 40; i++ {
		v := i*step + 0 // no negative zero
		if len(out) > 0 && v <= out[len(out)-1] {
			break // the range is smaller than what a number can tell apart
		}
		out = append(out, v)
	}
	return out
}

// human prints a large number short.
func human(v float64) string {
	for _, u := range []struct {
		n float64
		s string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= u.n {
			return strconv.FormatFloat(v/u.n, 'g', 5, 64) + u.s
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
