package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// resetCase is a RST with what the capture had shown before it.
type resetCase struct {
	*life
	r    *flow.Frame
	x, y flow.Side // who sent the RST by its address, and the other end
	// before: the connection as it was when the RST came.
	before *flow.Connection
	// exact: its number is where the sender's numbers stood. follows is what had been seen of
	// the peer last, and since when.
	exact, bare bool
	xFIN, yFIN  bool // sent before
	trigger     flow.Point
	silence     time.Duration // the longest pause, if it lies right before the RST or what drew it
}

// reset asks why a connection was reset.
func (l *life) reset() *finding {
	q := l.resetCase()
	if q == nil || l.e.openingTold[l.c.ID] && !l.opened() || l.e.explains(l.c, q) {
		return nil
	}
	f := l.finding("reset", q.x, q.r.Point())
	if q.trigger.Seen() && q.r.Point().Since(q.trigger) < 3*time.Second {
		f.frames = append(f.frames, q.trigger.Frame)
	}
	f.frames = append(f.frames, q.r.Frame)
	f.asks = "Why did the " + name(q.x) + " reset the connection in frame " + decimal(q.r.Frame) + "?"
	ss := l.e.stories(8)
	switch {
	case q.damaged(ss), q.ignored(ss), q.bypassed(ss):
	case !l.opened():
		q.whileOpening(ss)
	case q.xFIN && !q.bare && (q.unsent() || q.readOn()):
		q.aborted(ss)
	case q.xFIN && q.yFIN && !q.cutsOff():
		q.afterBoth(ss)
	case q.xFIN:
		q.afterOwnFIN(ss)
	case q.bare:
		q.stranger(ss)
	default:
		q.aborted(ss)
	}
	if !ss.has("crossing") && !ss.has("out-of-window-ignored") && !ss.has("bad-ack-in-syn-sent") && !ss.has("reply-from-other-address") && !ss.has("checksum-wrong") {
		q.forged(ss) // else nothing hangs on who sent it
	}
	l.finish(f, ss)
	q.weigh(f)
	return f
}

// resetCase finds the RST that ended the connection, else the first one.
func (l *life) resetCase() *resetCase {
	var r *flow.Frame
	for i := range l.frames {
		f := &l.frames[i]
		if !has(f, segment.RST) || l.e.openingTold[l.c.ID] && l.answersOld(f) {
			continue
		}
		if r == nil || f.Frame == l.c.EndedAt.Frame && l.c.State == flow.Reset {
			r = f
		}
	}
	if r == nil {
		return nil
	}
	q := l.e.mem.resets.one()
	*q = resetCase{life: l, r: r, x: r.From, y: r.From.Other(), before: l.e.mem.asOf(l.c, r.Frame), bare: !has(r, segment.ACK)}
	ex, ey := q.end(q.x), q.end(q.y)
	was := &q.before.Ends[q.x]
	q.exact = !was.SndNxt.Seen() || r.Seq == was.SndNxt.Num || was.FIN.Seen() && r.Seq == was.FIN.Num.Add(^uint32(0))
	q.xFIN, q.yFIN = ex.FIN.Seen() && ex.FIN.Frame < r.Frame, ey.FIN.Seen() && ey.FIN.Frame < r.Frame
	if t := l.lastBefore(q.y, r.Frame); t != nil {
		q.trigger = t.Point()
	}
	if p := ey.BeforeEnd; p.Seen() && p.Frame < r.Frame && p.Frame > q.trigger.Frame {
		q.trigger = p
	}
	if to := l.c.SilenceTo; to.Seen() && (to.Frame == r.Frame || to.Frame <= q.trigger.Frame && r.Point().Since(to) < 3*time.Second) {
		q.silence = to.Since(l.c.SilenceFrom)
	}
	return q
}

// answersOld: the opener sent the RST before it was connected, to an ACK of an older
// connection: the question about its SYN tells of it.
func (l *life) answersOld(r *flow.Frame) bool {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	return r.From == flow.Opener && (!s.ISN.Seen() || r.Frame < s.ISN.Frame || r.Seq != o.ISN.Num.Add(1) && !o.RcvNxt.Seen())
}

