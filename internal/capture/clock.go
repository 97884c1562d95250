package capture

import (
	"math"
	"math/bits"
)

// clock turns the ticks of an interface into nanoseconds since the epoch.
type clock struct {
	mul    int64  // nanoseconds in a tick; 0: ticks are finer, see div and shift
	max    uint64 // ticks above it are garbage that would overflow
	div    uint64 // ticks in a nanosecond; 0: the resolution is 2^-shift seconds
	shift  uint
	offset int64
}

// timeMax is a bound for times and offsets that leaves room for adding the
// two: the year 2116.
const (
	timeMax   = math.MaxInt64 / 2
	offsetMax = timeMax / 1_000_000_000 // in seconds
)

// clockOf reads if_tsresol (draft-ietf-opsawg-pcapng §4.2) and if_tsoffset in seconds.
func clockOf(resolution uint8, offset int64) clock {
	c := clock{offset: min(max(offset, -offsetMax), offsetMax) * 1e9}
	exp := uint(resolution & 0x7f)
	switch {
	case resolution&0x80 != 0:
		c.shift = exp
	case exp <= 9:
		c.mul = int64(pow10(9 - exp))
		c.max = uint64(timeMax / c.mul)
	case exp <= 28:
		c.div = pow10(exp - 9)
	default:
		c.shift = 127 // as there: less than a nanosecond whatever the ticks
	}
	return c
}

func pow10(n uint) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// time converts; what cannot be a time becomes timeMax.
func (c *clock) time(ticks uint64) int64 {
	if c.mul != 0 {
		return int64(min(ticks, c.max))*c.mul + c.offset
	}
	return c.fineTime(ticks)
}

func (c *clock) fineTime(ticks uint64) int64 {
	if c.div != 0 {
		return int64(min(ticks/c.div, timeMax)) + c.offset
	}
	hi, lo := bits.Mul64(ticks, 1e9)
	var ns uint64
	switch {
	case c.shift >= 64:
		ns = hi >> (c.shift - 64)
	case hi>>c.shift != 0:
		ns = timeMax
	default:
		ns = lo>>c.shift | hi<<(64-c.shift)
	}
	return int64(min(ns, timeMax)) + c.offset
}
