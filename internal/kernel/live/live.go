// Package live holds the rules by which a socket that is not in TIME_WAIT
// answers a segment on its own four-tuple: the synchronised states
// (tcp_rcv_established, tcp_rcv_state_process), and a request that waits in
// SYN_RECV (tcp_check_req). The application is silent in them: what it sends is
// no answer to a segment.
package live

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// State is a state of RFC 9293 §3.3.2.
type State uint8

// The states. The zero value is unknown.
const (
	UnknownState State = iota
	SynRecv
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
)

// String prints the state as ss and netstat do.
func (s State) String() string {
	return [...]string{"unknown", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "CLOSING", "LAST_ACK"}[s]
}

// Socket is what the kernel knows of the connection. In SynRecv SndNxt is the
// own ISN + 1 and RcvNxt the opener's + 1.
type Socket struct {
	State    State
	RcvNxt   kernel.Num
	SndNxt   kernel.Num
	RcvWnd   kernel.Num // bytes
	WScale   uint8
	HasTS    kernel.Answer
	TSRecent kernel.Num
	// SynAckTS is the TSval of the first SYN-ACK in SynRecv, LastSynAckTS that of
	// the latest one.
	SynAckTS, LastSynAckTS kernel.Num
	// LastACK is when the last limited ACK was sent (ns); 0: none yet.
	LastACK int64
	Peer
	// Orphan: the application has closed the socket (SOCK_DEAD, RCV_SHUTDOWN).
	Orphan kernel.Answer
	// Unread: the receive queue holds something, be it the peer's FIN.
	Unread kernel.Answer
	// SACK: both ends offered SACK.
	SACK kernel.Answer
	Ahead
}

// Case is a socket, its host, and a segment that arrives at a time (ns).
type Case struct {
	Socket
	Host    kernel.Host
	Segment segment.Segment
	Now     int64
}

// Outcome is what happens then. Gone: the connection (or request) is aborted, or
// closed at last. Shrinks: the socket becomes the small one of TIME_WAIT or of an
// orphan in FIN_WAIT2, which is Small. Otherwise After is what it remembers.
type Outcome struct {
	Rule    string
	Reply   kernel.Reply
	Gone    bool
	Shrinks bool
	Small   timewait.Socket
	After   Socket
}

// Rule is a rule of these states.
type Rule = kernel.Rule[Case, Outcome]

type clause = kernel.Clause[Case]

// Rules is every rule of the synchronised states, in order.
func Rules() []*Rule {
	return []*Rule{
		&rstExact, &rstAfterFIN, &rstInWindow, &rstSACKEdge, &rstSpent, &rstChallenged, &rstIgnored,
		&synAborts, &synDuplicateACK, &synUnanswered, &synLimited, &synSpent, &synChallenged,
		&noACK, &pawsOldACK, &pawsLimited, &pawsACK, &outsideLimited, &outsideACK,
		&ackUnsent, &ackFastPath, &ackBadLimited, &ackBadSpent, &ackBad,
		&finAckedLast, &finAckedClosing, &dataAborts, &orphanShrinks, &bare,
		&afterFIN, &oldData, &noRoom, &finTimeWait, &finInOrder, &dataInOrder, &dataAhead,
	}
}

// Decide asks the rules of the socket's state.
func Decide(c *Case) kernel.Decision[Outcome] {
	if c.State == SynRecv {
		return kernel.Decide(synRecvRules, c)
	}
	return kernel.Decide(rules, c)
}

// Outcomes is Decide without its trace.
func Outcomes(c *Case) []Outcome {
	if c.State == SynRecv {
		return kernel.AppendOutcomes(nil, synRecvRules, c)
	}
	return kernel.AppendOutcomes(nil, rules, c)
}

// rules and synRecvRules are the lists of Rules and SynRecvRules, made once.
var rules, synRecvRules = Rules(), SynRecvRules()

func behaviour(b *kernel.Behaviour) clause {
	return clause{Says: "this kernel " + b.Says, Ask: func(c *Case) kernel.Reading { return c.Host.Profile.Has(b) }}
}

func (c *Case) kept(rule string, r kernel.Reply) Outcome {
	o := Outcome{Rule: rule, Reply: r, After: c.Socket}
	if r.Kind == kernel.ReplyACK {
		o.After.LastACK = c.Now
		if r.Window.Known { // what it advertised now counts
			o.After.RcvWnd = kernel.Known(seq.Of(r.Window.Uint32() << min(c.WScale, 14)))
		}
	}
	return o
}

