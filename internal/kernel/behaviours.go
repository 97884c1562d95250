package kernel

// end returns the last patch level of a series, for "up to and with 4.11.y".
func end(major, minor int) Version { return V(major, minor, lastPatch) }

// The behaviours, in the order of the stories they matter for. Versions are
// those of trees that were read or kernels that were run, so that a gap between
// Before and After stays unknown.
var (
	// KeepsISN: the initial sequence number that TIME_WAIT chose for an
	// accepted SYN (snd_nxt + 65537) reaches the SYN-ACK. In the kernels that
	// do not, the caller refills the segment's control block on the way to the
	// listener and the choice is lost.
	KeepsISN = Behaviour{
		ID: "keeps-isn", Says: "answers an IPv4 SYN accepted in TIME_WAIT with snd_nxt + 65537",
		From:  "tcp_v4_rcv, tcp_conn_request; run on 3.10.el7, 3.16, 4.9, 4.19, 5.10, 6.1, 6.12, 6.16, 6.18, 7.2",
		First: Yes,
		Changes: []Change{
			{V(4, 14, 5), V(4, 14, 277), No},
			{end(4, 14), V(4, 17, 0), No},
			{end(6, 6), V(6, 12, 0), Yes},
		},
		RHEL6: Yes, RHEL7: Yes, RHEL8: No,
	}
	// KeepsISN6 is the same for IPv6.
	KeepsISN6 = Behaviour{
		ID: "keeps-isn-ipv6", Says: "answers an IPv6 SYN accepted in TIME_WAIT with snd_nxt + 65537",
		From:  "tcp_v6_rcv, tcp_conn_request; run on 5.10, 6.1, 6.12, 6.16, 6.18, 7.2",
		First: Yes,
		Changes: []Change{
			{V(3, 19, 8), V(4, 1, 52), No},
			{end(6, 6), V(6, 12, 0), Yes},
		},
		RHEL8: No,
	}
	// LeavesISN: a SYN that the listener drops leaves the chosen ISN to the
	// next SYN on that processor (CVE-2026-64024). Each stable series got the
	// repair at a patch level of its own.
	LeavesISN = Behaviour{
		ID: "leaves-isn", Says: "leaves the ISN chosen for a SYN that the listener then drops to the next SYN on that processor",
		From:  "tcp_conn_request, the per-CPU tcp_tw_isn; run on 6.12.43, 6.12.113, 6.16.12, 6.18.15 (yes), 6.12.115, 6.12.117, 6.18.44, 7.2.13 (no)",
		First: No,
		Changes: []Change{
			{end(6, 6), V(6, 12, 43), Yes}, {V(6, 12, 113), V(6, 12, 115), No},
			{end(6, 12), V(6, 16, 12), Yes}, {V(6, 18, 15), V(6, 18, 44), No},
			{end(6, 18), V(7, 2, 13), No},
		},
		RHEL6: No, RHEL7: No, RHEL8: No,
	}
	// LimitsACKs: one ACK per tcp_invalid_ratelimit (500 ms).
	LimitsACKs = Behaviour{
		ID: "limits-acks", Says: "limits the ACKs that a TIME_WAIT or a pending request sends to one per 500 ms",
		From:    "tcp_oow_rate_limited; run on 3.16 (no), 3.10.el7, 4.9 and later (yes)",
		First:   No,
		Changes: []Change{{V(3, 19, 8), V(4, 1, 0), Yes}},
		RHEL6:   No, RHEL7: Yes, RHEL8: Yes,
	}
	// RearmsOnIgnoredRST: with tcp_rfc1337=1 an exact RST re-arms the 60 s. The
	// stable series got the repair too, each at a patch level of its own; 4.15 to 4.17 ended before it.
	RearmsOnIgnoredRST = Behaviour{
		ID: "rearms-on-ignored-rst", Says: "re-arms the 60 s on a RST that tcp_rfc1337=1 makes it ignore",
		From:  "tcp_timewait_state_process; late 4.9.y and 4.14.y as vendors publish them (4.9.243, 4.14.355)",
		First: Yes,
		Changes: []Change{
			{V(3, 16, 0), V(3, 18, 0), Yes}, {V(3, 18, 30), V(3, 19, 0), Yes}, {V(4, 4, 155), V(4, 9, 0), Yes},
			{V(4, 9, 115), V(4, 9, 243), No}, {end(4, 9), V(4, 10, 0), Yes},
			{V(4, 14, 5), V(4, 14, 355), No}, {end(4, 14), V(4, 15, 0), Yes},
			{end(4, 17), V(4, 19, 0), No},
		},
		RHEL7: No, RHEL8: No,
	}
	// DropsSYNFIN: a listener drops a SYN that carries FIN.
	DropsSYNFIN = Behaviour{
		ID: "drops-syn-fin", Says: "drops a SYN with FIN at the listener",
		From:    "tcp_rcv_state_process",
		First:   No,
		Changes: []Change{{V(3, 2, 7), V(3, 6, 0), Yes}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: Yes,
	}
	// ZeroTSRecentPasses: a remembered timestamp of 0 never rejects.
	ZeroTSRecentPasses = Behaviour{
		ID: "zero-ts-recent-passes", Says: "lets every timestamp pass where the remembered one is 0",
		From:    "tcp_paws_check",
		First:   No,
		Changes: []Change{{V(2, 6, 32), V(3, 1, 0), Yes}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: Yes,
	}
	// ForgetsTSRecentSooner: PAWS is relaxed after 2147 s instead of 24 days.
	ForgetsTSRecentSooner = Behaviour{
		ID: "forgets-ts-recent-sooner", Says: "stops rejecting by timestamp 2147 s after it stored one (others: 24 days)",
		From:    "tcp_paws_check, TCP_PAWS_WRAP",
		First:   No,
		Changes: []Change{{end(6, 6), V(6, 12, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// WheelTimer: TIME_WAIT ends on a wheel of 8 slots of 7.5 s.
	WheelTimer = Behaviour{
		ID: "wheel-timer", Says: "ends TIME_WAIT on a wheel with 7.5 s slots: after 52.5 to 60 s",
		From:    "inet_twsk_schedule, inet_twdr_hangman; run on 3.10.el7 and 3.16 (54.8 to 60.2 s)",
		First:   Yes,
		Changes: []Change{{V(3, 19, 8), V(4, 1, 0), No}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: No,
	}
	// CoarseTimer: the timer wheel rounds up.
	CoarseTimer = Behaviour{
		ID: "coarse-timer", Says: "rounds its long timers up: TIME_WAIT lasts 60 to 65.1 s, by HZ",
		From:    "kernel/time/timer.c; run on 4.9 and later (60.0 to 63.8 s)",
		First:   No,
		Changes: []Change{{end(4, 4), V(4, 9, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: Yes,
	}
	// HasRecycle: tcp_tw_recycle exists.
	HasRecycle = Behaviour{
		ID: "has-tw-recycle", Says: "has tcp_tw_recycle",
		From:    "tcp_time_wait; commit 4396e46187ca removed it in 4.12",
		First:   Yes,
		Changes: []Change{{end(4, 11), V(4, 12, 0), No}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: No,
	}
	// GateWantsTimestamps: the per-host gate of tcp_tw_recycle also drops a
	// SYN without timestamps.
	GateWantsTimestamps = Behaviour{
		ID: "gate-wants-timestamps", Says: "with tcp_tw_recycle also drops a SYN without timestamps from a host it remembers",
		From:    "tcp_peer_is_proven; run on 3.10.el7, 4.9 (yes), 3.16 (no)",
		First:   No,
		Changes: []Change{{end(3, 16), V(3, 18, 0), Yes}},
		RHEL6:   No, RHEL7: Yes,
	}
	// GateOnIPv6: the per-host gate exists for IPv6.
	GateOnIPv6 = Behaviour{
		ID: "gate-on-ipv6", Says: "has the per-host gate of tcp_tw_recycle for IPv6 too",
		From:    "tcp_v6_conn_request",
		First:   No,
		Changes: []Change{{V(2, 6, 32), V(3, 1, 0), Yes}},
		RHEL6:   No, RHEL7: Yes,
	}
	// DropsOnFullQueue: a full accept queue drops every SYN.
	DropsOnFullQueue = Behaviour{
		ID: "drops-on-full-queue", Says: "drops every SYN while the accept queue is full",
		From:    "tcp_conn_request; run on 3.10.el7, 3.16 (no), 4.9.229 and later (yes)",
		First:   No,
		Changes: []Change{{V(4, 9, 115), V(4, 9, 229), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: Yes,
	}
	// SilentOnSYN: 3.16.0 as published was run and left every SYN into a live
	// socket without an answer, which its source does not explain. How far before and
	// behind that version it reaches is not known.
	SilentOnSYN = Behaviour{
		ID: "silent-on-syn", Says: "leaves a SYN into a live connection without an answer",
		From:    "run on 3.16.0 (yes), 3.10.el7, 4.9 and later (no)",
		First:   No,
		Changes: []Change{{end(3, 13), V(3, 16, 0), Yes}, {V(3, 16, 0), V(4, 1, 0), No}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// ChallengesSYN: a SYN does not abort a live connection but gets an ACK (RFC
	// 5961 §4.2), or nothing (SilentOnSYN). Around 3.16.0 it stays unknown.
	ChallengesSYN = Behaviour{
		ID: "challenges-syn", Says: "spares a live connection that is hit by a SYN, wherever its sequence number lies",
		From:    "tcp_validate_incoming, RFC 5961 §4.2; run on 3.10.el7, 4.9 and later, and on 3.16.0 (no ACK there)",
		First:   No,
		Changes: []Change{{V(3, 2, 7), V(3, 6, 0), Yes}, {end(3, 13), V(3, 16, 0), Yes}, {V(3, 16, 0), V(4, 1, 0), Yes}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: Yes,
	}
	// ExactRST: a RST must carry exactly rcv_nxt (RFC 5961 §3.2).
	ExactRST = Behaviour{
		ID: "exact-rst", Says: "obeys a RST into a live connection only at exactly rcv_nxt",
		From:    "tcp_validate_incoming, RFC 5961 §3.2",
		First:   No,
		Changes: []Change{{V(3, 2, 7), V(3, 6, 0), Yes}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: Yes,
	}
	// ResetsAtFIN: a RST that takes the place of the peer's FIN is obeyed.
	ResetsAtFIN = Behaviour{
		ID: "resets-at-fin", Says: "obeys a RST at rcv_nxt - 1 after the peer's FIN",
		From:    "tcp_reset_check; run on 5.10.223 and later (yes)",
		First:   No,
		Changes: []Change{{end(4, 10), V(4, 14, 0), Yes}},
		RHEL6:   No,
	}
	// ChallengesRequestRST: a request is dropped by a RST only at exactly rcv_nxt.
	ChallengesRequestRST = Behaviour{
		ID: "challenges-request-rst", Says: "answers a RST into a pending request with an ACK unless it is at exactly rcv_nxt",
		From:    "tcp_check_req; run on 5.10.223, 6.1.176 (no), 6.12.117, 6.18.44, 7.2.13 (yes)",
		First:   No,
		Changes: []Change{{V(6, 1, 176), V(6, 12, 117), Yes}, {end(6, 12), V(6, 18, 44), Yes}, {end(6, 18), V(7, 2, 13), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// ChecksRequestEcho: a request answers a TSecr that it never sent with an ACK.
	ChecksRequestEcho = Behaviour{
		ID: "checks-request-echo", Says: "answers a segment into a pending request that echoes a timestamp it never sent with an ACK",
		From:    "tcp_check_req, TSEcrRejected",
		First:   No,
		Changes: []Change{{V(6, 14, 0), V(6, 18, 19), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// DefersTSRecent: what a request remembers of timestamps does not change
	// before it becomes a connection.
	DefersTSRecent = Behaviour{
		ID: "defers-ts-recent", Says: "lets a segment into a pending request change the remembered timestamp only when it opens the connection",
		From:    "tcp_check_req; run on 5.10.223 (no), 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		First:   No,
		Changes: []Change{{V(5, 10, 223), V(6, 1, 176), Yes}, {end(6, 1), V(6, 12, 117), Yes}, {end(6, 12), V(6, 18, 44), Yes}, {end(6, 18), V(7, 2, 13), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// RejectsBeyondWindow: a segment that ends beyond the window is taken only
	// while nothing lies in the receive queue.
	RejectsBeyondWindow = Behaviour{
		ID: "rejects-beyond-window", Says: "takes no segment that ends beyond the window while something lies in the receive queue",
		From:    "tcp_sequence; run on 5.10.223, 6.1.176, 6.12.117 (no), 6.18.44, 7.2.13 (yes)",
		First:   No,
		Changes: []Change{{V(6, 12, 117), V(6, 18, 44), Yes}, {end(6, 18), V(7, 2, 13), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// ResetsAtSACKEdge: a RST behind the last block of SACK is obeyed.
	ResetsAtSACKEdge = Behaviour{
		ID: "resets-at-sack-edge", Says: "obeys a RST at the right edge of what it has acknowledged selectively",
		From:    "tcp_validate_incoming; run on 6.18.44 (yes)",
		First:   No,
		Changes: []Change{{end(4, 4), V(4, 9, 0), Yes}},
		RHEL6:   No, RHEL7: No,
	}
	// NeedsACK: a segment without SYN, RST and ACK is dropped before anything
	// else is looked at. Kernels before 5.10 were not read.
	NeedsACK = Behaviour{
		ID: "needs-ack", Says: "drops a segment into a connection that carries none of SYN, RST and ACK, wherever it lies",
		From:    "tcp_rcv_established, tcp_rcv_state_process; run on 5.10.223, 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		Changes: []Change{{V(2, 6, 32), V(5, 10, 223), Yes}},
	}
	// IgnoresOldACK: an old ACK with an old timestamp gets no duplicate ACK.
	IgnoresOldACK = Behaviour{
		ID: "ignores-old-ack", Says: "ignores a bare ACK from before rcv_nxt with an older timestamp (others answer it with a duplicate ACK)",
		From:    "tcp_validate_incoming, PAWSOldAck; run on 5.10.223, 6.1.176, 6.12.117 (no), 6.18.44, 7.2.13 (yes)",
		First:   No,
		Changes: []Change{{V(6, 13, 7), V(6, 14, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// ChallengesBadACK: in the states of a close an ACK of what was never sent
	// gets a challenge ACK.
	ChallengesBadACK = Behaviour{
		ID: "challenges-bad-ack", Says: "answers an ACK of what it never sent with a challenge ACK while the connection closes",
		From:    "tcp_rcv_state_process; run on 5.10.223, 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		Changes: []Change{{V(2, 6, 32), V(5, 10, 223), Yes}},
	}
	// ChallengesUnsentACK: the same in ESTABLISHED.
	ChallengesUnsentACK = Behaviour{
		ID: "challenges-unsent-ack", Says: "answers an ACK of what it never sent with a challenge ACK in ESTABLISHED too (others are silent)",
		From:    "tcp_ack, RFC 5961 §5.2; run on 5.10.223, 6.1.176, 6.12.117 (no), 6.18.44, 7.2.13 (yes)",
		Changes: []Change{{V(2, 6, 32), V(5, 10, 223), No}, {V(6, 12, 117), V(6, 18, 44), Yes}},
	}
	// ChallengesOldACK: an ACK that lies too far behind snd_una gets a challenge
	// ACK (RFC 5961 §5.2).
	ChallengesOldACK = Behaviour{
		ID: "challenges-old-ack", Says: "answers an ACK from further behind snd_una than a window with a challenge ACK",
		From:    "tcp_ack, RFC 5961 §5.2; run on 5.10.223, 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		Changes: []Change{{V(2, 6, 32), V(5, 10, 223), Yes}},
	}
	// CountsAckedBytes: no ACK of what was never sent counts as an old one.
	CountsAckedBytes = Behaviour{
		ID: "counts-acked-bytes", Says: "takes an old ACK only as far back as the peer has acknowledged bytes",
		From:    "tcp_ack; run on 5.10.223, 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		Changes: []Change{{V(2, 6, 32), V(5, 10, 223), Yes}},
	}
	// TakesOldACK: while a connection closes an old ACK does not turn its
	// segment away.
	TakesOldACK = Behaviour{
		ID: "takes-old-ack", Says: "takes a segment with an old ACK while the connection closes (others answer with a challenge ACK)",
		From:    "tcp_rcv_state_process; run on 5.10.223 (no), 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		Changes: []Change{{V(2, 6, 32), V(5, 10, 223), No}, {V(5, 10, 223), V(6, 1, 176), Yes}, {end(6, 1), V(6, 12, 117), Yes}},
	}
	// StampsFirst: what header prediction takes may leave its timestamp behind even
	// where its ACK then turns it away.
	StampsFirst = Behaviour{
		ID: "stamps-first", Says: "stores the timestamp of a bare segment that header prediction takes before it looks at its ACK",
		From: "tcp_rcv_established; run on 5.10.223, 6.1.176, 6.12.43, 6.18.44 (yes), 6.12.117, 7.2.13 (no)",
		Changes: []Change{
			{V(2, 6, 32), V(5, 10, 223), Yes}, {V(5, 10, 223), V(6, 1, 176), Yes}, {V(6, 1, 176), V(6, 12, 43), Yes},
			{V(6, 12, 43), V(6, 12, 117), No}, {end(6, 12), V(6, 18, 44), Yes}, {end(6, 18), V(7, 2, 13), No},
		},
	}
	// ClockISN: the ISN of one four-tuple follows a clock all its boot.
	ClockISN = Behaviour{
		ID: "clock-isn", Says: "draws the ISNs of one four-tuple from a clock of 15.625 million steps a second",
		From:    "secure_tcp_sequence_number, RFC 6528; run on 3.10.el7 to 7.2",
		First:   No,
		Changes: []Change{{V(2, 6, 32), V(3, 1, 0), Yes}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: Yes,
	}
	// OffsetsTimestamps: TSvals start at a random offset.
	OffsetsTimestamps = Behaviour{
		ID: "offsets-timestamps", Says: "adds a random offset to its TSvals",
		From:    "secure_tcp_ts_off",
		First:   No,
		Changes: []Change{{end(4, 9), V(4, 10, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: Yes,
	}
	// OffsetPerTuple: the offset differs by four-tuple, not by pair of addresses.
	OffsetPerTuple = Behaviour{
		ID: "offset-per-tuple", Says: "gives each four-tuple its own TSval offset",
		From:    "secure_tcp_ts_off; run on 6.18.44, 7.2",
		First:   No,
		Changes: []Change{{end(4, 9), V(4, 10, 0), Yes}, {end(4, 10), V(4, 11, 0), No}, {V(6, 18, 18), V(6, 18, 19), Yes}, {end(6, 18), V(6, 19, 0), No}, {V(6, 19, 0), V(7, 0, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// MillisecondTimestamps: TSvals count milliseconds whatever HZ is.
	MillisecondTimestamps = Behaviour{
		ID: "millisecond-timestamps", Says: "counts TSvals in milliseconds",
		From:    "tcp_time_stamp",
		First:   No,
		Changes: []Change{{end(4, 12), V(4, 13, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: Yes,
	}
	// LargeFirstWindow is a default that a sysctl or a small memory can change.
	LargeFirstWindow = Behaviour{
		ID: "large-first-window", Says: "announces 64240 (65160 with timestamps) as its first window at an MSS of 1460, others 29200 (28960) or less",
		From:    "tcp_select_initial_window, tcp_rmem; run on 3.10.el7, 4.9, 4.19 (no), 5.10 and later (yes)",
		First:   No,
		Changes: []Change{{end(4, 19), V(4, 20, 0), Yes}},
		RHEL6:   No, RHEL7: No,
	}
	// ResendsAtOnce: an opener repeats its SYN 2 jiffies after a bad ACK.
	ResendsAtOnce = Behaviour{
		ID: "resends-at-once", Says: "repeats its first SYN two jiffies after an ACK that does not fit",
		From:    "tcp_rcv_synsent_state_process; run on 4.19 (no), 5.10 and later (yes)",
		First:   No,
		Changes: []Change{{V(5, 4, 120), V(5, 7, 14), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// ReuseAfterASecond: tcp_tw_reuse waits for the next second (older: the one
	// after, newer: tcp_tw_reuse_delay).
	ReuseAfterASecond = Behaviour{
		ID: "reuse-after-a-second", Says: "lets tcp_tw_reuse take a port over as soon as the second has changed (others wait one more)",
		From:    "tcp_twsk_unique",
		First:   No,
		Changes: []Change{{end(4, 17), V(4, 19, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: Yes,
	}
	// ReuseDelay: tcp_tw_reuse_delay, 1000 ms by default.
	ReuseDelay = Behaviour{
		ID: "reuse-delay", Says: "waits tcp_tw_reuse_delay (1000 ms) before tcp_tw_reuse takes a port over",
		From:    "tcp_twsk_unique",
		First:   No,
		Changes: []Change{{V(6, 13, 7), V(6, 14, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// SparesFinWait2: an orphan in FIN_WAIT2 is not taken over by tcp_tw_reuse.
	SparesFinWait2 = Behaviour{
		ID: "spares-fin-wait2", Says: "does not let tcp_tw_reuse take over a FIN_WAIT2",
		From:    "tcp_twsk_unique",
		First:   No,
		Changes: []Change{{end(5, 19), V(6, 1, 141), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
)

// Behaviours lists them all, in the order above.
func Behaviours() []*Behaviour {
	return []*Behaviour{
		&KeepsISN, &KeepsISN6, &LeavesISN, &LimitsACKs, &RearmsOnIgnoredRST, &DropsSYNFIN,
		&ZeroTSRecentPasses, &ForgetsTSRecentSooner, &WheelTimer, &CoarseTimer, &HasRecycle,
		&GateWantsTimestamps, &GateOnIPv6, &DropsOnFullQueue, &SilentOnSYN, &ChallengesSYN, &ExactRST, &ResetsAtFIN,
		&ChallengesRequestRST, &ChecksRequestEcho,
		&DefersTSRecent, &RejectsBeyondWindow, &ResetsAtSACKEdge, &NeedsACK, &IgnoresOldACK, &ChallengesBadACK, &ChallengesUnsentACK,
		&ChallengesOldACK, &CountsAckedBytes, &TakesOldACK, &StampsFirst,
		&LimitsChallenges, &DrawsChallengeLimit, &ZeroLimitsNoChallenges, &ChallengesOldSYN, &ClockISN,
		&OffsetsTimestamps, &OffsetPerTuple, &MillisecondTimestamps, &LargeFirstWindow,
		&ResendsAtOnce, &ReuseAfterASecond, &ReuseDelay, &SparesFinWait2,
		&FirstRTOIsASecond, &RepeatsSYNSixTimes, &RepeatsSYNLinearly, &ReuseLoopback, &GateByPair,
	}
}
