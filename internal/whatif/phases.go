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
	short, recycles := q.recycled(), timewait.RecycleOK(&q.host, q.timeWaitSocket(timewait.TimeWait).HasTS)
	switch recycles.Answer {
	case kernel.No:
		return whole
	case kernel.Unknown:
		return lifetime{short.min, hi, fmt.Sprintf("%s, or else %.1f to %.1f s", short.says, lo.Seconds(), hi.Seconds()), recycles.Missing}
	case kernel.Yes:
	}
	return short
}

// recycled is the TIME_WAIT of a connection where tcp_tw_recycle is on.
func (q *Question) recycled() lifetime {
	rto := q.values["rto"]
	lo, hi := timewait.RecycledLifetime(kernel.Duration{Duration: rto.ago, Known: rto.set})
	if !rto.set {
		return lifetime{lo, 0, "with tcp_tw_recycle TIME_WAIT lasts 3.5 RTO, at least 0.7 s", factRTO}
	}
	return lifetime{min: lo, max: hi, says: fmt.Sprintf("with tcp_tw_recycle TIME_WAIT lasts 3.5 RTO, %.1f s", (rto.ago * 7 / 2).Seconds())}
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
