package live

import (
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

const (
	stateProcess = "net/ipv4/tcp_input.c tcp_rcv_state_process"
	ackStep      = "net/ipv4/tcp_input.c tcp_ack"
	dataQueue    = "net/ipv4/tcp_input.c tcp_data_queue"
	tcpFIN       = "net/ipv4/tcp_input.c tcp_fin"
)

var (
	carriesNoACK = kernel.Not("it carries no ACK", hasACK.Ask)
	// pawsFails is pawsOld but for a duplicate ACK that was merely overtaken.
	pawsFails = clause{Says: "its timestamp is older than ts_recent, and it is no overtaken duplicate ACK (PAWS)", Ask: func(c *Case) kernel.Reading {
		r := pawsOld.Ask(c)
		if r.Answer != kernel.Yes {
			return r
		}
		if d := c.disordered(); d.Answer != kernel.No {
			return d.Not()
		}
		return r
	}}
	bareBefore = clause{Says: "it is a bare ACK from before rcv_nxt", Ask: func(c *Case) kernel.Reading {
		s := &c.Segment
		if !s.Flags.Has(segment.ACK) || s.End() != s.Seq {
			return kernel.YesIf(false, "flags %s, %d bytes", s.Flags, s.Len)
		}
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(s.Seq.Before(c.RcvNxt.Num), "seq %s, rcv_nxt %s", s.Seq, c.RcvNxt.Num)
	}}
	isEstablished = clause{Says: "the state is ESTABLISHED", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.State == Established, "it is %s", c.State)
	}}
	isLastAck = clause{Says: "the state is LAST_ACK", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.State == LastAck, "it is %s", c.State)
	}}
	isClosing = clause{Says: "the state is CLOSING", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.State == Closing, "it is %s", c.State)
	}}
	peerClosed = clause{Says: "the peer's FIN has arrived", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.State == CloseWait || c.State == Closing || c.State == LastAck, "the state is %s", c.State)
	}}
	ackBeyond = clause{Says: "it acknowledges more than was sent", Ask: (*Case).beyond}
	ackTooOld = clause{Says: "it acknowledges less than snd_una, by more than may be", Ask: (*Case).tooOld}
	ackIsBad  = clause{Says: "it acknowledges what was never sent, or far too little", Ask: (*Case).badACK}
	predicted = clause{Says: "the fast path takes it", Ask: (*Case).fastPath}
	ownFIN    = clause{Says: "it acknowledges the own FIN", Ask: (*Case).acksFIN}
	allAcked  = clause{Says: "the own FIN is acknowledged", Ask: func(c *Case) kernel.Reading {
		if c.State == FinWait2 {
			return kernel.YesIf(true, "the state is %s", c.State)
		}
		if c.State != FinWait1 {
			return kernel.YesIf(false, "the state is %s", c.State)
		}
		return c.acksFIN()
	}}
	isOrphan = clause{Says: "the application has closed the socket", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Orphan, "the socket is an orphan", "the application holds the socket", kernel.FactOrphan)
	}}
	noFIN = clause{Says: "it carries no FIN", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(!c.Segment.Flags.Has(segment.FIN), c.Segment.Flags)
	}}
	takesNothing = clause{Says: "it takes no sequence space", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.Segment.End() == c.Segment.Seq, "flags %s, %d bytes", c.Segment.Flags, c.Segment.Len)
	}}
	takesSpace = kernel.Not("it takes sequence space", takesNothing.Ask)
	// bringsData: something in it lies behind rcv_nxt, a FIN alone not counted.
	bringsData = clause{Says: "it brings new data, or a FIN behind a hole", Ask: func(c *Case) kernel.Reading {
		s := &c.Segment
		if s.End() == s.Seq {
			return kernel.YesIf(false, "it takes no sequence space")
		}
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		end := s.Seq.Add(s.Len)
		return kernel.Compare(end.After(c.RcvNxt.Num), "it ends at %s, rcv_nxt %s", end, c.RcvNxt.Num)
	}}
	nobodyReads = clause{Says: "nobody can read it", Ask: func(c *Case) kernel.Reading {
		switch c.State {
		case FinWait1, FinWait2:
			return isOrphan.Ask(c)
		case CloseWait, Closing, LastAck: // what lies behind the peer's FIN is left out
			if !c.RcvNxt.Known {
				return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
			}
			return kernel.Compare(c.Segment.Seq.Before(c.RcvNxt.Num), "the peer has sent its FIN; seq %s, rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
		case UnknownState, SynRecv, Established:
		}
		return kernel.YesIf(false, "the state is %s", c.State)
	}}
	nothingNew = clause{Says: "all of it was received before", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(!c.Segment.End().After(c.RcvNxt.Num), "it ends at %s, rcv_nxt %s", c.Segment.End(), c.RcvNxt.Num)
	}}
	windowFull = clause{Says: "the window has no room for it", Ask: func(c *Case) kernel.Reading {
		s := &c.Segment
		switch {
		case !c.RcvNxt.Known:
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		case !c.RcvWnd.Known:
			return kernel.Missing(kernel.FactRcvWnd, "the last advertised window is not known")
		case c.RcvWnd.Uint32() == 0 && s.Len == 0 && s.Seq == c.RcvNxt.Num:
			return kernel.Missing(kernel.FactKernel, "a bare FIN at a closed window is taken by some kernels")
		case c.RcvWnd.Uint32() == 0:
			return kernel.YesIf(true, "the window is closed")
		}
		right := c.RcvNxt.Add(c.RcvWnd.Uint32())
		return kernel.Compare(!s.Seq.Before(right), "seq %s, the window ends at %s", s.Seq, right)
	}}
	arrivesFIN = clause{Says: "with it the peer's FIN is in order", Ask: (*Case).finArrives}
	inOrder    = clause{Says: "it lies not ahead of rcv_nxt", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(!c.Segment.Seq.After(c.RcvNxt.Num), "seq %s, rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
	}}
)

