package markdown

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

var update = flag.Bool("update", false, "rewrite the expected texts")

func load(t testing.TB, path string) *report.Report {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r
}

func write(t testing.TB, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, Options{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"open", "certain", "selected", "none"} {
		got := write(t, load(t, filepath.Join("../text/testdata", name+".json")))
		path := filepath.Join("testdata", name+".md")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got, -update rewrites):\n%s", path, d)
		}
	}
}

func TestEsc(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"tcp_tw_recycle = 1":            "tcp_tw_recycle = 1",
		"_this_":                        `\_this\_`,
		"a *b* `c` [d](e)":              "a \\*b\\* \\`c\\` \\[d\\](e)",
		"<img src=x> &amp;":             "&lt;img src=x&gt; &amp;amp;",
		`a\`:                            `a\\`,
		"1. one":                        `1\. one`,
		"1) one":                        `1\) one`,
		"17.0 s":                        "17.0 s",
		"- a":                           `\- a`,
		"---":                           `\---`,
		"-1 is less":                    "-1 is less",
		"# a":                           "\\#\u2060 a",
		"@somebody":                     "\\@\u2060somebody",
		"issue #17":                     "issue \\#\u206017",
		"https://example.com":           `https\://example.com`,
		"www.example.com":               `www\.example.com`,
		"a | b":                         `a \| b`,
		"~~a~~ ![b](c)":                 `\~\~a\~\~ \!\[b\](c)`,
		"S 1:1(0) win 5":                "S 1:1(0) win 5",
		"10.0.0.1:80, [2001:db8::1]:80": `10.0.0.1:80, \[2001:db8::1\]:80`,
		"$x$":                           `\$x\$`,
	} {
		if got := esc(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestCode(t *testing.T) {
	for in, want := range map[string]string{
		"":      "",
		"a":     "`a`",
		"a`b":   "``a`b``",
		"`":     "`` ` ``",
		"a``b`": "``` a``b` ```",
		" a ":   "`  a  `",
		"<b>|":  "`<b>|`",
	} {
		if got := code(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"`a|b`": "`a\\|b`", `a\|b`: `a\|b`, "|": `\|`} {
		if got := cell(in); got != want {
			t.Errorf("cell(%q) = %q, want %q", in, got, want)
		}
	}
}

var tag = regexp.MustCompile(`<[a-zA-Z/!?]`)

// outside leaves out the blocks in which nothing is markup: they end at a fence that is as
// long as the one that began them.
func outside(s string) string {
	var b strings.Builder
	fence := ""
	for line := range strings.Lines(s) {
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case fence == "" && len(ticks) >= 3 && !strings.Contains(line[len(ticks):], "`"):
			fence = ticks
		case fence == "":
			b.WriteString(line)
		case len(ticks) >= len(fence) && strings.TrimSpace(line) == ticks:
			fence = ""
		}
	}
	if fence != "" {
		return "a block does not end"
	}
	return b.String()
}

// TestHostile: no string of a report becomes a tag, a heading, a row or a fence.
func TestHostile(t *testing.T) {
	r := load(t, "../text/testdata/open.json")
	with := func(s string) string {
		x := report.MapStrings(r, func(string) string { return s })
		x.Schema = report.Schema
		return write(t, x)
	}
	count := func(s string) (lines, headings, rows int) {
		for line := range strings.Lines(s) {
			lines++
			if strings.HasPrefix(line, "#") {
				headings++
			}
			if strings.HasPrefix(line, "|") {
				rows++
				bars := strings.ReplaceAll(line, `\|`, "")
				if n := strings.Count(bars, "|"); n != 3 && n != 8 && n != 9 {
					t.Errorf("a row with %d bars: %s", n, line)
				}
			}
		}
		return lines, headings, rows
	}
	wantLines, wantHeadings, wantRows := count(outside(with("words")))
	for _, s := range []string{"<script>alert(1)</script>", "</details>", "x\n# heading\n", "```\n<b>", "````", "a|b|c", `a\|b`, "\x00\x1b[31m\xff", "<!--", "\u2028# a"} {
		got := with(s)
		text := outside(got)
		lines, headings, rows := count(text)
		if lines != wantLines || headings != wantHeadings || rows != wantRows {
			t.Errorf("%q: %d lines, %d headings, %d rows; want %d, %d, %d", s, lines, headings, rows, wantLines, wantHeadings, wantRows)
		}
		for _, line := range strings.Split(text, "\n") {
			if tag.MatchString(codeSpan.ReplaceAllString(line, "")) {
				t.Errorf("%q: a tag in %q", s, line)
			}
		}
	}
}

var codeSpan = regexp.MustCompile("(`{5} [^\n]*? `{5}|`[^`\n]+`)")

// FuzzEsc: outside of code there is no character that begins a tag or an entity of the
// report's own.
func FuzzEsc(f *testing.F) {
	for _, s := range []string{"<b>", "&lt;", "a|b", "[x](y)", "@a #1", "`"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := esc(s)
		if strings.ContainsAny(got, "<>") {
			t.Errorf("%q becomes %q", s, got)
		}
		for i := 0; i < len(got); i++ {
			if got[i] == '\\' {
				i++ // what follows is escaped
				continue
			}
			if strings.ContainsRune("`*[]~|", rune(got[i])) {
				t.Errorf("%q becomes %q: %q is not escaped", s, got, got[i])
			}
		}
	})
}
