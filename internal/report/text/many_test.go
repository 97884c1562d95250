package text

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// The summaries in the reports of the tests are those that are made of their findings.
func TestSummariesAgree(t *testing.T) {
	for _, name := range []string{"certain", "likely", "open", "none", "many", "selected", "hidden"} {
		r := load(t, "testdata/"+name+".json")
		want := report.Summarize(r.Findings)
		if len(want) != len(r.Summary) {
			t.Errorf("%s: %d groups, want %d", name, len(r.Summary), len(want))
			continue
		}
		for i := range want {
			if want[i] != r.Summary[i] {
				t.Errorf("%s: group %d is %+v, want %+v", name, i, r.Summary[i], want[i])
			}
		}
	}
}

// all makes n findings of one kind, which c changes.
func all(n int, c func(i int, f *report.Finding)) *report.Report {
	r := &report.Report{Capture: report.Capture{Connections: uint64(n)}}
	for i := range n {
		f := report.Finding{ID: "f" + strconv.Itoa(i+1), Question: "reset", Asks: "Why?", Verdict: report.Verdict{Certainty: report.Certain, Cause: "a", Severity: report.Problem}}
		f.Flow.Server = "s:1"
		c(i, &f)
		r.Findings = append(r.Findings, f)
	}
	r.Summary = report.Summarize(r.Findings)
	return r
}

// full counts the findings that are told in full.
func full(s string) int { return strings.Count(s, "\nCertain:") }

func TestBriefFindings(t *testing.T) {
	nothing := func(int, *report.Finding) {}
	harmless := func(_ int, f *report.Finding) { f.Verdict.Severity = report.Harmless }
	for _, c := range []struct {
		name    string
		n       int
		change  func(int, *report.Finding)
		want    int
		summary bool
	}{
		{"few", 8, nothing, 8, false},
		{"above a screenful", 9, nothing, 9, true},
		{"twenty", 20, nothing, 20, true},
		{"more", 21, nothing, 3, true},
		{"two servers", 21, func(i int, f *report.Finding) { f.Flow.Server += strconv.Itoa(i % 2) }, 6, true},
		{"all different", 30, func(i int, f *report.Finding) { f.Verdict.Cause += strconv.Itoa(i) }, 30, true},
		{"harmless alone", 2, harmless, 2, false},
		{"many harmless alone", 21, harmless, 3, true},
		{"harmless beside a notice", 5, func(i int, f *report.Finding) {
			if f.Verdict.Severity = report.Harmless; i == 4 {
				f.Verdict.Severity = report.Notice
			}
		}, 1, false},
	} {
		r := all(c.n, c.change)
		s := render(t, r, Options{})
		if got := full(s); got != c.want {
			t.Errorf("%s: %d of %d in full, want %d", c.name, got, c.n, c.want)
		}
		if strings.Contains(s, "\nSummary ") != c.summary {
			t.Errorf("%s: summary %v", c.name, !c.summary)
		}
		if got := full(render(t, r, Options{All: true})); got != c.n {
			t.Errorf("%s: with All %d of %d in full", c.name, got, c.n)
		}
	}
}

var marks = regexp.MustCompile(`(?m)^ *\[(\d+)/(\d+)\] `)

// Every finding is told once, in full or in a line, under its own number.
func TestEveryFindingOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hidden := rapid.IntRange(0, 3).Draw(t, "hidden")
		n := rapid.IntRange(1, 40).Draw(t, "findings")
		r := all(n, func(_ int, f *report.Finding) {
			f.Verdict.Severity = rapid.SampledFrom([]report.Severity{report.Problem, report.Notice, report.Harmless}).Draw(t, "severity")
			f.Verdict.Cause = rapid.SampledFrom([]string{"", "a"}).Draw(t, "cause")
		})
		r.HiddenFindings = hidden
		var b bytes.Buffer
		if err := Write(&b, r, Options{All: rapid.Bool().Draw(t, "all")}); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, m := range marks.FindAllStringSubmatch(b.String(), -1) {
			seen[m[1]]++
			if m[2] != strconv.Itoa(n+hidden) {
				t.Fatalf("%s of %s, want of %d", m[1], m[2], n+hidden)
			}
		}
		for i := range n {
			if k := strconv.Itoa(i + 1); seen[k] != 1 {
				t.Fatalf("finding %s is told %d times", k, seen[k])
			}
		}
	})
}

func TestMark(t *testing.T) {
	for id, want := range map[string]string{"f7": "[7/10]", "": "[1/10]", "f0": "[1/10]", "x7": "[1/10]", "f": "[1/10]"} {
		r := &report.Report{Findings: []report.Finding{{ID: id}}, HiddenFindings: 9}
		if got := markOf(r, 0); got != want {
			t.Errorf("%q is marked %s, want %s", id, got, want)
		}
	}
}
