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
// and what was seen.
func (o *Outcome) Scenario(s *Story) string {
	var b strings.Builder
	family, stamps := "IPv4", "no timestamps"
	if s.IPv6 {
		family = "IPv6"
	}
	if s.TS {
		stamps = fmt.Sprintf("ts_recent=%s", o.Numbers.TSRecent)
	}
	way := ""
	if s.State == TimeWait {
		way = " " + s.Path.String()
	}
	fmt.Fprintf(&b, "# %s%s, %s, %s\n", s.State, way, family, s.Settings)
	n := &o.Numbers
	fmt.Fprintf(&b, "# rcv_nxt=%s snd_nxt=%s rcv_wnd=%d wscale=%d %s\n", n.RcvNxt, n.SndNxt, n.RcvWnd, n.WScale, stamps)
	for i := range o.Steps {
		st := &o.Steps[i]
		if st.State {
			b.WriteString("# then the kernel's table:\n")
		} else {
			fmt.Fprintf(&b, "%.3f < %s\n", float64(st.At)/float64(time.Second), st.Sent)
			fmt.Fprintf(&b, "#   predicted by %s: %s\n", st.Rule, st.Predicted)
		}
		for _, g := range st.Got {
			fmt.Fprintf(&b, "%.3f > %s\n", float64(st.At)/float64(time.Second), g)
		}
		for _, d := range st.Differences {
			fmt.Fprintf(&b, "#   %s: predicted %s, observed %s\n", d.Field, d.Predicted, d.Observed)
		}
	}
	return b.String()
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