// ack is a duplicate or challenge ACK (tcp_send_ack, tcp_v4_reqsk_send_ack).
func (c *Case) ack() kernel.Reply {
	r := kernel.Reply{Kind: kernel.ReplyACK, Seq: c.SndNxt, Ack: c.RcvNxt}
	if c.RcvWnd.Known && c.State != SynRecv { // a request's window is cut in its own way
		// A live socket never takes back what it advertised (tcp_select_window):
		// the unscaled window of its SYN-ACK is rounded up.
		ws := min(c.WScale, 14)
		r.Window = kernel.Known(seq.Of((c.RcvWnd.Uint32() + 1<<ws - 1) >> ws & 0xffff))
	}
	switch {
	case c.State == SynRecv && c.TSRecent.Known && c.TSRecent.Uint32() == 0:
		// A request takes a ts_recent of 0 for none (tcp_v4_send_ack), and one
		// without timestamps may have come to another; a socket does not.
		r.NoTS = true
	case c.HasTS == kernel.No && !(c.State == SynRecv && c.TSRecent.Known):
		r.NoTS = true
	case c.HasTS == kernel.Yes, c.State == SynRecv && c.TSRecent.Known:
		r.TSEcr = c.TSRecent
	}
	return r
}

var (
	isRST = clause{Says: "it is a RST", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.RST), c.Segment.Flags)
	}}
	isSYN = clause{Says: "it carries SYN", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.SYN), c.Segment.Flags)
	}}
	exact = clause{Says: "its seq is exactly rcv_nxt", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(c.Segment.Seq == c.RcvNxt.Num, "seq %s, rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
	}}
	inWindow = clause{Says: "it lies in the receive window", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		if c.Segment.Seq == c.RcvNxt.Num {
			return kernel.YesIf(true, "seq %s is rcv_nxt", c.Segment.Seq)
		}
		if !c.RcvWnd.Known {
			if !c.Segment.End().After(c.RcvNxt.Num) || c.Segment.Seq.Sub(c.RcvNxt.Num) > 1<<30 {
				return kernel.Compare(false, "seq %s lies outside any window at rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
			}
			return kernel.Missing(kernel.FactRcvWnd, "the last advertised window is not known")
		}
		right := c.RcvNxt.Add(c.RcvWnd.Uint32())
		in := c.Segment.Seq.InWindow(c.Segment.End(), c.RcvNxt.Num, right)
		return kernel.Compare(in, "seq %s, window %s to %s", c.Segment.Seq, c.RcvNxt.Num, right)
	}}
	inSequence = clause{Says: "it touches the receive window", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		seg := &c.Segment
		end := seg.End()
		if seg.Flags.Has(segment.FIN) {
			end = end.Add(^uint32(0)) // a FIN may lie beyond
		}
		switch {
		case seg.End().Before(c.RcvNxt.Num):
			return kernel.Compare(false, "it ends at %s, before rcv_nxt %s", seg.End(), c.RcvNxt.Num)
		case !c.RcvWnd.Known && !seg.Seq.After(c.RcvNxt.Num) && end.After(c.RcvNxt.Num):
			if r, ok := c.beyondWindow(); ok {
				return kernel.Missing(kernel.FactRcvWnd, "the last advertised window is not known, and %s", r)
			}
			return kernel.Compare(true, "seq %s is not after rcv_nxt %s", seg.Seq, c.RcvNxt.Num)
		case !seg.Seq.After(c.RcvNxt.Num) && !(c.RcvWnd.Known && end.After(c.RcvNxt.Add(c.RcvWnd.Uint32()))):
			return kernel.Compare(true, "seq %s is not after rcv_nxt %s, its end %s is not before", seg.Seq, c.RcvNxt.Num, seg.End())
		case !c.RcvWnd.Known && seg.Seq.Sub(c.RcvNxt.Num) > 1<<30:
			return kernel.Compare(false, "seq %s lies outside any window at rcv_nxt %s", seg.Seq, c.RcvNxt.Num)
		case !c.RcvWnd.Known:
			return kernel.Missing(kernel.FactRcvWnd, "the last advertised window is not known")
		}
		right := c.RcvNxt.Add(c.RcvWnd.Uint32())
		if end.After(right) && !seg.Seq.After(right) {
			if r, ok := c.beyondWindow(); ok {
				return r
			}
		}
		return kernel.Compare(!seg.Seq.After(right), "seq %s, window %s to %s", seg.Seq, c.RcvNxt.Num, right)
	}}
	outside   = kernel.Not("it does not touch the receive window", inSequence.Ask)
	notBefore = clause{Says: "its seq is not before rcv_nxt", Ask: func(c *Case) kernel.Reading {
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(!c.Segment.Seq.Before(c.RcvNxt.Num), "seq %s, rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
	}}
	pawsOld = clause{Says: "its timestamp is older than ts_recent (PAWS)", Ask: func(c *Case) kernel.Reading {
		if !c.Segment.HasTS() && c.Segment.Options.Has(segment.OptCut) && c.HasTS != kernel.No {
			return kernel.Missing("the segment's options", "the capture cut the segment's options")
		}
		if !c.Segment.HasTS() || c.HasTS == kernel.No {
			return kernel.YesIf(false, "no timestamps to compare")
		}
		if c.HasTS != kernel.Yes || !c.TSRecent.Known {
			return kernel.Missing(kernel.FactTSRecent, "ts_recent is not known")
		}
		// A live socket allows one tick (TCP_PAWS_WINDOW), a request none.
		tick := int32(1)
		if c.State == SynRecv {
			tick = 0
		}
		old := c.TSRecent.Sub(c.Segment.TSVal) > tick
		if old && c.TSRecent.Uint32() == 0 {
			r := c.Host.Profile.Has(&kernel.ZeroTSRecentPasses)
			r.Answer = r.Answer.Not()
			return r
		}
		return kernel.Compare(old, "TSval %s, ts_recent %s", c.Segment.TSVal, c.TSRecent.Num)
	}}
	pawsFine = kernel.Not("its timestamp is not older than ts_recent (PAWS)", pawsOld.Ask)
	limited  = clause{Says: "an ACK was sent less than tcp_invalid_ratelimit ago", Ask: func(c *Case) kernel.Reading {
		if c.LastACK == 0 {
			return kernel.YesIf(false, "it is the first")
		}
		if r := c.Host.Profile.Has(&kernel.LimitsACKs); r.Answer != kernel.Yes {
			return r
		}
		if !c.Host.RateLimit.Known {
			return kernel.Missing(kernel.FactRateLimit, "tcp_invalid_ratelimit is not known")
		}
		d := time.Duration(c.Now - c.LastACK)
		return kernel.YesIf(d >= 0 && d < c.Host.RateLimit.Duration, "the last ACK was sent %d ms ago, the limit is %d ms", d.Milliseconds(), c.Host.RateLimit.Milliseconds())
	}}
	notLimited = kernel.Not("no ACK was sent less than tcp_invalid_ratelimit ago", limited.Ask)
)

