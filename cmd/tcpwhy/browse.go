package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/browse"
)

func (a *app) browseCommand() *cobra.Command {
	var f struct {
		facts, files []string
		color        string
		noProgress   bool
	}
	cmd := &cobra.Command{
		Use:   "browse FILE...",
		Short: "Walk about in a report on the terminal",
		Long: `Browse explains captures as "tcpwhy explain" does and shows the report on the
whole terminal: lists of the findings and of their connections, and of each
finding the answer with its reasons and the ladder, frame by frame with what
rests on it. A report that was saved (JSON or HTML) may stand in place of the
captures.

The keys are those of less and tig: j and k or the arrows, space and b, g and G,
enter to open, q to go back, tab for the next view, / to filter a list or search
a text, [ and ] for the finding before and the next one, ? for all of them.`,
		Example: `  tcpwhy browse trace.pcap
  tcpwhy browse report.json
  tcpwhy browse --fact server:kernel=5.10 client.pcap server.pcap`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := checkFiles(paths, a.terminalWidth(a.stdin) > 0); err != nil {
				return err
			}
			if a.terminalWidth(a.stdout) == 0 || a.getenv("TERM") == "dumb" {
				return &usageError{err: errors.New("browse needs a terminal"), hint: "tcpwhy explain writes to a file or a pipe"}
			}
			r, notSaved := a.savedReport(paths)
			if r == nil {
				var err error
				progress, end := a.startProgress(f.noProgress)
				r, err = a.explain(cmd.Context(), paths, tcpwhy.Options{Facts: f.facts, FactFiles: f.files, Stdin: a.input(paths), Progress: progress})
				end()
				if err != nil && notSaved != nil {
					return notSaved
				}
				if err != nil {
					return err
				}
			}
			return a.browse(cmd.Context(), r, browse.Options{Color: useColor(f.color, true, a.getenv), Output: a.stdout})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(repeated{&f.facts}, "fact", "what is known about an end, `WHO:NAME=VALUE`; may be repeated")
	fs.Var(repeated{&f.files}, "facts", "a file of what an end printed (sysctl -a), `WHO=FILE`; may be repeated")
	addChoice(cmd, &f.color, "color", "when to use colour; auto: unless NO_COLOR is set", "auto", "always", "never")
	addProgressFlag(cmd, &f.noProgress)
	return cmd
}

// savedReport reads the only path where it begins as a saved report does. Both results are
// nil where it does not. An error is what is wrong with it as a report: it may be a text that
// holds packets all the same.
func (a *app) savedReport(paths []string) (*report.Report, error) {
	if len(paths) != 1 {
		return nil, nil
	}
	// Of a pipe nothing may be read here: it would be missing later.
	if info, err := os.Stat(paths[0]); err != nil || !info.Mode().IsRegular() {
		return nil, nil // the engine words it better
	}
	file, err := os.Open(paths[0])
	if err != nil {
		return nil, nil
	}
	head := make([]byte, 1)
	_, err = io.ReadFull(file, head)
	if err := file.Close(); err != nil {
		return nil, err
	}
	if err != nil || head[0] != '{' && head[0] != '<' {
		return nil, nil
	}
	return a.readReport(paths[0])
}
