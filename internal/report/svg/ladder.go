package svg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Ladder draws the deciding frames of a finding from top to bottom, between the two ends'
// states. Time is not to scale: a stretch without frames is one row that says how long it
// is. It is nil where the finding has no steps.
func Ladder(f *report.Finding, o Options) []byte {
	if len(f.Ladder) == 0 {
		return nil
	}
	l := &ladder{canvas: newCanvas(o), f: f}
	l.columns()
	y := l.caption(f)
	y = l.ends(y + 16)
	l.top = y
	for _, r := range l.rows() {
		y = l.row(r, y)
	}
	y = l.lanes(y + 10)
	return l.picture(y+margin, "Ladder: "+f.Asks, l.describe())
}

// knot is where a moment lies in the picture.
type knot struct{ at, y float64 }

type ladder struct {
	*canvas
	f *report.Finding
	// left and right are the inner edges of the lanes, meta is how wide the column of
	// numbers and times is; 0 where it has no room of its own.
	meta, left, right float64
	top               float64
	knots             []knot
	frames            map[uint64]float64
	gaps              []float64 // where lanes are broken
}

const (
	laneWidth  = 12.0
	labelChars = 12
	narrow     = 620.0
)

var labelWidth = labelChars*small*charWidth + 4

// columns shares the width out.
func (l *ladder) columns() {
	l.frames = map[uint64]float64{}
	if l.w >= narrow {
		for i := range l.f.Ladder {
			s := &l.f.Ladder[i]
			if s.Frame != 0 {
				l.meta = max(l.meta, width("* "+strconv.FormatUint(s.Frame, 10)+" "+seconds(s.AtS), small))
			}
		}
		l.meta = min(l.meta, 190) + 6
	}
	l.left = margin + l.meta + labelWidth + laneWidth
	l.right = l.w - margin - labelWidth - laneWidth
	if len(l.f.Lanes) == 0 {
		l.left, l.right = margin+l.meta+laneWidth, l.w-margin-laneWidth
	}
}

// ends names the two ends above their lanes.
func (l *ladder) ends(y float64) float64 {
	a, b := "client "+l.f.Flow.Client, "server "+l.f.Flow.Server
	if width(a, normal)+width(b, normal)+20 < l.w-l.meta-2*margin {
		l.text(margin+l.meta, y, "start", "bold", a)
		l.text(l.w-margin, y, "end", "bold", b)
		return y + 8
	}
	y = l.paragraph(margin, y, l.w-2*margin, "bold", a)
	for _, s := range wrap(strings.Fields(b), " ", l.w-2*margin, normal) {
		l.text(l.w-margin, y, "end", "bold", s)
		y += lineHeight
	}
	return y - 4
}

// row is a step, or what stands in place of several.
type row struct {
	step *report.Step
	// says is the text of a row that is no frame.
	says string
	gap  bool
}

// rows lists what is shown: connections' beginnings, frames, gaps, folds.
func (l *ladder) rows() []row {
	var out []row
	incarnation := 0
	hidden := folded(l.f.Ladder, l.o.Rows)
	for i := range l.f.Ladder {
		s := &l.f.Ladder[i]
		if n := hidden[i]; n != 0 {
			if n > 0 {
				out = append(out, row{says: fmt.Sprintf("… %d frames not drawn …", n), gap: true})
			}
			continue
		}
		if s.Incarnation != 0 && s.Incarnation != incarnation {
			incarnation = s.Incarnation
			out = append(out, row{says: "connection " + strconv.Itoa(incarnation) + " on these ports" + l.id(incarnation)})
		}
		if s.Frame == 0 {
			out = append(out, row{step: s, says: s.Note, gap: true})
			continue
		}
		out = append(out, row{step: s})
	}
	return out
}

// id names an incarnation's connection, where the finding has one for each.
func (l *ladder) id(n int) string {
	most := 0
	for i := range l.f.Ladder {
		most = max(most, l.f.Ladder[i].Incarnation)
	}
	if most != len(l.f.ConnectionIDs) || n < 1 {
		return ""
	}
	return " (" + l.f.ConnectionIDs[n-1] + ")"
}

