package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// stream is standard input as a reader that can be ended from outside. A read
// from a pipe cannot be broken off otherwise.
type stream struct {
	*io.PipeReader
	w *io.PipeWriter
}

const streamBuffer = 256 << 10

// input returns standard input if the paths ask for it, else nil.
func (a *app) input(paths []string) io.Reader {
	if !slices.Contains(paths, "-") {
		return nil
	}
	s := &stream{}
	s.PipeReader, s.w = io.Pipe()
	go func() {
		// Hiding the file keeps io.Copy from choosing a smaller buffer of its own.
		_, err := io.CopyBuffer(s.w, struct{ io.Reader }{a.stdin}, make([]byte, streamBuffer))
		s.w.CloseWithError(err)
	}()
	a.stream.Store(s)
	return s
}

// grace is how long a stream may still bring what was on its way when the
// interrupt came: tcpdump gets the same interrupt and writes its last packets then.
const grace = time.Second

// dieAfter is how long after the second interrupt the program may take to end by itself.
const dieAfter = time.Second

// interruptible returns a channel that the first interrupt closes: for commands that then end
// early with a result.
func (a *app) interruptible() <-chan struct{} {
	c := make(chan struct{})
	a.interrupt.Store(&c)
	return c
}

// watchSignals returns a context that SIGINT and SIGTERM cancel. Where a command can end early
// with a result, the first SIGINT asks for that: a stream ends after a while, the reading
// of files at once. A program that does not end soon after it was cancelled is ended; so
// does one more signal.
func (a *app) watchSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	// A closed pipe shall come back as an error, not as a signal that kills.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		asked := false
		for {
			select {
			case <-ctx.Done():
			case s := <-signals:
				if s == os.Interrupt && !asked && a.endEarly() {
					asked = true
					a.talk("note", "interrupted: finishing with what was read (interrupt again to stop)")
					continue
				}
				cancel()
				go a.dieUnless(done)
			}
			signal.Stop(signals)
			if in := a.stream.Load(); in != nil {
				_ = in.w.CloseWithError(context.Canceled)
			}
			return
		}
	}()
	return ctx, sync.OnceFunc(func() {
		cancel()
		close(done)
	})
}

// endEarly asks a command to end with what it has, and tells whether there is one that can.
func (a *app) endEarly() bool {
	if in := a.stream.Load(); in != nil {
		time.AfterFunc(grace, func() { _ = in.w.Close() })
		return true
	}
	c := a.interrupt.Load()
	if c != nil {
		close(*c)
	}
	return c != nil
}

// dieUnless ends the program unless it ends by itself in time.
func (a *app) dieUnless(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(dieAfter):
		a.talk("error", "interrupted")
		a.exit(exitInterrupted)
	}
}
