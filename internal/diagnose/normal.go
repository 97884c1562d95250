package diagnose

import (
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// FewConnections is up to how many connections a capture is looked through one by one: then each of
// which nothing else is to be said gets a word too.
const FewConnections = 16

// plain says of a connection that raises no question whether anything is wrong with it.
func (l *life) plain() *finding {
	for _, ask := range []func() *finding{func() *finding { return l.heldBack(1) }, l.slowAnswer, l.closedOddly} {
		if f := ask(); f != nil {
			return f
		}
	}
	f := l.finding("connection", flow.Opener, l.c.First, l.c.First.Frame, l.c.LastSeen.Frame)
	if l.c.First.Frame == l.c.LastSeen.Frame {
		f.frames = frameList(l.c.First.Frame)
	}
	f.asks = fmt.Sprintf("Is anything wrong with the connection that begins in frame %d?", l.c.First.Frame)
	ss := l.e.stories(8)
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	side, one := l.oneSided()
	switch {
	case one:
		ss.add(story{cause: "capture-incomplete", stands: report.StaysOpen, says: "The capture shows one direction only.",
			verdict:  fmt.Sprintf("The capture shows nothing of the %s: whether anything is wrong cannot be told from one direction.", name(side)),
			evidence: append([]report.Evidence{note(fmt.Sprintf("no segment of the %s", name(side)), l.c.First.Frame)}, l.arrives(side)...)})
		ss.add(story{cause: "undecidable", stands: report.StaysOpen, says: "What the other side sent decides."})
	case l.c.MidStream && l.c.State <= flow.SynAcked:
		ss.add(story{cause: "capture-incomplete", stands: report.StaysOpen, says: "The capture begins in the middle of a handshake.", verdict: "The capture begins in the middle of a handshake: why it was opened is not in it."})
	default:
		ss.add(story{cause: "nothing-wrong", stands: report.StaysOpen, says: "Nothing is wrong in these frames.", verdict: "Nothing is wrong in these frames: " + l.course() + ".", evidence: l.courseEvidence()})
		if l.c.MidStream || o.Unseen || s.Unseen || l.e.capture.Misses {
			ss.add(story{cause: "capture-incomplete", stands: report.StaysOpen, assumes: []Assumption{{"what the capture misses is not as ordinary as the rest", 12, "frames are missing from it", true}}, says: "The capture does not show all of the connection."})
		}
	}
	return l.finish(f, ss)
}

// arrives tells of a side that the capture does not show whether its segments reach the other.
func (l *life) arrives(unseen flow.Side) []report.Evidence {
	isn, got := l.end(unseen).ISN, l.end(unseen.Other()).RcvNxt
	if !isn.Seen() || !got.Seen() || got.Num.Sub(isn.Num) < 2 {
		return nil
	}
	return []report.Evidence{note(fmt.Sprintf("the %s acknowledges %d bytes of the %s: what that sends arrives", name(unseen.Other()), got.Num.Sub(isn.Num)-1, name(unseen)), got.Frame)}
}

// course words how the connection went.
func (l *life) course() string {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	out := "the handshake was completed"
	if l.c.MidStream {
		out = "the capture begins after the handshake"
	} else if l.c.State < flow.Established {
		out = "the handshake is not complete when the capture ends"
	} else if s.ISN.Seen() && o.ISN.Seen() {
		out = fmt.Sprintf("the handshake took %s", micro(s.ISN.Since(o.ISN.Point)))
	}
	if o.Bytes+s.Bytes > 0 {
		out += fmt.Sprintf(", %d bytes went to the server and %d to the client", o.Bytes, s.Bytes)
	} else if l.c.State >= flow.Established {
		out += ", no data is in the capture (which does not show what passes by it, from socket to socket or over a hardware offload)"
	}
	switch {
	case l.c.State == flow.Closed:
		if first := firstCloser(l.c); first == "both" {
			out += ", and both sides closed at once"
		} else {
			out += fmt.Sprintf(", and both sides closed (the %s first%s)", first, l.closeWords())
		}
	case l.c.State < flow.HalfClosed:
		out += ", and it is still open when the capture ends"
	}
	if l.c.SilenceTo.Seen() {
		out += fmt.Sprintf("; the longest pause is %s, between frames %d and %d", seconds(l.c.SilenceTo.Since(l.c.SilenceFrom)), l.c.SilenceFrom.Frame, l.c.SilenceTo.Frame)
		out += l.pauseWords()
	}
	return out
}

func (l *life) courseEvidence() []report.Evidence {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	var out []report.Evidence
	if !l.c.MidStream && o.ISN.Seen() && s.ISN.Seen() {
		out = append(out, note("SYN and SYN-ACK fit each other", o.ISN.Frame, s.ISN.Frame))
	}
	if o.FIN.Seen() && s.FIN.Seen() && l.c.State == flow.Closed {
		out = append(out, note("both FINs were acknowledged", o.FIN.Frame, s.FIN.Frame))
	}
	if o.Retransmits+s.Retransmits > 0 {
		out = append(out, note(fmt.Sprintf("%d segments came again, none of them late", o.Retransmits+s.Retransmits)))
	}
	return out
}

// closedOddly tells of closes that look odd and are not.
func (l *life) closedOddly() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	x, ex, ey := flow.Opener, o, s
	if s.FIN.Seen() && (!o.FIN.Seen() || s.FIN.Frame < o.FIN.Frame) {
		x, ex, ey = flow.Listener, s, o
	}
	if !ex.FIN.Seen() {
		return nil
	}
	if f := l.onlyClose(x); f != nil {
		return f
	}
	ss := l.e.stories(8)
	switch y := name(x.Other()); {
	case l.c.State == flow.HalfClosed:
		if _, one := l.oneSided(); one {
			return nil // the other FIN may have passed where the capture does not see it
		}
		f := l.finding("close-unfinished", x, ex.FIN.Point, ex.FIN.Frame)
		f.asks = fmt.Sprintf("Does the close that the %s began in frame %d come to its end?", name(x), ex.FIN.Frame)
		ss.add(story{cause: "nothing-wrong", stands: report.StaysOpen, says: "The capture ends while the connection is being closed."})
		ss.add(story{cause: "peer-application-never-closed", stands: report.StaysOpen, assumes: []Assumption{assumeNeverClosed}, says: fmt.Sprintf("The %s's application may not close its side for long.", y)})
		l.finish(f, ss)
		f.severity, f.fault = report.Harmless, report.Nobody
		return f
	case l.c.State == flow.Closed && firstCloser(l.c) == "both":
		f := l.finding("close-odd", x, ex.FIN.Point, ex.FIN.Frame, ey.FIN.Frame)
		f.asks = "Why do both sides send a FIN that does not acknowledge the other's?"
		ss.add(story{cause: "simultaneous-close", stands: report.StaysOpen, says: "Both sides closed at the same time: their FINs crossed.",
			verdict:  fmt.Sprintf("Both sides closed at the same time: the FINs in frames %d and %d crossed. That is harmless; both ends keep TIME_WAIT.", ex.FIN.Frame, ey.FIN.Frame),
			evidence: []report.Evidence{note("neither FIN acknowledges the other", ex.FIN.Frame, ey.FIN.Frame)}})
		return l.finish(f, ss)
	case ey.FIN.Seen() && ey.FIN.Num.Add(^uint32(0)).After(ex.FINAck.Num) && ey.FIN.Since(ex.FIN.Point) > 2*max(ex.SRTT, ey.SRTT) && ex.FINAcked.Seen() && ex.FINAcked.Frame < ey.FIN.Frame:
		f := l.finding("close-odd", x, ex.FIN.Point, ex.FIN.Frame, ey.FIN.Frame)
		f.asks = fmt.Sprintf("Why does the %s go on sending after the FIN in frame %d?", y, ex.FIN.Frame)
		ss.add(story{cause: "half-close-on-purpose", stands: report.StaysOpen, says: "One direction was closed before the other: a half-close.",
			verdict:  fmt.Sprintf("The %s closed its direction only (frame %d); the %s still sent %d bytes and closed %s later. A half-close, and harmless.", name(x), ex.FIN.Frame, y, ey.FIN.Num.Sub(ex.FINAck.Num)-1, seconds(ey.FIN.Since(ex.FIN.Point))),
			evidence: []report.Evidence{note("data after the FIN, which was acknowledged", ex.FIN.Frame, ex.FINAcked.Frame, ey.FIN.Frame)}})
		return l.finish(f, ss)
	}
	return nil
}

