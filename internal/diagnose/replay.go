package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// state is a holding brought forward to the moment of the SYN.
type state struct {
	holding
	// goneBy is the frame that ended it and the rule by which it did.
	goneBy    *flow.Frame
	goneRule  string
	goneReply kernel.ReplyKind // what the model says was answered
	// rearmed are the frames that started the 60 s anew.
	rearmed []uint64
	// perhaps is the last frame since tw.Armed of which it is not known whether
	// this kernel arms it anew by it.
	perhaps flow.Point
	// sawSYN: an earlier SYN that the model would have accepted stayed
	// without an answer (its ISN may have been left to the next one).
	sawSYN bool
}

// replay runs the model over what reached the end since the holding began.
func (q *asked) replay(h *holding, host *kernel.Host) state {
	if q.longPast() {
		return q.resume(h, host)
	}
	return q.replayFrames(h, host, q.between(h.from))
}

// survival is how what an end held outlived a RST that the capture shows.
type survival uint8

const (
	obeyed    survival = iota // it did not, or there was none
	protected                 // tcp_rfc1337 = 1
	rstLost                   // the RST did not arrive
)

// survivals lists the ways that must be tried: more than one only where a RST of the
// peer would have ended it.
func (q *asked) survivals(h *holding) []survival {
	out := []survival{obeyed}
	host := q.server.host(q.server.suspects[len(q.server.suspects)-1].Profile, q.ipv6)
	st := q.replay(h, &host)
	if st.kind != nothing || st.goneBy == nil || !st.goneBy.Flags.Has(rstFlag) {
		return out
	}
	if st.goneRule == "rst-kills" && q.server.facts.answer(kernel.FactRFC1337) == kernel.Unknown {
		out = append(out, protected)
	}
	return append(out, rstLost)
}

// replayAs replays in one of these ways; host is set to match.
func (q *asked) replayAs(h *holding, host *kernel.Host, sv survival) state {
	switch sv {
	case protected:
		host.RFC1337 = kernel.Yes
	case rstLost:
		return q.replayLost(h, host)
	case obeyed:
	}
	return q.replay(h, host)
}

// assumes is what a way of surviving needs.
func (sv survival) assumes() []Assumption {
	switch sv {
	case protected:
		return []Assumption{assumeRFC1337}
	case rstLost:
		return []Assumption{assumeRSTLost}
	case obeyed:
	}
	return nil
}

// replayLost does the same as if no RST of the peer had arrived.
func (q *asked) replayLost(h *holding, host *kernel.Host) state {
	var rest []flow.Frame
	for _, f := range q.between(h.from) {
		if !f.Flags.Has(rstFlag) {
			rest = append(rest, f)
		}
	}
	return q.replayFrames(h, host, rest)
}

func (q *asked) replayFrames(h *holding, host *kernel.Host, frames []flow.Frame) state {
	if len(frames) == 0 {
		return state{holding: *h}
	}
	r := replayed{state: state{holding: *h}}
	q.goOn(&r, host, frames)
	return r.state
}

// earlier lists the rounds since the old connection and before this one, those of
// attempts in between among them.
func (q *asked) earlier() []round {
	if q.past == nil {
		q.past = []round{}
		for x := q.c.Previous; x != nil && x != q.whole; x = x.Previous {
			q.past = append(roundsOf(x), q.past...)
		}
		q.past = append(q.past, q.rounds[:q.i]...)
	}
	return q.past
}

// contradicted: what the model says of a segment is refuted by what came after it:
// an answer that it does not predict, or a later one from what it would have ended.
func (q *asked) contradicted(f *flow.Frame, s *state) bool {
	for _, r := range q.earlier() {
		if r.syn.Frame == f.Frame && s.goneReply != r.kind {
			return true
		}
		if r.syn.Frame > f.Frame && r.kind == kernel.ReplyACK {
			return true
		}
	}
	return false
}

func (s *state) timeWait(m *scratch, f *flow.Frame, host *kernel.Host) {
	c := m.tws.one()
	*c = timewait.Case{Socket: s.tw, Host: *host, Segment: segmentOf(f), Now: f.Time}
	m.outcomes = timewait.AppendOutcomes(m.outcomes[:0], c)
	o := &m.outcomes[len(m.outcomes)-1] // the last is what happens if nothing special does
	if isSYN(f) && (o.Rule == "syn-accepted" || o.Rule == "syn-fin" || o.Rule == "syn-queue-full") {
		s.sawSYN = true
		if o.Rule == "syn-accepted" {
			// The capture shows that it was not answered with a SYN-ACK, or
			// there would be a later connection: leave it where it is.
			return
		}
	}
	if o.Gone {
		s.kind, s.goneBy, s.goneRule, s.goneReply = nothing, f, o.Rule, o.Reply.Kind
		s.since = f.Point()
		return
	}
	s.arm(o.After, f)
	if s.kind == twOrphan && s.tw.Substate == timewait.TimeWait {
		s.kind, s.since = twTrue, f.Point()
	}
}

// arm takes what the socket is after a segment. Where it is not known whether that
// armed it anew, both courses are kept: the model's socket cannot hold them.
func (s *state) arm(after timewait.Socket, f *flow.Frame) {
	armed := s.tw.Armed
	s.tw = after
	switch {
	case after.Armed == 0 && armed != 0:
		s.tw.Armed, s.perhaps = armed, f.Point()
	case after.Armed != armed:
		s.rearmed, s.perhaps = append(s.rearmed, f.Frame), flow.Point{}
	}
}

// oldest and youngest bound how long ago a TIME_WAIT was armed last. It may be over
// once the oldest is long enough, and must be once the youngest is.
func (s *state) oldest(now int64) time.Duration { return time.Duration(now - s.tw.Armed) }

func (s *state) youngest(now int64) time.Duration {
	return time.Duration(now - max(s.tw.Armed, s.perhaps.Time))
}

// heldFor is how long ago it was armed last in a course in which it is still there.
func (s *state) heldFor(now int64) time.Duration {
	if age := s.oldest(now); age <= longest(kernel.Profile{}) {
		return age
	}
	return s.youngest(now)
}

// perhapsRearmed is the evidence that leaves both courses, if there is any.
func (s *state) perhapsRearmed() []report.Evidence {
	if !s.perhaps.Seen() {
		return nil
	}
	e := note(fmt.Sprintf("the segment in frame %d may have started the 60 s anew, which depends on the kernel", s.perhaps.Frame), s.perhaps.Frame)
	e.Answer = kernel.Unknown.String()
	return []report.Evidence{e}
}

func (s *state) alive(m *scratch, f *flow.Frame, host *kernel.Host) {
	if f.Flags&(rstFlag|synFlag) == 0 {
		return // it belongs to the connection; the marks have it
	}
	c := m.lives.one()
	*c = live.Case{Socket: s.live, Host: *host, Segment: segmentOf(f), Now: f.Time}
	o := &live.Outcomes(c)[0]
	if o.Gone {
		s.kind, s.goneBy, s.goneRule, s.goneReply = nothing, f, o.Rule, o.Reply.Kind
		s.since = f.Point()
		return
	}
	s.live = o.After
}
