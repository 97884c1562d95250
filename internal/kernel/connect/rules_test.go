package connect_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// The case files of taking a port over: "own" is the TIME_WAIT, "connect" the call.
func TestTakeOverCases(t *testing.T) {
	casefile.Check(t, casefile.State[connect.TakeOver, connect.Opening]{
		Rules: connect.Rules(), Build: buildTakeOver, Decide: connect.Decide, Show: showOpening,
	})
}

// The case files of SYN_SENT: "opener" is the SYN that was sent.
func TestReactionCases(t *testing.T) {
	casefile.Check(t, casefile.State[connect.SynSent, connect.Reaction]{
		Rules: connect.ReactionRules(), Build: buildSynSent, Decide: connect.React, Show: showReaction,
	})
}

func TestRulesAreComplete(t *testing.T) {
	var ids []string
	check := func(id, says, from, outcome string) {
		ids = append(ids, id)
		if !strings.HasSuffix(says, ".") || from == "" {
			t.Errorf("%s: says %q, from %q", id, says, from)
		}
		if outcome != id {
			t.Errorf("the outcome of %s names %s", id, outcome)
		}
	}
	for _, r := range connect.Rules() {
		check(r.ID, r.Says, r.From, r.Then(&connect.TakeOver{}).Rule)
	}
	for _, r := range connect.ReactionRules() {
		check(r.ID, r.Says, r.From, r.Then(&connect.SynSent{}).Rule)
	}
	casefile.NoStrays(t, ids...)
}

func buildTakeOver(c *casefile.Case) *connect.TakeOver {
	own, call := c.On("own"), c.On("connect")
	t := &connect.TakeOver{
		Own: timewait.Socket{
			SndNxt: own.Num("snd_nxt"), HasTS: own.Answer("ts"), TSRecent: own.Num("ts_recent"), TSStored: own.Time("ts_stored"), Armed: own.Time("armed"),
		},
		Host: c.Host(), Reuse: call.Num("reuse"), Delay: call.Span("delay"), Entered: own.Time("entered"), Bound: call.Answer("bound"), Loopback: call.Answer("loopback") == kernel.Yes, Now: c.At,
	}
	if own.Answer("fin_wait2") == kernel.Yes {
		t.Own.Substate = timewait.FinWait2
	}
	if t.Own.TSRecent.Known {
		t.Own.HasTS = kernel.Yes
	}
	return t
}

func showOpening(_ *connect.TakeOver, o connect.Opening) (rule, says string) {
	if o.Refused {
		return o.Rule, "no SYN leaves from this port"
	}
	return o.Rule, fmt.Sprintf("SYN seq %s ecr %s", casefile.Num(o.ISN), casefile.Num(o.TSEcr))
}

func buildSynSent(c *casefile.Case) *connect.SynSent {
	s := c.On("opener")
	return &connect.SynSent{
		ISS: s.Num("iss").Num, Data: s.Num("data").Uint32(), Host: c.Host(), Segment: c.Segment, Repeated: s.Answer("repeated"),
		FirstTSVal: s.Num("first_tsval"), LastTSVal: s.Num("last_tsval"), Inherits: s.Answer("inherits"), TSRecent: s.Num("ts_recent"),
	}
}

func showReaction(_ *connect.SynSent, o connect.Reaction) (rule, says string) {
	says = casefile.Reply(o.Reply) + "; " + o.After.String()
	if o.After != connect.StaysSynSent {
		return o.Rule, says
	}
	says += "; repeats the SYN at once: " + o.Resends.String()
	if o.Again.Nominal > 0 {
		says += fmt.Sprintf(", again after %v", o.Again.Nominal)
	}
	if o.Next.Nominal > 0 {
		says += fmt.Sprintf(" and then %v", o.Next.Nominal)
	}
	return o.Rule, says
}
