// Package svg draws a report's pictures: the ladder of a finding, the ring of sequence
// numbers, an end's clock, sequence numbers over time, and a capture's connections. A
// picture is one SVG without script, links or files of its own; it says in a title and a
// description what it shows, and tells everything by shape and text, not by colour alone.
package svg

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Options are how a picture is drawn. The zero value is ready for use.
type Options struct {
	// Width is in pixels; 0 is 800. Less than 320 is taken for 320.
	Width int
	// ID is put before every id in the picture, so that a page can hold several. The
	// row of frame 12 in a ladder has the id ID + "frame-12".
	ID string
	// Embedded leaves out the style sheet and the caption: the page has Style once, and
	// says the question itself.
	Embedded bool
	// Rows is how many frames a ladder shows before its middle is folded; 0 is 60, less is
	// no limit.
	Rows int
}

func (o Options) width() float64 {
	switch {
	case o.Width == 0:
		return 800
	case o.Width < 320:
		return 320
	}
	return float64(o.Width)
}

const (
	// Sizes of text and how wide a character of it is at most: all text is monospaced, and
	// no usual font of that kind is wider than 0.61 of its size.
	normal, small = 11.0, 10.0
	charWidth     = 0.61
	lineHeight    = 14.0
	margin        = 8.0
)

// Style is the style sheet of all pictures. It holds for elements within class "tcpwhy"
// only.
const Style = `.tcpwhy{font-family:ui-monospace,"DejaVu Sans Mono","Liberation Mono",Menlo,Consolas,monospace;font-size:11px;max-width:100%;height:auto}
.tcpwhy .bg{fill:#fff}.tcpwhy text{fill:#1b1f24}.tcpwhy .small{font-size:10px}.tcpwhy .dim{fill:#57606a}.tcpwhy .bold{font-weight:bold}
.tcpwhy .ln{stroke:#1b1f24;fill:none}.tcpwhy .ink{fill:#1b1f24}.tcpwhy .thin{stroke:#8c959f;fill:none}.tcpwhy .soft{fill:#eaeef2}
.tcpwhy .asked{fill:#fff8c5;stroke:#9a6700}.tcpwhy .hit{fill:none;pointer-events:all}.tcpwhy .row:target .hit{stroke:#0550ae;stroke-width:2}
.tcpwhy .syn{stroke:#0550ae;fill:none}.tcpwhy .fin{stroke:#6639ba;fill:none}.tcpwhy .rst{stroke:#b3261e;fill:none}
.tcpwhy .hsyn{fill:#0550ae}.tcpwhy .hfin{fill:#6639ba}.tcpwhy .hrst{fill:#b3261e}.tcpwhy .est{fill:#2da44e}.tcpwhy .tw{stroke:#6639ba;fill:none}
@media(prefers-color-scheme:dark){.tcpwhy .bg{fill:#0d1117}.tcpwhy text{fill:#e6edf3}.tcpwhy .dim{fill:#9da7b1}.tcpwhy .ln{stroke:#e6edf3}.tcpwhy .ink{fill:#e6edf3}.tcpwhy .thin{stroke:#6e7681}.tcpwhy .soft{fill:#21262d}.tcpwhy .asked{fill:#3b2e00;stroke:#d29922}.tcpwhy .row:target .hit{stroke:#79c0ff}.tcpwhy .syn{stroke:#79c0ff}.tcpwhy .fin{stroke:#d2a8ff}.tcpwhy .rst{stroke:#ff7b72}.tcpwhy .hsyn{fill:#79c0ff}.tcpwhy .hfin{fill:#d2a8ff}.tcpwhy .hrst{fill:#ff7b72}.tcpwhy .est{fill:#3fb950}.tcpwhy .tw{stroke:#d2a8ff}}
`

// canvas collects the elements of a picture; its height is known at the end.
type canvas struct {
	b bytes.Buffer
	o Options
	w float64
}

func newCanvas(o Options) *canvas { return &canvas{o: o, w: o.width()} }

// shown is a string as a picture shows it: what has no shape of its own is written as an
// escape.
func shown(s string) string {
	plain := true
	for _, r := range s {
		plain = plain && visible(r)
	}
	if plain {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[0])|0x100, 16)[1:])
		case visible(r):
			b.WriteString(s[:n])
		default:
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + "}")
		}
		s = s[n:]
	}
	return b.String()
}

// visible: the character may stand in a picture's XML as it is.
func visible(r rune) bool {
	return r >= ' ' && r < 0x7f || r == '\n' || r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) && r != '\uFFFE' && r != '\uFFFF'
}

// markup are the characters that mean something in XML.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// escape makes text of any string.
func escape(s string) string { return markup.Replace(shown(s)) }

