package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/html"
)

func (a *app) renderCommand() *cobra.Command {
	var p presentation
	cmd := &cobra.Command{
		Use:   "render REPORT",
		Short: "Make another form of a saved report",
		Long: `Render reads a report that was saved, the JSON or the HTML page ("-" is standard
input), and writes it in another format. Nothing is analysed anew: it says what
the saved report says. The page carries the whole report, so that nothing is lost
on the way. A capture with comments (pcapng) needs the capture, see explain.`,
		Example: `  tcpwhy render report.html
  tcpwhy render report.html --format md --finding f1
  tcpwhy render report.html --picture ladder -o ladder.svg
  tcpwhy render report.json --anonymize -o ticket.html`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return &usageError{err: fmt.Errorf("one saved report is wanted, %d were given", len(args))}
			}
			p.settle(cmd)
			if err := checkOutput(p.output, nil); err != nil {
				return err
			}
			a.confineTo(p.output)
			r, err := a.readReport(args[0])
			if err != nil {
				return err
			}
			return a.writeReport(&p, r)
		},
	}
	cmd.Flags().SortFlags = false
	addPresentation(cmd, &p, formats...)
	return cmd
}

// maxReport bounds a saved report, in bytes.
const maxReport = 1 << 30

// readReport reads a saved report, whichever form it has.
func (a *app) readReport(path string) (*report.Report, error) {
	in, name := io.Reader(a.stdin), "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() // read only
		in, name = f, path
	}
	data, err := io.ReadAll(io.LimitReader(in, maxReport+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxReport {
		return nil, fmt.Errorf("%s: larger than a report can be", name)
	}
	if html.IsPage(data) {
		if data, err = html.Extract(data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	r, err := report.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}
