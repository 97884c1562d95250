package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// unfinished asks why a close was begun and never completed.
func (l *life) unfinished() *finding {
	if l.c.State != flow.HalfClosed && l.c.State != flow.Closing || l.e.reopened[l.c.ID] != 0 {
		return nil // where the four-tuple was opened again, that question tells of it
	}
	x := flow.Opener
	if e, o := l.end(flow.Opener), l.end(flow.Listener); o.FIN.Seen() && (!e.FIN.Seen() || e.FINAcked.Seen() && !o.FINAcked.Seen()) {
		x = flow.Listener
	}
	ex, ey := l.end(x), l.end(x.Other())
	fins := l.repeatsOfFIN(x)
	if left := l.left(ex.FIN.Point); left < time.Second && len(fins) < 2 {
		return nil // the capture ends while they close
	}
	f := l.finding("close-unfinished", x, ex.FIN.Point, append([]uint64{ex.FIN.Frame}, fins...)...)
	f.asks = fmt.Sprintf("Why was the close that the %s began in frame %d never completed?", name(x), ex.FIN.Frame)
	ss := l.e.stories(8)
	switch {
	case l.c.State == flow.Closing:
		l.lastACK(ss, x, fins)
	case ex.FINAcked.Seen():
		l.halfOpenClose(ss, x)
	case ey.Segments == 0 && len(fins) == 0:
		return nil // one direction, and nothing speaks of trouble
	default:
		l.unackedFIN(ss, x, fins)
	}
	return l.finish(f, ss)
}

// repeatsOfFIN lists the frames that carry an end's FIN again.
func (l *life) repeatsOfFIN(x flow.Side) []uint64 {
	var out []uint64
	for i := range l.frames {
		f := &l.frames[i]
		if f.From == x && has(f, segment.FIN) && !has(f, segment.SYN) && f.Frame > l.end(x).FIN.Frame {
			out = append(out, f.Frame)
		}
	}
	return out
}

// halfOpenClose: the FIN was acknowledged, and the other side has not closed.
func (l *life) halfOpenClose(ss *stories, x flow.Side) {
	ex, ey := l.end(x), l.end(x.Other())
	y := name(x.Other())
	left := l.left(ex.FINAcked)
	sentAfter := ey.SndNxt.Seen() && ey.SndNxt.Frame > ex.FIN.Frame && ey.SndNxt.Num.After(ex.FINAck.Num)
	if sentAfter {
		ss.add(story{cause: "half-close-on-purpose", stands: report.StaysOpen, assumes: []Assumption{assumeNeverClosed},
			evidence: []report.Evidence{note(fmt.Sprintf("the %s goes on sending after the FIN", y), ex.FIN.Frame, ey.SndNxt.Frame)},
			says:     "One direction was closed, the other still carries data: a half-close.",
			verdict:  fmt.Sprintf("The %s closed its direction only (shutdown), and the %s goes on sending: a half-close, as programs use it to say that the request is complete.", name(x), y)})
		ss.add(story{cause: "peer-application-never-closed", stands: report.StaysOpen, assumes: []Assumption{assumeOnPurpose, assumeClosesLater}, says: fmt.Sprintf("The %s's application has not closed its side.", y)})
		return
	}
	ev := note(fmt.Sprintf("the %s acknowledged the FIN (so its kernel is in CLOSE_WAIT), sent nothing more, and %s of the capture follow", y, seconds(left)), ex.FIN.Frame, ex.FINAcked.Frame)
	ss.add(story{cause: "peer-application-never-closed", stands: report.StaysOpen, assumes: []Assumption{assumeNeverClosed}, evidence: []report.Evidence{ev},
		says:    fmt.Sprintf("The %s's application has not closed its side: its socket stays in CLOSE_WAIT.", y),
		verdict: fmt.Sprintf("The %s's application has not closed its side: its kernel acknowledged the FIN in frame %d, and in the %s that follow no FIN of its own came. Its socket stays in CLOSE_WAIT until the application calls close.", y, ex.FINAcked.Frame, seconds(left))})
	purpose := assumeOnPurpose
	if left < 5*time.Second {
		purpose.Cost = 4
	} else if left > 30*time.Second {
		purpose.Cost = 12
	}
	ss.add(story{cause: "half-close-on-purpose", stands: report.StaysOpen, assumes: []Assumption{purpose}, says: "The direction may have been closed on purpose, and the answer is still to come."})
	unseen := assumeFINUnseen2
	if l.e.capture.Misses {
		unseen.Cost = 5
	}
	ss.add(story{cause: "fin-lost", stands: report.StaysOpen, assumes: []Assumption{unseen}, says: fmt.Sprintf("The %s's FIN may have been lost before the capture point.", y)})
}

