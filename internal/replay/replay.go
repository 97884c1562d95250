// Package replay walks through a capture beside the model of one end's kernel:
// for each four-tuple it keeps everything that the kernel may hold, and holds every
// frame that the end sent against it. A frame is explained by a reply that the
// model predicted, by what an application may do in that state, or by a timer that
// may expire then. The first frame that nothing explains, and the first answer that
// had to come and did not, contradict the model.
package replay

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Host is the end that is replayed: its kernel, and the settings that are known.
type Host struct {
	// Host has the settings; Listener, AcceptQueueFull and SynCookies are worked
	// out for each SYN and are not looked at here.
	kernel.Host
	// Owns tells whether an address is this end's.
	Owns func(segment.Addr) bool
	// SynCookies is net.ipv4.tcp_syncookies.
	SynCookies kernel.Num
	// MaxTWBuckets is net.ipv4.tcp_max_tw_buckets.
	MaxTWBuckets kernel.Num
	// FinTimeout is net.ipv4.tcp_fin_timeout.
	FinTimeout kernel.Duration
	// Reuse is net.ipv4.tcp_tw_reuse.
	Reuse kernel.Num
	// Timers are the sysctls that say how often something is repeated.
	Timers timers.Settings
}

// Way is how a frame is explained.
type Way uint8

// The ways, the strictest first: where several hold, the first counts.
const (
	// ByReply: the model predicted it, field by field, when a segment arrived.
	ByReply Way = iota
	// ByAcknowledging: what arrived was acknowledged, at the latest when the delayed
	// ACK's time was over.
	ByAcknowledging
	// ByTimer: something not acknowledged was repeated, or a probe was due.
	ByTimer
	// ByApplication: connect, send, receive, close or abort, where the state allows it.
	ByApplication
	// ByIgnorance: the connection is older than the capture.
	ByIgnorance
	Ways
)

// String names the way.
func (w Way) String() string {
	return [...]string{"reply", "acknowledging", "timer", "application", "older than the capture"}[w]
}

// Result is what a replay found.
type Result struct {
	Arrived, Sent int
	// By counts the frames that the end sent by how they are explained.
	By [Ways]int
	// Unexplained is the first frame that contradicts the model; nil if there is
	// none. The replay ends there.
	Unexplained *Unexplained
}

// Unexplained is a frame that contradicts the model.
type Unexplained struct {
	Frame uint64 `json:"frame"`
	// Missing: something had to follow the frame, and did not come.
	Missing bool   `json:"missing"`
	Segment string `json:"segment,omitempty"`
	// Expected is what each possible state held, or what had to come.
	Expected []string `json:"expected"`
}

// String tells it in a line.
func (u *Unexplained) String() string {
	if u.Missing {
		return fmt.Sprintf("frame %d: what had to follow did not come: %q", u.Frame, u.Expected)
	}
	return fmt.Sprintf("frame %d: nothing explains %s; what the end may have held: %q", u.Frame, u.Segment, u.Expected)
}

const (
	// promptly is how long a kernel may take to answer what it answers at once, on
	// an emulated machine that is busy.
	promptly = 150 * time.Millisecond
	// delayed is how long an ACK may wait (TCP_DELACK_MAX), with the same allowance.
	delayed = 200*time.Millisecond + promptly
	// racing is how long what arrived may lie unread while the end sends something.
	racing = 5 * time.Millisecond
	// maxWorlds bounds what is kept for one four-tuple. Beyond it the four-tuple
	// is given up as unknown.
	maxWorlds = 64
)

// tuple is what is known of one four-tuple.
type tuple struct {
	worlds []world
	isn    isnLine
	clock  tsClock
	// syn is the last SYN that arrived.
	syn segment.Segment
}

// key is a four-tuple as the end sees it.
type key struct{ own, peer segment.Endpoint }

// Replay walks through the segments of a capture, in its order.
func Replay(h *Host, segments []segment.Segment) Result {
	r := New(h)
	for i := range segments {
		if !r.Take(&segments[i]) {
			break
		}
	}
	return r.Result()
}

// Replayer is a replay that is going on. Its memory grows with the number of
// four-tuples.
type Replayer struct {
	host   *Host
	tuples map[key]*tuple
	order  []key
	// on has the four-tuples of each own endpoint: those of a listener.
	on     map[segment.Endpoint][]key
	gates  map[segment.Addr]listen.Gate
	result Result
	// soonest is the earliest moment at which something may be overdue.
	soonest int64
}

// New begins a replay.
func New(h *Host) *Replayer {
	return &Replayer{
		host: h, tuples: map[key]*tuple{}, on: map[segment.Endpoint][]key{}, gates: map[segment.Addr]listen.Gate{},
		soonest: math.MaxInt64,
	}
}

// Result is what was found so far.
func (r *Replayer) Result() Result { return r.result }

