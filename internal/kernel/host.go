package kernel

import "time"

// Host is a kernel and what is known of its settings. The zero value knows
// nothing.
type Host struct {
	Profile Profile
	// Timestamps is net.ipv4.tcp_timestamps != 0 at this moment.
	Timestamps Answer
	// RFC1337 is net.ipv4.tcp_rfc1337 != 0.
	RFC1337 Answer
	// RateLimit is net.ipv4.tcp_invalid_ratelimit; its default where not Known is
	// not assumed here but by whoever asks.
	RateLimit Duration
	// ChallengeLimit is net.ipv4.tcp_challenge_ack_limit: challenge ACKs that the
	// whole host (from 6.1 on: the namespace) may send a second, to all peers.
	ChallengeLimit Count
	// UsualChallengeLimit: nobody has changed that. Where it is not Known it is the
	// default of the kernel.
	UsualChallengeLimit bool
	// Challenges is how many of them it has sent since its second began, which is
	// when jiffies / HZ changed.
	Challenges Count
	// ChallengesSpent: they are as many as the limit allows. Unknown: that follows
	// from the above, as far as they are known (SpentChallenges).
	ChallengesSpent Answer
	// Recycle is net.ipv4.tcp_tw_recycle != 0.
	Recycle Answer
	// Listener: somebody listens on the address and port that the SYN is for.
	Listener Answer
	// AcceptQueueFull: that listener's accept queue is full.
	AcceptQueueFull Answer
	// AbortOnOverflow is net.ipv4.tcp_abort_on_overflow != 0.
	AbortOnOverflow Answer
	// SynCookies: the listener would answer with a cookie now.
	SynCookies Answer
	// IPv6: the connection runs over IPv6.
	IPv6 bool
}

// Duration is a time span that may not be known.
type Duration struct {
	time.Duration
	Known bool
}

// DefaultRateLimit is tcp_invalid_ratelimit where nobody changed it.
const DefaultRateLimit = 500 * time.Millisecond

// KeepsISN asks for the behaviour of the host's family.
func (h *Host) KeepsISN() Reading {
	if h.IPv6 {
		return h.Profile.Has(&KeepsISN6)
	}
	return h.Profile.Has(&KeepsISN)
}

// Setting reads a yes-or-no fact.
func Setting(a Answer, yes, no string, f Fact) Reading {
	switch a {
	case Yes:
		return Read(Yes, yes)
	case No:
		return Read(No, no)
	case Unknown:
	}
	return Missing(f, "%s is not known", string(f))
}

// ReplyKind is what a host sends back.
type ReplyKind uint8

// The replies. NoReply is an answer too: silence is what the kernel chose.
const (
	NoReply ReplyKind = iota
	ReplyACK
	ReplySYNACK
	ReplyRST
)

// String names the reply as people say it.
func (k ReplyKind) String() string { return [...]string{"no answer", "ACK", "SYN-ACK", "RST"}[k] }

// ISNKind tells where the sequence number of a SYN-ACK comes from.
type ISNKind uint8

// The sources of an ISN.
const (
	ISNUnknown ISNKind = iota
	// ISNInherited: snd_nxt of the old connection + 65537.
	ISNInherited
	// ISNFresh: the clock line of the four-tuple.
	ISNFresh
	// ISNCookie: a SYN cookie.
	ISNCookie
	// ISNLeftOver: snd_nxt + 65537 of a TIME_WAIT that has nothing to do with
	// this SYN.
	ISNLeftOver
)

// Reply is a prediction to the field; a number that is not Known is not predicted.
type Reply struct {
	Kind   ReplyKind
	HasACK bool // of a RST: it carries the ACK flag
	Seq    Num
	Ack    Num
	Window Num // the header's field
	// TSEcr is predicted where the reply must carry timestamps; NoTS where it
	// must not.
	TSEcr Num
	NoTS  bool
	ISN   ISNKind // of a SYN-ACK
}

// InheritedISN is what TIME_WAIT chooses for an accepted SYN: tw_snd_nxt + 65535
// + 2, and 1 where that is 0, because 0 means "none" to the caller
// (tcp_timewait_state_process).
func InheritedISN(sndNxt Num) Num {
	if !sndNxt.Known {
		return Num{}
	}
	n := sndNxt.Num.Add(65537)
	if n.Uint32() == 0 {
		n = n.Add(1)
	}
	return Known(n)
}
