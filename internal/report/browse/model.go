package browse

import (
	"strconv"

	tea "charm.land/bubbletea/v2"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Model is the state of the interface, for bubbletea: Update takes keys and sizes, View
// draws. Make it with New.
type Model struct {
	r             *report.Report
	color         bool
	width, height int
	// stack are the pages that were opened, the visible one last; it is never empty.
	stack []*page
	// typing is what is being typed behind the slash; nil: nothing is.
	typing *string
	// note is what the last key led to, where that does not show otherwise.
	note string
}

// page is what fills the screen: one of a few views of one thing.
type page struct {
	title string
	tabs  []tab
	at    int // the tab that is visible
	// next returns the page of the same kind that is one further, or one back (-1); nil where
	// there is none. It is nil where the page is not one of several.
	next func(step int) *page
}

// tab is a view and its name.
type tab struct {
	name string
	view view
}

// view is a part of the report that can be moved about in.
type view interface {
	// draw returns at most height lines, none wider than width columns.
	draw(width, height int) []string
	// key acts upon a key and tells whether it knows it.
	key(k string) bool
	// open returns what stands under the cursor; nil where nothing can be opened.
	open() *page
	// search looks for what was typed behind a slash; empty ends the search. It tells how
	// it went.
	search(s string) string
	// searched is what was searched last.
	searched() string
	// position tells where in the whole the visible part is.
	position() string
}

// New returns the model that shows a report from its beginning.
func New(r *report.Report, color bool) *Model {
	m := &Model{r: r, color: color, width: 80, height: 24}
	m.stack = []*page{m.home()}
	return m
}

// Init does nothing: the report is there.
func (m *Model) Init() tea.Cmd { return nil }

// Update acts upon a key or a new size.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 0), max(msg.Height, 0)
	case tea.PasteMsg:
		if m.typing != nil {
			m.typed(*m.typing + msg.Content)
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	m.note = ""
	key := k.String()
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case key == "ctrl+z":
		return tea.Suspend
	case m.typing != nil:
		m.edit(key, k.Text)
		return nil
	}
	p := m.top()
	v := p.tabs[p.at].view
	switch key {
	case "Q":
		return tea.Quit
	case "q", "backspace":
		return m.back()
	case "esc":
		if v.searched() == "" {
			return m.back()
		}
		v.search("")
	case "tab":
		p.at = (p.at + 1) % len(p.tabs)
	case "shift+tab":
		p.at = (p.at + len(p.tabs) - 1) % len(p.tabs)
	case "?", "h":
		if p.title != helpTitle {
			m.stack = append(m.stack, m.help())
		}
	case "/":
		s := ""
		m.typing = &s
	case "enter":
		if next := v.open(); next != nil {
			m.stack = append(m.stack, next)
		}
	case "]", "J":
		m.neighbour(+1)
	case "[", "K":
		m.neighbour(-1)
	default:
		if !v.key(key) {
			m.note = "? lists the keys"
		}
	}
	return nil
}

// edit changes what is being typed. A filter acts while it is typed.
func (m *Model) edit(key, text string) {
	s := *m.typing
	switch key {
	case "enter":
		m.typing = nil
	case "esc":
		m.typed("")
		m.typing = nil
	case "backspace":
		if s == "" {
			m.typed("")
			m.typing = nil
			return
		}
		r := []rune(s)
		m.typed(string(r[:len(r)-1]))
	case "ctrl+u":
		m.typed("")
	default:
		if text != "" {
			m.typed(s + text)
		}
	}
}

func (m *Model) typed(s string) {
	*m.typing = s
	p := m.top()
	m.note = p.tabs[p.at].view.search(s)
}

func (m *Model) top() *page { return m.stack[len(m.stack)-1] }

// back leaves the page, and the program from the first one.
func (m *Model) back() tea.Cmd {
	if len(m.stack) == 1 {
		return tea.Quit
	}
	m.stack = m.stack[:len(m.stack)-1]
	return nil
}

// neighbour goes on to another finding, or frame, in the same view of it.
func (m *Model) neighbour(step int) {
	p := m.top()
	if p.next == nil {
		m.note = "there are no others"
		return
	}
	next := p.next(step)
	if next == nil {
		m.note = "no more"
		return
	}
	next.at = min(p.at, len(next.tabs)-1)
	m.stack[len(m.stack)-1] = next
}

// home is the first page.
func (m *Model) home() *page {
	return &page{title: "tcpwhy", tabs: []tab{
		{"Findings " + strconv.Itoa(len(m.r.Findings)), m.findings()},
		{"Connections " + strconv.Itoa(len(m.r.Connections)), m.connections()},
		{"Capture", m.capture()},
	}}
}
