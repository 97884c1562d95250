package whatif

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// factRTO is the retransmission timeout at the close, which tcp_tw_recycle
// makes TIME_WAIT's length of.
const factRTO kernel.Fact = "the retransmission timeout when TIME_WAIT began"

// minRTO is TCP_RTO_MIN.
const minRTO = 200 * time.Millisecond

// lifetime is how long a TIME_WAIT lasts that nothing re-arms: it is surely there
// before min, and surely over after max. The zero max: no bound is known.
type lifetime struct {
	min, max time.Duration
	says     string
	missing  kernel.Fact // that would narrow it; empty where none would
}

// lifetime asks the kernel's timer, and tcp_tw_recycle.
func (q *Question) lifetime() lifetime {
	lo, hi := timewait.Lifetime(q.host.Profile)
	whole := lifetime{min: lo, max: hi, says: fmt.Sprintf("TIME_WAIT lasts %.1f to %.1f s here", lo.Seconds(), hi.Seconds())}
	for _, b := range []*kernel.Behaviour{&kernel.WheelTimer, &kernel.CoarseTimer} {
		if r := q.host.Profile.Has(b); r.Answer == kernel.Unknown {
			whole.missing = r.Missing
		}
	}
	has, s := q.host.Profile.Has(&kernel.HasRecycle), q.timeWaitSocket(timewait.TimeWait)
	if has.Answer == kernel.No || q.host.Recycle == kernel.No || s.HasTS == kernel.No {
		return whole
	}
	short := q.recycled()
	for _, c := range []struct {
		answer kernel.Answer
		fact   kernel.Fact
	}{{has.Answer, kernel.FactKernel}, {q.host.Recycle, kernel.FactTWRecycle}, {s.HasTS, kernel.FactTSRecent}} {
		if c.answer == kernel.Unknown {
			return lifetime{short.min, hi, fmt.Sprintf("%s, or else %.1f to %.1f s", short.says, lo.Seconds(), hi.Seconds()), c.fact}
		}
	}
	return short
}

// recycled is the TIME_WAIT of a connection with timestamps where tcp_tw_recycle
// is on: 3.5 RTO (net/ipv4/tcp_minisocks.c tcp_time_wait, recycle_ok). From 4.096 s
// the timer of those kernels has slots of 7.5 s, before that of at most 160 ms.
func (q *Question) recycled() lifetime {
	const slack = 100 * time.Millisecond
	rto := q.values["rto"]
	if !rto.set {
		return lifetime{minRTO*7/2 - slack, 0, "with tcp_tw_recycle TIME_WAIT lasts 3.5 RTO, at least 0.7 s", factRTO}
	}
	t := rto.ago * 7 / 2
	grain := 200 * time.Millisecond
	if t >= 4096*time.Millisecond {
		grain = 7500 * time.Millisecond
	}
	return lifetime{min: t - slack, max: t + grain, says: fmt.Sprintf("with tcp_tw_recycle TIME_WAIT lasts 3.5 RTO, %.1f s", t.Seconds())}
}

// orGone puts beside what TIME_WAIT answers what is answered where it is over,
// or one in place of the other, by the time of the segment.
func (q *Question) orGone(there Stage, gone func() Stage) []Stage {
	l := q.lifetime()
	if q.at < l.min {
		return []Stage{there}
	}
	over := gone()
	over.When = fmt.Sprintf("after %.1f s TIME_WAIT is over (%s)", q.at.Seconds(), l.says)
	switch {
	case len(over.Outcomes) > 0:
	case q.state.takes == nil:
		over.When += ", and connect() finds the port free"
	default:
		over.When += ", and of what then meets no socket the rules speak for a SYN alone"
	}
	if l.max != 0 && q.at > l.max {
		return []Stage{over}
	}
	there.When = fmt.Sprintf("after %.1f s TIME_WAIT may still stand (%s)", q.at.Seconds(), l.says)
	if l.missing != "" {
		there.missing = append(there.missing, l.missing)
	}
	return []Stage{there, over}
}
