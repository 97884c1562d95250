package connect

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// SynSent is an opener in SYN_SENT that receives a segment.
type SynSent struct {
	ISS  seq.Num
	Host kernel.Host
	// Data is how many bytes the SYN carried (TCP Fast Open).
	Data uint32
	// Repeated: the SYN was sent more than once already (icsk_retransmits != 0).
	Repeated kernel.Answer
	// FirstTSVal and LastTSVal bound the timestamps that the answer may echo: that
	// of the first SYN, and the own clock now; where the answer came at once, the
	// timestamp of the latest SYN will do.
	FirstTSVal, LastTSVal kernel.Num
	// Inherits: it took a TIME_WAIT over, or tcp_tw_recycle remembered the peer, so
	// that it starts with a ts_recent, which is TSRecent. A first SYN shows it by a
	// TSecr that is not 0.
	Inherits kernel.Answer
	TSRecent kernel.Num
	Segment  segment.Segment
}

// State is what becomes of the opener.
type State uint8

// The states. The zero value: not known.
const (
	AnyState State = iota
	StaysSynSent
	Established
	SynRecv
	Closed
)

// String prints the state as the kernel's source names it.
func (s State) String() string {
	return [...]string{"unknown", "SYN_SENT", "ESTABLISHED", "SYN_RECV", "CLOSED"}[s]
}

// Reaction is what the opener then does.
type Reaction struct {
	Rule  string
	Reply kernel.Reply
	After State
	// Resends: it repeats its SYN two jiffies later.
	Resends kernel.Answer
	// Again is when the SYN leaves once more, if nothing else arrives: after this
	// segment where Resends is yes, else after the first SYN. Next is the gap from
	// there to the SYN after that one. Zero: not predicted, or there is none.
	Again, Next timers.Gap
}

// ReactionRule is a rule of SYN_SENT.
type ReactionRule = kernel.Rule[SynSent, Reaction]

type condition = kernel.Clause[SynSent]

// ReactionRules is every rule of SYN_SENT, in the order of the kernel but for one:
// what carries ACK alone is named before what carries ACK and RST or SYN, which
// makes no difference, because no segment is both.
func ReactionRules() []*ReactionRule {
	return []*ReactionRule{
		&badACK, &oldEcho, &silentACK, &rstRefuses, &synACK, &rstWithoutACK, &synOld, &simultaneous, &nothing,
	}
}

// React asks them.
func React(c *SynSent) kernel.Decision[Reaction] { return kernel.Decide(ReactionRules(), c) }

const synSent = "net/ipv4/tcp_input.c tcp_rcv_synsent_state_process"

// sndNxt is what acknowledges all that the SYN carried.
func (c *SynSent) sndNxt() seq.Num { return c.ISS.Add(1 + c.Data) }

// stays returns a reaction after which the opener goes on as before.
func (c *SynSent) stays(rule string, r kernel.Reply) Reaction {
	o := Reaction{Rule: rule, Reply: r, After: StaysSynSent, Resends: kernel.No}
	o.schedule(c)
	return o
}

// hurries returns the same after an ACK that does not fit: some kernels then set
// the timer of a SYN that was not repeated yet to TCP_TIMEOUT_MIN.
func (c *SynSent) hurries(rule string, r kernel.Reply) Reaction {
	o := Reaction{Rule: rule, Reply: r, After: StaysSynSent}
	switch {
	case c.Repeated == kernel.Yes:
		o.Resends = kernel.No
	default:
		o.Resends = c.Host.Profile.Has(&kernel.ResendsAtOnce).Answer
		if c.Repeated == kernel.Unknown && o.Resends == kernel.Yes {
			o.Resends = kernel.Unknown
		}
	}
	o.schedule(c)
	return o
}

// schedule says when the SYN leaves again. Of a SYN that was repeated already it is
// not known which step of the ladder is next.
func (o *Reaction) schedule(c *SynSent) {
	if c.Repeated != kernel.No || o.Resends == kernel.Unknown {
		return
	}
	ladders := timers.SYNs(c.Host.Profile, timers.Settings{})
	first, next := ladders[0].Gaps[0], ladders[0].Gaps[1]
	for _, l := range ladders[1:] {
		if l.Gaps[0] != first {
			first = timers.Gap{}
		}
		if l.Gaps[1] != next {
			next = timers.Gap{}
		}
	}
	o.Again, o.Next = first, next
	if o.Resends == kernel.Yes {
		o.Again = timers.TwoJiffies
	}
}

