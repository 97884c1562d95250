package diagnose

import (
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// checksumSource is where a kernel drops a segment with a wrong checksum, and counts it.
const checksumSource = "net/ipv4/tcp_ipv4.c tcp_v4_rcv (TcpInCsumErrors)"

// rightOf returns the first frame in which a host's checksum was right. It tells wrong ones from
// those that a sender's card had still to fill in: of such a sender none is right.
func (e *Engine) rightOf(a segment.Addr) (frame uint64, ok bool) {
	e.notes.wires.each(func(w *wire) bool {
		if w.from == a && w.TCPCheck == segment.CheckGood {
			frame, ok = w.frame, true
		}
		return !ok
	})
	return frame, ok
}

// wrongSum tells whether all of the frames carry a wrong checksum though their sender makes right
// ones, with the evidence.
func (e *Engine) wrongSum(from segment.Addr, frames ...uint64) ([]report.Evidence, bool) {
	for _, n := range frames {
		if w, ok := e.notes.wires.of(n); !ok || w.TCPCheck != segment.CheckBad {
			return nil, false
		}
	}
	right, ok := e.rightOf(from)
	if !ok {
		return nil, false
	}
	return []report.Evidence{
		{Says: fmt.Sprintf("the checksum of the segment is wrong: a kernel drops it unread (%d frame%s)", len(frames), plural(len(frames))), Answer: "yes", Frames: frameList(frames...), Source: checksumSource},
		note(fmt.Sprintf("other segments of %s have right ones: it is not that the card had still to fill them in", from), right)}, true
}

// damagedSYN: no answer comes to a SYN whose checksum is wrong.
func (e *Engine) damagedSYN(ss *stories, c *flow.Connection, syn *flow.Frame, repeats []flow.Frame) {
	frames := []uint64{syn.Frame}
	for i := range repeats {
		if f := &repeats[i]; f.From == flow.Opener && isSYN(f) {
			frames = append(frames, f.Frame)
		}
	}
	ev, wrong := e.wrongSum(c.Ends[flow.Opener].Addr, frames...)
	if !wrong {
		return
	}
	for i := range ss.list {
		if s := &ss.list[i]; s.standing() {
			s.assumes = append(append([]Assumption{}, s.assumes...), assumeRepaired)
		}
	}
	ss.add(story{cause: "checksum-wrong", stands: report.StaysOpen, evidence: ev, says: "The SYN's checksum is wrong, and the host that gets it drops it without a word.",
		verdict: "The SYN arrives damaged: its checksum is wrong, so the host that gets it drops it without a word, and counts it (TcpInCsumErrors). A box, a card or a driver on the way changes segments without putting the checksum right."})
}

// damaged: a RST whose checksum is wrong, after which the peer goes on.
func (q *resetCase) damaged(ss *stories) bool {
	ev, wrong := q.e.wrongSum(q.end(q.x).Addr, q.r.Frame)
	if !wrong {
		return false
	}
	for _, f := range q.after(q.y, q.r.Frame) {
		if has(f, segment.RST) || f.Len == 0 && !has(f, segment.ACK) || f.Point().Since(q.r.Point()) < 2*max(q.end(q.y).SRTT, q.end(q.x).SRTT) {
			continue
		}
		ss.add(story{cause: "checksum-wrong", stands: report.StaysOpen, evidence: append(ev, note(fmt.Sprintf("the %s goes on after it", name(q.y)), f.Frame)),
			says: "The RST's checksum is wrong: it was dropped unread.",
			verdict: fmt.Sprintf("The RST in frame %d had no effect: its checksum is wrong, so the %s's kernel dropped it unread and went on (frame %d). Stacks do not send such segments: something on the way made it, or damaged it.",
				q.r.Frame, name(q.y), f.Frame)})
		return true
	}
	return false
}