// unackedFIN: nobody acknowledged the FIN.
func (l *life) unackedFIN(ss *stories, x flow.Side, fins []uint64) {
	ex, ey := l.end(x), l.end(x.Other())
	y := name(x.Other())
	silent := !ey.Last.Seen() || ey.Last.Frame < ex.FIN.Frame
	if ey.Segments == 0 {
		ss.add(story{cause: "capture-incomplete", stands: report.StaysOpen, assumes: []Assumption{assumeOneSided}, says: fmt.Sprintf("The capture shows nothing of the %s at all.", y)})
	}
	if silent {
		ev := note(fmt.Sprintf("the FIN was sent %d times, and nothing came from the %s since", len(fins)+1, y), append([]uint64{ex.FIN.Frame}, fins...)...)
		ss.add(story{cause: "peer-gone", stands: report.StaysOpen, assumes: []Assumption{assumePeerGone}, evidence: []report.Evidence{ev},
			says:    fmt.Sprintf("The %s, or the path to it, is gone.", y),
			verdict: fmt.Sprintf("Nothing came back from the %s since the FIN: it, or the path to it, is gone.", y)})
		ss.add(story{cause: "fin-blocked-by-box", stands: report.StaysOpen, assumes: []Assumption{assumeBoxDrops}, evidence: []report.Evidence{ev},
			says: "A box on the path drops the FIN: it has forgotten the connection, or takes the FIN for invalid."})
		ss.add(story{cause: "fin-lost", stands: report.StaysOpen, assumes: lossOf(len(fins) + 1), says: "The FIN, or the ACK of it, was lost."})
		return
	}
	ev := note(fmt.Sprintf("the %s goes on, but does not acknowledge the FIN", y), ex.FIN.Frame, ey.Last.Frame)
	ss.add(story{cause: "fin-lost", stands: report.StaysOpen, assumes: lossOf(max(len(fins), 1)), evidence: []report.Evidence{ev}, says: "The FIN did not arrive.", verdict: fmt.Sprintf("The FIN in frame %d did not arrive: the %s goes on without acknowledging it.", ex.FIN.Frame, y)})
	ss.add(story{cause: "fin-blocked-by-box", stands: report.StaysOpen, assumes: []Assumption{assumeBoxDrops}, evidence: []report.Evidence{ev}, says: "A box on the path drops the FIN and lets the rest through."})
}

// forgotten asks why what came late from the peer of an end that had closed got a RST: the
// orphan in FIN_WAIT2 was gone (tcp_fin_timeout), and with it all that the host knew.
func (l *life) forgotten() *finding {
	q := l.resetCase()
	if q == nil || !l.opened() || !q.xFIN || !q.bare || q.readOn() || l.e.reopened[l.c.ID] != 0 {
		return nil
	}
	ex, ey := l.end(q.x), l.end(q.y)
	late := l.lastBefore(q.y, q.r.Frame)
	if late == nil || !ex.FINAcked.Seen() || late.Frame <= ex.FINAcked.Frame || late.Ack != ex.FIN.Num || q.r.Seq != late.Ack || ey.FIN.Seen() && ey.FIN.Frame < late.Frame {
		return nil
	}
	v := hostView{part: name(q.x), facts: l.e.facts.of(name(q.x), ex.Addr)}
	timeout, given := v.finTimeout()
	b, waited := v.orphanBounds(), late.Point().Since(ex.FINAcked)
	if waited < b[0] && (late.Len > 0 || given || waited < time.Second) {
		return nil // an orphan that is still there refuses data with a RST too
	}
	f := l.finding("close-unfinished", q.x, ex.FIN.Point, ex.FIN.Frame, late.Frame, q.r.Frame)
	f.asks = fmt.Sprintf("Why did the %s answer frame %d, %s after its close, with a RST?", name(q.x), late.Frame, seconds(late.Point().Since(ex.FIN.Point)))
	by, so := "by default", ""
	if given {
		by = "given"
	} else if waited < b[0] {
		so = "; here it must be less"
	}
	s := story{cause: "fin-wait2-timeout", stands: report.StaysOpen,
		says: fmt.Sprintf("The %s's kernel had forgotten the connection: its application was gone, and an orphan in FIN_WAIT2 is kept for tcp_fin_timeout only.", name(q.x)),
		verdict: fmt.Sprintf("The %s had closed, and the %s's application did not close its side for %s. An orphan in FIN_WAIT2 is kept for tcp_fin_timeout only (%.0f s, %s%s); so %s in frame %d met no socket any more, and the %s's kernel answered with a RST.",
			name(q.x), name(q.y), seconds(waited), timeout.Seconds(), by, so, lateWords(late), late.Frame, name(q.x)),
		evidence: []report.Evidence{note(fmt.Sprintf("the %s's FIN was acknowledged, and no FIN came back", name(q.x)), ex.FIN.Frame, ex.FINAcked.Frame),
			{Says: fmt.Sprintf("%s passed in FIN_WAIT2, which lasts %.1f to %.1f s with tcp_fin_timeout = %.0f s (%s)", seconds(waited), b[0].Seconds(), b[1].Seconds(), timeout.Seconds(), by), Answer: "yes", Frames: frameList(ex.FINAcked.Frame, late.Frame), Source: "net/ipv4/tcp.c tcp_close (tcp_time_wait, TCP_FIN_WAIT2)"},
			note(fmt.Sprintf("the RST has no ACK, and the number %s that the late segment acknowledged: so answers a host without a socket", q.r.Seq), late.Frame, q.r.Frame)}}
	switch {
	case waited < b[0]:
		s.assumes = []Assumption{assumeFinTimeout}
	case waited <= b[1]:
		s.assumes = []Assumption{{"the timer ended early enough", 3, "the length depends on kernel and HZ", false}}
	}
	ss := l.e.stories(8)
	ss.add(s)
	ss.add(story{cause: "tw-bucket-overflow", stands: report.StaysOpen, assumes: []Assumption{assumeBuckets}, says: fmt.Sprintf("The limit on TIME_WAIT sockets (or on orphans) may have taken the %s's orphan away before.", name(q.x))})
	q.forged(ss)
	l.finish(f, ss)
	if late.Len == 0 && f.verdict.cause == "fin-wait2-timeout" {
		f.severity = report.Harmless
		f.verdict.says += " Nothing was lost by it."
	}
	return f
}

