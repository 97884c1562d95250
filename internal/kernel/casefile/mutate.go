package casefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// Mutate breaks the rules on purpose. Each clause of each rule is in turn turned
// round, and in turn left out; the rule's own case file must notice. It looks at
// the outcomes alone: a trace that reads otherwise is not enough.
//
// How many clauses there are, and how many changes were noticed, stands in the
// test's log.
//
// A clause may be left out without any difference where an earlier rule has
// settled it already. Such a one is listed in redundant as "rule: what the clause
// says", and an entry that is not needed fails too.
func Mutate[C, O any](t *testing.T, s State[C, O], redundant ...string) {
	unused := map[string]bool{}
	for _, r := range redundant {
		unused[r] = true
	}
	flips, turned, left := 0, 0, 0
	for _, r := range s.Rules {
		name := filepath.Join(folder, r.ID+".txt")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.When {
			says := r.ID + ": " + r.When[i].Says
			flips++
			if s.notices(t, name, string(text), &r.When[i], kernel.Not(r.When[i].Says, r.When[i].Ask)) {
				turned++
			} else {
				t.Errorf("%s has no case that notices when this is turned round: %s", name, says)
			}
			caught := s.notices(t, name, string(text), &r.When[i], always[C](r.When[i].Says))
			switch {
			case !caught && !unused[says]:
				t.Errorf("%s has no case that notices when this is left out: %s", name, says)
			case caught && unused[says]:
				t.Errorf("it is noticed when this is left out, and so it is not redundant: %s", says)
			}
			if caught {
				left++
			}
			delete(unused, says)
		}
	}
	t.Logf("%d rules, %d clauses: %d noticed when turned round, %d when left out, %d redundant", len(s.Rules), flips, turned, left, len(redundant))
	if flips == 0 {
		t.Error("no rule has a clause")
	}
	for says := range unused {
		t.Errorf("no rule has this clause: %s", says)
	}
}

// always is a clause that stands for one that was left out.
func always[C any](says string) kernel.Clause[C] {
	return kernel.Clause[C]{Says: says, Ask: func(*C) kernel.Reading { return kernel.Read(kernel.Yes, "left out") }}
}

// notices runs the cases of a file with another clause in the place of one, and
// tells whether the outcomes of a case change.
func (s State[C, O]) notices(t *testing.T, name, text string, place *kernel.Clause[C], other kernel.Clause[C]) bool {
	right := s.outcomes(t, name, text)
	saved := *place
	*place = other
	defer func() { *place = saved }()
	wrong := s.outcomes(t, name, text)
	for i := range right {
		if right[i] != wrong[i] {
			return true
		}
	}
	return false
}

// outcomes returns what each case of a file comes to: all its possible outcomes.
func (s State[C, O]) outcomes(t *testing.T, name, text string) []string {
	t.Helper()
	cases, err := read(name, text)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range cases {
		made := s.Build(c)
		var b strings.Builder
		for _, o := range s.Decide(made).Possible {
			rule, says := s.Show(made, o)
			b.WriteString(rule + ": " + says + "\n")
		}
		out = append(out, b.String())
	}
	return out
}
