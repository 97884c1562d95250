package replay

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// step is a way in which a frame may have come about, and what is then held.
type step struct {
	way   Way
	world world
}

// explain returns every way in which a world may have sent a frame.
func (r *Replayer) explain(t *tuple, w world, s *segment.Segment) []step {
	if w.at == atUnknown {
		return []step{{ByIgnorance, r.known(t, w, s)}}
	}
	var out []step
	if w.n > 0 {
		if n, ok := r.pays(t, w, s); ok {
			out = append(out, step{ByReply, n})
		}
		if time.Duration(s.Time-w.owes[0].at) > racing {
			return out
		}
	}
	switch w.at {
	case atNothing:
		out = append(out, r.connects(t, w, s, kernel.Num{}, kernel.Known(seq.Of(0)))...)
	case atTimeWait:
		out = append(out, r.takesOver(t, w, s)...)
	case atSynSent:
		out = append(out, r.fromSynSent(t, w, s)...)
	case atLive:
		if w.so.State == live.SynRecv {
			out = append(out, r.repeatsSYNACK(w, s)...)
			break
		}
		out = append(out, r.fromLive(w, s)...)
	case atUnknown:
	}
	return out
}

// known is what a frame shows of a four-tuple that is older than the capture.
func (r *Replayer) known(t *tuple, w world, s *segment.Segment) world {
	switch {
	case s.Flags.Has(segment.RST):
		return world{}
	case s.Flags.Has(segment.SYN|segment.ACK) && w.so.State == live.SynRecv && s.Ack == w.so.RcvNxt.Num:
		n := w
		n.at = atLive
		if n, ok := n.synAcked(s); ok {
			return n
		}
	case s.Flags.Has(segment.SYN):
		if st := r.connects(t, world{}, s, kernel.Num{}, kernel.Num{}); len(st) > 0 {
			return st[0].world
		}
	}
	return w
}

// pays tells whether a frame is the answer that is owed.
func (r *Replayer) pays(t *tuple, w world, s *segment.Segment) (world, bool) {
	o := w.owes[0]
	if !matches(o.reply, s, w.at == atLive) {
		return w, false
	}
	n := w.paid()
	switch {
	case o.reply.Kind == kernel.ReplySYNACK:
		if o.reply.ISN == kernel.ISNFresh && !t.isn.fits(r, s) {
			return w, false
		}
		if o.reply.ISN == kernel.ISNCookie && s.Ack == t.syn.Seq.Add(1) && listen.MayBeCookie(r.host.Profile, &t.syn, s).Answer == kernel.No {
			return w, false
		}
		return n.synAcked(s)
	case n.at == atLive && n.so.State != live.SynRecv && o.reply.Kind == kernel.ReplyACK:
		n.so.advertised(s)
	case n.at == atTimeWait && o.reply.Kind == kernel.ReplyACK && !o.reply.Window.Known:
		n.tw.RcvWnd = kernel.Known(seq.Of(uint32(s.Window) << min(n.tw.WScale, 14)))
	}
	return n, true
}

// matches holds a frame against a predicted reply. A live socket may have more
// room by now than when it advertised last.
func matches(p kernel.Reply, s *segment.Segment, grows bool) bool {
	want := segment.ACK
	switch p.Kind {
	case kernel.ReplySYNACK:
		want = segment.SYN | segment.ACK
	case kernel.ReplyRST:
		want = segment.RST
		if p.HasACK {
			want |= segment.ACK
		}
	case kernel.ReplyACK:
	case kernel.NoReply:
		return false
	}
	same := func(p kernel.Num, got seq.Num) bool { return !p.Known || p.Num == got }
	switch {
	case s.Flags&^segment.ECE != want || s.Len != 0:
		return false
	case !same(p.Seq, s.Seq) || !same(p.Ack, s.Ack):
		return false
	case p.Window.Known && p.Window.Uint32() != uint32(s.Window) && !(grows && uint32(s.Window) > p.Window.Uint32()):
		return false
	case p.NoTS && s.HasTS():
		return false
	case p.TSEcr.Known && (!s.HasTS() || s.TSEcr != p.TSEcr.Num):
		return false
	}
	return true
}

// synAcked takes what a SYN-ACK shows of a request.
func (w world) synAcked(s *segment.Segment) (world, bool) {
	so := &w.so
	if w.at != atLive || !so.echoes(s) {
		return w, false
	}
	if so.State != live.SynRecv { // the request was answered again, and opened since
		return w, s.Seq.Add(1) == so.SndNxt.Num
	}
	if so.SndNxt.Known {
		so.LastSynAckTS = tsOf(s)
		return w, s.Window == so.first && s.Seq.Add(1) == so.SndNxt.Num
	}
	so.SndNxt = kernel.Known(s.Seq.Add(1))
	so.sndUna, so.first = s.Seq, s.Window
	so.RcvWnd, so.edge, so.acked = kernel.Known(seq.Of(uint32(s.Window))), s.Ack.Add(uint32(s.Window)), s.Ack
	so.SynAckTS, so.LastSynAckTS = tsOf(s), tsOf(s)
	so.scales = s.Options.Has(segment.OptWScale) && so.peerWScale >= 0
	so.SACK = kernel.If(so.offersSACK && s.Options.Has(segment.OptSACKPermitted))
	if so.scales {
		so.WScale = s.WScale
	}
	so.sentFrame = s.Frame
	so.lastSent, so.gap, so.asked = s.Time, 0, s.Time
	if so.cookie && !s.HasTS() {
		so.HasTS, so.TSRecent = kernel.No, kernel.Num{}
	}
	return w, true
}

