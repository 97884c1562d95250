package markdown

import "strings"

// esc makes markup of a string that shows as that string: what begins emphasis, code, links,
// tags, entities or cells is escaped, and what GitHub would make a link of by itself (an
// address, a name behind @, a number behind #) is kept apart. Strings have no line breaks:
// text.Clean has taken them away.
func esc(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '\\', '`', '*', '[', ']', '~', '|', '!', '$':
			b.WriteByte('\\')
		case '<':
			b.WriteString("&lt;")
			continue
		case '>':
			b.WriteString("&gt;")
			continue
		case '&':
			b.WriteString("&amp;")
			continue
		case '_': // tcp_tw_reuse is no emphasis, _this_ is
			if i == 0 || i == len(s)-1 || !isAlnum(s[i-1]) || !isAlnum(s[i+1]) {
				b.WriteByte('\\')
			}
		case '@', '#':
			// A mention, or a number of an issue, is made of the text when the markup is gone: only a
			// character between keeps it from being one. U+2060, the word joiner, does not show.
			b.WriteString("\\")
			b.WriteByte(c)
			b.WriteString("\u2060")
			continue
		case ':':
			if strings.HasPrefix(s[i:], "://") {
				b.WriteByte('\\') // a link by itself
			}
		case '.':
			if i >= 3 && strings.EqualFold(s[i-3:i], "www") || orderedAt(s, i) {
				b.WriteByte('\\')
			}
		case ')':
			if orderedAt(s, i) {
				b.WriteByte('\\')
			}
		case '-', '+', '=':
			if strings.Trim(s[:i], " ") == "" && (i+1 == len(s) || s[i+1] == ' ' || s[i+1] == c) { // a list, or a line
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// orderedAt tells whether what stands before i is a number at the beginning: "1. " begins a list.
func orderedAt(s string, i int) bool {
	n := strings.TrimLeft(s[:i], " ")
	return n != "" && (i+1 == len(s) || s[i+1] == ' ') && strings.Trim(n, "0123456789") == ""
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isAlnum(c byte) bool  { return isLetter(c) || c >= '0' && c <= '9' || c >= 0x80 }

// code makes a code span: within it nothing is markup but the backticks that end it. An empty
// one would be no span.
func code(s string) string {
	if s == "" {
		return ""
	}
	ticks := strings.Repeat("`", longestRun(s)+1)
	pad := ""
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.HasPrefix(s, " ") && strings.HasSuffix(s, " ") {
		pad = " "
	}
	return ticks + pad + s + pad + ticks
}

// cell fits markup into a table: there a bar ends the cell, within code too.
func cell(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '|' && (i == 0 || s[i-1] != '\\') {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// block writes a block without markup, between fences longer than any in it.
func (p *printer) block(s, language string) {
	fence := strings.Repeat("`", max(3, longestRun(s)+1))
	p.line("%s%s", fence, language)
	p.line("%s", s)
	p.line("%s", fence)
}

// longestRun is the length of the longest run of backticks.
func longestRun(s string) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest
}
