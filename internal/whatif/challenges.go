package whatif

import "github.com/tcpwhy/tcpwhy/internal/kernel"

// challenging is the host with what limits its challenge ACKs besides the socket:
// the default of its kernel where tcp_challenge_ack_limit is not given, and how
// many it has sent this second.
func (q *Question) challenging() kernel.Host {
	h := q.host
	h.UsualChallengeLimit = !q.values.has("tcp_challenge_ack_limit")
	n := q.values.num("challenges")
	h.Challenges = kernel.Count{N: n.Uint32(), Known: n.Known}
	return h
}
