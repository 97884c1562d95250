package browse

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// narrow is the width below which a rung is written shorter.
const narrow = 64

// ladder lists the steps of a finding; below stands what there is to say about the
// chosen one.
func (m *Model) ladder(f *report.Finding) view {
	st := styler{m.color}
	frame, lives := 1, 1
	for i := range f.Ladder {
		frame = max(frame, len(strconv.FormatUint(f.Ladder[i].Frame, 10)))
		lives = max(lives, f.Ladder[i].Incarnation)
	}
	l := &list{
		n:     len(f.Ladder),
		style: st,
		row: func(i, width int) string {
			return rung(st, &f.Ladder[i], frame, lives > 1, width < narrow)
		},
		words: func(i int) string {
			s := &f.Ladder[i]
			return clean(strings.Join([]string{strconv.FormatUint(s.Frame, 10), s.From, s.Segment, s.Note}, " "))
		},
		enter: func(i int) *page { return m.stepPage(f, i) },
		below: func(i, width int) []string {
			if i < 0 {
				return nil
			}
			return about(st, f, &f.Ladder[i], min(width, maxText))
		},
	}
	// The frame that is asked about is what one looks for first.
	l.at = max(slices.IndexFunc(f.Ladder, func(s report.Step) bool { return s.Asked }), 0)
	return l
}

// rung is one step as a row. lives: which connection on these ports it belongs to.
func rung(st styler, s *report.Step, frame int, lives, short bool) string {
	if s.Frame == 0 {
		note := strings.Trim(clean(s.Note), ". …")
		if note == "" {
			note = "…"
		}
		return st.dim(strings.Repeat(" ", frame+2) + "… " + note + " …")
	}
	mark := " "
	if s.Asked {
		mark = "*"
	}
	out := fmt.Sprintf("%s%*d ", mark, frame, s.Frame)
	if lives && s.Incarnation > 0 && !short {
		out += fmt.Sprintf("%d ", s.Incarnation)
	}
	from := clean(s.From)
	at := fmt.Sprintf("%14s ", text.At(s.AtS))
	if short {
		from = string([]rune(from + " ")[:1])
		at = fmt.Sprintf("%+.3f ", s.AtS)
	} else {
		from = pad(from, 6) + " "
	}
	out += st.dim(at) + from + "> "
	if s.Asked {
		return out + st.bold(clean(s.Segment))
	}
	return out + clean(s.Segment)
}

// about says what there is to say about a step: the frame, its note, and every
// sentence that rests on it.
func about(st styler, f *report.Finding, s *report.Step, width int) []string {
	if s.Frame == 0 {
		return wrap(s.Note, width, 0)
	}
	head := fmt.Sprintf("frame %d  %s", s.Frame, text.At(s.AtS))
	if s.From != "" {
		head += "  from the " + s.From
	}
	out := wrap(head, width, 0)
	out = append(out, wrap(s.Segment, width, 0)...)
	if s.Note != "" {
		out = append(out, wrap("^ "+s.Note, width, 0)...)
	}
	for i := range f.Causes {
		c := &f.Causes[i]
		for j := range c.Evidence {
			e := &c.Evidence[j]
			if slices.Contains(e.Frames, s.Frame) {
				label := clean(e.Answer)
				out = append(out, hang(st.bold(label), c.Cause+": "+e.Says, 9, width)...)
			}
		}
	}
	for i := range f.Warnings {
		if w := &f.Warnings[i]; w.Frame == s.Frame {
			out = append(out, hang(st.bold("limits"), w.Says, 9, width)...)
		}
	}
	return out
}

// stepPage shows one step whole: its fields, and what rests on it.
func (m *Model) stepPage(f *report.Finding, i int) *page {
	s := &f.Ladder[i]
	st := styler{m.color}
	title := "Step"
	if s.Frame != 0 {
		title = fmt.Sprintf("Frame %d", s.Frame)
	}
	details := &scroll{style: st, make: func(width int) []string {
		width = min(width, maxText)
		out := about(st, f, s, width)
		if rows := stepRows(f, s); len(rows) > 0 {
			out = append(append(out, ""), table(rows, width)...)
		}
		return out
	}}
	next := func(step int) *page {
		for n := i + step; n >= 0 && n < len(f.Ladder); n += step {
			if f.Ladder[n].Frame != 0 {
				return m.stepPage(f, n)
			}
		}
		return nil
	}
	return &page{title: title + " of " + clean(f.ID), tabs: []tab{{"Details", details}}, next: next}
}

// stepRows is a frame as names and values.
func stepRows(f *report.Finding, s *report.Step) [][2]string {
	if s.Frame == 0 {
		return nil
	}
	rows := [][2]string{{"time", s.Time}}
	switch s.From {
	case "client":
		rows = append(rows, [2]string{"from", "client " + f.Flow.Client}, [2]string{"to", "server " + f.Flow.Server})
	case "server":
		rows = append(rows, [2]string{"from", "server " + f.Flow.Server}, [2]string{"to", "client " + f.Flow.Client})
	}
	if s.Incarnation > 0 {
		rows = append(rows, [2]string{"connection", strconv.Itoa(s.Incarnation) + " on these ports"})
	}
	if x := s.Fields; x != nil {
		n := func(name string, v uint64) { rows = append(rows, [2]string{name, strconv.FormatUint(v, 10)}) }
		rows = append(rows, [2]string{"flags", x.Flags})
		n("seq", uint64(x.Seq))
		if strings.Contains(x.Flags, ".") {
			n("ack", uint64(x.Ack))
		}
		n("payload", uint64(x.Len))
		n("window", uint64(x.Window))
		if x.TSVal != nil {
			n("TSval", uint64(*x.TSVal))
		}
		if x.TSEcr != nil {
			n("TSecr", uint64(*x.TSEcr))
		}
		if x.MSS > 0 {
			n("MSS", uint64(x.MSS))
		}
		if x.TTL > 0 {
			n("TTL", uint64(x.TTL))
		}
		if x.IPID > 0 {
			n("IP id", uint64(x.IPID))
		}
		if x.Relative {
			rows = append(rows, [2]string{"numbers", "relative, as the text gives them"})
		}
	}
	for _, r := range f.Refs {
		if i := slices.Index(f.Frames, s.Frame); i >= 0 && len(f.Refs) == len(f.Frames) && f.Refs[i] == r {
			rows = append(rows, [2]string{"in", fmt.Sprintf("%s, frame %d", r.Source, r.Frame)})
		}
	}
	return rows
}