// rst is the RST of an opener, which never answers one: the segment's own ack as
// seq, no ACK, no options.
func (c *SynSent) rst() kernel.Reply {
	if c.Segment.Flags.Has(segment.RST) {
		return kernel.Reply{}
	}
	return kernel.Reply{Kind: kernel.ReplyRST, Seq: kernel.Known(c.Segment.Ack), NoTS: true}
}

func flagged(says string, want, not segment.Flags) condition {
	return condition{Says: says, Ask: func(c *SynSent) kernel.Reading {
		f := c.Segment.Flags
		return kernel.Flagged(f.Has(want) && f&not == 0, f)
	}}
}

// Up to 3.5 the test is ack != snd_nxt. Those kernels send no data with a SYN, so
// that it comes to the same.
var badACK = ReactionRule{
	ID: "bad-ack", Says: "A segment that acknowledges something else than the SYN gets a RST with its own number as seq (but a RST never does).", From: synSent,
	When: []condition{{Says: "its ack is not ISS + 1", Ask: func(c *SynSent) kernel.Reading {
		if !c.Segment.Flags.Has(segment.ACK) {
			return kernel.YesIf(false, "it carries no ACK")
		}
		if c.Data > 0 {
			bad := !c.Segment.Ack.After(c.ISS) || c.Segment.Ack.After(c.sndNxt())
			return kernel.Compare(bad, "ack %s, ISS + 1 = %s, snd_nxt %s", c.Segment.Ack, c.ISS.Add(1), c.sndNxt())
		}
		return kernel.Compare(c.Segment.Ack != c.ISS.Add(1), "ack %s, ISS + 1 = %s", c.Segment.Ack, c.ISS.Add(1))
	}}},
	Then: func(c *SynSent) Reaction { return c.hurries("bad-ack", c.rst()) },
}

var oldEcho = ReactionRule{
	ID: "old-echo", Says: "A segment with ACK that echoes a timestamp from before the SYN gets a RST too (but a RST never does).", From: synSent + " (PAWSActive)",
	When: []condition{{Says: "its TSecr was not sent by this SYN", Ask: func(c *SynSent) kernel.Reading {
		switch {
		case !c.Segment.Flags.Has(segment.ACK):
			return kernel.YesIf(false, "it carries no ACK")
		case !c.Segment.HasTS() || c.Segment.TSEcr.Uint32() == 0:
			return kernel.YesIf(false, "no echoed timestamp")
		case c.Host.Timestamps == kernel.No:
			return kernel.YesIf(false, "tcp_timestamps is 0, so that the echo is not looked at")
		case !c.FirstTSVal.Known || !c.LastTSVal.Known:
			return kernel.Missing(kernel.FactTSRecent, "the SYN's timestamps are not known")
		}
		in := c.LastTSVal.Ahead(c.FirstTSVal.Num) >= c.Segment.TSEcr.Ahead(c.FirstTSVal.Num)
		return kernel.Compare(!in, "TSecr %s, the SYNs carried %s to %s", c.Segment.TSEcr, c.FirstTSVal.Num, c.LastTSVal.Num)
	}}},
	Then: func(c *SynSent) Reaction { return c.stays("old-echo", c.rst()) },
}

var silentACK = ReactionRule{
	ID: "silent", Says: "An ACK without SYN that happens to acknowledge the SYN is dropped without a word.", From: synSent,
	When: []condition{flagged("it carries ACK, neither SYN nor RST", segment.ACK, segment.SYN|segment.RST)},
	Then: func(c *SynSent) Reaction { return c.stays("silent", kernel.Reply{}) },
}

var rstRefuses = ReactionRule{
	ID: "rst-refuses", Says: "A RST that acknowledges the SYN refuses the connection (ECONNREFUSED).", From: synSent + ", tcp_reset",
	When: []condition{flagged("it carries RST and ACK", segment.RST|segment.ACK, 0)},
	Then: func(*SynSent) Reaction { return Reaction{Rule: "rst-refuses", After: Closed, Resends: kernel.No} },
}

var synACK = ReactionRule{
	ID: "syn-ack", Says: "A SYN-ACK that acknowledges the SYN opens the connection; data and FIN on it are not looked at.", From: synSent,
	When: []condition{flagged("it carries SYN and ACK", segment.SYN|segment.ACK, 0)},
	Then: func(c *SynSent) Reaction {
		r := kernel.Reply{Kind: kernel.ReplyACK, Ack: kernel.Known(c.Segment.Seq.Add(1))}
		if c.Segment.Ack == c.sndNxt() { // else data of the SYN is sent again
			r.Seq = kernel.Known(c.sndNxt())
		}
		switch {
		case !c.Segment.HasTS() || c.Host.Timestamps == kernel.No:
			r.NoTS = true
		case c.FirstTSVal.Known || c.Host.Timestamps == kernel.Yes:
			r.TSEcr = kernel.Known(c.Segment.TSVal)
		}
		return Reaction{Rule: "syn-ack", Reply: r, After: Established, Resends: kernel.No}
	},
}

