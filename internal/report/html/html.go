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
	// maxBytes is what the report inside a page and the findings told in full may weigh
	// together. Findings beyond that are told in the list only.
	maxBytes = 3_700_000
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
var sheet = style + strings.ReplaceAll(svg.Style, "@media(prefers", "@media screen and (prefers")

var templates = template.Must(template.New("").Parse(pageText))

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
	room := maxBytes - len(p.Data)
	for _, o := range p.Overview {
		room -= len(o.SVG)
	}
	if err := p.findings(shown, max(room, minBytes)); err != nil {
		return err
	}
	return templates.ExecuteTemplate(w, "page", p)
}

// csp is the page's Content-Security-Policy: its own style and script, by their hashes;
// nothing else, from nowhere.
func csp() string {
	return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src '" + hash(sheet) + "'; script-src '" + hash(script) + "'"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// findings writes the findings in full, the worst first, for as long as there is room
// for so many bytes of them.
func (p *page) findings(r *report.Report, room int) error {
	used, short := 0, 0
	for n, i := range worstFirst(r) {
		f := &r.Findings[i]
		row := p.row(f, p.anchors[i])
		if used < room {
			var b bytes.Buffer
			if err := templates.ExecuteTemplate(&b, "finding", p.finding(r, f, p.anchors[i], n < maxPictures)); err != nil {
				return err
			}
			if used += b.Len(); used < room || n == 0 {
				p.Findings = append(p.Findings, template.HTML(b.String())) //nolint:gosec // the template has escaped it
				row.Full = true
			}
		}
		if !row.Full {
			short++
		}
		if n < maxLines {
			p.Rows = append(p.Rows, row)
		}
	}
	for i := range p.Groups {
		if j := p.byID[p.Groups[i].First]; j > 0 && p.listed(p.anchors[j-1]) {
			p.Groups[i].Anchor = p.anchors[j-1]
		}
	}
	switch {
	case short > 0:
		p.Note = "The worst " + strconv.Itoa(len(p.Findings)) + " findings are told in full below, the first " + strconv.Itoa(min(maxPictures, len(p.Findings))) +
			" with pictures. The other " + strconv.Itoa(short) + " are in the report that this file carries, the worst of them in the list above."
	case len(r.Findings) > maxPictures:
		p.Note = "The worst " + strconv.Itoa(maxPictures) + " findings are shown with pictures, the others in words and numbers."
	}
	return nil
}
