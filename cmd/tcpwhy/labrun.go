package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/lab"
)

func (a *app) labRunCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "run SCENARIO...",
		Short: "Play stories from files, segment by segment",
		Long: `Run brings a connection of the kernel that runs here to a state, sends it the
segments of a story, and holds each answer, and the state after, against the
model. A scenario is a text file; "-" is stdin. It is the notation in which
matrix and random print a difference:

  state TIME_WAIT by way of FIN_WAIT2     begins a story; a file may have several
  family IPv6                             IPv4 where it is left out
  settings tcp_rfc1337=1, no listener     what differs from the defaults
  numbers rcv_nxt=4294967295 snd_nxt=7 ts_recent=90
  < S rcv_nxt-1(0) <TS val ts_recent+1 ecr 0>
  +0.7 < R 4294967295:4294967295(0)       0.7 s later
  follow-up                               a look at the state after
  # ...                                   a comment; so are the kernel's lines (>)

Sequence numbers count from rcv_nxt, acknowledgements from snd_nxt, timestamps
from ts_recent; ts_recent=none makes a connection without timestamps.`,
		Example: `  tcpwhy lab run testdata/lab/rescue.txt
  tcpwhy lab run --format json testdata/lab/*.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{err: errors.New("no scenario given"), hint: "tcpwhy lab run FILE..., or - for stdin"}
			}
			return readOnce(args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := a.scenarios(args)
			if err != nil {
				return err
			}
			return a.playScenarios(cmd.Context(), all, format)
		},
	}
	addChoice(cmd, &format, "format", "how to write the result", "text", "json")
	return cmd
}

// readOnce refuses stdin that is named twice: its second reading would be empty.
func readOnce(paths []string) error {
	stdin := 0
	for _, p := range paths {
		switch p {
		case "-":
			stdin++
		case "":
			return &usageError{err: errors.New("a file name is empty")}
		}
	}
	if stdin > 1 {
		return &usageError{err: errors.New("stdin (-) can be read only once")}
	}
	return nil
}

// mostScenario is the size, in bytes, above which a file is taken for something else
// than a scenario.
const mostScenario = 16 << 20

func (a *app) scenarios(paths []string) ([]lab.Scenario, error) {
	var all []lab.Scenario
	for _, path := range paths {
		b, err := a.readScenario(path)
		if err != nil {
			return nil, err
		}
		some, err := lab.ParseScenarios(path, string(b))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (a *app) readScenario(path string) ([]byte, error) {
	in := a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, mostScenario+1))
	if err == nil && len(b) > mostScenario {
		err = fmt.Errorf("over %d bytes: that is no scenario", mostScenario)
	}
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", path, err)
	}
	return b, nil
}

func (a *app) playScenarios(ctx context.Context, all []lab.Scenario, format string) error {
	p, err := lab.Kernel()
	if err != nil {
		return err
	}
	r, err := lab.Play(ctx, all, p)
	if err != nil {
		return err
	}
	if format == "json" {
		err = writeJSON(a.stdout, r)
	} else {
		err = r.WriteText(a.stdout)
	}
	if err == nil && r.Mismatches > 0 {
		return errMismatch
	}
	return err
}
