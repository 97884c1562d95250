package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/browse"
)

// browsing runs the command on a terminal and returns the report that it showed, nil for none.
func browsing(t *testing.T, env map[string]string, engine explainFunc, args ...string) (shown *report.Report, o browse.Options, code int, stderr string) {
	t.Helper()
	var out, errs lockedBuffer
	a := newApp(strings.NewReader(""), &out, &errs)
	a.explain = engine
	a.getenv = func(name string) string { return env[name] }
	if env["no terminal"] == "" {
		onTerminal(a, 80, &out)
	}
	a.browse = func(_ context.Context, r *report.Report, opts browse.Options) error {
		shown, o = r, opts
		return nil
	}
	code = a.run(context.Background(), append([]string{"browse"}, args...))
	if out.String() != "" {
		t.Errorf("%v: stdout %q", args, out.String())
	}
	return shown, o, code, errs.String()
}

func TestBrowse(t *testing.T) {
	dir := t.TempDir()
	put := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	saved := put("r.json", `{"schema": "tcpwhy.report/1", "findings": [{"id": "saved"}]}`)
	newer := put("newer.json", `{"schema": "tcpwhy.report/9"}`)
	capture := put("x.pcap", "\xd4\xc3\xb2\xa1")
	empty := put("empty", "")
	engine := func(_ context.Context, paths []string, o tcpwhy.Options) (*report.Report, error) {
		if paths[0] == newer {
			return nil, errors.New("no capture")
		}
		return &report.Report{Findings: []report.Finding{{ID: "engine " + strings.Join(o.Facts, ",")}}}, nil
	}
	for _, c := range []struct {
		name   string
		env    map[string]string
		args   []string
		shown  string // the id of its only finding
		color  bool
		code   int
		stderr string
	}{
		{name: "capture", args: []string{"--fact", "server:kernel=5", capture}, shown: "engine server:kernel=5", color: true},
		{name: "several", args: []string{saved, capture}, shown: "engine ", color: true},
		{name: "saved", args: []string{saved}, shown: "saved", color: true},
		{name: "empty", args: []string{empty}, shown: "engine ", color: true},
		{name: "no such file", args: []string{filepath.Join(dir, "none")}, shown: "engine ", color: true},
		{name: "folder", args: []string{dir}, shown: "engine ", color: true},
		{name: "newer report", args: []string{newer}, code: 1, stderr: `a report of schema "tcpwhy.report/9"`},
		{name: "no colour", env: map[string]string{"NO_COLOR": "1"}, args: []string{saved}, shown: "saved"},
		{name: "never", args: []string{"--color", "never", saved}, shown: "saved"},
		{name: "no terminal", env: map[string]string{"no terminal": "1"}, args: []string{saved}, code: 2, stderr: "browse needs a terminal"},
		{name: "dumb", env: map[string]string{"TERM": "dumb"}, args: []string{saved}, code: 2, stderr: "browse needs a terminal"},
		{name: "no file", code: 2, stderr: "no capture file given"},
	} {
		shown, o, code, stderr := browsing(t, c.env, engine, c.args...)
		id := ""
		if shown != nil {
			id = shown.Findings[0].ID
		}
		if id != c.shown || code != c.code || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" || shown != nil && o.Color != c.color {
			t.Errorf("%s: shown %q, colour %v, code %d, stderr %q", c.name, id, o.Color, code, stderr)
		}
	}
}

// What is browsed is what explain tells.
func TestBrowseIsExplain(t *testing.T) {
	const path = "../../testdata/founding/founding.pcap"
	shown, _, code, stderr := browsing(t, nil, tcpwhy.Explain, path)
	if code != 0 {
		t.Fatal(stderr)
	}
	want, err := tcpwhy.Explain(context.Background(), []string{path}, tcpwhy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, shown); d != "" {
		t.Error(d)
	}
}