// beyondWindow tells whether a segment that begins in the window and ends beyond
// it is taken; ok is false where it is for what the window is concerned.
func (c *Case) beyondWindow() (r kernel.Reading, ok bool) {
	r = c.Host.Profile.Has(&kernel.RejectsBeyondWindow).Not()
	switch {
	case c.Unread == kernel.Yes:
		return r, true
	case c.Unread == kernel.Unknown && r.Answer != kernel.Yes:
		return kernel.Missing(kernel.FactUnread, "it ends beyond the window, and whether something lies in the receive queue is not known"), true
	}
	return r, false
}

const validate = "net/ipv4/tcp_input.c tcp_validate_incoming"

var rstExact = Rule{
	ID: "rst-exact", Says: "A RST at exactly rcv_nxt aborts the connection.", From: validate + ", RFC 5961 §3.2",
	When: []clause{isRST, exact},
	Then: func(*Case) Outcome { return Outcome{Rule: "rst-exact", Gone: true} },
}

var rstAfterFIN = Rule{
	ID: "rst-after-fin", Says: "A RST at rcv_nxt - 1 aborts a connection whose peer has sent its FIN.", From: "net/ipv4/tcp_input.c tcp_reset_check",
	When: []clause{isRST, {Says: "its seq is that of the peer's FIN", Ask: func(c *Case) kernel.Reading {
		switch c.State {
		case CloseWait, Closing, LastAck:
		case UnknownState, SynRecv, Established, FinWait1, FinWait2:
			return kernel.YesIf(false, "the peer has sent no FIN")
		}
		if !c.RcvNxt.Known {
			return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
		}
		return kernel.Compare(c.Segment.Seq.Add(1) == c.RcvNxt.Num, "seq %s, rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
	}}, behaviour(&kernel.ResetsAtFIN)},
	Then: func(*Case) Outcome { return Outcome{Rule: "rst-after-fin", Gone: true} },
}

var rstInWindow = Rule{
	ID: "rst-in-window", Says: "Before RFC 5961 a RST anywhere in the window aborts the connection.", From: validate,
	When: []clause{isRST, kernel.Not("this kernel obeys any RST in the window", behaviour(&kernel.ExactRST).Ask), inSequence},
	Then: func(*Case) Outcome { return Outcome{Rule: "rst-in-window", Gone: true} },
}

var rstSACKEdge = Rule{
	ID: "rst-sack-edge", Says: "A RST at the right edge of what was selectively acknowledged aborts the connection.", From: validate,
	When: []clause{isRST, sackEdge, behaviour(&kernel.ResetsAtSACKEdge), inSequence},
	Then: func(*Case) Outcome { return Outcome{Rule: "rst-sack-edge", Gone: true} },
}

var rstChallenged = Rule{
	ID: "rst-challenged", Says: "A RST elsewhere in the window gets a challenge ACK, unless a limiter holds.", From: validate + ", RFC 5961 §3.2",
	When: []clause{isRST, behaviour(&kernel.ExactRST), inSequence, notLimited},
	Then: func(c *Case) Outcome { return c.kept("rst-challenged", c.ack()) },
}

var rstIgnored = Rule{
	ID: "rst-ignored", Says: "Any other RST leaves the connection as it is.", From: validate,
	When: []clause{isRST},
	Then: func(c *Case) Outcome { return c.kept("rst-ignored", kernel.Reply{}) },
}

var synAborts = Rule{
	ID: "syn-aborts", Says: "Before RFC 5961 a SYN in the window aborts the connection with a RST.", From: validate + ", TCPAbortOnSyn",
	When: []clause{isSYN, kernel.Not("this kernel does not challenge a SYN", behaviour(&kernel.ChallengesSYN).Ask), pawsFine, inSequence, notBefore},
	Then: func(c *Case) Outcome {
		return Outcome{Rule: "syn-aborts", Reply: timewait.ResetFor(&c.Segment), Gone: true}
	},
}

var synDuplicateACK = Rule{
	ID: "syn-duplicate-ack", Says: "Before RFC 5961 a SYN outside the window gets a duplicate ACK.", From: validate,
	When: []clause{isSYN, kernel.Not("this kernel does not challenge a SYN", behaviour(&kernel.ChallengesSYN).Ask)},
	Then: func(c *Case) Outcome { return c.kept("syn-duplicate-ack", c.ack()) },
}

var synUnanswered = Rule{
	ID: "syn-unanswered", Says: "3.16.0 was seen to leave a SYN into a live connection without an answer.", From: "run on 3.16.0; its source does not explain it",
	When: []clause{isSYN, behaviour(&kernel.SilentOnSYN)},
	Then: func(c *Case) Outcome { return c.kept("syn-unanswered", kernel.Reply{}) },
}

var synLimited = Rule{
	ID: "syn-limited", Says: "A challenge ACK is held back while the limiter holds.", From: "net/ipv4/tcp_input.c tcp_send_challenge_ack",
	When: []clause{isSYN, limited},
	Then: func(c *Case) Outcome { return c.kept("syn-limited", kernel.Reply{}) },
}

var synChallenged = Rule{
	ID: "syn-challenged", Says: "A SYN into a live connection gets a challenge ACK, whatever its seq.", From: validate + ", RFC 5961 §4.2",
	When: []clause{isSYN},
	Then: func(c *Case) Outcome { return c.kept("syn-challenged", c.ack()) },
}

var otherwise = Rule{
	ID: "otherwise", Says: "Any other segment opens the connection and belongs to it.", From: checkReq,
	Then: func(c *Case) Outcome { return c.kept("otherwise", kernel.Reply{}) },
}
