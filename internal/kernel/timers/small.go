package timers

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// timeWaitLen is TCP_TIMEWAIT_LEN.
const timeWaitLen = 60 * time.Second

// FinWait2 bounds how long an orphan stays in FIN_WAIT2 from the moment at which its
// FIN is acknowledged: for tcp_fin_timeout (60 s), and no less than 3.5 RTO. What is
// more than 60 s of it passes as a full socket, and then once more as a small one
// (tcp_close, tcp_keepalive_timer, tcp_rcv_state_process). rto 0: TCP_RTO_MIN.
func FinWait2(p kernel.Profile, finTimeout, rto time.Duration) (from, to time.Duration) {
	d := max(finTimeout, max(rto, RTOMin)*7/2)
	if d <= timeWaitLen {
		return smallSocket(p, d)
	}
	full := timer(d - timeWaitLen)
	from, to = smallSocket(p, d-timeWaitLen)
	return full.Min + from, full.Max + to
}

// smallSocket bounds the timer of a TIME_WAIT or of a FIN_WAIT2 that shares its code
// (inet_twsk_schedule). Up to 4.0 a wheel of eight slots of 7.5 s ends it, and one of
// slots of at most 160 ms below 4.096 s; then a timer of its own; with the coarse
// wheel (4.8) it ends up to an eighth late.
func smallSocket(p kernel.Profile, d time.Duration) (from, to time.Duration) {
	const slot, slack = 7500 * time.Millisecond, 100 * time.Millisecond
	wheel, coarse := p.Has(&kernel.WheelTimer).Answer, p.Has(&kernel.CoarseTimer).Answer
	from, to = d, d
	if wheel != kernel.No {
		switch k := (d + slot - 1) / slot; {
		case d >= timeWaitLen:
			from, to = timeWaitLen-slot, timeWaitLen
		case d <= 4096*time.Millisecond:
			to = d + 320*time.Millisecond
		default:
			from, to = k*slot, (k+1)*slot
		}
	}
	if wheel == kernel.Unknown { // or a timer of its own
		from, to = min(from, d), max(to, d+d/8)
	} else if wheel == kernel.No && coarse != kernel.No {
		to = d + d/8
	}
	return from - slack, to + time.Second
}