// ignored: the RST had no effect.
func (q *resetCase) ignored(ss *stories) bool {
	if !q.opened() || q.c.State == flow.Reset && q.c.EndedAt.Frame <= q.r.Frame && !q.senderGoesOn() {
		return false
	}
	further := q.after(q.y, q.r.Frame)
	var on *flow.Frame
	for _, f := range further {
		if !has(f, segment.RST) {
			on = f
		}
	}
	if last := q.end(q.y).Last; on == nil && last.Seen() && last.Frame > q.r.Frame {
		on = &flow.Frame{Ref: segment.Ref{Frame: last.Frame, Time: last.Time}}
	}
	was, waits := q.before.Ends[q.y].RcvNxt, "waits for"
	if !was.Seen() {
		// Which ACK had come when is not kept: yet if the RST lies beyond all that ever was acknowledged,
		// it lay beyond rcv_nxt then.
		if last := q.end(q.y).RcvNxt; last.Seen() && last.Frame > q.r.Frame && q.r.Seq.After(last.Num) {
			was, waits = last, "never came further than"
		}
	}
	if on == nil || !was.Seen() || q.before.State >= flow.Closing {
		return false
	}
	k := live.Case{Socket: live.Socket{State: live.Established, RcvNxt: kernel.Known(was.Num)}, Segment: segmentOf(q.r), Now: q.r.Time}
	if w, ok := q.before.ScaledWindow(q.y); ok {
		k.RcvWnd = kernel.Known(seq.Of(w))
	}
	d := live.Decide(&k)
	for _, o := range d.Possible {
		if o.Gone && len(d.Possible) == 1 {
			return false
		}
	}
	s := story{cause: "out-of-window-ignored", stands: report.StaysOpen,
		says: fmt.Sprintf("The RST carries seq %s, the %s %s %s: a RST that is not at rcv_nxt ends nothing (RFC 5961 §3.2).", q.r.Seq, name(q.y), waits, was.Num),
		verdict: fmt.Sprintf("The RST in frame %d had no effect: its seq %s is not what the %s waits for (it %s %s, %d away), so the %s dropped it and went on (frame %d).",
			q.r.Frame, q.r.Seq, name(q.y), waits, was.Num, q.r.Seq.Sub(was.Num), name(q.y), on.Frame)}
	for _, a := range d.Trace {
		for _, r := range a.Readings {
			if a.Rule == "rst-exact" && r.Answer != kernel.Yes {
				s.evidence = append(s.evidence, evidence(r, a.From, q.r.Frame, was.Frame))
			}
		}
	}
	s.evidence = append(s.evidence, note(fmt.Sprintf("the %s goes on after it", name(q.y)), on.Frame))
	s.evidence = append(s.evidence, note("ends do not send such numbers: a box between them made the RST up, or passed it on without putting its numbers right (a SYN proxy, a translation)"))
	ss.add(s)
	return true
}

// senderGoesOn: whoever sent the RST behaves as if it had not.
func (q *resetCase) senderGoesOn() bool {
	for _, f := range q.after(q.x, q.r.Frame) {
		if !has(f, segment.RST) && f.Point().Since(q.r.Point()) > 0 {
			return true
		}
	}
	return false
}

// answeredLate: the opener's RST meets a SYN-ACK for which it had waited long.
func (q *resetCase) answeredLate() bool {
	o, s := q.end(flow.Opener), q.end(flow.Listener)
	return q.x == flow.Opener && !q.opened() && o.ISN.Seen() && s.ISN.Seen() && !s.ISNImplied && q.r.Seq == o.ISN.Num.Add(1) && s.ISN.Since(o.ISN.Point) > 900*time.Millisecond
}

// patient: the opener had held the connection for seconds before it dropped it.
func (q *resetCase) patient() bool {
	return q.opened() && q.r.Point().Since(q.c.First) > 3*time.Second
}

