package timers

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// Fit is a ladder of which the gaps may be steps.
type Fit struct {
	Ladder Ladder
	// Step is the place of the first gap in the ladder: 0 where it is that from
	// the first sending to the first repeat. Data and window probes begin with a
	// timeout that nobody knows: there the first gap is taken for step 0, and
	// Ladder.RTO is what it says.
	Step int
	// Kernels are those that have the ladder while nobody changes their settings;
	// nil where every kernel may have it.
	Kernels []kernel.Profile
}

// Default tells whether some kernel has the ladder with its default settings.
func (f *Fit) Default() bool { return f.Kernels == nil || len(f.Kernels) > 0 }

// Match returns every ladder of the kind that the gaps between sendings of one
// and the same segment may be steps of; none where no timer of that kind does so.
// A gap that is not there because a capture missed a segment is no step: whoever
// asks puts only neighbours in a row.
func Match(k Kind, gaps []time.Duration) []Fit {
	if len(gaps) == 0 || len(gaps) > mostTries {
		return nil
	}
	switch k {
	case SYN:
		return matchSYN(gaps)
	case SYNACK:
		var out []Fit
		for _, l := range SYNACKs(kernel.Profile{}, Settings{}) {
			out = append(out, steps(l, gaps, kernelsOf(l, SYNACKs))...)
		}
		return out
	case Data:
		return matchScaled(gaps, func(rto time.Duration) Ladder { return DataOf(rto, Settings{}) })
	case Orphan:
		return matchScaled(gaps, func(rto time.Duration) Ladder { return OrphanOf(rto, Settings{}) })
	case WindowProbe:
		return matchScaled(gaps, WindowProbes)
	case KeepAlive:
		return matchKeepAlive(gaps)
	case NoKind:
	}
	return nil
}

// matchSYN tries every initial timeout, with and without a repeat at once, for as
// many linear steps as the gaps show, and as kernels have by default. How many
// tries are made in all is left open: a longer ladder of the same kind fits too.
func matchSYN(gaps []time.Duration) (out []Fit) {
	same := 0 // gaps that stay as they are
	for i := 1; i < len(gaps) && timer(gaps[0]).Has(gaps[i]); i++ {
		same++
	}
	linear := []int{0, 4}
	// A repeat at once stands before the linear ones.
	for _, n := range []int{same, same + 1} {
		if n > 0 && n != 4 {
			linear = append(linear, n)
		}
	}
	for _, rto := range []time.Duration{time.Second, 3 * time.Second} {
		for _, n := range linear {
			if n > 0 && rto != time.Second {
				continue // no kernel has both
			}
			l := synLadder(rto, 6, n)
			// Which kernels: by what they do, whatever their number of tries.
			kernels := kernelsOf(l, func(p kernel.Profile, s Settings) []Ladder {
				s.SynRetries = Count{6, true}
				return SYNs(p, s)
			})
			out = append(out, steps(l, gaps, kernels)...)
			if TwoJiffies.Has(gaps[0]) && rto == time.Second {
				if at := steps(l.AfterBadACK(), gaps, atOnce(kernels)); len(at) > 0 {
					out = append(out, at...)
				}
			}
		}
	}
	return out
}

// atOnce leaves the kernels that repeat their SYN at once, or may do so.
func atOnce(set []kernel.Profile) []kernel.Profile {
	out := []kernel.Profile{}
	for _, p := range set {
		if p.Has(&kernel.ResendsAtOnce).Answer != kernel.No {
			out = append(out, p)
		}
	}
	return out
}

// kernelsOf returns the kernels that have, or may have, a ladder by default.
func kernelsOf(l Ladder, of func(kernel.Profile, Settings) []Ladder) []kernel.Profile {
	out := []kernel.Profile{}
	for _, p := range kernel.Candidates() {
		for _, m := range of(p, Settings{}) {
			if m.RTO == l.RTO && m.Linear == l.Linear {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// steps returns a fit for every place of the ladder at which the gaps may lie.
func steps(l Ladder, gaps []time.Duration, kernels []kernel.Profile) (out []Fit) {
	for at := 0; at+len(gaps) <= len(l.Gaps); at++ {
		if fits(l.Gaps[at:], gaps) {
			out = append(out, Fit{Ladder: l, Step: at, Kernels: kernels})
		}
	}
	return out
}

func fits(ladder []Gap, gaps []time.Duration) bool {
	for i, g := range gaps {
		if !ladder[i].Has(g) {
			return false
		}
	}
	return true
}

// matchScaled takes the first gap for the timeout: each one after it must be twice
// the one before, or the greatest that there is.
func matchScaled(gaps []time.Duration, of func(time.Duration) Ladder) []Fit {
	first := gaps[0]
	// A timer's grain may have made more of it than it was set to.
	if first < timer(RTOMin).Min || first > timer(RTOMax).Max {
		return nil
	}
	for i := 1; i < len(gaps); i++ {
		last := gaps[i-1]
		// What was set lies somewhere between an eighth less and a little more.
		lo, hi := min(2*(last-60*time.Millisecond)*8/9, RTOMax), min(2*(last+max(20*time.Millisecond, last/64)), RTOMax)
		if gaps[i] < timer(lo).Min || gaps[i] > timer(hi).Max {
			return nil
		}
	}
	l := of(first)
	if len(gaps) > len(l.Gaps) && l.GiveUp > 0 {
		return nil
	}
	return []Fit{{Ladder: l}}
}

// matchKeepAlive takes probes at one distance for those of an idle connection.
// What that distance is may be set for each socket; the first gap may be the idle
// time before the first probe.
func matchKeepAlive(gaps []time.Duration) (out []Fit) {
	l := KeepAlives(0, 0, 0)
	out = append(out, steps(l, gaps, nil)...)
	rest := gaps
	if len(gaps) > 1 && !timer(gaps[0]).Has(gaps[1]) {
		rest = gaps[1:]
	}
	if len(out) > 0 || len(rest) < 2 {
		return out
	}
	for _, g := range rest[1:] {
		if !timer(rest[0]).Has(g) {
			return out
		}
	}
	if len(rest) == len(gaps) {
		return append(out, Fit{Ladder: KeepAlives(0, rest[0].Round(time.Second), len(gaps)+1), Step: 1, Kernels: []kernel.Profile{}})
	}
	return append(out, Fit{Ladder: KeepAlives(gaps[0].Round(time.Second), rest[0].Round(time.Second), len(gaps)), Kernels: []kernel.Profile{}})
}