// duplicate is an ACK that was not asked of the limiter where the segment takes
// sequence space.
func (c *Case) duplicate(rule string) Outcome {
	o := c.kept(rule, c.ack())
	if takesNothing.Ask(c).Answer == kernel.No {
		o.After.LastACK = c.LastACK
	}
	return o
}

// acknowledged is an ordinary ACK of data, after what the segment told. It may be
// delayed by up to 200 ms. What was stored takes room in the window, and how
// much is not predicted.
func (o Outcome) acknowledged(c *Case, stored bool) Outcome {
	last := c.LastACK
	a := Case{Socket: o.After, Host: c.Host, Now: c.Now}
	o.Reply = a.ack()
	o.After = a.kept(o.Rule, o.Reply).After
	o.After.State, o.After.LastACK = a.State, last
	if stored {
		o.Reply.Window, o.After.RcvWnd = kernel.Num{}, kernel.Num{}
	}
	return o
}

var noACK = Rule{
	ID: "no-ack", Says: "A segment without ACK, SYN and RST is dropped, wherever it lies.", From: stateProcess,
	When: []clause{carriesNoACK, behaviour(&kernel.NeedsACK)},
	Then: func(c *Case) Outcome { return c.kept("no-ack", kernel.Reply{}) },
}

var pawsOldACK = Rule{
	ID: "paws-old-ack", Says: "An old bare ACK with an older timestamp is ignored.", From: validate + ", PAWSOldAck",
	When: []clause{pawsFails, bareBefore, behaviour(&kernel.IgnoresOldACK)},
	Then: func(c *Case) Outcome { return c.kept("paws-old-ack", kernel.Reply{}) },
}

var pawsLimited = Rule{
	ID: "paws-limited", Says: "A bare segment with an older timestamp gets no answer while the limiter holds.", From: validate + ", tcp_oow_rate_limited",
	When: []clause{pawsFails, takesNothing, limited},
	Then: func(c *Case) Outcome { return c.kept("paws-limited", kernel.Reply{}) },
}

var pawsACK = Rule{
	ID: "paws-ack", Says: "A segment with an older timestamp is dropped and gets a duplicate ACK.", From: validate + ", PAWSEstab",
	When: []clause{pawsFails},
	Then: func(c *Case) Outcome { return c.duplicate("paws-ack") },
}

var outsideLimited = Rule{
	ID: "outside-limited", Says: "A bare segment outside the window gets no answer while the limiter holds.", From: validate + ", tcp_oow_rate_limited",
	When: []clause{outside, takesNothing, limited},
	Then: func(c *Case) Outcome { return c.kept("outside-limited", kernel.Reply{}) },
}

