package replay

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// fromLive returns how a live socket may have sent a frame of its own accord.
func (r *Replayer) fromLive(w world, s *segment.Segment) []step {
	so := &w.so
	f := s.Flags &^ (segment.PSH | segment.ECE | segment.CWR)
	switch {
	case s.Flags.Has(segment.SYN):
		// The last ACK of the handshake was dropped, or this end acts on an old view.
		return nil
	case f == segment.RST|segment.ACK:
		return r.aborts(w, s)
	case f == segment.RST:
		return nil
	case f&^(segment.FIN|segment.URG) != segment.ACK, s.Ack != so.RcvNxt.Num, !so.echoes(s):
		return nil
	case !so.widens(s):
		return nil
	case s.End() == s.Seq:
		return so.bareACK(w, s)
	case s.Seq == so.SndNxt.Num:
		return so.sends(w, s)
	case !s.Seq.Before(so.sndUna) && s.Seq.Before(so.SndNxt.Num):
		return so.repeatsData(w, s)
	case s.Seq.Add(1) == so.sndUna && s.Len == 1:
		return so.probes(w, s)
	}
	return nil
}

// aborts: the application closes with data unread or with SO_LINGER 0, or its
// listener goes before it accepted (tcp_send_active_reset).
func (r *Replayer) aborts(w world, s *segment.Segment) []step {
	so := &w.so
	if s.Seq != so.SndNxt.Num || s.Ack != so.RcvNxt.Num || s.Len != 0 || !so.echoes(s) {
		return nil
	}
	switch so.State {
	case live.Established, live.CloseWait, live.FinWait1, live.FinWait2:
		return []step{{ByApplication, w.hold(atNothing)}}
	case live.UnknownState, live.SynRecv, live.Closing, live.LastAck:
	}
	return nil
}

// widens tells whether a frame takes back nothing of what was advertised. Scaling
// cuts off less than one unit.
func (so *socket) widens(s *segment.Segment) bool {
	edge := s.Ack.Add(uint32(s.Window) << so.scale())
	return so.loose || !edge.Add(1<<so.scale()).Before(so.edge)
}

func (so *socket) scale() uint8 { return min(so.WScale, 14) }

// advertised takes what a frame tells the peer.
func (so *socket) advertised(s *segment.Segment) {
	if edge := s.Ack.Add(uint32(s.Window) << so.scale()); so.loose || edge.After(so.edge) {
		so.edge, so.loose = edge, false
	}
	so.acked = s.Ack
	if s.Ack == so.RcvNxt.Num {
		so.ackDue = 0
	}
}

// bareACK: the delayed ACK, a window that has opened as the application read, or a
// keepalive.
func (so *socket) bareACK(w world, s *segment.Segment) []step {
	after := time.Duration(s.Time - so.lastSent)
	due, before := so.ackDue != 0, so.edge
	so.advertised(s)
	switch {
	case s.Seq == so.SndNxt.Num && due:
		w.so = *so
		return []step{{ByAcknowledging, w}}
	case s.Seq == so.SndNxt.Num && so.edge.After(before) && !so.finSent:
		w.so = *so
		return []step{{ByApplication, w}}
	case s.Seq.Add(1) == so.SndNxt.Num && so.sndUna == so.SndNxt.Num && after >= 900*time.Millisecond: // TCP_KEEPINTVL is 1 s or more
	case s.Seq.Add(1) == so.sndUna && so.closedWindow() && after >= 180*time.Millisecond:
	default:
		return nil
	}
	so.lastSent, so.sentFrame = s.Time, s.Frame
	w.so = *so
	return []step{{ByTimer, w}}
}

func (so *socket) closedWindow() bool { return so.sndWnd.Known && so.sndWnd.Uint32() == 0 }

// sends: new data, or a FIN, where the state allows it and the peer has room.
func (so *socket) sends(w world, s *segment.Segment) []step {
	fin := s.Flags.Has(segment.FIN)
	if so.State != live.Established && so.State != live.CloseWait {
		return nil
	}
	if so.sndWnd.Known && s.Len > 0 && s.Seq.Add(s.Len).Sub(so.sndUna.Add(so.sndWnd.Uint32())) > 0 && s.Len > 1 {
		return nil
	}
	so.SndNxt = kernel.Known(s.End())
	so.sentFrame = s.Frame
	so.lastSent, so.gap, so.repeats = s.Time, 0, 0
	if so.asked == 0 {
		so.asked = s.Time
	}
	so.served = true
	so.out = min(so.out+1, 100)
	so.advertised(s)
	w.so = *so
	if !fin {
		return []step{{ByApplication, w}}
	}
	w.so.finSent = true
	if so.State == live.CloseWait {
		w.so.State = live.LastAck
		return []step{{ByApplication, w}}
	}
	// It has closed, or shut down what it sends.
	w.so.State, w.so.Orphan = live.FinWait1, kernel.Unknown
	return []step{{ByApplication, w}}
}

// repeatsData: something not acknowledged again, when a timer allows it. What is
// repeated still has its FIN.
func (so *socket) repeatsData(w world, s *segment.Segment) []step {
	end := s.End()
	after := time.Duration(s.Time - so.lastSent)
	switch {
	case end.After(so.SndNxt.Num):
		return nil
	case s.Flags.Has(segment.FIN) != (so.finSent && end == so.SndNxt.Num):
		return nil
	case so.dupACKs > 0 || so.repeats > 0 && s.Seq != so.sndUna: // fast, or in recovery
	case after < minRTO(so), so.repeats > 1 && after < so.gap*3/2:
		return nil
	}
	so.gap = after
	so.repeats = min(so.repeats+1, 100)
	so.sentFrame = s.Frame
	so.lastSent, so.asked = s.Time, 0
	so.advertised(s)
	w.so = *so
	return []step{{ByTimer, w}}
}

// minRTO is the earliest moment of a repeat, less a tenth: the RTO is at least 200 ms
// (TCP_RTO_MIN); the first one may be a tail loss probe, two round trips or 10 ms
// after the last segment where more than one is out (tcp_schedule_loss_probe).
func minRTO(so *socket) time.Duration {
	if so.out > 1 && so.repeats == 0 {
		return 8 * time.Millisecond
	}
	return 180 * time.Millisecond
}

// probes: one old byte again, to learn a closed window.
func (so *socket) probes(w world, s *segment.Segment) []step {
	if !so.closedWindow() || time.Duration(s.Time-so.lastSent) < 180*time.Millisecond {
		return nil
	}
	so.lastSent, so.sentFrame = s.Time, s.Frame
	so.advertised(s)
	w.so = *so
	return []step{{ByTimer, w}}
}
