package timewait

import "github.com/tcpwhy/tcpwhy/internal/kernel"

const (
	process = "net/ipv4/tcp_minisocks.c tcp_timewait_state_process"
	caller  = "net/ipv4/tcp_ipv4.c tcp_v4_rcv, case TCP_TW_SYN"
	limiter = "net/ipv4/tcp_minisocks.c tcp_timewait_check_oow_rate_limit"
)

var bareInOrder = Rule{
	ID:   "bare-in-order",
	Says: "A bare segment at rcv_nxt is dropped without an answer, and starts the 60 s anew.",
	From: process,
	When: []clause{isNotRST, pawsAccepts, atRcvNxt, takesNoSpace},
	Then: func(c *Case) Outcome { return c.kept("bare-in-order", kernel.Reply{}).rearm(c).remember(c) },
}

var rstKills = Rule{
	ID:   "rst-kills",
	Says: "A RST at exactly rcv_nxt ends TIME_WAIT (assassination, RFC 1337).",
	From: process,
	When: []clause{isRST, pawsAccepts, atRcvNxt, {
		Says: "tcp_rfc1337 is 0",
		Ask: func(c *Case) kernel.Reading {
			return kernel.Setting(c.Host.RFC1337.Not(), "tcp_rfc1337 = 0", "tcp_rfc1337 = 1", kernel.FactRFC1337)
		},
	}},
	Then: func(*Case) Outcome { return gone("rst-kills", kernel.Reply{}) },
}

var rstIgnored1337 = Rule{
	ID:   "rst-ignored-rfc1337",
	Says: "With tcp_rfc1337=1 a RST at rcv_nxt is ignored.",
	From: process,
	When: []clause{isRST, pawsAccepts, atRcvNxt},
	Then: func(c *Case) Outcome {
		rearms := c.Host.Profile.Has(&kernel.RearmsOnIgnoredRST).Answer
		return c.kept("rst-ignored-rfc1337", kernel.Reply{}).remember(c).rearmIf(rearms, c)
	},
}

// The next four share what tcp_timewait_state_process tests; they differ in what
// its caller finds at the listener.

var synNoListener = Rule{
	ID:   "syn-no-listener",
	Says: "A newer SYN for which nobody listens gets the ACK of TIME_WAIT, never limited, and no RST.",
	From: caller,
	When: []clause{bareSYN, pawsAccepts, isNewer, nobodyListens},
	Then: func(c *Case) Outcome { return c.kept("syn-no-listener", c.ack()) },
}

var synFIN = Rule{
	ID:   "syn-fin",
	Says: "A newer SYN with FIN ends TIME_WAIT, and the listener then drops it.",
	From: caller + ", tcp_rcv_state_process",
	When: []clause{bareSYN, hasFIN, pawsAccepts, isNewer, listens, behaviour(&kernel.DropsSYNFIN)},
	Then: func(*Case) Outcome { return gone("syn-fin", kernel.Reply{}) },
}

var synQueueFull = Rule{
	ID:   "syn-queue-full",
	Says: "A newer SYN ends TIME_WAIT, and the listener with a full accept queue then drops it.",
	From: caller + ", tcp_conn_request",
	When: []clause{bareSYN, pawsAccepts, isNewer, listens, queueFull, behaviour(&kernel.DropsOnFullQueue)},
	Then: func(*Case) Outcome { return gone("syn-queue-full", kernel.Reply{}) },
}

var synAccepted = Rule{
	ID:   "syn-accepted",
	Says: "A newer SYN replaces TIME_WAIT (RFC 1122 §4.2.2.13; Linux takes a newer timestamp as proof too).",
	From: process,
	When: []clause{bareSYN, pawsAccepts, isNewer, listens},
	Then: func(c *Case) Outcome {
		r := kernel.Reply{Kind: kernel.ReplySYNACK, Ack: kernel.Known(c.Segment.Seq.Add(1))}
		switch c.Host.KeepsISN().Answer {
		case kernel.Yes:
			r.ISN, r.Seq = kernel.ISNInherited, kernel.InheritedISN(c.SndNxt)
		case kernel.No:
			r.ISN = [...]kernel.ISNKind{kernel.Unknown: kernel.ISNUnknown, kernel.No: kernel.ISNFresh, kernel.Yes: kernel.ISNCookie}[c.Host.SynCookies]
		case kernel.Unknown:
		}
		return gone("syn-accepted", r)
	},
}

var ackLimited = Rule{
	ID:   "ack-limited",
	Says: "A segment that TIME_WAIT would acknowledge stays without an answer while the limiter holds.",
	From: limiter,
	When: []clause{isNotRST, underLimit},
	Then: func(c *Case) Outcome {
		return c.kept("ack-limited", kernel.Reply{}).rearmIf(rearms(c), c)
	},
}

var ackPAWS = Rule{
	ID:   "ack-paws",
	Says: "A segment with an older timestamp gets the ACK of TIME_WAIT, and starts the 60 s anew.",
	From: process,
	When: []clause{isNotRST, pawsOld},
	Then: func(c *Case) Outcome { return c.kept("ack-paws", c.ack()).rearm(c).limited(c) },
}

var ackFlag = Rule{
	ID:   "ack-flag",
	Says: "Any other segment with ACK gets the ACK of TIME_WAIT, and starts the 60 s anew.",
	From: process,
	When: []clause{isNotRST, hasACK},
	Then: func(c *Case) Outcome { return c.kept("ack-flag", c.ack()).rearm(c).limited(c) },
}

var ackOldSYN = Rule{
	ID:   "ack-old-syn",
	Says: "A SYN that is not newer, or any other segment without ACK, gets the ACK of TIME_WAIT; the 60 s run on.",
	From: process,
	When: []clause{isNotRST},
	Then: func(c *Case) Outcome { return c.kept("ack-old-syn", c.ack()).limited(c) },
}

var rstElsewhere = Rule{
	ID:   "rst-elsewhere",
	Says: "A RST that is not at rcv_nxt, or is too old, is dropped.",
	From: process,
	Then: func(c *Case) Outcome { return c.kept("rst-elsewhere", kernel.Reply{}) },
}

// rearms tells whether an acknowledged (or limited) segment starts the 60 s anew.
func rearms(c *Case) kernel.Answer {
	if hasACK.Ask(c).Answer == kernel.Yes {
		return kernel.Yes
	}
	return pawsRejects(c).Answer
}
