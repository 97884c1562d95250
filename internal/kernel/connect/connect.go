// Package connect holds the rules of the side that opens: whether connect() may
// take over a port whose four-tuple is in TIME_WAIT, and what an opener in
// SYN_SENT does with whatever arrives.
package connect

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// TakeOver is a connect() onto a four-tuple that this host itself holds in
// TIME_WAIT.
type TakeOver struct {
	Own  timewait.Socket
	Host kernel.Host
	// Reuse is net.ipv4.tcp_tw_reuse; its meaning differs by version.
	Reuse kernel.Num
	// Delay is net.ipv4.tcp_tw_reuse_delay; not Known: its default, a second.
	Delay kernel.Duration
	// Entered is when TIME_WAIT began, in nanoseconds, which the delay counts from: at
	// the peer's FIN, if a FIN_WAIT2 of its own came before and the FIN had a
	// timestamp, else when that FIN_WAIT2 did (tw_entry_stamp). 0: not known; it then
	// lies between the last storing of ts_recent and the last arming of the timer.
	Entered int64
	// Bound: the socket was bound to the port by hand (bind before connect).
	Bound kernel.Answer
	// Loopback: one of the addresses is a loopback one.
	Loopback bool
	Now      int64 // ns
}

// Opening is the SYN that then leaves.
type Opening struct {
	Rule string
	// Refused: EADDRNOTAVAIL, or the next port is tried; no SYN leaves.
	Refused bool
	// ISN is inherited where the TIME_WAIT is taken over.
	ISN kernel.Num
	// TSEcr of the SYN is the remembered timestamp, not 0.
	TSEcr kernel.Num
}

// Rule is a rule of the opener's port choice.
type Rule = kernel.Rule[TakeOver, Opening]

type clause = kernel.Clause[TakeOver]

// Rules is every rule of taking over, in the order of the kernel.
func Rules() []*Rule { return []*Rule{&noTimestamps, &explicitBind, &twReuse, &refused} }

// Decide asks them.
func Decide(c *TakeOver) kernel.Decision[Opening] { return kernel.Decide(Rules(), c) }

const unique = "net/ipv4/tcp_ipv4.c tcp_twsk_unique"

func takenOver(rule string, c *TakeOver) Opening {
	return Opening{Rule: rule, ISN: kernel.InheritedISN(c.Own.SndNxt), TSEcr: c.Own.TSRecent}
}

var noTimestamps = Rule{
	ID: "no-timestamps", Says: "A TIME_WAIT without timestamps is never taken over.", From: unique,
	When: []clause{{Says: "the old connection had no timestamps", Ask: func(c *TakeOver) kernel.Reading {
		return kernel.Setting(c.Own.HasTS.Not(), "no timestamps", "timestamps", kernel.FactTSRecent)
	}}},
	Then: func(*TakeOver) Opening { return Opening{Rule: "no-timestamps", Refused: true} },
}

var explicitBind = Rule{
	ID: "explicit-bind", Says: "A socket bound to the port takes its own TIME_WAIT over at once, whatever tcp_tw_reuse says.", From: unique + ", twp == NULL",
	When: []clause{{Says: "the socket was bound to the port", Ask: func(c *TakeOver) kernel.Reading {
		return kernel.Setting(c.Bound, "bound by hand", "the port was chosen by connect", "whether the client binds its port")
	}}},
	Then: func(c *TakeOver) Opening { return takenOver("explicit-bind", c) },
}

var twReuse = Rule{
	ID: "tw-reuse", Says: "With tcp_tw_reuse connect() takes a TIME_WAIT over once it is old enough.", From: unique,
	When: []clause{
		{Says: "tcp_tw_reuse allows it", Ask: reuseAllows},
		{Says: "it is no FIN_WAIT2 that this kernel spares", Ask: notSpared},
		{Says: "the TIME_WAIT is old enough", Ask: oldEnough},
	},
	Then: func(c *TakeOver) Opening { return takenOver("tw-reuse", c) },
}

var refused = Rule{
	ID: "refused", Says: "Otherwise the port is not available.", From: unique,
	Then: func(*TakeOver) Opening { return Opening{Rule: "refused", Refused: true} },
}

