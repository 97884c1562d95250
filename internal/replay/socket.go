package replay

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// ordinary is what a live socket does with a segment without SYN and RST: RFC 9293
// §3.10.7.4, in the order of tcp_rcv_established and tcp_rcv_state_process.
func (r *run) ordinary(k key, w world, s *segment.Segment) []world {
	so := &w.so
	bare := s.End() == s.Seq
	switch {
	case so.HasTS == kernel.Yes && s.HasTS() && so.TSRecent.Sub(s.TSVal) > 1:
		return r.misfit(w, "paws", s, bare)
	case s.End().Before(so.acked) || s.Seq.After(so.right()):
		return r.misfit(w, "out-of-window", s, bare)
	case !s.Flags.Has(segment.ACK):
		return []world{w}
	case s.Ack.After(so.SndNxt.Num):
		// Challenged, or dropped, by version and limits.
		return []world{w, w.owing(so.dupACK(), "ack-ahead", s)}
	}
	if so.HasTS == kernel.Yes && s.HasTS() && !s.Seq.After(so.acked) && !so.TSRecent.After(s.TSVal) {
		so.TSRecent, so.tsStored = kernel.Known(s.TSVal), s.Time
	}
	so.acknowledged(s)
	if so.finSent && so.sndUna == so.SndNxt.Num {
		switch so.State {
		case live.FinWait1:
			so.State = live.FinWait2
		case live.Closing:
			return []world{r.timeWait(k, w, timewait.TimeWait, s.Time)}
		case live.LastAck:
			return []world{w.hold(atNothing)}
		case live.UnknownState, live.SynRecv, live.Established, live.FinWait2, live.CloseWait:
		}
	}
	if bare {
		return r.perhapsOrphan(k, w, s.Time)
	}
	return r.space(k, w, s)
}

// perhapsOrphan adds the mini-socket that a FIN_WAIT2 becomes once the application
// has closed.
func (r *run) perhapsOrphan(k key, w world, now int64) []world {
	if w.so.State != live.FinWait2 {
		return []world{w}
	}
	mini := r.timeWait(k, w, timewait.FinWait2, now)
	if w.so.orphan {
		// The whole socket stays where somebody was using it at that moment.
		return []world{mini, w}
	}
	return []world{w, mini}
}

// misfit is what a segment gets that is too old or lies outside the window: an
// ACK, which is limited for one that takes no sequence space.
func (r *run) misfit(w world, rule string, s *segment.Segment, bare bool) []world {
	n := w.owing(w.so.dupACK(), rule, s)
	if !bare {
		return []world{n}
	}
	n.so.LastACK = s.Time
	var out []world
	for _, now := range limiterTimes(r.host, w.so.LastACK, s.Time) {
		d := time.Duration(now - w.so.LastACK)
		if w.so.LastACK != 0 && d < r.host.RateLimit.Duration {
			out = append(out, w)
		} else {
			out = append(out, n)
		}
	}
	if rule == "paws" || !r.host.RateLimit.Known {
		out = append(out, w) // newer kernels let an old bare ACK pass without a word
	}
	return out
}

// space takes in what a segment brings: payload and FIN.
func (r *run) space(k key, w world, s *segment.Segment) []world {
	so := &w.so
	closedEars := so.State == live.CloseWait || so.State == live.Closing || so.State == live.LastAck
	end := s.Seq.Add(s.Len)
	fin := s.Flags.Has(segment.FIN)
	switch {
	case closedEars && !s.Seq.Before(so.RcvNxt.Num):
		return []world{w, w.owing(so.dupACK(), "after-fin", s)}
	case !s.End().After(so.RcvNxt.Num): // nothing new
		return []world{w.owing(so.dupACK(), "duplicate", s)}
	case s.Len > 0 && end.After(so.RcvNxt.Num) && (so.State == live.FinWait1 || so.State == live.FinWait2):
		// Nobody is left to read it, unless the application has only shut down.
		dead := w.hold(atNothing).owing(timewait.ResetFor(s), "data-after-close", s)
		if so.orphan {
			return []world{dead}
		}
		return append([]world{dead}, r.takeIn(k, w, s, end, fin)...)
	}
	return r.takeIn(k, w, s, end, fin)
}

func (r *run) takeIn(k key, w world, s *segment.Segment, end seq.Num, fin bool) []world {
	so := &w.so
	if fin {
		so.finAt = kernel.Known(end)
	}
	if s.Seq.After(so.RcvNxt.Num) {
		if s.Len > 0 {
			so.keepAhead(segment.SACKBlock{Left: s.Seq, Right: end})
		}
		return []world{w.owing(so.dupACK(), "beyond-hole", s)}
	}
	hole := so.nAhead > 0
	if end.After(so.RcvNxt.Num) {
		so.RcvNxt = kernel.Known(end)
		so.fill()
		so.wantsACK(s)
	}
	if so.finAt.Known && so.finAt.Num == so.RcvNxt.Num {
		return r.finished(k, w, s)
	}
	if hole { // at once, as long as something was missing
		so.ackDue = s.Time + int64(promptly)
	}
	return []world{w}
}

