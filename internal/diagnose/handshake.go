package diagnose

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// refused asks why a SYN, or the ACK that completes the handshake, got a RST.
func (l *life) refused() *finding {
	if l.c.MidStream || l.c.State != flow.Reset {
		return nil
	}
	var r *flow.Frame
	for i := range l.frames {
		if f := &l.frames[i]; f.From == flow.Listener && has(f, segment.RST) {
			r = f
			break
		}
	}
	srv := l.end(flow.Listener)
	if r == nil {
		return nil
	}
	if srv.ISN.Seen() {
		return l.refusedLate(r)
	}
	syn, _ := firstSYN(l.c)
	for i := range l.frames {
		if f := &l.frames[i]; f.From == flow.Opener && isSYN(f) && f.Frame < r.Frame {
			syn = *f
		}
	}
	f := l.finding("connect-refused", flow.Listener, syn.Point(), syn.Frame, r.Frame)
	f.asks = fmt.Sprintf("Why was the SYN in frame %d refused with a RST?", syn.Frame)
	ss := l.e.stories(8)
	server := l.e.view("server", srv.Addr)
	host := server.host(server.suspects[0].Profile, !srv.Addr.Is4())
	host.Listener = kernel.No
	o, _ := listen.Decide(&listen.Case{Host: host, Segment: segmentOf(&syn), Now: syn.Time}).Sure()
	form := compare(o.Reply, r)
	var origin []report.Evidence
	weight := 0
	for _, t := range l.e.hostTraits(srv.Addr, &syn, r) {
		weight += t.weight
		origin = append(origin, t.evidence())
	}
	filter := assumeFilterRST
	filter.Cost = max(0, filter.Cost-max(weight, -1))
	if form.ok() {
		s := story{cause: "no-listener", stands: report.StaysOpen,
			says:     "Nobody listens on the port, so the host refuses the SYN with a RST.",
			verdict:  fmt.Sprintf("Nobody listens on port %d of %s: the host answered the SYN with a RST %s later.", srv.Port, srv.Addr, micro(r.Point().Since(syn.Point()))),
			evidence: append([]report.Evidence{note("the RST is what a host without a socket sends: "+strings.Join(form.matches, ", "), r.Frame)}, origin...)}
		if weight >= alienTrait-1 {
			s.assumes = []Assumption{assumeOtherRoute}
		} else if left := weight - assumeFilterRST.Cost; left > 0 {
			a := assumeOddRST
			a.Cost = min(mostAgainst, left)
			s.assumes = []Assumption{a}
		}
		ss.add(s)
	} else {
		ss.add(ruledOut("no-listener", "The RST is not the one that a host without a listener sends: "+form.differs+".", noteNo(form.differs, r.Frame)))
		filter.Cost = 2
	}
	ss.add(story{cause: "rejected-by-filter", stands: report.StaysOpen, assumes: []Assumption{filter}, evidence: origin,
		says: "A firewall, on the host or before it, may refuse the port with a RST.", verdict: "A firewall refuses the port with a RST."})
	return l.finish(f, ss)
}

// refusedLate: a RST follows the last ACK of the handshake, and nothing else came from the listener.
func (l *life) refusedLate(r *flow.Frame) *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	if s.ISNImplied || s.Bytes > 0 || s.FIN.Seen() || !l.opened() || has(r, segment.ACK) || r.Seq != s.ISN.Num.Add(1) || s.RcvNxt.Num.After(o.ISN.Num.Add(1)) {
		return nil
	}
	f := l.finding("connect-refused", flow.Listener, o.ISN.Point, o.ISN.Frame, s.ISN.Frame, r.Frame)
	f.asks = fmt.Sprintf("Why did a RST in frame %d follow the handshake, before the server said anything?", r.Frame)
	ss := l.e.stories(8)
	form := note(fmt.Sprintf("the RST carries no ACK and seq %s, which the client's last ACK acknowledges: no socket was made for the connection", r.Seq), r.Frame)
	ss.add(story{cause: "abort-on-overflow", stands: report.StaysOpen, assumes: []Assumption{assumeAbortFull}, evidence: []report.Evidence{form},
		says: "The accept queue is full, and tcp_abort_on_overflow makes the kernel refuse the last ACK with a RST.", verdict: "The accept queue is full, and with tcp_abort_on_overflow the kernel answered the last ACK with a RST."})
	ss.add(story{cause: "attempt-forgotten", stands: report.StaysOpen, assumes: []Assumption{assumeAttemptGone}, evidence: []report.Evidence{form},
		says: "The listener no longer knew of the attempt when the last ACK came.", verdict: "The listener no longer knew of the attempt when the last ACK came."})
	ss.add(story{cause: "rejected-by-filter", stands: report.StaysOpen, assumes: []Assumption{assumeFilterRST}, says: "A box on the path may have refused the connection."})
	return l.finish(f, ss)
}

