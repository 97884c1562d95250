package export

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

const (
	// maxSection and maxPacket bound a comment, in bytes: an option holds 65,535.
	maxSection = 60000
	maxPacket  = 4000
)

// comment returns what the findings say of each frame, one comment a finding.
func comment(r *report.Report) map[uint64][]string {
	out := map[uint64][]string{}
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, n := range named(f) {
			out[n] = append(out[n], frameComment(f, n))
		}
	}
	return out
}

// named returns the frames that a finding says something of, in order.
func named(f *report.Finding) []uint64 {
	all := slices.Clone(f.Frames)
	for i := range f.Causes {
		for j := range f.Causes[i].Evidence {
			all = append(all, f.Causes[i].Evidence[j].Frames...)
		}
	}
	for i := range f.Ladder {
		if f.Ladder[i].Note != "" {
			all = append(all, f.Ladder[i].Frame)
		}
	}
	for i := range f.Warnings {
		all = append(all, f.Warnings[i].Frame)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > 0 && all[0] == 0 {
		all = all[1:]
	}
	return all
}

// frameComment is a line of what the finding is, and one a sentence that rests on the
// frame.
func frameComment(f *report.Finding, frame uint64) string {
	lines := []string{fmt.Sprintf("tcpwhy %s (%s): %s", f.ID, f.Verdict.Certainty, answer(f))}
	if slices.Contains(f.Frames, frame) {
		lines[0] = fmt.Sprintf("tcpwhy %s (%s), asked about: %s %s", f.ID, f.Verdict.Certainty, f.Asks, f.Verdict.Says)
	}
	for i := range f.Ladder {
		if f.Ladder[i].Frame == frame && f.Ladder[i].Note != "" {
			lines = append(lines, f.Ladder[i].Note)
		}
	}
	lines = append(lines, sentences(f, frame)...)
	for _, w := range f.Warnings {
		if w.Frame == frame {
			lines = append(lines, "warning: "+w.Says)
		}
	}
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return shorten(lines, maxPacket)
}

// answer is the verdict in a word where there is one.
func answer(f *report.Finding) string {
	if f.Verdict.Cause != "" {
		return f.Verdict.Cause
	}
	return f.Verdict.Says
}

// sentences are the evidence that names a frame, each with the causes that it is given
// for: those that stand, then those that are ruled out.
func sentences(f *report.Finding, frame uint64) []string {
	var says []string
	about := map[string]*[2][]string{}
	for _, out := range []int{0, 1} {
		for i := range f.Causes {
			c := &f.Causes[i]
			if (c.Stands == report.RuledOut) != (out == 1) {
				continue
			}
			for _, e := range c.Evidence {
				if !slices.Contains(e.Frames, frame) {
					continue
				}
				if about[e.Says] == nil {
					says = append(says, e.Says)
					about[e.Says] = new([2][]string)
				}
				if in := &about[e.Says][out]; !slices.Contains(*in, c.Cause) {
					*in = append(*in, c.Cause)
				}
			}
		}
	}
	for i, s := range says {
		stand, ruledOut := few(about[s][0]), few(about[s][1])
		if ruledOut != "" {
			ruledOut = "ruled out: " + ruledOut
		}
		if stand != "" && ruledOut != "" {
			stand += "; "
		}
		says[i] = s + " [" + stand + ruledOut + "]"
	}
	return says
}

// few lists the first of some words.
func few(words []string) string {
	const most = 3
	if len(words) > most+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}

// sectionComment is the whole report in short: what was read, and each finding's
// question and verdict, the ones that matter most first.
func sectionComment(r *report.Report, o Options) string {
	lines := []string{
		fmt.Sprintf("tcpwhy: %s of %s in %s", count(uint64(len(r.Findings)), "finding"), count(r.Capture.Connections, "connection"), strings.Join(titles(r), ", ")),
	}
	switch {
	case o.AllFrames && !o.KeepPayload:
		lines = append(lines, "All frames, without their payload.")
	case o.AllFrames:
		lines = append(lines, "All frames, as they were captured.")
	case o.KeepPayload:
		lines = append(lines, "Frames of the findings, as they were captured.")
	default:
		lines = append(lines, "Frames of the findings, without their payload.")
	}
	lines[1] += " Sentences count frames as the capture does; where that is another number than here, a frame's comment says so."
	if o.Mapping != nil {
		lines = append(lines, "Addresses and names are replaced, the same by the same.")
	}
	for _, w := range r.Capture.Warnings {
		lines = append(lines, "warning: "+w.Says)
	}
	worst := make([]*report.Finding, len(r.Findings))
	for i := range r.Findings {
		worst[i] = &r.Findings[i]
	}
	slices.SortStableFunc(worst, func(a, b *report.Finding) int { return rank(a) - rank(b) })
	for _, f := range worst {
		lines = append(lines, fmt.Sprintf("%s (%s, %s) %s > %s: %s %s", f.ID, f.Verdict.Certainty, f.Verdict.Severity, f.Flow.Client, f.Flow.Server, f.Asks, f.Verdict.Says))
	}
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return shorten(lines, maxSection)
}

func rank(f *report.Finding) int {
	switch f.Verdict.Severity {
	case report.Problem:
		return 0
	case report.Notice:
		return 1
	case report.Harmless:
	}
	return 2
}

// count says "1 frame" or "7 frames".
func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// shorten joins lines as far as they fit, and says how many did not.
func shorten(lines []string, size int) string {
	var b strings.Builder
	for i, l := range lines {
		rest := ""
		if i+1 < len(lines) {
			rest = fmt.Sprintf("\nand %d more", len(lines)-i)
		}
		if b.Len()+1+len(l)+len(rest) > size {
			if i == 0 {
				return strings.ToValidUTF8(l[:size], "")
			}
			fmt.Fprintf(&b, "\nand %d more", len(lines)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l)
	}
	return b.String()
}

// plain makes characters visible that would steer a terminal or a reader's eye: names
// of files come from strangers.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
