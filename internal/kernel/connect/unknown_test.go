package connect_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
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
		func(c *connect.TakeOver) { c.Entered = 0 },
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
		// TIME_WAIT begins with or after the last storing of ts_recent, and is armed then.
		c.Entered = min(casefile.Start, c.Own.TSStored+int64(ages[r.IntN(len(ages))]))
		c.Own.Armed = min(casefile.Start, c.Entered+int64(ages[r.IntN(len(ages))]))
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

// The same for an opener: each fact in turn is taken away.
func TestUnknownOpenerKeepsTheTruth(t *testing.T) {
	hide := []func(*connect.SynSent){
		func(c *connect.SynSent) { c.Host.Profile = kernel.Profile{} },
		func(c *connect.SynSent) { c.Host.Timestamps = kernel.Unknown },
		func(c *connect.SynSent) { c.Repeated = kernel.Unknown },
		func(c *connect.SynSent) { c.FirstTSVal, c.LastTSVal = kernel.Num{}, kernel.Num{} },
		func(c *connect.SynSent) { c.Inherits = kernel.Unknown },
		func(c *connect.SynSent) { c.TSRecent = kernel.Num{} },
	}
	r := casefile.Random(t)
	profiles := kernel.Candidates()
	for range 30_000 {
		iss := r.Uint32()
		pick := func(from ...uint32) uint32 { return from[r.IntN(len(from))] }
		first := r.Uint32()
		c := connect.SynSent{
			ISS: seq.Of(iss), Data: pick(0, 0, 10), Repeated: kernel.If(r.IntN(3) == 0), Inherits: kernel.If(r.IntN(3) == 0), TSRecent: kernel.Known(seq.Of(pick(0, first, r.Uint32()))),
			FirstTSVal: kernel.Known(seq.Of(first)), LastTSVal: kernel.Known(seq.Of(first + 3000)),
			Host: kernel.Host{Profile: profiles[r.IntN(len(profiles))], Timestamps: kernel.Yes},
			Segment: segment.Segment{
				Flags: segment.Flags(r.IntN(1 << 5)), Seq: seq.Of(r.Uint32()), Ack: seq.Of(iss + pick(0, 1, 2, 10, 11, 12, 1<<31, ^uint32(0))), Len: pick(0, 5),
			},
		}
		if r.IntN(2) == 0 {
			c.Segment.Options, c.Segment.TSVal = segment.OptTimestamps, seq.Of(c.TSRecent.Uint32()+pick(0, 1, ^uint32(0)))
			c.Segment.TSEcr = seq.Of(pick(0, first-1, first, first+3000, first+3001))
		}
		truth, ok := connect.React(&c).Sure()
		if !ok {
			continue // what this kernel does was not read
		}
		less := c
		hide[r.IntN(len(hide))](&less)
		hide[r.IntN(len(hide))](&less)
		d := connect.React(&less)
		if !slices.ContainsFunc(d.Possible, func(o connect.Reaction) bool {
			return o.Rule == truth.Rule && o.After == truth.After && casefile.Fits(o.Reply, truth.Reply) &&
				(o.Resends == kernel.Unknown || o.Resends == truth.Resends) && (o.Again.Nominal == 0 || o.Again == truth.Again) && (o.Next.Nominal == 0 || o.Next == truth.Next)
		}) {
			t.Fatalf("%+v\nknowing less %+v: %+v is not among %+v", c, less, truth, d.Possible)
		}
		if len(d.Possible) > 1 && len(d.Missing()) == 0 {
			t.Fatalf("%+v\nseveral outcomes, nothing missing", less)
		}
	}
}
