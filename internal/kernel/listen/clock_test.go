package listen_test

import (
	"math"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func TestClockConstants(t *testing.T) {
	if n := time.Second / listen.ISNStep; n != 15_625_000 {
		t.Errorf("%d steps a second", n)
	}
	if p := listen.ISNPeriod; p != 274_877_906_944*time.Nanosecond {
		t.Errorf("the clock comes round after %v", p)
	}
}

func TestOnClockLine(t *testing.T) {
	const (
		second = 15_625_000
		slack  = 468_750 // 30 ms
	)
	for _, c := range []struct {
		name     string
		old, isn uint32
		elapsed  time.Duration
		off      int32
		on       bool
	}{
		{"measured over 1.003 s", 1000, 1000 + 15_630_725, time.Duration(15_630_832) * listen.ISNStep, -107, true},
		{"at once, the same", 7, 7, 0, 0, true},
		{"30 ms ahead: exactly at the tolerance", 7, 7 + slack, 0, slack, true},
		{"one step more", 7, 7 + slack + 1, 0, slack + 1, false},
		{"30 ms behind", 7, (7 - slack) & math.MaxUint32, 0, -slack, true},
		{"one step more behind", 7, (7 - slack - 1) & math.MaxUint32, 0, -slack - 1, false},
		// 500 ppm of 17 s are 8.5 ms: with the 30 ms 601562 steps.
		{"17 s, at the tolerance", 1 << 31, 1<<31 + 17*second + 601_562, 17 * time.Second, 601_562, true},
		{"17 s, one step more", 1 << 31, 1<<31 + 17*second + 601_563, 17 * time.Second, 601_563, false},
		{"the prediction wraps", 1<<32 - 10, second - 10, time.Second, 0, true},
		{"the ISN has wrapped, the prediction not", 1<<32 - second - 5, 3, time.Second, 8, true},
		{"the prediction has wrapped, the ISN not", 1<<32 - second + 5, 1<<32 - 3, time.Second, -8, true},
		{"exactly one period", 42, 42, listen.ISNPeriod, 0, true},
		{"three periods and a second", 42, 42 + second, 3*listen.ISNPeriod + time.Second, 0, true},
		{"opposite", 0, 1 << 31, 0, math.MinInt32, false},
		{"the inherited ISN 4 ms later lies on the line by chance", 0, 65537, 4 * time.Millisecond, 3037, true},
		{"17 s later it does not", 0, 65537, 17 * time.Second, 65537 - 17*second, false},
		{"a step under 64 ns is none", 0, 0, 63 * time.Nanosecond, 0, true},
	} {
		l := listen.OnClockLine(seq.Of(c.old), seq.Of(c.isn), c.elapsed, 0)
		if l.Off != c.off || l.On != c.on {
			t.Errorf("%s: off by %d, tolerance %d, on the line %t; want %d, %t", c.name, l.Off, l.Tolerance, l.On, c.off, c.on)
		}
		if got := seq.Of(c.isn).Sub(l.Predicted); got != l.Off {
			t.Errorf("%s: predicted %s, off by %d", c.name, l.Predicted, l.Off)
		}
	}
}

// The chance that an unrelated number is on the line grows with the time and stays
// a probability; a clock that steps back makes no line of everything.
func TestClockLineChance(t *testing.T) {
	last := 0.0
	for _, elapsed := range []time.Duration{0, time.Second, time.Minute, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour, math.MaxInt64} {
		l := listen.OnClockLine(seq.Of(0), seq.Of(0), elapsed, 0)
		if l.Chance < last || l.Chance <= 0 || l.Chance > 1 {
			t.Errorf("%v: chance %g after %g", elapsed, l.Chance, last)
		}
		last = l.Chance
	}
	// 60 ms of 274.88 s.
	if got := listen.OnClockLine(seq.Of(0), seq.Of(0), 0, 0).Chance; math.Abs(got-0.06/274.877906944) > 1e-9 {
		t.Errorf("at once: chance %g", got)
	}
	// After 300 s and 180 ms of tolerance an unrelated number is off.
	if l := listen.OnClockLine(seq.Of(0), seq.Of(1<<31), -300*time.Second, 0); l.On || l.Chance > 0.01 {
		t.Errorf("300 s back: %+v", l)
	}
	back := listen.OnClockLine(seq.Of(15_625_000), seq.Of(0), -time.Second, 0)
	if !back.On || back.Off != 0 {
		t.Errorf("1 s back: %+v", back)
	}
}

func TestClocksOf(t *testing.T) {
	for _, c := range []struct {
		kernel string
		isn    kernel.Answer
		tick   time.Duration // the greatest
		offset listen.Offset
	}{
		{"2.6.32", kernel.No, 10 * time.Millisecond, listen.NoOffset},
		{"3.1.3", kernel.Yes, 10 * time.Millisecond, listen.NoOffset},
		{"rhel6", kernel.Yes, 10 * time.Millisecond, listen.NoOffset},
		{"rhel7", kernel.Yes, 10 * time.Millisecond, listen.NoOffset},
		{"4.9.229", kernel.Yes, 10 * time.Millisecond, listen.NoOffset},
		{"4.10.0", kernel.Yes, 10 * time.Millisecond, listen.PerTuple},
		{"4.11.0", kernel.Yes, 10 * time.Millisecond, listen.PerPair},
		{"4.12.0", kernel.Yes, 10 * time.Millisecond, listen.PerPair},
		{"4.13.19", kernel.Yes, time.Millisecond, listen.PerPair},
		{"rhel8", kernel.Yes, time.Millisecond, listen.PerPair},
		{"6.18.18", kernel.Yes, time.Millisecond, listen.PerPair},
		{"6.18.19", kernel.Yes, time.Millisecond, listen.PerTuple},
		{"6.18", kernel.Yes, time.Millisecond, listen.AnyOffset}, // it changed within the series
		{"7.2.13", kernel.Yes, time.Millisecond, listen.PerTuple},
		{"", kernel.Unknown, 10 * time.Millisecond, listen.AnyOffset},
	} {
		want := listen.Clocks{ISN: c.isn, MinTick: time.Millisecond, MaxTick: c.tick, Offset: c.offset}
		if got := listen.ClocksOf(release(t, c.kernel)); got != want {
			t.Errorf("%q: %+v, want %+v", c.kernel, got, want)
		}
	}
}
