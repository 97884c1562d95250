// Package whatif asks the kernel model without packets: a state with its
// numbers, a host, and one segment. Everything that it tells of a rule comes from
// the trace of a kernel.Decision. It also holds two reports of one capture, made
// under different facts, against each other.
package whatif

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Schema names the version of the JSON contract of Answer and All.
const Schema = "tcpwhy.whatif/1"

// start is when a state begins, in nanoseconds since the Unix epoch: any time
// will do that is long after 0, which stands for "not known" in the model.
const start int64 = 1767225600e9

// Question is a state of a four-tuple, its host, and what arrives.
type Question struct {
	// All: every kernel is asked, not one.
	All bool

	state *state
	host  kernel.Host
	peer  kernel.Profile // the other end's kernel; unknown: every one
	reuse kernel.Num     // tcp_tw_reuse
	// reuseDelay is tcp_tw_reuse_delay; not known: its default.
	reuseDelay kernel.Duration
	waiting    waiting
	// rmem and rmemMax are of tcp_rmem; 0: the default.
	rmem, rmemMax uint32
	announces     bool
	// quiet: no segment arrives, the timers are asked about.
	quiet   bool
	segment segment.Segment
	text    string        // the segment as it is printed
	at      time.Duration // from the start of the state to the segment
	given   []string      // the settings of the state, as typed
	values  values
	assumed []assumption
}

// now is when the segment arrives.
func (q *Question) now() int64 { return start + int64(q.at) }

// assumption is a value that was taken because nobody gave one.
type assumption struct {
	says string
	// give is how to say otherwise.
	give string
	// drop makes the value unknown again.
	drop func(*Question)
}

// Answer is what the model says of one kernel.
type Answer struct {
	Schema  string   `json:"schema"`
	State   string   `json:"state"`
	Kernel  string   `json:"kernel"`
	IPv6    bool     `json:"ipv6"`
	AtS     float64  `json:"at_s"` // from the start of the state to the segment
	Given   []string `json:"given"`
	Segment string   `json:"segment,omitempty"`
	// Assumes are the values that nobody gave and without which the outcome
	// would not be the same.
	Assumes []Assumed `json:"assumes"`
	Stages  []Stage   `json:"stages"`
	// Waits are what the socket does by its timers, where no segment was given.
	Waits   []Wait    `json:"waits,omitempty"`
	Missing []Missing `json:"missing"`
	// Sequel is what follows where a SYN got an ACK from TIME_WAIT.
	Sequel *Sequel `json:"sequel,omitempty"`
}

// Assumed is a value that was taken, and how to give another.
type Assumed struct {
	Says string `json:"says"`
	Give string `json:"give"`
}

// Missing is a fact that would narrow the outcomes, and how to give it.
type Missing struct {
	Fact string `json:"fact"`
	Give string `json:"give"`
}

// Stage is what one list of rules says. There is more than one where it is not
// known whether TIME_WAIT is over.
type Stage struct {
	// When says what the segment meets, where that is not simply the state asked about.
	When     string    `json:"when,omitempty"`
	Rules    []Rule    `json:"rules,omitempty"`
	Outcomes []Outcome `json:"outcomes"`

	missing []kernel.Fact
}

// Rule is one rule that was asked, in the order of the kernel.
type Rule struct {
	Rule    string   `json:"rule"`
	Says    string   `json:"says"`
	Source  string   `json:"source"`
	Answer  string   `json:"answer"` // yes, no, unknown
	Clauses []Clause `json:"clauses"`
}

// Clause is one condition of a rule with its answer and the numbers it used.
type Clause struct {
	Says    string `json:"says"`
	Answer  string `json:"answer"`
	Because string `json:"because"`
}

// Outcome is what may happen then.
type Outcome struct {
	Rule string `json:"rule"`
	// Says is the reply and what becomes of the state, in words.
	Says  string `json:"says"`
	Reply *Reply `json:"reply,omitempty"` // nil: not a reply but a connect()
	// Gone: the socket does not exist any more.
	Gone bool `json:"gone"`
	// After is what the socket remembers from then on: name and value. Empty
	// where it is gone, or where no socket was met.
	After map[string]string `json:"after,omitempty"`
	// Announces is what a SYN or SYN-ACK announces, where that was asked for.
	Announces *Announced `json:"announces,omitempty"`
	// Because tells why a number is or is not predicted, where no clause does.
	Because []string `json:"because,omitempty"`

	missing []kernel.Fact // without which a part of it is not predicted
}

// Ask asks the model about the question's kernel.
func (q *Question) Ask() Answer {
	a := Answer{
		Schema: Schema, State: q.state.name, Kernel: q.host.Profile.String(), IPv6: q.host.IPv6, AtS: q.at.Seconds(),
		Given: q.given, Segment: q.text, Stages: q.stages(), Assumes: q.rests(), Missing: []Missing{},
		Sequel: q.sequel([]kernel.Profile{q.host.Profile}),
	}
	if q.hasWaits() {
		a.Waits = q.waits()
	}
	var missing, seen []kernel.Fact
	for _, s := range a.Stages {
		missing = append(missing, s.missing...)
	}
	for _, w := range a.Waits {
		missing = append(missing, w.missing...)
	}
	for _, f := range missing {
		if !slices.Contains(seen, f) {
			seen = append(seen, f)
			a.Missing = append(a.Missing, Missing{string(f), q.state.giving(f)})
		}
	}
	return a
}

