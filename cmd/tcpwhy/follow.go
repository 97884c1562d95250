package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/anonymize"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// followFlags are the flags for captures that grow.
type followFlags struct {
	on         bool
	checkpoint string
}

// followFormats are the formats that can be written finding by finding.
var followFormats = []string{"text", "json", formatLines}

// check refuses what does not go together, before the work is done.
func (f *followFlags) check(p *presentation, paths []string) error {
	switch {
	case !f.on && f.checkpoint != "":
		return &usageError{err: errors.New("--checkpoint is for --follow alone")}
	case !f.on:
		return nil
	case len(paths) != 1:
		return &usageError{err: errors.New("--follow takes one capture"), hint: "name a file, a directory in which captures appear, or - for standard input"}
	case !slices.Contains(followFormats, p.format):
		return &usageError{err: fmt.Errorf("--follow cannot write %s: a finding is written once it is sure, and no later one can change that", p.format), hint: "--format text or json"}
	case p.finding != "":
		return &usageError{err: errors.New("--finding does not go with --follow")}
	case f.checkpoint == "":
	case p.output == "":
		return &usageError{err: errors.New("--checkpoint needs -o FILE: what was written to standard output cannot be taken back")}
	case paths[0] == "-":
		return &usageError{err: errors.New("--checkpoint needs a file or a directory: standard input is gone after a restart"), hint: "tcpdump -G 3600 -w 'DIR/%s.pcap', and follow DIR"}
	case sameFile(f.checkpoint, p.output) || sameFile(f.checkpoint, paths[0]):
		return &usageError{err: fmt.Errorf("--checkpoint would overwrite %s", f.checkpoint)}
	}
	if out, err := os.Stat(filepath.Dir(p.output)); err == nil && p.output != "" {
		if in, err := os.Stat(paths[0]); err == nil && os.SameFile(out, in) {
			return &usageError{err: errors.New("-o: the output cannot lie in the directory that is followed")}
		}
	}
	if in, err := os.Stat(paths[0]); err == nil && !in.Mode().IsRegular() && !in.IsDir() && paths[0] != "-" {
		return &usageError{err: fmt.Errorf("%s is no file that can be followed", paths[0]), hint: fmt.Sprintf("read it as a stream: tcpwhy --follow - < %s", paths[0])}
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y) || filepath.Clean(a) == filepath.Clean(b)
}

// follower writes findings as they become sure.
type follower struct {
	a       *app
	p       *presentation
	out     outlet
	options text.Options
	mapping *anonymize.Mapping // nil: nothing is replaced
	buf     bytes.Buffer
}

// outlet is where the output goes.
type outlet interface {
	// give takes whole findings and how far the capture was read when they became sure.
	give(b []byte, at tcpwhy.Position) error
	// pause is called when everything that has come was read.
	pause(at tcpwhy.Position) error
	// last takes what is said at the end: answers to what was not settled, and the numbers.
	last(b []byte) error
	close() error
}

// follow is explain for a capture that grows.
func (a *app) follow(ctx context.Context, path string, f *explainFlags, o tcpwhy.Options) error {
	w := &follower{a: a, p: &f.presentation, options: text.Options{Color: useColor(f.color, false, a.getenv)}}
	if f.anonymize {
		w.mapping = new(anonymize.Mapping)
	}
	var err error
	switch {
	case f.output == "":
		width := a.terminalWidth(a.stdout)
		w.options = text.Options{Color: useColor(f.color, width > 0, a.getenv), Width: textWidth(width)}
		w.out = stdoutlet{a.stdout}
	case f.follow.checkpoint != "":
		w.out, err = openResumed(f.output, f.follow.checkpoint, path, f.decides())
	default:
		w.out, err = createOutput(f.output)
	}
	if err != nil {
		return err
	}
	matters := false
	r, err := tcpwhy.Follow(ctx, path, o, func(s *tcpwhy.Sure) error {
		if s.Report == nil {
			return w.out.pause(s.Position)
		}
		matters = matters || slices.ContainsFunc(s.Report.Findings, func(x report.Finding) bool { return x.Matters() })
		return w.found(s)
	})
	if err == nil {
		err = w.end(r)
	}
	if err := errors.Join(err, w.out.close()); err != nil {
		return err
	}
	if f.exitCode && matters {
		return errFindings
	}
	return nil
}

// decides lists the flags on which the written bytes depend.
func (f *explainFlags) decides() []string {
	out := []string{"--format " + f.format, "--color " + f.color, fmt.Sprintf("--anonymize=%v", f.anonymize), "--max-memory " + f.maxMemory.String()}
	for _, x := range []struct {
		name   string
		values []string
	}{{"--fact ", f.facts}, {"--facts ", f.files}, {"--only ", f.only}, {"--flow ", f.flows}, {"--since ", []string{f.since}}, {"--until ", []string{f.until}}} {
		for _, v := range x.values {
			if v != "" {
				out = append(out, x.name+v)
			}
		}
	}
	return out
}

func (w *follower) shown(r *report.Report) *report.Report {
	if w.mapping != nil {
		return w.mapping.Report(r)
	}
	return r
}

// found writes the findings of a part of the report.
func (w *follower) found(s *tcpwhy.Sure) error {
	r := w.shown(s.Report)
	w.buf.Reset()
	var err error
	if w.p.format == "text" {
		err = text.WriteFindings(&w.buf, r, w.options)
	} else {
		err = report.WriteFindingLines(&w.buf, r)
	}
	if err != nil {
		return err
	}
	if s.Last {
		return w.out.last(w.buf.Bytes())
	}
	return w.out.give(w.buf.Bytes(), s.Position)
}

// end writes what there is to say beside the findings.
func (w *follower) end(r *report.Report) error {
	r.MadeBy = madeBy()
	r = w.shown(r)
	w.buf.Reset()
	var err error
	if w.p.format == "text" {
		err = text.WriteEnd(&w.buf, r, w.options)
	} else {
		err = report.WriteEndLine(&w.buf, r)
	}
	if err != nil {
		return err
	}
	return w.out.last(w.buf.Bytes())
}

// stdoutlet is standard output.
type stdoutlet struct{ io.Writer }

func (s stdoutlet) give(b []byte, _ tcpwhy.Position) error { return s.last(b) }
func (s stdoutlet) pause(tcpwhy.Position) error            { return nil }
func (s stdoutlet) close() error                           { return nil }
func (s stdoutlet) last(b []byte) error {
	_, err := s.Write(b)
	return err
}

// fileOutput is a file that is begun anew. It grows under its name, so that it can be read meanwhile.
type fileOutput struct {
	stdoutlet
	f *os.File
}

func createOutput(path string) (*fileOutput, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &fileOutput{stdoutlet{f}, f}, nil
}

func (o *fileOutput) close() error { return o.f.Close() }
