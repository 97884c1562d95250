package listen_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// The case files: "gate ts=900 stored=-10s" is what tcp_tw_recycle remembers of
// the peer's address, "left isn=7" what a dropped SYN left behind.
func TestCases(t *testing.T) {
	casefile.Check(t, casefile.State[listen.Case, listen.Outcome]{
		Rules: listen.Rules(), Build: build, Decide: listen.Decide, Show: show,
	})
	var ids []string
	for _, r := range listen.Rules() {
		ids = append(ids, r.ID)
	}
	casefile.NoStrays(t, ids...)
}

func build(c *casefile.Case) *listen.Case {
	s := c.On("gate")
	return &listen.Case{
		Host: c.Host(), Gate: listen.Gate{TS: s.Num("ts"), Stored: s.Time("stored"), OtherAddress: s.Answer("other_address") == kernel.Yes},
		LeftISN: c.On("left").Num("isn"), Segment: c.Segment, Now: c.At,
	}
}

func show(_ *listen.Case, o listen.Outcome) (rule, says string) {
	return o.Rule, casefile.Reply(o.Reply)
}

func TestRulesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range listen.Rules() {
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		if !strings.HasSuffix(r.Says, ".") || r.From == "" || r.Then == nil {
			t.Errorf("%s: says %q, from %q", r.ID, r.Says, r.From)
		}
		if got := r.Then(&listen.Case{}).Rule; got != r.ID {
			t.Errorf("the outcome of %s names %s", r.ID, got)
		}
	}
}

// What the gate remembers is a fact as any other: without it a host that recycles
// may drop the SYN or take it, with a timestamp and without.
func TestUnknownGateKeepsTheTruth(t *testing.T) {
	host := kernel.Host{
		Profile: kernel.Profile{Vendor: kernel.RHEL7, Version: kernel.V(3, 10, 0)}, Recycle: kernel.Yes,
		Listener: kernel.Yes, AcceptQueueFull: kernel.No, SynCookies: kernel.No,
	}
	for _, options := range []segment.Options{0, segment.OptTimestamps} {
		c := listen.Case{Host: host, Segment: segment.Segment{Flags: segment.SYN, Options: options}, Now: casefile.Start}
		d := listen.Decide(&c)
		if len(d.Possible) != 2 || d.Possible[1].Rule != "accept" || !slices.Equal(d.Missing(), []kernel.Fact{kernel.FactTSRecent}) {
			t.Errorf("options %d: %+v, missing %q", options, d.Possible, d.Missing())
		}
	}
}
