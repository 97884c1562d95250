// Package timers holds the ladders by which a kernel repeats what nobody answers:
// SYNs, SYN-ACKs, data, the FIN of an orphan, keep-alives and window probes; as
// times that can be expected, and the other way round: which ladder a row of gaps
// fits, and at which step.
package timers

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// The constants of include/net/tcp.h.
const (
	// RTOMin is TCP_RTO_MIN, tcp_rto_min_us where nobody changed it.
	RTOMin = 200 * time.Millisecond
	// RTOMax is TCP_RTO_MAX, tcp_rto_max_ms where nobody changed it.
	RTOMax = 120 * time.Second
)

// Kind is what is repeated.
type Kind uint8

// The kinds. The zero value is none of them.
const (
	NoKind Kind = iota
	// SYN is that of an opener.
	SYN
	// SYNACK is that of a pending request.
	SYNACK
	// Data is data, or a FIN, of a connection whose application still has it.
	Data
	// Orphan is data, or a FIN, of a connection that its application has closed.
	Orphan
	// KeepAlive is the probe of an idle connection with SO_KEEPALIVE.
	KeepAlive
	// WindowProbe is the probe of a window of 0 (the persist timer).
	WindowProbe
)

// String names what is repeated.
func (k Kind) String() string {
	return [...]string{"nothing", "SYN", "SYN-ACK", "data", "data of an orphan", "keep-alive", "window probe"}[k]
}

// Gap is the time from one sending to the next. Nominal is what the timer is set
// to; between Min and Max a capture may show it.
type Gap struct{ Nominal, Min, Max time.Duration }

// timer is the gap of a timer. Min allows for the capture point and for clocks
// that drift; Max for a timer wheel that rounds up by as much as an eighth
// (kernel/time/timer.c), and for a busy host.
func timer(d time.Duration) Gap {
	return Gap{Nominal: d, Min: d - max(20*time.Millisecond, d/64), Max: d + d/8 + 60*time.Millisecond}
}

// Has tells whether the gap may be seen as d.
func (g Gap) Has(d time.Duration) bool { return g.Min <= d && d <= g.Max }

// TwoJiffies is the time from a bad ACK to the repeated SYN (TCP_TIMEOUT_MIN): 2
// ms at HZ=1000 to 20 ms at HZ=100, and a timer's grain more. 8 to 60 ms were
// measured on 5.10, 6.1, 6.12 and 6.18.
var TwoJiffies = Gap{Nominal: 8 * time.Millisecond, Min: time.Millisecond, Max: 100 * time.Millisecond}

// Ladder is when something is sent again, until the kernel gives up.
type Ladder struct {
	Kind Kind
	// Gaps are from the first sending to the first repeat, and so on. A window
	// probe has no last one: its ladder ends where the gaps do not grow any more.
	Gaps []Gap
	// GiveUp is how long after the first sending the kernel gives up, at the
	// earliest; 0: never, as long as the probes are answered.
	GiveUp time.Duration
	// RTO is the timeout that the ladder begins with.
	RTO time.Duration
	// Linear is of a SYN: how many gaps of tcp_syn_linear_timeouts do not grow.
	Linear int
	// AtOnce is of a SYN: the first repeat follows a bad ACK by two jiffies.
	AtOnce bool
	From   string
}

// String tells the ladder in seconds: "SYN after 1, 2, 4, 8, 16, 32 s".
func (l *Ladder) String() string {
	s := l.Kind.String() + " after "
	for i, g := range l.Gaps {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%g", g.Nominal.Seconds())
	}
	return s + " s"
}

// Times are when it is sent, counted from the first sending, which is 0.
func (l *Ladder) Times() []time.Duration {
	out := make([]time.Duration, 1, len(l.Gaps)+1)
	for _, g := range l.Gaps {
		out = append(out, out[len(out)-1]+g.Nominal)
	}
	return out
}

