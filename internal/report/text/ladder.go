package text

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

const (
	// maxSteps is how many steps are shown before the middle is left out: more than a
	// report should have.
	maxSteps = 48
	// headSteps of them are kept at the beginning, the rest at the end.
	headSteps = 20
	// gapS is the time without a frame that gets a line of its own, in seconds.
	gapS = 1.0
)

// columns are the positions within a rung.
type columns struct {
	frame, at int // widths
	from      int // column at which the sender stands
	segment   int // column at which the segment stands
	// refs are the frames' numbers within their own files, where there are several files.
	refs map[uint64]report.Ref
	// below: there is no room for a segment behind its sender, so that it stands below.
	below bool
}

// minSegment is how many columns a segment needs behind its sender.
const minSegment = 30

// ladder shows the deciding frames of all incarnations in their order.
func (p *printer) ladder(f *report.Finding) {
	if len(f.Ladder) == 0 {
		return
	}
	c := columns{refs: refs(f)}
	for i := range f.Ladder {
		if s := &f.Ladder[i]; s.Frame != 0 {
			c.frame = max(c.frame, len(strconv.FormatUint(s.Frame, 10)))
			c.at = max(c.at, len(at(s.AtS)))
		}
	}
	c.from = 2 + c.frame + 2 + c.at + 2
	c.segment = c.from + len("client > ")
	if p.width-c.segment < minSegment {
		c.below, c.segment = true, 4
	}
	p.head("The deciding frames (* asked about; seconds since the first; absolute numbers)")
	ids := incarnations(f)
	shown := elide(f.Ladder)
	incarnation := 0
	var last *report.Step
	for n, i := range shown {
		s := &f.Ladder[i]
		if n > 0 && shown[n-1] != i-1 {
			p.line(c.from, c.from).words(dim, "... "+plural(uint64(i-shown[n-1]-1), "step")+" left out ...").end()
			last = nil
		}
		// A gap that the report marks itself needs no second mark.
		if last != nil && last.Frame != 0 && s.Frame != 0 && s.AtS-last.AtS >= gapS {
			p.line(c.from, c.from).words(dim, "... "+seconds(s.AtS-last.AtS)+" later ...").end()
		}
		if s.Incarnation != 0 && s.Incarnation != incarnation {
			incarnation = s.Incarnation
			p.line(2, 2).words(dim, "connection "+strconv.Itoa(incarnation)+" on these ports"+ids[incarnation]).end()
		}
		p.rung(s, c)
		last = s
	}
}

// rung writes one step.
func (p *printer) rung(s *report.Step, c columns) {
	if s.Frame == 0 {
		l := p.line(c.from, c.from+4)
		if s.Time != "" {
			l = p.line(c.from-2-len(at(s.AtS)), c.from+4).whole(dim, at(s.AtS)).tab(c.from)
		}
		note := s.Note
		if !strings.HasPrefix(note, "…") && !strings.HasPrefix(note, "...") {
			note = "... " + note + " ..."
		}
		l.words(dim, note).end()
		return
	}
	number, st := strconv.FormatUint(s.Frame, 10), plain
	l := p.line(0, c.segment+2)
	if s.Asked {
		st = bold
		l.words(st, "*")
	}
	l.gap = 2 + c.frame - len(number) - l.col
	l.words(st, number)
	l.gap = 2 + c.at - len(at(s.AtS))
	l.whole(dim, at(s.AtS)).tab(c.from)
	if s.From != "" {
		l.whole(st, fmt.Sprintf("%-6s >", s.From))
	}
	if c.below {
		l.end()
		*l = line{p: p, hang: c.segment + 2, gap: c.segment}
	}
	l.segment(st, s.Segment)
	if r, ok := c.refs[s.Frame]; ok {
		l.words(dim, "["+p.own([]report.Ref{r})+"]")
	}
	if s.Note != "" {
		l.note(s.Note, c.segment+2)
	}
	l.end()
}

// segment adds a frame in packetdrill's notation, without the padding between the
// options: it takes room and tells nothing here. It may be broken at spaces
// before the options, then behind the commas between them, so that "TS val 7 ecr 0"
// stays together.
func (l *line) segment(st style, s string) {
	fixed, options, found := strings.Cut(s, " <")
	l.words(st, fixed)
	if !found {
		return
	}
	list, rest, _ := strings.Cut(options, ">")
	all := slices.DeleteFunc(strings.Split(list, ","), func(o string) bool { return o == "nop" || o == "eol" })
	for i, o := range all {
		if i == 0 {
			o = "<" + o
		} else {
			l.gap = 0
		}
		if i == len(all)-1 {
			o += ">"
		} else {
			o += ","
		}
		l.whole(st, o)
	}
	l.words(st, rest)
}

// note puts a remark behind the frame, or below it at column col where there is no room.
func (l *line) note(note string, col int) {
	if n := utf8.RuneCountInString(Clean(note)); l.col+3+n > l.p.width && l.col > col {
		l.end()
		*l = line{p: l.p, hang: col + 2, gap: col}
		l.words(dim, "^")
	} else {
		l.gap = 3
	}
	l.words(plain, note)
}

// at prints the time of a step.
func at(s float64) string {
	b := strconv.FormatFloat(s, 'f', 6, 64)
	if s >= 0 {
		b = "+" + b
	}
	return b + " s"
}

// incarnations names the connections of the finding by their incarnation, where
// the report gives one id for each; the ids are those that the list of connections shows.
func incarnations(f *report.Finding) map[int]string {
	var seen []int
	for i := range f.Ladder {
		if n := f.Ladder[i].Incarnation; n != 0 && (len(seen) == 0 || seen[len(seen)-1] < n) {
			seen = append(seen, n)
		}
	}
	ids := map[int]string{}
	if len(seen) == len(f.ConnectionIDs) {
		for i, n := range seen {
			ids[n] = " (" + f.ConnectionIDs[i] + ")"
		}
	}
	return ids
}

// refs collects what the finding tells about frames in their own files.
func refs(f *report.Finding) map[uint64]report.Ref {
	all := map[uint64]report.Ref{}
	add := func(frames []uint64, refs []report.Ref) {
		for i := range refs {
			if len(refs) == len(frames) {
				all[frames[i]] = refs[i]
			}
		}
	}
	add(f.Frames, f.Refs)
	for i := range f.Causes {
		for j := range f.Causes[i].Evidence {
			e := &f.Causes[i].Evidence[j]
			add(e.Frames, e.Refs)
		}
	}
	return all
}

// elide chooses the steps to show: all of a short ladder; of a long one the
// beginning, the end, and whatever is asked about. It returns their indices.
func elide(steps []report.Step) []int {
	var shown []int
	for i := range steps {
		if len(steps) <= maxSteps || i < headSteps || i >= len(steps)-(maxSteps-headSteps) || steps[i].Asked {
			shown = append(shown, i)
		}
	}
	return shown
}
