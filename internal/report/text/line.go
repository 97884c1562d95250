package text

import (
	"bufio"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// style is one of the few ways in which a word may be set off.
type style uint8

const (
	plain style = iota
	bold
	dim
	green
	yellow
	red
)

// sgr are the ANSI sequences that switch each style on, from a state in which none is.
var sgr = [...]string{plain: "", bold: "\x1b[1m", dim: "\x1b[2m", green: "\x1b[1;32m", yellow: "\x1b[1;33m", red: "\x1b[1;31m"}

const sgrOff = "\x1b[0m"

// printer writes lines. Its writer remembers the first error, which Flush returns.
type printer struct {
	w     *bufio.Writer
	width int
	color bool
	// sources are all files of the report.
	sources []string
}

// line is a line under construction that continues on the next one, at column
// hang, where it would pass the printer's width.
type line struct {
	p    *printer
	hang int
	col  int // characters written so far, of the current line
	gap  int // spaces owed before the next word
	now  style
}

// line starts a line at column indent, which goes on at column hang.
func (p *printer) line(indent, hang int) *line {
	return &line{p: p, hang: hang, gap: indent}
}

// blank writes an empty line.
func (p *printer) blank() { p.write("\n") }

func (p *printer) write(s string) { _, _ = p.w.WriteString(s) }

// words adds the words of s, broken where needed. What a terminal would act upon is escaped.
func (l *line) words(st style, s string) *line {
	words := strings.Fields(Clean(s))
	for i := 0; i < len(words); i++ {
		w := words[i]
		if i+1 < len(words) && isQuantity(w, words[i+1]) {
			i++
			w += " " + words[i]
		}
		l.put(st, w)
	}
	return l
}

// isQuantity tells whether two words are a number and its unit of time, which stay together.
func isQuantity(number, unit string) bool {
	last := number[len(number)-1]
	unit = strings.TrimRight(unit, ",;.:)")
	return last >= '0' && last <= '9' && (unit == "s" || unit == "ms")
}

// whole adds s as one word, its spaces kept: a command must survive being copied.
func (l *line) whole(st style, s string) *line {
	if s = Clean(s); s != "" {
		l.put(st, s)
	}
	return l
}

// tab moves to column col, or two columns on where that is passed already.
func (l *line) tab(col int) *line {
	l.gap = col - l.col
	if l.gap < 2 && l.col > 0 {
		l.gap = 2
	}
	return l
}

// put writes one clean word. It breaks the line only if that gains room.
func (l *line) put(st style, word string) {
	n := utf8.RuneCountInString(word)
	if start := l.col + l.gap; start > l.hang && start+n > l.p.width {
		l.set(plain)
		l.p.write("\n")
		l.col, l.gap = 0, l.hang
	}
	if l.gap > 0 && l.now != st {
		l.set(plain)
	}
	for ; l.gap > 0; l.gap-- {
		_ = l.p.w.WriteByte(' ')
		l.col++
	}
	l.set(st)
	l.p.write(word)
	l.col += n
	l.gap = 1
}

func (l *line) set(st style) {
	if !l.p.color || l.now == st {
		return
	}
	if l.now != plain {
		l.p.write(sgrOff)
	}
	l.p.write(sgr[st])
	l.now = st
}

// end finishes the line.
func (l *line) end() {
	l.set(plain)
	l.p.write("\n")
}

// Clean escapes what a terminal would act upon or hide: control characters,
// format characters (text direction, zero width) and bytes that are no UTF-8.
// A report may carry names that a stranger chose.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	return string(appendClean(nil, s))
}

func isClean(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func appendClean(b []byte, s string) []byte {
	if isClean(s) {
		return append(b, s...)
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'x', hex[s[i]>>4], hex[s[i]&15])
		case unicode.IsPrint(r):
			b = append(b, s[i:i+n]...)
		default:
			b = appendEscape(b, r)
		}
		i += n
	}
	return b
}

// appendEscape writes a character that does not print the way Go source would.
func appendEscape(b []byte, r rune) []byte {
	at := len(b)
	b = strconv.AppendQuoteRune(b, r)
	copy(b[at:], b[at+1:len(b)-1]) // without the quotes
	return b[:len(b)-2]
}
