package live_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
)

// allRules returns each rule once; the two states share their last.
func allRules() (out []*live.Rule) {
	for _, r := range slices.Concat(live.Rules(), live.SynRecvRules()) {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

var states = []live.State{
	live.SynRecv, live.Established, live.FinWait1, live.FinWait2, live.CloseWait, live.Closing, live.LastAck,
}

// The case files: "socket" takes the fields of live.Socket; without "last_ack" no
// limited ACK was sent yet.
func TestCases(t *testing.T) {
	casefile.Check(t, casefile.State[live.Case, live.Outcome]{
		Rules: allRules(), Build: build, Decide: live.Decide, Show: show,
	})
	var ids []string
	for _, r := range allRules() {
		ids = append(ids, r.ID)
	}
	casefile.NoStrays(t, ids...)
}

func build(c *casefile.Case) *live.Case {
	s := c.On("socket")
	k := live.Socket{
		RcvNxt: s.Num("rcv_nxt"), SndNxt: s.Num("snd_nxt"), RcvWnd: s.Num("rcv_wnd"), WScale: s.Shift("wscale"),
		HasTS: s.Answer("ts"), TSRecent: s.Num("ts_recent"), LastACK: s.Time("last_ack"),
	}
	for _, st := range states {
		if s.Answer(st.String()) == kernel.Yes {
			k.State = st
		}
	}
	if k.TSRecent.Known {
		k.HasTS = kernel.Yes
	}
	return &live.Case{Socket: k, Host: c.Host(), Segment: c.Segment, Now: c.At}
}

func show(c *live.Case, o live.Outcome) (rule, says string) {
	says = casefile.Reply(o.Reply)
	switch {
	case o.Gone:
		says += "; aborted"
	case o.After.LastACK == c.Now:
		says += fmt.Sprintf("; still %s, the limiter starts", o.After.State)
	default:
		says += fmt.Sprintf("; still %s", o.After.State)
	}
	return o.Rule, says
}

func TestRulesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range allRules() {
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		if !strings.HasSuffix(r.Says, ".") || r.From == "" || r.Then == nil {
			t.Errorf("%s: says %q, from %q", r.ID, r.Says, r.From)
		}
		if got := r.Then(&live.Case{}).Rule; got != r.ID {
			t.Errorf("the outcome of %s names %s", r.ID, got)
		}
	}
}
