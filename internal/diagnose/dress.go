package diagnose

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// dress adds fault, severity, the commands that settle what stays open, and
// advice. about is the side that the commands are for by default.
func (q *asked) dress(f *finding, about string) {
	f.fault, f.severity = report.FaultUnknown, report.Notice
	if c, ok := causeOf(f.question, f.verdict.cause); ok {
		f.fault, f.severity = c.Fault, c.Severity
		f.advice = append(f.advice, c.Advice...)
	}
	for i := range f.aftermath {
		if c, ok := causeOf("reopened-challenged", f.aftermath[i].cause); ok && c.Severity == report.Problem {
			f.severity = report.Problem
			f.advice = append(f.advice, c.Advice...)
			if f.aftermath[i].cause == "rfc1337" || f.aftermath[i].cause == "rst-lost" {
				f.fault = c.Fault
			}
			f.settle = append(f.settle, q.commands(c)...)
		}
	}
	if f.verdict.certainty == report.Certain {
		return
	}
	best := -1
	for i := range f.stories {
		s := &f.stories[i]
		if !s.standing() {
			continue
		}
		if best < 0 {
			best = s.cost()
		}
		c, ok := causeOf(f.question, s.cause)
		if !ok || s.cost()-best > 25 {
			continue
		}
		for _, x := range q.commands(c) {
			if !slices.Contains(f.settle, x) {
				f.settle = append(f.settle, x)
			}
		}
		if f.verdict.cause == "" {
			for _, a := range c.Advice {
				if !slices.Contains(f.advice, a) && s.cost()-best < margin {
					f.advice = append(f.advice, a)
				}
			}
		}
	}
}

// commands fills the names of the two ends in.
func (q *asked) commands(c *Cause) []report.Settle {
	if len(c.Settle) == 0 {
		return nil
	}
	srv := &q.c.Ends[flow.Listener]
	ipv6 := !srv.Addr.Is4()
	client, port := q.c.Ends[flow.Opener].Addr.String(), strconv.Itoa(int(srv.Port))
	out := make([]report.Settle, 0, len(c.Settle))
	for _, s := range c.Settle {
		if ipv6 { // tcp[…] reads no IPv6 header
			s.Command = strings.ReplaceAll(s.Command, "'host CLIENT and port PORT and tcp[tcpflags] & tcp-rst != 0'", "host CLIENT and port PORT")
			s.Command = strings.ReplaceAll(s.Command, "'tcp[tcpflags] & tcp-rst != 0'", "host CLIENT and port PORT")
		}
		if strings.Contains(s.If, "LOSING") {
			s.If = strings.ReplaceAll(s.If, "LOSING", q.losing())
		}
		s.Command = fill(s.Command, client, port)
		out = append(out, s)
	}
	return out
}

// losing names the kernels that lose the ISN which TIME_WAIT chooses, for the family
// of this connection.
func (q *asked) losing() string {
	return q.e.keepersOf(!q.c.Ends[flow.Listener].Addr.Is4()).lose
}

func onOpenerLine(old flow.Mark, syn *flow.Frame) listen.Line {
	return listen.OnClockLine(old.Num, syn.Seq, syn.Point().Since(old.Point), 0)
}
