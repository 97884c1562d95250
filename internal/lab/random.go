package lab

import (
	"math/rand/v2"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxWalk is the most segments that a random story has.
const maxWalk = 5

// Random returns random stories with at least so many steps in all, drawn from
// the seed. Where the state has one each ends with a follow-up.
func Random(probes int, seed uint64) []Story {
	r := rand.New(rand.NewPCG(seed, 2))
	// Few settings a run, so that many connections share a batch.
	settings := []Settings{{}}
	for range 7 {
		settings = append(settings, randomSettings(r))
	}
	var out []Story
	for probes > 0 {
		s := randomStory(r, settings[r.IntN(len(settings))])
		probes -= len(s.Steps)
		s.Steps = append(s.Steps, Step{FollowUp: true})
		out = append(out, s)
	}
	return out
}

func randomSettings(r *rand.Rand) Settings {
	one := func() bool { return r.IntN(4) == 0 }
	return Settings{NoTimestamps: one(), RFC1337: one(), NoLimit: one(), Cookies: one(), NoListener: one(), QueueFull: one(), Abort: one()}
}

// randomStates are drawn from in equal parts: TIME_WAIT is what it is about most.
var randomStates = []State{
	TimeWait, TimeWait, TimeWait, TimeWait, TimeWait, TimeWait, FinWait2Orphan, FinWait2Orphan, FinWait2Orphan,
	SynRecv, SynRecv, Established, Established, FinWait1, FinWait1, FinWait2, CloseWait, Closing, LastAck, NoSocket,
	FinWait1Orphan, ClosingOrphan, LastAckOrphan,
}

func randomStory(r *rand.Rand, set Settings) Story {
	s := Story{
		State: randomStates[r.IntN(len(randomStates))], Path: Path(r.IntN(3)), IPv6: r.IntN(2) == 0, TS: r.IntN(4) > 0,
		ISS: number(r), TSVal: number(r), Settings: set,
	}
	for range 1 + r.IntN(maxWalk) {
		s.Steps = append(s.Steps, randomStep(r))
	}
	return s
}

func randomStep(r *rand.Rand) Step {
	f := probeFlags[r.IntN(len(probeFlags))]
	st := Step{Flags: f.flags, Len: f.len, Wait: r.IntN(6) == 0}
	if r.IntN(8) == 0 {
		st.Flags = segment.Flags(r.IntN(1 << 9))
	}
	switch r.IntN(8) {
	case 0, 1, 2: // rcv_nxt itself
	case 3, 4:
		st.Seq = uint32(r.IntN(7)) - 3
	case 5:
		st.Seq = r.Uint32()
	default:
		q := probeSeqs[r.IntN(len(probeSeqs))]
		st.Seq, st.HalfWindows = q.seq, q.halfWindows
	}
	switch r.IntN(4) {
	case 0:
		st.Ack = r.Uint32()
	case 1:
		st.Ack = uint32(r.IntN(7)) - 3
	}
	switch r.IntN(8) {
	case 0, 1, 2: // none
	case 3:
		st.HasTS, st.TSVal = true, r.Uint32()
	case 4, 5:
		st.HasTS, st.TSVal = true, uint32(r.IntN(7))-3
	default:
		v := probeStamps[r.IntN(len(probeStamps))]
		st.HasTS, st.TSVal = v.has, v.val
	}
	if r.IntN(10) == 0 {
		st.Len = uint32(r.IntN(1200))
	}
	return st
}