// whileOpening: the RST came before the handshake was complete.
func (q *resetCase) whileOpening(ss *stories) {
	o, s := q.end(flow.Opener), q.end(flow.Listener)
	switch {
	case q.answeredLate():
		ss.add(story{cause: "no-such-connection", stands: report.StaysOpen,
			says:     "The SYN-ACK came late, when the client had given its attempt up.",
			verdict:  fmt.Sprintf("The SYN-ACK in frame %d came %s after the first SYN: by then the client's program had given the attempt up (a timeout of its own), so its kernel answered with a RST. Ask why the answer took so long.", s.ISN.Frame, seconds(s.ISN.Since(o.ISN.Point))),
			evidence: []report.Evidence{note(fmt.Sprintf("SYN and SYN-ACK are %s apart", seconds(s.ISN.Since(o.ISN.Point))), o.ISN.Frame, s.ISN.Frame, q.r.Frame)}})
		ss.add(story{cause: "probe", stands: report.StaysOpen, assumes: []Assumption{assumeSlowProbe}, says: "A health check or a scan resets as soon as the SYN-ACK is there, however late."})
	case q.x == flow.Opener && s.ISN.Seen() && !s.ISNImplied && q.r.Seq == o.ISN.Num.Add(1):
		ss.add(story{cause: "probe", stands: report.StaysOpen,
			says:     "The client only wanted to know whether the port is open: it resets as soon as the SYN-ACK is there, as health checks and port scans do.",
			verdict:  fmt.Sprintf("The client reset right after the SYN-ACK in frame %d, without acknowledging it: a health check or a scan that only tests whether the port is open.", s.ISN.Frame),
			evidence: []report.Evidence{note(fmt.Sprintf("the RST comes %s after the SYN-ACK, and nothing was sent", micro(q.r.Point().Since(s.ISN.Point))), s.ISN.Frame, q.r.Frame)}})
		ss.add(story{cause: "no-such-connection", stands: report.StaysOpen, assumes: []Assumption{assumeNotTheOpener}, says: "The host that got the SYN-ACK knows of no such attempt: somebody else sent the SYN, or the opener had given up."})
	case q.x == flow.Opener:
		ss.add(story{cause: "bad-ack-in-syn-sent", stands: report.StaysOpen,
			says:     "An ACK reached the client that does not acknowledge its SYN; it answers with a RST that carries that number (RFC 9293 §3.10.7.3).",
			verdict:  fmt.Sprintf("The client's RST with seq %s answers an ACK with that number, which does not acknowledge its SYN: it comes from an older connection or from another host.", q.r.Seq),
			evidence: []report.Evidence{{Says: fmt.Sprintf("seq %s of the RST is not ISN + 1 = %s", q.r.Seq, o.ISN.Num.Add(1)), Answer: "yes", Frames: frameList(q.r.Frame), Source: "net/ipv4/tcp_input.c tcp_rcv_synsent_state_process"}}})
	case s.ISN.Seen() && !s.ISNImplied:
		ss.add(story{cause: "aborted-by-application", stands: report.StaysOpen, assumes: []Assumption{assumeGaveUp}, says: "The server gave the half-open connection up."})
		ss.add(story{cause: "no-such-connection", stands: report.StaysOpen, assumes: []Assumption{assumeForgot}, says: "The server no longer knows of the attempt."})
	default:
		ss.add(story{cause: "no-such-connection", stands: report.StaysOpen, says: "The host that sent the RST knows of no such connection.",
			verdict: "The host that sent the RST knows of no such connection."})
	}
}

// taken is how far the sender of the RST had taken the peer's numbers before it.
func (q *resetCase) taken() seq.Num {
	n := q.end(q.x).FINAck.Num
	if a := q.before.Ends[q.x].RcvNxt; a.Seen() && a.Num.After(n) {
		return a.Num
	}
	return n
}

// cutsOff: the peer had sent data before its FIN that the sender of the RST never acknowledged.
func (q *resetCase) cutsOff() bool { return q.end(q.y).FIN.Num.Add(^uint32(0)).After(q.taken()) }

// unsent: data before the own FIN was not acknowledged when the RST came.
func (q *resetCase) unsent() bool {
	a := q.before.Ends[q.y].RcvNxt
	return q.end(q.x).Bytes > 0 && a.Seen() && a.Num.Before(q.end(q.x).FIN.Num.Add(^uint32(0)))
}

