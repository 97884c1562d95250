package text

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

const (
	// maxPlain is how many findings need no summary in front: they fit on few screens.
	maxPlain = 8
	// maxAllFull is how many findings are told in full though they repeat each other, and
	// maxAlike how many that say the same of one server above that.
	maxAllFull = 20
	maxAlike   = 3
)

// brief picks the findings that get a line: in again those that say of the same
// server what others said, in harmless those beside which something matters. Both
// are nil where all is wanted.
func brief(r *report.Report, all bool) (again, harmless map[int]bool) {
	if all {
		return nil, nil
	}
	again, harmless = map[int]bool{}, map[int]bool{}
	type key struct {
		says   report.Says
		server string
	}
	seen := map[key]int{}
	matters := false
	for i := range r.Findings {
		f := &r.Findings[i]
		matters = matters || f.Matters()
		k := key{f.Says(), f.Flow.Server}
		seen[k]++
		if len(r.Findings) > maxAllFull && seen[k] > maxAlike {
			again[i] = true
		}
	}
	for i := range r.Findings {
		if matters && !r.Findings[i].Matters() {
			harmless[i] = true
			delete(again, i)
		}
	}
	return again, harmless
}

// findings writes those that need room, then the others, a line each.
func (p *printer) findings(r *report.Report, all bool) {
	again, harmless := brief(r, all)
	for i := range r.Findings {
		if !again[i] && !harmless[i] {
			p.blank()
			p.finding(&r.Findings[i], markOf(r, i))
		}
	}
	p.briefs(r, "More of what is told above (--all tells it in full)", again, false)
	p.briefs(r, "Harmless (--all tells it in full)", harmless, true)
}

// briefs writes a section of findings, a line each; with reasons the first of those
// that say the same says why.
func (p *printer) briefs(r *report.Report, title string, which map[int]bool, reasons bool) {
	if len(which) == 0 {
		return
	}
	p.head(title)
	var markWidth, flowWidth int
	for i := range r.Findings {
		if which[i] {
			markWidth = max(markWidth, utf8.RuneCountInString(markOf(r, i)))
			flowWidth = max(flowWidth, min(44, utf8.RuneCountInString(flowWord(&r.Findings[i]))))
		}
	}
	said := map[report.Says]bool{}
	for i := range r.Findings {
		if !which[i] {
			continue
		}
		f := &r.Findings[i]
		mark := markOf(r, i)
		col := 2 + markWidth + 1
		l := p.line(2+markWidth-utf8.RuneCountInString(mark), col+2).words(dim, mark)
		l.words(plain, flowWord(f))
		l.tab(col+flowWidth+2).words(plain, f.Question+":").words(plain, causeWord(f.Verdict.Cause, f.Verdict.Certainty)).frames(dim, firstFrame(f))
		l.end()
		if reasons && !said[f.Says()] {
			said[f.Says()] = true
			p.line(col+2, col+2).words(dim, f.Verdict.Says).end()
		}
	}
}

// firstFrame is where to find a finding that gets a line only.
func firstFrame(f *report.Finding) []uint64 { return f.Frames[:min(1, len(f.Frames))] }

func flowWord(f *report.Finding) string { return Clean(f.Flow.Client + " → " + f.Flow.Server) }

// causeWord is an answer in two words.
func causeWord(cause string, c report.Certainty) string {
	if cause == "" {
		return string(c)
	}
	return cause + ", " + string(c)
}

// markOf numbers a finding among all, those included that were not selected: its id
// says where it stands, and r.Findings[i] is counted where that is of another form.
func markOf(r *report.Report, i int) string {
	n := i + 1
	if id, ok := strings.CutPrefix(r.Findings[i].ID, "f"); ok {
		if v, err := strconv.Atoi(id); err == nil && v > 0 {
			n = v
		}
	}
	return "[" + strconv.Itoa(n) + "/" + strconv.Itoa(len(r.Findings)+max(0, r.HiddenFindings)) + "]"
}

// groups writes the summary: a line for all that say the same, the worst first.
func (p *printer) groups(r *report.Report) {
	p.head("Summary (findings, what they say, whose doing it is, the first of them)")
	var count, says, fault int
	for i := range r.Summary {
		g := &r.Summary[i]
		count = max(count, len(strconv.Itoa(g.Findings)))
		says = max(says, min(56, utf8.RuneCountInString(groupWord(g))))
		fault = max(fault, min(28, utf8.RuneCountInString(Clean(faultWord(g.Fault)))))
	}
	for i := range r.Summary {
		g := &r.Summary[i]
		st := plain
		switch g.Severity {
		case report.Problem:
			st = red
		case report.Notice:
			st = yellow
		case report.Harmless:
			st = dim
		}
		n := strconv.Itoa(g.Findings)
		col := 2 + count + 2
		l := p.line(2+count-len(n), col+2).words(bold, n).tab(col).words(st, groupWord(g))
		l.tab(col+says+2).words(plain, faultWord(g.Fault))
		l.tab(col+says+2+fault+2).words(dim, g.First)
		l.end()
	}
}

// groupWord is what the findings of a group say.
func groupWord(g *report.Group) string {
	s := g.Question + ": " + causeWord(g.Cause, g.Certainty)
	if w := severityWord(g.Severity); w != "" {
		s += ", " + w
	}
	return Clean(s)
}
