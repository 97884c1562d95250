package svg

import (
	"fmt"
	"math"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// lanes draws the states of both ends beside the rows, and returns where the picture
// ends.
func (l *ladder) lanes(y float64) float64 {
	bottom := y
	known := map[string]bool{}
	for i := range l.f.Lanes {
		if n := len(l.f.Lanes[i].Spans); n > 0 && len(l.knots) > 0 {
			known[l.f.Lanes[i].End] = true
			bottom = max(bottom, l.lane(&l.f.Lanes[i], y))
		}
	}
	if !known["client"] {
		l.line(l.left-laneWidth/2, l.top, l.left-laneWidth/2, y, "thin")
	}
	if !known["server"] {
		l.line(l.right+laneWidth/2, l.top, l.right+laneWidth/2, y, "thin")
	}
	return bottom
}

// yOf is where a moment lies.
func (l *ladder) yOf(at float64, frame uint64) float64 {
	if y, ok := l.frames[frame]; ok && frame != 0 {
		return y
	}
	k := l.knots
	switch {
	case len(k) == 0:
		return l.top
	case at <= k[0].at:
		return k[0].y
	}
	for i := 1; i < len(k); i++ {
		if at <= k[i].at {
			d := k[i].at - k[i-1].at
			if d <= 0 {
				return k[i].y
			}
			return k[i-1].y + (k[i].y-k[i-1].y)*(at-k[i-1].at)/d
		}
	}
	return k[len(k)-1].y
}

// lane draws one end's states and returns how far down its labels go.
func (l *ladder) lane(x *report.Lane, bottom float64) float64 {
	left := x.End == "client"
	at := l.left - laneWidth
	if !left {
		at = l.right
	}
	free := l.top // where the next label may stand
	last := &x.Spans[len(x.Spans)-1]
	for i := range x.Spans {
		s := &x.Spans[i]
		y0, y1 := l.yOf(s.FromS, s.Frame), bottom
		if s != last {
			y1 = l.yOf(x.Spans[i+1].FromS, x.Spans[i+1].Frame)
		}
		if y1 < y0 {
			y1 = y0
		}
		l.tag("g", true)
		l.title(stateHover(s))
		l.bar(at, y0, y1, s)
		free = l.label(left, y0, free, s)
		l.end("g")
		free = l.countdown(left, y0, y1, free, s)
	}
	for _, g := range l.gaps {
		l.rect(at-2, g-3, laneWidth+4, 6, "bg")
		for _, d := range []float64{-3, 3} {
			l.path("M"+num(at-2)+" "+num(g+d+2)+"l5.3 -4l5.3 4l5.3 -4", "ln")
		}
	}
	return max(free+4, bottom)
}

// bar draws a state: each kind has a pattern of its own.
func (l *ladder) bar(x, y0, y1 float64, s *report.Span) {
	dash := []string{}
	if s.Assumed {
		dash = []string{"stroke-dasharray", "3 2"}
	}
	fill := func(name string) []string { return append([]string{"fill", "url(#" + l.o.ID + name + ")"}, dash...) }
	h := y1 - y0
	switch s.State {
	case "CLOSED":
		l.line(x+laneWidth/2, y0, x+laneWidth/2, y1, "thin", append([]string{"stroke-dasharray", "2 4"}, dash...)[:2]...)
		l.line(x+2, y0, x+laneWidth-2, y0, "ln")
		return
	case "?":
		l.text(x+laneWidth/2, y0+10, "middle", "dim", "?")
		l.line(x+laneWidth/2, y0+14, x+laneWidth/2, max(y1, y0+14), "thin", "stroke-dasharray", "1 3")
		return
	case "ESTABLISHED":
		l.rect(x, y0, laneWidth, h, "est")
	case "SYN_SENT", "SYN_RECV":
		l.rect(x, y0, laneWidth, h, "", fill("dots")...)
	case "TIME_WAIT":
		l.rect(x, y0, laneWidth, h, "", fill("bars")...)
	default:
		l.rect(x, y0, laneWidth, h, "", fill("hatch")...)
	}
	l.rect(x, y0, laneWidth, h, "ln", dash...)
}

// label names a state beside its lane.
func (l *ladder) label(left bool, y, free float64, s *report.Span) float64 {
	lines := []string{s.State}
	if s.Assumed {
		lines = append(lines, "(assumed)")
	}
	if len(s.EndsS) == 2 {
		lines = append(lines, "for "+timer(s.EndsS[0]-s.FromS, s.EndsS[1]-s.FromS))
	}
	at := max(y+4, free+2)
	for i, t := range lines {
		class := "small"
		if i > 0 {
			class = "small dim"
		}
		at = l.beside(left, at, class, t)
	}
	return at
}

// beside writes lines next to a lane and returns the y behind them.
func (l *ladder) beside(left bool, y float64, class, s string) float64 {
	for _, t := range wrap([]string{s}, " ", labelWidth-4, small) {
		y += 11
		if left {
			l.text(l.left-laneWidth-4, y, "end", class, t)
		} else {
			l.text(l.right+laneWidth+4, y, "start", class, t)
		}
	}
	return y
}

// countdown says at the frames how long a state's timer still runs.
func (l *ladder) countdown(left bool, y0, y1, free float64, s *report.Span) float64 {
	if len(s.EndsS) != 2 {
		return free
	}
	said := math.Inf(1)
	for _, k := range l.knots {
		if k.y <= y0 || k.y > y1+0.1 || k.at <= s.FromS {
			continue
		}
		rest := s.EndsS[0] - k.at
		if said-rest < 1 && rest > 0 || k.y-8 < free {
			continue
		}
		said = rest
		t := fmt.Sprintf("%.1f s left", rest)
		if rest <= 0 {
			t = "may be over"
			if k.at > s.EndsS[1] {
				t = "over"
			}
		}
		free = l.beside(left, k.y-8, "small dim", t)
		if rest <= 0 {
			break
		}
	}
	return free
}

func timer(lo, hi float64) string {
	if math.Round(lo) == math.Round(hi) {
		return fmt.Sprintf("%.0f s", lo)
	}
	return fmt.Sprintf("%.0f-%.0f s", lo, hi)
}

func stateHover(s *report.Span) string {
	t := s.State + " from " + seconds(s.FromS) + " to " + seconds(s.ToS)
	if s.Frame != 0 {
		t += fmt.Sprintf("\nsince frame %d", s.Frame)
	}
	if len(s.EndsS) == 2 {
		t += "\nends by itself between " + seconds(s.EndsS[0]) + " and " + seconds(s.EndsS[1])
	}
	if s.Assumed {
		t += "\nassumed: no frame forces it"
	}
	if s.Note != "" {
		t += "\n" + s.Note
	}
	return t
}
