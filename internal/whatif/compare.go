package whatif

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// CompareSchema names the version of the JSON contract of Comparison.
const CompareSchema = "tcpwhy.whatif-capture/1"

// Comparison is what other facts change about a capture's findings.
type Comparison struct {
	Schema   string `json:"schema"`
	Findings int    `json:"findings"` // without the facts
	// FirstFrame is the first frame asked about of which something else is said; 0: none.
	FirstFrame uint64   `json:"first_frame,omitempty"`
	Changes    []Change `json:"changes"`
}

// Change is a finding that comes out otherwise. A verdict is nil where the
// question is not raised.
type Change struct {
	Question string          `json:"question"`
	Asks     string          `json:"asks"`
	Flow     report.Flow     `json:"flow"`
	Frames   []uint64        `json:"frames"`
	Before   *report.Verdict `json:"before"`
	After    *report.Verdict `json:"after"`
	// Causes are those that stand otherwise.
	Causes []CauseChange `json:"causes"`
}

// CauseChange is a cause that stands otherwise; Stands is empty where it was not tried.
type CauseChange struct {
	Cause  string        `json:"cause"`
	Before report.Stands `json:"before"`
	After  report.Stands `json:"after"`
	// Says and Evidence tell what speaks against it, in the report in which it is
	// ruled out.
	Says     string           `json:"says,omitempty"`
	Evidence *report.Evidence `json:"evidence,omitempty"`
}

// Compare holds a report against one of the same capture under other facts.
func Compare(before, after *report.Report) *Comparison {
	c := &Comparison{Schema: CompareSchema, Findings: len(before.Findings), Changes: []Change{}}
	for i := range before.Findings {
		f := &before.Findings[i]
		c.add(f, sameQuestion(after.Findings, f))
	}
	for i := range after.Findings {
		if f := &after.Findings[i]; sameQuestion(before.Findings, f) == nil {
			c.add(nil, f)
		}
	}
	slices.SortStableFunc(c.Changes, func(a, b Change) int { return int(first(a.Frames)) - int(first(b.Frames)) })
	if len(c.Changes) > 0 {
		c.FirstFrame = first(c.Changes[0].Frames)
	}
	return c
}

func first(frames []uint64) uint64 {
	if len(frames) == 0 {
		return 0
	}
	return slices.Min(frames)
}

// sameQuestion finds the finding that asks the same, nil where there is none.
func sameQuestion(fs []report.Finding, f *report.Finding) *report.Finding {
	for i := range fs {
		if g := &fs[i]; g.Question == f.Question && g.Flow == f.Flow && slices.Equal(g.Frames, f.Frames) {
			return g
		}
	}
	return nil
}

// add notes a finding if it differs; one of the two may be nil.
func (c *Comparison) add(before, after *report.Finding) {
	f := before
	if f == nil {
		f = after
	}
	ch := Change{Question: f.Question, Asks: f.Asks, Flow: f.Flow, Frames: f.Frames, Causes: []CauseChange{}}
	if before != nil {
		ch.Before = &before.Verdict
	}
	if after != nil {
		ch.After = &after.Verdict
	}
	if before != nil && after != nil {
		ch.Causes = causes(before, after)
		if before.Verdict == after.Verdict && len(ch.Causes) == 0 {
			return
		}
	}
	c.Changes = append(c.Changes, ch)
}

// causes lists the causes that stand otherwise, in the order of the report
// without the facts.
func causes(before, after *report.Finding) []CauseChange {
	out := []CauseChange{}
	seen := map[string]bool{}
	for _, f := range []*report.Finding{before, after} {
		for i := range f.Causes {
			name := f.Causes[i].Cause
			if seen[name] {
				continue
			}
			seen[name] = true
			b, a := causeOf(before, name), causeOf(after, name)
			if a.Stands == b.Stands {
				continue
			}
			ch := CauseChange{Cause: name, Before: b.Stands, After: a.Stands}
			switch report.RuledOut {
			case a.Stands:
				ch.Says, ch.Evidence = a.Says, against(a)
			case b.Stands:
				ch.Says, ch.Evidence = b.Says, against(b)
			}
			out = append(out, ch)
		}
	}
	return out
}

// causeOf returns a cause of the finding, an empty one where it was not tried.
func causeOf(f *report.Finding, name string) *report.Cause {
	i := slices.IndexFunc(f.Causes, func(c report.Cause) bool { return c.Cause == name })
	if i < 0 {
		return &report.Cause{}
	}
	return &f.Causes[i]
}

// against returns the first evidence that says no, nil where there is none.
func against(c *report.Cause) *report.Evidence {
	i := slices.IndexFunc(c.Evidence, func(e report.Evidence) bool { return e.Answer == "no" })
	if i < 0 {
		return nil
	}
	return &c.Evidence[i]
}

// Write prints the findings that differ. It returns the error of w.
func (c *Comparison) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	line := func(format string, args ...any) {
		fmt.Fprintln(b, text.Clean(fmt.Sprintf(format, args...)))
	}
	for i := range c.Changes {
		ch := &c.Changes[i]
		line("%s", ch.Asks)
		line("  %s > %s", ch.Flow.Client, ch.Flow.Server)
		line("  before  %s", verdict(ch.Before))
		line("  now     %s", verdict(ch.After))
		for _, k := range ch.Causes {
			line("  %s: %s, now %s%s", k.Cause, standing(k.Before), standing(k.After), reason(k))
		}
		b.WriteByte('\n')
	}
	switch n := len(c.Changes); {
	case c.Findings == 0 && n == 0:
		fmt.Fprintln(b, "There are no findings, without the facts and with them.")
	case n == 0:
		fmt.Fprintf(b, "The facts change nothing about %s.\n", count(c.Findings))
	default:
		fmt.Fprintf(b, "Of %s %d came out otherwise; the first frame of which something else is said is frame %d.\n", count(max(c.Findings, n)), n, c.FirstFrame)
	}
	return b.Flush()
}

func count(n int) string {
	if n == 1 {
		return "1 finding"
	}
	return strconv.Itoa(n) + " findings"
}

func verdict(v *report.Verdict) string {
	if v == nil {
		return "not asked"
	}
	s := string(v.Certainty)
	if v.Cause != "" {
		s += " " + v.Cause
	}
	if v.Says != "" {
		s += ": " + v.Says
	}
	return s
}

func standing(s report.Stands) string {
	if s == "" {
		return "not tried"
	}
	return strings.ReplaceAll(string(s), "-", " ")
}

// reason is what rules a cause out, in brackets; empty where nothing does.
func reason(k CauseChange) string {
	says := k.Says
	if k.Evidence != nil {
		says = k.Evidence.Says
	}
	switch {
	case says == "":
		return ""
	case k.After != report.RuledOut:
		return " (before: " + says + ")"
	}
	return " (" + says + ")"
}
