package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Standstills without a repeat and without a closed window: a small segment that is held
// back for an ACK, and applications that have nothing to say.

const (
	// delayedBy is how much later than a round trip an ACK must come to have been
	// delayed: Linux waits 40 ms at least (TCP_DELACK_MIN).
	delayedBy = 30 * time.Millisecond
	// heldOften is how many waits a connection must show that is asked about for nothing else.
	heldOften = 3
	// unansweredFor is how long an answer must take to be asked about.
	unansweredFor = 2 * time.Second
)

// heldBack asks why small segments waited: an end sends a piece, the peer delays its ACK,
// and the next piece leaves only when that has come. It tells of connections that
// show it often enough.
func (l *life) heldBack(fewest uint32) *finding {
	h := &l.c.Held
	path, known := l.roundTrip()
	wait := h.ACK.Point().Since(h.Sent.Point)
	if h.Times < fewest || !known || wait < path+delayedBy {
		return nil
	}
	x, y := name(h.From), name(h.From.Other())
	f := l.finding("stalled", h.From, h.Sent.Point, h.Sent.Frame, h.ACK.Frame, h.Next.Frame, h.Answer.Frame)
	f.asks = fmt.Sprintf("Why did the %s send the %d bytes in frame %d only when the ACK in frame %d had come, %s after the segment before?", x, h.Next.Len, h.Next.Frame, h.ACK.Frame, micro(wait))
	long := micro(h.Shortest)
	if h.Longest-h.Shortest > time.Millisecond/2 {
		long = fmt.Sprintf("%s to %s", micro(h.Shortest), micro(h.Longest))
	}
	often := "It happened once"
	if h.Times > 1 {
		often = fmt.Sprintf("It happened %d times, %s each", h.Times, long)
	}
	at := h.Next.Point().Since(h.ACK.Point())
	ev := []report.Evidence{
		{Says: fmt.Sprintf("the %s acknowledged frame %d after %s and without data, though a round trip takes no more than %s: it delayed the ACK%s", y, h.Sent.Frame, micro(wait), micro(path), delayWords(wait)),
			Answer: "yes", Frames: frameList(h.Sent.Frame, h.ACK.Frame), Source: "net/ipv4/tcp_output.c tcp_send_delayed_ack"},
		{Says: fmt.Sprintf("the %d bytes in frame %d left %s behind that ACK: they had been written, and waited for it", h.Next.Len, h.Next.Frame, micro(at)),
			Answer: "yes", Frames: frameList(h.ACK.Frame, h.Next.Frame), Source: "net/ipv4/tcp_output.c tcp_nagle_check"},
		note(fmt.Sprintf("the %s answered %s after it had all", y, micro(h.Answer.Point().Since(h.Next.Point()))), h.Next.Frame, h.Answer.Frame),
	}
	ss := l.e.stories(8)
	ss.add(story{cause: "delayed-ack-nagle", stands: report.StaysOpen, evidence: ev,
		says: fmt.Sprintf("The %s's application writes in small pieces: the second waits (Nagle) for the ACK of the first, which the %s delays because it has nothing to answer yet.", x, y),
		verdict: fmt.Sprintf("The %s's application writes one message in small pieces: the first leaves at once, the second waits for its ACK (Nagle's algorithm), and the %s delays that ACK (%s) because it has nothing to answer yet. %s.",
			x, y, micro(wait), often)})
	chance := assumeWroteThen
	chance.Cost += 5 * int(min(h.Times-1, 5))
	ss.add(story{cause: "application-idle", stands: report.StaysOpen, assumes: []Assumption{chance}, says: fmt.Sprintf("The %s's application may have written the second piece only then.", x)})
	return l.finish(f, ss)
}

// delayWords names the timer that a delay of an ACK fits.
func delayWords(wait time.Duration) string {
	switch {
	case wait >= 38*time.Millisecond && wait < 48*time.Millisecond:
		return " (40 ms is the least that Linux waits, TCP_DELACK_MIN)"
	case wait >= 190*time.Millisecond && wait < 215*time.Millisecond:
		return " (200 ms is the most that Linux waits, TCP_DELACK_MAX, and what others always do)"
	}
	return ""
}

// roundTrip is how long the way to the end that delays its ACKs and back is at most, as seen at
// the capture point.
func (l *life) roundTrip() (time.Duration, bool) {
	h := &l.c.Held
	if h.Times == 0 {
		return 0, false
	}
	path := h.Answer.Point().Since(h.Next.Point())
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	if h.From == flow.Opener && !l.c.MidStream && o.ISN.Seen() && s.ISN.Seen() && !o.ISNImplied && !s.ISNImplied {
		if shake := s.ISN.Since(o.ISN.Point); shake >= 0 {
			path = min(path, shake)
		}
	}
	return path, path >= 0
}

