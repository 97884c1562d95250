package listen

import (
	"math"
	"time"

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
