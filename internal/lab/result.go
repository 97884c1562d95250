package lab

import (
	"context"
	"fmt"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// Mismatch is one kind of difference, with the first story that showed it.
type Mismatch struct {
	Key      string `json:"key"`
	Count    int    `json:"count"`
	Known    string `json:"known,omitempty"` // the ledger's reason
	Scenario string `json:"scenario"`
}

// Result is what a run of the laboratory found.
type Result struct {
	Kernel  string `json:"kernel"`  // as it names itself
	Version string `json:"version"` // of the source it was built from, "6.1.176"
	Mode    string `json:"mode"`
	Seed    uint64 `json:"seed"`
	// Stories is how many connections were made, Probes how many segments were
	// compared, FollowUps how many more that only showed the state after.
	Stories   int `json:"stories"`
	Probes    int `json:"probes"`
	FollowUps int `json:"follow_ups"`
	// Skipped counts the stories of which a part could not be judged, because
	// the machine was too slow to know when the kernel did what; SkippedFor by
	// reason.
	Skipped    int            `json:"skipped"`
	SkippedFor map[string]int `json:"skipped_for,omitempty"`
	// Open counts segments of which the model says nothing certain, by reason.
	Open map[string]int `json:"open,omitempty"`
	// Rules counts how often each rule was tried.
	Rules map[string]int `json:"rules"`
	// Mismatches counts the stories in which the kernel did other than the model
	// said and which the ledger does not list; Ledgered those that it does.
	Mismatches int        `json:"mismatches"`
	Ledgered   int        `json:"ledgered"`
	Kinds      []Mismatch `json:"kinds"`
	ISNs       []ISNCell  `json:"isns,omitempty"` // of TryISN
}

// Why a step could not be judged: its answer depends on which clock is ahead, or on
// whether the kernel has dropped a pending request or a closed connection by itself.
const (
	limiterEnds = "the limiter is about to end"
	ranOut      = "the timer of the state may have run out"
)

// newResult returns an empty result.
func newResult(mode string, seed uint64, p kernel.Profile) *Result {
	return &Result{
		Kernel: p.String(), Version: fmt.Sprintf("%d.%d.%d", p.Version.Major, p.Version.Minor, p.Version.Patch), Mode: mode, Seed: seed,
		Open: map[string]int{}, Rules: map[string]int{}, Kinds: []Mismatch{},
	}
}

// retries is how often at most the stories are played again that could not be judged.
const retries = 6

// Try plays the stories and sums up what came of them. Those that could not be
// judged are played again, a few times: by then they are few, and the machine has time.
func Try(ctx context.Context, mode string, seed uint64, stories []Story, p kernel.Profile) (*Result, error) {
	out, err := Run(ctx, stories, p)
	if err != nil {
		return nil, err
	}
	for range retries {
		if err := tryAgain(ctx, stories, out, p); err != nil {
			return nil, err
		}
	}
	r := newResult(mode, seed, p)
	r.Stories = len(stories)
	for i := range out {
		if err := r.add(ctx, &stories[i], &out[i], p); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// notJudged tells whether the laboratory was too slow to judge a part of the story.
func (o *Outcome) notJudged() bool {
	return o.Unsure == machineStood || o.Unsure == notReached || o.Unsure == limiterEnds || o.Unsure == ranOut
}

// tryAgain plays those stories once more that could not be judged.
func tryAgain(ctx context.Context, stories []Story, out []Outcome, p kernel.Profile) error {
	var which []int
	var some []Story
	for i := range out {
		if out[i].notJudged() {
			which, some = append(which, i), append(some, stories[i])
		}
	}
	if len(some) == 0 {
		return nil
	}
	res, err := Run(ctx, some, p)
	if err != nil {
		return err
	}
	for i, at := range which {
		out[at] = res[i]
	}
	return nil
}

// add counts one story. Of a kind of difference that is new the story is first
// made as short as it can be.
func (r *Result) add(ctx context.Context, s *Story, o *Outcome, p kernel.Profile) error {
	for _, st := range o.Steps {
		switch {
		case st.State:
			continue
		case st.FollowUp:
			r.FollowUps++
		default:
			r.Probes++
		}
		r.Rules[st.Rule]++
	}
	switch {
	case o.Unsure == "":
	case o.notJudged():
		if r.SkippedFor == nil {
			r.SkippedFor = map[string]int{}
		}
		r.Skipped++
		r.SkippedFor[o.Unsure]++
	default:
		r.Open[o.Unsure]++
	}
	if !o.Differs() {
		return nil
	}
	key := o.Key(s)
	i := slices.IndexFunc(r.Kinds, func(m Mismatch) bool { return m.Key == key })
	if i < 0 {
		short, so, err := shrink(ctx, *s, *o, p)
		if err != nil {
			return err
		}
		m := Mismatch{Key: key, Scenario: so.Scenario(&short), Known: known(key, p)}
		r.Kinds = append(r.Kinds, m)
		i = len(r.Kinds) - 1
	}
	r.Kinds[i].Count++
	if r.Kinds[i].Known == "" {
		r.Mismatches++
	} else {
		r.Ledgered++
	}
	return nil
}

// shrink leaves out steps of a story for as long as something differs, and
// returns the shortest story found with its outcome.
func shrink(ctx context.Context, s Story, o Outcome, p kernel.Profile) (Story, Outcome, error) {
	for i := 0; i < len(s.Steps) && len(s.Steps) > 1; {
		t := s
		t.Steps = slices.Delete(slices.Clone(s.Steps), i, i+1)
		out, err := Run(ctx, []Story{t}, p)
		if err != nil {
			return s, o, err
		}
		if out[0].Differs() {
			s, o = t, out[0]
		} else {
			i++
		}
	}
	return s, o, nil
}
