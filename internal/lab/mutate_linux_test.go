package lab

import (
	"errors"
	"maps"
	"os"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// Each clause of each rule is turned round in turn: what the kernel was seen to do
// must contradict the broken rule.
func TestLabCatchesBrokenRules(t *testing.T) {
	p := here(t)
	all, err := Matrix(nil, false, 3)
	if err != nil {
		t.Fatal(err)
	}
	stories := Random(3000, 3)
	for _, s := range stories {
		for i := range s.Steps {
			s.Steps[i].Wait = false // that takes its time, and shows nothing more here
		}
	}
	stories = append(stories, part(all, 19)...)
	out, err := run(t.Context(), stories, p, true)
	if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
		t.Skip("without root there is no network namespace to try the kernel in")
	}
	if err != nil {
		t.Fatal(err)
	}
	m := newMutants(t, p, stories, out)
	m.all()
	t.Logf("%d trails, %d clauses turned round, %d noticed", len(m.trails), m.flips, m.flips-len(m.survivors))
	if len(m.survivors)*20 > m.flips {
		t.Errorf("these went unnoticed: %q", m.survivors)
	} else {
		t.Logf("unnoticed: %q", m.survivors)
	}
}

// otherKernels are rules that the kernels which can be tried never come to: they
// are younger than RFC 5961 there, and have no tcp_tw_recycle. Nor does a walk of one
// connection see what another one left (that is what the ISN mode is for), or spend
// what the whole host may send of challenge ACKs.
var otherKernels = map[string]bool{
	"rst-in-window": true, "syn-unanswered": true, "syn-aborts": true, "syn-duplicate-ack": true, "gate-older": true, "gate-no-timestamp": true,
	"left-over": true, "rst-spent": true, "syn-spent": true, "ack-bad-spent": true,
}

// mutants are the rules with one clause turned round, each held against what the
// kernel was seen to do.
type mutants struct {
	trails    []*trail
	other     map[string]bool // rules that this kernel never comes to
	flips     int
	survivors []string // RULE: CLAUSE, of those that nothing contradicts
}

// newMutants takes the trails of the stories that the kernel played as predicted.
func newMutants(t *testing.T, p kernel.Profile, stories []Story, out []Outcome) *mutants {
	t.Helper()
	m := mutants{other: maps.Clone(otherKernels)}
	for i := range out {
		if tr := out[i].trail; tr != nil && out[i].Unsure == "" && !out[i].Differs() {
			if tr.differs() {
				t.Fatalf("played again the story differs: %+v", stories[i])
			}
			m.trails = append(m.trails, tr)
		}
	}
	if p.Has(&kernel.ChallengesUnsentACK).Answer == kernel.Yes {
		m.other["ack-unsent"] = true // which is of kernels that are silent then
	}
	return &m
}

// all turns every clause of the rules round that a connection of the laboratory meets.
func (m *mutants) all() {
	flip(m, timewait.Rules())
	flip(m, timewait.FinWait2Rules())
	flip(m, live.Rules())
	flip(m, live.SynRecvRules())
	flip(m, listen.Rules())
}

// flip turns the clauses of the rules round, one at a time.
func flip[C, O any](m *mutants, rules []*kernel.Rule[C, O]) {
	for _, r := range rules {
		if m.other[r.ID] {
			continue
		}
		for i, c := range r.When {
			broken := c
			broken.Ask = func(x *C) kernel.Reading { return c.Ask(x).Not() }
			r.When[i] = broken
			m.flips++
			noticed := false
			for _, tr := range m.trails {
				if tr.differs() {
					noticed = true
					break
				}
			}
			r.When[i] = c
			if !noticed {
				m.survivors = append(m.survivors, r.ID+": "+c.Says)
			}
		}
	}
}
