package live_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
		Peer: live.Peer{
			SndUna: s.Num("snd_una"), SndWL1: s.Num("snd_wl1"), PeerWnd: s.Num("peer_wnd"), MaxWindow: s.Num("max_window"),
			BytesAcked: s.Num("bytes_acked"), Memory: s.Answer("memory"),
		},
		Orphan: s.Answer("orphan"), Unread: s.Answer("unread"), SACK: s.Answer("sack"),
		Ahead: live.Ahead{AheadUnknown: s.Answer("ahead_unknown") == kernel.Yes},
	}
	if rto := s.Num("rto"); rto.Known {
		k.RTO = kernel.Duration{Duration: time.Duration(rto.Uint32()) * time.Millisecond, Known: true}
	}
	left, right, fin := s.Num("ahead"), s.Num("ahead_end"), s.Answer("ahead_fin")
	if left.Known {
		k.Ahead.Ahead[0], k.AheadN = live.Block{Left: left.Num, Right: right.Num, FIN: fin == kernel.Yes}, 1
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
		return o.Rule, says + "; aborted"
	case o.Shrinks:
		says += fmt.Sprintf("; becomes %s, rcv_nxt %s", [...]string{"TIME_WAIT", "the small FIN_WAIT2"}[o.Small.Substate], casefile.Num(o.Small.RcvNxt))
		if o.Small.TSRecent != c.TSRecent {
			says += ", ts_recent " + casefile.Num(o.Small.TSRecent)
		}
		return o.Rule, says
	case o.After.State != c.State:
		says += fmt.Sprintf("; becomes %s", o.After.State)
	default:
		says += fmt.Sprintf("; still %s", o.After.State)
	}
	if o.After.LastACK == c.Now {
		says += ", the limiter starts"
	}
	if c.State == live.SynRecv {
		return o.Rule, says
	}
	for _, f := range []struct {
		name    string
		was, is kernel.Num
	}{
		{"rcv_nxt", c.RcvNxt, o.After.RcvNxt}, {"snd_una", c.SndUna, o.After.SndUna}, {"ts_recent", c.TSRecent, o.After.TSRecent},
		{"snd_wl1", c.SndWL1, o.After.SndWL1},
	} {
		if f.was != f.is {
			says += ", " + f.name + " " + casefile.Num(f.is)
		}
	}
	for _, b := range o.After.Ahead.Ahead[:o.After.AheadN] {
		says += fmt.Sprintf(", beyond a hole %s to %s", b.Left, b.Right)
	}
	if o.After.AheadUnknown {
		says += ", beyond a hole ?"
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