// readOn: the sender of the RST had taken data after its own FIN, so a socket was still
// there to read it: a half-close. The kernel does not take it for an application that is gone.
func (q *resetCase) readOn() bool {
	ex := q.end(q.x)
	a, was := q.before.Ends[q.x].RcvNxt, q.before.Ends[q.y].SndNxt
	if fin := q.end(q.y).FIN; fin.Seen() && a.Num == fin.Num && fin.Num.Sub(ex.FINAck.Num) == 1 {
		return false // it took the FIN, and no data
	}
	return a.Seen() && was.Seen() && a.Frame > ex.FIN.Frame && a.Frame < q.r.Frame && a.Num.After(ex.FINAck.Num)
}

// quitReading: a half-closed end that read on is gone when the next data comes.
func (q *resetCase) quitReading(ss *stories) {
	ex, a := q.end(q.x), q.before.Ends[q.x].RcvNxt
	ss.add(story{cause: "aborted-by-application", stands: report.StaysOpen, assumes: []Assumption{assumeReaderQuit},
		says: "The application had closed one direction, read on, and was gone before all had come.",
		verdict: fmt.Sprintf("The %s had closed its own direction only (FIN in frame %d) and read on (ACK in frame %d); then its application closed or ended while the %s was still sending, and the next data met no reader.",
			name(q.x), ex.FIN.Frame, a.Frame, name(q.y)),
		evidence: []report.Evidence{note(fmt.Sprintf("after its FIN the %s acknowledged data up to %s", name(q.x), a.Num), ex.FIN.Frame, a.Frame)}})
	forgot := assumeForgot
	if q.silence < 20*time.Second {
		forgot.Cost += 11
		forgot.Why = "nothing stood still long enough for a restart"
	}
	ss.add(story{cause: "half-open", stands: report.StaysOpen, assumes: []Assumption{forgot}, says: fmt.Sprintf("The %s restarted, or another machine took its address over.", name(q.x))})
}

// afterBoth: both ends had closed already.
func (q *resetCase) afterBoth(ss *stories) {
	ex, ey := q.end(q.x), q.end(q.y)
	ss.add(story{cause: "crossing", stands: report.StaysOpen,
		says:     "Both ends had sent their FIN before: nothing is cut off by this RST.",
		verdict:  fmt.Sprintf("Both ends had closed before (FINs in frames %d and %d): the RST only answers a segment for which the %s has no socket any more. It cuts nothing off.", min(ex.FIN.Frame, ey.FIN.Frame), max(ex.FIN.Frame, ey.FIN.Frame), name(q.x)),
		evidence: []report.Evidence{note("both FINs come before the RST", ex.FIN.Frame, ey.FIN.Frame, q.r.Frame)}})
}