// folded tells which steps of a long ladder are left out: all but the beginning, the
// end, and the surroundings of what is asked about. The first of a row of them has the
// number of its frames, the others -1.
func folded(steps []report.Step, rows int) []int {
	out := make([]int, len(steps))
	if rows == 0 {
		rows = 60
	}
	if rows < 0 || len(steps) <= rows {
		return out
	}
	keep := make([]bool, len(steps))
	near := max(rows/12, 1)
	asked := 0
	for i := range steps {
		if i < rows/4 || i >= len(steps)-rows/4 {
			keep[i] = true
		}
		if steps[i].Asked && asked < rows/4 {
			asked++
			for j := max(i-near, 0); j <= min(i+near, len(steps)-1); j++ {
				keep[j] = true
			}
		}
	}
	first := -1
	for i := range steps {
		if keep[i] {
			first = -1
			continue
		}
		out[i] = -1
		if first < 0 {
			first, out[i] = i, 0
		}
		if steps[i].Frame != 0 {
			out[first]++
		}
		if out[first] == 0 {
			out[first] = -1
		} else if out[first] < 0 {
			out[first] = 1
		}
	}
	return out
}

// row draws one row below y and returns where it ends.
func (l *ladder) row(r row, y float64) float64 {
	mid := (l.left + l.right) / 2
	if r.step == nil || r.step.Frame == 0 {
		class := "small dim"
		words := strings.Fields(r.says)
		y += 4
		if !r.gap {
			l.line(l.left+4, y+2, l.right-4, y+2, "thin", "stroke-dasharray", "1 3")
		} else {
			l.gaps = append(l.gaps, y+lineHeight/2+4)
		}
		for _, s := range wrap(words, " ", l.right-l.left-2*laneWidth, small) {
			y += lineHeight
			l.text(mid, y, "middle", class, s)
		}
		return y + 6
	}
	return l.frame(r.step, y)
}

// frame draws the row of a frame: its text, and the arrow below it.
func (l *ladder) frame(s *report.Step, y float64) float64 {
	number := strconv.FormatUint(s.Frame, 10)
	bold := ""
	if s.Asked {
		number, bold = "* "+number, "bold"
	}
	var lines []string
	if l.meta == 0 {
		lines = append(lines, wrap([]string{number, seconds(s.AtS)}, " ", l.right-l.left-8, normal)...)
	}
	heads := len(lines)
	lines = append(lines, wrap(tokens(s), separator(s), l.right-l.left-8, normal)...)
	notes := wrap(strings.Fields(s.Note), " ", l.right-l.left-8, small)
	height := float64(len(lines)+len(notes))*lineHeight + 12
	attrs := []string{"class", "row"}
	if _, twice := l.frames[s.Frame]; !twice {
		attrs = append(attrs, "id", l.o.ID+"frame-"+strconv.FormatUint(s.Frame, 10))
	}
	l.tag("g", true, attrs...)
	l.title(hover(s))
	if s.Asked {
		l.rect(l.left+1, y+1, l.right-l.left-2, height-1, "asked", "rx", "3")
	}
	l.rect(l.left+1, y+1, l.right-l.left-2, height-1, "hit", "rx", "3")
	arrow := y + height - 6
	if l.meta > 0 {
		l.text(margin, arrow+3, "start", strings.TrimSpace("small "+bold), number)
		l.text(margin+l.meta-6, arrow+3, "end", "small dim", seconds(s.AtS))
	}
	at := y + 1
	mid := (l.left + l.right) / 2
	for i, t := range lines {
		at += lineHeight
		class := bold
		if i < heads {
			class = strings.TrimSpace("dim " + bold)
		}
		l.text(mid, at-2, "middle", class, t)
	}
	for _, t := range notes {
		at += lineHeight
		l.text(mid, at-2, "middle", "small dim", t)
	}
	l.arrow(s, arrow)
	l.end("g")
	l.frames[s.Frame] = arrow
	l.knots = append(l.knots, knot{s.AtS, arrow})
	return y + height
}

