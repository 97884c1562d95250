// Package timewait holds the rules by which a four-tuple in TIME_WAIT answers a
// segment: the true TIME_WAIT, and the mini-socket that an orphan in FIN_WAIT2
// becomes. They mirror tcp_timewait_state_process (net/ipv4/tcp_minisocks.c) and
// what its callers tcp_v4_rcv and tcp_v6_rcv do with its verdict. The conditions
// have been the same from 2.6.32 to 6.19 but for what a kernel.Behaviour names.
package timewait

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Length is TCP_TIMEWAIT_LEN: what every (re)arming sets.
const Length = 60 * time.Second

// Substate is FIN_WAIT2 or the true TIME_WAIT (tw_substate).
type Substate uint8

// The substates.
const (
	TimeWait Substate = iota
	FinWait2
)

// Socket is what the kernel remembers of a connection in TIME_WAIT.
type Socket struct {
	Substate Substate
	RcvNxt   kernel.Num // tw_rcv_nxt: behind the peer's FIN in the true TIME_WAIT
	SndNxt   kernel.Num // tw_snd_nxt: behind the own FIN
	RcvWnd   kernel.Num // tw_rcv_wnd in bytes
	// WScale is tw_rcv_wscale; it goes with RcvWnd.
	WScale uint8
	// HasTS: the connection used timestamps (tw_ts_recent_stamp != 0).
	HasTS    kernel.Answer
	TSRecent kernel.Num // tw_ts_recent
	// TSStored is when TSRecent was stored, in nanoseconds; 0: not known.
	TSStored int64
	// LastACK is when the last limited ACK was sent (tw_last_oow_ack_time), in
	// nanoseconds; 0: none yet. LastACKUnknown: the capture does not tell.
	LastACK        int64
	LastACKUnknown bool
	// Armed is when the timer was last set, in nanoseconds; 0: not known.
	Armed int64
	// Short: the timer was set to 3.5 RTO and not to 60 s, because tcp_tw_recycle was
	// on at the entry; whatever arms it anew sets 60 s. The zero value is taken for 60
	// s by who asks Lifetime alone.
	Short kernel.Answer
	// RTO is the retransmission timeout at the entry, back-off included.
	RTO kernel.Duration
}

// Case is a socket, its host, and a segment that arrives at a time (ns).
type Case struct {
	Socket
	Host    kernel.Host
	Segment segment.Segment
	Now     int64
}

// Outcome is what happens then.
type Outcome struct {
	Rule  string
	Reply kernel.Reply
	// Gone: the TIME_WAIT does not exist any more. After is what it remembers
	// where it still does.
	Gone  bool
	After Socket
}

// Rule is a rule of this state.
type Rule = kernel.Rule[Case, Outcome]

// clause is a condition of this state.
type clause = kernel.Clause[Case]

// Rules is every rule of the true TIME_WAIT, in the order in which the kernel
// tries them.
func Rules() []*Rule {
	return []*Rule{
		&bareInOrder, &rstKills, &rstIgnored1337,
		&synNoListener, &synFIN, &synQueueFull, &synAccepted,
		&ackLimited, &ackPAWS, &ackFlag, &ackOldSYN, &rstElsewhere,
	}
}

// FinWait2Rules is every rule of the FIN_WAIT2 mini-socket, in order.
func FinWait2Rules() []*Rule {
	return []*Rule{
		&fw2Limited, &fw2PAWS, &fw2OutOfWindow, &fw2RST, &fw2SYN, &fw2Nothing, &fw2Data, &fw2FIN,
	}
}

// Decide asks the rules of the socket's substate.
func Decide(c *Case) kernel.Decision[Outcome] {
	if c.Substate == FinWait2 {
		return kernel.Decide(finWait2Rules, c)
	}
	return kernel.Decide(rules, c)
}

// Outcomes is Decide without its trace.
func Outcomes(c *Case) []Outcome { return AppendOutcomes(nil, c) }

// AppendOutcomes appends them to a list.
func AppendOutcomes(out []Outcome, c *Case) []Outcome {
	if c.Substate == FinWait2 {
		return kernel.AppendOutcomes(out, finWait2Rules, c)
	}
	return kernel.AppendOutcomes(out, rules, c)
}

// rules and finWait2Rules are the lists of Rules and FinWait2Rules, made once.
var rules, finWait2Rules = Rules(), FinWait2Rules()

// kept returns an outcome that leaves the socket as it is.
func (c *Case) kept(rule string, r kernel.Reply) Outcome {
	return Outcome{Rule: rule, Reply: r, After: c.Socket}
}

// rearm sets the 60 s anew.
func (o Outcome) rearm(c *Case) Outcome {
	o.After.Armed, o.After.Short = c.Now, kernel.No
	return o
}

// rearmIf sets the 60 s anew where the answer is yes; after an unknown one it is
// not known any more when they were set.
func (o Outcome) rearmIf(a kernel.Answer, c *Case) Outcome {
	switch a {
	case kernel.Yes:
		o.After.Armed, o.After.Short = c.Now, kernel.No
	case kernel.Unknown:
		o.After.Armed = 0
		if o.After.Short == kernel.Yes {
			o.After.Short = kernel.Unknown
		}
	case kernel.No:
	}
	return o
}