// afterOwnFIN: the sender of the RST had closed, its peer had not.
func (q *resetCase) afterOwnFIN(ss *stories) {
	ex, ey := q.end(q.x), q.end(q.y)
	late := q.late()
	gap := q.trigger.Since(ex.FIN.Point)
	switch {
	case q.readOn():
		q.quitReading(ss)
	case late && q.inFlight():
		ss.add(story{cause: "crossing", stands: report.StaysOpen,
			says: "The application closed while the peer was still sending: it did not want the rest.",
			verdict: fmt.Sprintf("The %s closed (FIN in frame %d) while the %s was still sending: it did not want the rest, as when a download is stopped. What was under way met a closed socket, and the kernel answered with a RST.",
				name(q.x), ex.FIN.Frame, name(q.y)),
			evidence: []report.Evidence{note(fmt.Sprintf("the %s's data (frame %d) was sent within a round trip of the FIN: it could not know", name(q.y), q.dataFrame()), ex.FIN.Frame, q.dataFrame())}})
	case late && ex.FINAcked.Seen() && ex.FINAcked.Frame <= ey.SndNxt.Frame:
		ss.add(story{cause: "data-after-close", stands: report.StaysOpen, proven: q.exactAnswer(),
			says: "Data arrived after the application was gone: the kernel answers with a RST, because nobody will ever read it.",
			verdict: fmt.Sprintf("The %s had closed (FIN in frame %d, acknowledged in frame %d); then the %s sent data (frame %d), and as nobody is left to read it the %s's kernel answered with a RST.",
				name(q.x), ex.FIN.Frame, ex.FINAcked.Frame, name(q.y), q.dataFrame(), name(q.x)),
			evidence: []report.Evidence{note(fmt.Sprintf("the %s's FIN was acknowledged, at the latest with the data itself", name(q.x)), ex.FIN.Frame, ex.FINAcked.Frame),
				{Says: fmt.Sprintf("the data ends at %s, beyond %s which the FIN acknowledged", ey.SndNxt.Num, ex.FINAck.Num), Answer: "yes", Frames: frameList(q.dataFrame(), q.r.Frame), Source: "net/ipv4/tcp_input.c tcp_rcv_state_process (TCPAbortOnData)"}}})
	case late:
		ss.add(story{cause: "crossing", stands: report.StaysOpen,
			says: "The data and the FIN crossed: each side sent before it could know of the other.",
			verdict: fmt.Sprintf("The %s closed (FIN in frame %d) just as the %s sent more data (frame %d): the two crossed, and the data met a closed socket. On a connection that is kept alive this is the race between the idle timeout of one side and the next request of the other.",
				name(q.x), ex.FIN.Frame, name(q.y), q.dataFrame()),
			evidence: []report.Evidence{note(fmt.Sprintf("the data in frame %d does not acknowledge the FIN in frame %d", q.dataFrame(), ex.FIN.Frame), ex.FIN.Frame, q.dataFrame())}})
	case q.bare && gap > 2*time.Second:
		ss.add(story{cause: "no-such-connection", stands: report.StaysOpen, assumes: []Assumption{assumeForgot},
			says:    fmt.Sprintf("The %s had closed %s before and keeps nothing of the connection any more (FIN_WAIT2 runs out).", name(q.x), seconds(gap)),
			verdict: fmt.Sprintf("The %s had closed %s before (frame %d); its kernel keeps an orphan for tcp_fin_timeout only, and answers what comes later with a RST.", name(q.x), seconds(gap), ex.FIN.Frame)})
		ss.add(story{cause: "fin-wait2-orphan-data", stands: report.StaysOpen, assumes: []Assumption{assumeUnseenData}, says: "Data met the orphan in FIN_WAIT2 that the application left behind."})
	default:
		ss.add(story{cause: "crossing", stands: report.StaysOpen, assumes: []Assumption{assumeLateSegment},
			says:    "The RST follows the sender's own FIN: it was closing, and what came after met a closed socket.",
			verdict: fmt.Sprintf("The %s had closed its side (FIN in frame %d) and then dropped the rest of the connection: nothing that was sent is shown to be lost.", name(q.x), ex.FIN.Frame)})
		ss.add(story{cause: "aborted-by-application", stands: report.StaysOpen, assumes: []Assumption{assumeLinger}, says: "The application did not wait for the peer's FIN: it closed with a timeout (SO_LINGER), or ended."})
		ss.add(story{cause: "data-after-close", stands: report.StaysOpen, assumes: []Assumption{assumeUnseenData}, says: "Data that the capture does not show met the closed socket."})
	}
}

// late: the peer sent more than the FIN of the RST's sender acknowledged.
func (q *resetCase) late() bool {
	ex, ey := q.end(q.x), q.end(q.y)
	return ey.SndNxt.Seen() && ey.SndNxt.Frame > ex.FIN.Frame && ey.SndNxt.Num.After(ex.FINAck.Num)
}

// dataFrame is the peer's last kept frame with data before the RST.
func (q *resetCase) dataFrame() uint64 {
	for i := len(q.frames) - 1; i >= 0; i-- {
		if f := &q.frames[i]; f.From == q.y && f.Len > 0 && f.Frame < q.r.Frame {
			return f.Frame
		}
	}
	return q.end(q.y).SndNxt.Frame
}

