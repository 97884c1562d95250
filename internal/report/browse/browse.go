// Package browse shows a report on a terminal and lets a person walk about in it with
// the keys of less and tig: lists of findings and connections, one finding with its
// reasons, its ladder frame by frame. It is made from report values alone.
package browse

import (
	"context"
	"errors"
	"io"

	tea "charm.land/bubbletea/v2"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Options say where it runs. The zero value is the terminal of the process, without colour.
type Options struct {
	// Color sets words off in colours.
	Color bool
	// Input and Output are the terminal; nil: standard input, or the terminal itself where
	// that is none, and standard output.
	Input  io.Reader
	Output io.Writer
}

// Run shows the report until its reader leaves, or ctx ends, which is an error. The
// report is not changed.
func Run(ctx context.Context, r *report.Report, o Options) error {
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithoutSignalHandler()}
	if o.Input != nil {
		options = append(options, tea.WithInput(o.Input))
	}
	if o.Output != nil {
		options = append(options, tea.WithOutput(o.Output))
	}
	_, err := tea.NewProgram(New(r, o.Color), options...).Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}
