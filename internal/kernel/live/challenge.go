package live

import "github.com/tcpwhy/tcpwhy/internal/kernel"

// A challenge ACK has two limiters to pass (tcp_send_challenge_ack): that of the
// socket, and then that of the whole host. The first starts even where the second
// holds the ACK back. A duplicate ACK, the ACK of a TIME_WAIT, and that of a request
// but for a RST never come to the second.

const challenge = "net/ipv4/tcp_input.c tcp_send_challenge_ack, RFC 5961 §7"

var (
	spent = clause{Says: "the host has sent as many challenge ACKs this second as tcp_challenge_ack_limit allows", Ask: func(c *Case) kernel.Reading {
		return c.Host.SpentChallenges()
	}}
	// isChallenge: up to 6.1 PAWS comes before the SYN flag is looked at.
	isChallenge = clause{Says: "what it gets is a challenge ACK, no duplicate ACK for an older timestamp (PAWS)", Ask: func(c *Case) kernel.Reading {
		old := pawsOld.Ask(c)
		if old.Answer == kernel.No {
			return old.Not()
		}
		r := c.Host.Profile.Has(&kernel.ChallengesOldSYN)
		if old.Answer == kernel.Unknown && r.Answer != kernel.Yes {
			return old
		}
		return r
	}}
)

// heldBack is the silence in the place of a challenge ACK.
func (c *Case) heldBack(rule string) Outcome {
	o := c.kept(rule, kernel.Reply{})
	o.After.LastACK = c.Now
	return o
}

var rstSpent = Rule{
	ID: "rst-spent", Says: "A RST elsewhere in the window gets no answer once the host has sent its challenge ACKs of this second.", From: challenge,
	When: []clause{isRST, behaviour(&kernel.ExactRST), inSequence, notLimited, spent},
	Then: func(c *Case) Outcome { return c.heldBack("rst-spent") },
}

var synSpent = Rule{
	ID: "syn-spent", Says: "A SYN into a live connection gets no answer once the host has sent its challenge ACKs of this second.", From: challenge,
	When: []clause{isSYN, isChallenge, spent},
	Then: func(c *Case) Outcome { return c.heldBack("syn-spent") },
}

var ackBadSpent = Rule{
	ID: "ack-bad-spent", Says: "A bad ACK gets no answer once the host has sent its challenge ACKs of this second.", From: challenge,
	When: []clause{ackIsBad, spent},
	Then: func(c *Case) Outcome {
		o := c.heldBack("ack-bad-spent")
		o.After.TSRecent = c.badStamp()
		return o
	},
}

var reqRSTSpent = Rule{
	ID: "req-rst-spent", Says: "A RST that is in the window but not at rcv_nxt gets no answer once the host has sent its challenge ACKs of this second.", From: checkReq + "; run on 6.12.117, 6.18.44, 7.2.13",
	When: []clause{isRST, notExact, behaviour(&kernel.ChallengesRequestRST), spent},
	Then: func(c *Case) Outcome { return c.heldBack("req-rst-spent") },
}
