package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// The scripts call "tcpwhy", the program as it is, and "saved", the same
// program with an engine that takes a report, instead of a capture, as its input.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tcpwhy": main,
		"saved": func() {
			a := newApp(os.Stdin, os.Stdout, os.Stderr)
			a.explain = saved
			os.Exit(a.run(context.Background(), os.Args[1:]))
		},
	})
}

func TestScripts(t *testing.T) {
	corpus, err := filepath.Abs("../../testdata/corpus/captures")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TERM", "xterm")
			env.Setenv("NO_COLOR", "")
			env.Setenv("CORPUS", corpus)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
	})
}

// code runs a command and compares its exit code: code N COMMAND ARGS...
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARGS...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit interface{ ExitCode() int }
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if want := args[0]; fmt.Sprint(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// saved is the engine of the tests: its input is a report, or a sentence that
// says how to fail.
func saved(ctx context.Context, paths []string, o tcpwhy.Options) (*report.Report, error) {
	all := &report.Report{Schema: report.Schema}
	for _, fact := range o.Facts {
		if !strings.Contains(fact, "=") {
			return nil, &tcpwhy.UsageError{Err: fmt.Errorf("fact %q has no value", fact)}
		}
	}
	for _, path := range paths {
		data, err := readInput(path, o.Stdin)
		if err != nil {
			return nil, err
		}
		switch s := string(data); {
		case strings.HasPrefix(s, "cut"):
			return nil, &hintError{fmt.Errorf("%s: frame 3: cut short", path), "capture it again"}
		case !strings.HasPrefix(s, "{"):
			return nil, fmt.Errorf("%s: not a capture", path)
		}
		var r report.Report
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, err
		}
		all.Capture, all.QuietConnections = r.Capture, r.QuietConnections
		all.Connections = append(all.Connections, r.Connections...)
		if !o.NoFindings {
			all.Findings = append(all.Findings, r.Findings...)
		}
		for i := range r.Connections {
			if o.Connection == nil {
				break
			}
			if err := o.Connection(&r.Connections[i]); err != nil {
				return nil, fmt.Errorf("connection %d: %w", i, err)
			}
		}
	}
	all.Summary, all.MadeBy = report.Summarize(all.Findings), o.MadeBy
	if o.JSON != nil && ctx.Err() == nil {
		return all, o.JSON(func(w io.Writer) error { return report.WriteJSON(w, all) })
	}
	return all, ctx.Err()
}

func readInput(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(path)
}

// hintError knows what to do about it.
type hintError struct {
	error
	hint string
}

func (e *hintError) Hint() string { return e.hint }

