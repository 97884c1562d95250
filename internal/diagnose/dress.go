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
		f.advice = append(f.mem.strings.take(len(c.Advice)+2), c.Advice...)
	}
	for i := range f.aftermath {
		if c, ok := causeOf("reopened-challenged", f.aftermath[i].cause); ok && c.Severity == report.Problem {
			f.severity = report.Problem
			f.advice = append(f.advice, c.Advice...)
			if f.aftermath[i].cause == "rfc1337" || f.aftermath[i].cause == "rst-lost" {
				f.fault = c.Fault
			}
			for i := range c.Settle {
				f.settle = append(f.settle, q.command(&c.Settle[i]))
			}
		}
	}
	if f.verdict.certainty == report.Certain {
		return
	}
	if f.settle == nil {
		f.settle = f.mem.settles.take(8)
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
		for j := range c.Settle {
			if x := q.command(&c.Settle[j]); !slices.Contains(f.settle, x) {
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

// command fills the names of the two ends in.
func (q *asked) command(of *report.Settle) report.Settle {
	s := *of
	srv := &q.c.Ends[flow.Listener]
	if !srv.Addr.Is4() { // tcp[…] reads no IPv6 header
		s.Command = strings.ReplaceAll(s.Command, "'host CLIENT and port PORT and tcp[tcpflags] & tcp-rst != 0'", "host CLIENT and port PORT")
		s.Command = strings.ReplaceAll(s.Command, "'tcp[tcpflags] & tcp-rst != 0'", "host CLIENT and port PORT")
	}
	if strings.Contains(s.If, "LOSING") {
		s.If = strings.ReplaceAll(s.If, "LOSING", q.losing())
	}
	if strings.Contains(s.Command, "CLIENT") || strings.Contains(s.Command, "PORT") {
		s.Command = strings.ReplaceAll(s.Command, "CLIENT", q.c.Ends[flow.Opener].Addr.String())
		s.Command = strings.ReplaceAll(s.Command, "PORT", strconv.Itoa(int(srv.Port)))
	}
	return s
}

// losing names the kernels that lose the ISN which TIME_WAIT chooses, for the family
// of this connection.
func (q *asked) losing() string {
	return q.e.keepersOf(!q.c.Ends[flow.Listener].Addr.Is4()).lose
}

func onOpenerLine(old flow.Mark, syn *flow.Frame) listen.Line {
	return listen.OnClockLine(old.Num, syn.Seq, syn.Point().Since(old.Point), 0)
}