// finished is what the peer's FIN does in order (tcp_fin).
func (r *run) finished(k key, w world, s *segment.Segment) []world {
	so := &w.so
	so.finAt = kernel.Num{}
	so.RcvNxt = kernel.Known(so.RcvNxt.Add(1))
	switch so.State {
	case live.Established:
		so.State = live.CloseWait
		so.wantsACK(s)
		return []world{w}
	case live.FinWait1:
		so.State, so.ackDue = live.Closing, 0
		return []world{w.owing(so.dupACK(), "simultaneous-close", s)}
	case live.FinWait2:
		n := r.timeWait(k, w, timewait.TimeWait, s.Time)
		reply := so.dupACK()
		return []world{n.owing(reply, "fin", s)}
	case live.UnknownState, live.SynRecv, live.CloseWait, live.Closing, live.LastAck:
	}
	return []world{w}
}

// timeWait is the mini-socket that takes a socket's place (tcp_time_wait). With
// tcp_max_tw_buckets 0 there is none.
func (r *run) timeWait(k key, w world, sub timewait.Substate, now int64) world {
	n := w.hold(atTimeWait)
	if r.host.MaxTWBuckets.Known && r.host.MaxTWBuckets.Uint32() == 0 {
		return w.hold(atNothing)
	}
	so := &w.so
	n.tw = timewait.Socket{
		Substate: sub, RcvNxt: so.RcvNxt, SndNxt: so.SndNxt, WScale: so.WScale,
		RcvWnd: kernel.Known(seq.Of(so.edge.Ahead(so.RcvNxt.Num))),
		HasTS:  so.HasTS, TSRecent: so.TSRecent, TSStored: so.tsStored, Armed: now,
	}
	if so.edge.Before(so.RcvNxt.Num) {
		n.tw.RcvWnd = kernel.Known(seq.Of(0))
	}
	n.twm = twMore{entered: now, rtt: so.rtt}
	if r.host.Recycle != kernel.No && so.HasTS == kernel.Yes && so.TSRecent.Known {
		g := r.gates[k.peer.Addr]
		if !g.TS.Known || g.TS.Sub(so.TSRecent.Num) <= 0 || time.Duration(now-g.Stored) > listen.GateLength {
			r.gates[k.peer.Addr] = listen.Gate{TS: so.TSRecent, Stored: so.tsStored}
		}
	}
	return n
}

// dupACK is the ACK that the socket would send now.
func (so *socket) dupACK() kernel.Reply {
	a := kernel.Reply{Kind: kernel.ReplyACK, Seq: so.SndNxt, Ack: so.RcvNxt}
	switch so.HasTS {
	case kernel.Yes:
		a.TSEcr = so.TSRecent
	case kernel.No:
		a.NoTS = true
	case kernel.Unknown:
	}
	return a
}

// right is the right edge of the receive window; before the first advertisement it
// is behind everything.
func (so *socket) right() seq.Num {
	if so.edge.Before(so.RcvNxt.Num) {
		return so.RcvNxt.Num
	}
	return so.edge
}

// wantsACK notes that what arrived must be acknowledged.
func (so *socket) wantsACK(s *segment.Segment) {
	if so.ackDue == 0 {
		so.ackDue, so.ackFrame = s.Time+int64(delayed), s.Frame
	}
}

// heard takes the peer's window from a segment.
func (so *socket) heard(s *segment.Segment) {
	scale := max(so.peerWScale, 0)
	if !so.scales {
		scale = 0
	}
	so.sndWnd = kernel.Known(seq.Of(uint32(s.Window) << scale))
}

// acknowledged takes the acknowledgement and the window of a segment.
func (so *socket) acknowledged(s *segment.Segment) {
	switch {
	case s.Ack.After(so.sndUna):
		so.sndUna, so.repeats, so.gap, so.dupACKs = s.Ack, 0, 0, 0
		so.timed(s.Time)
		if so.sndUna == so.SndNxt.Num {
			so.out = 0
		}
	case s.Ack == so.sndUna && s.Len == 0 && so.sndUna != so.SndNxt.Num:
		so.dupACKs = min(so.dupACKs+1, 100)
	case s.Ack.Before(so.sndUna):
		return
	}
	so.heard(s)
}

// timed takes a round trip that has ended.
func (so *socket) timed(now int64) {
	if so.asked != 0 {
		so.rtt = max(so.rtt, time.Duration(now-so.asked))
		so.asked = 0
	}
}

// keepAhead keeps a block beyond a hole, joined with those that it touches.
func (so *socket) keepAhead(b segment.SACKBlock) {
	n := uint8(0)
	for _, o := range so.ahead[:so.nAhead] {
		if !o.Left.After(b.Right) && !b.Left.After(o.Right) {
			if o.Left.Before(b.Left) {
				b.Left = o.Left
			}
			if o.Right.After(b.Right) {
				b.Right = o.Right
			}
			continue
		}
		so.ahead[n] = o
		n++
	}
	if n < maxAhead {
		so.ahead[n] = b
		n++
	}
	clear(so.ahead[n:])
	so.nAhead = n
}

// fill moves RcvNxt over the blocks that it has reached.
func (so *socket) fill() {
	for again := true; again; {
		again = false
		n := uint8(0)
		for _, o := range so.ahead[:so.nAhead] {
			switch {
			case o.Left.After(so.RcvNxt.Num):
				so.ahead[n] = o
				n++
			case o.Right.After(so.RcvNxt.Num):
				so.RcvNxt, again = kernel.Known(o.Right), true
			}
		}
		clear(so.ahead[n:])
		so.nAhead = n
	}
}
