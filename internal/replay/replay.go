// Package replay walks through a capture beside the model of one end's kernel:
// for each four-tuple it keeps everything that the kernel may hold, and holds every
// frame that the end sent against it. A frame is explained by a reply that the
// model predicted, by what an application may do in that state, or by a timer that
// may expire then. The first frame that nothing explains, and the first answer that
// had to come and did not, contradict the model.
package replay

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
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
	Frame uint64
	// Missing: it arrived, and the answer that it had to get did not come.
	Missing bool
	Segment string
	// Expected is what each possible state would have had the end do.
	Expected []string
}

// String tells it in a line.
func (u *Unexplained) String() string {
	what := "nothing explains"
	if u.Missing {
		what = "no answer came to"
	}
	return fmt.Sprintf("frame %d: %s %s; expected: %q", u.Frame, what, u.Segment, u.Expected)
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
}

// key is a four-tuple as the end sees it.
type key struct{ own, peer segment.Endpoint }

// run is one replay.
type run struct {
	host   *Host
	tuples map[key]*tuple
	order  []key
	gates  map[segment.Addr]listen.Gate
	result Result
}

// Replay walks through the segments of a capture, in its order. Segments that are
// neither to nor from the end are passed over.
func Replay(h *Host, segments []segment.Segment) Result {
	r := &run{host: h, tuples: map[key]*tuple{}, gates: map[segment.Addr]listen.Gate{}}
	for i := range segments {
		s := &segments[i]
		from, to := h.Owns(s.Src.Addr), h.Owns(s.Dst.Addr)
		if from == to {
			continue
		}
		if !r.overdue(s.Time) {
			return r.result
		}
		if to {
			r.result.Arrived++
			r.arrive(key{s.Dst, s.Src}, s)
			continue
		}
		r.result.Sent++
		if !r.sent(key{s.Src, s.Dst}, s) {
			return r.result
		}
	}
	return r.result
}

// of returns the four-tuple of k, which a segment is about to touch.
func (r *run) of(k key, s *segment.Segment) *tuple {
	t := r.tuples[k]
	if t == nil {
		t = &tuple{worlds: []world{{}}}
		if s.Flags&(segment.SYN|segment.ACK|segment.RST) != segment.SYN {
			t.worlds = append(t.worlds, world{at: atUnknown})
		}
		r.tuples[k] = t
		r.order = append(r.order, k)
	}
	return t
}

// arrive lets a segment meet everything that the end may hold.
func (r *run) arrive(k key, s *segment.Segment) {
	t := r.of(k, s)
	var next []world
	for _, w := range t.worlds {
		for _, w := range r.aged(w, s.Time) {
			next = append(next, r.received(k, t, w, s)...)
		}
	}
	t.set(next)
}

// sent looks for what explains a frame that the end sent. It returns false where
// nothing does.
func (r *run) sent(k key, s *segment.Segment) bool {
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
	t.set(next)
	return true
}

// set takes the worlds that are left, each once.
func (t *tuple) set(worlds []world) {
	seen := make(map[world]bool, len(worlds))
	t.worlds = t.worlds[:0]
	for _, w := range worlds {
		if !seen[w] {
			seen[w] = true
			t.worlds = append(t.worlds, w)
		}
	}
	if len(t.worlds) > maxWorlds {
		t.worlds = []world{{at: atUnknown}}
	}
}

// overdue drops the worlds that should have answered by now. It returns false
// where no world of a four-tuple is left.
func (r *run) overdue(now int64) bool {
	for _, k := range r.order {
		t := r.tuples[k]
		var late []owed
		left := t.worlds[:0:0]
		for _, w := range t.worlds {
			if o, ok := w.late(now); ok {
				late = append(late, o)
				continue
			}
			left = append(left, w)
		}
		if len(late) == 0 {
			continue
		}
		if len(left) == 0 {
			u := &Unexplained{Frame: late[0].frame, Missing: true}
			for _, o := range late {
				u.Expected = append(u.Expected, o.String())
			}
			slices.Sort(u.Expected)
			u.Expected = slices.Compact(u.Expected)
			r.result.Unexplained = u
			return false
		}
		t.worlds = left
	}
	return true
}

func text(s *segment.Segment) string { return string(segment.AppendPacketdrill(nil, s)) }