func tsOf(s *segment.Segment) kernel.Num {
	if !s.HasTS() {
		return kernel.Num{}
	}
	return kernel.Known(s.TSVal)
}

// echoes tells whether a frame carries the timestamps that the socket would send.
func (so *socket) echoes(s *segment.Segment) bool {
	switch so.HasTS {
	case kernel.No:
		return !s.HasTS()
	case kernel.Yes:
		return s.HasTS() && (!so.TSRecent.Known || s.TSEcr == so.TSRecent.Num)
	case kernel.Unknown:
	}
	return true
}

// repeatsSYNACK: 1, 2, 4 … s after the last one, counted from each.
func (r *Replayer) repeatsSYNACK(w world, s *segment.Segment) []step {
	so := &w.so
	if s.Flags&^segment.ECE != segment.SYN|segment.ACK || !so.SndNxt.Known || so.cookie || s.Seq.Add(1) != so.SndNxt.Num || s.Ack != so.RcvNxt.Num || !so.echoes(s) || s.Window != so.first {
		return nil
	}
	if !repeatDue(timers.SYNACKs(r.host.Profile, r.host.Timers), int(so.repeats), time.Duration(s.Time-so.lastSent)) {
		return nil
	}
	so.repeats++
	so.asked = 0
	so.lastSent, so.LastSynAckTS = s.Time, tsOf(s)
	return []step{{ByTimer, w}}
}

// connects: an application connects; the SYN has its ISN from the clock, or the one
// that is predicted, and echoes nothing but what a TIME_WAIT remembered.
func (r *Replayer) connects(t *tuple, w world, s *segment.Segment, isn, ecr kernel.Num) []step {
	if s.Flags&^(segment.ECE|segment.CWR) != segment.SYN {
		return nil
	}
	switch {
	case isn.Known && s.Seq != isn.Num, !isn.Known && !t.isn.fits(r, s):
		return nil
	case s.HasTS() && (r.host.Timestamps == kernel.No || ecr.Known && s.TSEcr != ecr.Num):
		return nil
	}
	n := w.hold(atSynSent)
	so := &n.so
	so.opened, so.inherited = true, isn.Known
	so.SndNxt, so.sndUna = kernel.Known(s.Seq.Add(1)), s.Seq
	so.HasTS = kernel.If(s.HasTS())
	so.SynAckTS, so.LastSynAckTS = tsOf(s), tsOf(s)
	so.first, so.TSRecent = s.Window, kernel.Num{Num: s.TSEcr, Known: s.HasTS()}
	so.RcvWnd = kernel.Known(seq.Of(uint32(s.Window)))
	so.offersSACK = s.Options.Has(segment.OptSACKPermitted)
	so.scales = s.Options.Has(segment.OptWScale)
	so.WScale = s.WScale
	so.sentFrame = s.Frame
	so.lastSent, so.asked = s.Time, s.Time
	return []step{{ByApplication, n}}
}

// takesOver: connect() onto the end's own TIME_WAIT.
func (r *Replayer) takesOver(t *tuple, w world, s *segment.Segment) []step {
	c := connect.TakeOver{Own: w.tw, Host: r.host.Host, Reuse: r.host.Reuse, Now: s.Time}
	var out []step
	for _, o := range connect.Decide(&c).Possible {
		if !o.Refused {
			out = append(out, r.connects(t, w, s, o.ISN, o.TSEcr)...)
		}
	}
	return out
}

// fromSynSent: the SYN is repeated, at 1, 2, 4 … s, or the application gives up and
// connects anew.
func (r *Replayer) fromSynSent(t *tuple, w world, s *segment.Segment) []step {
	so := &w.so
	if s.Flags&^(segment.ECE|segment.CWR) != segment.SYN {
		return nil
	}
	if s.Seq.Add(1) != so.SndNxt.Num {
		return r.connects(t, w, s, kernel.Num{}, kernel.Known(seq.Of(0)))
	}
	if !so.echoes(s) || s.Window != so.first {
		return nil
	}
	after := time.Duration(s.Time - so.lastSent)
	early := so.hurry && timers.TwoJiffies.Has(after)
	if !early && !repeatDue(timers.SYNs(r.host.Profile, r.host.Timers), int(so.repeats), after) {
		return nil
	}
	so.hurry = false
	so.repeats++ // one that comes early counts as well
	so.sentFrame = s.Frame
	so.lastSent, so.LastSynAckTS, so.asked = s.Time, tsOf(s), 0
	return []step{{ByTimer, w}}
}

// repeatDue tells whether the nth repeat, from 0, may follow the sending before it
// after a time, by one of the ladders.
func repeatDue(ladders []timers.Ladder, n int, after time.Duration) bool {
	for i := range ladders {
		if n < len(ladders[i].Gaps) && ladders[i].Gaps[n].Has(after) {
			return true
		}
	}
	return false
}
