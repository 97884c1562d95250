// Package html presents a report as one self-contained page to attach to a ticket: no
// network, no script needed to read it, and the report itself inside, so that the
// other forms can be made of it again.
package html

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// Options say how the page is to be made.
type Options struct {
	// RenderedBy is the program that writes the page, with its version; it is shown where it
	// is not the one that made the report. Empty: not said.
	RenderedBy string
}

const (
	// maxPictures is how many findings, the worst ones, are shown with pictures.
	maxPictures = 50
	// maxSmall is how many of them have every picture for a telephone too.
	maxSmall = 10
	// maxBytes is what a page may weigh. Findings beyond that are told in the list only.
	maxBytes = 4_900_000
	// minBytes is left for findings, however large the report is.
	minBytes = 500_000
	// maxLines is how many connections are listed, and how many findings.
	maxLines = 1000
)

var (
	//go:embed style.css
	style string
	//go:embed script.js
	script string
	//go:embed page.tmpl
	pageText string
)

// sheet is the page's style and that of its pictures, which have dark colours on a screen only.
var sheet = sync.OnceValue(func() string {
	return style + strings.ReplaceAll(svg.Style, "@media(prefers", "@media screen and (prefers")
})

// templates are parsed when the first page is written: at start that cost every run 1 ms.
var templates = sync.OnceValue(func() *template.Template { return template.Must(template.New("").Parse(pageText)) })

// Write writes the page. Whatever a report says is text: nothing of it becomes markup,
// an address to load or a script. It returns the error of w, if any.
func Write(w io.Writer, r *report.Report, o Options) error {
	// What is shown is what a reader of the JSON gets: bytes that are no UTF-8 are replaced.
	r = report.MapStrings(r, func(s string) string { return strings.ToValidUTF8(s, "\ufffd") })
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	shown := report.MapStrings(r, text.Clean)
	p := newPage(shown, o)
	p.DataType, p.Data = pack(data)
	if err := p.list(shown); err != nil {
		return err
	}
	return templates().ExecuteTemplate(w, "page", p)
}

// csp is the page's Content-Security-Policy: its own style and script, by their hashes;
// nothing else, from nowhere.
func csp() string {
	return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src '" + hash(sheet()) + "'; script-src '" + hash(script) + "'"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// list lists the findings, the worst first, and tells them in full for as long as there
// is room.
func (p *page) list(r *report.Report) error {
	order := worstFirst(r)
	for _, i := range order[:min(len(order), maxLines)] {
		p.Rows = append(p.Rows, p.row(&r.Findings[i], p.anchors[i]))
	}
	for i := range p.Groups {
		if j := p.byID[p.Groups[i].First]; j > 0 && p.listed(p.anchors[j-1]) {
			p.Groups[i].Anchor = p.anchors[j-1]
		}
	}
	// What stands beside the findings is written once to see how long it is.
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, "page", p); err != nil {
		return err
	}
	const perLink = 30 // a row becomes a link
	room := max(maxBytes-b.Len()-perLink*len(p.Rows), minBytes)
	for n, i := range order[:len(p.Rows)] {
		b.Reset()
		if err := templates().ExecuteTemplate(&b, "finding", p.finding(r, &r.Findings[i], p.anchors[i], n < maxPictures)); err != nil {
			return err
		}
		if room -= b.Len(); room < 0 && n > 0 {
			break
		}
		p.Findings = append(p.Findings, template.HTML(b.String())) //nolint:gosec // the template has escaped it
		p.Rows[n].Full = true
	}
	p.note(len(r.Findings))
	return nil
}

// note says how much of the findings is on the page.
func (p *page) note(all int) {
	full := strconv.Itoa(len(p.Findings))
	switch short := all - len(p.Findings); {
	case short > 0:
		p.Note = "The worst " + full + " findings are told below, the first " + strconv.Itoa(min(maxPictures, len(p.Findings))) +
			" of them with pictures and all reasons. The other " + strconv.Itoa(short) + " are in the report that this file carries, the worst of them in the list above."
	case all > maxPictures:
		p.Note = "The worst " + strconv.Itoa(maxPictures) + " findings are shown with pictures and all reasons, the others in words and numbers; the reasons of these are in the report that this file carries."
	}
}
