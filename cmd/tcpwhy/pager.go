package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// pager returns the command in which a result on a terminal is to be read, as git
// chooses it: $TCPWHY_PAGER, $PAGER, else less. It is empty where there is none: stdout is
// no terminal or a dumb one, the variable is empty or "cat", less is not installed.
func (a *app) pager() string {
	if a.terminalWidth(a.stdout) == 0 || a.getenv("TERM") == "dumb" {
		return ""
	}
	for _, name := range []string{"TCPWHY_PAGER", "PAGER"} {
		if command, ok := a.lookupenv(name); ok {
			if command = strings.TrimSpace(command); command == "cat" {
				return ""
			}
			return command
		}
	}
	if _, err := exec.LookPath("less"); err != nil {
		return ""
	}
	return "less"
}

// paged writes to the pager, or to stdout where there is none or it cannot be run. Whoever
// leaves a pager before the end has seen enough: that is no error.
func (a *app) paged(off bool, write func(io.Writer) error) error {
	command := a.pager()
	if off || command == "" {
		return write(a.stdout)
	}
	cmd := shell(command)
	cmd.Env = a.pagerEnvironment()
	cmd.Stdout, cmd.Stderr = a.stdout, a.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return write(a.stdout)
	}
	if err := cmd.Start(); err != nil {
		return write(a.stdout)
	}
	// An interrupt is the pager's to act upon. The terminal would be in disorder if this
	// program ended before it.
	signal.Ignore(os.Interrupt)
	err = errors.Join(write(in), in.Close())
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		err = nil
	}
	var exit *exec.ExitError
	if errors.As(cmd.Wait(), &exit) && slices.Contains([]int{126, 127}, exit.ExitCode()) {
		return write(a.stdout) // the shell said why it could not run it
	}
	return err
}

// pagerEnvironment tells less, unless its user did, to end at once where all fits on the
// screen (F), to let colours through (R) and to leave the text on the screen (X).
func (a *app) pagerEnvironment() []string {
	env := os.Environ()
	for _, v := range []struct{ name, value string }{{"LESS", "FRX"}, {"LV", "-c"}} {
		if _, ok := a.lookupenv(v.name); !ok {
			env = append(env, v.name+"="+v.value)
		}
	}
	return env
}

// shell makes a process of a command line.
func shell(command string) *exec.Cmd {
	if runtime.GOOS == "windows" {
		words := strings.Fields(command)
		return exec.Command(words[0], words[1:]...)
	}
	return exec.Command("sh", "-c", command)
}
