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
	ss := &stories{}
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
		ss := &stories{}
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
