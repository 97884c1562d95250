package timewait

import (
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

const processFW2 = "net/ipv4/tcp_minisocks.c tcp_timewait_state_process, TCP_FIN_WAIT2"

// inWindow is tcp_in_window(seq, end_seq, rcv_nxt, rcv_nxt + rcv_wnd).
func inWindow(c *Case) kernel.Reading {
	if !c.RcvNxt.Known {
		return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
	}
	s := &c.Segment
	if s.Seq == c.RcvNxt.Num { // whatever the window is
		return kernel.YesIf(true, "seq %s is rcv_nxt", s.Seq)
	}
	if !c.RcvWnd.Known {
		if ahead := s.Seq.Sub(c.RcvNxt.Num); ahead < 0 && !s.End().After(c.RcvNxt.Num) || ahead > 1<<30 {
			return kernel.Compare(false, "seq %s lies outside any window at rcv_nxt %s", s.Seq, c.RcvNxt.Num)
		}
		return kernel.Missing(kernel.FactRcvWnd, "the last advertised window is not known")
	}
	right := c.RcvNxt.Add(c.RcvWnd.Uint32())
	in := s.Seq.InWindow(s.End(), c.RcvNxt.Num, right)
	return kernel.Compare(in, pick(in, "seq %s lies within the window %s to %s", "seq %s lies outside the window %s to %s"), s.Seq, c.RcvNxt.Num, right)
}

var (
	inside    = clause{Says: "it lies in the receive window", Ask: inWindow}
	outside   = kernel.Not("it lies outside the receive window", inside.Ask)
	notBefore = clause{Says: "its seq is not before rcv_nxt", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(!c.Segment.Seq.Before(c.RcvNxt.Num), "seq %s, rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
	}}
	anySYN = clause{Says: "it carries SYN", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.SYN), c.Segment.Flags)
	}}
	noNews = clause{Says: "it has no ACK, no payload, or nothing behind rcv_nxt", Ask: func(c *Case) kernel.Reading {
		if !c.Segment.Flags.Has(segment.ACK) || c.Segment.End() == c.Segment.Seq {
			return kernel.YesIf(true, "flags %s, %d bytes", c.Segment.Flags, c.Segment.Len)
		}
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(!c.Segment.End().After(c.RcvNxt.Num), "it ends at %s, rcv_nxt %s", c.Segment.End(), c.RcvNxt.Num)
	}}
	notPureFIN = clause{Says: "it is not just the FIN at rcv_nxt", Ask: func(c *Case) kernel.Reading {
		if !c.Segment.Flags.Has(segment.FIN) {
			return kernel.Flagged(true, c.Segment.Flags)
		}
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(c.Segment.End() != c.RcvNxt.Add(1), "it ends at %s, rcv_nxt %s", c.Segment.End(), c.RcvNxt.Num)
	}}
)

// unfit joins the two ways in which the first test of FIN_WAIT2 sends an ACK.
func unfit(c *Case) kernel.Reading {
	p := pawsRejects(c)
	if p.Answer == kernel.Yes {
		return p
	}
	o := outside.Ask(c)
	if o.Answer == kernel.No && p.Answer == kernel.Unknown {
		return p
	}
	return o
}

var fw2Limited = Rule{
	ID:   "fw2-ack-limited",
	Says: "A segment that FIN_WAIT2 would acknowledge stays without an answer while the limiter holds.",
	From: limiter,
	When: []clause{{Says: "its timestamp is older, or it lies outside the window", Ask: unfit}, underLimit},
	Then: func(c *Case) Outcome { return c.kept("fw2-ack-limited", kernel.Reply{}) },
}

var fw2PAWS = Rule{
	ID:   "fw2-paws",
	Says: "A segment with an older timestamp gets an ACK from the orphan in FIN_WAIT2.",
	From: processFW2,
	When: []clause{pawsOld},
	Then: func(c *Case) Outcome { return c.kept("fw2-paws", c.ack()).limited(c) },
}

var fw2OutOfWindow = Rule{
	ID:   "fw2-out-of-window",
	Says: "A segment outside the window gets an ACK from the orphan in FIN_WAIT2, a RST too.",
	From: processFW2,
	When: []clause{outside},
	Then: func(c *Case) Outcome { return c.kept("fw2-out-of-window", c.ack()).limited(c) },
}

var fw2RST = Rule{
	ID:   "fw2-rst",
	Says: "A RST anywhere in the window ends the orphan in FIN_WAIT2, whatever tcp_rfc1337 says.",
	From: processFW2,
	When: []clause{isRST, pawsAccepts, inside},
	Then: func(*Case) Outcome { return gone("fw2-rst", kernel.Reply{}) },
}

var fw2SYN = Rule{
	ID:   "fw2-syn",
	Says: "A SYN in the window gets a RST from the orphan in FIN_WAIT2, and ends it.",
	From: processFW2,
	When: []clause{anySYN, pawsAccepts, inside, notBefore},
	Then: func(c *Case) Outcome { return gone("fw2-syn", c.rst()) },
}

var fw2Nothing = Rule{
	ID:   "fw2-nothing",
	Says: "A segment that brings nothing new is dropped without an answer.",
	From: processFW2,
	When: []clause{noNews},
	Then: func(c *Case) Outcome { return c.kept("fw2-nothing", kernel.Reply{}) },
}

var fw2Data = Rule{
	ID:   "fw2-data",
	Says: "Data after the application is gone gets a RST, and ends the orphan in FIN_WAIT2.",
	From: processFW2,
	When: []clause{notPureFIN},
	Then: func(c *Case) Outcome { return gone("fw2-data", c.rst()) },
}

var fw2FIN = Rule{
	ID:   "fw2-fin",
	Says: "The peer's FIN turns FIN_WAIT2 into TIME_WAIT, for 60 s or with tcp_tw_recycle for 3.5 RTO, and is acknowledged.",
	From: processFW2,
	Then: func(c *Case) Outcome {
		o := c.kept("fw2-fin", kernel.Reply{}).rearm(c).remember(c)
		o.After.Substate, o.After.RcvNxt = TimeWait, kernel.Known(c.Segment.End())
		o.After.Short = RecycleOK(&c.Host, c.HasTS).Answer
		o.Reply = o.After.ack()
		return o
	},
}
