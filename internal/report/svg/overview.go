package svg

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// most connections and causes that an overview draws.
const (
	mostCauses = 14
	mostBars   = 400
)

// Overview draws the connections that findings name over the time of the capture, a row for
// each answer, the worst first. It is nil where there is no finding or no time.
func Overview(r *report.Report, o Options) []byte {
	v := &overview{canvas: newCanvas(o), r: r}
	if !v.times() {
		return nil
	}
	v.group()
	y := 18.0
	head := fmt.Sprintf("%d connections, %d findings", r.Capture.Connections, len(r.Findings))
	if !o.Embedded {
		y = v.paragraph(margin, y, v.w-2*margin, "bold", strings.Join(r.Capture.Sources, ", ")+": "+head)
	}
	shown := v.groups
	if len(shown) > mostCauses {
		shown = shown[:mostCauses]
	}
	for i := range shown {
		y = v.row(&shown[i], y)
	}
	if n := len(v.groups) - len(shown); n > 0 {
		y = v.paragraph(margin, y+12, v.w-2*margin, "dim", fmt.Sprintf("and %d more kinds of findings", n)) - 12
	}
	y = v.axis(y)
	return v.picture(y+margin, "Overview: "+head, v.describe())
}

type overview struct {
	*canvas
	r        *report.Report
	from, to float64 // Unix seconds
	groups   []group
}

// group is the findings with one answer.
type group struct {
	says     string
	severity report.Severity
	findings []*report.Finding
}

// seconds of an RFC 3339 time; NaN where it is none.
func unix(s string) float64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return math.NaN()
	}
	return float64(t.UnixNano()) / 1e9
}

// times finds the capture's span.
func (v *overview) times() bool {
	v.from, v.to = unix(v.r.Capture.First), unix(v.r.Capture.Last)
	return len(v.r.Findings) > 0 && v.to >= v.from
}

func rank(s report.Severity) int {
	switch s {
	case report.Problem:
		return 0
	case report.Notice:
		return 1
	case report.Harmless:
		return 3
	}
	return 2
}

func (v *overview) group() {
	at := map[string]int{}
	for i := range v.r.Findings {
		f := &v.r.Findings[i]
		says := f.Question + ": " + f.Verdict.Cause
		if f.Verdict.Cause == "" {
			says = f.Question + ": open"
		}
		says += ", " + string(f.Verdict.Severity)
		if _, ok := at[says]; !ok {
			at[says] = len(v.groups)
			v.groups = append(v.groups, group{says: says, severity: f.Verdict.Severity})
		}
		g := &v.groups[at[says]]
		g.findings = append(g.findings, f)
	}
	sort.SliceStable(v.groups, func(a, b int) bool {
		x, y := &v.groups[a], &v.groups[b]
		if rank(x.severity) != rank(y.severity) {
			return rank(x.severity) < rank(y.severity)
		}
		return len(x.findings) > len(y.findings)
	})
}

func (v *overview) px(t float64) float64 {
	w := v.w - 2*margin
	if !(v.to > v.from) {
		return margin + w/2
	}
	return margin + w*clamp((t-v.from)/(v.to-v.from))
}

// row draws the connections of one answer: bars from opening to end, and a mark where
// the frames asked about lie.
func (v *overview) row(g *group, y float64) float64 {
	conns := map[string]*report.Connection{}
	for i := range v.r.Connections {
		conns[v.r.Connections[i].ID] = &v.r.Connections[i]
	}
	y = v.paragraph(margin, y+8, v.w-2*margin, "", fmt.Sprintf("%d × %s", len(g.findings), g.says)) - 8
	class, mark := "hsyn", "syn"
	switch g.severity {
	case report.Problem:
		class, mark = "hrst", "rst"
	case report.Harmless:
		class, mark = "est", "ln"
	case report.Notice:
	}
	lanes := min(max(len(g.findings), 1), 6)
	for i, f := range g.findings {
		if i >= mostBars {
			break
		}
		top := y + float64(i%lanes)*7
		v.tag("g", true)
		v.title(f.ID + ": " + f.Flow.Client + " > " + f.Flow.Server + "\n" + f.Verdict.Says)
		for _, id := range f.ConnectionIDs {
			c := conns[id]
			if c == nil {
				continue
			}
			a := unix(c.Opened)
			if math.IsNaN(a) {
				continue
			}
			x0, x1 := v.px(a), v.px(a+max(c.DurationS, 0))
			v.rect(min(x0, v.w-margin-2), top, max(x1-x0, 2), 5, class)
		}
		if t := askedAt(f); !math.IsNaN(t) {
			x := v.px(t)
			v.path("M"+num(x)+" "+num(top-2)+"v9", mark, "stroke-width", "2")
		}
		v.end("g")
	}
	return y + float64(lanes)*7 + 6
}

// askedAt is when the first frame asked about was seen.
func askedAt(f *report.Finding) float64 {
	for i := range f.Ladder {
		if f.Ladder[i].Asked {
			return unix(f.Ladder[i].Time)
		}
	}
	return math.NaN()
}

func (v *overview) axis(y float64) float64 {
	y += 4
	v.line(margin, y, v.w-margin, y, "ln")
	if v.to > v.from {
		for _, t := range ticks(0, v.to-v.from, int(v.w/110)) {
			x := v.px(v.from + t)
			v.line(x, y, x, y+4, "ln")
			v.text(x, y+16, "middle", "small dim", fmt.Sprintf("%g s", t))
		}
	}
	return v.paragraph(margin, y+32, v.w-2*margin, "small dim", "seconds since "+v.r.Capture.First+"; a bar is a connection, a stroke the first frame asked about")
}

func (v *overview) describe() string {
	var b strings.Builder
	for i := range v.groups {
		fmt.Fprintf(&b, "%d findings: %s. ", len(v.groups[i].findings), v.groups[i].says)
	}
	return strings.TrimSpace(b.String())
}
