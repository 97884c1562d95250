//go:build unix

package main

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// interrupt sends this process a SIGINT; the program under test has its handler on.
func interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// One interrupt cancels the reading of files.
func TestInterruptCancels(t *testing.T) {
	var out, errs lockedBuffer
	a := newApp(strings.NewReader(""), &out, &errs)
	a.explain = func(ctx context.Context, _ []string, _ tcpwhy.Options) (*report.Report, error) {
		interrupt(t)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Second):
			t.Error("not cancelled")
			return &report.Report{}, nil
		}
	}
	if code := a.run(context.Background(), []string{"x"}); code != exitFailed || errs.String() != "tcpwhy: error: interrupted\n" || out.String() != "" {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), errs.String())
	}
}

// One interrupt ends a stream that would never end, and what came is explained;
// a second one cancels.
func TestInterruptEndsStream(t *testing.T) {
	for _, c := range []struct {
		interrupts, code int
		stdout, stderr   string
	}{
		{1, exitDone, "No findings.", "tcpwhy: note: interrupted: finishing with what was read (interrupt again to stop)\n"},
		{2, exitFailed, "", "tcpwhy: note: interrupted: finishing with what was read (interrupt again to stop)\ntcpwhy: error: interrupted\n"},
	} {
		var out, errs lockedBuffer
		stdin, feed := io.Pipe()
		a := newApp(stdin, &out, &errs)
		a.explain = func(_ context.Context, _ []string, o tcpwhy.Options) (*report.Report, error) {
			if _, err := io.ReadFull(o.Stdin, make([]byte, 4)); err != nil {
				t.Error(err)
			}
			interrupt(t)
			if c.interrupts == 2 {
				for !strings.Contains(errs.String(), "again") {
					time.Sleep(time.Millisecond)
				}
				interrupt(t)
			}
			// As from a child that writes what it still has when it is interrupted.
			go func() { _, _ = feed.Write([]byte("tail")) }()
			rest, err := io.ReadAll(o.Stdin)
			if err != nil {
				return nil, err
			}
			if string(rest) != "tail" {
				t.Errorf("after the interrupt came %q", rest)
			}
			return &report.Report{}, nil
		}
		go func() { _, _ = feed.Write([]byte("head")) }()
		code := a.run(context.Background(), []string{"-"})
		if code != c.code || !strings.Contains(out.String(), c.stdout) || errs.String() != c.stderr {
			t.Errorf("%d interrupts: code %d, stdout %q, stderr %q", c.interrupts, code, out.String(), errs.String())
		}
	}
}
