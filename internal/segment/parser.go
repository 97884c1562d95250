package segment

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// parser walks over a line. After the first error it stands still and every
// method returns a zero value.
type parser struct {
	text string
	pos  int
	err  error
}

// fail keeps the first error, with the column of pos.
func (p *parser) fail(pos int, err error) {
	if p.err == nil {
		p.err = fmt.Errorf("column %d: %w", pos+1, err)
	}
}

func (p *parser) space() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t') {
		p.pos++
	}
}

// wordEnd returns where the word ends that begins at pos.
func (p *parser) wordEnd() int {
	if i := strings.IndexAny(p.text[p.pos:], " \t:(),<>"); i >= 0 {
		return p.pos + i
	}
	return len(p.text)
}

// word takes the next word; it is empty where punctuation or the end comes next.
func (p *parser) word() string {
	p.space()
	start := p.pos
	p.pos = p.wordEnd()
	return p.text[start:p.pos]
}

// shown returns what comes next, for a message.
func (p *parser) shown() string {
	if p.pos >= len(p.text) {
		return "the end of the line"
	}
	return quoted(p.text[p.pos:max(p.wordEnd(), p.pos+1)])
}

// quoted quotes s for a message, and shortens what a message cannot hold.
func quoted(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

// keyword takes the word w if it comes next.
func (p *parser) keyword(w string) bool {
	if p.err != nil {
		return false
	}
	p.space()
	if p.text[p.pos:p.wordEnd()] != w {
		return false
	}
	p.pos += len(w)
	return true
}

// char takes the punctuation c if it comes next.
func (p *parser) char(c byte) bool {
	if p.err != nil {
		return false
	}
	p.space()
	if p.pos >= len(p.text) || p.text[p.pos] != c {
		return false
	}
	p.pos++
	return true
}

// want takes the punctuation c and fails if something else comes next.
func (p *parser) want(c byte) {
	if p.err == nil && !p.char(c) {
		p.fail(p.pos, fmt.Errorf("want %q, got %s", c, p.shown()))
	}
}

// num takes a 32-bit number.
func (p *parser) num() seq.Num {
	if p.err != nil {
		return seq.Num{}
	}
	p.space()
	start := p.pos
	w := p.word()
	if w == "" {
		p.fail(start, fmt.Errorf("want a number, got %s", p.shown()))
		return seq.Num{}
	}
	n, err := parseNum(w)
	if err != nil {
		p.fail(start, err)
	}
	return n
}

// parseNum is seq.Parse with one case more: digits that do not even fit 64 bits
// are too many digits, too.
func parseNum(w string) (seq.Num, error) {
	n, err := seq.Parse(w)
	if err != nil && strings.Trim(w, "0123456789") != "" {
		return n, fmt.Errorf("%s is not a number", quoted(w))
	}
	if err != nil && len(w) >= 20 {
		return n, fmt.Errorf("%s is no 32-bit number: the largest is 4294967295", quoted(w))
	}
	return n, err
}

// limited takes a number that is at most most; what names it.
func (p *parser) limited(what string, most uint32) uint32 {
	p.space()
	start := p.pos
	n := p.num().Uint32()
	if n > most {
		p.fail(start, fmt.Errorf("%s %d is too large: at most %d", what, n, most))
	}
	return n
}
