package tcpwhy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme runs every command of the console blocks of the pages written by hand,
// and holds what it prints against what stands there; with -update it writes that.
func TestReadme(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh to run the README's commands with")
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "tcpwhy"), "./cmd/tcpwhy").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for page, least := range map[string]int{"README.md": 3, "docs/laboratory.md": 3} {
		t.Run(page, func(t *testing.T) { holdPage(t, page, least) })
	}
}

// holdPage runs the commands of one page, of which there are at least so many.
func holdPage(t *testing.T, page string, least int) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	want := rewriteConsoles(string(text), func(command string) string {
		ran++
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	})
	if ran < least {
		t.Errorf("only %d commands were run, want %d", ran, least)
	}
	if t.Failed() || want == string(text) {
		return
	}
	if !*update {
		t.Errorf("%s does not show what its commands print: go test . -run TestReadme -update", page)
		return
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rewriteConsoles replaces in each console block of a page what stands below a
// command ("$ ...") by what run returns for it.
func rewriteConsoles(page string, run func(command string) string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(page) {
		text := strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(text, "$ ")
		switch {
		case !inside:
			inside = text == "```console"
			b.WriteString(line)
		case text == "```":
			inside = false
			b.WriteString(line)
		case isCommand:
			b.WriteString(line)
			out := run(command)
			b.WriteString(out)
			if out != "" && !strings.HasSuffix(out, "\n") {
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

func TestRewriteConsoles(t *testing.T) {
	const page = "a\n```sh\n$ left alone\nout\n```\n```console\n$ one\nold\nold\n$ two\n```\nb\n"
	const want = "a\n```sh\n$ left alone\nout\n```\n```console\n$ one\n<one>\n$ two\n<two>\n```\nb\n"
	if got := rewriteConsoles(page, func(c string) string { return "<" + c + ">" }); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
