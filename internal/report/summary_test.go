package report

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func finding(id, question, cause string, c Certainty, f Fault, s Severity, conns ...string) Finding {
	return Finding{ID: id, Question: question, Verdict: Verdict{Certainty: c, Cause: cause, Fault: f, Severity: s}, ConnectionIDs: conns}
}

func TestSummarize(t *testing.T) {
	fs := []Finding{
		finding("f1", "reset", "late", Certain, Nobody, Harmless, "c1"),
		finding("f2", "stalled", "", Open, FaultUnknown, Notice, "c2"),
		finding("f3", "reset", "late", Certain, Nobody, Harmless, "c1", "c3"),
		finding("f4", "stalled", "zero-window", Likely, ServerApplication, Problem, "c4"),
		finding("f5", "connect-refused", "closed", Certain, ServerApplication, Problem, "c5"),
		finding("f6", "stalled", "lost", Likely, Path, Problem, "c6"),
		finding("f7", "stalled", "lost", Likely, Path, Problem, "c7"),
		finding("f8", "reset", "late", Certain, Nobody, "", "c8"),
	}
	want := []Group{
		{"connect-refused", "closed", Certain, ServerApplication, Problem, 1, 1, "f5"},
		{"stalled", "lost", Likely, Path, Problem, 2, 2, "f6"},
		{"stalled", "zero-window", Likely, ServerApplication, Problem, 1, 1, "f4"},
		{"stalled", "", Open, FaultUnknown, Notice, 1, 1, "f2"},
		{"reset", "late", Certain, Nobody, "", 1, 1, "f8"},
		{"reset", "late", Certain, Nobody, Harmless, 2, 2, "f1"},
	}
	if d := cmp.Diff(want, Summarize(fs)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := Quiet(10, fs); got != 4 { // c1, c3, c9, c10
		t.Errorf("%d quiet connections, want 4", got)
	}
	if got := Summarize(nil); got == nil || len(got) != 0 {
		t.Errorf("nothing is summarized as %#v", got)
	}
	if Quiet(3, nil) != 3 || Quiet(1, fs) != 0 {
		t.Error("quiet connections at the edges")
	}
}

// No finding is lost in a summary, and the worst is never below the better.
func TestSummarizeAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fs []Finding
		for i := range rapid.IntRange(0, 40).Draw(t, "findings") {
			fs = append(fs, finding("f"+strconv.Itoa(i+1),
				rapid.SampledFrom([]string{"reset", "stalled"}).Draw(t, "question"),
				rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "cause"),
				rapid.SampledFrom([]Certainty{Certain, Likely, Open}).Draw(t, "certainty"),
				rapid.SampledFrom([]Fault{Path, Nobody}).Draw(t, "fault"),
				rapid.SampledFrom([]Severity{Problem, Notice, Harmless}).Draw(t, "severity"),
				"c"+strconv.Itoa(rapid.IntRange(1, 9).Draw(t, "connection"))))
		}
		sum, last := 0, 0
		for _, g := range Summarize(fs) {
			if r := severityRank(g.Severity); r < last {
				t.Fatalf("%s stands below a better group", g.Severity)
			} else {
				last = r
			}
			if g.Connections < 1 || g.Connections > g.Findings {
				t.Fatalf("%d findings on %d connections", g.Findings, g.Connections)
			}
			sum += g.Findings
		}
		if sum != len(fs) {
			t.Fatalf("%d of %d findings are in the summary", sum, len(fs))
		}
	})
}
