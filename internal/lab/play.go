package lab

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// Played is what became of scenarios: the sums, and each of them step by step.
type Played struct {
	Result
	Scenarios []PlayedScenario `json:"scenarios"`
}

// PlayedScenario is one scenario as it went.
type PlayedScenario struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // of its "state"
	State    string `json:"state"`
	Settings string `json:"settings"`
	IPv6     bool   `json:"ipv6"`
	// Unsure is why the rest was not compared; empty where all was.
	Unsure   string       `json:"unsure,omitempty"`
	Mismatch bool         `json:"mismatch"`
	Steps    []PlayedStep `json:"steps"`
	Text     string       `json:"text"` // in the notation that it was read from
}

// PlayedStep is one segment of a scenario: what the model said, what came. With
// Look it is the look at the kernel's table of sockets, which lists only differences.
type PlayedStep struct {
	Nanoseconds int64        `json:"ns"` // after the state was reached
	Sent        string       `json:"sent,omitempty"`
	FollowUp    bool         `json:"follow_up,omitempty"`
	Look        bool         `json:"look,omitempty"`
	Rule        string       `json:"rule"`
	Predicted   string       `json:"predicted,omitempty"`
	Observed    []string     `json:"observed"`
	Differences []Difference `json:"differences"`
}

// Why an outcome says nothing of the kernel.
const (
	machineStood = "the machine stood still"
	notReached   = "its state was not reached"
)

const (
	// attempts is how often a scenario is played in which the machine stood still.
	attempts = 3
	// atOnce is how many are played side by side: they mostly wait.
	atOnce = 4
)

// Play plays scenarios on the kernel that runs here, and compares. Each has a
// namespace of its own, because the limiter of ACKs and what it remembers depend on
// what else goes on. One that could not be judged because the machine was slow is
// played again.
func Play(ctx context.Context, all []Scenario, p kernel.Profile) (*Played, error) {
	out := make([]Outcome, len(all))
	errs := make([]error, len(all))
	free := make(chan struct{}, atOnce)
	var done sync.WaitGroup
	for i := range all {
		free <- struct{}{}
		done.Go(func() {
			out[i], errs[i] = playOne(ctx, all[i].Story, p)
			<-free
		})
	}
	done.Wait()
	r := &Played{Result: *newResult("run", 0, p), Scenarios: []PlayedScenario{}}
	r.Stories = len(all)
	for i := range all {
		o, s := &out[i], &all[i].Story
		if err := cmp.Or(errs[i], r.add(ctx, s, o, p)); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", all[i].File, all[i].Line, err)
		}
		r.Scenarios = append(r.Scenarios, PlayedScenario{
			File: all[i].File, Line: all[i].Line, State: s.State.String(), Settings: s.Settings.String(),
			IPv6: s.IPv6, Unsure: o.Unsure, Mismatch: o.Differs(), Steps: o.played(), Text: o.Scenario(s),
		})
	}
	return r, nil
}

func playOne(ctx context.Context, s Story, p kernel.Profile) (Outcome, error) {
	for left := attempts; ; left-- {
		out, err := Run(ctx, []Story{s}, p)
		if err != nil {
			return Outcome{}, err
		}
		if o := out[0]; left == 1 || o.Unsure != machineStood && o.Unsure != notReached {
			return o, nil
		}
	}
}

func (o *Outcome) played() []PlayedStep {
	steps := []PlayedStep{}
	for _, st := range o.Steps {
		steps = append(steps, PlayedStep{
			Nanoseconds: st.At, Sent: st.Sent, FollowUp: st.FollowUp, Look: st.State, Rule: st.Rule, Predicted: st.Predicted,
			Observed: append([]string{}, st.Got...), Differences: append([]Difference{}, st.Differences...),
		})
	}
	return steps
}

// WriteText writes each scenario as it went, and then the figures.
func (r *Played) WriteText(w io.Writer) error {
	p := printer{w: w}
	for _, s := range r.Scenarios {
		verdict := "as predicted"
		switch {
		case s.Mismatch:
			verdict = "the kernel and the model differ"
		case s.Unsure != "":
			verdict = "not all is predicted: " + s.Unsure
		}
		p.f("# %s:%d: %s\n%s\n", s.File, s.Line, verdict, s.Text)
	}
	if p.err != nil {
		return p.err
	}
	sums := r.Result
	sums.Kinds = slices.DeleteFunc(slices.Clone(r.Kinds), func(m Mismatch) bool { return m.Known == "" }) // the others are above
	return sums.WriteText(w)
}