// doubling returns n gaps from first on, each twice the one before and at most most.
func doubling(first time.Duration, n int, most time.Duration) []Gap {
	out := make([]Gap, 0, n)
	for d := first; len(out) < n; d = min(2*d, most) {
		out = append(out, timer(d))
	}
	return out
}

// sum is the time that nominal gaps take.
func sum(gaps []Gap) (t time.Duration) {
	for _, g := range gaps {
		t += g.Nominal
	}
	return t
}

// Count is a number of tries that a person may have set. The zero value: nobody
// said so, and the default holds.
type Count struct {
	N   int
	Set bool
}

// mostTries bounds every number of tries (the sysctls end at 127 or 255).
const mostTries = 255

func (c Count) or(n int) int {
	if c.Set {
		n = c.N
	}
	return max(0, min(n, mostTries))
}

// Settings are the sysctls that the ladders depend on; the zero value is their defaults.
type Settings struct {
	SynRetries    Count // tcp_syn_retries
	SynLinear     Count // tcp_syn_linear_timeouts
	SynAckRetries Count // tcp_synack_retries
	Retries2      Count // tcp_retries2
	OrphanRetries Count // tcp_orphan_retries; 0 is 8
}

// InitialRTO is the timeout of a connection that has measured nothing
// (TCP_TIMEOUT_INIT): more than one where the kernel is not known.
func InitialRTO(p kernel.Profile) []time.Duration {
	return pick(p.Has(&kernel.FirstRTOIsASecond).Answer, time.Second, 3*time.Second)
}

// pick returns what a yes and a no stand for; both where it is not known.
func pick[T any](a kernel.Answer, yes, no T) []T {
	switch a {
	case kernel.Yes:
		return []T{yes}
	case kernel.No:
		return []T{no}
	case kernel.Unknown:
	}
	return []T{yes, no}
}

// SYNs are the ladders by which a kernel repeats its SYN: one, or more where what
// it depends on is not known.
func SYNs(p kernel.Profile, s Settings) (out []Ladder) {
	for _, rto := range InitialRTO(p) {
		for _, usual := range pick(p.Has(&kernel.RepeatsSYNSixTimes).Answer, 6, 5) {
			for _, linear := range pick(p.Has(&kernel.RepeatsSYNLinearly).Answer, s.SynLinear.or(4), 0) {
				out = append(out, synLadder(rto, s.SynRetries.or(usual), linear))
			}
			if s.SynRetries.Set {
				break // the default does not matter
			}
		}
	}
	return out
}

// synLadder: with tcp_syn_linear_timeouts the backoff begins that much later, and
// so many tries more are made (tcp_retransmit_timer, tcp_write_timeout).
func synLadder(rto time.Duration, retries, linear int) Ladder {
	var gaps []Gap
	for range min(linear, retries+linear) {
		gaps = append(gaps, timer(rto))
	}
	gaps = append(gaps, doubling(rto, retries+1, RTOMax)...)
	last := len(gaps) - 1 // after it nothing is sent: connect() fails with ETIMEDOUT
	return Ladder{
		Kind: SYN, Gaps: gaps[:last], GiveUp: sum(gaps), RTO: rto, Linear: linear,
		From: "net/ipv4/tcp_timer.c tcp_retransmit_timer, tcp_write_timeout",
	}
}

// AfterBadACK is the ladder of a SYN whose first answer was a bad ACK, on a kernel
// that then repeats it at once: the first gap is two jiffies, the others stay.
func (l Ladder) AfterBadACK() Ladder {
	if l.Kind != SYN || len(l.Gaps) == 0 {
		return l
	}
	gaps := append([]Gap{TwoJiffies}, l.Gaps[1:]...)
	l.GiveUp += TwoJiffies.Nominal - l.Gaps[0].Nominal
	l.Gaps, l.AtOnce = gaps, true
	return l
}

