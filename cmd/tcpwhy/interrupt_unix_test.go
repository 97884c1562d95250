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

// One interrupt ends the reading of files, and what was read is explained; a second one
// cancels. Both show in the exit code.
func TestInterruptEndsReading(t *testing.T) {
	const note = "tcpwhy: note: interrupted: finishing with what was read (interrupt again to stop)\n"
	for _, c := range []struct {
		interrupts     int
		stdout, stderr string
	}{{1, "warning: the reading was interrupted", note}, {2, "", note + "tcpwhy: error: interrupted\n"}} {
		var out, errs lockedBuffer
		a := newApp(strings.NewReader(""), &out, &errs)
		a.explain = func(ctx context.Context, _ []string, o tcpwhy.Options) (*report.Report, error) {
			interrupt(t)
			<-o.Interrupt
			if c.interrupts == 2 {
				for !strings.Contains(errs.String(), "again") {
					time.Sleep(time.Millisecond)
				}
				interrupt(t)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &report.Report{Capture: report.Capture{Warnings: []report.Warning{{Code: "interrupted", Says: "the reading was interrupted after frame 7"}}}}, nil
		}
		code := a.run(context.Background(), []string{"x"})
		if code != exitInterrupted || !strings.Contains(out.String(), c.stdout) || c.stdout == "" && out.String() != "" || errs.String() != c.stderr {
			t.Errorf("%d interrupts: code %d, stdout %q, stderr %q", c.interrupts, code, out.String(), errs.String())
		}
	}
}

// A program that does not end though it was interrupted twice is ended.
func TestInterruptKills(t *testing.T) {
	var out, errs lockedBuffer
	a := newApp(strings.NewReader(""), &out, &errs)
	killed := make(chan int, 1)
	a.exit = func(code int) { killed <- code }
	a.explain = func(ctx context.Context, _ []string, o tcpwhy.Options) (*report.Report, error) {
		interrupt(t)
		<-o.Interrupt
		for !strings.Contains(errs.String(), "again") {
			time.Sleep(time.Millisecond)
		}
		interrupt(t)
		select {
		case code := <-killed:
			if code != exitInterrupted {
				t.Errorf("killed with code %d", code)
			}
		case <-time.After(10 * time.Second):
			t.Error("not killed")
		}
		return nil, ctx.Err()
	}
	a.run(context.Background(), []string{"x"})
}

// One interrupt ends a stream that would never end, and what came is explained;
// a second one cancels.
func TestInterruptEndsStream(t *testing.T) {
	for _, c := range []struct {
		interrupts, code int
		stdout, stderr   string
	}{
		{1, exitDone, "No findings.", "tcpwhy: note: interrupted: finishing with what was read (interrupt again to stop)\n"},
		{2, exitInterrupted, "", "tcpwhy: note: interrupted: finishing with what was read (interrupt again to stop)\ntcpwhy: error: interrupted\n"},
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
