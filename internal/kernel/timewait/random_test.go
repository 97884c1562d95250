package timewait_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// trial is one case for both.
type trial struct {
	k   *profile
	h   host
	tw  mini
	p   packet
	now int64
}

// theCase turns the trial into what Decide takes, every fact known.
func (r *trial) theCase() *timewait.Case {
	known := func(n uint32) kernel.Num { return kernel.Known(seq.Of(n)) }
	c := &timewait.Case{
		Socket: timewait.Socket{
			RcvNxt: known(r.tw.rcvNxt), SndNxt: known(r.tw.sndNxt), RcvWnd: known(r.tw.rcvWnd), WScale: r.tw.wscale,
			HasTS: kernel.If(r.tw.hasTS), TSRecent: known(r.tw.tsRecent), TSStored: r.tw.tsStored,
			LastACK: r.tw.oow, Armed: r.tw.armed,
		},
		Host: kernel.Host{
			Profile: r.k.parsed(), Timestamps: kernel.If(r.h.timestamps), RFC1337: kernel.If(r.h.rfc1337),
			RateLimit: kernel.Duration{Duration: r.h.limit, Known: true}, Recycle: kernel.No, Listener: kernel.If(r.h.listener),
			AcceptQueueFull: kernel.If(r.h.queueFull), SynCookies: kernel.If(r.h.cookies), IPv6: r.h.ipv6,
		},
		Segment: segment.Segment{Seq: seq.Of(r.p.seq), Ack: seq.Of(r.p.ack), Len: r.p.length, Flags: r.p.otherFlags},
		Now:     r.now,
	}
	if r.tw.fw2 {
		c.Substate = timewait.FinWait2
	}
	for _, f := range []struct {
		on   bool
		flag segment.Flags
	}{{r.p.syn, segment.SYN}, {r.p.fin, segment.FIN}, {r.p.rst, segment.RST}, {r.p.hasACK, segment.ACK}} {
		if f.on {
			c.Segment.Flags |= f.flag
		}
	}
	if r.p.hasTS {
		c.Segment.Options, c.Segment.TSVal = segment.OptTimestamps, seq.Of(r.p.tsval)
	}
	return c
}

// draw makes a trial near the edges.
func draw(r *rand.Rand) *trial {
	pick := func(from ...uint32) uint32 { return from[r.IntN(len(from))] }
	point := func() uint32 { return pick(0, 1, 2, 1<<31-1, 1<<31, 1<<32-2, 1<<32-1, r.Uint32(), r.Uint32()) }
	step := func(wnd uint32) uint32 {
		return pick(0, 0, 0, 1, 2, ^uint32(0), ^uint32(1), 1<<31, 1<<31+1, 1<<31-1, 1<<31+2, wnd, wnd-1, wnd+1, r.Uint32())
	}
	often := func(n int) bool { return r.IntN(n) == 0 }
	now := int64(1767225600e9) + int64(r.IntN(1e6))*int64(time.Second)
	ago := func(from ...time.Duration) int64 { return now - int64(from[r.IntN(len(from))]) }
	t := &trial{
		k: &profiles[r.IntN(len(profiles))],
		h: host{
			timestamps: !often(8), rfc1337: often(3), listener: !often(4), queueFull: often(4), cookies: often(4), ipv6: often(4),
			limit: []time.Duration{0, time.Second / 2, time.Second / 2, time.Second}[r.IntN(4)],
		},
		tw: mini{
			fw2: often(3), rcvNxt: point(), sndNxt: point(), rcvWnd: pick(0, 1, 2, 29200, 65160, 65535<<14, uint32(r.IntN(1<<30))),
			wscale: uint8(r.IntN(15)), hasTS: !often(4),
			tsStored: ago(0, time.Second, 59*time.Second, 60*time.Second, 61*time.Second, 2146*time.Second, 2147*time.Second,
				2148*time.Second, 24*day*time.Second-time.Second, 24*day*time.Second, 25*day*time.Second),
			armed: ago(0, time.Second, 30*time.Second, 59*time.Second),
		},
		now: now,
	}
	if t.tw.hasTS { // a connection without timestamps remembers 0
		t.tw.tsRecent = point()
	}
	if !often(3) {
		t.tw.oow = ago(0, time.Millisecond, 499*time.Millisecond, 500*time.Millisecond, 501*time.Millisecond, 999*time.Millisecond, time.Second)
	}
	p := &t.p
	p.seq, p.ack = t.tw.rcvNxt+step(t.tw.rcvWnd), point()
	p.length = pick(0, 0, 0, 0, 1, 2, 1448, t.tw.rcvWnd+1)
	p.syn, p.fin, p.rst, p.hasACK = often(2), often(4), often(4), often(2)
	p.hasTS, p.tsval = !often(3), t.tw.tsRecent+step(1)
	p.otherFlags = segment.Flags(r.UintN(1<<9)) &^ (segment.SYN | segment.FIN | segment.RST | segment.ACK)
	return t
}

