package live_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

var facts = []struct {
	named kernel.Fact
	hide  func(*live.Case)
}{
	{kernel.FactKernel, func(c *live.Case) { c.Host.Profile = kernel.Profile{} }},
	{kernel.FactRateLimit, func(c *live.Case) { c.Host.RateLimit = kernel.Duration{} }},
	{kernel.FactChallengeLimit, func(c *live.Case) { c.Host.ChallengesSpent, c.Host.ChallengeLimit = kernel.Unknown, kernel.Count{} }},
	{kernel.FactChallenges, func(c *live.Case) { c.Host.ChallengesSpent, c.Host.Challenges = kernel.Unknown, kernel.Count{} }},
	{kernel.FactRcvNxt, func(c *live.Case) { c.RcvNxt = kernel.Num{} }},
	{kernel.FactSndNxt, func(c *live.Case) { c.SndNxt = kernel.Num{} }},
	{kernel.FactRcvWnd, func(c *live.Case) { c.RcvWnd = kernel.Num{} }},
	{kernel.FactTSRecent, func(c *live.Case) { c.TSRecent = kernel.Num{} }},
	{kernel.FactTSRecent, func(c *live.Case) { c.HasTS, c.TSRecent = kernel.Unknown, kernel.Num{} }},
	{kernel.FactSndUna, func(c *live.Case) { c.SndUna = kernel.Num{} }},
	{kernel.FactPeerWindow, func(c *live.Case) { c.SndWL1, c.PeerWnd = kernel.Num{}, kernel.Num{} }},
	{kernel.FactMaxWindow, func(c *live.Case) { c.MaxWindow = kernel.Num{} }},
	{kernel.FactMaxWindow, func(c *live.Case) { c.BytesAcked = kernel.Num{} }},
	{kernel.FactRTO, func(c *live.Case) { c.RTO = kernel.Duration{} }},
	{kernel.FactOrphan, func(c *live.Case) { c.Orphan = kernel.Unknown }},
	{kernel.FactUnread, func(c *live.Case) { c.Unread = kernel.Unknown }},
	{kernel.FactSACK, func(c *live.Case) { c.SACK = kernel.Unknown }},
	{kernel.FactFastPath, func(c *live.Case) { c.Memory = kernel.Unknown }},
	{kernel.FactAhead, func(c *live.Case) { c.Ahead = live.Ahead{AheadUnknown: true} }},
}

func draw(r *rand.Rand) *live.Case {
	pick := func(from ...uint32) uint32 { return from[r.IntN(len(from))] }
	point := func() uint32 { return pick(0, 1, 1<<31-1, 1<<31, 1<<32-1, r.Uint32()) }
	profiles := kernel.Candidates()
	wnd := pick(0, 1, 65160, uint32(r.IntN(1<<30)))
	rcvNxt, sndNxt, tsRecent := point(), point(), point()
	c := &live.Case{
		Socket: live.Socket{
			State:  states[r.IntN(len(states))],
			RcvNxt: kernel.Known(seq.Of(rcvNxt)), SndNxt: kernel.Known(seq.Of(sndNxt)), RcvWnd: kernel.Known(seq.Of(wnd)),
			WScale: uint8(r.IntN(15)), HasTS: kernel.If(r.IntN(3) > 0), TSRecent: kernel.Known(seq.Of(tsRecent)),
		},
		Host: kernel.Host{
			Profile:    profiles[r.IntN(len(profiles))],
			RateLimit:  kernel.Duration{Duration: kernel.DefaultRateLimit, Known: true},
			Timestamps: kernel.Yes, AcceptQueueFull: kernel.If(r.IntN(2) == 0), AbortOnOverflow: kernel.If(r.IntN(2) == 0),
		},
		Segment: segment.Segment{
			Seq: seq.Of(rcvNxt + pick(0, 1, ^uint32(0), ^uint32(1), wnd, wnd+1, wnd-1, 1<<31, 1<<31+1, r.Uint32())),
			Ack: seq.Of(sndNxt + pick(0, 0, 1)), Len: pick(0, 0, 0, 1, 1448), Flags: segment.Flags(r.UintN(1 << 9)),
		},
		Now: casefile.Start,
	}
	c.Host.ChallengeLimit = kernel.Count{N: pick(0, 1, 2, 100, 1000, kernel.NoChallengeLimit), Known: true}
	c.Host.Challenges = kernel.Count{N: pick(0, 1, 2, 49, 50, 99, 100, 149, 1499), Known: true}
	if c.Host.SpentChallenges().Missing == kernel.FactChallenges { // nobody knows what is drawn
		c.Host.ChallengesSpent = kernel.If(r.IntN(2) == 0)
	}
	if c.State == live.SynRecv && c.HasTS == kernel.No {
		c.TSRecent = kernel.Known(seq.Of(0)) // what one without timestamps remembers
	}
	if r.IntN(3) > 0 {
		c.Segment.Options = segment.OptTimestamps
		echo := point()
		c.SynAckTS, c.LastSynAckTS = kernel.Known(seq.Of(echo)), kernel.Known(seq.Of(echo+pick(0, 1000)))
		c.Segment.TSEcr = seq.Of(echo + pick(0, ^uint32(0), 1, 1001))
		c.Segment.TSVal = seq.Of(tsRecent + pick(0, 1, ^uint32(0), ^uint32(1), 1<<31, 1<<31+1, r.Uint32()))
	}
	if c.State != live.SynRecv {
		connection(c, pick)
	}
	if r.IntN(2) == 0 {
		c.LastACK = c.Now - int64(pick(0, 1, 499, 500, 501))*int64(time.Millisecond)
	}
	return c
}