// arrow draws the frame's way.
func (l *ladder) arrow(s *report.Step, y float64) {
	if s.From == "" {
		return
	}
	stroke, fill, dash := "ln", "ink", ""
	switch flags := flagsOf(s); {
	case strings.Contains(flags, "R"):
		stroke, fill, dash = "rst", "hrst", "5 3"
	case strings.Contains(flags, "S"):
		stroke, fill = "syn", "hsyn"
	case strings.Contains(flags, "F"):
		stroke, fill = "fin", "hfin"
	}
	more := []string{"stroke-width", "1.5"}
	if dash != "" {
		more = append(more, "stroke-dasharray", dash)
	}
	a, b := l.left+2, l.right-2
	if s.From == "server" {
		l.line(a+6, y, b, y, stroke, more...)
		l.head(a, y, false, fill)
		return
	}
	l.line(a, y, b-6, y, stroke, more...)
	l.head(b, y, true, fill)
}

// flagsOf returns a frame's flags.
func flagsOf(s *report.Step) string {
	if s.Fields != nil {
		return s.Fields.Flags
	}
	flags, _, _ := strings.Cut(s.Segment, " ")
	return flags
}

// tokens are what stands over an arrow; a line may end between any two.
func tokens(s *report.Step) []string {
	f := s.Fields
	if f == nil {
		return strings.Fields(s.Segment)
	}
	u := func(name string, n uint32) string { return name + " " + strconv.FormatUint(uint64(n), 10) }
	out := []string{f.Flags + " " + u("seq", f.Seq)}
	if strings.Contains(f.Flags, ".") {
		out = append(out, u("ack", f.Ack))
	}
	if f.Len > 0 {
		out = append(out, u("len", f.Len))
	}
	out = append(out, u("win", uint32(f.Window)))
	if f.TSVal != nil {
		out = append(out, u("TSval", *f.TSVal))
	}
	if f.TSEcr != nil {
		out = append(out, u("ecr", *f.TSEcr))
	}
	if f.Relative {
		out = append(out, "(relative numbers)")
	}
	return out
}

// separator stands between tokens on one line.
func separator(s *report.Step) string {
	if s.Fields == nil {
		return " "
	}
	return ", "
}

// hover is all that is known of a frame.
func hover(s *report.Step) string {
	to := map[string]string{"client": "server", "server": "client"}[s.From]
	lines := []string{"frame " + strconv.FormatUint(s.Frame, 10) + "  " + seconds(s.AtS)}
	if s.Time != "" {
		lines = append(lines, s.Time)
	}
	if s.From != "" {
		lines = append(lines, s.From+" > "+to)
	}
	lines = append(lines, strings.Join(tokens(s), separator(s)))
	if s.Fields != nil {
		if s.Segment != "" {
			lines = append(lines, s.Segment)
		}
		var more []string
		if s.Fields.TTL != 0 {
			more = append(more, fmt.Sprintf("TTL %d", s.Fields.TTL))
		}
		if s.Fields.IPID != 0 {
			more = append(more, fmt.Sprintf("IP ID %d", s.Fields.IPID))
		}
		if s.Fields.MSS != 0 {
			more = append(more, fmt.Sprintf("MSS %d", s.Fields.MSS))
		}
		lines = append(lines, strings.Join(more, "  "))
	}
	if s.Asked {
		lines = append(lines, "asked about")
	}
	lines = append(lines, s.Note)
	return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), "\n")
}

// describe is the picture in words.
func (l *ladder) describe() string {
	var b strings.Builder
	b.WriteString(string(l.f.Verdict.Certainty) + ": " + l.f.Verdict.Says)
	for i := range l.f.Lanes {
		b.WriteString("\nStates of the " + l.f.Lanes[i].End + ":")
		for j := range l.f.Lanes[i].Spans {
			s := &l.f.Lanes[i].Spans[j]
			if j > 0 {
				b.WriteString(",")
			}
			b.WriteString(" " + s.State + " from " + seconds(s.FromS))
			if s.Assumed {
				b.WriteString(" (assumed)")
			}
		}
		b.WriteString(".")
	}
	b.WriteString("\nFrames:")
	for i, s := range l.f.Ladder {
		if s.Frame == 0 || i > 40 {
			continue
		}
		fmt.Fprintf(&b, " %d %s %s %s;", s.Frame, seconds(s.AtS), s.From, flagsOf(&s))
	}
	return b.String()
}
