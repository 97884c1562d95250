//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// large is a report that no pipe holds whole.
func large(context.Context, []string, tcpwhy.Options) (*report.Report, error) {
	r := &report.Report{Schema: report.Schema}
	for i := range 3000 {
		r.Findings = append(r.Findings, report.Finding{ID: fmt.Sprintf("f%d", i+1), Asks: "Why?", Question: "reset",
			Verdict: report.Verdict{Certainty: report.Certain, Cause: "x", Severity: report.Problem}})
	}
	r.Summary = report.Summarize(r.Findings)
	return r, nil
}

func TestPager(t *testing.T) {
	const quiet = "\nNo findings. There is no TCP connection in what was read.\n"
	for _, c := range []struct {
		name   string
		env    map[string]string
		width  int // of the terminal that stdout is
		args   []string
		engine explainFunc
		code   int
		stdout string // its end
		stderr string // part of it
	}{
		{name: "own variable first", env: map[string]string{"TCPWHY_PAGER": "sed 's/^No/One: No/'", "PAGER": "false"}, width: 80, stdout: "One: " + quiet[1:]},
		{name: "PAGER", env: map[string]string{"PAGER": "sed 's/^No/Two: No/'"}, width: 80, stdout: "Two: " + quiet[1:]},
		{name: "no terminal", env: map[string]string{"PAGER": "sed s/No/Bad/"}, stdout: quiet},
		{name: "dumb", env: map[string]string{"PAGER": "sed s/No/Bad/", "TERM": "dumb"}, width: 80, stdout: quiet},
		{name: "switched off", env: map[string]string{"PAGER": "sed s/No/Bad/"}, width: 80, args: []string{"--no-pager"}, stdout: quiet},
		{name: "cat", env: map[string]string{"PAGER": " cat "}, width: 80, stdout: quiet},
		{name: "empty", env: map[string]string{"TCPWHY_PAGER": "", "PAGER": "sed s/No/Bad/"}, width: 80, stdout: quiet},
		{name: "for less", env: map[string]string{"PAGER": "cat >/dev/null; echo $LESS $LV"}, width: 80, stdout: "FRX -c\n"},
		{name: "less as its user wants it", env: map[string]string{"PAGER": "cat >/dev/null; echo $LESS $LV", "LESS": "S"}, width: 80, stdout: "S -c\n"},
		{name: "none such", env: map[string]string{"PAGER": "tcpwhy-no-such-pager"}, width: 80, stdout: quiet, stderr: "not found"},
		{name: "fails", env: map[string]string{"PAGER": "cat; exit 1"}, width: 80, stdout: quiet},
		{name: "left early", env: map[string]string{"PAGER": "head -c 3"}, width: 80, engine: large, stdout: "  0"},
		{name: "exit code", env: map[string]string{"PAGER": "head -c 3"}, width: 80, args: []string{"--exit-code"}, engine: large, code: exitFindings, stdout: "  0"},
		{name: "reads nothing", env: map[string]string{"PAGER": "true"}, width: 80, engine: large},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs lockedBuffer
			a := newApp(strings.NewReader(""), &out, &errs)
			a.explain = c.engine
			if a.explain == nil {
				a.explain = func(context.Context, []string, tcpwhy.Options) (*report.Report, error) { return &report.Report{}, nil }
			}
			env := map[string]string{"NO_COLOR": "1"}
			for name, v := range c.env {
				env[name] = v
			}
			a.getenv = func(name string) string { return env[name] }
			a.lookupenv = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
			if v, ok := env["LESS"]; ok {
				t.Setenv("LESS", v)
			}
			onTerminal(a, c.width, &out)
			code := a.run(context.Background(), append(c.args, "x"))
			if got := out.String(); code != c.code || !strings.HasSuffix(got, c.stdout) || c.stdout == "" && got != "" {
				t.Errorf("code %d, stdout %q, want %d, %q", code, got, c.code, c.stdout)
			}
			if got := errs.String(); c.stderr == "" && got != "" || !strings.Contains(got, c.stderr) {
				t.Errorf("stderr %q, want %q", got, c.stderr)
			}
		})
	}
}

// What is paged looks as on the terminal itself: its colours and its width.
func TestPagedLikeTerminal(t *testing.T) {
	show := func(pager string) string {
		var out lockedBuffer
		a := newApp(strings.NewReader(""), &out, &out)
		a.explain = large
		a.getenv = func(string) string { return "" }
		a.lookupenv = func(name string) (string, bool) { return pager, name == "PAGER" }
		onTerminal(a, 60, &out)
		if code := a.run(context.Background(), []string{"x"}); code != 0 {
			t.Fatal(out.String())
		}
		return out.String()
	}
	plain, paged := show("cat"), show("sed ''")
	if plain != paged || !strings.Contains(plain, "\x1b[1m") {
		t.Errorf("%d bytes on the terminal, %d paged", len(plain), len(paged))
	}
}

// A file is never paged.
func TestOutputIsNotPaged(t *testing.T) {
	var out lockedBuffer
	a := newApp(strings.NewReader(""), &out, &out)
	a.explain = large
	a.lookupenv = func(string) (string, bool) { return "echo paged", true }
	onTerminal(a, 60, &out)
	path := filepath.Join(t.TempDir(), "r.txt")
	if code := a.run(context.Background(), []string{"-o", path, "x"}); code != 0 || out.String() != "" {
		t.Errorf("code %d, %q", code, out.String())
	}
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "paged") || len(b) == 0 {
		t.Errorf("%v, %d bytes", err, len(b))
	}
}

// JSON is indented on a terminal, and has a line for each finding elsewhere.
func TestJSONOnTerminal(t *testing.T) {
	for width, want := range map[int]string{0: "\n    {\"id\": \"f1\", ", 80: "\n    {\n      \"id\": \"f1\",\n"} {
		var out, errs lockedBuffer
		a := newApp(strings.NewReader(""), &out, &errs)
		a.explain = func(_ context.Context, _ []string, o tcpwhy.Options) (*report.Report, error) {
			r := &report.Report{Findings: []report.Finding{{ID: "f1"}}}
			if o.JSON == nil {
				return r, nil
			}
			return r, o.JSON(func(w io.Writer) error { return report.WriteJSON(w, r) })
		}
		a.getenv = func(string) string { return "" }
		a.lookupenv = func(string) (string, bool) { return "", false }
		onTerminal(a, width, &out)
		if code := a.run(context.Background(), []string{"explain", "--no-pager", "--format", "json", "x"}); code != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("width %d: code %d: %s%s", width, code, errs.String(), out.String())
		}
	}
}
