package main

import (
	"math/rand/v2"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/lab"
)

func (a *app) labISNCommand() *cobra.Command {
	var format string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "isn",
		Short: "Try where the numbers of SYN-ACKs come from",
		Long: `Isn sends SYNs that TIME_WAIT accepts, with tcp_syncookies=0, 1 and 2, and tells
whether the SYN-ACK has the number that TIME_WAIT chose, one of the clock line,
or a cookie. Then TIME_WAIT accepts a SYN with FIN, which the listener drops, and
another client's SYN shows whether the chosen number was left over for it.`,
		Example: "  tcpwhy lab isn --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				seed = rand.Uint64()
			}
			p, err := lab.Kernel()
			if err != nil {
				return err
			}
			r, err := lab.TryISN(cmd.Context(), seed, p)
			if err != nil {
				return err
			}
			return a.writeLab(r, format)
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 0, "chooses the initial numbers (default: a fresh one)")
	addChoice(cmd, &format, "format", "how to write the result", "text", "json")
	return cmd
}

// writeLab writes a result; a difference is an error of its own.
func (a *app) writeLab(r *lab.Result, format string) error {
	var err error
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
