package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// lockedBuffer is written by other goroutines and read by a test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		d    tcpwhy.Done
		took time.Duration
		want string
	}{
		{tcpwhy.Done{Bytes: 450e6, Total: 1e9, Packets: 4.5e6}, 9 * time.Second, "reading: 45 % of 1.00 GB, 11 s left, 500 k packets/s, 4.50 M packets"},
		{tcpwhy.Done{Bytes: 1, Total: 1e9, Packets: 0}, time.Second, "reading: 0 % of 1.00 GB, 0 packets/s, 0 packets"},
		{tcpwhy.Done{Bytes: 0, Total: 1e9}, time.Minute, "reading: 0 % of 1.00 GB, 0 packets/s, 0 packets"},
		{tcpwhy.Done{Bytes: 1e6, Total: 1e9, Packets: 1000}, 10 * time.Second, "reading: 0 % of 1.00 GB, 3 h left, 100 packets/s, 1.00 k packets"},
		{tcpwhy.Done{Bytes: 5e9, Total: 1e9, Packets: 12345}, 10 * time.Second, "reading: 100 % of 1.00 GB, 0 s left, 1.23 k packets/s, 12.3 k packets"},
		{tcpwhy.Done{Bytes: 123456, Packets: 1234}, 2 * time.Second, "reading: 1.23 k packets, 123 kB, 617 packets/s"},
		{tcpwhy.Done{}, 0, "reading: 0 packets, 0 B, 0 packets/s"},
		{tcpwhy.Done{Bytes: 999, Total: 999, Packets: 14, All: true}, time.Second, "read 14 packets, 999 B; drawing conclusions"},
	} {
		if got := progressLine(c.d, c.took); got != c.want {
			t.Errorf("%+v after %v:\n got %s\nwant %s", c.d, c.took, got, c.want)
		}
	}
}

func TestScaled(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 999: "999", 999.6: "1.00 k", 9994: "9.99 k", 9996: "10.0 k", 99949: "99.9 k", 99960: "100 k",
		999499: "999 k", 999600: "1.00 M", 3.1e6: "3.10 M", 2.5e15: "2500 T",
	} {
		if got := scaled(v); got != want {
			t.Errorf("scaled(%v) = %q, want %q", v, got, want)
		}
	}
}

// slow is an engine that takes longer than progress waits for.
func slow() explainFunc {
	return func(_ context.Context, _ []string, o tcpwhy.Options) (*report.Report, error) {
		if o.Progress != nil {
			time.Sleep(progressAfter + 2*progressEvery)
		}
		return &report.Report{}, nil
	}
}

// onTerminal makes streams of an app count as terminals.
func onTerminal(a *app, width int, streams ...any) {
	a.terminalWidth = func(s any) int {
		for _, x := range streams {
			if x == s {
				return width
			}
		}
		return 0
	}
}

// A terminal gets a line that is gone when the work is done; nothing else gets one.
func TestProgressOnTerminalOnly(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		args     []string
		term     string
		want     bool
	}{
		{"terminal", true, []string{"x"}, "xterm", true},
		{"no terminal", false, []string{"x"}, "xterm", false},
		{"switched off", true, []string{"--no-progress", "x"}, "xterm", false},
		{"dumb", true, []string{"x"}, "dumb", false},
		{"connections", true, []string{"connections", "x"}, "xterm", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errs lockedBuffer
			a := newApp(strings.NewReader(""), &out, &errs)
			a.explain = slow()
			a.getenv = func(name string) string { return map[string]string{"TERM": c.term}[name] }
			if c.terminal {
				onTerminal(a, 30, &errs)
			}
			if code := a.run(context.Background(), c.args); code != 0 {
				t.Fatalf("code %d, %s", code, errs.String())
			}
			got := errs.String()
			if !c.want {
				if got != "" {
					t.Errorf("%q", got)
				}
				return
			}
			if !strings.HasPrefix(got, "\rreading: 0 packets, 0 B, 0 pa"[:30]+eraseLine) || !strings.HasSuffix(got, "\r"+eraseLine) {
				t.Errorf("%q", got)
			}
		})
	}
}

// Lines on a terminal that come while it is read would be torn by it.
func TestNoProgressAmongConnections(t *testing.T) {
	var out lockedBuffer
	a := newApp(strings.NewReader(""), &out, &out)
	onTerminal(a, 80, &out)
	a.explain = func(_ context.Context, _ []string, o tcpwhy.Options) (*report.Report, error) {
		if o.Progress != nil {
			t.Error("progress on the terminal that gets the lines")
		}
		return &report.Report{}, nil
	}
	a.run(context.Background(), []string{"connections", "x"})
}

// What is said in between stands on a line of its own.
func TestTalkWipesProgress(t *testing.T) {
	var errs lockedBuffer
	a := newApp(strings.NewReader(""), io.Discard, &errs)
	onTerminal(a, 80, &errs)
	a.getenv = func(string) string { return "" }
	_, end := a.startProgress(false)
	a.meter.Load().show("reading")
	a.talk("note", "hello")
	end()
	if want := "\rreading\x1b[K\r\x1b[Ktcpwhy: note: hello\n"; errs.String() != want {
		t.Errorf("%q, want %q", errs.String(), want)
	}
}
