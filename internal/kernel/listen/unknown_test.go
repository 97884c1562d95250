package listen_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

var facts = []struct {
	named kernel.Fact
	hide  func(*listen.Case)
}{
	{kernel.FactKernel, func(c *listen.Case) { c.Host.Profile = kernel.Profile{} }},
	{kernel.FactListener, func(c *listen.Case) { c.Host.Listener = kernel.Unknown }},
	{kernel.FactAcceptQueue, func(c *listen.Case) { c.Host.AcceptQueueFull = kernel.Unknown }},
	{kernel.FactSynCookies, func(c *listen.Case) { c.Host.SynCookies = kernel.Unknown }},
	{kernel.FactTWRecycle, func(c *listen.Case) { c.Host.Recycle = kernel.Unknown }},
	{kernel.FactTSRecent, func(c *listen.Case) { c.Gate = listen.Gate{} }},
}

func draw(r *rand.Rand) *listen.Case {
	pick := func(from ...uint32) uint32 { return from[r.IntN(len(from))] }
	profiles := kernel.Candidates()
	often := func(n int) kernel.Answer { return kernel.If(r.IntN(n) == 0) }
	ts := pick(0, 1, 1<<31, 1<<32-1, r.Uint32())
	c := &listen.Case{
		Host: kernel.Host{
			Profile: profiles[r.IntN(len(profiles))], IPv6: r.IntN(4) == 0, Listener: often(4).Not(),
			AcceptQueueFull: often(4), SynCookies: often(4), Recycle: often(2),
		},
		Gate: listen.Gate{
			TS:     kernel.Known(seq.Of(ts)),
			Stored: casefile.Start - int64(pick(0, 1, 59, 60, 61))*int64(time.Second),
		},
		Segment: segment.Segment{Seq: seq.Of(r.Uint32()), Flags: segment.SYN, Len: pick(0, 0, 10)},
		Now:     casefile.Start,
	}
	if r.IntN(4) == 0 {
		c.LeftISN = kernel.Known(seq.Of(r.Uint32()))
	}
	if r.IntN(8) == 0 {
		c.Segment.Flags |= segment.FIN
	}
	if r.IntN(3) > 0 {
		c.Segment.Options = segment.OptTimestamps
		c.Segment.TSVal = seq.Of(ts + pick(0, 1, ^uint32(0), ^uint32(1), 1<<31, 1<<31+1, r.Uint32()))
	}
	return c
}

// A fact that is taken away never excludes what surely happens while it is known,
// and nothing else is said to be missing.
func TestUnknownKeepsTheTruth(t *testing.T) {
	r := casefile.Random(t)
	sure, kept := 0, 0
	for range 30_000 {
		c := draw(r)
		truth, ok := listen.Decide(c).Sure()
		if !ok {
			continue // what this kernel does was not read
		}
		sure++
		less := *c
		var hidden []kernel.Fact
		for range 1 + r.IntN(2) {
			f := facts[r.IntN(len(facts))]
			f.hide(&less)
			hidden = append(hidden, f.named)
		}
		d := listen.Decide(&less)
		if !slices.ContainsFunc(d.Possible, func(o listen.Outcome) bool { return casefile.Fits(o.Reply, truth.Reply) }) {
			t.Fatalf("%+v\nwithout %q: %+v is not among %+v", *c, hidden, truth, d.Possible)
		}
		for _, f := range d.Missing() {
			// A clause about the kernel may be asked only now.
			if !slices.Contains(hidden, f) && f != kernel.FactKernel {
				t.Fatalf("%+v\nwithout %q: %q is said to be missing", *c, hidden, f)
			}
		}
		if len(d.Possible) == 1 {
			kept++
		} else if len(d.Missing()) == 0 {
			t.Fatalf("%+v\nseveral outcomes, nothing missing", *c)
		}
	}
	if sure < 20_000 || kept < sure/3 {
		t.Errorf("%d of 30000 cases are sure, %d stay so", sure, kept)
	}
}
