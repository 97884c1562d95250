// Package listen holds the rules by which a host answers a SYN for which it has
// no socket but perhaps a listener: queues, cookies, the per-host gate of
// tcp_tw_recycle, and where the sequence number of its SYN-ACK comes from
// (tcp_conn_request, tcp_v4_conn_request before 3.17).
package listen

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// GateLength is how long the per-host gate remembers (TCP_PAWS_MSL).
const GateLength = 60 * time.Second

// Gate is what tcp_tw_recycle remembers of a peer's address: the newest
// timestamp of its connections that this host closed, and when it was stored
// (ns). The zero value: what is remembered is not known.
type Gate struct {
	TS     kernel.Num
	Stored int64
	// OtherAddress: the connections were to another address of this host than the
	// SYN is for.
	OtherAddress bool
}

// Case is a SYN that meets no socket, its host, and what the gate remembers.
type Case struct {
	Host kernel.Host
	Gate Gate
	// LeftISN is the ISN that TIME_WAIT chose for a SYN which the listener then
	// dropped, the last one on this processor. Not Known: there is none, which is
	// what a host is taken for unless something tells otherwise.
	LeftISN kernel.Num
	Segment segment.Segment
	Now     int64 // ns
}

// Outcome is what happens then.
type Outcome struct {
	Rule  string
	Reply kernel.Reply
}

// Rule is a rule of a host without a socket.
type Rule = kernel.Rule[Case, Outcome]

type clause = kernel.Clause[Case]

// Rules is every rule for a SYN without a socket, in the order of the kernel.
func Rules() []*Rule {
	return []*Rule{&noListener, &synFIN, &queueFull, &leftOver, &cookie, &gateOlder, &gateNoTimestamp, &accept}
}

// Decide asks them.
func Decide(c *Case) kernel.Decision[Outcome] { return kernel.Decide(Rules(), c) }

func behaviour(b *kernel.Behaviour) clause {
	return clause{Says: "this kernel " + b.Says, Ask: func(c *Case) kernel.Reading { return c.Host.Profile.Has(b) }}
}

var (
	listens = clause{Says: "somebody listens on the port", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Host.Listener, "a listener is there", "nobody listens", kernel.FactListener)
	}}
	recycles = clause{Says: "tcp_tw_recycle is 1", Ask: func(c *Case) kernel.Reading {
		// Off is off, also where it is not known whether it exists.
		r := c.Host.Profile.Has(&kernel.HasRecycle)
		if r.Answer == kernel.No || r.Answer == kernel.Unknown && c.Host.Recycle != kernel.No {
			return r
		}
		return kernel.Setting(c.Host.Recycle, "tcp_tw_recycle = 1", "tcp_tw_recycle = 0", kernel.FactTWRecycle)
	}}
	family = clause{Says: "the gate exists for this family", Ask: func(c *Case) kernel.Reading {
		if !c.Host.IPv6 {
			return kernel.YesIf(true, "IPv4")
		}
		return c.Host.Profile.Has(&kernel.GateOnIPv6)
	}}
	remembered = clause{Says: "a connection with timestamps from that address was closed here within 60 s", Ask: func(c *Case) kernel.Reading {
		if !c.Gate.TS.Known {
			return kernel.Missing(kernel.FactTSRecent, "no such connection is in the capture")
		}
		if c.Gate.OtherAddress {
			if r := c.Host.Profile.Has(&kernel.GateByPair); r.Answer != kernel.No {
				return r.Not()
			}
		}
		age := time.Duration(c.Now - c.Gate.Stored)
		return kernel.YesIf(age < GateLength, "TSval %s was stored %.1f s ago", c.Gate.TS.Num, age.Seconds())
	}}
	hasTS = clause{Says: "it carries a timestamp", Ask: func(c *Case) kernel.Reading {
		if c.Segment.HasTS() {
			return kernel.YesIf(true, "TSval %s", c.Segment.TSVal)
		}
		if c.Segment.Options.Has(segment.OptCut) {
			return kernel.Missing("the segment's options", "the capture cut the segment's options")
		}
		return kernel.YesIf(false, "no timestamp")
	}}
	older = clause{Says: "its timestamp is older than that by more than 1", Ask: func(c *Case) kernel.Reading {
		if !c.Gate.TS.Known {
			return kernel.Missing(kernel.FactTSRecent, "that is not known")
		}
		d := c.Gate.TS.Sub(c.Segment.TSVal)
		return kernel.YesIf(d > 1, "TSval %s against %s: %d older", c.Segment.TSVal, c.Gate.TS.Num, d)
	}}
)

