package pasted

import (
	"strings"
	"time"
)

// dayOne is where a text without dates begins: a day that nobody takes for a
// real one, and later than the epoch so that a step back has room.
const dayOne = int64(24 * time.Hour)

// orderStep keeps packets apart that have no time of their own. It is longer
// than the time in which two equal frames are taken for copies of one.
const orderStep = int64(10 * time.Millisecond)

func monthOf(s string) int {
	return strings.Index("JanFebMarAprMayJunJulAugSepOctNovDec", s)/3 + 1
}

// date puts a day before a time of day. A day that does not exist is carried
// over into the next month, as package time does.
func date(y, m, d int, c stamp) stamp {
	if y < 1970 || y > 2200 {
		return c
	}
	c.kind = dated
	c.ns += time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).UnixNano()
	return c
}

// clocks is what was found out about the times of a text.
type clocks struct {
	missing, firstMissing int // packets without a time; the first one's line
	undated               bool
	coarse                bool
	deltas                bool
	guessed               bool // deltas, or not, is a guess
	back                  int  // line of the first step back of over a second
	parts                 int  // line at which a part begins earlier than the one before it ends
}

// setTimes works out the time of each row.
func setTimes(rows []row) clocks {
	var c clocks
	if c.deltas, c.guessed = areDeltas(rows); c.deltas {
		for i := range rows {
			if rows[i].stamp.kind == clock || rows[i].stamp.kind == relative {
				rows[i].stamp.kind = delta
			}
		}
	}
	now, day, last := dayOne, dayOne, int64(-1)
	stamped, fine := 0, 0
	for i := range rows {
		r := &rows[i]
		s := r.stamp
		if s.kind != noStamp {
			stamped++
			if s.digits > 0 {
				fine++
			}
		}
		before := now
		switch s.kind {
		case noStamp:
			if i > 0 {
				now += orderStep
			}
			r.timeUnsaid = true
			if c.missing++; c.firstMissing == 0 {
				c.firstMissing = r.line
			}
		case dated:
			now = s.ns
		case clock:
			if last >= 0 && s.ns < last-int64(12*time.Hour) {
				day += dayOne
			}
			now, last, c.undated = day+s.ns, s.ns, true
		case relative:
			now, c.undated = dayOne+s.ns, true
		case delta:
			now, c.undated = now+s.ns, true
		}
		switch {
		case i == 0 || s.kind == noStamp || now >= before:
		case r.section != rows[i-1].section:
			if c.parts == 0 {
				c.parts = r.line
			}
		case before-now > int64(time.Second) && c.back == 0:
			c.back = r.line
		}
		r.time = now
	}
	c.coarse = stamped > 1 && fine == 0
	return c
}

// areDeltas tells whether the times of a text are those of tcpdump -ttt, from
// one packet to the next, and whether that is a guess. Such a column goes up
// and down at will.
func areDeltas(rows []row) (yes, guessed bool) {
	var t []int64
	var own []*row
	for i := range rows {
		switch rows[i].stamp.kind {
		case clock, relative:
			t = append(t, rows[i].stamp.ns)
			own = append(own, &rows[i])
		case noStamp, dated, delta:
		}
	}
	if len(t) < 2 {
		return false, false
	}
	down := 0
	for i := 1; i < len(t); i++ {
		// A clock goes back a little, where rows are out of order.
		if t[i] < t[i-1]-t[i-1]/8 && t[i-1]-t[i] < int64(12*time.Hour) {
			down++
		}
	}
	if down == 0 && t[0] != 0 {
		return false, false
	}
	if v := byTimestamps(t, own); v != 0 {
		return v > 0, false
	}
	if down > 0 {
		return down*5 > len(t)-1 && (t[0] == 0 || len(t) > 4), false
	}
	// Rising from zero: since the first packet, as in Wireshark; where it is
	// tcpdump's, nothing tells the two apart.
	return false, own[0].dialect == dump && own[0].stamp.kind == clock && len(t) < 8
}

// byTimestamps holds the times against the clock of the senders' TSvals: above
// 0 where they are from packet to packet, below 0 where they are a clock, 0
// where that cannot be told.
func byTimestamps(t []int64, rows []*row) int {
	type point struct {
		at, sum int64
		ts      uint32
	}
	first := map[string]point{}
	votes := 0
	var sum int64
	for i, r := range rows {
		sum += t[i]
		if !r.hasTS {
			continue
		}
		p, ok := first[r.src.host]
		if !ok {
			first[r.src.host] = point{t[i], sum, r.tsval}
			continue
		}
		ticks := int64(int32(r.tsval - p.ts))
		if ticks < 50 {
			continue
		}
		asClock, asSum := ticksFit(t[i]-p.at, ticks), ticksFit(sum-p.sum, ticks)
		switch {
		case asSum && !asClock:
			votes++
		case asClock && !asSum:
			votes--
		}
	}
	return votes
}

// ticksFit tells whether a clock of 1000, 250 or 100 Hz counts so many ticks in d.
func ticksFit(d, ticks int64) bool {
	for _, hz := range [...]int64{1000, 250, 100, 200} {
		want := ticks * 1e9 / hz
		if off := d - want; max(off, -off) <= want/20+int64(20*time.Millisecond) {
			return true
		}
	}
	return false
}
