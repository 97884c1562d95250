package tcpwhy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Question is a question that tcpwhy may answer, and the slugs of its causes.
type Question struct {
	Slug   string
	Asks   string
	Causes []string
}

// Questions lists every question, in the order of the documentation.
func Questions() []Question {
	var out []Question
	for _, q := range diagnose.Vocabulary() {
		x := Question{Slug: q.Slug, Asks: q.Asks}
		for _, c := range q.Causes {
			x.Causes = append(x.Causes, c.Slug)
		}
		out = append(out, x)
	}
	return out
}

// selection is which findings are wanted; empty: all. A capture is read whole
// nevertheless: what came before decides what a finding may conclude.
type selection struct {
	only         []string
	flows        []flowPattern
	since, until moment
}

// readSelection reads the options that select.
func readSelection(o *Options) (*selection, error) {
	s := &selection{only: o.Only}
	var errs []error
	for _, w := range o.Only {
		errs = append(errs, checkOnly(w))
	}
	for _, w := range o.Flows {
		p, err := parseFlow(w)
		errs = append(errs, err)
		s.flows = append(s.flows, p)
	}
	var err error
	if s.since, err = parseMoment(o.Since); err != nil {
		errs = append(errs, fmt.Errorf("since %w", err))
	}
	if s.until, err = parseMoment(o.Until); err != nil {
		errs = append(errs, fmt.Errorf("until %w", err))
	}
	if s.since.kind == s.until.kind && s.since.from(0) > s.until.from(0) {
		errs = append(errs, errBackwards)
	}
	for _, err := range errs {
		if err != nil {
			return nil, err // the first: it has the hint
		}
	}
	return s, nil
}

var errBackwards = errors.New("since is later than until")

// window is a selection's stretch of time in nanoseconds since the Unix epoch.
type window struct {
	since, until       int64
	hasSince, hasUntil bool
}

// window resolves the moments against the time of the first packet.
func (s *selection) window(first int64) (window, error) {
	w := window{s.since.from(first), s.until.from(first), s.since.kind != noMoment, s.until.kind != noMoment}
	if w.hasSince && w.hasUntil && w.since > w.until {
		return w, &UsageError{fmt.Errorf("%w in this capture, which begins at %s", errBackwards, report.FormatTime(first))}
	}
	return w, nil
}

// wants tells whether a finding is selected. named puts the names of hosts in place
// of their addresses.
func (s *selection) wants(r *diagnose.Result, w window, named func(string) string) bool {
	return s.wantsWhat(&r.Finding) && s.wantsFlow(r, named) && w.holds(r)
}

// wantsWhat compares the question, the verdict, and the causes that stand.
func (s *selection) wantsWhat(f *report.Finding) bool {
	return len(s.only) == 0 || slices.ContainsFunc(s.only, func(word string) bool {
		return word == f.Question || word == f.Verdict.Cause || slices.ContainsFunc(f.Causes, func(c report.Cause) bool {
			return word == c.Cause && c.Stands != report.RuledOut
		})
	})
}

// wantsFlow compares the finding's ends and those of the connections that it names:
// the other side of an address translation is one of them.
func (s *selection) wantsFlow(r *diagnose.Result, named func(string) string) bool {
	if len(s.flows) == 0 {
		return true
	}
	pairs := [][2]string{{r.Finding.Flow.Client, r.Finding.Flow.Server}}
	for _, c := range r.Connections {
		pairs = append(pairs, [2]string{c.Ends[flow.Opener].Endpoint.String(), c.Ends[flow.Listener].Endpoint.String()})
	}
	for _, p := range pairs {
		for i := range s.flows {
			if s.flows[i].matches(p[0], p[1]) || s.flows[i].matches(named(p[0]), named(p[1])) {
				return true
			}
		}
	}
	return false
}

// holds tells whether the stretch between the first and the last frame asked about
// touches the window.
func (w window) holds(r *diagnose.Result) bool {
	first, last, ok := asked(r)
	return !ok || !(w.hasSince && last < w.since) && !(w.hasUntil && first > w.until)
}

// asked returns the times of the first and the last frame that a finding asks about;
// those of its connections where the ladder does not have the frames.
func asked(r *diagnose.Result) (first, last int64, ok bool) {
	add := func(from, to int64) {
		if !ok {
			first, last, ok = from, to, true
		}
		first, last = min(first, from), max(last, to)
	}
	for i := range r.Finding.Ladder {
		st := &r.Finding.Ladder[i]
		if !st.Asked {
			continue
		}
		if t, err := time.Parse(time.RFC3339Nano, st.Time); err == nil {
			add(t.UnixNano(), t.UnixNano())
		}
	}
	if ok {
		return first, last, ok
	}
	for _, c := range r.Connections {
		add(c.First.Time, c.LastSeen.Time)
	}
	return first, last, ok
}

// checkOnly refuses what is neither a question nor a cause.
func checkOnly(word string) error {
	var slugs, questions []string
	for _, q := range Questions() {
		questions = append(questions, q.Slug)
		slugs = append(append(slugs, q.Slug), q.Causes...)
	}
	if slices.Contains(slugs, word) {
		return nil
	}
	hint := "the questions are " + strings.Join(questions, ", ") + "; the slug of a cause is taken too"
	if like := alike(word, slugs); len(like) > 0 {
		hint = "is it " + strings.Join(like, " or ") + "?\n" + hint
	}
	return &unknownWord{fmt.Errorf("there is no question or cause %q", word), hint}
}

// unknownWord is a word outside of the vocabulary, and what may be meant.
type unknownWord struct {
	error
	hint string
}

// Hint says what to write instead.
func (e *unknownWord) Hint() string { return e.hint }

// alike returns up to three of the words that resemble the given one, the nearest first.
func alike(word string, words []string) []string {
	word = strings.ReplaceAll(strings.ToLower(word), "_", "-")
	if len(word) > 64 { // longer than any: no slip of the finger
		return nil
	}
	type near struct {
		word string
		far  int
	}
	var all []near
	for _, w := range words {
		far := distance(word, w)
		if len(word) >= 4 && strings.HasPrefix(w, word) {
			far = min(far, 2)
		}
		if far <= 2 && !slices.ContainsFunc(all, func(n near) bool { return n.word == w }) {
			all = append(all, near{w, far})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, n := range all[:min(3, len(all))] {
		out = append(out, n.word)
	}
	return out
}

// distance counts the bytes to change, add or take away between two words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