// firstFIN is the side that closed first, and the other one's part in the close: whether its
// FIN is the first to acknowledge that.
func (l *life) firstFIN() (x flow.Side, together bool) {
	x = flow.Opener
	if o, s := l.end(flow.Opener), l.end(flow.Listener); s.FIN.Seen() && (!o.FIN.Seen() || s.FIN.Frame < o.FIN.Frame) {
		x = flow.Listener
	}
	ex, ey := l.end(x), l.end(x.Other())
	return x, ey.FIN.Seen() && ex.FINAcked.Seen() && ex.FINAcked.Frame == ey.FIN.Frame
}

// finWithData returns the first FIN that carries data; nil where there is none.
func (l *life) finWithData() *flow.Frame {
	for i := range l.frames {
		if f := &l.frames[i]; has(f, segment.FIN) && f.Len > 0 && f.Frame == l.end(f.From).FIN.Frame {
			return f
		}
	}
	return nil
}

// closeWords tells of an ordinary close where it differs from FIN, ACK, FIN, ACK.
func (l *life) closeWords() string {
	out := ""
	if x, together := l.firstFIN(); together {
		out += fmt.Sprintf("; the %s's FIN carries the ACK of that", name(x.Other()))
	}
	if f := l.finWithData(); f != nil {
		out += fmt.Sprintf("; the FIN in frame %d carries the last data", f.Frame)
	}
	return out
}

