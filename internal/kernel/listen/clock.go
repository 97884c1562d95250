package listen

import (
	"math"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// ISNStep is how long the ISN clock takes for one step: 64 ns, so that it makes
// 15.625 million steps a second and comes round every 274.878 s (seq_scale).
const ISNStep = 64 * time.Nanosecond

// ISNPeriod is the time in which the ISN clock comes round.
const ISNPeriod = ISNStep << 32

// Line compares two ISNs of one end of one four-tuple with the clock that drew
// them, if both were drawn from it on the same boot.
type Line struct {
	Predicted seq.Num // the old ISN + elapsed / 64 ns
	Off       int32   // the second ISN - Predicted
	// Tolerance is how far off a capture's clock may put it, in steps.
	Tolerance uint32
	On        bool
	// Chance is the probability with which an unrelated number would be On.
	Chance float64
}

// OnClockLine puts an ISN against the clock line through an older ISN of the
// same end, elapsed before. The tolerance is 30 ms for the way to the capture
// point (a busy or emulated host takes that long to answer a SYN), and 500 ppm of
// the elapsed time for two clocks that drift. slack is what the capture leaves open
// beyond that: an ISN is drawn somewhere between a SYN and its answer.
func OnClockLine(old, isn seq.Num, elapsed, slack time.Duration) Line {
	// Within one period: beyond that only the remainder matters, the drift does not.
	steps := uint32(uint64(elapsed/ISNStep) & math.MaxUint32)
	tolerance := 30*time.Millisecond + elapsed.Abs()/2000 + slack
	l := Line{Predicted: old.Add(steps)}
	l.Off = isn.Sub(l.Predicted)
	l.Tolerance = uint32(min(tolerance/ISNStep, math.MaxInt32))
	l.On = int64(l.Off) <= int64(l.Tolerance) && int64(l.Off) >= -int64(l.Tolerance)
	l.Chance = min(1, 2*float64(l.Tolerance)/(1<<32))
	return l
}

// Offset is what a kernel adds to the clock of its TSvals. It is drawn from a secret
// of the boot, so that on one four-tuple it stays the same until the next boot.
type Offset uint8

// The offsets. The zero value: not known.
const (
	AnyOffset Offset = iota
	NoOffset         // all its TSvals lie on one line
	PerPair          // one for each pair of addresses
	PerTuple         // one for each four-tuple
)

// String says what shares an offset.
func (o Offset) String() string {
	return [...]string{"unknown", "none", "per pair of addresses", "per four-tuple"}[o]
}

// Clocks are how the numbers of a kernel run.
type Clocks struct {
	// ISN tells whether the ISNs of one four-tuple follow one line for the whole boot
	// (ISNStep); before, a secret that changed every 300 s broke the line
	// (secure_tcp_sequence_number).
	ISN kernel.Answer
	// MinTick and MaxTick bound the tick of TSvals: a millisecond, or a jiffy of 1 to
	// 10 ms by the kernel's HZ (tcp_time_stamp).
	MinTick, MaxTick time.Duration
	Offset           Offset
}

// ClocksOf returns the clocks of a kernel. A route with tcp_usec_ts, which nothing
// sets by default, has ticks of a microsecond from 6.7 on. tcp_timestamps = 2 leaves
// the offset out.
func ClocksOf(p kernel.Profile) Clocks {
	c := Clocks{ISN: p.Has(&kernel.ClockISN).Answer, MinTick: time.Millisecond, MaxTick: 10 * time.Millisecond}
	if p.Has(&kernel.MillisecondTimestamps).Answer == kernel.Yes {
		c.MaxTick = time.Millisecond
	}
	adds, tuple := p.Has(&kernel.OffsetsTimestamps).Answer, p.Has(&kernel.OffsetPerTuple).Answer
	switch {
	case adds == kernel.No:
		c.Offset = NoOffset
	case adds == kernel.Yes && tuple == kernel.Yes:
		c.Offset = PerTuple
	case adds == kernel.Yes && tuple == kernel.No:
		c.Offset = PerPair
	}
	return c
}

// Sharing is what two segments of one end have in common, which decides whether their
// TSvals have the same offset.
type Sharing uint8

// The sharings. The zero value: not known.
const (
	AnySharing Sharing = iota
	SameTuple
	SamePair  // of addresses; other ports
	OtherPeer // another address
)

// String says what is shared.
func (s Sharing) String() string {
	return [...]string{"unknown", "tuple", "pair", "peer"}[s]
}

// OneLine tells whether the TSvals of two segments of one boot lie on one line.
func (c Clocks) OneLine(s Sharing) kernel.Answer {
	switch {
	case s == SameTuple || c.Offset == NoOffset:
		return kernel.Yes
	case s == AnySharing || c.Offset == AnyOffset:
		return kernel.Unknown
	case c.Offset == PerPair:
		return kernel.If(s == SamePair)
	}
	return kernel.No // one for each four-tuple
}

// TSVal bounds the TSval of a segment that an end sends some time after another whose
// TSval lies on the same line: it may be any from from to to.
func (c Clocks) TSVal(old seq.Num, elapsed time.Duration) (from, to seq.Num) {
	return old.Add(uint32(elapsed / c.MaxTick)), old.Add(uint32(elapsed/c.MinTick) + 1)
}