var outsideACK = Rule{
	ID: "outside-ack", Says: "A segment outside the window is dropped and gets a duplicate ACK.", From: validate + ", RFC 9293 §3.10.7.4",
	When: []clause{outside},
	Then: func(c *Case) Outcome { return c.duplicate("outside-ack") },
}

var ackUnsent = Rule{
	ID: "ack-unsent", Says: "In ESTABLISHED a segment that acknowledges what was never sent is dropped in silence.", From: ackStep,
	When: []clause{isEstablished, ackBeyond, kernel.Not("this kernel has no challenge ACK for it", behaviour(&kernel.ChallengesUnsentACK).Ask)},
	Then: func(c *Case) Outcome { return c.kept("ack-unsent", kernel.Reply{}) },
}

var ackFastPath = Rule{
	ID: "ack-fast-path", Says: "Data that the fast path takes is acknowledged before its much too old ACK is looked at.", From: "net/ipv4/tcp_input.c tcp_rcv_established",
	When: []clause{takesSpace, ackTooOld, predicted},
	Then: func(c *Case) Outcome {
		o := c.kept("ack-fast-path", kernel.Reply{})
		o.After.RcvNxt.Num, o.After.Unread, o.After.TSRecent = c.Segment.End(), kernel.Yes, kernel.Num{}
		return o.acknowledged(c, true)
	},
}

var ackBadLimited = Rule{
	ID: "ack-bad-limited", Says: "The challenge ACK to a bad ACK is held back while the limiter holds.", From: "net/ipv4/tcp_input.c tcp_send_challenge_ack",
	When: []clause{ackIsBad, limited},
	Then: func(c *Case) Outcome {
		o := c.kept("ack-bad-limited", kernel.Reply{})
		o.After.TSRecent = c.badStamp()
		return o
	},
}

var ackBad = Rule{
	ID: "ack-bad", Says: "A segment that acknowledges far too little, or what was never sent, gets a challenge ACK.", From: ackStep + ", RFC 5961 §5.2",
	When: []clause{ackIsBad},
	Then: func(c *Case) Outcome {
		d := *c
		d.TSRecent = c.badStamp()
		return d.kept("ack-bad", d.ack())
	},
}

// badStamp is what ts_recent is when a bad ACK is answered: only the fast path has
// stored a timestamp by then, and not that of every kernel.
func (c *Case) badStamp() kernel.Num {
	if c.State != Established || !c.Segment.HasTS() || both(c.fastPath(), c.Host.Profile.Has(&kernel.StampsFirst)).Answer == kernel.No {
		return c.TSRecent
	}
	return c.stamp()
}

var finAckedLast = Rule{
	ID: "fin-acked-last", Says: "The ACK of its FIN ends LAST_ACK: the connection is closed.", From: stateProcess,
	When: []clause{isLastAck, ownFIN},
	Then: func(*Case) Outcome { return Outcome{Rule: "fin-acked-last", Gone: true} },
}

var finAckedClosing = Rule{
	ID: "fin-acked-closing", Says: "The ACK of its FIN turns CLOSING into TIME_WAIT.", From: stateProcess + ", tcp_time_wait",
	When: []clause{isClosing, ownFIN},
	Then: func(c *Case) Outcome {
		return c.kept("fin-acked-closing", kernel.Reply{}).heard(c).shrink(c, timewait.TimeWait)
	},
}

var dataAborts = Rule{
	ID: "data-aborts", Says: "New data that nobody can read any more gets a RST, and the connection is aborted.", From: stateProcess + ", TCPAbortOnData",
	When: []clause{bringsData, nobodyReads},
	Then: func(c *Case) Outcome {
		return Outcome{Rule: "data-aborts", Reply: timewait.ResetFor(&c.Segment), Gone: true}
	},
}

var orphanShrinks = Rule{
	ID: "orphan-shrinks", Says: "The ACK of its FIN makes an orphan the small socket of FIN_WAIT2 (with tcp_fin_timeout up to 60 s).", From: stateProcess + ", tcp_time_wait",
	When: []clause{ownFIN, isOrphan, noFIN}, // in FIN_WAIT1: the other states were asked above
	Then: func(c *Case) Outcome {
		return c.kept("orphan-shrinks", kernel.Reply{}).heard(c).shrink(c, timewait.FinWait2)
	},
}

