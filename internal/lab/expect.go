package lab

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// place is which of the model's packages speaks for a four-tuple.
type place uint8

const (
	atNothing place = iota // no socket: perhaps a listener
	atTimeWait
	atLive
)

// view is what the model believes that the kernel holds for a four-tuple.
type view struct {
	at   place
	tw   timewait.Socket
	live live.Socket
	// offer is what the SYN-ACK of a pending request offered; nil: not known.
	offer   *listen.Offer
	buffers buffers
}

// prediction is what the model says of a segment. A segment of which it says
// nothing certain has a reason in unsure.
type prediction struct {
	rule   string
	reply  kernel.Reply
	offer  *listen.Offer // of a SYN-ACK; nil: not predicted
	after  view
	unsure string
}

// viewOf returns the view with which a story starts on a kernel.
func viewOf(s *Story, n *Numbers, p kernel.Profile) view {
	v := startOf(s, n)
	v.buffers = n.Buffers
	if s.State == SynRecv {
		v.offer = s.requestOffer(p, n.Buffers)
	}
	return v
}

func startOf(s *Story, n *Numbers) view {
	hasTS, recent := kernel.If(s.TS), kernel.Num{}
	if s.State == SynRecv {
		recent = kernel.Known(seqOf(0)) // what a request without timestamps remembers
	}
	if s.TS {
		recent = kernel.Known(n.TSRecent)
	}
	if s.Settings.NoTimeWait && (s.State == TimeWait || s.State == FinWait2Orphan) {
		return view{}
	}
	switch s.State {
	case NoSocket:
		return view{}
	case TimeWait, FinWait2Orphan:
		tw := timewait.Socket{
			RcvNxt: kernel.Known(n.RcvNxt), SndNxt: kernel.Known(n.SndNxt), RcvWnd: window(n.RcvWnd), WScale: n.WScale,
			HasTS: hasTS, TSRecent: recent, TSStored: n.Reached,
		}
		if s.State == FinWait2Orphan {
			tw.Substate = timewait.FinWait2
		} else {
			tw.Armed = n.Reached
		}
		return view{at: atTimeWait, tw: tw}
	case SynRecv, Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, FinWait1Orphan, ClosingOrphan, LastAckOrphan:
	}
	return view{at: atLive, live: live.Socket{
		State: liveState[s.State], RcvNxt: kernel.Known(n.RcvNxt), SndNxt: kernel.Known(n.SndNxt),
		RcvWnd: window(n.RcvWnd), WScale: n.WScale, HasTS: hasTS, TSRecent: recent,
		SynAckTS: kernel.Known(n.TSEcr), LastSynAckTS: kernel.Known(n.TSEcr), Peer: peerOf(s.State, n),
		Orphan: kernel.If(s.State == FinWait1Orphan || s.State == ClosingOrphan || s.State == LastAckOrphan),
		Unread: kernel.If(liveState[s.State] >= live.CloseWait && s.State != LastAckOrphan), SACK: hasTS, // close() empties the queue
	}}
}

// peerOf is what the kernel knows of the peer's acknowledgements: each segment on
// the way to a state announces the same window.
func peerOf(st State, n *Numbers) live.Peer {
	p := live.Peer{
		SndUna: kernel.Known(n.SndNxt), SndWL1: kernel.Known(n.RcvNxt), PeerWnd: window(peerWindow),
		MaxWindow: window(peerWindow << peerWScale), BytesAcked: window(0),
	}
	switch st {
	case FinWait2:
		p.BytesAcked = window(1) // the FIN
	case FinWait1, Closing, LastAck, FinWait1Orphan, ClosingOrphan, LastAckOrphan:
		p.SndUna = kernel.Known(n.SndNxt.Add(^uint32(0)))
	case NoSocket, SynRecv, Established, CloseWait, FinWait2Orphan, TimeWait:
	}
	switch st {
	case CloseWait, Closing, LastAck, ClosingOrphan, LastAckOrphan: // the peer's FIN announced it
		p.SndWL1 = kernel.Known(n.RcvNxt.Add(^uint32(0)))
	case NoSocket, SynRecv, Established, FinWait1, FinWait2, FinWait2Orphan, TimeWait, FinWait1Orphan:
	}
	if p.SndUna == kernel.Known(n.SndNxt) {
		p.RTO = kernel.Duration{Duration: leastRTO, Known: true} // nothing was ever repeated
	}
	return p
}

