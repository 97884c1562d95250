package timewait

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// pick chooses between two words.
func pick(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// behaviour asks the host's kernel.
func behaviour(b *kernel.Behaviour) clause {
	return clause{Says: "this kernel " + b.Says, Ask: func(c *Case) kernel.Reading { return c.Host.Profile.Has(b) }}
}

// saw tells whether the kernel looks at the segment's timestamp: the old
// connection used timestamps, the segment has one, and the sysctl is on.
func (c *Case) saw() kernel.Reading {
	cut := c.Segment.Options.Has(segment.OptCut)
	switch {
	case !c.Segment.HasTS() && !cut:
		return kernel.YesIf(false, "the segment has no timestamp")
	case c.HasTS == kernel.No:
		return kernel.YesIf(false, "the old connection had no timestamps, so that of the segment is not looked at")
	case !c.Segment.HasTS() && c.Host.Timestamps != kernel.No:
		return kernel.Missing("the segment's options", "the capture cut the segment's options")
	case c.HasTS == kernel.Unknown && c.Host.Timestamps != kernel.No:
		return kernel.Missing(kernel.FactTSRecent, "it is not known whether the old connection used timestamps")
	}
	return kernel.Setting(c.Host.Timestamps, "timestamps are on", "tcp_timestamps is 0 now, so that the timestamp is not looked at", kernel.FactTimestamps)
}

// pawsRejects is the timestamp step before all rules: whether the segment is
// older than what the socket remembers (tcp_paws_reject, window 0).
func pawsRejects(c *Case) kernel.Reading {
	saw := c.saw()
	if saw.Answer != kernel.Yes {
		return saw
	}
	if !c.TSRecent.Known {
		return kernel.Missing(kernel.FactTSRecent, "ts_recent is not known")
	}
	val, recent := c.Segment.TSVal, c.TSRecent.Num
	if recent.Sub(val) <= 0 {
		return kernel.Compare(false, "TSval %s is not older than ts_recent %s", val, recent)
	}
	if recent.Uint32() == 0 {
		if r := c.Host.Profile.Has(&kernel.ZeroTSRecentPasses); r.Answer != kernel.No {
			r.Answer = r.Answer.Not()
			return r
		}
	}
	if c.TSStored == 0 {
		return kernel.Missing(kernel.FactTSRecent, fmt.Sprintf("TSval %s is older than ts_recent %s, but when that was stored is not known", val, recent))
	}
	age := time.Duration(c.Now - c.TSStored)
	if c.Segment.Flags.Has(segment.RST) && age >= Length {
		return kernel.Compare(false, "TSval %s is older than ts_recent %s, but a RST is let through 60 s after that was stored", val, recent)
	}
	if r := c.idle(age); r.Answer != kernel.No {
		r.Answer = r.Answer.Not()
		return r
	}
	return kernel.Compare(true, "TSval %s is older than ts_recent %s", val, recent)
}

// idle tells whether ts_recent is so old that it counts no more.
func (c *Case) idle(age time.Duration) kernel.Reading {
	const long, short = 24 * 24 * time.Hour, 2147 * time.Second
	if age < short {
		return kernel.YesIf(false, "ts_recent is %.0f s old", age.Seconds())
	}
	if age >= long {
		return kernel.YesIf(true, "ts_recent is older than 24 days")
	}
	return c.Host.Profile.Has(&kernel.ForgetsTSRecentSooner)
}

// newer is the heart: the kernel's own pair of tests.
func newer(c *Case) kernel.Reading {
	bySeq := SeqAfter(c)
	if bySeq.Answer == kernel.Yes {
		return bySeq
	}
	byTS := TimestampNewer(c)
	switch {
	case byTS.Answer == kernel.Yes:
		return byTS
	case bySeq.Answer == kernel.Unknown:
		return bySeq
	case byTS.Answer == kernel.Unknown:
		return kernel.Missing(byTS.Missing, "%s, and %s", bySeq, byTS)
	case !c.Segment.HasTS():
		return kernel.Read(kernel.No, "%s, and it has no timestamp", bySeq)
	}
	return kernel.Read(kernel.No, "%s, and %s", bySeq, byTS)
}

// SeqAfter is the first of the two tests that let a SYN in: after(seq, rcv_nxt).
func SeqAfter(c *Case) kernel.Reading {
	if !c.RcvNxt.Known {
		return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
	}
	after := c.Segment.Seq.After(c.RcvNxt.Num)
	return kernel.Compare(after, pick(after, "after(%[1]s, %[2]s) = true: seq %[1]s is after rcv_nxt %[2]s",
		"after(%[1]s, %[2]s) = false: seq %[1]s is not after rcv_nxt %[2]s"), c.Segment.Seq, c.RcvNxt.Num)
}

// TimestampNewer is the second: the TSval is newer than ts_recent.
func TimestampNewer(c *Case) kernel.Reading {
	saw := c.saw()
	if saw.Answer != kernel.Yes {
		return saw
	}
	if !c.TSRecent.Known {
		return kernel.Missing(kernel.FactTSRecent, "ts_recent is not known")
	}
	newer := c.TSRecent.Sub(c.Segment.TSVal) < 0
	return kernel.Compare(newer, pick(newer, "TSval %s is newer than ts_recent %s", "TSval %s is not newer than ts_recent %s"), c.Segment.TSVal, c.TSRecent.Num)
}

// subjectToLimit: SYNs and segments without sequence space are limited; data and
// FINs never (tcp_oow_rate_limited).
func (c *Case) subjectToLimit() bool {
	return c.Segment.Flags.Has(segment.SYN) || c.Segment.End() == c.Segment.Seq
}

// The conditions that several rules share.
var (
	pawsAccepts = kernel.Not("its timestamp is not older than the one remembered (PAWS)", pawsRejects)
	pawsOld     = clause{Says: "its timestamp is older than the one remembered (PAWS)", Ask: pawsRejects}

	isRST = clause{Says: "it is a RST", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.RST), c.Segment.Flags)
	}}
	isNotRST = clause{Says: "it is no RST", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(!c.Segment.Flags.Has(segment.RST), c.Segment.Flags)
	}}
	bareSYN = clause{Says: "it is a SYN without ACK and RST", Ask: func(c *Case) kernel.Reading {
		f := c.Segment.Flags
		return kernel.Flagged(f.Has(segment.SYN) && !f.Has(segment.ACK) && !f.Has(segment.RST), f)
	}}
	hasFIN = clause{Says: "it carries FIN as well", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.FIN), c.Segment.Flags)
	}}
	hasACK = clause{Says: "it carries ACK", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.ACK), c.Segment.Flags)
	}}
	atRcvNxt = clause{Says: "its seq is exactly rcv_nxt", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(c.Segment.Seq == c.RcvNxt.Num, "seq %s, rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
	}}
	takesNoSpace = clause{Says: "it takes no sequence space", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.Segment.End() == c.Segment.Seq, "%d bytes, flags %s", c.Segment.Len, c.Segment.Flags)
	}}
	isNewer = clause{Says: "its seq is after rcv_nxt, or its timestamp is newer", Ask: newer}

	listens = clause{Says: "somebody listens on the port", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Host.Listener, "a listener is there", "nobody listens", kernel.FactListener)
	}}
	nobodyListens = kernel.Not("nobody listens on the port", listens.Ask)
	queueFull     = clause{Says: "the listener's accept queue is full", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Host.AcceptQueueFull, "the accept queue is full", "the accept queue has room", kernel.FactAcceptQueue)
	}}

	underLimit = clause{Says: "an ACK was sent less than tcp_invalid_ratelimit ago", Ask: func(c *Case) kernel.Reading {
		if !c.subjectToLimit() {
			return kernel.YesIf(false, "it carries data or FIN: never limited")
		}
		if c.LastACK == 0 && !c.LastACKUnknown {
			return kernel.YesIf(false, "it is the first")
		}
		if r := c.Host.Profile.Has(&kernel.LimitsACKs); r.Answer != kernel.Yes {
			return r
		}
		if !c.Host.RateLimit.Known {
			return kernel.Missing(kernel.FactRateLimit, "tcp_invalid_ratelimit is not known")
		}
		if c.LastACKUnknown {
			return kernel.Missing(kernel.FactLastACK, "when the last ACK was sent is not known")
		}
		d := time.Duration(c.Now - c.LastACK)
		return kernel.YesIf(d >= 0 && d < c.Host.RateLimit.Duration, "the last ACK was sent %d ms ago, the limit is %d ms", d.Milliseconds(), c.Host.RateLimit.Milliseconds())
	}}
)