const connRequest = "net/ipv4/tcp_input.c tcp_conn_request"

var noListener = Rule{
	ID: "no-listener", Says: "A SYN for which nobody listens gets a RST.", From: "net/ipv4/tcp_ipv4.c tcp_v4_rcv, no_tcp_socket",
	When: []clause{kernel.Not("nobody listens on the port", listens.Ask)},
	Then: func(c *Case) Outcome {
		return Outcome{"no-listener", timewait.ResetFor(&c.Segment)}
	},
}

var synFIN = Rule{
	ID: "syn-fin", Says: "A SYN with FIN is dropped by the listener.", From: "net/ipv4/tcp_input.c tcp_rcv_state_process",
	When: []clause{{Says: "it carries FIN as well", Ask: func(c *Case) kernel.Reading {
		return kernel.Flagged(c.Segment.Flags.Has(segment.FIN), c.Segment.Flags)
	}}, behaviour(&kernel.DropsSYNFIN)},
	Then: func(*Case) Outcome { return Outcome{"syn-fin", kernel.Reply{}} },
}

// It stands before cookies: a SYN that finds such a number is not asked whether the
// SYN queue has room.
var leftOver = Rule{
	ID: "left-over", Says: "A SYN gets the ISN that a dropped one left behind.", From: connRequest + ", the per-CPU tcp_tw_isn",
	When: []clause{{Says: "a dropped SYN left an ISN on this processor", Ask: func(c *Case) kernel.Reading {
		if !c.LeftISN.Known {
			return kernel.YesIf(false, "none is left")
		}
		return kernel.YesIf(true, "%s is left", c.LeftISN.Num)
	}}, behaviour(&kernel.LeavesISN)},
	Then: func(c *Case) Outcome {
		return Outcome{"left-over", kernel.Reply{Kind: kernel.ReplySYNACK, Seq: c.LeftISN, Ack: kernel.Known(c.Segment.Seq.Add(1)), ISN: kernel.ISNLeftOver}}
	},
}

var cookie = Rule{
	ID: "cookie", Says: "A listener in a SYN flood answers with a cookie.", From: connRequest + ", cookie_init_sequence",
	When: []clause{{Says: "cookies are being sent", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Host.SynCookies, "the SYN queue is full, or tcp_syncookies = 2", "the SYN queue has room", kernel.FactSynCookies)
	}}},
	Then: func(c *Case) Outcome {
		return Outcome{"cookie", kernel.Reply{Kind: kernel.ReplySYNACK, Ack: kernel.Known(c.Segment.Seq.Add(1)), ISN: kernel.ISNCookie}}
	},
}

var gateOlder = Rule{
	ID: "gate-older", Says: "With tcp_tw_recycle a SYN with an older timestamp than the address's newest is dropped without a word.", From: connRequest + ", tcp_peer_is_proven (PAWSPassive)",
	When: []clause{recycles, family, remembered, hasTS, older},
	Then: func(*Case) Outcome { return Outcome{"gate-older", kernel.Reply{}} },
}

var gateNoTimestamp = Rule{
	ID: "gate-no-timestamp", Says: "With tcp_tw_recycle some kernels also drop a SYN without a timestamp from such an address.", From: connRequest + ", tcp_peer_is_proven (PAWSPassive)",
	When: []clause{recycles, family, remembered, kernel.Not("it carries no timestamp", hasTS.Ask), behaviour(&kernel.GateWantsTimestamps)},
	Then: func(*Case) Outcome { return Outcome{"gate-no-timestamp", kernel.Reply{}} },
}

var queueFull = Rule{
	ID: "queue-full", Says: "A listener with a full accept queue drops the SYN.", From: connRequest + ", ListenOverflows",
	When: []clause{{Says: "the accept queue is full", Ask: func(c *Case) kernel.Reading {
		return kernel.Setting(c.Host.AcceptQueueFull, "the accept queue is full", "the accept queue has room", kernel.FactAcceptQueue)
	}}, behaviour(&kernel.DropsOnFullQueue)},
	Then: func(*Case) Outcome { return Outcome{"queue-full", kernel.Reply{}} },
}

var accept = Rule{
	ID: "accept", Says: "A SYN that meets no socket but a listener gets a SYN-ACK with a fresh ISN.", From: connRequest,
	Then: func(c *Case) Outcome {
		return Outcome{"accept", kernel.Reply{Kind: kernel.ReplySYNACK, Ack: kernel.Known(c.Segment.Seq.Add(1)), ISN: kernel.ISNFresh}}
	},
}
