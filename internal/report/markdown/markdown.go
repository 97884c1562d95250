// Package markdown presents a report as GitHub-flavoured Markdown, to be pasted into a
// ticket. There is no raw HTML in it, and whatever a report says is text.
package markdown

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// Options say how the Markdown is to be made; there is nothing to choose yet but the width.
type Options struct {
	// LadderWidth is the column at which lines of the ladder break; 0: 100.
	LadderWidth int
}

// printer writes Markdown. Its writer remembers the first error.
type printer struct {
	*bufio.Writer
	r     *report.Report
	width int
}

// Write writes the report: what was read, a table of the findings where there are several, the
// worst first, and each of them. It returns the error of w, if any.
func Write(w io.Writer, r *report.Report, o Options) error {
	p := &printer{bufio.NewWriter(w), report.MapStrings(r, text.Clean), o.LadderWidth}
	if p.width <= 0 {
		p.width = 100
	}
	p.preface()
	order := make([]int, len(p.r.Findings))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return report.Worse(&p.r.Findings[a].Verdict, &p.r.Findings[b].Verdict)
	})
	if len(order) > 1 {
		p.list(order)
	}
	for _, i := range order {
		p.finding(&p.r.Findings[i])
	}
	p.connections()
	p.footer()
	return p.Flush()
}

// line writes a line of markup whose parts are escaped already.
func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

func (p *printer) preface() {
	c := &p.r.Capture
	p.line("# Why TCP did what it did")
	p.line("")
	var names []string
	for _, s := range c.Sources {
		names = append(names, code(s))
	}
	if len(names) > 0 {
		p.line("%s: %s.", strings.Join(names, ", "), esc(text.Numbers(c)))
	} else {
		p.line("%s.", esc(text.Numbers(c)))
	}
	p.line("")
	p.line("**%s**", esc(text.Totals(p.r)))
	p.warnings("What must be known before trusting this:", c.Warnings)
}

func (p *printer) warnings(title string, ws []report.Warning) {
	if len(ws) == 0 {
		return
	}
	p.line("")
	p.line("%s", title)
	p.line("")
	for _, w := range ws {
		s := esc(w.Says)
		if w.Frame != 0 {
			s += frames([]uint64{w.Frame})
		}
		if w.Code != "" {
			s += " " + code(w.Code)
		}
		p.line("- %s", s)
	}
}

// list is a table of the findings.
func (p *printer) list(order []int) {
	p.line("")
	p.line("| id | matters | how sure | question | answer | client | server |")
	p.line("|---|---|---|---|---|---|---|")
	for _, i := range order {
		f := &p.r.Findings[i]
		cause := code(f.Verdict.Cause)
		if f.Verdict.Cause == "" {
			cause = "open"
		}
		p.line("| %s | %s | %s | %s | %s | %s | %s |", cell(esc(f.ID)), cell(esc(text.SeverityWords(f.Verdict.Severity))), cell(esc(string(f.Verdict.Certainty))),
			cell(code(f.Question)), cell(cause), cell(code(f.Flow.Client)), cell(code(f.Flow.Server)))
	}
}

func (p *printer) finding(f *report.Finding) {
	o := text.NewOutline(f)
	v := &f.Verdict
	p.line("")
	p.line("## %s: %s", esc(f.ID), esc(f.Asks))
	p.line("")
	p.line("Client %s, server %s; %s%s", code(f.Flow.Client), code(f.Flow.Server), code(f.Question), frames(f.Frames))
	p.line("")
	p.line("> **%s:** %s", esc(capital(string(v.Certainty))), esc(v.Says))
	p.line(">")
	var parts []string
	if v.Cause != "" {
		parts = append(parts, "cause: "+code(v.Cause))
	}
	if m := text.CertaintyMeans(v.Certainty); m != "" {
		parts = append(parts, esc(m))
	}
	parts = append(parts, "at fault: "+esc(text.FaultWords(v.Fault)))
	if s := text.SeverityWords(v.Severity); s != "" {
		parts = append(parts, esc(s))
	}
	p.line("> %s", strings.Join(parts, "; "))
	p.ladder(f)
	if o.Why != nil && len(o.Why.Evidence)+len(o.Why.Assumes) > 0 {
		p.line("")
		p.line("### Why %s", esc(o.Why.Cause))
		p.line("")
		p.evidence(o.Why)
	}
	p.causes("What it may be", o.MayBe)
	p.causes("What came of it", o.CameOfIt)
	p.rivals(o)
	p.commands(o)
	if len(f.Advice) > 0 {
		p.line("")
		p.line("### What to do")
		p.line("")
		for _, a := range f.Advice {
			p.line("- %s", esc(a))
		}
	}
	p.warnings("### What limits this answer", f.Warnings)
}

