package text

import (
	"io"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// WriteFindings presents the findings of a part of a report in full, each with its number
// and an empty line behind it: for findings that are told one after the other.
func WriteFindings(w io.Writer, r *report.Report, o Options) error {
	p := newPrinter(w, r, o)
	for i := range r.Findings {
		f := &r.Findings[i]
		p.finding(f, "["+Clean(strings.TrimPrefix(f.ID, "f"))+"]")
		p.blank()
	}
	return p.w.Flush()
}

// WriteEnd presents what a report says beside its findings, which were told before: what was
// read, and a line that counts them by r.Summary.
func WriteEnd(w io.Writer, r *report.Report, o Options) error {
	p := newPrinter(w, r, o)
	p.preface(&r.Capture)
	p.blank()
	var c counts
	for i := range r.Summary {
		g := &r.Summary[i]
		c.add(g.Certainty, g.Severity, uint64(g.Findings))
	}
	p.total(r, &c)
	return p.w.Flush()
}
