package kernel

// Count is a number of things that may not be known. The zero value is unknown.
type Count struct {
	N     uint32
	Known bool
}

// NoChallengeLimit is the value of tcp_challenge_ack_limit from which on there is
// no limit (INT_MAX; a negative value lies behind it).
const NoChallengeLimit = 1<<31 - 1

// SpentChallenges tells whether the host holds every challenge ACK back until its
// next second begins, because it has sent as many as tcp_challenge_ack_limit
// allows (tcp_send_challenge_ack, RFC 5961 §7).
func (h *Host) SpentChallenges() Reading {
	if r := h.challengesUnlimited(); r.Answer == Yes {
		return r.Not()
	}
	if h.ChallengesSpent != Unknown {
		return Setting(h.ChallengesSpent, "the host has sent its challenge ACKs of this second", "the host may send more challenge ACKs this second", FactChallenges)
	}
	least, most, why := h.challengeBudget()
	sent := h.Challenges
	switch {
	case most == 0 && why.Answer == Yes:
		return Read(Yes, "tcp_challenge_ack_limit = 0")
	case !sent.Known && why.Answer == Yes:
		return Missing(FactChallenges, "how many challenge ACKs the host has sent this second is not known")
	case !sent.Known:
		return why
	case sent.N < least:
		return Read(No, "of at least %d challenge ACKs this second the host has sent %d", least, sent.N)
	case sent.N >= most && most > 0:
		return Read(Yes, "of at most %d challenge ACKs this second the host has sent %d", most, sent.N)
	case why.Answer != Yes:
		return why
	}
	return Missing(FactChallenges, "the host has drawn how many challenge ACKs it sends this second, %d to %d, and has sent %d", least, most, sent.N)
}

// challengesUnlimited: there is no limit for the whole host.
func (h *Host) challengesUnlimited() Reading {
	switch limit := h.ChallengeLimit; {
	case limit.Known && limit.N == 0:
		return h.Profile.Has(&ZeroLimitsNoChallenges)
	case limit.Known:
		return YesIf(limit.N >= NoChallengeLimit, "tcp_challenge_ack_limit = %d", limit.N)
	case h.UsualChallengeLimit:
		return h.Profile.Has(&LimitsChallenges).Not()
	}
	return Missing(FactChallengeLimit, "tcp_challenge_ack_limit is not known")
}

// challengeBudget bounds how many challenge ACKs the host sends in one second; why
// is Yes where the bounds are those of its kernel and limit. Otherwise it tells
// what is missing for that, and the bounds hold for all that it may be; most is 0
// where nothing bounds it.
func (h *Host) challengeBudget() (least, most uint32, why Reading) {
	draws := h.Profile.Has(&DrawsChallengeLimit)
	drawn := func(n uint32) (least, most uint32) { return (n + 1) / 2, (n+1)/2 + n - 1 }
	switch unlimited := h.challengesUnlimited(); {
	case h.ChallengeLimit.Known && h.ChallengeLimit.N == 0:
		return 0, 0, unlimited.Not()
	case h.ChallengeLimit.Known && draws.Answer == No:
		return h.ChallengeLimit.N, h.ChallengeLimit.N, Read(Yes, "")
	case h.ChallengeLimit.Known: // what may be drawn lies around the limit
		least, most = drawn(h.ChallengeLimit.N)
	case !h.UsualChallengeLimit:
		return 0, 0, unlimited
	case unlimited.Answer == Unknown:
		return 100, 0, unlimited
	case draws.Answer == Yes:
		least, most = drawn(1000)
	case draws.Answer == No:
		return 100, 100, Read(Yes, "")
	default:
		_, most = drawn(1000)
		return 100, most, draws
	}
	if draws.Answer == Unknown {
		return least, most, draws
	}
	return least, most, Read(Yes, "")
}
