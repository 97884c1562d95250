package text

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Outline is a finding in the order in which it is told, for presenters with a markup
// of their own. Its strings are as the report has them: not escaped.
type Outline struct {
	*report.Finding
	// Why is the cause that the verdict names; nil where it is open.
	Why *report.Cause
	// MayBe are the causes between which an open verdict cannot choose.
	MayBe []*report.Cause
	// CameOfIt are causes that fit beside the verdict: what followed.
	CameOfIt []*report.Cause
	// Standing are the other causes that are not ruled out.
	Standing []*report.Cause
	// Out are the causes that are ruled out, those with the same reason together.
	Out []RuledOut
	// Commands are what settles it, those with several outcomes once.
	Commands []Command
}

// RuledOut is what rules out one or more causes.
type RuledOut struct {
	Causes []string
	Says   string
	Frames []uint64
}

// Command is a command on a host, and what each of its outcomes means.
type Command struct {
	On, Command string
	Outcomes    []Outcome
}

// Outcome says: if the command shows If, then the cause is Then.
type Outcome struct{ If, Then string }

// NewOutline arranges a finding.
func NewOutline(f *report.Finding) *Outline {
	o := &Outline{Finding: f}
	stand, out := split(f)
	if f.Verdict.Cause == "" {
		n := nearest(stand)
		o.MayBe, stand = stand[:n], stand[n:]
	}
	o.Standing = stand
	for i := range f.Causes {
		switch c := &f.Causes[i]; {
		case f.Verdict.Cause != "" && c.Cause == f.Verdict.Cause:
			if o.Why == nil {
				o.Why = c
			}
		case c.Stands == report.Fits:
			o.CameOfIt = append(o.CameOfIt, c)
		}
	}
	for _, c := range out {
		says, frames := reason(c)
		i := slices.IndexFunc(o.Out, func(r RuledOut) bool { return r.Says == says && says != "" })
		if i < 0 {
			o.Out = append(o.Out, RuledOut{Says: says, Frames: frames})
			i = len(o.Out) - 1
		}
		o.Out[i].Causes = append(o.Out[i].Causes, c.Cause)
	}
	for i := range f.Settle {
		s := &f.Settle[i]
		j := slices.IndexFunc(o.Commands, func(c Command) bool { return c.On == s.On && c.Command == s.Command })
		if j < 0 {
			o.Commands = append(o.Commands, Command{On: s.On, Command: s.Command})
			j = len(o.Commands) - 1
		}
		o.Commands[j].Outcomes = append(o.Commands[j].Outcomes, Outcome{condition(s.If), s.Then})
	}
	return o
}

// FaultWords says whose doing it is, in words.
func FaultWords(f report.Fault) string { return faultWord(f) }

// SeverityWords says how much it matters, in words; empty where that is not said.
func SeverityWords(s report.Severity) string { return severityWord(s) }

// CertaintyMeans says what a certainty means, in words; empty for one that is not known.
func CertaintyMeans(c report.Certainty) string { return certainties[c].means }

// Numbers says how much was read, and of which time: "14 packets, 14 TCP segments, 2
// connections, 70.0 s from …".
func Numbers(c *report.Capture) string {
	return plural(c.Packets, "packet") + ", " + plural(c.Segments, "TCP segment") + ", " + plural(c.Connections, "connection") + span(c.First, c.Last)
}

// Totals is the closing sentence of a report: how many findings there are, and of what kind.
func Totals(r *report.Report) string {
	var b bytes.Buffer
	p := &printer{w: bufio.NewWriter(&b), width: 1 << 20}
	p.summary(r)
	_ = p.w.Flush() // a buffer takes everything
	return strings.TrimSpace(b.String())
}

// Seconds prints a time as a person would say it.
func Seconds(s float64) string { return seconds(s) }

// At prints the time of a step of the ladder, in seconds since the first.
func At(s float64) string { return at(s) }

// WriteLadder writes the deciding frames of one finding of the report alone, a line each.
func WriteLadder(w io.Writer, r *report.Report, f *report.Finding, width int) error {
	p := &printer{w: bufio.NewWriter(w), width: max(width, minWidth), sources: r.Capture.Sources}
	p.ladder(f)
	return p.w.Flush()
}
