// Command tcpwhy reads a packet capture and says why a TCP connection did what
// it did.
//
//	tcpwhy FILE...              explain what is worth explaining
//	tcpwhy browse FILE...       walk about in the report on the terminal
//	tcpwhy connections FILE...  list the connections, a line each
//	tcpwhy whatif STATE ...     ask the kernel model without packets
//
// stdout is the result, stderr is talk. The exit code is 0 when the work was
// done, 1 when it failed, 2 when the command was used wrongly, 3 when
// --exit-code is given and there are findings that are more than harmless, and
// 130 when it was interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/confine"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/browse"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

func main() {
	a := newApp(os.Stdin, os.Stdout, os.Stderr)
	a.confine = func(writable ...string) { confine.Apply(writable...) }
	os.Exit(a.run(context.Background(), os.Args[1:]))
}

// run is the whole program, but that it is never confined: it returns the exit code.
func run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, args []string) int {
	return newApp(stdin, stdout, stderr).run(ctx, args)
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{
		explain: tcpwhy.Explain, browse: browse.Run, stdin: stdin, stdout: stdout, stderr: stderr,
		getenv: os.Getenv, lookupenv: os.LookupEnv, terminalWidth: terminalWidth, exit: os.Exit,
	}
}

// app is what the commands share: the engine, and the world outside.
type app struct {
	// explain is tcpwhy.Explain, but for tests of what the commands make of its result.
	explain explainFunc
	// browse is browse.Run, but for tests.
	browse         func(context.Context, *report.Report, browse.Options) error
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	lookupenv      func(string) (string, bool)
	// terminalWidth returns the width of the terminal that a stream is, 0 where it is none.
	terminalWidth func(stream any) int
	// stream is stdin, once a command reads it.
	stream atomic.Pointer[stream]
	// interrupt is closed by the first interrupt, once a command can end early with a result.
	interrupt atomic.Pointer[chan struct{}]
	// exit is os.Exit, but for tests.
	exit func(code int)
	// confine is confine.Apply in a process of its own; nil: the process is not confined. See confineTo.
	confine func(writable ...string)
	// meter is the line on the terminal that says how far the reading is, while there is one.
	meter atomic.Pointer[meter]
}

type explainFunc func(ctx context.Context, paths []string, o tcpwhy.Options) (*tcpwhy.Report, error)

// The exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitFindings = 3
	// exitInterrupted is what shells report of a program that SIGINT ended (128 + 2).
	exitInterrupted = 130
)

// errFindings is no failure: --exit-code was given and a finding is more than harmless.
var errFindings = errors.New("there are findings")

// errInterrupted: an interrupt ended the reading, and what was read was explained.
var errInterrupted = errors.New("interrupted")

// usageError is a command line that cannot be understood.
type usageError struct {
	err  error
	hint string // what to do; empty: see --help
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.hint }

// run executes one command line.
func (a *app) run(ctx context.Context, args []string) int {
	ctx, stop := a.watchSignals(ctx)
	defer stop()
	root := a.rootCommand()
	// cobra reads os.Args where it is given nil.
	root.SetArgs(append([]string{}, args...))
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !started && !errors.As(err, new(*usageError)) {
		// What fails before a command starts is cobra refusing the command line.
		err = &usageError{err: err}
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // whatever it made fail on the way
	}
	return a.finish(cmd, err)
}

// finish maps the outcome to an exit code and says on stderr what went wrong.
func (a *app) finish(cmd *cobra.Command, err error) int {
	var usage *usageError
	var engineUsage *tcpwhy.UsageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.Is(err, syscall.EPIPE):
		return exitDone // whoever read the result has seen enough
	case errors.Is(err, errInterrupted):
		return exitInterrupted // the report says so
	case errors.Is(err, context.Canceled):
		a.talk("error", "interrupted")
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &engineUsage):
		a.talk("error", err.Error())
		hint := hintOf(err)
		if hint == "" {
			hint = "see " + cmd.CommandPath() + " --help"
		}
		a.talk("hint", hint)
		return exitUsage
	}
	a.talk("error", err.Error())
	hint := hintOf(err)
	if hint == "" && errors.Is(err, fs.ErrNotExist) {
		hint = suggestion(cmd)
	}
	if hint != "" {
		a.talk("hint", hint)
	}
	return exitFailed
}

// hintOf returns what an error advises to do, empty where it advises nothing.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// suggestion tells a mistyped command from a missing file: "tcpwhy conections x"
// asks for a file "conections". Empty: the name resembles no command.
func suggestion(cmd *cobra.Command) string {
	args := cmd.Flags().Args()
	if cmd.HasParent() || len(args) == 0 {
		return ""
	}
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return fmt.Sprintf("for the command: %s %s", cmd.Name(), strings.Join(append(like[:1], args[1:]...), " "))
	}
	return ""
}

// talk writes lines on stderr. A message may quote names that a stranger chose.
func (a *app) talk(kind, message string) {
	if m := a.meter.Load(); m != nil {
		m.wipe()
	}
	for line := range strings.Lines(message) {
		_, _ = fmt.Fprintf(a.stderr, "tcpwhy: %s: %s\n", kind, text.Clean(strings.TrimSuffix(line, "\n")))
	}
}
