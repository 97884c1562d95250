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

// intoLive asks the model what a live socket does with a segment.
func (r *Replayer) intoLive(k key, w world, s *segment.Segment) []world {
	so := &w.so
	so.RcvWnd = so.window()
	if so.Unread == kernel.Yes && so.State != live.CloseWait {
		so.Unread = kernel.Unknown // the application may have read it
	}
	var out []world
	for _, now := range limiterTimes(r.host, so.LastACK, s.Time) {
		c := live.Case{Socket: so.Socket, Host: r.host.Host, Segment: *s, Now: now}
		for _, o := range live.Decide(&c).Possible {
			out = append(out, r.afterLive(k, w, o, s, now)...)
		}
	}
	if so.State != live.FinWait2 || so.Orphan == kernel.No {
		return out
	}
	// The application may have closed since, and left the mini-socket of an orphan.
	mini := r.shrunk(k, w, timewait.Socket{
		Substate: timewait.FinWait2, RcvNxt: so.RcvNxt, SndNxt: so.SndNxt, WScale: so.WScale, RcvWnd: so.RcvWnd,
		HasTS: so.HasTS, TSRecent: so.TSRecent, TSStored: so.tsStored,
	}, so.halfClosed, s.Time)
	return append(out, r.received(k, nil, mini, s)...)
}

// afterLive turns an outcome of package live into worlds.
func (r *Replayer) afterLive(k key, w world, o live.Outcome, s *segment.Segment, now int64) []world {
	rule := "live " + o.Rule
	was := &w.so
	if o.Gone {
		return []world{w.hold(atNothing).owing(o.Reply, rule, s)}
	}
	if was.State == live.SynRecv && o.Rule == "otherwise" { // the last ACK with data, or with a FIN
		w.so.establish()
		w.so.SndUna = w.so.SndNxt
		return r.intoLive(k, w, s)
	}
	n := w
	so := &n.so
	so.Socket = o.After
	if o.Shrinks {
		so.Socket = was.Socket
	} else if so.LastACK == now && was.LastACK != now {
		so.LastACK = s.Time
	}
	if was.State == live.SynRecv && so.State == live.Established {
		so.establish()
	}
	recent := o.After.TSRecent
	if o.Shrinks {
		recent = o.Small.TSRecent
	}
	if s.HasTS() && recent.Known && recent.Num == s.TSVal {
		so.tsStored = s.Time
	}
	if was.State != live.FinWait2 && so.State == live.FinWait2 {
		so.halfClosed = s.Time
	}
	so.progress(s, o.Rule)
	if o.Shrinks {
		o.Small.TSStored = so.tsStored
		return []world{r.shrunk(k, n, o.Small, s.Time, s.Time).owing(o.Reply, rule, s)}
	}
	if so.mayWait(was, o.Rule) {
		so.wantsACK(s)
		return []world{n}
	}
	return []world{n.owing(o.Reply, rule, s)}
}

// mayWait tells whether the ACK of an outcome may be delayed: what came in order,
// while nothing was missing.
func (so *socket) mayWait(was *socket, rule string) bool {
	switch rule {
	case "data-in-order", "ack-fast-path":
		return was.AheadN == 0
	case "fin-in-order":
		return so.State == live.CloseWait
	}
	return false
}

// establish is what becomes of a request or an opener when the handshake is done.
func (so *socket) establish() {
	so.State, so.LastACK = live.Established, 0
	so.Orphan, so.Unread = kernel.No, kernel.No
	so.sndUna, so.repeats, so.gap = so.SndNxt.Num, 0, 0
}

// progress takes what a segment acknowledges and how much room the peer has.
func (so *socket) progress(s *segment.Segment, rule string) {
	switch rule {
	case "rst-challenged", "rst-ignored", "no-ack", "paws-old-ack", "paws-limited", "paws-ack", "outside-limited", "outside-ack",
		"ack-unsent", "ack-bad", "ack-bad-limited", "syn-challenged", "syn-limited", "syn-duplicate-ack", "syn-unanswered":
		return // dropped before its ACK was looked at
	}
	switch {
	case !s.Flags.Has(segment.ACK) || s.Ack.Before(so.sndUna) || s.Ack.After(so.SndNxt.Num):
		return
	case s.Ack != so.sndUna:
		so.sndUna, so.repeats, so.gap, so.dupACKs = s.Ack, 0, 0, 0
		so.timed(s.Time)
		if so.sndUna == so.SndNxt.Num {
			so.out = 0
		}
	case s.Len == 0 && so.sndUna != so.SndNxt.Num:
		so.dupACKs = min(so.dupACKs+1, 100)
	}
	so.heard(s)
}

// shrunk is the mini-socket that takes a socket's place (tcp_time_wait). With
// tcp_max_tw_buckets 0 there is none. It was made between since and now.
func (r *Replayer) shrunk(k key, w world, tw timewait.Socket, since, now int64) world {
	if r.host.MaxTWBuckets.Known && r.host.MaxTWBuckets.Uint32() == 0 {
		return w.hold(atNothing)
	}
	so := &w.so
	if !tw.RcvWnd.Known {
		tw.RcvWnd = so.window()
	}
	n := w.hold(atTimeWait)
	n.tw, n.twm = tw, twMore{since: since, entered: now, rtt: so.rtt}
	if r.host.Recycle != kernel.No && tw.HasTS == kernel.Yes && tw.TSRecent.Known {
		g := r.gates[k.peer.Addr]
		if !g.TS.Known || g.TS.Sub(tw.TSRecent.Num) <= 0 || time.Duration(now-g.Stored) > listen.GateLength {
			r.gates[k.peer.Addr] = listen.Gate{TS: tw.TSRecent, Stored: tw.TSStored}
		}
	}
	return n
}

// window is what is left of the window that was advertised (tcp_receive_window).
func (so *socket) window() kernel.Num {
	switch {
	case so.loose:
		return kernel.Num{}
	case so.edge.Before(so.RcvNxt.Num):
		return kernel.Known(seq.Of(0))
	}
	return kernel.Known(seq.Of(so.edge.Ahead(so.RcvNxt.Num)))
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

// timed takes a round trip that has ended.
func (so *socket) timed(now int64) {
	if so.asked != 0 {
		so.rtt = max(so.rtt, time.Duration(now-so.asked))
		so.asked = 0
	}
}
