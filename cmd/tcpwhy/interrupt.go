package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
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

// watchSignals returns a context that SIGINT and SIGTERM cancel. While a stream
// is read the first SIGINT is the ordinary way to end it: the stream ends, and what was
// read is explained. The signal after the one that cancels kills the program.
func (a *app) watchSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	// A closed pipe shall come back as an error, not as a signal that kills.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		ended := false
		for {
			select {
			case <-ctx.Done():
			case s := <-signals:
				if in := a.stream.Load(); s == os.Interrupt && in != nil && !ended {
					ended = true
					a.talk("note", "interrupted: finishing with what was read (interrupt again to stop)")
					time.AfterFunc(grace, func() { _ = in.w.Close() })
					continue
				}
				cancel()
			}
			signal.Stop(signals)
			if in := a.stream.Load(); in != nil {
				_ = in.w.CloseWithError(context.Canceled)
			}
			return
		}
	}()
	return ctx, cancel
}
