package diagnose

import (
	"math"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// The states that no socket of package live is in.
const (
	stateSynSent  = "SYN_SENT"
	stateTimeWait = "TIME_WAIT"
	stateClosed   = "CLOSED"
	stateUnknown  = "?"
)

// lane collects the states of one end in the order of time.
type lane struct {
	mem   *scratch
	t     stretch
	spans []report.Span
	// assumed is put on whatever begins.
	assumed bool
}

// begin starts a state; one that goes on already is left alone.
func (l *lane) begin(state string, at flow.Point) *report.Span {
	if n := len(l.spans); n > 0 && l.spans[n-1].State == state {
		return &l.spans[n-1]
	}
	return l.anew(state, at)
}

// anew starts a state even where it goes on already.
func (l *lane) anew(state string, at flow.Point) *report.Span {
	from := max(atS(at.Time, l.t), 0)
	if n := len(l.spans); n > 0 {
		last := &l.spans[n-1]
		from = max(from, last.FromS)
		last.ToS = from
		if last.FromS == from { // it took no time that the capture shows
			l.spans = l.spans[:n-1]
		}
	}
	l.spans = append(l.spans, report.Span{State: state, FromS: from, Frame: at.Frame, Assumed: l.assumed})
	return &l.spans[len(l.spans)-1]
}

func atS(t int64, s stretch) float64 { return at(t, s.from) }

// finish ends the last span with the ladder.
func (l *lane) finish() []report.Span {
	if n := len(l.spans); n > 0 {
		l.spans[n-1].ToS = max(atS(l.t.to, l.t), l.spans[n-1].FromS)
	}
	return l.spans
}

// lanes tells the states of both ends, over the ladder's time.
func (f *finding) lanes(conns []*flow.Connection, t stretch) []report.Lane {
	out := f.mem.lanes.take(2)
	for _, s := range []flow.Side{flow.Opener, flow.Listener} {
		l := lane{mem: f.mem, t: t, spans: f.mem.spans.take(8)}
		end := f.c.Ends[s].Endpoint
		for _, c := range conns {
			f.lane(&l, c, end)
		}
		if spans := l.finish(); len(spans) > 0 {
			out = append(out, report.Lane{End: name(s), Spans: spans})
		}
	}
	return out
}

// lane adds what one connection makes of an end.
func (f *finding) lane(l *lane, c *flow.Connection, end segment.Endpoint) {
	s := sideOf(c, end)
	if other := f.c.Ends[sideOf(f.c, end).Other()].Endpoint; c.Ends[s].Endpoint != end || c.Ends[s.Other()].Endpoint != other {
		return // what came from another address, or to one
	}
	q := f.q
	asked := q != nil && end == q.c.Ends[flow.Listener].Endpoint
	switch {
	case q != nil && c == q.whole:
		l.opens(q.p, s)
		l.closes(q.p, s)
		if asked {
			f.holds(l)
			return
		}
		l.rests(q.p, s, q.client, q.c.First.Time)
		if n := len(l.spans); n > 0 && !slices.Contains([]string{stateClosed, stateTimeWait, stateSynSent}, l.spans[n-1].State) {
			// An end that still held it would not open again: when it lost it is not known.
			l.begin(stateUnknown, later(q.p.Ends[s].Last.Point, flow.Point{Frame: l.spans[n-1].Frame, Time: l.t.from + int64(l.spans[n-1].FromS*1e9)})).Frame = 0
		}
	case asked && c != q.c:
		// What the end held answers the attempts in between: see holds.
	default:
		l.assumed = false
		l.opens(c, s)
		l.closes(c, s)
		l.rests(c, s, hostView{}, l.t.to)
	}
}

// opens adds the states of the handshake.
func (l *lane) opens(c *flow.Connection, s flow.Side) {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	if c.MidStream {
		l.begin(live.Established.String(), c.First)
		return
	}
	if s == flow.Opener {
		if e.ISN.Seen() {
			l.begin(stateSynSent, e.ISN.Point)
		}
		if p.ISN.Seen() && (e.RcvNxt.Seen() && e.RcvNxt.Num.After(p.ISN.Num) || p.ISNImplied) {
			l.begin(live.Established.String(), p.ISN.Point)
		}
		return
	}
	if !e.ISN.Seen() {
		return
	}
	l.begin(live.SynRecv.String(), e.ISN.Point)
	if !p.RcvNxt.Seen() || !p.RcvNxt.Num.After(e.ISN.Num) {
		return
	}
	// Only an attempt on a four-tuple with a past has all its frames.
	for i := range c.Frames {
		if fr := &c.Frames[i]; c.Previous != nil && fr.From != s && fr.Frame > e.ISN.Frame && fr.Flags.Has(segment.ACK) && fr.Ack == e.ISN.Num.Add(1) && (!e.FIN.Seen() || fr.Frame < e.FIN.Frame) {
			l.begin(live.Established.String(), fr.Point())
			return
		}
	}
	l.begin(live.Established.String(), e.ISN.Point).Note = "SYN_RECV until the last ACK of the handshake, which was not kept"
}

// closes adds the states that the FINs lead through (RFC 9293 figure 5).
func (l *lane) closes(c *flow.Connection, s flow.Side) {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	if !closedActively(c, s) {
		if p.FIN.Seen() {
			l.begin(live.CloseWait.String(), p.FIN.Point)
		}
		if e.FIN.Seen() {
			l.begin(live.LastAck.String(), e.FIN.Point)
		}
		return
	}
	l.begin(live.FinWait1.String(), e.FIN.Point)
	switch {
	case p.FIN.Seen() && (!e.FINAcked.Seen() || e.FINAcked.Frame > p.FIN.Frame):
		l.begin(live.Closing.String(), later(e.FIN.Point, p.FIN.Point))
	case e.FINAcked.Seen() && e.FINAcked.Frame != p.FIN.Frame:
		l.begin(live.FinWait2.String(), e.FINAcked)
	}
}

// rests adds what an end whose doing is not asked about holds after that.
func (l *lane) rests(c *flow.Connection, s flow.Side, v hostView, until int64) {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	if s == flow.Opener && !c.MidStream && (!p.ISN.Seen() || c.State < flow.Established) {
		if p.RST.Seen() {
			l.begin(stateClosed, p.RST.Point)
		}
		return // a SYN that was not answered is repeated
	}
	if s == flow.Listener && !c.MidStream && !e.ISN.Seen() {
		return
	}
	h := l.mem.holdingsAt(c, s, math.MaxUint64)[0]
	if c.State == flow.Reset && h.kind == alive {
		l.begin(stateClosed, c.EndedAt)
		return
	}
	l.holding(h)
	switch h.kind {
	case twTrue:
		l.timer(h.tw.Armed, h.tw.Armed, timeWaitBounds(v.likeliest(nil)))
	case twOrphan:
		l.timer(h.since.Time, h.since.Time, v.orphanBounds())
	case nothing, alive:
		return
	}
	l.expire(until)
}

// holding begins what an end holds.
func (l *lane) holding(h holding) {
	was := l.assumed
	l.assumed = was || len(h.assumes) > 0
	switch h.kind {
	case nothing:
		l.begin(stateClosed, h.since)
	case twTrue:
		l.begin(stateTimeWait, h.since)
	case twOrphan:
		l.begin(live.FinWait2.String(), h.since)
	case alive:
		if h.live.State == live.UnknownState {
			l.begin(stateUnknown, h.since)
		} else {
			l.begin(h.live.State.String(), h.since)
		}
	}
	l.assumed = was
}

// bounds are how long a timer runs at least and at most.
type bounds [2]time.Duration

func timeWaitBounds(p kernel.Profile) bounds {
	lo, hi := timewait.Lifetime(p)
	return bounds{lo, hi}
}

// timer says when the last span ends by itself, armed at one time or perhaps at a later one.
func (l *lane) timer(armed, perhaps int64, b bounds) {
	if n := len(l.spans); n > 0 && armed != 0 {
		l.spans[n-1].EndsS = []float64{atS(armed+int64(b[0]), l.t), atS(max(armed, perhaps)+int64(b[1]), l.t)}
	}
}

// expire ends the last span at the latest end of its timer, if that is before a time.
func (l *lane) expire(until int64) {
	n := len(l.spans)
	if n == 0 || len(l.spans[n-1].EndsS) == 0 {
		return
	}
	if end := l.spans[n-1].EndsS[1]; end < atS(until, l.t) {
		l.begin(stateClosed, flow.Point{Time: l.t.from + int64(end*1e9)})
	}
}

// best is the story that the pictures tell: the verdict's, or that which stands first.
func (f *finding) best() *story {
	if len(f.stories) > 0 && f.stories[0].standing() {
		return &f.stories[0]
	}
	return nil
}

// holds adds what the end that was asked held of the old connection until it answered
// with a SYN-ACK, as the first story that stands has it.
func (f *finding) holds(l *lane) {
	if len(f.q.holds) == 0 {
		return
	}
	q, s := f.mem.askeds.one(), f.best()
	*q = *f.q
	h, p, sv := q.holds[0], q.server.likeliest(nil), obeyed
	if s != nil && f.question != "port-taken-over" {
		h, sv = q.heldBy(s), survivalOf(s)
		p = q.server.likeliest(s.kernels)
		l.assumed = f.verdict.certainty != report.Certain
	}
	host := q.server.host(p, q.ipv6)
	until := uint64(math.MaxUint64)
	end := l.t.to
	if isn := q.c.Ends[flow.Listener].ISN; isn.Seen() {
		until, end = isn.Frame, isn.Time
	}
	q.i, q.past = len(q.rounds), nil
	frames := q.betweenUntil(h.from, until)
	if sv == protected {
		host.RFC1337 = kernel.Yes
	}
	if sv == rstLost {
		frames = slices.DeleteFunc(frames, func(x flow.Frame) bool { return x.Flags.Has(rstFlag) })
	}
	l.holding(h)
	if h.kind == twOrphan {
		l.timer(h.since.Time, h.since.Time, q.server.orphanBounds())
	}
	st := q.replayFrames(&h, &host, frames)
	f.armed(l, h, &st, p)
	switch {
	case st.kind == nothing && h.kind != nothing:
		l.begin(stateClosed, st.since)
	case s != nil && s.cause == "tw-recycle":
		f.recycledSpan(l, st.tw.Armed)
	}
	l.expire(end)
	if n := len(l.spans); n > 0 && s != nil && f.verdict.certainty != report.Certain {
		l.spans[n-1].Note = "as " + s.cause + " has it"
		if q.c.Ends[flow.Listener].ISN.Seen() && l.spans[n-1].State != stateClosed && !slices.Contains([]string{"time-wait-sequence", "time-wait-timestamp"}, s.cause) {
			l.spans[n-1].Note = "ended unseen, or met no more: " + s.cause
		}
	}
}

// heldBy finds the holding that a story rests on.
func (q *asked) heldBy(s *story) holding {
	for _, h := range q.holds {
		for i := range s.evidence {
			if s.evidence[i].Says == h.why {
				return h
			}
		}
	}
	return q.holds[0]
}

func survivalOf(s *story) survival {
	for _, a := range s.assumes {
		switch a.Says {
		case assumeRFC1337.Says:
			return protected
		case assumeRSTLost.Says:
			return rstLost
		}
	}
	return obeyed
}

// armed adds the frames that made a TIME_WAIT of the orphan or set its time anew.
func (f *finding) armed(l *lane, h holding, st *state, p kernel.Profile) {
	b := timeWaitBounds(p)
	if h.kind == twTrue {
		l.timer(h.tw.Armed, h.tw.Armed, b)
	}
	for _, n := range st.rearmed {
		x := f.q.frameAt(n)
		if x == nil {
			continue
		}
		note := "the 60 s begin anew"
		if len(l.spans) > 0 && l.spans[len(l.spans)-1].State != stateTimeWait {
			note = ""
		}
		l.anew(stateTimeWait, x.Point()).Note = note
		l.timer(x.Time, x.Time, b)
	}
	if st.perhaps.Seen() && st.kind == twTrue {
		l.timer(st.tw.Armed, st.perhaps.Time, b)
	}
}

// recycledSpan ends TIME_WAIT after 3.5 RTO.
func (f *finding) recycledSpan(l *lane, armed int64) {
	e, _ := f.q.old()
	rto, known := e.RTO()
	lo, hi := timewait.RecycledLifetime(kernel.Duration{Duration: rto, Known: known})
	if hi == 0 {
		hi = lo
	}
	l.timer(armed, armed, bounds{lo, hi})
}

// finTimeout is tcp_fin_timeout, as it was given or by default.
func (v hostView) finTimeout() (timeout time.Duration, given bool) {
	timeout = v.facts.millis(kernel.FactFinTimeout, 0).Duration * 1000 // the sysctl is in seconds
	if timeout == 0 {
		return timewait.Length, false
	}
	return timeout, true
}

// orphanBounds are how long an orphan spends in FIN_WAIT2 at least and at most:
// tcp_fin_timeout, by kernel and HZ.
func (v hostView) orphanBounds() bounds {
	t, _ := v.finTimeout()
	return bounds{t - t/8, t + t/8 + time.Second}
}
