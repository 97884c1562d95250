package browse

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// scroll is a view of lines.
type scroll struct {
	// make lays the text out for a width.
	make func(width int) []string
	// enter opens what belongs to it; nil: nothing does.
	enter func() *page

	lines  []string
	width  int // for which lines were made; 0: not yet
	top    int
	left   int // columns that are out of sight on the left
	height int
	word   string // what is searched, in lower case
	typed  string
	match  int // the line that was found last
	style  styler
}

func (s *scroll) draw(width, height int) []string {
	if s.width != width {
		// What stood on top stays about there when the terminal becomes wider or narrower.
		before := max(len(s.lines), 1)
		s.lines = s.make(width)
		s.top = s.top * len(s.lines) / before
		s.width, s.match = width, s.top
	}
	s.height = height
	s.top = max(min(s.top, len(s.lines)-height), 0)
	var out []string
	for i := s.top; i < min(s.top+height, len(s.lines)); i++ {
		l := s.lines[i]
		if s.word != "" && i == s.match && s.has(i) {
			l = s.style.chosen(ansi.Strip(l), 0)
		}
		if s.left > 0 {
			l = ansi.Cut(l, s.left, s.left+width)
		}
		out = append(out, cut(l, width))
	}
	return out
}

// sideways is how many columns a key moves the text.
const sideways = 8

func (s *scroll) key(k string) bool {
	switch k {
	case "n":
		s.find(s.match+1, +1)
		return true
	case "N":
		s.find(s.match-1, -1)
		return true
	case "right", "l":
		s.left = min(s.left+sideways, 1000)
		return true
	case "left":
		s.left = max(s.left-sideways, 0)
		return true
	}
	if k == "G" || k == "end" {
		s.top = max(len(s.lines)-s.height, 0)
		return true
	}
	to, ok := move(k, s.top, len(s.lines), max(s.height, 1))
	s.top = max(min(to, len(s.lines)-s.height), 0)
	return ok
}

func (s *scroll) open() *page {
	if s.enter == nil {
		return nil
	}
	return s.enter()
}

func (s *scroll) searched() string { return s.typed }

func (s *scroll) search(typed string) string {
	s.typed, s.word = typed, strings.ToLower(strings.TrimSpace(typed))
	if s.word == "" {
		s.typed = ""
		return ""
	}
	if s.width == 0 || !s.find(s.top, +1) {
		return "not found"
	}
	return "n: next, N: previous"
}

// find moves to the next line that has the word, around the end of the text if need be.
func (s *scroll) find(from, step int) bool {
	n := len(s.lines)
	if s.word == "" || n == 0 {
		return false
	}
	for i := range n {
		at := ((from+i*step)%n + n) % n
		if s.has(at) {
			s.match = at
			s.top = at // draw moves it back where the end would be above the foot
			return true
		}
	}
	return false
}

func (s *scroll) has(line int) bool {
	return strings.Contains(strings.ToLower(ansi.Strip(s.lines[line])), s.word)
}

func (s *scroll) position() string {
	if len(s.lines) <= s.height {
		return "all"
	}
	return fmt.Sprintf("%d-%d/%d", s.top+1, min(s.top+s.height, len(s.lines)), len(s.lines))
}
