package browse

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// styler sets words off, in colours or without.
type styler struct{ color bool }

const off = "\x1b[0m"

func (s styler) with(sgr, word string) string {
	if !s.color || word == "" {
		return word
	}
	return sgr + word + off
}

func (s styler) bold(word string) string { return s.with("\x1b[1m", word) }
func (s styler) dim(word string) string  { return s.with("\x1b[2m", word) }

// chosen sets off a whole row, also where there are no colours.
func (s styler) chosen(row string, width int) string {
	return "\x1b[7m" + pad(ansi.Strip(row), width) + off
}

// severity sets a word off by how much it matters.
func (s styler) severity(v report.Severity, word string) string {
	switch v {
	case report.Problem:
		return s.with("\x1b[1;31m", word)
	case report.Notice:
		return s.with("\x1b[1;33m", word)
	case report.Harmless:
		return s.dim(word)
	}
	return word
}

// clean makes words of a report fit for a terminal: a capture may hold anything.
func clean(s string) string { return text.Clean(s) }

// pad fills up to a width.
func pad(s string, width int) string {
	if n := width - ansi.StringWidth(s); n > 0 {
		s += strings.Repeat(" ", n)
	}
	return s
}

// cut shortens a line to a width, and shows that it did.
func cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(s, width, "…")
}

// wrap breaks words of a report into at most max lines; 0: as many as there are.
func wrap(s string, width, max int) []string {
	if width <= 0 {
		return nil
	}
	lines := fill(clean(s), width)
	if max > 0 && len(lines) > max {
		lines = lines[:max]
	}
	return lines
}

// hang breaks words behind a label; the lines that follow are indented.
func hang(label, s string, indent, width int) []string {
	rest := width - indent
	if rest < 10 {
		return wrap(ansi.Strip(label)+" "+s, width, 0)
	}
	lines := fill(clean(s), rest)
	for i := range lines {
		if i == 0 {
			lines[i] = pad(label, indent) + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", indent) + lines[i]
		}
	}
	return lines
}

// fill breaks clean words into lines at spaces; only a word that is longer than a line is
// broken within. A cause's name is not broken at its hyphens.
func fill(s string, width int) []string {
	lines := []string{""}
	for _, w := range strings.Fields(s) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = w
		case ansi.StringWidth(*last)+1+ansi.StringWidth(w) <= width:
			*last += " " + w
		default:
			lines = append(lines, w)
		}
		for over := lines[len(lines)-1]; ansi.StringWidth(over) > width; over = lines[len(lines)-1] {
			head := ansi.Truncate(over, width, "")
			if head == "" { // not even one character fits
				break
			}
			lines[len(lines)-1] = head
			lines = append(lines, over[len(head):])
		}
	}
	return lines
}
