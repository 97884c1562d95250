package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

var update = flag.Bool("update", false, "rewrite the expected texts")

// load reads a report written by hand.
func load(t *testing.T, path string) *report.Report {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var r report.Report
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &r
}

// render presents a report or fails the test.
func render(t testing.TB, r *report.Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares got with a file, or rewrites it.
func golden(t *testing.T, path, got string) {
	t.Helper()
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

func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 4 {
		t.Fatalf("found %d reports, want at least 4 (%v)", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(path, ".json")
		t.Run(filepath.Base(name), func(t *testing.T) {
			r := load(t, path)
			golden(t, name+".txt", render(t, r, Options{}))
		})
	}
	golden(t, "testdata/open.narrow.txt", render(t, load(t, "testdata/open.json"), Options{Width: 64}))
	golden(t, "testdata/open.color.txt", render(t, load(t, "testdata/open.json"), Options{Color: true}))
}

// Colour adds sequences and nothing else, and none of them reaches over a line's end.
func TestColorOnlyAdds(t *testing.T) {
	sequence := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, name := range []string{"certain", "likely", "open", "none", "many", "selected", "hidden"} {
		r := load(t, "testdata/"+name+".json")
		colored := render(t, r, Options{Color: true})
		if !sequence.MatchString(colored) {
			t.Errorf("%s: no colour at all", name)
		}
		if d := cmp.Diff(render(t, r, Options{}), sequence.ReplaceAllString(colored, "")); d != "" {
			t.Errorf("%s: colour changes the text:\n%s", name, d)
		}
		for line := range strings.Lines(colored) {
			if all := sequence.FindAllString(line, -1); len(all) > 0 && all[len(all)-1] != sgrOff {
				t.Errorf("%s: colour is left on at the end of %q", name, line)
			}
		}
	}
}

// A finding fits on a screen; the open one, with three stories left, nearly so.
func TestScreen(t *testing.T) {
	for name, most := range map[string]int{"certain": 58, "likely": 52, "open": 66} {
		r := load(t, "testdata/"+name+".json")
		if n := strings.Count(render(t, r, Options{Width: 125}), "\n"); n > most {
			t.Errorf("%s takes %d lines, want at most %d", name, n, most)
		}
	}
}

// A number and its unit are not torn apart.
func TestQuantities(t *testing.T) {
	f := report.Finding{Asks: "a a a a a a a a a a a a a a a 17.0 s, b 20 ms"}
	r := &report.Report{Findings: []report.Finding{f}}
	for width := minWidth; width < 80; width++ {
		if got := render(t, r, Options{Width: width}); !strings.Contains(got, "17.0 s,") || !strings.Contains(got, "20 ms") {
			t.Errorf("width %d:\n%s", width, got)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain ASCII ~", "plain ASCII ~"},
		{"1 → tw-recycle, Grüße", "1 → tw-recycle, Grüße"},
		{"\x1b[31mred", `\x1b[31mred`},
		{"a\nb\tc\rd\x00e\x7f", `a\nb\tc\rd\x00e\x7f`},
		{"\u009b31m", `\u009b31m`},             // the one-character CSI
		{"abc\u202edef", `abc\u202edef`},       // right-to-left override
		{"zero\u200bwidth", `zero\u200bwidth`}, // invisible
		{"bad\xff\xc3", `bad\xff\xc3`},
		{"no\u00a0break\u2028line", `no\u00a0break\u2028line`},
		{"\ufffd", "\ufffd"}, // the character itself is innocent
		{"it's \\ \" quoted\n'", `it's \ " quoted\n'`},
	} {
		if got := Clean(c.in); got != c.want {
			t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestFrames(t *testing.T) {
	many := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, c := range []struct {
		frames []uint64
		want   string
	}{
		{nil, ""},
		{[]uint64{9}, "frame 9"},
		{[]uint64{9, 10}, "frames 9, 10"},
		{many, "frames 1, 2, 3, 4, 5, 6, 7, 8, 9"},
		{append(many, 10), "frames 1, 2, 3, 4, 5, 6, 7, 8 and 2 more"},
		{[]uint64{1<<64 - 1}, "frame 18446744073709551615"},
	} {
		if got := frames(c.frames); got != c.want {
			t.Errorf("frames(%v) = %q, want %q", c.frames, got, c.want)
		}
	}
}

func TestOwnNumbers(t *testing.T) {
	ref := func(source string, frame uint64) report.Ref { return report.Ref{Source: source, Frame: frame} }
	p := &printer{sources: []string{"x/a.pcap", "y/a.pcap", "y/b.pcap"}}
	for _, c := range []struct {
		refs []report.Ref
		want string
	}{
		{nil, ""},
		{[]report.Ref{ref("y/b.pcap", 5)}, "b.pcap 5"},
		{[]report.Ref{ref("y/b.pcap", 5), ref("y/b.pcap", 6), ref("x/a.pcap", 1)}, "b.pcap 5, 6, x/a.pcap 1"}, // two are called a.pcap
	} {
		if got := p.own(c.refs); got != c.want {
			t.Errorf("own(%v) = %q, want %q", c.refs, got, c.want)
		}
	}
}

// What a report leaves out must not show as an empty section or an empty pair of brackets.
func TestBareFinding(t *testing.T) {
	r := &report.Report{Findings: []report.Finding{{Asks: "Why?"}}}
	want := "  0 packets, 0 TCP segments, 0 connections\n\n[1/1] Why?\n"
	got := render(t, r, Options{})
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s", got)
	}
	for _, bad := range []string{"()", "[]", "Why not", "What to do", "deciding frames", "What it may be", "What settles"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q in\n%s", bad, got)
		}
	}
}

func TestLongLadder(t *testing.T) {
	f := report.Finding{Asks: "Why?"}
	for i := range 200 {
		f.Ladder = append(f.Ladder, report.Step{Frame: uint64(i + 1), AtS: float64(i) / 100, From: "client", Segment: "S 1:1(0) win 1", Asked: i == 100})
	}
	got := render(t, &report.Report{Findings: []report.Finding{f}}, Options{})
	for _, want := range []string{"... 80 steps left out ...", "... 71 steps left out ...", "* 101  +1.000000 s", "  200  +1.990000 s", "   20  +0.190000 s"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n > 64 {
		t.Errorf("%d lines", n)
	}
}

// Time that passes without a frame is marked once, whether or not the report does it.
func TestGapIsMarkedOnce(t *testing.T) {
	f := report.Finding{Ladder: []report.Step{
		{Frame: 1, AtS: 0}, {Frame: 2, AtS: 0.9}, {Frame: 3, AtS: 4.0},
		{AtS: 4.0, Note: "3.0 s without a frame"}, {Frame: 4, AtS: 7.0}}}
	got := render(t, &report.Report{Findings: []report.Finding{f}}, Options{})
	if n := strings.Count(got, " later ..."); n != 1 {
		t.Errorf("%d gaps marked by the presenter, want 1:\n%s", n, got)
	}
	if !strings.Contains(got, "... 3.100 s later ...") || !strings.Contains(got, "... 3.0 s without a frame ...") {
		t.Errorf("a gap is missing:\n%s", got)
	}
}

// Of many stories those that stand near the best are told at length, the rest in
// a line each, and what they share is said once.
func TestManyStoriesRemain(t *testing.T) {
	f := report.Finding{Verdict: report.Verdict{Certainty: report.Open}}
	shared := report.Evidence{Says: "shared evidence", Answer: "yes"}
	for i, name := range []string{"one", "two", "three", "four", "five"} {
		f.Causes = append(f.Causes, report.Cause{Cause: name, Stands: report.StaysOpen, Says: "Story " + name + ".", Assumes: []string{"luck"}, AgainstDB: 4 * i,
			Evidence: []report.Evidence{shared, {Says: name + "A"}, {Says: name + "B"}, {Says: name + "C"}, {Says: name + "D"}}})
	}
	got := render(t, &report.Report{Findings: []report.Finding{f}}, Options{})
	for want, n := range map[string]int{
		"shared evidence": 1, "oneD": 1, "twoD": 1, "threeD": 1, "fourA": 0,
		"Story three.": 1, "Story four.": 0, "  four  assumes luck\n  five  assumes luck\n": 1, "Not ruled out either": 1,
	} {
		if strings.Count(got, want) != n {
			t.Errorf("%q stands there %d times, want %d:\n%s", want, strings.Count(got, want), n, got)
		}
	}
}

// A command is printed once, with all its outcomes.
func TestSettleGroups(t *testing.T) {
	f := report.Finding{Settle: []report.Settle{
		{On: "server", Command: "uname -r", If: "4.11 or older", Then: "a"},
		{On: "server", Command: "sysctl  x", If: "1", Then: "a"},
		{On: "server", Command: "uname -r", If: "6.1", Then: "b"},
		{On: "client", Command: "uname -r", If: "6.1", Then: "c"},
	}}
	got := render(t, &report.Report{Findings: []report.Finding{f}}, Options{})
	want := `What settles it
  on the server:  uname -r   4.11 or older → a
                             6.1 → b
  on the server:  sysctl  x   = 1 → a
  on the client:  uname -r   6.1 → c
`
	if !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

type failingWriter struct{ after int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.after -= len(b); w.after < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	r := load(t, "testdata/open.json")
	for _, after := range []int{0, 4096} {
		if err := Write(&failingWriter{after}, r, Options{}); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: %v", after, err)
		}
	}
}

// Whatever a report holds, nothing reaches the terminal that it would act upon.
func TestAnyReport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.Make[report.Report]().Draw(t, "report")
		o := Options{Width: rapid.IntRange(-1, 200).Draw(t, "width")}
		var b bytes.Buffer
		if err := Write(&b, &r, o); err != nil {
			t.Fatal(err)
		}
		checkText(t, b.String())
	})
}

func checkText(t interface{ Fatalf(string, ...any) }, s string) {
	if !utf8.ValidString(s) {
		t.Fatalf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("unescaped %q in %q", r, s)
		}
	}
}

// Lines break at the width: what is wider holds a single word that could not be placed better.
func TestWidth(t *testing.T) {
	for _, name := range []string{"certain", "likely", "open", "none", "many", "selected", "hidden"} {
		r := load(t, "testdata/"+name+".json")
		for width := minWidth; width < 160; width++ {
			for l := range strings.Lines(render(t, r, Options{Width: width})) {
				l = strings.TrimRight(l, "\n")
				if l != strings.TrimRight(l, " ") {
					t.Errorf("%s at %d: trailing space in %q", name, width, l)
				}
				n := utf8.RuneCountInString(l)
				if n <= width || strings.HasPrefix(strings.TrimLeft(l, " "), "on the ") {
					continue // a command is never broken
				}
				if words := strings.Fields(l); width >= 80 && len(words) > 1 {
					t.Errorf("%s: a line of %d at width %d: %q", name, n, width, l)
				}
			}
		}
	}
}

func FuzzWrite(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.json")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, 80)
	}
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		var r report.Report
		if json.Unmarshal(data, &r) != nil {
			return
		}
		var b bytes.Buffer
		if err := Write(&b, &r, Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		checkText(t, b.String())
	})
}
