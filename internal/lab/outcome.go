package lab

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// Outcome is what became of a story.
type Outcome struct {
	Steps   []Observed
	Numbers Numbers // where something differs
	// Unsure is why the model said nothing certain of the next step; empty
	// where every step was compared.
	Unsure string
	// trail is kept where it was asked for.
	trail *trail
}

// Observed is one step: what was sent, what the model said, what came.
type Observed struct {
	At          int64 // ns after the state was reached
	Sent        string
	Rule        string
	Predicted   string
	Got         []string
	Differences []Difference
	FollowUp    bool
	// State: it is no step but the look at the kernel's table at the end.
	State bool
}

// Differs tells whether the kernel did other than the model said.
func (o *Outcome) Differs() bool {
	n := len(o.Steps)
	return n > 0 && len(o.Steps[n-1].Differences) > 0
}

// Key names the kind of a difference, by which the ledger lists it: the state at
// the start, the rule that fired last, and the field.
func (o *Outcome) Key(s *Story) string {
	if !o.Differs() {
		return ""
	}
	last := &o.Steps[len(o.Steps)-1]
	return fmt.Sprintf("%s %s %s", s.State, last.Rule, last.Differences[0].Field)
}

// Scenario writes the story in packetdrill's notation, with what was predicted
// and what was seen. ParseScenarios reads it.
func (o *Outcome) Scenario(s *Story) string {
	var b strings.Builder
	b.WriteString(s.head(&o.Numbers))
	for i := range o.Steps {
		o.writeStep(&b, s, i)
	}
	return b.String()
}

// writeStep writes step i: the look at the table, which is none of the story's
// steps, has none before it but those.
func (o *Outcome) writeStep(b *strings.Builder, s *Story, i int) {
	st := &o.Steps[i]
	at := float64(st.At) / float64(time.Second)
	switch {
	case st.State:
		b.WriteString("# then the kernel's table:\n")
	case st.FollowUp:
		fmt.Fprintf(b, "follow-up\n#   %.3f < %s\n", at, st.Sent)
	default:
		if i < len(s.Steps) && s.Steps[i].Wait {
			b.WriteString("wait\n")
		}
		fmt.Fprintf(b, "%.3f < %s\n", at, st.Sent)
	}
	if !st.State {
		fmt.Fprintf(b, "#   predicted by %s: %s\n", st.Rule, st.Predicted)
	}
	for _, g := range st.Got {
		fmt.Fprintf(b, "%.3f > %s\n", at, g)
	}
	for _, d := range st.Differences {
		fmt.Fprintf(b, "#   %s: predicted %s, observed %s\n", d.Field, d.Predicted, d.Observed)
	}
}

func replyText(r kernel.Reply) string {
	if r.Kind == kernel.NoReply {
		return "no answer"
	}
	b := flagsOf(r).String()
	for _, x := range []struct {
		name string
		n    kernel.Num
	}{{"seq", r.Seq}, {"ack", r.Ack}, {"win", r.Window}, {"ecr", r.TSEcr}} {
		if x.n.Known {
			b += " " + x.name + " " + x.n.String()
		}
	}
	if r.NoTS {
		b += " without timestamps"
	}
	return b
}