// remember stores the segment's timestamp, if the kernel looked at it.
func (o Outcome) remember(c *Case) Outcome {
	switch c.saw().Answer {
	case kernel.Yes:
		o.After.TSRecent, o.After.TSStored = kernel.Known(c.Segment.TSVal), c.Now
	case kernel.Unknown:
		o.After.TSRecent, o.After.TSStored = kernel.Num{}, 0
	case kernel.No:
	}
	return o
}

// limited notes the time of an ACK that goes through the limiter.
func (o Outcome) limited(c *Case) Outcome {
	if c.subjectToLimit() {
		o.After.LastACK, o.After.LastACKUnknown = c.Now, false
	}
	return o
}

// gone returns an outcome that ends the TIME_WAIT.
func gone(rule string, r kernel.Reply) Outcome {
	return Outcome{Rule: rule, Reply: r, Gone: true}
}

// ack is the ACK that a TIME_WAIT sends (tcp_v4_timewait_ack): seq=snd_nxt,
// ack=rcv_nxt, the old window, and timestamps if the remembered one is not 0.
func (s *Socket) ack() kernel.Reply {
	r := kernel.Reply{Kind: kernel.ReplyACK, Seq: s.SndNxt, Ack: s.RcvNxt}
	if s.RcvWnd.Known {
		r.Window = kernel.Known(seq.Of(s.RcvWnd.Uint32() >> min(s.WScale, 14) & 0xffff))
	}
	switch {
	case s.HasTS == kernel.No, s.TSRecent.Known && s.TSRecent.Uint32() == 0:
		r.NoTS = true
	case s.HasTS == kernel.Yes:
		r.TSEcr = s.TSRecent
	}
	return r
}

// rst is the reset that an orphan sends (tcp_v4_send_reset): the offender's
// acknowledgement number as seq, or RST|ACK for a segment without one.
func (c *Case) rst() kernel.Reply { return ResetFor(&c.Segment) }

// ResetFor returns the RST that a host without a socket sends for a segment
// (RFC 9293 §3.10.7.1, tcp_v4_send_reset).
func ResetFor(s *segment.Segment) kernel.Reply {
	if s.Flags.Has(segment.ACK) {
		return kernel.Reply{Kind: kernel.ReplyRST, Seq: kernel.Known(s.Ack), NoTS: true}
	}
	return kernel.Reply{Kind: kernel.ReplyRST, HasACK: true, Seq: kernel.Known(seq.Of(0)), Ack: kernel.Known(s.End()), NoTS: true}
}

// Lifetime returns the bounds between which a TIME_WAIT ends after it was last
// armed: never before min, always before max, both widened by what a capture
// cannot tell (jiffies, the way to the capture point).
func Lifetime(p kernel.Profile) (min, max time.Duration) {
	const slack = 100 * time.Millisecond
	switch {
	case p.Has(&kernel.WheelTimer).Answer == kernel.Yes:
		// The wheel's last slot has been seen to end 0.2 s late.
		return 52500*time.Millisecond - slack, Length + time.Second
	case p.Has(&kernel.WheelTimer).Answer == kernel.Unknown:
		return 52500*time.Millisecond - slack, 65200 * time.Millisecond
	case p.Has(&kernel.CoarseTimer).Answer == kernel.No:
		return Length - slack, Length + time.Second
	}
	return Length - slack, 65200 * time.Millisecond
}

// RecycleOK tells whether a connection enters TIME_WAIT for 3.5 RTO only: the kernel
// has tcp_tw_recycle, it is on, and the connection used timestamps (tcp_time_wait,
// recycle_ok; that the peer can be remembered is taken for granted).
func RecycleOK(h *kernel.Host, hasTS kernel.Answer) kernel.Reading {
	has := h.Profile.Has(&kernel.HasRecycle)
	on := kernel.Setting(h.Recycle, "tcp_tw_recycle = 1", "tcp_tw_recycle = 0", kernel.FactTWRecycle)
	ts := kernel.Setting(hasTS, "the connection used timestamps", "the connection used no timestamps", kernel.FactTSRecent)
	for _, want := range []kernel.Answer{kernel.No, kernel.Unknown} {
		for _, r := range []kernel.Reading{has, on, ts} {
			if r.Answer == want {
				return r
			}
		}
	}
	return on
}

// RTOMin is TCP_RTO_MIN, which no measured timeout goes below.
const RTOMin = 200 * time.Millisecond

// RecycledLifetime returns the bounds between which a TIME_WAIT ends that was armed
// for 3.5 RTO. The kernels that do so have slots of at most 160 ms for a timer under
// 4.096 s, and of 7.5 s from there on (inet_twsk_schedule up to 4.0); both bounds are
// widened as those of Lifetime. Where the timeout is not known, max is 0: no bound.
func RecycledLifetime(rto kernel.Duration) (min, max time.Duration) {
	const slack = 100 * time.Millisecond
	if !rto.Known {
		return RTOMin*7/2 - slack, 0
	}
	t := rto.Duration * 7 / 2
	grain := 200 * time.Millisecond
	if t >= 4096*time.Millisecond {
		grain = 7500 * time.Millisecond
	}
	return t - slack, t + grain
}