// Take takes the next segment of the capture; one that is neither to nor from the
// end is passed over. It returns false once something contradicts the model, and
// takes nothing more.
func (r *Replayer) Take(s *segment.Segment) bool {
	if r.result.Unexplained != nil {
		return false
	}
	from, to := r.host.Owns(s.Src.Addr), r.host.Owns(s.Dst.Addr)
	switch {
	case from == to:
		return true
	case !r.overdue(s.Time):
		return false
	case to:
		r.result.Arrived++
		r.arrive(key{s.Dst, s.Src}, s)
		return true
	}
	r.result.Sent++
	return r.sent(key{s.Src, s.Dst}, s)
}

// of returns the four-tuple of k, which a segment is about to touch.
func (r *Replayer) of(k key, s *segment.Segment) *tuple {
	t := r.tuples[k]
	if t == nil {
		t = &tuple{worlds: []world{{}}}
		if s.Flags&(segment.SYN|segment.ACK|segment.RST) != segment.SYN {
			t.worlds = append(t.worlds, world{at: atUnknown})
		}
		r.tuples[k] = t
		r.order = append(r.order, k)
		r.on[k.own] = append(r.on[k.own], k)
	}
	return t
}

// arrive lets a segment meet everything that the end may hold.
func (r *Replayer) arrive(k key, s *segment.Segment) {
	t := r.of(k, s)
	if s.Flags&(segment.SYN|segment.ACK) == segment.SYN {
		t.syn = *s
		t.syn.RawOptions = nil // the reader's
	}
	var next []world
	for _, w := range t.worlds {
		for _, w := range r.aged(w, s.Time) {
			next = append(next, r.received(k, t, w, s)...)
		}
	}
	r.set(t, next)
}

// sent looks for what explains a frame that the end sent. It returns false where
// nothing does.
func (r *Replayer) sent(k key, s *segment.Segment) bool {
	t := r.of(k, s)
	if !t.clock.fits(r, s) {
		r.result.Unexplained = &Unexplained{Frame: s.Frame, Segment: text(s), Expected: []string{
			fmt.Sprintf("a TSval at the pace of the clock since %s, %v before", t.clock.val, time.Duration(s.Time-t.clock.at)),
		}}
		return false
	}
	t.clock.note(s)
	best := Ways
	var next []world
	var expected []string
	for _, w := range t.worlds {
		for _, w := range r.aged(w, s.Time) {
			steps := r.explain(t, w, s)
			if len(steps) == 0 {
				expected = append(expected, w.String())
			}
			for _, st := range steps {
				best = min(best, st.way)
				next = append(next, st.world)
			}
		}
	}
	if len(next) == 0 {
		slices.Sort(expected)
		r.result.Unexplained = &Unexplained{Frame: s.Frame, Segment: text(s), Expected: slices.Compact(expected)}
		return false
	}
	r.result.By[best]++
	if s.Flags.Has(segment.SYN) {
		t.isn.note(s, next)
	}
	r.set(t, next)
	return true
}

// set takes the worlds that are left, each once.
func (r *Replayer) set(t *tuple, worlds []world) {
	t.worlds = t.worlds[:0]
	for i := range worlds {
		if w := &worlds[i]; !slices.Contains(t.worlds, *w) {
			t.worlds = append(t.worlds, *w)
			r.soonest = min(r.soonest, w.deadline())
		}
	}
	if len(t.worlds) > maxWorlds {
		t.worlds = []world{{at: atUnknown}}
	}
}

// overdue drops the worlds that should have sent something by now. It returns
// false where no world of a four-tuple is left.
func (r *Replayer) overdue(now int64) bool {
	if now <= r.soonest {
		return true
	}
	r.soonest = math.MaxInt64
	for _, k := range r.order {
		t := r.tuples[k]
		var late []world
		left := t.worlds[:0:0]
		for _, w := range t.worlds {
			d := w.deadline()
			switch {
			case now > d && w.n == 0 && w.so.mayGiveUp(now):
				left = append(left, w.hold(atNothing))
			case now > d:
				late = append(late, w)
			default:
				left = append(left, w)
				r.soonest = min(r.soonest, d)
			}
		}
		if len(late) > 0 && len(left) == 0 {
			r.result.Unexplained = missing(late)
			return false
		}
		t.worlds = left
	}
	return true
}

// missing says what did not come.
func missing(late []world) *Unexplained {
	u := &Unexplained{Missing: true}
	for i := range late {
		o := late[i].first()
		if u.Frame == 0 {
			u.Frame = o.frame
		}
		u.Expected = append(u.Expected, o.String())
	}
	slices.Sort(u.Expected)
	u.Expected = slices.Compact(u.Expected)
	return u
}

func text(s *segment.Segment) string { return string(segment.AppendPacketdrill(nil, s)) }