// leastRTO is TCP_RTO_MIN: the peer of the laboratory answers at once.
const leastRTO = 200 * time.Millisecond

var liveState = [...]live.State{
	SynRecv: live.SynRecv, Established: live.Established, FinWait1: live.FinWait1, FinWait2: live.FinWait2,
	CloseWait: live.CloseWait, Closing: live.Closing, LastAck: live.LastAck,
	FinWait1Orphan: live.FinWait1, ClosingOrphan: live.Closing, LastAckOrphan: live.LastAck,
}

func window(n uint32) kernel.Num { return kernel.Known(seqOf(n)) }

// nearLimit: the moment is so close to the end of the limiter's time that the
// kernel's clock and this one may disagree.
const nearLimit = 60 * time.Millisecond

func nearEnd(h *kernel.Host, last, now int64) bool {
	if last == 0 || h.RateLimit.Duration == 0 {
		return false
	}
	d := time.Duration(now-last) - h.RateLimit.Duration
	return d > -nearLimit && d < nearLimit
}

// decide asks the rules of the state what the host answers to a segment.
func (v *view) decide(h kernel.Host, s segment.Segment, now int64) prediction {
	switch v.at {
	case atTimeWait:
		if nearEnd(&h, v.tw.LastACK, now) {
			return prediction{unsure: "the limiter is about to end"}
		}
		c := timewait.Case{Socket: v.tw, Host: h, Segment: s, Now: now}
		d := timewait.Decide(&c)
		o, ok := d.Sure()
		if !ok {
			return unsure(d)
		}
		p := prediction{rule: o.Rule, reply: o.Reply, after: view{at: atTimeWait, tw: o.After}}
		if o.Gone {
			p.after = afterSYN(o.Reply, h, s)
		}
		return p
	case atLive:
		if v.live.State != live.SynRecv || h.Listener != kernel.No {
			return v.predictLive(h, s, now)
		}
		// A request lives by its listener.
	case atNothing:
	}
	return predictNothing(h, s, now)
}

func (v *view) predictLive(h kernel.Host, s segment.Segment, now int64) prediction {
	if nearEnd(&h, v.live.LastACK, now) {
		return prediction{unsure: "the limiter is about to end"}
	}
	c := live.Case{Socket: v.live, Host: h, Segment: s, Now: now}
	d := live.Decide(&c)
	o, ok := d.Sure()
	if ok && o.Rule == "otherwise" {
		opened, opens := c.Opened()
		if !opens {
			return prediction{unsure: "a request whose new connection does not take the segment is not modelled"}
		}
		d = live.Decide(&opened)
		o, ok = d.Sure()
	}
	switch {
	case !ok:
		return unsure(d)
	case o.Gone:
		return prediction{rule: o.Rule, reply: o.Reply}
	case o.Shrinks:
		if o.Small.HasTS == kernel.Yes && o.Small.TSStored == 0 {
			o.Small.TSStored = now // seconds matter here, and all happens within a few
		}
		return prediction{rule: o.Rule, reply: o.Reply, after: view{at: atTimeWait, tw: o.Small}}
	}
	return prediction{rule: o.Rule, reply: o.Reply, after: view{at: atLive, live: o.After}}
}

// predictNothing is what a host says where there is no socket: a listener
// answers a SYN and resets an ACK (tcp_rcv_state_process, TCP_LISTEN), a host
// without one resets everything but a RST (tcp_v4_rcv, no_tcp_socket).
func predictNothing(h kernel.Host, s segment.Segment, now int64) prediction {
	const rst, syn, ack = segment.RST, segment.SYN, segment.ACK
	switch {
	case s.Flags.Has(rst):
		return prediction{rule: "no-socket-rst"}
	case s.Flags.Has(ack):
		return prediction{rule: "no-socket-ack", reply: timewait.ResetFor(&s)}
	case s.Flags.Has(syn):
		c := listen.Case{Host: h, Segment: s, Now: now}
		d := listen.Decide(&c)
		o, ok := d.Sure()
		if !ok {
			return unsure(d)
		}
		return prediction{rule: "listen-" + o.Rule, reply: o.Reply, after: afterSYN(o.Reply, h, s)}
	case h.Listener == kernel.Yes:
		return prediction{rule: "listen-nothing"}
	}
	return prediction{rule: "no-socket", reply: timewait.ResetFor(&s)}
}

