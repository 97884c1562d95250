package browse

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

var update = flag.Bool("update", false, "write the expected screens anew; read them before they are committed")

// load reads a saved report.
func load(t testing.TB, path string) *report.Report {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keyOf makes a key press of its name.
func keyOf(name string) tea.KeyPressMsg {
	for code, n := range map[rune]string{
		tea.KeyEnter: "enter", tea.KeyEscape: "esc", tea.KeyTab: "tab", tea.KeyBackspace: "backspace", tea.KeyUp: "up",
		tea.KeyDown: "down", tea.KeyLeft: "left", tea.KeyRight: "right", tea.KeyPgDown: "pgdown", tea.KeyPgUp: "pgup",
		tea.KeyHome: "home", tea.KeyEnd: "end",
	} {
		if n == name {
			return tea.KeyPressMsg{Code: code}
		}
	}
	if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl}
	}
	if name == "shift+tab" {
		return tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	}
	if name == "space" {
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	r := []rune(name)[0]
	return tea.KeyPressMsg{Code: r, Text: name}
}

// press presses keys, one after the other as a terminal would, drawing after each.
func press(m *Model, keys ...string) (quit bool) {
	for _, k := range keys {
		_, cmd := m.Update(keyOf(k))
		m.View()
		if cmd != nil {
			if _, ok := cmd().(tea.QuitMsg); ok {
				return true
			}
		}
	}
	return false
}

func at(r *report.Report, color bool, width, height int) *Model {
	m := New(r, color)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.View()
	return m
}

// typed are the keys of a word.
func typed(s string) []string { return strings.Split(s, "") }

const (
	founding = "../svg/testdata/founding.json"
	many     = "../text/testdata/many.json"
)