// onlyClose tells of a capture that shows little more than a close which is in order: then
// it is the close that is asked about.
func (l *life) onlyClose(x flow.Side) *finding {
	const before = 2 // frames
	ex, ey := l.end(x), l.end(x.Other())
	closing := uint64(len(l.c.Frames)) + uint64(l.c.FramesOmitted)
	if !l.c.MidStream || l.c.State != flow.Closed || ex.Segments+ey.Segments > closing+before {
		return nil
	}
	ss := l.e.stories(8)
	data := l.finWithData()
	switch _, together := l.firstFIN(); {
	case data != nil:
		f := l.finding("close-odd", data.From, data.Point(), data.Frame)
		f.asks = fmt.Sprintf("Why does the FIN in frame %d carry data?", data.Frame)
		ss.add(story{cause: "fin-with-data", stands: report.StaysOpen, says: "The last data and the FIN go in one segment.",
			verdict:  fmt.Sprintf("The %s's application closed while its last %d bytes were still to be sent: the FIN goes with them. It stands behind them, and is acknowledged with them (RFC 9293 §3.4); nothing is wrong.", name(data.From), data.Len),
			evidence: []report.Evidence{note(fmt.Sprintf("the ACK of %s covers both, the data and the FIN", l.end(data.From).FIN.Num), data.Frame, l.end(data.From).FINAcked.Frame)}})
		return l.finish(f, ss)
	case together:
		f := l.finding("close-odd", x, ex.FIN.Point, ex.FIN.Frame, ey.FIN.Frame)
		f.asks = fmt.Sprintf("Why does the close that begins in frame %d have no segment that only acknowledges the first FIN?", ex.FIN.Frame)
		ss.add(story{cause: "three-segment-close", stands: report.StaysOpen, says: "The second FIN carries the ACK of the first.",
			verdict:  fmt.Sprintf("The %s closed at once when the FIN in frame %d came, so its own FIN (frame %d) carries the ACK: a close in three segments instead of four. Nothing is wrong.", name(x.Other()), ex.FIN.Frame, ey.FIN.Frame),
			evidence: []report.Evidence{note(fmt.Sprintf("frame %d is the first to acknowledge %s, the number behind the first FIN", ey.FIN.Frame, ex.FIN.Num), ex.FIN.Frame, ey.FIN.Frame)}})
		return l.finish(f, ss)
	}
	return nil
}
