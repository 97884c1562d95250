package connect_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// A fact that is taken away never excludes what surely happens while it is known.
func TestUnknownKeepsTheTruth(t *testing.T) {
	hide := []func(*connect.TakeOver){
		func(c *connect.TakeOver) { c.Host.Profile = kernel.Profile{} },
		func(c *connect.TakeOver) { c.Reuse = kernel.Num{} },
		func(c *connect.TakeOver) { c.Bound = kernel.Unknown },
		func(c *connect.TakeOver) {
			c.Own.HasTS, c.Own.TSRecent, c.Own.TSStored = kernel.Unknown, kernel.Num{}, 0
		},
		func(c *connect.TakeOver) { c.Own.TSStored = 0 },
		func(c *connect.TakeOver) { c.Own.SndNxt = kernel.Num{} },
	}
	ages := []time.Duration{
		0, time.Millisecond, 999 * time.Millisecond, time.Second, 1001 * time.Millisecond, 1999 * time.Millisecond,
		2 * time.Second, 2001 * time.Millisecond, time.Minute,
	}
	r := casefile.Random(t)
	profiles := kernel.Candidates()
	sure := 0
	for range 30_000 {
		c := connect.TakeOver{
			Own: timewait.Socket{
				Substate: timewait.Substate(r.IntN(2)), SndNxt: kernel.Known(seq.Of(r.Uint32())), HasTS: kernel.If(r.IntN(4) > 0),
				TSRecent: kernel.Known(seq.Of(r.Uint32())), TSStored: casefile.Start - int64(ages[r.IntN(len(ages))]),
			},
			Host:  kernel.Host{Profile: profiles[r.IntN(len(profiles))]},
			Reuse: kernel.Known(seq.Of(uint32(r.IntN(3)))), Bound: kernel.If(r.IntN(3) == 0), Loopback: r.IntN(2) == 0,
			Now: casefile.Start,
		}
		truth, ok := connect.Decide(&c).Sure()
		if !ok {
			continue // it depends on where the second ends
		}
		sure++
		less := c
		hide[r.IntN(len(hide))](&less)
		hide[r.IntN(len(hide))](&less)
		d := connect.Decide(&less)
		if !slices.ContainsFunc(d.Possible, func(o connect.Opening) bool {
			return o.Refused == truth.Refused && casefile.FitsNum(o.ISN, truth.ISN) && casefile.FitsNum(o.TSEcr, truth.TSEcr)
		}) {
			t.Fatalf("%+v\nknowing less %+v: %+v is not among %+v", c, less, truth, d.Possible)
		}
		if len(d.Possible) > 1 && len(d.Missing()) == 0 {
			t.Fatalf("%+v\nseveral outcomes, nothing missing", less)
		}
	}
	if sure < 20_000 {
		t.Errorf("only %d of 30000 cases are sure", sure)
	}
}
