package live

import (
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

const checkReq = "net/ipv4/tcp_minisocks.c tcp_check_req"

// SynRecvRules is every rule of a request that waits for its last ACK, in order.
// The listener still listens: without it a request is no more than no socket.
func SynRecvRules() []*Rule {
	return []*Rule{
		&reqRepeatLimited, &reqRepeat, &reqWrongACK, &reqLimited, &reqOld, &reqRSTElsewhere,
		&reqRSTLimited, &reqRSTSpent, &reqRSTChallenged, &reqRST, &reqInWindow, &reqNoACK, &reqAborts, &reqQueueFull, &reqEstablished, &otherwise,
	}
}

var (
	sameISS = clause{Says: "it is the pending SYN again", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "the pending SYN is not known")
		}
		const deciding = segment.SYN | segment.ACK | segment.RST
		return kernel.Compare(c.Segment.Flags&deciding == segment.SYN && c.Segment.Seq.Add(1) == c.RcvNxt.Num, "seq %s, pending %s", c.Segment.Seq, c.RcvNxt.Add(^uint32(0)))
	}}
	hasACK = clause{Says: "it carries ACK", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.ACK), c.Segment.Flags)
	}}
	wrongACK = clause{Says: "it acknowledges something else than the SYN-ACK", Ask: func(c *Case) kernel.Reading {
		if !c.SndNxt.Known {
			return kernel.Missing(kernel.FactSndNxt, "the ISN of the SYN-ACK is not known")
		}
		return kernel.Compare(c.Segment.Ack != c.SndNxt.Num, "ack %s, snd_nxt %s", c.Segment.Ack, c.SndNxt.Num)
	}}
	notExact = kernel.Not("its seq is not rcv_nxt", exact.Ask)
	notRST   = kernel.Not("it is no RST", isRST.Ask)
	misfits  = clause{Says: "its timestamp is older, or it lies outside the window", Ask: reqUnfit}
	// Data and FINs are never limited; the challenge of a RST is, whatever it carries.
	subject = clause{Says: "it carries SYN, or takes no sequence space", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.Segment.Flags.Has(segment.SYN) || c.Segment.End() == c.Segment.Seq, "flags %s, %d bytes", c.Segment.Flags, c.Segment.Len)
	}}
	// From the place of the pending SYN on the SYN flag is not looked at.
	notPending = clause{Says: "its seq is not that of the pending SYN", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "the pending SYN is not known")
		}
		return kernel.Compare(c.Segment.Seq.Add(1) != c.RcvNxt.Num, "seq %s, pending %s", c.Segment.Seq, c.RcvNxt.Add(^uint32(0)))
	}}
	queueFull = clause{Says: "the accept queue is full", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Host.AcceptQueueFull, "the accept queue is full", "the accept queue has room", kernel.FactAcceptQueue)
	}}
	reqPAWSFine = kernel.Not("its timestamp is not older than ts_recent (PAWS)", reqPAWS)
)

// reqPAWS is the timestamp step of a request. Whether the request itself uses
// timestamps is not asked there: one without has a ts_recent of 0, or that of a
// segment that fitted and had one all the same.
func reqPAWS(c *Case) kernel.Reading {
	if c.Segment.HasTS() && c.Host.Timestamps == kernel.No {
		return kernel.YesIf(false, "tcp_timestamps is 0 now, so that the timestamp is not looked at")
	}
	if c.HasTS == kernel.No {
		d := *c
		d.HasTS = kernel.Yes
		if !d.TSRecent.Known {
			d.TSRecent = kernel.Known(seq.Of(0))
		}
		return pawsOld.Ask(&d)
	}
	return pawsOld.Ask(c)
}

// strangeEcho tells whether the segment echoes a timestamp that no SYN-ACK of
// this request carried.
func strangeEcho(c *Case) kernel.Reading {
	if !c.Segment.HasTS() || c.Segment.TSEcr.Uint32() == 0 || c.HasTS == kernel.No || c.Host.Timestamps == kernel.No {
		return kernel.YesIf(false, "it echoes no timestamp")
	}
	if r := c.Host.Profile.Has(&kernel.ChecksRequestEcho); r.Answer != kernel.Yes {
		return r
	}
	if !c.SynAckTS.Known || !c.LastSynAckTS.Known || c.HasTS == kernel.Unknown {
		return kernel.Missing(kernel.FactTSRecent, "the TSval of the SYN-ACK is not known")
	}
	first, last, ecr := c.SynAckTS.Num, c.LastSynAckTS.Num, c.Segment.TSEcr
	return kernel.Compare(last.Ahead(first) < ecr.Ahead(first), "TSecr %s, the SYN-ACKs carried %s to %s", ecr, first, last)
}