// inFlight: the peer was sending when the FIN left, and its first data behind it came within a round
// trip, so that it could not heed it.
func (q *resetCase) inFlight() bool {
	ex, ey := q.end(q.x), q.end(q.y)
	rtt := max(ex.SRTT, ey.SRTT)
	for i := range q.frames {
		f := &q.frames[i]
		if f.From != q.y || f.Frame < ex.FIN.Frame || f.Len == 0 || !f.End().After(ex.FINAck.Num) {
			continue
		}
		return ey.Bytes > uint64(f.Len) && ex.FINAck.Num.Sub(ey.ISN.Num) > 1 && f.Point().Since(ex.FIN.Point) < 2*rtt+2*time.Millisecond && ey.BeforeEnd.Seen() && ex.FIN.Since(ey.BeforeEnd) < 2*rtt+50*time.Millisecond
	}
	return false
}

// exactAnswer: the RST has the form of a kernel's answer to a segment: without ACK, at
// the number that the segment acknowledges.
func (q *resetCase) exactAnswer() bool {
	was := &q.before.Ends[q.y]
	return q.bare && was.Last.Seen() && q.r.Seq == was.Last.Num
}

// stranger: a RST without ACK, as a host sends it that has no socket for what it got.
func (q *resetCase) stranger(ss *stories) {
	ex := q.end(q.x)
	answers := q.exactAnswer()
	if !q.before.Ends[q.y].Last.Seen() {
		q.alone(ss)
		return
	}
	form := note(fmt.Sprintf("the RST carries no ACK and seq %s, the number that the %s acknowledged last: the answer to a segment for which there is no socket (RFC 9293 §3.10.7.1)", q.r.Seq, name(q.y)), q.trigger.Frame, q.r.Frame)
	if !answers {
		form = noteNo(fmt.Sprintf("seq %s of the RST is not what the %s acknowledged last (%s)", q.r.Seq, name(q.y), q.before.Ends[q.y].Last.Num), q.trigger.Frame, q.r.Frame)
	}
	took := ex.Segments > 1 || ex.Bytes > 0 || ex.ISN.Seen() && !ex.ISNImplied
	a := assumeForgot
	if !answers {
		a.Cost += 8
	}
	if n := q.unanswered(); n >= 3 {
		ss.add(story{cause: "rto-given-up", stands: report.StaysOpen, evidence: []report.Evidence{form},
			says:    fmt.Sprintf("The %s had repeated its data without an answer and given the connection up, without a word.", name(q.x)),
			verdict: fmt.Sprintf("The %s had given the connection up: it had sent the same data %d times without an answer (tcp_retries2, or TCP_USER_TIMEOUT). What the %s sent in frame %d came too late and met no socket.", name(q.x), n, name(q.y), q.trigger.Frame)})
		a.Cost += 6
	}
	if took && q.silence < 20*time.Second {
		a.Cost += 5 // no machine restarts so fast
		a.Why = "nothing stood still long enough for a restart"
	}
	after := ""
	if q.silence > 0 {
		after = fmt.Sprintf(" after %s of silence", seconds(q.silence))
	}
	if took {
		ss.add(story{cause: "half-open", stands: report.StaysOpen, assumes: []Assumption{a}, evidence: []report.Evidence{form},
			says:    fmt.Sprintf("The %s has forgotten the connection: it restarted, its process died without a word, or another machine took its address over.", name(q.x)),
			verdict: fmt.Sprintf("The %s no longer knows the connection: what the %s sent in frame %d%s met no socket there, and the host answered with a RST. It restarted, or another machine has its address now.", name(q.x), name(q.y), q.trigger.Frame, after)})
	} else {
		ss.add(story{cause: "no-such-connection", stands: report.StaysOpen, assumes: []Assumption{a}, evidence: []report.Evidence{form},
			says:    fmt.Sprintf("The %s knows of no such connection.", name(q.x)),
			verdict: fmt.Sprintf("The %s knows of no such connection: what the %s sent in frame %d met no socket there.", name(q.x), name(q.y), q.trigger.Frame)})
	}
	q.idle(ss)
	if took {
		ss.add(story{cause: "aborted-by-application", stands: report.StaysOpen, assumes: []Assumption{assumeEarlierEnd}, says: fmt.Sprintf("The %s had ended the connection before, by a RST or FIN that the capture does not show.", name(q.x))})
	}
}