// connection draws what a synchronised socket knows besides.
func connection(c *live.Case, pick func(...uint32) uint32) {
	num := func(n uint32) kernel.Num { return kernel.Known(seq.Of(n)) }
	yes := func() kernel.Answer { return kernel.If(pick(0, 1) == 0) }
	c.SndUna = c.SndNxt
	if c.State == live.FinWait1 || c.State == live.Closing || c.State == live.LastAck {
		c.SndUna = num(c.SndNxt.Uint32() - 1)
	}
	c.Segment.Ack = c.SndNxt.Add(pick(0, 0, 0, 1, ^uint32(0), ^uint32(1), 1<<31, 1<<31+1, ^uint32(5000)))
	c.SndWL1, c.PeerWnd = num(c.RcvNxt.Uint32()-pick(0, 1)), num(501)
	c.Segment.Window = uint16(pick(501, 501, 0, 502))
	c.MaxWindow, c.BytesAcked = num(64128), num(pick(0, 1, 4000, 1<<31))
	c.RTO = kernel.Duration{Duration: 200 * time.Millisecond, Known: true}
	c.Orphan, c.Unread, c.SACK, c.Memory = yes(), yes(), yes(), yes()
	if pick(0, 0, 1) == 1 {
		at := c.RcvNxt.Add(pick(1, 2, 10, 1448))
		c.Ahead.Ahead[0], c.AheadN = live.Block{Left: at, Right: at.Add(pick(1, 10)), FIN: pick(0, 1) == 0}, 1
		if pick(0, 1) == 0 {
			c.Segment.Seq = c.Ahead.Ahead[0].Right
		}
	}
}

// fits tells whether what is remembered contradicts nothing that truly is.
func fits(o, truth *live.Socket) bool {
	return (o.State == live.UnknownState || o.State == truth.State) && casefile.FitsNum(o.RcvNxt, truth.RcvNxt) &&
		casefile.FitsNum(o.SndUna, truth.SndUna) && casefile.FitsNum(o.TSRecent, truth.TSRecent) && casefile.FitsNum(o.RcvWnd, truth.RcvWnd) &&
		casefile.FitsNum(o.SndWL1, truth.SndWL1) && casefile.FitsNum(o.BytesAcked, truth.BytesAcked)
}

// A fact that is taken away never excludes what surely happens while it is known,
// and nothing else is said to be missing.
func TestUnknownKeepsTheTruth(t *testing.T) {
	r := casefile.Random(t)
	sure, kept := 0, 0
	for range 30_000 {
		c := draw(r)
		truth, ok := live.Decide(c).Sure()
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
		d := live.Decide(&less)
		if !slices.ContainsFunc(d.Possible, func(o live.Outcome) bool {
			return o.Gone == truth.Gone && casefile.Fits(o.Reply, truth.Reply) && o.Shrinks == truth.Shrinks &&
				fits(&o.After, &truth.After) && casefile.FitsNum(o.Small.RcvNxt, truth.Small.RcvNxt)
		}) {
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
