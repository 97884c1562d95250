package timewait_test

import (
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// 3.5 RTO, in the slots of the kernels that have tcp_tw_recycle.
func TestRecycledLifetime(t *testing.T) {
	for _, c := range []struct{ rto, min, max time.Duration }{
		{200 * time.Millisecond, 600 * time.Millisecond, 900 * time.Millisecond},
		{204 * time.Millisecond, 614 * time.Millisecond, 914 * time.Millisecond},
		{time.Second, 3400 * time.Millisecond, 3700 * time.Millisecond},
		{1170 * time.Millisecond, 3995 * time.Millisecond, 4295 * time.Millisecond},        // 4.095 s
		{1171 * time.Millisecond, 3998500 * time.Microsecond, 11598500 * time.Microsecond}, // 4.0985 s
		{120 * time.Second, 419900 * time.Millisecond, 427500 * time.Millisecond},
	} {
		if lo, hi := timewait.RecycledLifetime(kernel.Duration{Duration: c.rto, Known: true}); lo != c.min || hi != c.max {
			t.Errorf("%v: %v to %v, want %v to %v", c.rto, lo, hi, c.min, c.max)
		}
	}
	if lo, hi := timewait.RecycledLifetime(kernel.Duration{}); lo != 600*time.Millisecond || hi != 0 {
		t.Errorf("an unknown RTO: %v to %v", lo, hi)
	}
}

// The FIN of an orphan's peer sets 3.5 RTO where it is recycled; what arms the timer
// anew sets 60 s.
func TestShortTimer(t *testing.T) {
	fin := segment.Segment{Flags: segment.FIN | segment.ACK, Seq: seq.Of(1001), Ack: seq.Of(5001), Options: segment.OptTimestamps, TSVal: seq.Of(900)}
	for _, c := range []struct {
		release string
		recycle kernel.Answer
		ts      kernel.Answer
		short   kernel.Answer
	}{
		{"4.9.229", kernel.Yes, kernel.Yes, kernel.Yes},
		{"rhel7", kernel.Yes, kernel.Yes, kernel.Yes},
		{"4.9.229", kernel.No, kernel.Yes, kernel.No},
		{"4.9.229", kernel.Yes, kernel.No, kernel.No},
		{"4.12.0", kernel.Yes, kernel.Yes, kernel.No},
		{"rhel8", kernel.Yes, kernel.Yes, kernel.No},
		{"4.9.229", kernel.Unknown, kernel.Yes, kernel.Unknown},
	} {
		p, err := kernel.ParseRelease(c.release)
		if err != nil {
			t.Fatal(err)
		}
		k := &timewait.Case{
			Socket:  timewait.Socket{Substate: timewait.FinWait2, RcvNxt: kernel.Known(seq.Of(1001)), SndNxt: kernel.Known(seq.Of(5001)), RcvWnd: kernel.Known(seq.Of(100)), HasTS: c.ts, TSRecent: kernel.Known(seq.Of(900))},
			Host:    kernel.Host{Profile: p, Recycle: c.recycle, Timestamps: kernel.Yes},
			Segment: fin, Now: 1e18,
		}
		o, ok := timewait.Decide(k).Sure()
		if !ok || o.After.Short != c.short {
			t.Errorf("%+v: %+v", c, o)
			continue
		}
		// The FIN once more: out of order for TIME_WAIT now, an ACK, and 60 s.
		k.Socket, k.Host.RateLimit = o.After, kernel.Duration{Known: true}
		if again, ok := timewait.Decide(k).Sure(); !ok || again.After.Short != kernel.No || again.After.Armed != k.Now {
			t.Errorf("%+v, the FIN again: %+v", c, again)
		}
	}
}