// SYNACKs are the ladders by which a pending request repeats its SYN-ACK; it is
// dropped at GiveUp. The timer of old kernels looks every 200 ms only
// (inet_csk_reqsk_queue_prune, up to 4.1). A SYN queue that is more than half full
// gives up sooner.
func SYNACKs(p kernel.Profile, s Settings) (out []Ladder) {
	for _, rto := range InitialRTO(p) {
		gaps := doubling(rto, s.SynAckRetries.or(5)+1, RTOMax)
		for i := range gaps {
			gaps[i].Max += 200 * time.Millisecond
		}
		last := len(gaps) - 1
		out = append(out, Ladder{
			Kind: SYNACK, Gaps: gaps[:last], GiveUp: sum(gaps), RTO: rto,
			From: "net/ipv4/inet_connection_sock.c reqsk_timer_handler",
		})
	}
	return out
}

// ModelTimeout is how long the kernel goes on for a number of tries, counted as if
// they had begun at TCP_RTO_MIN (tcp_model_timeout; retransmits_timed_out from
// 2.6.32 on): 924.6 s for tcp_retries2 = 15, 102.2 s for the 8 of an orphan.
func ModelTimeout(retries int) time.Duration {
	return sum(doubling(RTOMin, max(0, min(retries, mostTries))+1, RTOMax))
}

// DataOf is the ladder of data or a FIN at a retransmission timeout: it doubles up
// to 120 s, and the kernel gives up at the first timer behind GiveUp.
func DataOf(rto time.Duration, s Settings) Ladder {
	return timed(Data, rto, ModelTimeout(s.Retries2.or(15)))
}

// OrphanOf is the same for a connection that its application has closed:
// tcp_orphan_retries, of which 0 means 8 (tcp_orphan_retries()).
func OrphanOf(rto time.Duration, s Settings) Ladder {
	n := s.OrphanRetries.or(0)
	if n == 0 {
		n = 8
	}
	return timed(Orphan, rto, ModelTimeout(n))
}

// timed goes on until the model's time is over, however many tries that makes.
func timed(k Kind, rto, giveUp time.Duration) Ladder {
	rto = max(RTOMin, min(rto, RTOMax))
	l := Ladder{Kind: k, GiveUp: giveUp, RTO: rto, From: "net/ipv4/tcp_timer.c tcp_retransmit_timer, tcp_write_timeout"}
	for t, d := time.Duration(0), rto; t+d < giveUp; d = min(2*d, RTOMax) {
		l.Gaps, t = append(l.Gaps, timer(d)), t+d
	}
	return l
}

// KeepAlives is the ladder of an idle connection: the first probe after
// tcp_keepalive_time (7200 s), the others tcp_keepalive_intvl (75 s) apart, and
// after tcp_keepalive_probes (9) without an answer a RST (tcp_keepalive_timer). 0
// is the default.
func KeepAlives(idle, interval time.Duration, probes int) Ladder {
	if idle <= 0 {
		idle = 7200 * time.Second
	}
	if interval <= 0 {
		interval = 75 * time.Second
	}
	if probes <= 0 {
		probes = 9
	}
	probes = min(probes, mostTries)
	l := Ladder{Kind: KeepAlive, Gaps: []Gap{timer(idle)}, From: "net/ipv4/tcp_timer.c tcp_keepalive_timer"}
	for range probes - 1 {
		l.Gaps = append(l.Gaps, timer(interval))
	}
	l.GiveUp = idle + interval*time.Duration(probes)
	return l
}

// WindowProbes is the ladder of a sender that meets a window of 0: from the
// retransmission timeout on it doubles up to 120 s, and goes on for ever while the
// probes are answered (tcp_probe_timer, tcp_send_probe0).
func WindowProbes(rto time.Duration) Ladder {
	rto = max(RTOMin, min(rto, RTOMax))
	l := Ladder{Kind: WindowProbe, RTO: rto, From: "net/ipv4/tcp_timer.c tcp_probe_timer, tcp_send_probe0"}
	for d := rto; ; d = min(2*d, RTOMax) {
		l.Gaps = append(l.Gaps, timer(d))
		if d == RTOMax {
			return l
		}
	}
}
