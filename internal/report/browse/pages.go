package browse

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// maxText is the width over which text is hard to read.
const maxText = 120

// findings lists all findings.
func (m *Model) findings() view {
	all := make([]int, len(m.r.Findings))
	for i := range all {
		all[i] = i
	}
	return m.findingList(all, "No findings: nothing in the capture raises a question.")
}

// findingList lists some findings, given by their indices.
func (m *Model) findingList(which []int, empty string) view {
	st := styler{m.color}
	var id, says int
	for _, i := range which {
		id = max(id, len([]rune(clean(m.r.Findings[i].ID))))
		says = min(max(says, len([]rune(saysOf(&m.r.Findings[i])))), 44)
	}
	return &list{
		n:     len(which),
		style: st,
		empty: empty,
		row: func(n, _ int) string {
			f := &m.r.Findings[which[n]]
			v := &f.Verdict
			return pad(clean(f.ID), id) + " " + st.severity(v.Severity, pad(severityMark(v.Severity), 1)) + " " +
				pad(clean(string(v.Certainty)), 7) + "  " + st.bold(pad(saysOf(f), says)) + "  " + flowOf(&f.Flow)
		},
		words: func(n int) string { return wordsOf(&m.r.Findings[which[n]]) },
		enter: func(n int) *page { return m.findingPage(which[n]) },
		below: func(n, width int) []string {
			if n < 0 {
				return nil
			}
			f := &m.r.Findings[which[n]]
			width = min(width, maxText)
			lines := wrap(f.Asks, width, 3)
			lines = append(lines, hang(st.severity(f.Verdict.Severity, clean(string(f.Verdict.Certainty))+": "), f.Verdict.Says, 9, width)...)
			return append(lines, wrap("client "+f.Flow.Client+"  server "+f.Flow.Server, width, 2)...)
		},
	}
}

// severityMark is a letter for how much a finding matters.
func severityMark(s report.Severity) string {
	switch s {
	case report.Problem:
		return "!"
	case report.Harmless:
		return " "
	}
	return "+"
}

// saysOf is a finding in two words.
func saysOf(f *report.Finding) string {
	s := f.Question
	if f.Verdict.Cause != "" {
		s += ": " + f.Verdict.Cause
	}
	return clean(s)
}

func flowOf(f *report.Flow) string { return clean(f.Client) + " → " + clean(f.Server) }

// wordsOf is all that a filter of findings looks at.
func wordsOf(f *report.Finding) string {
	v := &f.Verdict
	words := []string{f.ID, saysOf(f), f.Asks, flowOf(&f.Flow), string(v.Certainty), string(v.Severity),
		text.SeverityWords(v.Severity), v.Says, string(v.Fault), text.FaultWords(v.Fault)}
	return clean(strings.Join(append(words, f.ConnectionIDs...), " "))
}

// connections lists the connections that findings name.
func (m *Model) connections() view {
	return &list{
		n:     len(m.r.Connections),
		style: styler{m.color},
		empty: "No finding names a connection; tcpwhy connections lists all.",
		row: func(i, _ int) string {
			c := &m.r.Connections[i]
			return pad(clean(c.ID), 6) + " " + pad(clean(c.State), 11) + " " + pad(clean(c.Ended), 15) + " " +
				pad(fmt.Sprintf("%d-%d", c.FirstFrame, c.LastFrame), 9) + " " + clean(c.Client) + " → " + clean(c.Server)
		},
		words: func(i int) string { return strings.Join(fields(connectionRows(&m.r.Connections[i])), " ") },
		enter: m.connectionPage,
		below: func(i, width int) []string {
			if i < 0 {
				return nil
			}
			return table(connectionRows(&m.r.Connections[i]), width)
		},
	}
}

// connectionRows is a connection as names and values.
func connectionRows(c *report.Connection) [][2]string {
	return [][2]string{
		{"client", c.Client}, {"server", c.Server},
		{"frames", fmt.Sprintf("%d to %d", c.FirstFrame, c.LastFrame)},
		{"opened", c.Opened}, {"closed", c.Closed}, {"lasted", text.Seconds(c.DurationS)},
		{"state", c.State}, {"ended", c.Ended}, {"closed by", c.FirstCloser}, {"TIME_WAIT", c.TimeWaitHolder},
		{"packets", fmt.Sprintf("%d from the client, %d from the server", c.Packets[0], c.Packets[1])},
		{"bytes", fmt.Sprintf("%d from the client, %d from the server", c.Bytes[0], c.Bytes[1])},
		{"history", c.History}, {"id", c.ID},
	}
}

func fields(rows [][2]string) []string {
	var out []string
	for _, r := range rows {
		out = append(out, clean(r[0]+" "+r[1]))
	}
	return out
}

// table lays out names and values; what has no value is left out.
func table(rows [][2]string, width int) []string {
	indent := 0
	for _, r := range rows {
		indent = max(indent, ansi.StringWidth(r[0])+2)
	}
	var out []string
	for _, r := range rows {
		if r[1] != "" {
			out = append(out, hang(r[0], r[1], indent, width)...)
		}
	}
	return out
}

// connectionPage shows one connection and the findings that name it.
func (m *Model) connectionPage(i int) *page {
	c := &m.r.Connections[i]
	var which []int
	for n := range m.r.Findings {
		if slices.Contains(m.r.Findings[n].ConnectionIDs, c.ID) {
			which = append(which, n)
		}
	}
	return &page{title: "Connection " + clean(c.ID), tabs: []tab{
		{"Connection", &scroll{style: styler{m.color}, make: func(width int) []string { return table(connectionRows(c), min(width, maxText)) }}},
		{fmt.Sprintf("Findings %d", len(which)), m.findingList(which, "No finding names it.")},
	}}
}

// capture says what was read.
func (m *Model) capture() view {
	return m.written(func(w io.Writer, o text.Options) error { return text.WriteCapture(w, m.r, o) })
}

// written is a view of what package text writes.
func (m *Model) written(write func(io.Writer, text.Options) error) *scroll {
	return &scroll{style: styler{m.color}, make: func(width int) []string {
		var b bytes.Buffer
		// A buffer takes everything.
		_ = write(&b, text.Options{Color: m.color, Width: min(max(width, 1), maxText), All: true})
		return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	}}
}

// findingPage shows one finding.
func (m *Model) findingPage(i int) *page {
	f := &m.r.Findings[i]
	answer := m.written(func(w io.Writer, o text.Options) error { return text.WriteFinding(w, m.r, i, o) })
	p := &page{title: clean(f.ID + " " + f.Asks), tabs: []tab{{"Answer", answer}}}
	if len(f.Ladder) > 0 {
		p.tabs = append(p.tabs, tab{"Ladder", m.ladder(f)})
	}
	p.next = func(step int) *page {
		if n := i + step; n >= 0 && n < len(m.r.Findings) {
			return m.findingPage(n)
		}
		return nil
	}
	return p
}
