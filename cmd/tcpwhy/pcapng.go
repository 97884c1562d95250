package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/export"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/anonymize"
)

// formatPcapng is the format that needs the capture's frames beside the report.
const formatPcapng = "pcapng"

// frameFlags are what of a capture's frames is written with that format.
type frameFlags struct{ all, payload bool }

func addFrameFlags(cmd *cobra.Command, f *frameFlags) {
	cmd.Flags().BoolVar(&f.all, "all-frames", false, "write every frame, not only those of the findings (pcapng)")
	cmd.Flags().BoolVar(&f.payload, "keep-payload", false, "write frames as they were captured, not their headers alone (pcapng)")
}

// check refuses what cannot be done, before the work is.
func (f *frameFlags) check(a *app, p *presentation, paths []string) error {
	if p.format != formatPcapng {
		if f.all || f.payload {
			return &usageError{err: errors.New("--all-frames and --keep-payload are for --format pcapng alone")}
		}
		return nil
	}
	if p.output == "" && a.terminalWidth(a.stdout) > 0 {
		return &usageError{err: errors.New("a capture is not for a terminal"), hint: "-o FILE.pcapng"}
	}
	err := export.Check(paths, f.options(p))
	if errors.Is(err, export.ErrPayload) || errors.Is(err, export.ErrNoFrames) {
		return &usageError{err: fmt.Errorf("--format pcapng: %w", err)}
	}
	return err
}

func (f *frameFlags) options(p *presentation) export.Options {
	o := export.Options{AllFrames: f.all, KeepPayload: f.payload}
	if p.anonymize {
		o.Mapping = new(anonymize.Mapping)
	}
	return o
}

// writeFrames writes the frames of the captures with the report's words.
func (a *app) writeFrames(ctx context.Context, p *presentation, f *frameFlags, paths []string, r *report.Report) error {
	if p.finding != "" {
		one, err := selectFinding(r, p.finding)
		if err != nil {
			return err
		}
		r = one
	}
	write := func(w io.Writer) error {
		b := bufio.NewWriter(w)
		if err := export.Write(ctx, b, paths, r, f.options(p)); err != nil {
			return err
		}
		return b.Flush()
	}
	if p.output == "" {
		return write(a.stdout)
	}
	return writeFile(p.output, write)
}