// alone: nothing of the peer is in the capture before the RST.
func (q *resetCase) alone(ss *stories) {
	ss.add(story{cause: "no-such-connection", stands: report.StaysOpen, assumes: []Assumption{assumeForgot},
		evidence: []report.Evidence{note(fmt.Sprintf("a RST without ACK answers a segment; the capture shows none of the %s before it", name(q.y)), q.r.Frame)},
		says:     fmt.Sprintf("The %s knows of no such connection, or no longer.", name(q.x))})
}

// unanswered counts how often the sender of the RST had sent its last data in vain.
func (q *resetCase) unanswered() int {
	for _, r := range q.rows() {
		if r.from == q.x && r.last().Frame < q.r.Frame && q.before.Ends[q.y].RcvNxt.Num.Before(r.end) {
			return len(r.frames)
		}
	}
	return 0
}

// aborted: a RST with ACK, as a live socket sends it when it is given up.
func (q *resetCase) aborted(ss *stories) {
	m, ex, ey := q.e.mem, q.end(q.x), q.end(q.y)
	if !q.exact {
		ss.add(story{cause: "middlebox-reset", stands: report.StaysOpen, assumes: []Assumption{assumeBoxSent},
			says:     "The number of the RST is not where the sender's numbers stood: a box between the ends made it up.",
			evidence: []report.Evidence{note(fmt.Sprintf("seq %s of the RST, and snd_nxt %s of the %s", q.r.Seq, q.before.Ends[q.x].SndNxt.Num, name(q.x)), q.r.Frame)}})
	}
	if q.gaveUp(ss) {
		return
	}
	form := note("the RST carries ACK, seq "+q.r.Seq.String()+" where the "+name(q.x)+"'s numbers stood and ack "+q.r.Ack.String()+": a live socket sent it", q.r.Frame)
	received := ey.Bytes > 0
	dataFirstAcked := received && q.r.Ack.After(q.before.Ends[q.x].RcvNxt.Num) && q.before.Ends[q.x].RcvNxt.Seen()
	nothing := ex.Bytes == 0 && ey.Bytes == 0 && !q.c.MidStream
	if nothing && q.x == flow.Opener {
		var waited []Assumption
		if q.patient() {
			waited = []Assumption{assumePatientProbe}
		}
		ss.add(story{cause: "probe", stands: report.StaysOpen, assumes: waited, evidence: []report.Evidence{form, note("no byte of data was sent by either side", q.r.Frame)},
			says:    "The client connected, sent nothing, and dropped the connection: a health check.",
			verdict: "The client connected and dropped the connection without sending a byte: a health check that closes with a RST (SO_LINGER 0) to leave no TIME_WAIT."})
	}
	how := story{cause: "aborted-by-application", stands: report.StaysOpen, evidence: m.proof(form),
		says:    "The " + name(q.x) + "'s application ended the connection abruptly.",
		verdict: "The " + name(q.x) + "'s application ended the connection abruptly: its socket was alive and sent the RST itself."}
	linger := story{cause: "linger-zero", stands: report.StaysOpen, says: "The application closed with SO_LINGER 0, which resets instead of closing."}
	unread := story{cause: "closed-with-unread-data", stands: report.StaysOpen, says: "The application closed while data that had arrived was still unread: Linux then resets, so that the peer knows."}
	switch {
	case !received:
		unread = ruledOut("closed-with-unread-data", "The "+name(q.y)+" sent no data that could have been left unread.", noteNo("no byte of the "+name(q.y)+" is in the capture", q.r.Frame))
		how.assumes = m.assume(assumeOtherAbort)
	case dataFirstAcked && !q.yFIN:
		unread.evidence = m.proof(form, note("the RST is the first to acknowledge what the "+name(q.y)+" sent last", q.r.Frame))
		unread.verdict = "The " + name(q.x) + "'s application closed while the data of the " + name(q.y) + " that had just arrived was unread: Linux then sends a RST instead of a FIN. The RST is the first segment that acknowledges that data."
		linger.assumes, how.assumes = m.assume(assumeLingerThen), m.assume(assumeAbortThen)
		if ex.Bytes > 0 { // one that answers delays its ACKs: it may have read, and then aborted
			unread.assumes, linger.assumes, how.assumes = m.assume(assumeUnread), m.assume(assumeLinger), m.assume(assumeOtherAbort)
		}
	default:
		unread.assumes = m.assume(assumeUnread)
		linger.assumes = m.assume(assumeLinger)
		how.assumes = m.assume(assumeOtherAbort)
	}
	if nothing && q.x == flow.Opener && !q.patient() {
		linger.assumes = append(linger.assumes, assumeNoProbe)
		how.assumes = append(how.assumes, assumeNoProbe)
	}
	ss.add(unread)
	ss.add(linger)
	ss.add(how)
	if r := q.r.Point(); q.silence > 0 && q.c.SilenceTo.Frame == r.Frame {
		q.idle(ss)
	}
}