// afterSYN is what stands after a SYN that met no socket, or that ended one: a
// request if it was answered. A cookie leaves nothing behind.
func afterSYN(r kernel.Reply, h kernel.Host, s segment.Segment) view {
	if r.Kind != kernel.ReplySYNACK || r.ISN == kernel.ISNCookie {
		return view{}
	}
	q := live.Socket{State: live.SynRecv, RcvNxt: kernel.Known(s.Seq.Add(1)), HasTS: kernel.No, TSRecent: kernel.Known(seqOf(0)), Orphan: kernel.No, Unread: kernel.No, SACK: kernel.No}
	q.MaxWindow = window(peerWindow)
	if s.HasTS() && h.Timestamps == kernel.Yes {
		q.HasTS, q.TSRecent = kernel.Yes, kernel.Known(s.TSVal)
	}
	return view{at: atLive, live: q}
}

// learn takes what only the answer shows: where a new request starts counting, and
// the window and ts_recent of a connection after data.
func (v *view) learn(got []segment.Segment) {
	if len(got) != 1 {
		return
	}
	switch a := &got[0]; v.at {
	case atTimeWait:
		learnWindow(&v.tw.RcvWnd, &v.tw.TSRecent, v.tw.WScale, a)
	case atLive:
		if v.live.State != live.SynRecv {
			learnWindow(&v.live.RcvWnd, &v.live.TSRecent, v.live.WScale, a)
			return
		}
	case atNothing:
	}
	if v.at != atLive || !got[0].Flags.Has(segment.SYN) {
		return
	}
	v.live.LastSynAckTS = kernel.Known(got[0].TSVal)
	if v.live.SndNxt.Known {
		return
	}
	v.live.SndNxt, v.live.RcvWnd = kernel.Known(got[0].Seq.Add(1)), window(uint32(got[0].Window))
	v.live.SynAckTS = kernel.Known(got[0].TSVal)
}

func learnWindow(wnd, tsRecent *kernel.Num, scale uint8, s *segment.Segment) {
	if s.Flags != segment.ACK {
		return
	}
	if !wnd.Known {
		*wnd = window(uint32(s.Window) << scale)
	}
	if !tsRecent.Known && s.HasTS() {
		*tsRecent = kernel.Known(s.TSEcr)
	}
}

func unsure[O any](d kernel.Decision[O]) prediction {
	why := "the model leaves it open"
	for _, f := range d.Missing() {
		why += ": " + string(f)
		break
	}
	return prediction{unsure: why}
}

// followUp is a segment that every state of this view answers without changing
// what it remembers: it shows the numbers. A request has none.
func (v *view) followUp(n *Numbers, peer, host segment.Endpoint) (segment.Segment, bool) {
	s := segment.Segment{Src: peer, Dst: host, Flags: segment.PSH | segment.ACK, Len: 1, Window: peerWindow, Ack: n.SndNxt, Seq: n.RcvNxt.Add(^uint32(999))}
	switch v.at {
	case atNothing:
		return s, true
	case atTimeWait:
		if v.tw.RcvNxt.Known {
			s.Seq = v.tw.RcvNxt.Add(^uint32(999))
		}
		if v.tw.HasTS == kernel.Yes && v.tw.TSRecent.Known {
			s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, v.tw.TSRecent.Num, n.TSEcr
		}
		return s, true
	case atLive:
		if v.live.State == live.SynRecv {
			break
		}
		if v.live.RcvNxt.Known {
			s.Seq = v.live.RcvNxt.Add(^uint32(999))
		}
		if v.live.HasTS == kernel.Yes && v.live.TSRecent.Known {
			s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, v.live.TSRecent.Num, n.TSEcr
		}
		return s, true
	}
	return s, false
}
