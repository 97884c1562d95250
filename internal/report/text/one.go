package text

import (
	"bufio"
	"io"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// WriteFinding presents one finding of the report, r.Findings[i], in full, as Write does.
func WriteFinding(w io.Writer, r *report.Report, i int, o Options) error {
	p := newPrinter(w, r, o)
	p.finding(&r.Findings[i], markOf(r, i))
	return p.w.Flush()
}

// WriteCapture presents what was read, the summary of the findings, and the line that
// counts them: what Write says around the findings.
func WriteCapture(w io.Writer, r *report.Report, o Options) error {
	p := newPrinter(w, r, o)
	p.preface(&r.Capture)
	if len(r.Summary) > 0 {
		p.groups(r)
	}
	p.blank()
	p.summary(r)
	return p.w.Flush()
}

// newPrinter returns a printer for a report; its text is to be flushed.
func newPrinter(w io.Writer, r *report.Report, o Options) *printer {
	p := &printer{w: bufio.NewWriter(w), width: o.Width, color: o.Color, sources: r.Capture.Sources}
	if p.width <= 0 {
		p.width = defaultWidth
	}
	p.width = max(p.width, minWidth)
	return p
}
