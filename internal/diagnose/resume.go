package diagnose

import (
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// longPast is from how many frames of attempts on a replay is worth remembering. Hardly any
// real four-tuple has as many.
const longPast = 16

// replays remembers how far each replay came, for the attempt in work: the next of its SYNs goes
// on from there. Replayed from the start for every SYN, a SYN that comes 320 times for a connection
// that still lives took 6.4 s; so it takes 0.4 s.
type replays struct {
	of, whole *flow.Connection
	// lists are what the peer sent behind a frame, by the number of that frame.
	lists  map[uint64]pastFrames
	states map[replayKey]*replayed
	watch  kernel.Watch
}

// pastFrames are the frames that a replay runs through before the SYN in frame until.
type pastFrames struct {
	until  uint64
	frames []flow.Frame
}

// replayKey is what a replay depends on beside the frames.
type replayKey struct {
	kind        kind
	tw          timewait.Socket
	live        live.Socket
	from, since flow.Point
	host        kernel.Host
}

// replayed is a replay as far as it came.
type replayed struct {
	state  state
	done   int   // frames
	before state // where the last of them ended what was held: the state before it
	asked  []kernel.Consulted
}

// goOn runs the model over the frames that were not done yet. A frame by which what was held
// ended is looked at once more: since then there may be an answer that contradicts it.
func (q *asked) goOn(r *replayed, host *kernel.Host, frames []flow.Frame) {
	if r.done > 0 && r.state.kind == nothing {
		if !q.contradicted(&frames[r.done-1], &r.state) {
			return
		}
		r.state = r.before
	}
	for r.done < len(frames) {
		f := &frames[r.done]
		before := r.state
		switch r.state.kind {
		case twTrue, twOrphan:
			r.state.timeWait(q.e.mem, f, host)
		case alive:
			r.state.alive(q.e.mem, f, host)
		case nothing:
			return
		}
		r.done++
		if r.state.kind != nothing {
			continue
		}
		if !q.contradicted(f, &r.state) {
			r.before = before
			return
		}
		r.state = before // the segment did not arrive, or not so
	}
}

// resume is replay for who has a long past.
func (q *asked) resume(h *holding, host *kernel.Host) state {
	frames := q.pastFrames(h.from)
	m := &q.e.replays
	watched, own := host.Profile, *host
	own.Profile = watched.Watched(&m.watch) // and so equal for all that is asked of one kernel
	key := replayKey{h.kind, h.tw, h.live, h.from, h.since, own}
	r := m.states[key]
	if r == nil {
		r = &replayed{state: state{holding: *h}}
		m.states[key] = r
	}
	q.goOn(r, &own, frames)
	for _, x := range m.watch.Asked {
		if !slices.Contains(r.asked, x) {
			r.asked = append(r.asked, x)
		}
	}
	for _, x := range r.asked {
		watched.Has(x.Behaviour) // who watches now must hear of what was asked before, too
	}
	s := r.state
	// What r has of these may lie in the memory of an answer that is over (scratch): it is this one's that counts.
	s.why, s.frames, s.assumes, s.reset, s.byEnd, s.closedSecond = h.why, h.frames, h.assumes, h.reset, h.byEnd, h.closedSecond
	s.rearmed = slices.Clip(s.rearmed)
	return s
}

// longPast tells whether the attempts since the old connection have many frames.
func (q *asked) longPast() bool {
	n := 0
	for x := q.c; x != nil && x != q.whole; x = x.Previous {
		n += len(x.Frames)
	}
	return n >= longPast
}

// pastFrames returns what the peer sent behind a point and before the SYN. If that does not
// begin with what it was for an earlier SYN, no replay is remembered.
func (q *asked) pastFrames(after flow.Point) []flow.Frame {
	m := &q.e.replays
	if m.of != q.c || m.whole != q.whole {
		*m = replays{of: q.c, whole: q.whole, lists: map[uint64]pastFrames{}, states: map[replayKey]*replayed{}}
	}
	l, ok := m.lists[after.Frame]
	if ok && l.until == q.r().syn.Frame {
		return l.frames
	}
	now := pastFrames{q.r().syn.Frame, slices.Clone(q.between(after))} // outlives the answer
	if len(now.frames) < len(l.frames) || !slices.EqualFunc(l.frames, now.frames[:len(l.frames)], func(a, b flow.Frame) bool { return a.Frame == b.Frame }) {
		clear(m.states)
		clear(m.lists)
	}
	m.lists[after.Frame] = now
	return now.frames
}
