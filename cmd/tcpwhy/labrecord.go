package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/lab"
)

func (a *app) labRecordCommand() *cobra.Command {
	var format, dir string
	var slow, list bool
	cmd := &cobra.Command{
		Use:   "record --out DIR [CASE...]",
		Short: "Make captures with known causes",
		Long: `Record sets up one cause after the other between the kernel that runs here and
a peer of its own, and writes what passed as DIR/KERNEL/CASE.pcap, and what was
true as CASE.json: the cause, the deciding segments, the kernel's state before
and after each, its settings, and the counters that moved. Without CASE it makes
all, but those that take over a minute only with --slow.`,
		Example: `  tcpwhy lab record --list
  tcpwhy lab record --out corpus --slow
  tcpwhy lab record --out . tw_rescue tw_rescue_v6`,
		Args: func(_ *cobra.Command, args []string) error {
			all := lab.Cases()
			for _, name := range args {
				// Where the laboratory does not work there are no cases, which is said later.
				if len(all) > 0 && !slices.ContainsFunc(all, func(c lab.Case) bool { return c.Name == name }) {
					return &usageError{err: fmt.Errorf("there is no case %q", name), hint: "tcpwhy lab record --list names them"}
				}
			}
			if dir == "" && !list {
				return &usageError{err: errors.New("no directory given"), hint: "--out DIR says where the captures go"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return a.listCases(format)
			}
			made, err := lab.Record(cmd.Context(), dir, args, slow)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.stdout, map[string]any{"recorded": made})
			}
			for _, m := range made {
				if _, err := fmt.Fprintf(a.stdout, "%s: %s, %d frames: %s\n", m.File, m.Cause, m.Frames, m.Outcome); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&dir, "out", "o", "", "write below `DIR`")
	cmd.Flags().BoolVar(&slow, "slow", false, "also what takes over a minute")
	cmd.Flags().BoolVar(&list, "list", false, "list the cases, and make none")
	addChoice(cmd, &format, "format", "how to write the result", "text", "json")
	return cmd
}

func (a *app) listCases(format string) error {
	all := lab.Cases()
	if format == "json" {
		return writeJSON(a.stdout, map[string]any{"cases": all})
	}
	for _, c := range all {
		slow := ""
		if c.Slow {
			slow = " (slow)"
		}
		if _, err := fmt.Fprintf(a.stdout, "%-26s %s%s: %s\n", c.Name, c.Cause, slow, c.Says); err != nil {
			return err
		}
	}
	return nil
}
