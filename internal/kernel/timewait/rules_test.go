package timewait_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

func allRules() []*timewait.Rule { return slices.Concat(timewait.Rules(), timewait.FinWait2Rules()) }

// The case files: "socket" takes the fields of timewait.Socket; "fin_wait2" makes
// it an orphan, and "first" says that no limited ACK was sent yet.
func TestCases(t *testing.T) {
	casefile.Check(t, casefile.State[timewait.Case, timewait.Outcome]{
		Rules: allRules(), Build: build, Decide: timewait.Decide, Show: show,
	})
	var ids []string
	for _, r := range allRules() {
		ids = append(ids, r.ID)
	}
	casefile.NoStrays(t, ids...)
}

func build(c *casefile.Case) *timewait.Case {
	s := c.On("socket")
	tw := timewait.Socket{
		RcvNxt: s.Num("rcv_nxt"), SndNxt: s.Num("snd_nxt"), RcvWnd: s.Num("rcv_wnd"), WScale: s.Shift("wscale"),
		HasTS: s.Answer("ts"), TSRecent: s.Num("ts_recent"), TSStored: s.Time("ts_stored"), Armed: s.Time("armed"),
	}
	if s.Answer("fin_wait2") == kernel.Yes {
		tw.Substate = timewait.FinWait2
	}
	if tw.TSRecent.Known {
		tw.HasTS = kernel.Yes
	}
	tw.LastACK = s.Time("last_ack")
	tw.LastACKUnknown = s.Answer("first") != kernel.Yes && tw.LastACK == 0
	return &timewait.Case{Socket: tw, Host: c.Host(), Segment: c.Segment, Now: c.At}
}

func show(c *timewait.Case, o timewait.Outcome) (rule, says string) {
	if o.Gone {
		return o.Rule, casefile.Reply(o.Reply) + "; gone"
	}
	a := o.After
	says = fmt.Sprintf("%s; %s, rcv_nxt %s", casefile.Reply(o.Reply),
		map[timewait.Substate]string{timewait.TimeWait: "TIME_WAIT", timewait.FinWait2: "FIN_WAIT2"}[a.Substate], casefile.Num(a.RcvNxt))
	switch {
	case a.HasTS == kernel.No:
	case a.TSRecent.Known && a.TSStored != c.TSStored:
		says += fmt.Sprintf(", ts_recent %s from now on", a.TSRecent)
	default:
		says += ", ts_recent " + casefile.Num(a.TSRecent)
	}
	switch a.Armed {
	case c.Armed:
		says += ", not re-armed"
	case c.Now:
		says += ", re-armed"
	default:
		says += ", perhaps re-armed"
	}
	if a.LastACK == c.Now {
		says += ", the limiter starts"
	}
	return o.Rule, says
}

// Each rule says what it is and where it was read, and keeps its own name.
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
		if got := r.Then(&timewait.Case{}).Rule; got != r.ID {
			t.Errorf("the outcome of %s names %s", r.ID, got)
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, c := range []struct {
		release  string
		min, max time.Duration
	}{
		// §2.7: the wheel ends it after 52.5 to 60 s, measured up to 60.2 s; then an
		// exact timer; then one that rounds up by as much as HZ makes it.
		{"2.6.32", 52400 * time.Millisecond, 61 * time.Second},
		{"3.10.65", 52400 * time.Millisecond, 61 * time.Second},
		{"3.10.0-1127.el7", 52400 * time.Millisecond, 61 * time.Second},
		{"rhel6", 52400 * time.Millisecond, 61 * time.Second},
		{"3.19.8", 52400 * time.Millisecond, 61 * time.Second},
		{"4.0", 52400 * time.Millisecond, 65200 * time.Millisecond},
		{"4.1", 59900 * time.Millisecond, 61 * time.Second},
		{"4.4.155", 59900 * time.Millisecond, 61 * time.Second},
		{"4.8", 59900 * time.Millisecond, 65200 * time.Millisecond},
		{"4.9.229", 59900 * time.Millisecond, 65200 * time.Millisecond},
		{"rhel8", 59900 * time.Millisecond, 65200 * time.Millisecond},
		{"6.18.44", 59900 * time.Millisecond, 65200 * time.Millisecond},
		// A vendor may have taken either change back.
		{"3.16.0-4-amd64", 52400 * time.Millisecond, 65200 * time.Millisecond},
		{"4.4.0-21-generic", 59900 * time.Millisecond, 65200 * time.Millisecond},
	} {
		p, err := kernel.ParseRelease(c.release)
		if err != nil {
			t.Fatal(err)
		}
		if lo, hi := timewait.Lifetime(p); lo != c.min || hi != c.max {
			t.Errorf("%s: %v to %v, want %v to %v", c.release, lo, hi, c.min, c.max)
		}
	}
	// What is measured lies within, and an unknown kernel's bounds hold all others.
	lo, hi := timewait.Lifetime(kernel.Profile{})
	for _, p := range kernel.Candidates() {
		if l, h := timewait.Lifetime(p); l < lo || h > hi || l > 60*time.Second || h < 60*time.Second {
			t.Errorf("%s: %v to %v, an unknown kernel %v to %v", p, l, h, lo, hi)
		}
	}
}
