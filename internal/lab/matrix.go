package lab

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// The axes of the matrix. A segment of each kind, at each place, with each
// timestamp, arrives once in each state under each setting.
var (
	probeFlags = []struct {
		flags segment.Flags
		len   uint32
	}{
		{segment.SYN, 0}, {segment.SYN, 10}, {segment.SYN | segment.ECE | segment.CWR, 0}, {segment.SYN | segment.PSH | segment.URG, 0},
		{segment.SYN | segment.ACK, 0}, {segment.SYN | segment.RST, 0}, {segment.SYN | segment.FIN, 0},
		{segment.RST, 0}, {segment.RST | segment.ACK, 0}, {segment.RST | segment.ACK, 10}, {segment.FIN | segment.ACK, 0}, {segment.FIN, 0},
		{segment.ACK, 0}, {segment.PSH | segment.ACK, 10}, {segment.FIN | segment.ACK, 10}, {segment.PSH, 10}, {0, 0},
	}
	// probeSeqs are the places: far left, the left edge and its neighbours, the
	// middle, the right edge and its neighbour, and the far side of the circle.
	probeSeqs = []struct{ seq, halfWindows uint32 }{
		{^uint32(0x2fffffff), 0}, {^uint32(9), 0}, {^uint32(0), 0}, {0, 0}, {1, 0}, {0, 1}, {^uint32(0), 2}, {0, 2}, {1, 2},
		{1<<31 - 1, 0}, {1 << 31, 0}, {1<<31 + 1, 0},
	}
	probeStamps = []struct {
		has bool
		val uint32
	}{
		{false, 0}, {true, 0}, {true, 1}, {true, ^uint32(0)}, {true, 1000}, {true, ^uint32(999)},
		{true, 1<<31 - 1}, {true, 1 << 31}, {true, 1<<31 + 1},
	}
	// probeACKs are added to snd_nxt: snd_una and its neighbour, beyond what was
	// sent, and far from it on both sides.
	probeACKs = []uint32{^uint32(1), ^uint32(0), 1, 1 << 20, ^uint32(1<<20 - 1), 1<<31 - 1, 1 << 31, 1<<31 + 1}
	// probeSettings are the defaults and what differs from them in one setting.
	probeSettings = []Settings{
		{}, {NoTimestamps: true}, {RFC1337: true}, {NoLimit: true}, {Cookies: true}, {NoListener: true}, {QueueFull: true},
		{QueueFull: true, Abort: true},
	}
)

// Parts are the parts of the matrix, by the names under which --only takes them.
var Parts = []string{"timewait", "finwait2", "live", "synrecv", "limits", "nosocket"}

// Matrix returns the stories of the parts named, of all parts where none is: one
// segment each, and where the state has one a follow-up. pairs adds every pair of
// settings to TIME_WAIT's. The seed chooses the initial numbers.
func Matrix(parts []string, pairs bool, seed uint64) ([]Story, error) {
	m := matrix{rng: rand.New(rand.NewPCG(seed, 1))}
	if len(parts) == 0 {
		parts = Parts
	}
	for _, p := range parts {
		switch p {
		case "timewait":
			m.timeWait(pairs)
		case "finwait2":
			for _, s := range probeSettings {
				m.cells(Story{State: FinWait2Orphan, Settings: s}, everything)
			}
		case "live":
			m.live()
		case "synrecv":
			for _, s := range []Settings{{}, {NoLimit: true}, {NoTimestamps: true}, {NoListener: true}, {QueueFull: true}, {QueueFull: true, Abort: true}} {
				m.cells(Story{State: SynRecv, Settings: s}, everything)
			}
		case "limits":
			m.limits()
		case "nosocket":
			for _, s := range []Settings{{}, {NoListener: true}, {QueueFull: true}, {Cookies: true}} {
				m.cells(Story{State: NoSocket, Settings: s}, everything)
			}
			m.cells(Story{State: FinWait2Orphan, Settings: Settings{NoTimeWait: true}}, everything)
			m.cells(Story{State: TimeWait, Path: ByFull, Settings: Settings{NoTimeWait: true}}, everything)
			m.cells(Story{State: TimeWait, Path: ByClosing, Settings: Settings{NoTimeWait: true}}, everything)
		default:
			return nil, fmt.Errorf("there is no part %q of the matrix (there are %v)", p, Parts)
		}
	}
	return m.stories, nil
}

type matrix struct {
	rng     *rand.Rand
	stories []Story
	before  []Step // arrive before the segment of each cell
}

// limits are the cells once more while the limiter of ACKs holds: after a SYN that
// was answered.
func (m *matrix) limits() {
	for _, x := range []struct {
		base Story
		seq  uint32 // of that SYN
		want func(segment.Flags) bool
	}{
		{Story{State: TimeWait}, 0, everything},
		{Story{State: TimeWait, Settings: Settings{NoListener: true}}, 0, everything},
		{Story{State: FinWait2Orphan}, ^uint32(999), everything},
		{Story{State: SynRecv}, ^uint32(0), everything}, // the pending one
		{Story{State: Established}, 0, everything},
		{Story{State: FinWait1}, 0, everything},
		{Story{State: CloseWait}, 0, everything},
	} {
		m.before = []Step{{Flags: segment.SYN, Seq: x.seq}}
		m.cells(x.base, x.want)
	}
	m.before = nil
}