// in runs one command line in this process, with the given engine.
func in(t *testing.T, engine explainFunc, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errs)
	a.explain = engine
	code = a.run(context.Background(), args)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	fail := func(err error) explainFunc {
		return func(context.Context, []string, tcpwhy.Options) (*report.Report, error) { return nil, err }
	}
	missing := &fs.PathError{Op: "open", Path: "conections", Err: fs.ErrNotExist}
	for _, c := range []struct {
		name   string
		err    error
		args   []string
		code   int
		stderr string
	}{
		{"plain", errors.New("boom"), []string{"x"}, 1, "tcpwhy: error: boom\n"},
		{"hint", &hintError{errors.New("boom"), "look"}, []string{"x"}, 1, "tcpwhy: error: boom\ntcpwhy: hint: look\n"},
		{"wrapped hint", fmt.Errorf("a: %w", &hintError{errors.New("b"), "look"}), []string{"x"}, 1, "tcpwhy: error: a: b\ntcpwhy: hint: look\n"},
		{"bad fact", fmt.Errorf("explain: %w", &tcpwhy.UsageError{Err: errors.New("bad fact")}), []string{"explain", "x"}, 2,
			"tcpwhy: error: explain: bad fact\ntcpwhy: hint: see tcpwhy explain --help\n"},
		{"closed pipe", fmt.Errorf("write: %w", syscall.EPIPE), []string{"x"}, 0, ""},
		{"cancelled", fmt.Errorf("frame 7: %w", context.Canceled), []string{"x"}, 130, "tcpwhy: error: interrupted\n"},
		{"two errors", errors.Join(errors.New("a"), errors.New("b")), []string{"x"}, 1, "tcpwhy: error: a\ntcpwhy: error: b\n"},
		{"hostile", errors.New("\x1b]0;title\a: no"), []string{"x"}, 1, "tcpwhy: error: \\x1b]0;title\\a: no\n"},
		{"mistyped command", missing, []string{"conections", "x.pcap"}, 1,
			"tcpwhy: error: open conections: file does not exist\ntcpwhy: hint: for the command: tcpwhy connections x.pcap\n"},
		{"missing file", missing, []string{"explain", "conections"}, 1, "tcpwhy: error: open conections: file does not exist\n"},
	} {
		code, stdout, stderr := in(t, fail(c.err), c.args...)
		if code != c.code || stderr != c.stderr || stdout != "" {
			t.Errorf("%s: code %d, want %d; stdout %q; stderr\n%s\nwant\n%s", c.name, code, c.code, stdout, stderr, c.stderr)
		}
	}
}

// What the user gives reaches the engine as it was given.
func TestOptionsReachTheEngine(t *testing.T) {
	var got tcpwhy.Options
	var paths []string
	spy := func(_ context.Context, p []string, o tcpwhy.Options) (*report.Report, error) {
		paths, got = p, o
		return &report.Report{}, nil
	}
	for _, prefix := range [][]string{{}, {"explain"}} {
		args := append(slices.Clone(prefix), "-j", "2", "--fact", "server:a=1,2", "--fact", "client:b=3", "--facts", "10.0.0.1=f", "a.pcap", "b.pcap")
		if code, _, stderr := in(t, spy, args...); code != 0 {
			t.Fatalf("%v: code %d: %s", args, code, stderr)
		}
		if d := cmp.Diff(tcpwhy.Options{Facts: []string{"server:a=1,2", "client:b=3"}, FactFiles: []string{"10.0.0.1=f"}, Workers: 2, MadeBy: madeBy()}, got, cmpopts.IgnoreUnexported(tcpwhy.Options{}), cmpopts.IgnoreFields(tcpwhy.Options{}, "Interrupt")); d != "" {
			t.Errorf("%v: options (-want +got):\n%s", args, d)
		}
		if d := cmp.Diff([]string{"a.pcap", "b.pcap"}, paths); d != "" {
			t.Errorf("%v: paths (-want +got):\n%s", args, d)
		}
	}
	if _, _, stderr := in(t, spy, "connections", "a.pcap"); !got.NoFindings || got.Connection == nil {
		t.Errorf("connections asks for findings, or for no connections: %s", stderr)
	}
	if in(t, spy, "-"); got.Stdin == nil {
		t.Error("- does not hand stdin over")
	}
}

