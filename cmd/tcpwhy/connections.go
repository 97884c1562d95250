package main

import (
	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

func (a *app) connectionsCommand() *cobra.Command {
	var format string
	var noProgress bool
	cmd := &cobra.Command{
		Use:   "connections FILE...",
		Short: "List the connections, a line each",
		Long: `Connections lists every connection of the captures in the order in which they
end, a line each: its time and frames, its two ends, how far it came and how it
ended, who closed first and who has to hold TIME_WAIT, packets and bytes from
the client and from the server, and its history. With --format json every line
is a JSON object.`,
		Example: `  tcpwhy connections trace.pcap
  tcpwhy connections --format json trace.pcap
  tcpdump -i any -U -w - tcp | tcpwhy connections -`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := checkFiles(paths, a.terminalWidth(a.stdin) > 0); err != nil {
				return err
			}
			a.confineTo()
			form := text.Columns
			if format == "json" {
				form = text.JSONLines
			}
			// Lines on the same terminal would be torn by it.
			progress, end := a.startProgress(noProgress || a.terminalWidth(a.stdout) > 0)
			var r *report.Report
			err := text.WriteConnections(a.stdout, form, func(emit func(*report.Connection) error) (err error) {
				r, err = a.explain(cmd.Context(), paths, tcpwhy.Options{Connection: emit, NoFindings: true, Stdin: a.input(paths), Interrupt: a.interruptible(), Progress: progress})
				return err
			})
			a.interrupt.Store(nil)
			end()
			if err != nil {
				return err
			}
			// A line a connection leaves no room for them on stdout.
			for _, w := range r.Capture.Warnings {
				a.talk("warning", w.Says)
			}
			if wasInterrupted(r) {
				return errInterrupted
			}
			return nil
		},
	}
	addChoice(cmd, &format, "format", "how to write the lines", "text", "json")
	addProgressFlag(cmd, &noProgress)
	return cmd
}