// ladder shows the deciding frames as the terminal does, in a block without markup.
func (p *printer) ladder(f *report.Finding) {
	if len(f.Ladder) == 0 {
		return
	}
	var b bytes.Buffer
	_ = text.WriteLadder(&b, p.r, f, p.width) // a buffer takes everything
	p.line("")
	p.block(strings.Trim(b.String(), "\n"), "text")
}

func (p *printer) causes(title string, cs []*report.Cause) {
	if len(cs) == 0 {
		return
	}
	p.line("")
	p.line("### %s", title)
	for _, c := range cs {
		p.line("")
		p.line("**%s:** %s", esc(c.Cause), esc(c.Says))
		p.line("")
		p.evidence(c)
	}
}

func (p *printer) evidence(c *report.Cause) {
	for _, a := range c.Assumes {
		p.line("- *assumes*: %s", esc(a))
	}
	for i := range c.Evidence {
		e := &c.Evidence[i]
		p.line("- **%s**: %s%s", esc(e.Answer), esc(e.Says), frames(e.Frames))
	}
}

func (p *printer) rivals(o *text.Outline) {
	if len(o.Standing) > 0 {
		p.line("")
		p.line("### Not ruled out")
		p.line("")
		for _, c := range o.Standing {
			says := c.Says
			if len(c.Assumes) > 0 {
				says = "assumes " + strings.Join(c.Assumes, "; assumes ")
			}
			p.line("- %s: %s", code(c.Cause), esc(says))
		}
	}
	if len(o.Out) > 0 {
		p.line("")
		p.line("### Ruled out")
		p.line("")
		p.line("| cause | because |")
		p.line("|---|---|")
		for _, x := range o.Out {
			var names []string
			for _, c := range x.Causes {
				names = append(names, code(c))
			}
			p.line("| %s | %s%s |", cell(strings.Join(names, ", ")), cell(esc(x.Says)), frames(x.Frames))
		}
	}
}

func (p *printer) commands(o *text.Outline) {
	if len(o.Commands) == 0 {
		return
	}
	p.line("")
	p.line("### What settles it")
	for _, c := range o.Commands {
		p.line("")
		p.line("On the %s:", esc(c.On))
		p.line("")
		p.block(c.Command, "sh")
		p.line("")
		for _, x := range c.Outcomes {
			p.line("- %s → %s", esc(x.If), code(x.Then))
		}
	}
}

func (p *printer) connections() {
	if len(p.r.Connections) == 0 {
		return
	}
	p.line("")
	p.line("## Connections that are named")
	p.line("")
	p.line("| id | client | server | opened | lasted | frames | ended | history |")
	p.line("|---|---|---|---|---|---|---|---|")
	for i := range p.r.Connections {
		c := &p.r.Connections[i]
		p.line("| %s | %s | %s | %s | %s | %d to %d | %s | %s |", cell(esc(c.ID)), cell(code(c.Client)), cell(code(c.Server)), cell(esc(c.Opened)),
			text.Seconds(c.DurationS), c.FirstFrame, c.LastFrame, cell(esc(c.Ended)), cell(code(c.History)))
	}
}

func (p *printer) footer() {
	by := p.r.MadeBy
	if by == "" {
		by = "tcpwhy"
	}
	p.line("")
	p.line("---")
	p.line("")
	p.line("By %s, report contract %s. Frame numbers are those that Wireshark shows.", esc(by), code(p.r.Schema))
}

// frames names frames in brackets; empty where there are none.
func frames(fs []uint64) string {
	if len(fs) == 0 {
		return ""
	}
	s := " (frame"
	if len(fs) > 1 {
		s += "s"
	}
	for i, f := range fs {
		if i > 0 {
			s += ","
		}
		s += " " + strconv.FormatUint(f, 10)
	}
	return s + ")"
}

func capital(s string) string {
	if s == "" {
		return "Unknown"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
