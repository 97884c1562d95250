// Package text presents a report as plain text for a terminal or a ticket. It
// is made from report values alone: what is not in the report cannot be shown.
package text

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Options say how the text is to look. The zero value is plain text, 100 columns wide.
type Options struct {
	// Color sets words off with ANSI sequences.
	Color bool
	// Width is the column at which lines break; 0: 100. A word that is longer is not broken.
	Width int
	// All tells every finding in full. Otherwise harmless ones beside others are a line
	// each, and so are, of more than 20, those that say of one server what three others said.
	All bool
}

const (
	defaultWidth = 100
	minWidth     = 40
)

// Write presents the whole report: what was read, a summary where the findings are
// many, each finding, one line that counts them. It returns the error of w, if any.
func Write(w io.Writer, r *report.Report, o Options) error {
	p := newPrinter(w, r, o)
	p.preface(&r.Capture)
	if len(r.Findings) > maxPlain && len(r.Summary) > 0 {
		p.groups(r)
	}
	p.findings(r, o.All)
	p.blank()
	p.summary(r)
	return p.w.Flush()
}

// preface says what was read and what must be known before trusting it.
func (p *printer) preface(c *report.Capture) {
	l := p.line(0, 2)
	for i, s := range c.Sources {
		if i < len(c.Sources)-1 {
			s += ","
		}
		l.whole(bold, s)
	}
	if len(c.Sources) > 0 {
		l.end()
	}
	p.line(2, 2).words(plain, plural(c.Packets, "packet")+", "+plural(c.Segments, "TCP segment")+", "+
		plural(c.Connections, "connection")+span(c.First, c.Last)).end()
	p.warnings("warning:", c.Warnings)
}

// warnings writes a line for each, behind the given mark.
func (p *printer) warnings(mark string, ws []report.Warning) {
	for _, w := range ws {
		l := p.line(2, 4).words(yellow, mark).words(plain, w.Says)
		if w.Frame != 0 {
			l.frames(plain, []uint64{w.Frame})
		}
		if w.Code != "" {
			l.words(dim, "["+w.Code+"]")
		}
		l.end()
	}
}

// counts is how many findings there are, by how sure they are and how much they matter.
type counts struct {
	all       uint64
	certainty map[report.Certainty]uint64
	severity  map[report.Severity]uint64
}

func (c *counts) add(certainty report.Certainty, severity report.Severity, n uint64) {
	if c.certainty == nil {
		c.certainty, c.severity = map[report.Certainty]uint64{}, map[report.Severity]uint64{}
	}
	c.all += n
	c.certainty[certainty] += n
	c.severity[severity] += n
}

// summary is the last line.
func (p *printer) summary(r *report.Report) {
	var c counts
	for i := range r.Findings {
		c.add(r.Findings[i].Verdict.Certainty, r.Findings[i].Verdict.Severity, 1)
	}
	p.total(r, &c)
}

// total is that line for findings that were counted.
func (p *printer) total(r *report.Report, c *counts) {
	l := p.line(0, 2)
	if c.all == 0 {
		p.nothing(r, l)
		return
	}
	certainty, severity := c.certainty, c.severity
	var parts []string
	for _, x := range []report.Certainty{report.Certain, report.Likely, report.Open} {
		if n := certainty[x]; n > 0 {
			parts = append(parts, strconv.FormatUint(n, 10)+" "+string(x))
		}
	}
	l.words(bold, plural(c.all, "finding")+":").words(plain, strings.Join(parts, ", ")+";")
	parts = parts[:0]
	if n := severity[report.Problem]; n > 0 {
		parts = append(parts, plural(n, "problem"))
	}
	for _, s := range []report.Severity{report.Notice, report.Harmless} {
		if n := severity[s]; n > 0 {
			parts = append(parts, strconv.FormatUint(n, 10)+" "+severityWord(s))
		}
	}
	tail := []string{strings.Join(parts, ", ")}
	if n := r.HiddenFindings; n > 0 {
		tail = append(tail, strconv.Itoa(n)+" more "+isAre(n)+" not selected")
	}
	if n := r.QuietConnections; n > 0 {
		tail = append(tail, strconv.FormatUint(n, 10)+" of "+plural(r.Capture.Connections, "connection")+have(n)+" nothing to report")
	}
	l.words(plain, strings.Join(tail, "; ")+".").end()
}

// nothing words a report without findings.
func (p *printer) nothing(r *report.Report, l *line) {
	if r.HiddenFindings > 0 {
		l.words(bold, "No finding is selected;").words(plain, plural(uint64(r.HiddenFindings), "finding")+" of the capture "+isAre(r.HiddenFindings)+" not shown.").end()
		return
	}
	l.words(bold, "No findings.")
	switch c := r.Capture.Connections; c {
	case 0:
		l.words(plain, "There is no TCP connection in what was read.")
	case 1:
		l.words(plain, "The connection did nothing that raises a question.")
	default:
		l.words(plain, "None of the "+strconv.FormatUint(c, 10)+" connections did anything that raises a question.")
	}
	l.end()
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func have(n uint64) string {
	if n == 1 {
		return " has"
	}
	return " have"
}

// plural prints a count with its noun.
func plural(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.FormatUint(n, 10) + " " + noun
}

// span prints the time between the first and the last packet; empty where they are not known.
func span(first, last string) string {
	if first == "" {
		return ""
	}
	f, err := time.Parse(time.RFC3339Nano, first)
	t, err2 := time.Parse(time.RFC3339Nano, last)
	if err != nil || err2 != nil {
		return ", from " + first + " to " + last
	}
	return fmt.Sprintf(", %s from %s", seconds(t.Sub(f).Seconds()), f.UTC().Format("2006-01-02 15:04:05.000000 UTC"))
}

// seconds prints a time as a person would say it: three decimals below ten seconds, then one.
func seconds(s float64) string {
	if s < 10 && s > -10 {
		return strconv.FormatFloat(s, 'f', 3, 64) + " s"
	}
	return strconv.FormatFloat(s, 'f', 1, 64) + " s"
}

// frames adds frame numbers in brackets; a short list is not broken.
func (l *line) frames(st style, fs []uint64) *line {
	s := frames(fs)
	switch {
	case s == "":
	case len(fs) <= 3:
		l.whole(st, "("+s+")")
	default:
		l.words(st, "("+s+")")
	}
	return l
}

// maxFrames is how many frame numbers are listed before "and n more".
const maxFrames = 8

// frames prints "frame 9" or "frames 9, 10"; it is empty where there are none.
func frames(fs []uint64) string {
	if len(fs) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("frame")
	if len(fs) > 1 {
		b.WriteByte('s')
	}
	for i, f := range fs {
		if i == maxFrames && len(fs) > maxFrames+1 {
			fmt.Fprintf(&b, " and %d more", len(fs)-i)
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(strconv.FormatUint(f, 10))
	}
	return b.String()
}

// own prints the numbers of frames within their own files: "a.pcap 5, 6, b.pcap 3".
func (p *printer) own(refs []report.Ref) string {
	var b strings.Builder
	for i, r := range refs {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 0 || refs[i-1].Source != r.Source {
			b.WriteString(p.short(r.Source) + " ")
		}
		b.WriteString(strconv.FormatUint(r.Frame, 10))
	}
	return b.String()
}

// short returns a file's name without its folders where that names one source only.
func (p *printer) short(source string) string {
	base := filepath.Base(source)
	for _, s := range p.sources {
		if s != source && filepath.Base(s) == base {
			return source
		}
	}
	return base
}