var rstWithoutACK = ReactionRule{
	ID: "rst-without-ack", Says: "A RST without ACK is dropped: it proves nothing.", From: synSent,
	When: []condition{flagged("it carries RST", segment.RST, 0)},
	Then: func(c *SynSent) Reaction { return c.stays("rst-without-ack", kernel.Reply{}) },
}

var synOld = ReactionRule{
	ID: "syn-old", Says: "A SYN with an older timestamp than the one that the opener inherited is dropped.", From: synSent + ", tcp_paws_reject",
	When: []condition{flagged("it carries SYN", segment.SYN, 0), {Says: "its timestamp is older than the inherited one", Ask: olderThanInherited}},
	Then: func(c *SynSent) Reaction { return c.stays("syn-old", kernel.Reply{}) },
}

// olderThanInherited is the PAWS step of SYN_SENT, which concerns segments without
// ACK only. What was inherited is at most a minute old: it never counts as idle.
func olderThanInherited(c *SynSent) kernel.Reading {
	switch {
	case c.Inherits == kernel.No:
		return kernel.YesIf(false, "it inherited none")
	case !c.Segment.HasTS():
		return kernel.YesIf(false, "the segment has no timestamp")
	case c.Inherits == kernel.Unknown:
		return kernel.Missing(FactInherits, "whether it inherited one is not known")
	case !c.TSRecent.Known:
		return kernel.Missing(kernel.FactTSRecent, "ts_recent is not known")
	case c.TSRecent.Uint32() == 0:
		if r := c.Host.Profile.Has(&kernel.ZeroTSRecentPasses); r.Answer != kernel.No {
			return r.Not()
		}
	}
	return kernel.Compare(c.TSRecent.Sub(c.Segment.TSVal) > 0, "TSval %s, ts_recent %s", c.Segment.TSVal, c.TSRecent.Num)
}

// FactInherits is whether the opener started with a ts_recent.
const FactInherits kernel.Fact = "whether the SYN continues an old connection"

var simultaneous = ReactionRule{
	ID: "simultaneous", Says: "A SYN without ACK makes it a simultaneous open: SYN_RECV, and a SYN-ACK with the number of the own SYN.", From: synSent + ", RFC 9293 §3.5",
	When: []condition{flagged("it carries SYN", segment.SYN, 0)},
	Then: func(c *SynSent) Reaction {
		r := kernel.Reply{Kind: kernel.ReplySYNACK, Seq: kernel.Known(c.ISS), Ack: kernel.Known(c.Segment.Seq.Add(1))}
		// It carries timestamps because its SYN did, whatever the other SYN has.
		switch {
		case c.Segment.HasTS() && c.Host.Timestamps != kernel.No && c.FirstTSVal.Known:
			r.TSEcr = kernel.Known(c.Segment.TSVal)
		case c.Inherits == kernel.No && c.FirstTSVal.Known && !c.Segment.HasTS():
			r.TSEcr = kernel.Known(seq.Of(0))
		case c.Host.Timestamps == kernel.No:
			r.NoTS = true
		}
		return Reaction{Rule: "simultaneous", Reply: r, After: SynRecv, Resends: kernel.No}
	},
}

var nothing = ReactionRule{
	ID: "nothing", Says: "A segment without SYN, RST and ACK is dropped.", From: synSent,
	Then: func(c *SynSent) Reaction { return c.stays("nothing", kernel.Reply{}) },
}

// SecondSYN returns between which times after its first SYN an opener sends the
// second, where an ACK that does not fit arrives `after` the first, and nothing
// else does. The kernel up to 3.0 waits 3 s, later ones 1 s, and those from 5.7 on
// (between 5.4 and 5.7: not known) two jiffies after that ACK. ok is false where
// what the kernel does is not known.
func SecondSYN(o Reaction, after time.Duration) (from, to time.Duration, ok bool) {
	switch {
	case o.Again == timers.Gap{}:
		return 0, 0, false
	case o.Resends == kernel.Yes:
		return after + o.Again.Min, after + o.Again.Max, true
	}
	return o.Again.Min, o.Again.Max, true
}