// lateWords words a segment that came too late.
func lateWords(f *flow.Frame) string {
	switch {
	case f.Len > 0:
		return fmt.Sprintf("the %d bytes", f.Len)
	case has(f, segment.FIN):
		return "the FIN"
	}
	return "the segment"
}

// lossOf is what it takes to believe that the same thing was lost several times.
func lossOf(times int) []Assumption {
	a := assumeOneLoss
	a.Cost += 4 * (times - 1)
	return []Assumption{a}
}

// lastACK: both FINs were sent, and one of them has no ACK.
func (l *life) lastACK(ss *stories, x flow.Side, fins []uint64) {
	ex := l.end(x)
	y := name(x.Other())
	ev := note(fmt.Sprintf("the %s's FIN in frame %d has no ACK", name(x), ex.FIN.Frame), append([]uint64{ex.FIN.Frame}, fins...)...)
	ss.add(story{cause: "last-ack-lost", stands: report.StaysOpen, assumes: []Assumption{assumeACKLost}, evidence: []report.Evidence{ev},
		says:    "The last ACK of the close was lost.",
		verdict: fmt.Sprintf("Both sides closed; the last ACK is missing: the %s sent it and it was lost, or it is not in the capture.", y)})
	gone := assumePeerGone
	gone.Cost += 4
	if len(fins) > 2 {
		gone.Cost = 1
	}
	ss.add(story{cause: "peer-gone", stands: report.StaysOpen, assumes: []Assumption{gone}, evidence: []report.Evidence{ev}, says: fmt.Sprintf("The %s keeps no TIME_WAIT any more, or is gone.", y)})
	ss.add(story{cause: "fin-blocked-by-box", stands: report.StaysOpen, assumes: []Assumption{assumeBoxDrops}, says: "A box on the path forgot the connection at the first FINs and drops what comes late."})
}

// oddClose tells of a close that was completed in an unusual way.
func (l *life) oddClose() *finding {
	if l.c.State != flow.Closed {
		return nil
	}
	for _, x := range []flow.Side{flow.Opener, flow.Listener} {
		fins := l.repeatsOfFIN(x)
		if len(fins) == 0 {
			continue
		}
		ex := l.end(x)
		f := l.finding("close-odd", x, ex.FIN.Point, append([]uint64{ex.FIN.Frame}, fins...)...)
		f.asks = fmt.Sprintf("Why did the %s send its FIN %d times?", name(x), len(fins)+1)
		ss := l.e.stories(8)
		ss.add(story{cause: "fin-retransmitted", stands: report.StaysOpen, says: "The FIN, or its ACK, was lost or late, and the FIN was repeated.",
			verdict:  fmt.Sprintf("The ACK of the %s's FIN came late, so it was repeated %s; then the close was completed.", name(x), times(len(fins))),
			evidence: []report.Evidence{note("the FIN is acknowledged in the end", ex.FIN.Frame, ex.FINAcked.Frame)}})
		return l.finish(f, ss)
	}
	return nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