func reuseAllows(c *TakeOver) kernel.Reading {
	if !c.Reuse.Known {
		return kernel.Missing(kernel.FactTWReuse, "tcp_tw_reuse is not known")
	}
	switch v := c.Reuse.Uint32(); {
	case v == 0:
		return kernel.YesIf(false, "tcp_tw_reuse = 0")
	case v == 2 && c.Loopback:
		return kernel.YesIf(true, "tcp_tw_reuse = 2: loopback only")
	case v == 2:
		r := c.Host.Profile.Has(&kernel.ReuseLoopback)
		if r.Answer == kernel.Yes {
			return kernel.YesIf(false, "tcp_tw_reuse = 2: loopback only")
		}
		return r.Not() // to older kernels 2 is as good as 1
	default:
		return kernel.YesIf(true, "tcp_tw_reuse = %d", v)
	}
}

func notSpared(c *TakeOver) kernel.Reading {
	if c.Own.Substate != timewait.FinWait2 {
		return kernel.YesIf(true, "it is a true TIME_WAIT")
	}
	r := c.Host.Profile.Has(&kernel.SparesFinWait2)
	r.Answer = r.Answer.Not()
	return r
}

// oldEnough asks the clock that the kernel asks.
func oldEnough(c *TakeOver) kernel.Reading {
	r := c.Host.Profile.Has(&kernel.ReuseDelay)
	switch r.Answer {
	case kernel.Yes:
		return afterDelay(c)
	case kernel.No:
		return afterSeconds(c)
	case kernel.Unknown:
	}
	if d, s := afterDelay(c), afterSeconds(c); d.Answer == s.Answer {
		return s
	}
	return r
}

// afterSeconds: how old is counted from when ts_recent was stored, in whole
// seconds, so that a capture can only say "surely" outside one second.
func afterSeconds(c *TakeOver) kernel.Reading {
	if c.Own.TSStored == 0 {
		return kernel.Missing(kernel.FactTSRecent, "when ts_recent was stored is not known")
	}
	age := time.Duration(c.Now - c.Own.TSStored)
	lo, hi := time.Second, 2*time.Second
	switch c.Host.Profile.Has(&kernel.ReuseAfterASecond).Answer {
	case kernel.Yes:
		lo, hi = 0, time.Second
	case kernel.Unknown:
		lo = 0
	case kernel.No:
	}
	switch {
	case age > hi:
		return kernel.YesIf(true, "ts_recent is %.3f s old", age.Seconds())
	case age < lo:
		return kernel.YesIf(false, "ts_recent is %.3f s old, and %.0f s are needed", age.Seconds(), lo.Seconds())
	}
	return kernel.Missing(kernel.FactKernel, "ts_recent is %.3f s old: it depends on where the second ends", age.Seconds())
}

// afterDelay: from 6.14 on the age of TIME_WAIT itself counts, in milliseconds, and
// must be more than tcp_tw_reuse_delay.
func afterDelay(c *TakeOver) kernel.Reading {
	delay := time.Second
	if c.Delay.Known {
		delay = c.Delay.Duration
	}
	first, last := c.Entered, c.Entered
	if c.Entered == 0 {
		first, last = c.Own.TSStored, c.Own.Armed
	}
	switch {
	case first != 0 && time.Duration(c.Now-first) < delay:
		return kernel.YesIf(false, "TIME_WAIT is at most %.3f s old, and more than %.3f s are needed", time.Duration(c.Now-first).Seconds(), delay.Seconds())
	case last != 0 && time.Duration(c.Now-last) > delay+time.Millisecond:
		return kernel.YesIf(true, "TIME_WAIT is %.3f s old, and more than %.3f s are needed", time.Duration(c.Now-last).Seconds(), delay.Seconds())
	case first != 0 && first == last:
		return kernel.Missing(FactEntered, "TIME_WAIT is %.3f s old, and more than %.3f s are needed: a millisecond decides", time.Duration(c.Now-first).Seconds(), delay.Seconds())
	}
	return kernel.Missing(FactEntered, "when TIME_WAIT began is not known")
}

// FactEntered is when TIME_WAIT began.
const FactEntered kernel.Fact = "when TIME_WAIT began"
