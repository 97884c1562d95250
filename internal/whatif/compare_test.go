package whatif

import (
	"bytes"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

func finding(question string, frame uint64, certainty report.Certainty, cause string, causes ...report.Cause) report.Finding {
	return report.Finding{
		Question: question, Asks: "Why " + question + "?", Flow: report.Flow{Client: "10.0.0.1:5", Server: "10.0.0.2:80"},
		Frames:  []uint64{frame, frame + 1},
		Verdict: report.Verdict{Certainty: certainty, Cause: cause, Says: "It was " + cause + "."},
		Causes:  causes,
	}
}

func TestCompare(t *testing.T) {
	open := report.Cause{Cause: "tw-recycle", Stands: report.StaysOpen, Says: "Recycled."}
	out := report.Cause{
		Cause: "tw-recycle", Stands: report.RuledOut, Says: "Not recycled.",
		Evidence: []report.Evidence{{Says: "time passed", Answer: "yes"}, {Says: "tcp_tw_recycle = 0\x1b[2J", Answer: "no"}},
	}
	before := &report.Report{Findings: []report.Finding{
		finding("stays", 3, report.Certain, "expired", open),
		finding("changes", 20, report.Open, "", open, report.Cause{Cause: "expired", Stands: report.StaysOpen}),
		finding("same-verdict", 9, report.Likely, "expired", out),
		finding("vanishes", 30, report.Likely, "lost"),
	}}
	after := &report.Report{Findings: []report.Finding{
		finding("same-verdict", 9, report.Likely, "expired", open),
		finding("appears", 40, report.Open, ""),
		finding("stays", 3, report.Certain, "expired", open),
		finding("changes", 20, report.Certain, "expired", out, report.Cause{Cause: "expired", Stands: report.Fits}),
	}}
	c := Compare(before, after)
	if c.FirstFrame != 9 || c.Findings != 4 || len(c.Changes) != 4 {
		t.Errorf("%+v", c)
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare", b.String())
}

func TestCompareNothing(t *testing.T) {
	r := &report.Report{Findings: []report.Finding{finding("stays", 3, report.Certain, "expired"), finding("too", 3, report.Open, "")}}
	for want, pair := range map[string][2]*report.Report{
		"The facts change nothing about 2 findings.\n":              {r, r},
		"There are no findings, without the facts and with them.\n": {{}, {}},
	} {
		var b bytes.Buffer
		c := Compare(pair[0], pair[1])
		if err := c.Write(&b); err != nil || b.String() != want || c.FirstFrame != 0 || c.Changes == nil {
			t.Errorf("%v: %q, want %q", err, b.String(), want)
		}
	}
}