// The screens are what a person sees after the keys.
func TestScreens(t *testing.T) {
	for _, c := range []struct {
		name, report  string
		width, height int
		color         bool
		keys          []string
	}{
		{name: "list", report: many, width: 80, height: 24},
		{name: "list-colour", report: many, width: 80, height: 14, color: true},
		{name: "list-filter", report: many, width: 80, height: 24, keys: append([]string{"/"}, typed("reset server")...)},
		{name: "list-filter-none", report: many, width: 80, height: 16, keys: append([]string{"/"}, typed("zzz")...)},
		{name: "list-narrow", report: many, width: 40, height: 16},
		{name: "list-wide", report: many, width: 140, height: 16, keys: []string{"G"}},
		{name: "connections", report: founding, width: 80, height: 24, keys: []string{"tab"}},
		{name: "connection-findings", report: founding, width: 80, height: 16, keys: []string{"tab", "enter", "tab"}},
		{name: "capture", report: many, width: 80, height: 24, keys: []string{"shift+tab"}},
		{name: "answer", report: founding, width: 80, height: 24, keys: []string{"enter"}},
		{name: "answer-search", report: founding, width: 80, height: 24, keys: append(append([]string{"enter", "/"}, typed("settles")...), "enter")},
		{name: "answer-narrow", report: founding, width: 40, height: 20, keys: []string{"enter", "space"}},
		{name: "ladder", report: founding, width: 80, height: 24, keys: []string{"enter", "tab"}},
		{name: "ladder-narrow", report: founding, width: 40, height: 20, keys: []string{"enter", "tab", "j"}},
		{name: "frame", report: founding, width: 80, height: 40, keys: []string{"enter", "tab", "enter"}},
		{name: "frame-next", report: founding, width: 80, height: 12, keys: []string{"enter", "tab", "enter", "]"}},
		{name: "low", report: founding, width: 60, height: 5, keys: []string{"enter", "tab"}},
		{name: "help", report: founding, width: 80, height: 24, keys: []string{"?"}},
		{name: "none", report: "../text/testdata/none.json", width: 80, height: 8},
	} {
		m := at(load(t, c.report), c.color, c.width, c.height)
		press(m, c.keys...)
		got := strings.Join(m.screen(), "\n") + "\n"
		path := filepath.Join("testdata", c.name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// row returns the row under the cursor.
func row(m *Model) string {
	for _, l := range m.screen() {
		if s, ok := strings.CutPrefix(ansi.Strip(l), "> "); ok {
			return strings.TrimSpace(s)
		}
	}
	return ""
}

func TestMoving(t *testing.T) {
	r := &report.Report{}
	for i := range 100 {
		r.Findings = append(r.Findings, report.Finding{ID: fmt.Sprintf("f%d", i+1), Asks: "Why?", Question: "reset"})
	}
	m := at(r, false, 80, 13) // ten rows
	id := func() string { s, _, _ := strings.Cut(row(m), " "); return s }
	for _, c := range []struct{ keys, want string }{
		{"", "f1"}, {"k", "f1"}, {"j", "f2"}, {"down down", "f4"}, {"space", "f14"}, {"b", "f4"}, {"d", "f9"}, {"u", "f4"},
		{"G", "f100"}, {"j", "f100"}, {"pgdown", "f100"}, {"k", "f99"}, {"g", "f1"}, {"pgup", "f1"}, {"end", "f100"}, {"home", "f1"},
		{"ctrl+f ctrl+b ctrl+n ctrl+p ctrl+d ctrl+u", "f1"},
		{"enter ] ] [ q", "f1"},
		{"/ f 1 0 enter", "f10"}, {"G", "f100"}, {"esc", "f100"},
		{"/ f 1 0 esc", "f100"}, {"/ 9 9 backspace backspace backspace", "f99"},
		{"tab", ""}, {"tab tab", "f99"},
	} {
		press(m, strings.Fields(c.keys)...)
		if got := id(); got != c.want {
			t.Errorf("after %q: %q, want %q", c.keys, got, c.want)
		}
	}
}

// q leaves a page, and the program from the first; esc first ends a filter.
func TestLeaving(t *testing.T) {
	for keys, want := range map[string]bool{
		"q": true, "Q": true, "esc": true, "ctrl+c": true, "enter q": false, "enter q q": true, "enter Q": true, "enter esc": false,
		"/ r esc": false, "/ r enter esc": false, "/ r enter esc esc": true, "/ q": false, "/ ctrl+c": true, "? q": false, "? ? q": false, "tab enter q": false,
	} {
		m := at(load(t, founding), false, 80, 24)
		if got := press(m, strings.Fields(keys)...); got != want {
			t.Errorf("%s: left is %v", keys, got)
		}
	}
}

// The ladder opens at the frame that is asked about, and each frame of it can be seen whole.
func TestFramesOfLadder(t *testing.T) {
	r := load(t, founding)
	m := at(r, false, 100, 60)
	press(m, "enter", "tab")
	if got := row(m); !strings.HasPrefix(got, "*12 ") {
		t.Errorf("it opens at %q", got)
	}
	press(m, "g", "enter")
	seen := 0
	for i := range r.Findings[0].Ladder {
		s := &r.Findings[0].Ladder[i]
		if s.Frame == 0 {
			continue
		}
		seen++
		all := strings.Join(strings.Fields(strings.Join(m.screen(), " ")), " ")
		for _, part := range []string{fmt.Sprintf("Frame %d of f1", s.Frame), s.Segment, s.Time, fmt.Sprintf("seq %d", s.Fields.Seq)} {
			if !strings.Contains(all, part) {
				t.Errorf("frame %d: %q is missing in\n%s", s.Frame, part, all)
			}
		}
		press(m, "]")
	}
	if seen < 5 || !strings.Contains(strings.Join(m.screen(), "\n"), "no more") {
		t.Errorf("after %d frames:\n%s", seen, strings.Join(m.screen(), "\n"))
	}
}

// n goes through all places that were searched and around, also those on the last screen.
func TestSearchGoesAround(t *testing.T) {
	m := at(load(t, founding), false, 80, 24)
	press(m, append(append([]string{"enter", "/"}, typed("frame 12")...), "enter")...)
	s := m.top().tabs[0].view.(*scroll)
	found := map[int]bool{}
	first := s.match
	for range 50 {
		found[s.match] = true
		press(m, "n")
		if s.match == first {
			break
		}
	}
	want := 0
	for i := range s.lines {
		if s.has(i) {
			want++
		}
	}
	if len(found) != want || want < 3 {
		t.Errorf("%d places found, %d there", len(found), want)
	}
	press(m, "n", "N")
	if s.match != first {
		t.Errorf("n and N lead from line %d to %d", first, s.match)
	}
}

// hostile is a report whose every string a stranger chose.
func hostile(t testing.TB, bad string) *report.Report {
	return report.MapStrings(load(t, founding), func(s string) string { return s + bad })
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// check holds a screen against the terminal.
func check(t *testing.T, m *Model) {
	t.Helper()
	lines := m.screen()
	if len(lines) > m.height {
		t.Fatalf("%d lines on %d", len(lines), m.height)
	}
	for _, l := range lines {
		if w := ansi.StringWidth(l); w > m.width {
			t.Fatalf("%d columns on %d: %q", w, m.width, l)
		}
		if i := strings.IndexFunc(sgr.ReplaceAllString(l, ""), func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }); i >= 0 {
			t.Fatalf("a control character in %q", l)
		}
	}
}

// FuzzKeys: no keys, no size and no words of a report make it panic, or draw outside of
// the screen.
func FuzzKeys(f *testing.F) {
	keys := []string{"j", "k", "enter", "q", "esc", "tab", "shift+tab", "?", "/", "g", "G", "space", "b", "n", "N", "]", "[", "left", "right",
		"backspace", "d", "u", "ctrl+u", "é", "世", "x", "1"}
	f.Add(80, 24, "", []byte("\x02\x05\x02\x0f\x03\x03"))
	f.Add(40, 12, "\x1b[2J\x07\u202e", []byte("\x08\x1a\x19\x02\x02\x05\x0a\x02\x12\x12\x11"))
	f.Add(1, 1, "世界", []byte("\x02\x05\x02\x08\x17\x18\x02"))
	f.Add(0, 0, "x", []byte("\x02\x05\x0a"))
	f.Add(9, 3, strings.Repeat("long", 100), []byte("\x05\x02\x05\x05\x02\x05\x02\x08\x19\x02\x0d\x0e"))
	f.Fuzz(func(t *testing.T, width, height int, bad string, data []byte) {
		if len(data) > 60 || len(bad) > 1000 {
			return
		}
		m := New(hostile(t, bad), len(data)%2 == 0)
		m.Update(tea.WindowSizeMsg{Width: width % 200, Height: height % 100})
		check(t, m)
		for _, b := range data {
			if b >= 200 {
				m.Update(tea.WindowSizeMsg{Width: int(b-200) * 3, Height: int(255 - b)})
			} else if press(m, keys[int(b)%len(keys)]) {
				return
			}
			check(t, m)
		}
	})
}

// Every size up to that of a usual terminal, on every page.
func TestSizes(t *testing.T) {
	for _, bad := range []string{"", "\x1b[31m世界"} {
		m := New(hostile(t, bad), true)
		for _, keys := range []string{"", "tab", "tab", "tab enter", "tab", "enter", "tab enter", "q q ?", "q / a"} {
			press(m, strings.Fields(keys)...)
			for w := 0; w <= 90; w += 3 {
				for h := 0; h <= 26; h++ {
					m.Update(tea.WindowSizeMsg{Width: w, Height: h})
					check(t, m)
				}
			}
		}
	}
}

// The whole program runs on streams that are no terminal, and ends with q.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	done := make(chan error, 1)
	in, keys := io.Pipe()
	go func() { done <- Run(context.Background(), load(t, founding), Options{Input: in, Output: &out}) }()
	go func() { _, _ = io.WriteString(keys, "jq") }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("q does not end it")
	}
	// Whatever was switched on is switched off again.
	for _, pair := range [][2]string{{"\x1b[?1049h", "\x1b[?1049l"}, {"\x1b[?25l", "\x1b[?25h"}} {
		if on, off := strings.LastIndex(out.String(), pair[0]), strings.LastIndex(out.String(), pair[1]); on < 0 || off < on {
			t.Errorf("%q at %d, %q at %d", pair[0], on, pair[1], off)
		}
	}
}

// A context that ends ends the program.
func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	in, _ := io.Pipe()
	if err := Run(ctx, load(t, founding), Options{Input: in, Output: io.Discard}); err != context.Canceled {
		t.Errorf("%v", err)
	}
}