// num prints a coordinate.
func num(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// tag writes an element; attributes come in pairs. What is not closed is an empty one.
func (c *canvas) tag(name string, open bool, attrs ...string) {
	c.b.WriteString("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		c.b.WriteString(" " + attrs[i] + `="` + escape(attrs[i+1]) + `"`)
	}
	if open {
		c.b.WriteString(">")
		return
	}
	c.b.WriteString("/>\n")
}

func (c *canvas) end(name string) { c.b.WriteString("</" + name + ">\n") }

func (c *canvas) title(s string) {
	if s != "" {
		c.b.WriteString("<title>" + escape(s) + "</title>")
	}
}

// width returns how wide a string is at most.
func width(s string, size float64) float64 {
	return float64(utf8.RuneCountInString(shown(s))) * size * charWidth
}

// text writes one line at a base line. anchor is start, middle or end.
func (c *canvas) text(x, y float64, anchor, class, s string) {
	if s == "" {
		return
	}
	size := normal
	if strings.Contains(class, "small") {
		size = small
	}
	w := width(s, size)
	switch anchor {
	case "middle":
		x = min(max(x, w/2+1), max(c.w-w/2-1, w/2+1))
	case "end":
		x = max(x, w+1)
	default:
		x = max(min(x, c.w-w-1), 1)
	}
	attrs := []string{"x", num(x), "y", num(y)}
	if anchor != "start" {
		attrs = append(attrs, "text-anchor", anchor)
	}
	if class != "" {
		attrs = append(attrs, "class", class)
	}
	c.tag("text", true, attrs...)
	c.b.WriteString(escape(s))
	c.end("text")
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string, more ...string) {
	c.tag("line", false, append([]string{"x1", num(x1), "y1", num(y1), "x2", num(x2), "y2", num(y2), "class", class}, more...)...)
}

func (c *canvas) rect(x, y, w, h float64, class string, more ...string) {
	c.tag("rect", false, append([]string{"x", num(x), "y", num(y), "width", num(max(w, 0)), "height", num(max(h, 0)), "class", class}, more...)...)
}

func (c *canvas) path(d, class string, more ...string) {
	c.tag("path", false, append([]string{"d", d, "class", class}, more...)...)
}

// head writes an arrow's head that points at x.
func (c *canvas) head(x, y float64, right bool, class string) {
	d := 7.0
	if right {
		d = -d
	}
	c.path("M"+num(x)+" "+num(y)+"L"+num(x+d)+" "+num(y-4)+"L"+num(x+d)+" "+num(y+4)+"Z", class)
}

// paragraph writes wrapped words and returns the base line behind it.
func (c *canvas) paragraph(x, y, w float64, class, s string) float64 {
	size := normal
	if strings.Contains(class, "small") {
		size = small
	}
	for _, l := range wrap(strings.Fields(s), " ", w, size) {
		c.text(x, y, "start", class, l)
		y += lineHeight
	}
	return y
}

// wrap joins words to lines of at most w; a word that is longer is broken.
func wrap(words []string, sep string, w, size float64) []string {
	most := max(int(w/(size*charWidth)), 4)
	var out []string
	line := ""
	for _, word := range words {
		word = shown(word)
		for utf8.RuneCountInString(word) > most {
			if line != "" {
				out, line = append(out, line), ""
			}
			r := []rune(word)
			out, word = append(out, string(r[:most])), string(r[most:])
		}
		switch {
		case word == "":
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+len(sep)+utf8.RuneCountInString(word) <= most:
			line += sep + word
		default:
			out, line = append(out, line), word
		}
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

// picture closes the canvas: its head, patterns, title and description, and all that
// was drawn.
func (c *canvas) picture(height float64, title, desc string) []byte {
	body := bytes.Clone(c.b.Bytes())
	c.b.Reset()
	h := math.Ceil(height)
	c.tag("svg", true, "xmlns", "http://www.w3.org/2000/svg", "class", "tcpwhy", "role", "img", "width", num(c.w), "height", num(h),
		"viewBox", "0 0 "+num(c.w)+" "+num(h), "aria-labelledby", c.o.ID+"t "+c.o.ID+"d")
	c.b.WriteString("\n<title id=\"" + escape(c.o.ID) + "t\">" + escape(title) + "</title>\n<desc id=\"" + escape(c.o.ID) + "d\">" + escape(desc) + "</desc>\n")
	if !c.o.Embedded {
		c.b.WriteString("<style>" + Style + "</style>\n")
	}
	c.patterns()
	c.rect(0, 0, c.w, h, "bg")
	c.b.Write(body)
	c.end("svg")
	return bytes.Clone(c.b.Bytes())
}

// patterns defines what tells states apart without colour.
func (c *canvas) patterns() {
	c.b.WriteString("<defs>")
	for _, p := range []struct{ name, d, class string }{
		{"dots", "M1 1h2v2h-2z", "hsyn"},
		{"hatch", "M-1 1l2 -2M0 6l6 -6M5 7l2 -2", "fin"},
		{"bars", "M0 1.5h6M0 4.5h6", "tw"},
	} {
		c.b.WriteString(`<pattern id="` + escape(c.o.ID+p.name) + `" width="6" height="6" patternUnits="userSpaceOnUse"><path d="` + p.d + `" class="` + p.class + `"/></pattern>`)
	}
	c.b.WriteString("</defs>\n")
}

// caption writes the question and the verdict over a picture that stands alone.
func (c *canvas) caption(f *report.Finding) float64 {
	if c.o.Embedded {
		return 0
	}
	y := c.paragraph(margin, 18, c.w-2*margin, "bold", f.Asks)
	return c.paragraph(margin, y, c.w-2*margin, "", string(f.Verdict.Certainty)+": "+f.Verdict.Says) - 6
}

// seconds prints a time of a ladder.
func seconds(s float64) string {
	b := strconv.FormatFloat(s, 'f', 3, 64)
	if s >= 0 {
		b = "+" + b
	}
	return b + " s"
}