// waitsForAnswer is a stretch in which a request that had arrived was not answered.
type waitsForAnswer struct {
	sent, acked flow.Mark
	from, until flow.Point
	answer      *flow.Frame // nil: none came
}

// unanswered finds the longest silence in which the server owed the client an answer; nil
// where there is none.
func (l *life) unanswered() *waitsForAnswer {
	c, p := l.c, &l.c.Pause
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	if c.MidStream || !o.ISN.Seen() || c.State == flow.Reset {
		return nil
	}
	isRequest := func(sent, acked flow.Mark) bool {
		return sent.Seen() && sent.Num != o.ISN.Num.Add(1) && acked.Seen() && acked.Num == sent.Num
	}
	if p.End.Frame != 0 && p.From == flow.Opener && isRequest(p.Sent, p.Acked) && !(o.FIN.Seen() && o.FIN.Frame < p.End.Frame) && c.SilenceTo.Since(c.SilenceFrom) >= unansweredFor {
		w := &waitsForAnswer{sent: p.Sent, acked: p.Acked, from: c.SilenceFrom, until: c.SilenceTo}
		switch {
		case p.End.From == flow.Listener && p.End.Len > 0:
			w.answer = &p.End
			return w
		case p.End.From == flow.Opener && has(&p.End, segment.FIN):
			return w
		}
	}
	if c.State == flow.Established && o.SndNxt.Time > s.SndNxt.Time && isRequest(o.SndNxt, s.RcvNxt) && l.left(c.LastSeen) >= unansweredFor {
		return &waitsForAnswer{sent: o.SndNxt, acked: s.RcvNxt, from: c.LastSeen}
	}
	return nil
}

// slowAnswer asks why the server did not answer for long what it had received.
func (l *life) slowAnswer() *finding {
	w := l.unanswered()
	if w == nil || l.e.capture.Timeless {
		return nil
	}
	f := l.finding("stalled", flow.Opener, w.sent.Point, w.sent.Frame, w.acked.Frame)
	ev := []report.Evidence{note(fmt.Sprintf("the server's kernel acknowledged all that the client had sent, up to %s, %s after it was sent: it arrived, and waits for the application", w.sent.Num, micro(w.acked.Since(w.sent.Point))), w.sent.Frame, w.acked.Frame)}
	how, why := "", "it worked on it, waited for something else (a database, an event), or had nothing to answer"
	switch {
	case w.answer != nil:
		took := w.until.Since(w.sent.Point)
		f.frames = frameList(append(f.frames, w.answer.Frame)...)
		f.asks = fmt.Sprintf("Why did the answer in frame %d take %s?", w.answer.Frame, seconds(took))
		how = fmt.Sprintf("answered only %s after the client's request (frame %d)", seconds(took), w.answer.Frame)
		ev = append(ev, note("the answer is the next that the server sends; no segment is repeated before it", w.acked.Frame, w.answer.Frame))
	case w.until.Seen():
		f.frames = frameList(append(f.frames, w.until.Frame)...)
		f.asks = fmt.Sprintf("Why did the client get no answer before it closed in frame %d?", w.until.Frame)
		how = fmt.Sprintf("did not answer: after %s the client closed (frame %d)", seconds(w.until.Since(w.from)), w.until.Frame)
		ev = append(ev, note("nothing comes from the server until the client closes", w.acked.Frame, w.until.Frame))
	default:
		f.asks = fmt.Sprintf("Why is the request that ends in frame %d not answered?", w.sent.Frame)
		why = "it works on it, waits for something else (a database, an event), or has nothing to answer"
		how = fmt.Sprintf("has not answered in the %s that the capture goes on", seconds(l.left(w.from)))
		ev = append(ev, note("nothing comes from the server after that", w.acked.Frame))
	}
	ss := l.e.stories(8)
	ss.add(story{cause: "application-idle", stands: report.StaysOpen, evidence: ev,
		says: "The request arrived; the server's application worked on it, waited for something else, or had nothing to answer.",
		verdict: fmt.Sprintf("The network is fine: the server's kernel had the request %s after it was sent. The server's application %s: %s.",
			micro(w.acked.Since(w.sent.Point)), how, why)})
	return l.finish(f, ss)
}

// pauseWords tells of the longest pause whether anything was under way in it.
func (l *life) pauseWords() string {
	p := &l.c.Pause
	if p.End.Frame == 0 || !p.Sent.Seen() || !p.Acked.Seen() || p.Acked.Num != p.Sent.Num {
		return ""
	}
	return "; all that had been sent was acknowledged before it, and no application had anything to send"
}
