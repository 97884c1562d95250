package diagnose

import (
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// FewConnections is up to how many connections a capture is looked through one by one: then each of
// which nothing else is to be said gets a word too.
const FewConnections = 16

// plain says of a connection that raises no question whether anything is wrong with it.
func (l *life) plain() *finding {
	f := l.finding("connection", flow.Opener, l.c.First, l.c.First.Frame, l.c.LastSeen.Frame)
	if l.c.First.Frame == l.c.LastSeen.Frame {
		f.frames = frameList(l.c.First.Frame)
	}
	f.asks = fmt.Sprintf("Is anything wrong with the connection that begins in frame %d?", l.c.First.Frame)
	ss := &stories{}
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	side, one := l.oneSided()
	switch {
	case one:
		ss.add(story{cause: "capture-incomplete", stands: report.StaysOpen, says: "The capture shows one direction only.",
			verdict:  fmt.Sprintf("The capture shows nothing of the %s: whether anything is wrong cannot be told from one direction.", name(side)),
			evidence: []report.Evidence{note(fmt.Sprintf("no segment of the %s", name(side)), l.c.First.Frame)}})
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
		out += fmt.Sprintf(", and both sides closed (the %s first)", firstCloser(l.c))
		if firstCloser(l.c) == "both" {
			out = out[:len(out)-len("(the both first)")] + "at once"
		}
	case l.c.State < flow.HalfClosed:
		out += ", and it is still open when the capture ends"
	}
	if l.c.SilenceTo.Seen() {
		out += fmt.Sprintf("; the longest pause is %s, between frames %d and %d", seconds(l.c.SilenceTo.Since(l.c.SilenceFrom)), l.c.SilenceFrom.Frame, l.c.SilenceTo.Frame)
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
