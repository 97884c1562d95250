package kernel

// The behaviours of the limit of challenge ACKs that holds for a whole host. The
// limiter of a single socket (LimitsACKs) is asked first.
var (
	// LimitsChallenges is the default of tcp_challenge_ack_limit: 100 or 1000
	// (DrawsChallengeLimit), for all namespaces together, until it became INT_MAX in
	// each of them.
	LimitsChallenges = Behaviour{
		ID: "limits-challenges", Says: "limits by default how many challenge ACKs the whole host sends a second",
		From:    "tcp_send_challenge_ack, tcp_challenge_ack_limit; read in 3.10.65, 3.16, 4.0.5, 4.1.52 to 5.19, rhel6.8, rhel7 (yes), 6.1.141 (no); run on 5.10.223 (1000), 6.1.176, 6.12.117, 6.18.44, 7.2.13 (no limit)",
		First:   No,
		Changes: []Change{{V(3, 2, 7), V(3, 6, 0), Yes}, {end(5, 19), V(6, 1, 141), No}},
		RHEL6:   Yes, RHEL7: Yes,
	}
	// DrawsChallengeLimit: what is left to be guessed of the limit tells no stranger
	// any more whether a connection exists (CVE-2016-5696). The stable series got
	// that too, each at a patch level of its own.
	DrawsChallengeLimit = Behaviour{
		ID: "draws-challenge-limit", Says: "draws anew each second how many challenge ACKs it sends, from half of tcp_challenge_ack_limit (1000) to one and a half (others: exactly the limit, 100)",
		From:  "tcp_send_challenge_ack; read in 3.10.65, 3.16, 4.0.5 (no), 4.1.52, 4.4.155, 4.9 and later, rhel6.8, rhel7 (yes); run on 5.10.223, 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		First: No,
		Changes: []Change{
			{V(3, 10, 65), V(3, 16, 0), No}, {V(3, 16, 0), V(4, 0, 5), No}, {V(4, 0, 5), V(4, 1, 52), Yes},
			{end(4, 1), V(4, 4, 155), Yes}, {end(4, 4), V(4, 9, 115), Yes},
		},
		RHEL6: Yes, RHEL7: Yes,
	}
	// ZeroLimitsNoChallenges: the draw between 0 and -1 is one of any number.
	ZeroLimitsNoChallenges = Behaviour{
		ID: "zero-limits-no-challenges", Says: "takes tcp_challenge_ack_limit = 0 for no limit (others send no challenge ACK at all then)",
		From:    "tcp_send_challenge_ack; run on 5.10.223 (no), 6.1.176, 6.12.117, 6.18.44, 7.2.13 (yes)",
		First:   No,
		Changes: []Change{{V(5, 10, 223), V(6, 1, 176), Yes}},
	}
	// ChallengesOldSYN: a SYN with an older timestamp takes the way of every SYN.
	// The duplicate ACK before looks the same, but no limit of the host holds it back.
	ChallengesOldSYN = Behaviour{
		ID: "challenges-old-syn", Says: "takes its ACK to a SYN with an older timestamp for a challenge ACK (others: a duplicate ACK, which tcp_challenge_ack_limit does not concern)",
		From:    "tcp_validate_incoming; read in 6.1.141 (no), 6.6.87 (yes); run on 5.10.223, 6.1.176 (no), 6.12.117, 6.18.44, 7.2.13 (yes)",
		First:   No,
		Changes: []Change{{V(6, 1, 176), V(6, 6, 87), Yes}},
		RHEL6:   No, RHEL7: No,
	}
)