// micro words a short time: "21 µs", "1.2 ms", "0.123 s".
func micro(d time.Duration) string {
	switch {
	case d < 0:
		return "an unknown time"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return seconds(d)
}

// notAccepted: SYN-ACKs come that acknowledge another SYN.
func (l *life) notAccepted() *finding {
	o := l.end(flow.Opener)
	var wrong []*flow.Frame
	for i := range l.frames {
		if f := &l.frames[i]; f.From == flow.Listener && has(f, segment.SYN|segment.ACK) && f.Ack != o.ISN.Num.Add(1) {
			wrong = append(wrong, f)
		}
	}
	if len(wrong) == 0 || l.c.MidStream {
		return nil
	}
	f := l.finding("connect-stuck", flow.Listener, o.ISN.Point, o.ISN.Frame)
	for _, w := range wrong {
		f.frames = append(f.frames, w.Frame)
	}
	w := wrong[0]
	f.asks = fmt.Sprintf("Why does the SYN-ACK in frame %d not open the connection?", w.Frame)
	ev := []report.Evidence{{Says: fmt.Sprintf("the SYN-ACK acknowledges %s, the SYN needs %s", w.Ack, o.ISN.Num.Add(1)), Answer: "yes", Frames: frameList(o.ISN.Frame, w.Frame), Source: "net/ipv4/tcp_input.c tcp_rcv_synsent_state_process"}}
	if w.HasTS && o.TSOffered && w.TSEcr != o.FirstTSVal {
		ev = append(ev, note(fmt.Sprintf("it echoes TSval %s, which this SYN (TSval %s) never carried", w.TSEcr, o.FirstTSVal), w.Frame, o.ISN.Frame))
	}
	ss := l.e.stories(8)
	ss.add(story{cause: "synack-not-accepted", stands: report.StaysOpen, assumes: []Assumption{assumeStale}, evidence: ev,
		says: "The SYN-ACK belongs to an older attempt on this four-tuple that the server still holds; the client cannot take it, and answers with a RST, which has to arrive.",
		verdict: fmt.Sprintf("The server answers an older attempt: its SYN-ACK acknowledges %s, but this SYN needs %s. The client cannot take it; it answers with a RST that would clear the way, and if a box eats that (or the SYN-ACK, as invalid) both sides repeat until the old attempt is given up.",
			w.Ack, o.ISN.Num.Add(1))})
	ss.add(story{cause: "other-host", stands: report.StaysOpen, assumes: []Assumption{assumeCrossTalk}, says: "A translation on the path may have handed over another host's SYN-ACK."})
	return l.finish(f, ss)
}

// slow asks why a handshake took long.
func (l *life) slow() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	if l.c.MidStream || !o.ISN.Seen() || !s.ISN.Seen() || s.ISNImplied {
		return nil
	}
	if !l.opened() {
		return l.unacknowledged()
	}
	if f := l.badACK(); f != nil {
		return f
	}
	var syns, synacks []uint64
	var ack *flow.Frame
	for i := range l.frames {
		f := &l.frames[i]
		switch {
		case f.From == flow.Opener && isSYN(f) && f.Seq == o.ISN.Num && f.Point().Since(o.ISN.Point) > 800*time.Millisecond:
			syns = append(syns, f.Frame)
		case f.From == flow.Listener && has(f, segment.SYN|segment.ACK) && f.Seq == s.ISN.Num && f.Point().Since(s.ISN.Point) > 100*time.Millisecond && (ack == nil):
			synacks = append(synacks, f.Frame)
		case f.From == flow.Opener && has(f, segment.ACK) && ack == nil:
			ack = f
		}
	}
	took := s.ISN.Since(o.ISN.Point)
	repeats := len(syns) + len(synacks)
	if repeats == 0 && took < 1200*time.Millisecond || repeats > 0 && took < 150*time.Millisecond && len(synacks) == 0 {
		return nil
	}
	f := l.finding("connect-slow", flow.Listener, o.ISN.Point, append([]uint64{o.ISN.Frame, s.ISN.Frame}, append(syns, synacks...)...)...)
	f.asks = fmt.Sprintf("Why did it take %s from the SYN in frame %d to the SYN-ACK in frame %d?", seconds(took), o.ISN.Frame, s.ISN.Frame)
	ss := l.e.stories(8)
	lost := assumeLostOnce
	if repeats > 1 {
		lost = assumeLostAgain
	}
	before := 0
	for _, x := range syns {
		if x < s.ISN.Frame {
			before++
		}
	}
	switch {
	case repeats == 0:
		ss.add(story{cause: "slow-path", stands: report.StaysOpen, says: "The answer took its time: no SYN was repeated.", verdict: fmt.Sprintf("Nothing was lost: the answer simply took %s, a long round trip or a slow host.", seconds(took)),
			evidence: []report.Evidence{note("neither SYN nor SYN-ACK came twice", o.ISN.Frame, s.ISN.Frame)}})
	case before == 0 && len(syns) == 0:
		l.askedAgain(f, ss, synacks)
	case before == 0:
		f.asks = fmt.Sprintf("Why was the handshake repeated, though the SYN-ACK in frame %d was there?", s.ISN.Frame)
		ss.add(story{cause: "synack-lost-once", stands: report.StaysOpen, assumes: []Assumption{lost}, evidence: []report.Evidence{note("the SYN was repeated though its SYN-ACK is in the capture: it did not reach the client in time", append([]uint64{s.ISN.Frame}, syns...)...)},
			says: "The SYN-ACK did not reach the client at first.", verdict: "The SYN-ACK that the capture shows did not reach the client at first: it was lost between the capture point and the client, or came later than the client's timer."})
	default:
		ev := note(fmt.Sprintf("%d SYN%s stayed without an answer before", before, plural(before)), append(syns, s.ISN.Frame)...)
		ss.add(story{cause: "syn-lost-once", stands: report.StaysOpen, assumes: []Assumption{lost}, evidence: []report.Evidence{ev},
			says: "The first SYN was lost, and the timer repeated it.", verdict: "The first SYN was lost on its way; the client's timer repeated it, and that one was answered at once."})
		ss.add(story{cause: "synack-lost-once", stands: report.StaysOpen, assumes: []Assumption{lost, assumeNotCaptured}, says: "A first SYN-ACK was sent, was lost, and is not in the capture."})
		ss.add(story{cause: "accept-queue-full-for-a-while", stands: report.StaysOpen, assumes: []Assumption{assumeQueueAWhile}, says: "The listener dropped the first SYNs because its accept queue was full for a while."})
	}
	return l.finish(f, ss)
}