// Every command has help with examples, and the examples are accepted as they stand.
func TestExamplesRun(t *testing.T) {
	engine := func(context.Context, []string, tcpwhy.Options) (*report.Report, error) { return &report.Report{}, nil }
	saved, err := os.ReadFile("../../internal/report/text/testdata/certain.json")
	if err != nil {
		t.Fatal(err)
	}
	frames, err := os.ReadFile("../../testdata/founding/founding.pcap")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // some of them write a file, one reads facts, some read a report, one frames
	if err := os.WriteFile("trace.pcapng", frames, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.json", "report.html"} {
		if err := os.WriteFile("saved.json", saved, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := in(t, engine, "render", "-o", name, "saved.json"); code != 0 {
			t.Fatal(stderr)
		}
	}
	if err := os.WriteFile("sysctl.txt", []byte("net.ipv4.tcp_tw_recycle = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	root := newApp(nil, io.Discard, io.Discard).rootCommand()
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		if c.Short == "" || c.Example == "" && c.Name() != "completion" {
			t.Errorf("%s has no short text or no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			_, own, found := strings.Cut(strings.TrimSpace(line), "tcpwhy ")
			if !found {
				t.Errorf("%s: an example without tcpwhy: %q", c.CommandPath(), line)
				continue
			}
			if words := shellWords(own); words[0] == "lab" || words[0] == "serve" || words[0] == "browse" {
				// They need a kernel, a terminal, or somebody who interrupts them, and have tests of
				// their own; here their flags are read.
				lab, rest, err := root.Find(words)
				if err == nil {
					err = lab.ParseFlags(rest)
				}
				if err != nil {
					t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
				}
				ran++
				continue
			}
			if code, _, stderr := in(t, engine, shellWords(own)...); code != 0 {
				t.Errorf("%s: %q: code %d: %s", c.CommandPath(), line, code, stderr)
			}
			// The engine itself finds no capture, but has nothing against the facts.
			if code, _, stderr := in(t, tcpwhy.Explain, shellWords(own)...); code == exitUsage {
				t.Errorf("%s: %q: %s", c.CommandPath(), line, stderr)
			}
			ran++
		}
	}
	if ran < 10 {
		t.Errorf("only %d examples were run", ran)
	}
}

// shellWords splits a command line as a shell does, as far as the examples need:
// at spaces, but not within single quotes.
func shellWords(s string) (words []string) {
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}

func TestUseColor(t *testing.T) {
	for _, c := range []struct {
		mode          string
		terminal      bool
		noColor, term string
		want          bool
	}{
		{"auto", true, "", "xterm", true},
		{"auto", false, "", "xterm", false},
		{"auto", true, "1", "xterm", false},
		{"auto", true, "", "dumb", false},
		{"auto", true, "", "", true},
		{"always", false, "1", "dumb", true},
		{"never", true, "", "xterm", false},
	} {
		getenv := func(name string) string { return map[string]string{"NO_COLOR": c.noColor, "TERM": c.term}[name] }
		if got := useColor(c.mode, c.terminal, getenv); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestTextWidth(t *testing.T) {
	for terminal, want := range map[int]int{0: 0, 80: 80, 140: 140, 500: 140} {
		if got := textWidth(terminal); got != want {
			t.Errorf("textWidth(%d) = %d, want %d", terminal, got, want)
		}
	}
}

// An analysis that fails leaves an older report alone.
func TestOutputSurvivesFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.txt")
	if err := os.WriteFile(path, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := func(context.Context, []string, tcpwhy.Options) (*report.Report, error) { return nil, errors.New("bad") }
	if code, _, _ := in(t, bad, "-o", path, "x"); code != exitFailed {
		t.Errorf("code %d", code)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "older" {
		t.Errorf("the older report is gone: %q, %v", data, err)
	}
}

// closedWriter is a pipe whose reader has gone.
type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
}

func TestClosedPipeIsQuiet(t *testing.T) {
	engine := func(_ context.Context, _ []string, o tcpwhy.Options) (*report.Report, error) {
		for o.Connection != nil {
			if err := o.Connection(&report.Connection{}); err != nil {
				return nil, fmt.Errorf("frame 1: %w", err)
			}
		}
		return &report.Report{}, nil
	}
	for _, args := range [][]string{{"x"}, {"--format", "json", "x"}, {"connections", "x"}, {"connections", "--format", "json", "x"}, {"version"}} {
		var errs bytes.Buffer
		a := newApp(strings.NewReader(""), closedWriter{}, &errs)
		a.explain = engine
		if code := a.run(context.Background(), args); code != 0 || errs.Len() > 0 {
			t.Errorf("%v: code %d, stderr %q", args, code, errs.String())
		}
	}
}
