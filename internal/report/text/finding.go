package text

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// finding writes one screen: the question, the answer, and why.
func (p *printer) finding(f *report.Finding, mark string) {
	p.question(f, mark)
	p.answer(f)
	p.ladder(f)
	if f.Verdict.Cause != "" {
		p.reasons(f)
	} else {
		p.remaining(f)
	}
	p.consequences(f)
	p.rivals(f)
	p.settle(f.Settle)
	p.advice(f.Advice)
	if len(f.Warnings) > 0 {
		p.head("What limits this answer")
		p.warnings("-", f.Warnings)
	}
}

// head starts a section.
func (p *printer) head(s string) {
	p.blank()
	p.line(0, 2).words(bold, s).end()
}

func (p *printer) question(f *report.Finding, mark string) {
	p.line(0, len(mark)+1).words(dim, mark).words(bold, f.Asks).end()
	l := p.line(len(mark)+1, len(mark)+3)
	l.words(dim, "client").words(plain, f.Flow.Client).tab(l.col+3).words(dim, "server").words(plain, f.Flow.Server)
	l.tab(l.col+3).words(dim, f.Question)
	l.end()
	if len(f.Refs) > 0 {
		p.line(len(mark)+1, len(mark)+3).words(dim, frames(f.Frames)+" (in "+p.own(f.Refs)+")").end()
	}
}

// certainties are the words for how sure a verdict is, and what they mean.
var certainties = map[report.Certainty]struct {
	word, means string
	style       style
}{
	report.Certain: {"Certain:", "forced by the frames and the facts given", green},
	report.Likely:  {"Likely:", "stands apart, but a rival is not ruled out", yellow},
	report.Open:    {"Open:", "what was captured does not decide it", red},
}

// answer writes the verdict in one sentence, then whose doing it is, how much it
// matters and what its certainty means.
func (p *printer) answer(f *report.Finding) {
	v := &f.Verdict
	c, ok := certainties[v.Certainty]
	if !ok && v.Certainty != "" {
		c.word = string(v.Certainty) + ":"
	}
	p.blank()
	p.line(0, 2).words(c.style, c.word).words(plain, v.Says).end()
	var parts []string
	switch {
	case v.Cause != "" && c.means != "":
		parts = append(parts, "cause: "+v.Cause+" ("+c.means+")")
	case v.Cause != "":
		parts = append(parts, "cause: "+v.Cause)
	case c.means != "":
		parts = append(parts, c.means)
	}
	parts = append(parts, "at fault: "+faultWord(v.Fault))
	if s := severityWord(v.Severity); s != "" {
		parts = append(parts, s)
	}
	p.line(2, 2).words(dim, strings.Join(parts, "; ")).end()
}

// faultWord says in words whose doing it is.
func faultWord(f report.Fault) string {
	switch f {
	case report.ClientHost:
		return "the client's host"
	case report.ServerHost:
		return "the server's host"
	case report.ClientApplication:
		return "the client's application"
	case report.ServerApplication:
		return "the server's application"
	case report.Path:
		return "the path between them"
	case report.Nobody:
		return "nobody"
	case report.FaultUnknown, "":
		return "the capture cannot tell"
	}
	return string(f)
}

// severityWord says in words how much it matters; empty where it is not said.
func severityWord(s report.Severity) string {
	switch s {
	case report.Problem:
		return "a problem"
	case report.Notice:
		return "worth knowing"
	case report.Harmless:
		return "harmless"
	}
	return string(s)
}

// reasons shows the evidence of the cause that won.
func (p *printer) reasons(f *report.Finding) {
	i := slices.IndexFunc(f.Causes, func(c report.Cause) bool { return c.Cause == f.Verdict.Cause })
	if i < 0 {
		return
	}
	c := &f.Causes[i]
	if len(c.Evidence) == 0 && len(c.Assumes) == 0 {
		return
	}
	p.head("Why " + c.Cause)
	p.assumes(c.Assumes, 2)
	for i := range c.Evidence {
		p.evidence(&c.Evidence[i], 2, true)
	}
}

// assumes lists what a cause takes for granted.
func (p *printer) assumes(as []string, indent int) {
	for _, a := range as {
		p.line(indent, indent+9).words(yellow, "assumes").tab(indent+9).words(plain, a).end()
	}
}

// evidence writes the answer, the sentence, the frames and where the rule stands.
func (p *printer) evidence(e *report.Evidence, indent int, source bool) {
	l := p.line(indent, indent+9)
	switch e.Answer {
	case "yes":
		l.words(green, e.Answer)
	case "no":
		l.words(red, e.Answer)
	default:
		l.words(yellow, e.Answer)
	}
	l.tab(indent+9).words(plain, e.Says)
	l.frames(plain, e.Frames)
	if source && e.Source != "" {
		l.words(dim, "["+e.Source+"]")
	}
	l.end()
}

// maxShown bounds the stories told at length: a finding should fit on a screen.
const maxShown = 3

// near is how far behind the best a story may stand to be told at length, in
// decibans: within it a verdict stays open.
const near = 10

// nearest counts the stories between which the verdict cannot choose.
func nearest(stand []*report.Cause) int {
	n := 0
	for n < len(stand) && n < maxShown && stand[n].AgainstDB-stand[0].AgainstDB < near {
		n++
	}
	return n
}

