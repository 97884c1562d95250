package browse

import (
	"fmt"
	"strings"
)

// list is a view of rows of which one is chosen. A search leaves the rows that have all
// its words.
type list struct {
	n int // rows in all
	// row draws one row, without a cursor; words is what a search looks at.
	row   func(i, width int) string
	words func(i int) string
	enter func(i int) *page
	// below draws what belongs to the chosen row in the lower part of the screen; nil: nothing.
	below func(i, width int) []string
	empty string // what is said where there are no rows
	style styler

	filter string
	shown  []int // rows that the filter leaves; nil: all
	at     int   // the chosen one, an index into what is shown
	top    int   // the first that is visible
	height int   // rows that were visible last
}

func (l *list) len() int {
	if l.shown == nil {
		return l.n
	}
	return len(l.shown)
}

// chosen returns the row under the cursor, -1 where there is none.
func (l *list) chosen() int {
	switch {
	case l.at < 0 || l.at >= l.len():
		return -1
	case l.shown == nil:
		return l.at
	}
	return l.shown[l.at]
}

func (l *list) key(k string) bool {
	to, ok := move(k, l.at, l.len(), max(l.height, 1))
	l.at = to
	return ok
}

// move tells where a key leads to in n rows, of which height are visible.
func move(k string, at, n, height int) (to int, ok bool) {
	switch k {
	case "j", "down", "ctrl+n":
		at++
	case "k", "up", "ctrl+p":
		at--
	case "space", "f", "pgdown", "ctrl+f":
		at += height
	case "b", "pgup", "ctrl+b":
		at -= height
	case "d", "ctrl+d":
		at += max(height/2, 1)
	case "u", "ctrl+u":
		at -= max(height/2, 1)
	case "g", "home":
		at = 0
	case "G", "end":
		at = n - 1
	default:
		return at, false
	}
	return max(min(at, n-1), 0), true
}

func (l *list) open() *page {
	if i := l.chosen(); i >= 0 && l.enter != nil {
		return l.enter(i)
	}
	return nil
}

func (l *list) searched() string { return l.filter }

// search filters, without regard to case, and keeps the cursor on its row where it stays.
func (l *list) search(s string) string {
	was := l.chosen()
	l.filter, l.shown, l.at, l.top = s, nil, 0, 0
	words := strings.Fields(strings.ToLower(s))
	if len(words) == 0 {
		l.filter = ""
		l.at = max(was, 0)
		return ""
	}
	l.shown = []int{}
rows:
	for i := range l.n {
		all := strings.ToLower(l.words(i))
		for _, w := range words {
			if !strings.Contains(all, w) {
				continue rows
			}
		}
		if i == was {
			l.at = len(l.shown)
		}
		l.shown = append(l.shown, i)
	}
	return fmt.Sprintf("%d of %d", len(l.shown), l.n)
}

func (l *list) position() string {
	n := l.len()
	s := fmt.Sprintf("%d/%d", min(l.at+1, n), n)
	if l.shown != nil {
		s += fmt.Sprintf(" of %d, filter: %s", l.n, clean(l.filter))
	}
	return s
}

func (l *list) draw(width, height int) []string {
	if l.len() == 0 {
		empty := l.empty
		if l.shown != nil {
			empty = "Nothing has all of these words; esc shows everything."
		}
		return wrap(empty, width, height)
	}
	var below []string
	if l.below != nil && height >= minSplit {
		below = l.below(l.chosen(), width)
		if room := height / 2; len(below) >= room {
			below = below[:room-1]
		}
		below = append([]string{l.style.dim(strings.Repeat("─", width))}, below...)
		// The rows stay where they are while the lower part changes.
		for len(below) < height/2 {
			below = append(below, "")
		}
	}
	l.height = height - len(below)
	l.top = window(l.top, l.at, l.len(), l.height)
	var out []string
	for i := l.top; i < l.len() && len(out) < l.height; i++ {
		row := i
		if l.shown != nil {
			row = l.shown[i]
		}
		s := cut(l.row(row, max(width-2, 0)), width-2)
		if i == l.at {
			s = "> " + l.style.chosen(s, width-2)
		} else {
			s = "  " + s
		}
		out = append(out, s)
	}
	for len(below) > 0 && len(out) < l.height {
		out = append(out, "")
	}
	return append(out, below...)
}

// minSplit is the height from which a list has a lower part.
const minSplit = 12

// window moves the first visible row as little as needed for row at to be visible.
func window(top, at, n, height int) int {
	top = min(top, max(n-height, 0))
	switch {
	case at < top:
		top = at
	case at >= top+height:
		top = at - height + 1
	}
	return max(top, 0)
}