func everything(segment.Flags) bool { return true }

// live are the cells of the synchronised states, and for segments with ACK those
// of other acknowledgements, at the places where something may come of them.
func (m *matrix) live() {
	for _, st := range []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, FinWait1Orphan, ClosingOrphan, LastAckOrphan} {
		for _, s := range []Settings{{}, {NoLimit: true}, {RFC1337: true}} {
			if s == (Settings{}) || st <= TimeWait { // what an application holds does not depend on settings
				m.cells(Story{State: st, Settings: s}, everything)
			}
		}
		m.acks(Story{State: st})
	}
	// What waits beyond a hole when the segment arrives.
	m.before = []Step{{Flags: segment.PSH | segment.ACK, Seq: 10, Len: 20}}
	m.cells(Story{State: Established}, everything)
	m.edges(30)
	m.before = []Step{{Flags: segment.FIN | segment.ACK, Seq: 10, Len: 20}}
	m.cells(Story{State: FinWait1}, everything)
	m.before = nil
}

// edges are segments around the right edge of what lies beyond a hole.
func (m *matrix) edges(at uint32) {
	for _, f := range []segment.Flags{segment.RST, segment.RST | segment.ACK, segment.ACK, segment.SYN} {
		for _, q := range []uint32{at - 1, at, at + 1} {
			for i := range 4 {
				m.stories = append(m.stories, Story{
					State: Established, IPv6: i&1 != 0, TS: i&2 != 0, ISS: number(m.rng), TSVal: number(m.rng),
					Steps: append(slices.Clone(m.before), Step{Flags: f, Seq: q}, Step{FollowUp: true}),
				})
			}
		}
	}
}

// acks are segments with the acknowledgements of probeACKs.
func (m *matrix) acks(base Story) {
	n := len(m.stories)
	m.cells(base, func(f segment.Flags) bool { return f&(segment.SYN|segment.RST|segment.ACK) == segment.ACK })
	all := slices.Clone(m.stories[n:])
	m.stories = m.stories[:n]
	for _, s := range all {
		st := &s.Steps[len(s.Steps)-2]
		if st.HalfWindows > 1 || st.Seq+2 > 3 || st.TSVal+1 > 2 {
			continue
		}
		for _, a := range probeACKs {
			t := s
			t.Steps = slices.Clone(s.Steps)
			t.Steps[len(t.Steps)-2].Ack = a
			m.stories = append(m.stories, t)
		}
	}
}

func (m *matrix) timeWait(pairs bool) {
	for i, s := range probeSettings {
		for _, p := range []Path{ByOrphan, ByFull, ByClosing} {
			if p == ByOrphan || i == 0 { // how it came about matters to the numbers, not to the settings
				m.cells(Story{State: TimeWait, Path: p, Settings: s}, everything)
			}
		}
		if !pairs || i == 0 {
			continue
		}
		for _, t := range probeSettings[i+1:] {
			m.cells(Story{State: TimeWait, Settings: both(s, t)}, everything)
		}
	}
}

// both returns the settings in which either differs from the defaults.
func both(a, b Settings) Settings {
	return Settings{
		NoTimestamps: a.NoTimestamps || b.NoTimestamps, RFC1337: a.RFC1337 || b.RFC1337, NoLimit: a.NoLimit || b.NoLimit,
		Cookies: a.Cookies || b.Cookies, NoListener: a.NoListener || b.NoListener, QueueFull: a.QueueFull || b.QueueFull,
		Abort: a.Abort || b.Abort, NoTimeWait: a.NoTimeWait || b.NoTimeWait,
	}
}

// cells adds a story for each segment, in both families, with and without
// timestamps on the connection.
func (m *matrix) cells(base Story, want func(segment.Flags) bool) {
	for _, ipv6 := range []bool{false, true} {
		for _, ts := range []bool{true, false} {
			for _, f := range probeFlags {
				if !want(f.flags) {
					continue
				}
				for _, q := range probeSeqs {
					for i, v := range probeStamps {
						if !ts && i > 1 {
							break // where the connection has none only their presence can matter
						}
						s := base
						s.IPv6, s.TS = ipv6, ts
						s.ISS, s.TSVal = number(m.rng), number(m.rng)
						s.Steps = append(slices.Clone(m.before),
							Step{Flags: f.flags, Len: f.len, Seq: q.seq, HalfWindows: q.halfWindows, HasTS: v.has, TSVal: v.val},
							Step{FollowUp: true})
						m.stories = append(m.stories, s)
					}
				}
			}
		}
	}
}

// number draws an initial number: often one close to where the circle closes, or
// to the point opposite.
func number(r *rand.Rand) seq.Num {
	switch r.IntN(4) {
	case 0:
		return seq.Of(uint32(r.IntN(12)) - 8)
	case 1:
		return seq.Of(1<<31 + uint32(r.IntN(12)) - 8)
	}
	return seq.Of(r.Uint32())
}