// remaining shows the stories between which an open verdict cannot choose, in
// the order of the report, whose first ones are the nearest.
func (p *printer) remaining(f *report.Finding) {
	stand, _ := split(f)
	if len(stand) == 0 {
		return
	}
	p.head("What it may be")
	told := map[string]bool{}
	for _, c := range stand[:nearest(stand)] {
		p.line(2, 4).words(bold, c.Cause+":").words(plain, c.Says).end()
		p.assumes(c.Assumes, 4)
		for i := range c.Evidence {
			if e := &c.Evidence[i]; !told[e.Says] { // what two stories share is said once
				told[e.Says] = true
				p.evidence(e, 4, false)
			}
		}
	}
}

// split tells the causes beside the verdict's that still stand from those that are
// ruled out. One that fits beside the verdict is no rival but what came of it.
func split(f *report.Finding) (stand, out []*report.Cause) {
	for i := range f.Causes {
		switch c := &f.Causes[i]; {
		case f.Verdict.Cause != "" && c.Cause == f.Verdict.Cause, c.Stands == report.Fits:
		case c.Stands == report.RuledOut:
			out = append(out, c)
		default:
			stand = append(stand, c)
		}
	}
	return stand, out
}

// consequences tells what came of what the verdict says.
func (p *printer) consequences(f *report.Finding) {
	first := true
	for i := range f.Causes {
		c := &f.Causes[i]
		if c.Stands != report.Fits || c.Cause == f.Verdict.Cause {
			continue
		}
		if first {
			p.head("What came of it")
			first = false
		}
		p.line(2, 4).words(bold, c.Cause+":").words(plain, c.Says).end()
		for j := range c.Evidence {
			p.evidence(&c.Evidence[j], 4, false)
		}
	}
}

// rivals gives each other cause a line: those that still stand with what they
// would need, then the others with what rules them out.
func (p *printer) rivals(f *report.Finding) {
	stand, out := split(f)
	title := "Not ruled out"
	if f.Verdict.Cause == "" {
		stand = stand[nearest(stand):] // the first are told already
		title = "Not ruled out either"
	}
	if len(stand) > 0 {
		p.head(title)
		col := p.causeColumn(stand)
		for _, c := range stand {
			says := c.Says
			if len(c.Assumes) > 0 {
				says = "assumes " + strings.Join(c.Assumes, "; assumes ")
			}
			p.line(2, col).words(yellow, c.Cause).tab(col).words(plain, says).end()
		}
	}
	if len(out) > 0 {
		p.head("Ruled out")
		col := p.causeColumn(out)
		for i, c := range out {
			says, frames := reason(c)
			if slices.ContainsFunc(out[:i], func(d *report.Cause) bool { return sameReason(d, c) }) {
				continue // told with the first of them
			}
			names := []string{c.Cause}
			for _, d := range out[i+1:] {
				if sameReason(d, c) {
					names = append(names, d.Cause)
				}
			}
			l := p.line(2, col)
			if len(names) > 1 {
				p.line(2, 2).words(plain, strings.Join(names, ", ")).end()
			} else {
				l.words(plain, c.Cause)
			}
			l.tab(col).words(dim, says).frames(dim, frames).end()
		}
	}
}

// reason is what rules a cause out, in a sentence: its first evidence that says
// no, since evidence stands in the order of its weight, else what it says.
func reason(c *report.Cause) (string, []uint64) {
	if e := against(c); e != nil {
		return e.Says, e.Frames
	}
	return c.Says, nil
}

func sameReason(a, b *report.Cause) bool {
	x, _ := reason(a)
	y, _ := reason(b)
	return x == y && x != ""
}

// causeColumn returns where the text behind the causes' names starts. A very
// long name pushes its own line only.
func (p *printer) causeColumn(cs []*report.Cause) int {
	longest := 0
	for _, c := range cs {
		if n := utf8.RuneCountInString(Clean(c.Cause)); n <= 24 {
			longest = max(longest, n)
		}
	}
	return min(2+longest+2, p.width/2)
}

// against returns the first evidence that says no; nil where there is none.
func against(c *report.Cause) *report.Evidence {
	for i := range c.Evidence {
		if c.Evidence[i].Answer == "no" {
			return &c.Evidence[i]
		}
	}
	return nil
}

// settle lists the commands that decide; one with several outcomes is printed once.
func (p *printer) settle(ss []report.Settle) {
	if len(ss) == 0 {
		return
	}
	p.head("What settles it")
	for i := range ss {
		first := &ss[i]
		same := func(s report.Settle) bool { return s.On == first.On && s.Command == first.Command }
		if slices.IndexFunc(ss, same) < i {
			continue // printed with the first of them
		}
		l := p.line(2, 6).words(plain, "on the "+first.On+":").tab(18).whole(bold, first.Command)
		col := l.col + 3
		for j := i; j < len(ss); j++ {
			if same(ss[j]) {
				p.outcome(l, col, &ss[j])
				l = p.line(0, 6)
			}
		}
	}
}

// outcome writes what an answer of the command means, on a line of its own where the
// command leaves no room.
func (p *printer) outcome(l *line, col int, s *report.Settle) {
	whole := condition(s.If) + " → " + s.Then
	if col+utf8.RuneCountInString(Clean(whole)) > p.width {
		if l.col > 0 {
			l.end()
		}
		l, col = p.line(18, 22), 18
	}
	l.tab(col).words(plain, whole).end()
}

// condition words what a command shows: a bare number is the value of a setting.
func condition(s string) string {
	if _, err := strconv.ParseUint(s, 10, 64); err == nil {
		return "= " + s
	}
	return s
}

func (p *printer) advice(as []string) {
	if len(as) == 0 {
		return
	}
	p.head("What to do")
	for _, a := range as {
		p.line(2, 4).words(plain, "- "+a).end()
	}
}
