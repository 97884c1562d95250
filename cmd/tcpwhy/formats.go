package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/anonymize"
	"github.com/tcpwhy/tcpwhy/internal/report/html"
	"github.com/tcpwhy/tcpwhy/internal/report/markdown"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// formatLines is JSON as a line for each finding and one for the rest.
const formatLines = "jsonl"

// formats are the forms that can be made of a report alone.
var formats = []string{"text", "json", "html", "md", "svg"}

// presentation is how a report is to be shown: the flags that explain and render share.
type presentation struct {
	format, color, output string
	finding, picture      string
	all, anonymize        bool
	noPager               bool
}

// streams tells whether the report can be written while it is made: JSON of all of it, to a file or to standard output that
// is no terminal. There it is indented, and a pager would have nothing to show until the captures are read.
func (a *app) streams(p *presentation) bool {
	return p.format == "json" && p.finding == "" && !p.anonymize && (p.output != "" || a.terminalWidth(a.stdout) == 0)
}

// addPresentation adds those flags.
func addPresentation(cmd *cobra.Command, p *presentation, formats ...string) {
	fs := cmd.Flags()
	addChoice(cmd, &p.format, "format", "how to write the report", formats...)
	fs.StringVarP(&p.output, "output", "o", "", "write to `FILE` instead of standard output; its ending tells the format")
	fs.StringVar(&p.finding, "finding", "", "only the finding of this `ID`, such as f3")
	addChoice(cmd, &p.picture, "picture", "which picture svg is, of the finding or the first", pictures...)
	fs.BoolVar(&p.anonymize, "anonymize", false, "replace addresses and names of hosts and files, the same by the same")
	fs.BoolVar(&p.all, "all", false, "write every finding in full (text)")
	addChoice(cmd, &p.color, "color", "when to use colour; auto: on a terminal", "auto", "always", "never")
	fs.BoolVar(&p.noPager, "no-pager", false, "on a terminal, do not show it in a pager (TCPWHY_PAGER, PAGER, less)")
}

// settle completes what the flags say: without --format the file's ending chooses.
func (p *presentation) settle(cmd *cobra.Command) {
	if cmd.Flags().Changed("format") || p.output == "" {
		return
	}
	ending := strings.TrimPrefix(filepath.Ext(p.output), ".")
	if known, ok := cmd.Flags().Lookup("format").Value.(choice); ok && slices.Contains(known.allowed, ending) {
		p.format = ending
	}
}

// prepare makes of a report what is to be shown of it.
func (p *presentation) prepare(r *report.Report) (*report.Report, error) {
	if p.finding != "" {
		one, err := selectFinding(r, p.finding)
		if err != nil {
			return nil, err
		}
		r = one
	}
	if p.anonymize {
		r = new(anonymize.Mapping).Report(r)
	}
	return r, nil
}

// selectFinding returns a copy of the report with one of its findings.
func selectFinding(r *report.Report, id string) (*report.Report, error) {
	i := slices.IndexFunc(r.Findings, func(f report.Finding) bool { return f.ID == id })
	if i < 0 {
		hint := "there are no findings"
		switch n := len(r.Findings); {
		case n == 1:
			hint = "there is " + r.Findings[0].ID
		case n > 1:
			hint = "there are " + r.Findings[0].ID + " to " + r.Findings[n-1].ID
		}
		return nil, &usageError{err: fmt.Errorf("--finding: there is no finding %q", id), hint: hint}
	}
	out := *r
	out.Findings = r.Findings[i : i+1]
	out.HiddenFindings += len(r.Findings) - 1
	out.Summary = report.Summarize(out.Findings)
	out.Connections = slices.DeleteFunc(slices.Clone(r.Connections), func(c report.Connection) bool {
		return !slices.Contains(r.Findings[i].ConnectionIDs, c.ID)
	})
	return &out, nil
}

// writeReport writes the report where it is wanted.
func (a *app) writeReport(p *presentation, r *report.Report) error {
	r, err := p.prepare(r)
	if err != nil {
		return err
	}
	if p.output == "" {
		width := a.terminalWidth(a.stdout)
		return a.paged(p.noPager, func(w io.Writer) error { return a.writeFormat(w, width, p, r) })
	}
	return writeFile(p.output, func(w io.Writer) error { return a.writeFormat(w, a.terminalWidth(w), p, r) })
}

// writeTo writes to a file, or to standard output where it has no name.
func (a *app) writeTo(path string, write func(io.Writer) error) error {
	if path == "" {
		return write(a.stdout)
	}
	return writeFile(path, write)
}

// writeFormat writes the report in the chosen format; width is that of the terminal on
// which it is read, 0 where there is none.
func (a *app) writeFormat(w io.Writer, width int, p *presentation, r *report.Report) error {
	switch p.format {
	case "json":
		if width > 0 {
			return writeJSON(w, r) // people read it
		}
		return report.WriteJSON(w, r)
	case formatLines:
		return report.WriteLines(w, r)
	case "html":
		return html.Write(w, r, html.Options{RenderedBy: madeBy()})
	case "md":
		return markdown.Write(w, r, markdown.Options{})
	case "svg":
		return writePicture(w, p.picture, r)
	}
	return text.Write(w, r, text.Options{Color: useColor(p.color, width > 0, a.getenv), Width: textWidth(width), All: p.all})
}

// madeBy is how this program names itself in a report.
func madeBy() string { return "tcpwhy " + readVersion().Version }

// writeJSON writes one JSON object, indented: people read it too.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // segments are full of "<mss 1460>"
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeFile writes a file as a whole: it appears under its name when it is complete,
// and an older one is left alone if that fails. What is no file of the usual kind (a pipe,
// a device), or stands where no file can be made, is written to directly.
func writeFile(path string, write func(io.Writer) error) error {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	mode := fs.FileMode(0o666)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return writeDirectly(path, write)
		}
		mode = info.Mode().Perm()
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.Itoa(os.Getpid())+".tmp")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrPermission) {
		return writeDirectly(path, write)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return os.Rename(temp, path)
}

func writeDirectly(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
