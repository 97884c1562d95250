package kernel

// The behaviours of a side that opens, and of timers.
var (
	// FirstRTOIsASecond: the timeout before anything was measured.
	FirstRTOIsASecond = Behaviour{
		ID: "first-rto-is-a-second", Says: "waits 1 s before it repeats a first SYN or SYN-ACK (others: 3 s)",
		From:    "TCP_TIMEOUT_INIT, read in 2.6.32, 3.0.27, 3.1 and later; run on 3.10.el7 and later",
		First:   No,
		Changes: []Change{{end(3, 0), V(3, 1, 0), Yes}},
		RHEL6:   Yes, RHEL7: Yes, RHEL8: Yes,
	}
	// RepeatsSYNSixTimes is the default of tcp_syn_retries.
	RepeatsSYNSixTimes = Behaviour{
		ID: "repeats-syn-six-times", Says: "repeats a SYN six times by default (others: five)",
		From:    "TCP_SYN_RETRIES, read in 2.6.32, 3.0.27, 3.6, 3.10 and later",
		First:   No,
		Changes: []Change{{end(3, 6), V(3, 10, 0), Yes}},
		RHEL8:   Yes,
	}
	// RepeatsSYNLinearly: tcp_syn_linear_timeouts, 4 by default.
	RepeatsSYNLinearly = Behaviour{
		ID: "repeats-syn-linearly", Says: "has tcp_syn_linear_timeouts: the gap between its SYNs grows only after four (by default) more",
		From:    "tcp_retransmit_timer; run on 5.10, 6.1 (no), 6.12, 6.18 (yes)",
		First:   No,
		Changes: []Change{{end(6, 1), V(6, 6, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: No,
	}
	// ReuseLoopback: tcp_tw_reuse = 2, the default from then on.
	ReuseLoopback = Behaviour{
		ID: "reuse-loopback", Says: "takes tcp_tw_reuse = 2, its default, for loopback alone (to others it is as good as 1)",
		From:    "tcp_twsk_unique; run on 6.18.44",
		First:   No,
		Changes: []Change{{end(4, 17), V(4, 19, 0), Yes}},
		RHEL6:   No, RHEL7: No, RHEL8: Yes,
	}
	// GateByPair: what tcp_tw_recycle remembers of a peer belongs to one address of
	// the host. It lies in an inetpeer up to 3.5, in tcp_metrics from 3.6 on.
	GateByPair = Behaviour{
		ID: "gate-by-pair", Says: "remembers for tcp_tw_recycle by both addresses (others by the peer's alone)",
		From:    "tcp_get_metrics_req, tcp_v4_get_peer",
		First:   No,
		Changes: []Change{{V(3, 13, 0), V(3, 16, 0), Yes}},
		RHEL6:   No, RHEL7: Yes,
	}
)
