package tcpwhy_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/scenario"
)

var update = flag.Bool("update", false, "rewrite what the scenarios expect")

// fewestScenarios guards against a walk that finds nothing and therefore passes.
const fewestScenarios = 88

// TestScenarios writes the packets of every story into a capture, lets the whole
// program explain it, and compares what it says with what the story expects.
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < fewestScenarios {
		t.Errorf("only %d scenarios found, want at least %d", len(paths), fewestScenarios)
	}
	intents := map[string]string{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Read(path, f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Error(err)
			continue
		}
		if other, ok := intents[s.Intent]; ok {
			t.Errorf("%s and %s have the same intent: %s", other, path, s.Intent)
		}
		intents[s.Intent] = path
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			got := told(t, s)
			if got == s.Want {
				return
			}
			if !*update {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s\n(go test -run Scenarios -update rewrites it)", s.Intent, got, s.Want)
				return
			}
			if err := rewrite(path, got); err != nil {
				t.Error(err)
			}
		})
	}
}

// told returns what the program says about the story.
func told(t *testing.T, s *scenario.Scenario) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "story.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.WriteCapture(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := tcpwhy.Explain(context.Background(), []string{path}, tcpwhy.Options{Facts: s.Facts})
	if err != nil {
		t.Fatal(err)
	}
	return compact(r)
}

// rewrite puts want below the separator of the file.
func rewrite(path, want string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	story, _, _ := strings.Cut(string(old), "\n"+scenario.Separator+"\n")
	return os.WriteFile(path, []byte(strings.TrimRight(story, "\n")+"\n"+scenario.Separator+"\n"+want), 0o644)
}

// compact tells a report in a few lines, so that a person can check them: each
// finding with its verdict, the evidence of the cause that won, why the others
// fell or what they assume, and what would settle it.
func compact(r *report.Report) string {
	var b strings.Builder
	for _, w := range r.Capture.Warnings {
		fmt.Fprintf(&b, "warning: %s: %s\n", w.Code, w.Says)
	}
	if len(r.Findings) == 0 {
		b.WriteString("no findings\n")
	}
	for i := range r.Findings {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		compactFinding(&b, &r.Findings[i])
	}
	return b.String()
}

func compactFinding(b *strings.Builder, f *report.Finding) {
	v := f.Verdict
	cause := v.Cause
	if cause == "" {
		cause = "-"
	}
	fmt.Fprintf(b, "%s: %s: %s: %s\n", v.Certainty, f.Question, cause, v.Says)
	fmt.Fprintf(b, "  frames %s; fault %s, %s\n", numbers(f.Frames), v.Fault, v.Severity)
	for i := range f.Causes {
		if c := &f.Causes[i]; c.Cause == v.Cause && c.Stands != report.RuledOut {
			compactEvidence(b, c)
		}
	}
	for i := range f.Causes {
		c := &f.Causes[i]
		switch {
		case c.Stands == report.RuledOut:
			fmt.Fprintf(b, "ruled out: %s: %s\n", c.Cause, against(c))
		case c.Cause != v.Cause:
			fmt.Fprintf(b, "%s: %s: %s\n", c.Stands, c.Cause, c.Says)
			for _, a := range c.Assumes {
				fmt.Fprintf(b, "  assumes %s\n", a)
			}
		}
	}
	for _, s := range f.Settle {
		fmt.Fprintf(b, "settle: on %s: `%s` if %s then %s\n", s.On, s.Command, s.If, s.Then)
	}
	for _, w := range f.Warnings {
		fmt.Fprintf(b, "warning: %s: %s\n", w.Code, w.Says)
	}
}

// compactEvidence tells on what a cause rests.
func compactEvidence(b *strings.Builder, c *report.Cause) {
	for _, e := range c.Evidence {
		fmt.Fprintf(b, "  %-7s %s", e.Answer, e.Says)
		if len(e.Frames) > 0 {
			fmt.Fprintf(b, "  [frames %s]", numbers(e.Frames))
		}
		b.WriteByte('\n')
	}
	for _, a := range c.Assumes {
		fmt.Fprintf(b, "  assumes %s\n", a)
	}
}

// against returns what is said of a cause that was ruled out, with the first
// evidence that says no: evidence stands in the order of its weight.
func against(c *report.Cause) string {
	for _, e := range c.Evidence {
		switch {
		case e.Answer != "no":
		case c.Says == "":
			return e.Says
		case !strings.Contains(c.Says, e.Says):
			return c.Says + " No: " + e.Says
		default:
			return c.Says
		}
	}
	return c.Says
}

func numbers(frames []uint64) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(frames)), ", "), "[]")
}