var bare = Rule{
	ID: "bare", Says: "A bare segment that fits gets no answer; the ACK of its FIN turns FIN_WAIT1 into FIN_WAIT2.", From: stateProcess + ", tcp_rcv_established",
	When: []clause{takesNothing},
	Then: func(c *Case) Outcome { return c.kept("bare", kernel.Reply{}).heard(c) },
}

var afterFIN = Rule{
	ID: "after-fin", Says: "What lies behind the peer's FIN is dropped in silence.", From: stateProcess,
	When: []clause{peerClosed, {Says: "its seq is not before rcv_nxt", Ask: notBefore.Ask}},
	Then: func(c *Case) Outcome { return c.kept("after-fin", kernel.Reply{}).heard(c) },
}

var oldData = Rule{
	ID: "old-data", Says: "What was received before is acknowledged once more.", From: dataQueue + ", DelayedACKLost",
	When: []clause{nothingNew},
	Then: func(c *Case) Outcome { return c.kept("old-data", kernel.Reply{}).heard(c).acknowledged(c, false) },
}

var noRoom = Rule{
	ID: "no-room", Says: "What the window has no room for is dropped and gets a duplicate ACK.", From: dataQueue + ", TCPZeroWindowDrop",
	When: []clause{windowFull},
	Then: func(c *Case) Outcome { return c.kept("no-room", kernel.Reply{}).heard(c).acknowledged(c, false) },
}

var finTimeWait = Rule{
	ID: "fin-time-wait", Says: "The peer's FIN in order is acknowledged, and where the own FIN is acknowledged TIME_WAIT begins.", From: tcpFIN + ", tcp_time_wait",
	When: []clause{arrivesFIN, allAcked},
	Then: func(c *Case) Outcome { return c.closed("fin-time-wait").shrink(c, timewait.TimeWait) },
}

var finInOrder = Rule{
	ID: "fin-in-order", Says: "The peer's FIN in order is acknowledged: ESTABLISHED becomes CLOSE_WAIT, FIN_WAIT1 CLOSING.", From: tcpFIN,
	When: []clause{arrivesFIN},
	Then: func(c *Case) Outcome {
		o := c.closed("fin-in-order")
		o.After.State = c.State
		switch c.State {
		case Established:
			o.After.State = CloseWait
		case FinWait1:
			o.After.State = Closing
		case UnknownState, SynRecv, FinWait2, CloseWait, Closing, LastAck:
		}
		return o
	},
}

// closed is the ACK of the peer's FIN.
func (c *Case) closed(rule string) Outcome {
	o := c.kept(rule, kernel.Reply{}).heard(c)
	after, _ := c.follows()
	o.After.RcvNxt, o.After.Ahead, o.After.Unread = after.RcvNxt, Ahead{}, kernel.Yes
	if c.AheadUnknown && !c.Segment.Flags.Has(segment.FIN) || !c.RcvNxt.Known {
		o.After.RcvNxt = kernel.Num{}
	}
	return o.acknowledged(c, true)
}

var dataInOrder = Rule{
	ID: "data-in-order", Says: "Data in order is acknowledged, at once or within 200 ms, together with what lay behind the hole it fills.", From: dataQueue,
	When: []clause{inOrder},
	Then: func(c *Case) Outcome {
		o := c.kept("data-in-order", kernel.Reply{}).heard(c)
		after, _ := c.follows()
		o.After.RcvNxt, o.After.Ahead, o.After.Unread = after.RcvNxt, after.Ahead, kernel.Yes
		if c.AheadUnknown || !c.RcvNxt.Known {
			o.After.RcvNxt = kernel.Num{}
		}
		return o.acknowledged(c, true)
	},
}

var dataAhead = Rule{
	ID: "data-ahead", Says: "Data beyond a hole is kept and gets a duplicate ACK at once.", From: dataQueue + "_ofo, RFC 5681 §3.2",
	Then: func(c *Case) Outcome {
		o := c.kept("data-ahead", kernel.Reply{}).heard(c)
		if !o.After.AheadUnknown {
			o.After.add(Block{c.Segment.Seq, c.Segment.End(), c.Segment.Flags.Has(segment.FIN)})
		}
		return o.acknowledged(c, true)
	},
}
