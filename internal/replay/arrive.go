package replay

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// received returns what a world becomes when a segment arrives.
func (r *Replayer) received(k key, t *tuple, w world, s *segment.Segment) []world {
	switch w.at {
	case atUnknown:
		return r.intoUnknown(k, w, s)
	case atNothing:
		return r.intoNothing(k, w, s)
	case atSynSent:
		return r.intoSynSent(w, s)
	case atLive:
		if w.so.State == live.SynRecv {
			return r.intoRequest(k, w, s)
		}
		return r.intoLive(k, w, s)
	case atTimeWait:
		return r.intoTimeWait(k, w, s)
	}
	return nil
}

// intoUnknown: a four-tuple that is older than the capture is known again once the
// peer opens it anew, which it may do only where no socket is left.
func (r *Replayer) intoUnknown(k key, w world, s *segment.Segment) []world {
	if s.Flags&(segment.SYN|segment.ACK|segment.RST) != segment.SYN {
		return []world{w}
	}
	// If that is answered with a SYN-ACK, the request is known.
	u := r.answered(world{}, "", kernel.Reply{Kind: kernel.ReplySYNACK}, s)
	u.at, u.owes, u.n = atUnknown, [maxOwed]owed{}, 0
	return append([]world{u}, r.intoNothing(k, world{}, s)...)
}

// intoNothing is what a host without a socket does: a listener answers a SYN and
// resets an ACK (tcp_rcv_state_process, TCP_LISTEN), a host without one resets
// everything but a RST (tcp_v4_rcv, no_tcp_socket).
func (r *Replayer) intoNothing(k key, w world, s *segment.Segment) []world {
	w = w.hold(atNothing)
	switch {
	case s.Flags.Has(segment.RST):
		return []world{w}
	case s.Flags.Has(segment.ACK):
		return []world{w.owing(timewait.ResetFor(s), "no-socket", s)}
	case !s.Flags.Has(segment.SYN):
		return []world{w, w.owing(timewait.ResetFor(s), "no-socket", s)}
	}
	c := listen.Case{Host: r.hostFor(k), Segment: *s, Now: s.Time, Gate: r.gateFor(k)}
	var out []world
	for _, o := range listen.Decide(&c).Possible {
		out = append(out, r.answered(w, "listen "+o.Rule, o.Reply, s))
	}
	if r.synQueueDrops(k) {
		out = append(out, w)
	}
	return out
}

// answered is what stands after a SYN that met no socket, or ended one.
func (r *Replayer) answered(w world, rule string, reply kernel.Reply, s *segment.Segment) world {
	if reply.Kind != kernel.ReplySYNACK {
		return w.hold(atNothing).owing(reply, rule, s)
	}
	w = w.hold(atLive).owing(reply, rule, s)
	so := &w.so
	so.State, so.RcvNxt = live.SynRecv, kernel.Known(s.Seq.Add(1))
	so.HasTS, so.TSRecent = kernel.No, kernel.Known(seq.Of(0))
	if s.HasTS() && r.host.Timestamps != kernel.No {
		so.HasTS, so.TSRecent, so.tsStored = kernel.Yes, kernel.Known(s.TSVal), s.Time
	}
	so.peerWScale = -1
	if s.Options.Has(segment.OptWScale) {
		so.peerWScale = int8(min(s.WScale, 14))
	}
	so.offersSACK = s.Options.Has(segment.OptSACKPermitted)
	so.sndWnd = kernel.Known(seq.Of(uint32(s.Window)))
	so.cookie = reply.ISN == kernel.ISNCookie
	so.inherited = reply.ISN == kernel.ISNInherited
	return w
}

// intoTimeWait asks the model.
func (r *Replayer) intoTimeWait(k key, w world, s *segment.Segment) []world {
	var out []world
	h := r.host.Host
	if s.Flags.Has(segment.SYN) {
		h = r.hostFor(k)
	}
	for _, now := range limiterTimes(r.host, w.tw.LastACK, s.Time) {
		c := timewait.Case{Socket: w.tw, Host: h, Segment: *s, Now: now}
		for _, o := range timewait.Decide(&c).Possible {
			switch {
			case o.Gone && o.Reply.Kind == kernel.ReplySYNACK:
				out = append(out, r.answered(w, "time-wait "+o.Rule, o.Reply, s))
			case o.Gone:
				out = append(out, w.hold(atNothing).owing(o.Reply, "time-wait "+o.Rule, s))
			default:
				n := w.owing(o.Reply, "time-wait "+o.Rule, s)
				n.tw = o.After
				if n.tw.LastACK == now && o.After.LastACK != w.tw.LastACK {
					n.tw.LastACK = s.Time
				}
				out = append(out, n)
			}
		}
	}
	return out
}

// nearLimit: so close to the end of the limiter's time jiffies and the way to the
// capture point decide.
const nearLimit = 60 * time.Millisecond

// limiterTimes returns the moments at which the model is asked: two where the
// limiter is about to let an ACK through.
func limiterTimes(h *Host, last, now int64) []int64 {
	if last == 0 || !h.RateLimit.Known || h.RateLimit.Duration == 0 {
		return []int64{now}
	}
	d := time.Duration(now-last) - h.RateLimit.Duration
	if d < -nearLimit || d > nearLimit {
		return []int64{now}
	}
	return []int64{now - int64(2*nearLimit), now + int64(2*nearLimit)}
}

