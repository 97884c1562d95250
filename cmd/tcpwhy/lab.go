package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/lab"
)

// errMismatch is no failure: the laboratory found where the kernel does other
// than the model says.
var errMismatch = fmt.Errorf("the kernel and the model differ: %w", errFindings)

func (a *app) labCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Hold the model against the kernel that runs here",
		Long: `Lab makes a network namespace with a TUN device, plays the peer of real
sockets there segment by segment, and compares each answer of the kernel with
what the model predicts: whether there is one, flags, numbers, window,
timestamps, and the state after. It needs Linux and root, touches no other
network, and leaves nothing behind.

Exit code 3: the kernel did other than the model says.`,
		Example: `  tcpwhy lab matrix --only timewait --format json
  tcpwhy lab random --probes 20000
  tcpwhy lab run testdata/lab/rescue.txt
  tcpwhy lab record --out corpus`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{err: fmt.Errorf("lab has no %q", args[0]), hint: "see tcpwhy lab --help"}
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return &usageError{err: errors.New("lab what?"), hint: "tcpwhy lab matrix, tcpwhy lab random, tcpwhy lab run FILE, or tcpwhy lab record --out DIR"}
		},
	}
	cmd.AddCommand(a.labMatrixCommand(), a.labRandomCommand(), a.labRunCommand(), a.labRecordCommand(), a.labISNCommand(), a.labReplayCommand())
	return cmd
}

func (a *app) labMatrixCommand() *cobra.Command {
	var format string
	var only []string
	var pairs bool
	var seed uint64
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Try each kind of segment, place and timestamp in each state",
		Long: `Matrix tries every kind of segment, at every place in and around the receive
window, with every kind of timestamp, in every state and under every setting.`,
		Example: "  tcpwhy lab matrix --only timewait,finwait2 --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stories, err := lab.Matrix(only, pairs, seed)
			if err != nil {
				return &usageError{err: err}
			}
			return a.runLab(cmd.Context(), "matrix", seed, stories, format)
		},
	}
	cmd.Flags().StringSliceVar(&only, "only", nil, "only these `PARTS`: "+strings.Join(lab.Parts, ", "))
	cmd.Flags().BoolVar(&pairs, "pairs", false, "in TIME_WAIT also every pair of settings")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "chooses the initial numbers")
	addChoice(cmd, &format, "format", "how to write the result", "text", "json")
	return cmd
}

func (a *app) labRandomCommand() *cobra.Command {
	var format string
	var probes int
	var seed uint64
	cmd := &cobra.Command{
		Use:   "random",
		Short: "Try walks of random segments into one connection",
		Long: `Random sends one to five random segments into one connection after the other,
most of them into TIME_WAIT, and follows what the model says of the state
between them. Where the kernel does otherwise the walk is made as short as it
can be. Without --seed the seed is a fresh one, which the result names.`,
		Example: "  tcpwhy lab random --probes 3000 --seed 7",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if probes < 1 || probes > 10_000_000 {
				return &usageError{err: fmt.Errorf("--probes must be 1 to 10000000, not %d", probes)}
			}
			if !cmd.Flags().Changed("seed") {
				seed = rand.Uint64()
			}
			return a.runLab(cmd.Context(), "random", seed, lab.Random(probes, seed), format)
		},
	}
	cmd.Flags().IntVar(&probes, "probes", 3000, "how many segments to send")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "chooses the walks (default: a fresh one)")
	addChoice(cmd, &format, "format", "how to write the result", "text", "json")
	return cmd
}

func (a *app) runLab(ctx context.Context, mode string, seed uint64, stories []lab.Story, format string) error {
	p, err := lab.Kernel()
	if err != nil {
		return err
	}
	r, err := lab.Try(ctx, mode, seed, stories, p)
	if err != nil {
		return err
	}
	return a.writeLab(r, format)
}