// stages asks the rules of the state.
func (q *Question) stages() []Stage {
	if q.quiet {
		return []Stage{}
	}
	return q.state.decide(q)
}

// hasWaits tells whether the timers are asked about.
func (q *Question) hasWaits() bool { return q.quiet || q.state.name == "connect" }

// says puts into one text what the model says: what differs there, differs.
func (q *Question) says() string {
	parts := []string{}
	if s := outcomesOf(q.stages()); s != "" {
		parts = append(parts, s)
	}
	if q.hasWaits() {
		parts = append(parts, waitsOf(q.waits()))
	}
	return strings.Join(parts, "; ")
}

func waitsOf(all []Wait) string {
	var b strings.Builder
	for i, w := range all {
		switch {
		case i == 0:
		case w.While == all[i-1].While:
			b.WriteString(", or ")
		default:
			b.WriteString("; ")
		}
		if len(all) > 1 && (i == 0 || w.While != all[i-1].While) && all[0].While != all[len(all)-1].While {
			b.WriteString("while " + w.While + ": ")
		}
		b.WriteString(w.words())
	}
	return b.String()
}

// rests lists the assumptions that matter: the outcome is another one when the
// value is unknown.
func (q *Question) rests() []Assumed {
	out := []Assumed{}
	whole := q.says()
	for _, a := range q.assumed {
		other := *q
		a.drop(&other)
		if other.says() != whole {
			out = append(out, Assumed{a.says, a.give})
		}
	}
	return out
}

// outcomesOf puts all outcomes into one text: what differs there, differs.
func outcomesOf(stages []Stage) string {
	var b strings.Builder
	for i, s := range stages {
		if i > 0 {
			b.WriteString("; or ")
		}
		if s.When != "" {
			b.WriteString(s.When + ": ")
		}
		for j, o := range s.Outcomes {
			if j > 0 {
				b.WriteString(", or ")
			}
			fmt.Fprintf(&b, "%s [%s]", o.Says, o.Rule)
		}
	}
	return b.String()
}

// All is what the model says of every kernel, one behaviour after the other.
type All struct {
	Schema     string      `json:"schema"`
	State      string      `json:"state"`
	IPv6       bool        `json:"ipv6"`
	AtS        float64     `json:"at_s"`
	Given      []string    `json:"given"`
	Segment    string      `json:"segment,omitempty"`
	Assumes    []Assumed   `json:"assumes"` // that matter to at least one kernel
	Behaviours []Behaviour `json:"behaviours"`
	// Sequel is what follows where a SYN got an ACK from TIME_WAIT.
	Sequel *Sequel `json:"sequel,omitempty"`
}

// Behaviour is a set of kernels that answer alike.
type Behaviour struct {
	Kernels string  `json:"kernels"` // ranges of versions
	Stages  []Stage `json:"stages"`  // without their rules
	Waits   []Wait  `json:"waits,omitempty"`

	says string
	set  []kernel.Profile
}

// AskAll asks the model about every kernel. The behaviours stand in the order of
// their oldest kernel.
func (q *Question) AskAll() All {
	all := All{Schema: Schema, State: q.state.name, IPv6: q.host.IPv6, AtS: q.at.Seconds(), Given: q.given, Segment: q.text, Assumes: []Assumed{}}
	all.Sequel = q.sequel(kernel.Candidates())
	for _, p := range kernel.Candidates() {
		one := *q
		one.host.Profile = p
		stages, says := one.stages(), one.says()
		i := slices.IndexFunc(all.Behaviours, func(b Behaviour) bool { return b.says == says })
		if i < 0 {
			i = len(all.Behaviours)
			for j := range stages {
				stages[j].Rules = nil
				for k := range stages[j].Outcomes {
					stages[j].Outcomes[k].Because = nil // it names one kernel of several
					if a := stages[j].Outcomes[k].Announces; a != nil {
						a.Because = nil
					}
				}
			}
			b := Behaviour{Stages: stages, says: says}
			if one.hasWaits() {
				b.Waits = one.waits()
				for j := range b.Waits {
					b.Waits[j].Because = nil
				}
			}
			all.Behaviours = append(all.Behaviours, b)
		}
		all.Behaviours[i].set = append(all.Behaviours[i].set, p)
		for _, a := range one.rests() {
			if !slices.Contains(all.Assumes, a) {
				all.Assumes = append(all.Assumes, a)
			}
		}
	}
	for i := range all.Behaviours {
		all.Behaviours[i].Kernels = kernel.Words(all.Behaviours[i].set)
	}
	return all
}