// facts are those that can be taken away from a case, by the name under which the
// trace misses them.
var facts = []struct {
	named kernel.Fact
	hide  func(*timewait.Case)
}{
	{kernel.FactKernel, func(c *timewait.Case) { c.Host.Profile = kernel.Profile{} }},
	{kernel.FactTimestamps, func(c *timewait.Case) { c.Host.Timestamps = kernel.Unknown }},
	{kernel.FactRFC1337, func(c *timewait.Case) { c.Host.RFC1337 = kernel.Unknown }},
	{kernel.FactRateLimit, func(c *timewait.Case) { c.Host.RateLimit = kernel.Duration{} }},
	{kernel.FactListener, func(c *timewait.Case) { c.Host.Listener = kernel.Unknown }},
	{kernel.FactAcceptQueue, func(c *timewait.Case) { c.Host.AcceptQueueFull = kernel.Unknown }},
	{kernel.FactSynCookies, func(c *timewait.Case) { c.Host.SynCookies = kernel.Unknown }},
	{kernel.FactRcvNxt, func(c *timewait.Case) { c.RcvNxt = kernel.Num{} }},
	{kernel.FactSndNxt, func(c *timewait.Case) { c.SndNxt = kernel.Num{} }},
	{kernel.FactRcvWnd, func(c *timewait.Case) { c.RcvWnd = kernel.Num{} }},
	{kernel.FactTSRecent, func(c *timewait.Case) { c.HasTS, c.TSRecent, c.TSStored = kernel.Unknown, kernel.Num{}, 0 }},
	{kernel.FactTSRecent, func(c *timewait.Case) { c.TSRecent, c.TSStored = kernel.Num{}, 0 }},
	{kernel.FactTSRecent, func(c *timewait.Case) { c.TSStored = 0 }},
	{kernel.FactLastACK, func(c *timewait.Case) { c.LastACK, c.LastACKUnknown = 0, true }},
	{"the segment's options", func(c *timewait.Case) {
		c.Segment.Options, c.Segment.TSVal = segment.OptCut, seq.Num{}
	}},
}

// lacks tells what is wrong with a decision about which the truth is known, some
// facts of the given names being hidden.
func lacks(a *answer, d kernel.Decision[timewait.Outcome], hidden []kernel.Fact, limits bool) string {
	var why []string
	for i := range d.Possible {
		w := agree(a, &d.Possible[i], limits)
		if w == "" {
			why = nil
			break
		}
		why = append(why, d.Possible[i].Rule+": "+w)
	}
	missing := d.Missing()
	stranger := func(f kernel.Fact) bool { return !slices.Contains(hidden, f) }
	switch {
	case len(d.Possible) == 0:
		return "nothing is possible"
	case why != nil:
		return fmt.Sprintf("the truth (%s, gone %t, after %+v) is not among what is possible: %q", a.kind, a.gone, a.after, why)
	case len(d.Possible) > 1 && len(missing) == 0:
		return "several outcomes, and no fact is said to be missing"
	case slices.ContainsFunc(missing, stranger):
		return fmt.Sprintf("%q are said to be missing, hidden are only %q", missing, hidden)
	}
	return ""
}

// trials is how many random cases there are.
func trials() int {
	if testing.Short() {
		return 20_000
	}
	return 200_000
}

// With every fact known there is one outcome, the oracle's, with nothing left open.
func TestOracle(t *testing.T) {
	t.Parallel()
	r := casefile.Random(t)
	fired := map[string]int{}
	for range trials() {
		tr := draw(r)
		want := oracle(tr.k, &tr.h, tr.tw, &tr.p, tr.now)
		d := timewait.Decide(tr.theCase())
		o, ok := d.Sure()
		if !ok {
			t.Fatalf("%+v\nseveral outcomes: %+v, missing %q", tr, d.Possible, d.Missing())
		}
		wrong := agree(&want, &o, tr.k.limits)
		if open := exact(&want, &o); wrong != "" || open != "" {
			t.Fatalf("%+v on %s\n%s: wrong %s, open %s", *tr, tr.k.release, o.Rule, wrong, open)
		}
		fired[o.Rule]++
	}
	for _, rule := range append(timewait.Rules(), timewait.FinWait2Rules()...) {
		if fired[rule.ID] == 0 {
			t.Errorf("%s never came true: the cases are drawn badly", rule.ID)
		}
	}
}

// A fact that is taken away never excludes the truth, whichever it is and how
// many are; and only what was taken away is said to be missing.
func TestUnknownKeepsTheTruth(t *testing.T) {
	t.Parallel()
	r := casefile.Random(t)
	n := trials() / 3
	sure := 0
	for range n {
		tr := draw(r)
		want := oracle(tr.k, &tr.h, tr.tw, &tr.p, tr.now)
		c := tr.theCase()
		var hidden []kernel.Fact
		for len(hidden) == 0 || r.IntN(3) == 0 {
			f := &facts[r.IntN(len(facts))]
			f.hide(c)
			hidden = append(hidden, f.named)
		}
		d := timewait.Decide(c)
		if wrong := lacks(&want, d, hidden, tr.k.limits); wrong != "" {
			t.Fatalf("%+v on %s\nwithout %q: %s", *tr, tr.k.release, hidden, wrong)
		}
		if !slices.Equal(d.Possible, timewait.Outcomes(c)) {
			t.Fatalf("%+v on %s\nthe outcomes without a trace differ: %+v", *tr, tr.k.release, timewait.Outcomes(c))
		}
		if len(d.Possible) == 1 {
			sure++
		}
	}
	// A model that never knows would pass the above.
	if share := float64(sure) / float64(n); share < 0.6 {
		t.Errorf("only %.2f of the cases with a fact or two missing have one outcome", share)
	}
}
