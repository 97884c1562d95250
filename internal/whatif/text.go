package whatif

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Write prints the answer: what happens, what it rests on, the rules that were
// asked with the numbers they used, and what is missing. It returns the error of w.
func (a *Answer) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	name := a.Kernel
	if !strings.HasPrefix(name, "an ") {
		name = "kernel " + name
	}
	writeQuestion(b, a.State, name, a.IPv6, age(a.State, a.Segment, a.AtS), a.Given, a.Segment)
	for _, s := range a.Stages {
		writeOutcomes(b, &s)
	}
	writeWaits(b, a.Waits)
	a.Sequel.write(b)
	writeAssumed(b, a.Assumes)
	for i, m := range a.Missing {
		if i == 0 {
			fmt.Fprintln(b, "\nNot known")
		}
		fmt.Fprintf(b, "  %s: give %s\n", m.Fact, m.Give)
	}
	for _, s := range a.Stages {
		if len(s.Rules) == 0 {
			continue
		}
		fmt.Fprintln(b, "\nRules asked, in order")
		if len(a.Stages) > 1 {
			fmt.Fprintf(b, "  %s:\n", s.When)
		}
		for i := range s.Rules {
			writeRule(b, &s.Rules[i])
		}
	}
	return b.Flush()
}

// age says how old a state is, where that matters to what then happens.
func age(state, segment string, at float64) string {
	if s := stateOf(state); slices.Contains(s.keys, "ts_stored") && (segment != "" || s.takes == nil) {
		return fmt.Sprintf(", %g s old", at)
	}
	return ""
}

func writeQuestion(b *bufio.Writer, state, on string, ipv6 bool, age string, given []string, segment string) {
	family := "IPv4"
	if ipv6 {
		family = "IPv6"
	}
	fmt.Fprintf(b, "%s on %s, %s%s%s\n", state, on, family, age, prefixed(": ", strings.Join(given, ", ")))
	if segment != "" {
		fmt.Fprintf(b, "< %s\n", segment)
	}
}

func prefixed(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func writeOutcomes(b *bufio.Writer, s *Stage) {
	b.WriteByte('\n')
	if s.When != "" {
		fmt.Fprintln(b, s.When)
	}
	if len(s.Outcomes) > 1 {
		fmt.Fprintln(b, "One of these, by what is not known:")
	}
	for _, o := range s.Outcomes {
		fmt.Fprintf(b, "> %s  [%s]\n", o.Says, o.Rule)
		for _, why := range o.Because {
			fmt.Fprintf(b, "  %s\n", why)
		}
		if o.Announces == nil {
			continue
		}
		for _, why := range o.Announces.Because {
			fmt.Fprintf(b, "  %s\n", why)
		}
	}
}

// writeWaits prints what the socket does by its timers, under what it waits for.
func writeWaits(b *bufio.Writer, all []Wait) {
	for i := range all {
		w := &all[i]
		if i == 0 || w.While != all[i-1].While {
			fmt.Fprintf(b, "\nWhile %s\n", w.While)
		}
		fmt.Fprintf(b, "> %s  [%s]\n", w.words(), w.Source)
		if i+1 == len(all) || all[i+1].While != w.While {
			for _, why := range w.Because {
				fmt.Fprintf(b, "  %s\n", why)
			}
		}
	}
}

// write prints what the opener does next by its kernel, and then what its segments
// meet, by the kernels on both ends where they make a difference.
func (s *Sequel) write(b *bufio.Writer) {
	if s == nil {
		return
	}
	fmt.Fprintln(b, "\nAfter that ACK the opener, by its kernel")
	width := 0
	for _, o := range s.Openers {
		width = max(width, utf8.RuneCountInString(o.Kernels))
	}
	for _, o := range s.Openers {
		fmt.Fprintf(b, "  %-*s  %s [%s]\n", width, o.Kernels, o.Says, o.Rule)
	}
	for _, t := range s.There {
		b.WriteString("and there")
		if len(s.There) > 1 {
			fmt.Fprintf(b, " (%s; opener %s)", t.Kernels, t.Openers)
		}
		b.WriteByte('\n')
		if t.RST != "" {
			fmt.Fprintf(b, "  < R: %s\n", t.RST)
		}
		if t.SYN != "" {
			fmt.Fprintf(b, "  < S again: %s\n", t.SYN)
		}
	}
}

func writeAssumed(b *bufio.Writer, as []Assumed) {
	for i, a := range as {
		if i == 0 {
			fmt.Fprintln(b, "\nTaken for granted")
		}
		fmt.Fprintf(b, "  %s (otherwise: %s)\n", a.Says, a.Give)
	}
}

// writeRule prints a rule on one line where its first clause turns it away.
func writeRule(b *bufio.Writer, r *Rule) {
	fmt.Fprintf(b, "  %-7s %s: %s", r.Answer, r.Rule, r.Says)
	if r.Answer != "no" {
		fmt.Fprintf(b, "  [%s]", r.Source)
	}
	b.WriteByte('\n')
	for _, c := range r.Clauses {
		fmt.Fprintf(b, "          %-7s %s (%s)\n", c.Answer, c.Says, c.Because)
	}
}

// Write prints a line for each behaviour: the kernels, and what happens there.
func (a *All) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	writeQuestion(b, a.State, "every kernel", a.IPv6, age(a.State, a.Segment, a.AtS), a.Given, a.Segment)
	b.WriteByte('\n')
	width := 0
	for _, h := range a.Behaviours {
		width = max(width, utf8.RuneCountInString(h.Kernels))
	}
	for _, h := range a.Behaviours {
		fmt.Fprintf(b, "%-*s  %s\n", width, h.Kernels, h.says)
	}
	a.Sequel.write(b)
	writeAssumed(b, a.Assumes)
	return b.Flush()
}