// reqUnfit joins the ways in which a pending request sends an ACK.
func reqUnfit(c *Case) kernel.Reading {
	open := kernel.YesIf(false, "it fits")
	for _, ask := range []func(*Case) kernel.Reading{reqPAWS, strangeEcho, kernel.Not("", inWindow.Ask).Ask} {
		switch r := ask(c); r.Answer {
		case kernel.Yes:
			return r
		case kernel.Unknown:
			if open.Answer == kernel.No {
				open = r
			}
		case kernel.No:
			if open.Answer == kernel.No {
				open = r
			}
		}
	}
	return open
}

// remember stores the timestamp of a segment that fits and is not ahead of rcv_nxt.
func (o Outcome) remember(c *Case) Outcome {
	if !c.Segment.HasTS() || c.Host.Timestamps == kernel.No {
		return o
	}
	defers := c.Host.Profile.Has(&kernel.DefersTSRecent).Answer
	switch {
	case defers == kernel.Yes || c.RcvNxt.Known && c.Segment.Seq.After(c.RcvNxt.Num):
	case defers == kernel.No && c.Host.Timestamps == kernel.Yes && c.RcvNxt.Known:
		o.After.TSRecent = kernel.Known(c.Segment.TSVal)
	default:
		o.After.TSRecent = kernel.Num{}
	}
	return o
}

var reqRepeatLimited = Rule{
	ID: "req-repeat-limited", Says: "The pending SYN again, within the limit: no second SYN-ACK for it.", From: checkReq + ", tcp_oow_rate_limited",
	When: []clause{sameISS, reqPAWSFine, limited},
	Then: func(c *Case) Outcome { return c.kept("req-repeat-limited", kernel.Reply{}) },
}

var reqRepeat = Rule{
	ID: "req-repeat", Says: "The pending SYN again gets the same SYN-ACK.", From: checkReq,
	When: []clause{sameISS, reqPAWSFine},
	Then: func(c *Case) Outcome {
		r := kernel.Reply{Kind: kernel.ReplySYNACK, Ack: c.RcvNxt}
		if c.SndNxt.Known {
			r.Seq = kernel.Known(c.SndNxt.Add(^uint32(0)))
		}
		o := c.kept("req-repeat", r)
		o.After.LastACK, o.After.LastSynAckTS = c.Now, kernel.Num{}
		return o
	},
}

var reqWrongACK = Rule{
	ID: "req-wrong-ack", Says: "A segment that acknowledges something else than the SYN-ACK is left to the listener, which answers with a RST (but never to one); the request stays.", From: checkReq + ", tcp_rcv_state_process TCP_LISTEN",
	When: []clause{hasACK, wrongACK, {Says: "it is no RST, or this kernel looks at that last", Ask: func(c *Case) kernel.Reading {
		if r := isRST.Ask(c); r.Answer == kernel.No {
			return r.Not()
		}
		return c.Host.Profile.Has(&kernel.ChallengesRequestRST).Not()
	}}},
	Then: func(c *Case) Outcome {
		if c.Segment.Flags.Has(segment.RST) {
			return c.kept("req-wrong-ack", kernel.Reply{})
		}
		return c.kept("req-wrong-ack", timewait.ResetFor(&c.Segment))
	},
}

var reqLimited = Rule{
	ID: "req-ack-limited", Says: "A segment that the request would acknowledge stays without an answer while the limiter holds.", From: checkReq,
	When: []clause{notRST, misfits, subject, limited},
	Then: func(c *Case) Outcome { return c.kept("req-ack-limited", kernel.Reply{}) },
}

var reqOld = Rule{
	ID: "req-ack", Says: "A SYN outside the window of a pending request gets an ACK with the request's numbers.", From: checkReq,
	When: []clause{notRST, misfits},
	Then: func(c *Case) Outcome {
		o := c.kept("req-ack", c.ack())
		if subject.Ask(c).Answer == kernel.No {
			o.After.LastACK = c.LastACK // it did not go through the limiter
		}
		return o
	},
}

var reqRSTElsewhere = Rule{
	ID: "req-rst-elsewhere", Says: "A RST outside the window, or with an older timestamp, leaves the request as it is.", From: checkReq,
	When: []clause{misfits}, // what is no RST was answered above
	Then: func(c *Case) Outcome { return c.kept("req-rst-elsewhere", kernel.Reply{}) },
}

var reqRSTLimited = Rule{
	ID: "req-rst-limited", Says: "A RST that is in the window but not at rcv_nxt gets no answer while the limiter holds.", From: checkReq + ", RFC 5961 §3.2",
	When: []clause{isRST, notExact, behaviour(&kernel.ChallengesRequestRST), limited},
	Then: func(c *Case) Outcome { return c.kept("req-rst-limited", kernel.Reply{}) },
}