// intoRequest asks the model about a request that waits for its last ACK.
func (r *Replayer) intoRequest(k key, w world, s *segment.Segment) []world {
	if w.so.cookie {
		return r.intoCookie(k, w, s)
	}
	if !w.so.SndNxt.Known && s.Flags.Has(segment.ACK) {
		// No SYN-ACK has left yet, and to guess its number is one chance in 2^32.
		w.so.SndNxt = kernel.Known(s.Ack.Add(1))
		out := r.asksRequest(k, w, s)
		for i := range out {
			if out[i].at == atLive {
				out[i].so.SndNxt = kernel.Num{}
			}
		}
		return out
	}
	return r.asksRequest(k, w, s)
}

func (r *Replayer) asksRequest(k key, w world, s *segment.Segment) []world {
	var out []world
	for _, now := range limiterTimes(r.host, w.so.LastACK, s.Time) {
		c := live.Case{Socket: w.so.Socket, Host: r.hostFor(k), Segment: *s, Now: now}
		for _, o := range live.Decide(&c).Possible {
			out = append(out, r.afterLive(k, w, o, s, now)...)
		}
	}
	// The listener may have been closed, and its requests with it.
	gone := w.hold(atNothing)
	if s.Flags.Has(segment.RST) {
		return append(out, gone)
	}
	return append(out, gone.owing(timewait.ResetFor(s), "no-socket", s))
}

// intoCookie: a listener that sent a cookie remembers nothing; an ACK of the cookie
// makes the connection, anything else meets a listener.
func (r *Replayer) intoCookie(k key, w world, s *segment.Segment) []world {
	if s.Flags&(segment.SYN|segment.RST|segment.ACK) != segment.ACK || !w.so.SndNxt.Known || s.Ack != w.so.SndNxt.Num || s.Seq != w.so.RcvNxt.Num {
		out := r.intoNothing(k, w, s)
		if s.Flags.Has(segment.SYN) { // an ACK of the first cookie may still come
			return out
		}
		return append(out, w)
	}
	// A full accept queue drops it.
	out := []world{w}
	w.so.cookie = false
	w.so.establish()
	w.so.SndUna = w.so.SndNxt
	// The window is worked out anew, and what it was scaled by stands in the echo.
	w.so.edge, w.so.loose = w.so.RcvNxt.Num, true
	return append(out, r.intoLive(k, w, s)...)
}

// intoSynSent asks the model what an opener does.
func (r *Replayer) intoSynSent(w world, s *segment.Segment) []world {
	so := &w.so
	c := connect.SynSent{
		ISS: so.SndNxt.Add(^uint32(0)), Host: r.host.Host, Segment: *s, Repeated: kernel.If(so.repeats > 0),
		FirstTSVal: so.SynAckTS, LastTSVal: so.LastSynAckTS, TSRecent: so.TSRecent,
		Inherits: kernel.If(so.TSRecent.Known && so.TSRecent.Uint32() != 0),
	}
	if so.HasTS == kernel.No { // its SYN shows that
		c.Host.Timestamps = kernel.No
	}
	var out []world
	for _, o := range connect.React(&c).Possible {
		rule := "syn-sent " + o.Rule
		switch o.After {
		case connect.Established:
			n := w
			n.at = atLive
			n.so.accepted(s)
			out = append(out, n)
		case connect.Closed:
			out = append(out, w.hold(atNothing).owing(o.Reply, rule, s))
		case connect.AnyState, connect.SynRecv:
			// A simultaneous open is not followed further.
			out = append(out, world{at: atUnknown})
		case connect.StaysSynSent:
			n := w.owing(o.Reply, rule, s)
			n.so.hurry = o.Resends != kernel.No && o.Reply.Kind == kernel.ReplyRST
			out = append(out, n)
		}
	}
	return out
}

// accepted is what a SYN-ACK makes of an opener.
func (so *socket) accepted(s *segment.Segment) {
	so.establish()
	so.served = true
	so.RcvNxt, so.SndUna = kernel.Known(s.Seq.Add(1)), so.SndNxt
	so.SndWL1, so.PeerWnd, so.BytesAcked = kernel.Known(s.Seq), kernel.Known(seq.Of(uint32(s.Window))), kernel.Known(seq.Of(0))
	so.SACK = kernel.If(so.offersSACK && s.Options.Has(segment.OptSACKPermitted))
	offered := so.HasTS == kernel.Yes
	so.HasTS, so.TSRecent = kernel.No, kernel.Num{}
	if offered && s.HasTS() {
		so.HasTS, so.TSRecent, so.tsStored = kernel.Yes, kernel.Known(s.TSVal), s.Time
	}
	so.peerWScale = -1
	if s.Options.Has(segment.OptWScale) && so.scales {
		so.peerWScale = int8(min(s.WScale, 14))
	} else {
		so.WScale = 0
	}
	so.sndWnd = kernel.Known(seq.Of(uint32(s.Window)))
	so.edge, so.acked = so.RcvNxt.Add(so.RcvWnd.Uint32()), so.RcvNxt.Num
	so.timed(s.Time)
	so.wantsACK(s) // at once, unless the application has something to send with it
}