// askedAgain: the SYN-ACK comes again, and the opener does not repeat its SYN: it had got the SYN-ACK,
// and its ACK was lost, or not taken.
func (l *life) askedAgain(f *finding, ss *stories, synacks []uint64) {
	s := l.end(flow.Listener)
	again := s.ISN.Point
	for i := range l.frames {
		if l.frames[i].Frame == synacks[0] {
			again = l.frames[i].Point()
		}
	}
	f.question = "connect-stuck"
	f.asks = fmt.Sprintf("Why did the SYN-ACK of frame %d come again in frame %d?", s.ISN.Frame, synacks[0])
	ev := []report.Evidence{note(fmt.Sprintf("the SYN-ACK comes again after %s, and the SYN does not: the client had its answer, or waits longer than the server", seconds(again.Since(s.ISN.Point))), append([]uint64{s.ISN.Frame}, synacks...)...)}
	timer := l.deferredOnce(ss, synacks, again.Since(s.ISN.Point), ev)
	ss.add(story{cause: "final-ack-lost", stands: report.StaysOpen, assumes: append([]Assumption{assumeLostOnce}, timer...), evidence: ev,
		says: "The client's ACK was lost on its way, or came late."})
	ss.add(story{cause: "final-ack-ignored", stands: report.StaysOpen, assumes: append([]Assumption{assumeQueueAWhile}, timer...),
		says: "The accept queue was full when the ACK came, and the next one found room."})
}