var reqRSTChallenged = Rule{
	ID: "req-rst-challenged", Says: "A RST that is in the window but not at rcv_nxt gets an ACK.", From: checkReq + ", RFC 5961 §3.2",
	When: []clause{isRST, notExact, behaviour(&kernel.ChallengesRequestRST)},
	Then: func(c *Case) Outcome { return c.kept("req-rst-challenged", c.ack()) },
}

var reqRST = Rule{
	ID: "req-rst", Says: "A RST in the window drops the request.", From: checkReq,
	When: []clause{isRST},
	Then: func(*Case) Outcome { return Outcome{Rule: "req-rst", Gone: true} },
}

var reqInWindow = Rule{
	ID: "req-syn-in-window", Says: "Another SYN within the window gets a RST, and the request is dropped.", From: checkReq + ", EmbryonicRsts",
	When: []clause{isSYN, notPending},
	Then: func(c *Case) Outcome {
		return Outcome{Rule: "req-syn-in-window", Reply: timewait.ResetFor(&c.Segment), Gone: true}
	},
}

var reqNoACK = Rule{
	ID: "req-no-ack", Says: "A segment without ACK is dropped.", From: checkReq,
	When: []clause{kernel.Not("it carries no ACK", hasACK.Ask)},
	Then: func(c *Case) Outcome { return c.kept("req-no-ack", kernel.Reply{}).remember(c) },
}

var reqAborts = Rule{
	ID: "req-aborts", Says: "With tcp_abort_on_overflow=1 the last ACK gets a RST while the listener's accept queue is full, and the request is dropped.", From: checkReq + ", listen_overflow",
	When: []clause{queueFull, {Says: "tcp_abort_on_overflow is 1", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Host.AbortOnOverflow, "tcp_abort_on_overflow = 1", "tcp_abort_on_overflow = 0", kernel.FactAbort)
	}}},
	Then: func(c *Case) Outcome {
		return Outcome{Rule: "req-aborts", Reply: timewait.ResetFor(&c.Segment), Gone: true}
	},
}

var reqQueueFull = Rule{
	ID: "req-queue-full", Says: "The last ACK is dropped while the listener's accept queue is full.", From: checkReq + ", tcp_v4_syn_recv_sock",
	When: []clause{queueFull},
	Then: func(c *Case) Outcome { return c.kept("req-queue-full", kernel.Reply{}).remember(c) },
}

// Opened is the connection that a request becomes by a segment of which the rules
// of the request say "otherwise": one with data or a FIN, or ahead of rcv_nxt. The
// rules of ESTABLISHED then take the same segment (tcp_child_process). ok is false
// where the new socket would not take it, and stays in SYN_RECV.
func (c *Case) Opened() (d Case, ok bool) {
	d = *c
	if pawsOld.Ask(c).Answer != kernel.No || c.Segment.Flags&(segment.SYN|segment.RST) != 0 {
		return d, false
	}
	d.State, d.LastACK = Established, 0
	d.SndUna, d.BytesAcked = c.SndNxt, kernel.Known(seq.Of(0))
	d.SndWL1, d.PeerWnd = kernel.Known(c.Segment.Seq), kernel.Known(seq.Of(uint32(c.Segment.Window)))
	switch {
	case c.HasTS != kernel.Yes:
		d.TSRecent = kernel.Num{}
	case c.Segment.HasTS() && c.Host.Timestamps == kernel.Yes && c.RcvNxt.Known && !c.Segment.Seq.After(c.RcvNxt.Num):
		d.TSRecent = kernel.Known(c.Segment.TSVal)
	}
	return d, true
}

var reqEstablished = Rule{
	ID: "req-established", Says: "The last ACK of the handshake, bare and in order, opens the connection.", From: checkReq + ", tcp_v4_syn_recv_sock",
	// Its timestamp is judged once more by the new socket, which does not ask
	// what tcp_timestamps is now.
	When: []clause{exact, pawsFine, {Says: "it takes no sequence space", Ask: func(c *Case) kernel.Reading {
		return kernel.YesIf(c.Segment.End() == c.Segment.Seq, "%d bytes, flags %s", c.Segment.Len, c.Segment.Flags)
	}}},
	Then: func(c *Case) Outcome {
		o := c.kept("req-established", kernel.Reply{})
		o.After.State, o.After.LastACK = Established, 0
		o.After.SndUna, o.After.BytesAcked = c.SndNxt, kernel.Known(seq.Of(0))
		o.After.SndWL1, o.After.PeerWnd = kernel.Known(c.Segment.Seq), kernel.Known(seq.Of(uint32(c.Segment.Window)))
		switch {
		case c.HasTS == kernel.Yes && c.Segment.HasTS():
			o.After.TSRecent = kernel.Known(c.Segment.TSVal)
		case c.HasTS != kernel.Yes:
			o.After.TSRecent = kernel.Num{}
		}
		return o
	},
}
