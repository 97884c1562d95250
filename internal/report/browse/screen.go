package browse

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// View draws the screen.
func (m *Model) View() tea.View {
	v := tea.NewView(strings.Join(m.screen(), "\n"))
	v.AltScreen = true
	return v
}

// screen returns the lines of the screen: as many as it has, none wider than it.
func (m *Model) screen() []string {
	w, h := m.width, m.height
	if w <= 0 || h <= 0 {
		return nil
	}
	p := m.top()
	v := p.tabs[p.at].view
	var head, foot []string
	if h >= 3 && len(p.tabs) > 1 {
		head = append(head, m.tabs(p))
	}
	if h >= 6 || h >= 3 && len(p.tabs) == 1 {
		head = append([]string{styler{m.color}.bold(cut(m.title(p), w))}, head...)
	}
	room := h - len(head)
	if h >= 2 || m.typing != nil {
		room--
	}
	body := []string{}
	if room > 0 {
		body = v.draw(w, room)
		for i := range body {
			body[i] = cut(body[i], w)
		}
		for len(body) < room {
			body = append(body, "")
		}
	}
	if h >= 2 || m.typing != nil {
		foot = append(foot, m.foot(v)) // after draw, which knows the position
	}
	return append(append(head, body...), foot...)
}

// title is the first line: where one is.
func (m *Model) title(p *page) string {
	if len(m.stack) > 1 {
		return p.title
	}
	s := p.title
	for _, name := range m.r.Capture.Sources {
		s += "  " + clean(name)
	}
	return s
}

// tabs is the line of the views that the page has, with the visible one in brackets.
func (m *Model) tabs(p *page) string {
	st := styler{m.color}
	var parts []string
	for i, t := range p.tabs {
		if i == p.at {
			parts = append(parts, "["+t.name+"]")
		} else {
			parts = append(parts, st.dim(" "+t.name+" "))
		}
	}
	return cut(strings.Join(parts, " "), m.width)
}

// foot is the last line: what is typed, else what happened, else the keys; on the right
// the position.
func (m *Model) foot(v view) string {
	st := styler{m.color}
	if m.typing != nil {
		s := "/" + clean(*m.typing)
		// What is typed last must be seen.
		if n := ansi.StringWidth(s) - (m.width - 1); n > 0 {
			s = "/…" + ansi.TruncateLeft(s, n+2, "")
		}
		s += st.with("\x1b[7m", " ")
		if m.note != "" {
			s += "  " + st.dim(m.note)
		}
		return cut(s, m.width)
	}
	left := m.note
	if left == "" {
		left = m.hints()
	}
	right := v.position()
	room := m.width - ansi.StringWidth(right) - 2
	if room < 1 {
		return cut(right, m.width)
	}
	return st.dim(pad(cut(left, room), room) + "  " + right)
}

// hints are the keys that matter most here.
func (m *Model) hints() string {
	if m.width < 60 {
		return "?: help"
	}
	p := m.top()
	var hints []string
	if _, ok := p.tabs[p.at].view.(*list); ok {
		hints = append(hints, "enter: open", "/: filter")
	} else {
		hints = append(hints, "/: search")
	}
	if len(p.tabs) > 1 {
		hints = append(hints, "tab: next view")
	}
	if p.next != nil {
		hints = append(hints, "[ ]: others")
	}
	leave := "q: back"
	if len(m.stack) == 1 {
		leave = "q: quit"
	}
	return strings.Join(append(hints, "?: help", leave), "  ")
}

const helpTitle = "Keys"

// help lists the keys.
func (m *Model) help() *page {
	rows := [][2]string{
		{"j k ↓ ↑", "one row or line on, back"},
		{"space b", "one screen on, back (also f, PgDn, PgUp)"},
		{"d u", "half a screen on, back"},
		{"g G", "to the beginning, the end (also Home, End)"},
		{"enter", "open what is chosen"},
		{"q", "back, and out from the first page (also backspace); Q: out at once"},
		{"esc", "end the filter or search; without one: back"},
		{"tab", "the next view of a page (shift+tab: the one before)"},
		{"[ ]", "the finding or frame before, the next one (also K, J)"},
		{"/", "in a list: show only the rows that have all these words; in a text: search"},
		{"n N", "in a text: the next line that was searched, the one before"},
		{"← →", "in a text: see what is too wide"},
		{"?", "this page (also h)"},
		{"! +", "in the list of findings: a problem, worth knowing; * in a ladder: asked about"},
	}
	return &page{title: helpTitle, tabs: []tab{{"Keys", &scroll{style: styler{m.color}, make: func(width int) []string {
		return table(rows, min(width, maxText))
	}}}}}
}