// badACK: an ACK that does not acknowledge the SYN met the opener, which answered with
// a RST that carries its number; of what the ACK comes from the capture shows nothing.
func (l *life) badACK() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	var ack, rst *flow.Frame
	for i := range l.frames {
		f := &l.frames[i]
		switch {
		case ack == nil && f.From == flow.Listener && f.Flags&(segment.SYN|segment.RST) == 0 && has(f, segment.ACK) && f.Ack != o.ISN.Num.Add(1) && f.Frame < s.ISN.Frame:
			ack = f
		case ack != nil && rst == nil && f.From == flow.Opener && has(f, segment.RST) && f.Seq == ack.Ack:
			rst = f
		}
	}
	if ack == nil || rst == nil {
		return nil
	}
	f := l.finding("reset", flow.Opener, o.ISN.Point, o.ISN.Frame, ack.Frame, rst.Frame)
	f.asks = fmt.Sprintf("Why did the client answer the ACK in frame %d with a RST?", ack.Frame)
	ss := l.e.stories(8)
	ss.add(story{cause: "bad-ack-in-syn-sent", stands: report.StaysOpen,
		says: "The server's ACK belongs to an older connection on this four-tuple (TIME_WAIT, or one that it still holds); an opener answers it with a RST, which clears the way.",
		verdict: fmt.Sprintf("The ACK in frame %d does not acknowledge the SYN: the server still held an older connection on this four-tuple. The client answered with a RST that carries its number, as it must, and the SYN that followed was accepted in frame %d, %s after the first.",
			ack.Frame, s.ISN.Frame, seconds(s.ISN.Since(o.ISN.Point))),
		evidence: []report.Evidence{{Says: fmt.Sprintf("ack %s is not ISN + 1 = %s", ack.Ack, o.ISN.Num.Add(1)), Answer: "yes", Frames: frameList(o.ISN.Frame, ack.Frame), Source: "net/ipv4/tcp_input.c tcp_rcv_synsent_state_process"},
			note(fmt.Sprintf("the RST has seq %s, that number", rst.Seq), rst.Frame)}})
	return l.finish(f, ss)
}

// unacknowledged: the SYN-ACK comes again and again, and no ACK of it.
func (l *life) unacknowledged() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	if l.c.State != flow.SynAcked || l.e.reopened[l.c.ID] != 0 {
		return nil
	}
	var synacks, syns []uint64
	for i := range l.frames {
		f := &l.frames[i]
		switch {
		case f.From == flow.Listener && has(f, segment.SYN|segment.ACK) && f.Seq == s.ISN.Num && f.Point().Since(s.ISN.Point) > 800*time.Millisecond:
			synacks = append(synacks, f.Frame)
		case f.From == flow.Opener && isSYN(f) && f.Point().Since(s.ISN.Point) > 800*time.Millisecond:
			syns = append(syns, f.Frame)
		}
	}
	if len(synacks)+len(syns) < 2 {
		return nil
	}
	f := l.finding("connect-silent", flow.Listener, o.ISN.Point, append([]uint64{o.ISN.Frame, s.ISN.Frame}, append(synacks, syns...)...)...)
	f.asks = fmt.Sprintf("Why is the SYN-ACK in frame %d never acknowledged?", s.ISN.Frame)
	ss := l.e.stories(8)
	ev := []report.Evidence{note(fmt.Sprintf("the SYN-ACK was sent %d times, and no ACK of it is in the capture", len(synacks)+1), append([]uint64{s.ISN.Frame}, synacks...)...)}
	gone := assumeOpenerGone
	if len(syns) > 0 {
		ev = append(ev, note("the client repeats its SYN: no SYN-ACK has reached it", syns...))
		gone.Cost = 20
	}
	ss.add(story{cause: "reply-lost", stands: report.StaysOpen, assumes: []Assumption{assumeReplyLost}, evidence: ev,
		says:    "The SYN-ACK goes out and does not reach the client: lost, filtered, or sent the wrong way.",
		verdict: fmt.Sprintf("The server answers (frame %d), but its SYN-ACK never reaches the client: it is lost, filtered, or sent another way back than the SYN came.", s.ISN.Frame)})
	ss.add(story{cause: "opener-gave-up", stands: report.StaysOpen, assumes: []Assumption{gone}, says: "Whoever sent the SYN does not want the answer: a forged address (a flood), a scan, or a client that died."})
	if len(syns) == 0 {
		ss.add(story{cause: "not-captured", stands: report.StaysOpen, assumes: []Assumption{assumeNotCaptured}, says: "The ACK was sent and is not in the capture."})
	}
	return l.finish(f, ss)
}