// gaveUp: the sender of the RST had asked several times without an answer.
func (q *resetCase) gaveUp(ss *stories) bool {
	var probes, repeats []uint64
	for i := range q.c.Troubles {
		f := &q.c.Troubles[i]
		if f.From != q.x || f.Frame >= q.r.Frame || f.Frame < q.trigger.Frame {
			continue
		}
		if f.Len <= 1 && f.Flags&(segment.SYN|segment.FIN) == 0 && f.Seq.Add(1) == q.before.Ends[q.x].SndNxt.Num {
			probes = append(probes, f.Frame)
		} else {
			repeats = append(repeats, f.Frame)
		}
	}
	switch {
	case len(probes) >= 2:
		ss.add(story{cause: "keepalive-given-up", stands: report.StaysOpen, evidence: []report.Evidence{note(fmt.Sprintf("%d keep-alive probes had no answer", len(probes)), append(probes, q.r.Frame)...)},
			says:    "Keep-alive probes stayed without an answer, so the connection was given up.",
			verdict: fmt.Sprintf("The %s gave the connection up: %d keep-alive probes had no answer. The %s, or the path to it, had gone before.", name(q.x), len(probes), name(q.y))})
		return true
	case len(repeats) >= 3:
		ss.add(story{cause: "rto-given-up", stands: report.StaysOpen, evidence: []report.Evidence{note(fmt.Sprintf("%d repeats had no answer", len(repeats)), append(repeats, q.r.Frame)...)},
			says:    "What it sent was repeated without an answer until it was given up.",
			verdict: fmt.Sprintf("The %s gave the connection up: it had repeated its data without an answer. The %s, or the path to it, had gone before.", name(q.x), name(q.y))})
		return true
	}
	return false
}

// weigh says how much the reset matters: where no data was under way it cuts nothing off.
func (q *resetCase) weigh(f *finding) {
	ex, ey := q.end(q.x), q.end(q.y)
	if f.verdict.cause == "crossing" && q.x == flow.Listener && q.xFIN && q.late() && q.inFlight() {
		// What a client uploads may matter to it; a download that is stopped does not.
		f.severity, f.fault = report.Notice, report.ServerApplication
		return
	}
	switch cause := f.verdict.cause; {
	case ex.Bytes == 0 && ey.Bytes == 0 && !q.c.MidStream && (q.x == flow.Opener && !q.patient() || q.yFIN) && !q.answeredLate() && cause != "middlebox-reset":
		f.severity = report.Harmless
		f.verdict.says += " No data was sent by either side, so nothing was lost."
	case q.answeredLate():
		f.fault = report.FaultUnknown // the client is right; who was slow is not shown
	case cause == "crossing" && q.xFIN && q.yFIN:
		f.severity = report.Harmless
	case f.verdict.certainty == report.Open && f.severity == report.Problem && q.xFIN && stands(f, "crossing"):
		// The end that resets had said that it is done. That something crossed its close is as
		// likely as anything that would matter.
		f.severity = report.Notice
	}
}

// stands tells whether a cause is among those that an open verdict holds for about as likely as its first.
func stands(f *finding, cause string) bool {
	best := -1
	for i := range f.stories {
		s := &f.stories[i]
		if !s.standing() {
			continue
		}
		if best < 0 {
			best = s.cost()
		}
		if s.cause == cause {
			return s.cost()-best < margin
		}
	}
	return false
}
