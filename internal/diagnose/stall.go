package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// row is one stretch of a sender's data that was sent again and again.
type row struct {
	from   flow.Side
	seq    seq.Num
	end    seq.Num
	len    uint32
	frames []flow.Frame
	fin    bool
}

func (r *row) first() *flow.Frame { return &r.frames[0] }
func (r *row) last() *flow.Frame  { return &r.frames[len(r.frames)-1] }

// span is the time from the first sending to the last.
func (r *row) span() time.Duration { return r.last().Point().Since(r.first().Point()) }

func (r *row) numbers() []uint64 {
	var out []uint64
	for i := range r.frames {
		if len(r.frames) > 12 && i > 7 && i < len(r.frames)-2 {
			continue
		}
		out = append(out, r.frames[i].Frame)
	}
	return out
}

// rows gathers the repeats by what they repeat.
func (l *life) rows() []row {
	var out []row
	rebuilt := map[uint64]bool{}
	for i := range l.c.Troubles {
		f := &l.c.Troubles[i]
		if f.Rebuilt && rebuilt[f.Frame] {
			continue // its later part is sent again by itself
		}
		rebuilt[f.Frame] = rebuilt[f.Frame] || f.Rebuilt
		if f.Len == 0 || f.Flags&(segment.SYN|segment.RST) != 0 {
			continue
		}
		j := len(out) - 1
		for ; j >= 0; j-- {
			if out[j].from == f.From && out[j].seq == f.Seq {
				break
			}
		}
		if j < 0 {
			out = append(out, row{from: f.From, seq: f.Seq})
			j = len(out) - 1
		}
		r := &out[j]
		r.frames = append(r.frames, *f)
		r.len = max(r.len, f.Len)
		if end := f.End(); len(r.frames) == 1 || end.After(r.end) {
			r.end = end
		}
		r.fin = r.fin || has(f, segment.FIN)
	}
	return out
}

// stalled asks why data stood still: a closed window, repeats without an answer.
func (l *life) stalled() *finding {
	if f := l.zeroWindow(); f != nil {
		return f
	}
	var worst *row
	rows := l.rows()
	for i := range rows {
		r := &rows[i]
		if len(r.frames) < 2 || r.span() < 900*time.Millisecond || l.isProbe(r) {
			continue
		}
		if worst == nil || r.span() > worst.span() {
			worst = r
		}
	}
	if worst == nil {
		return l.heldBack(heldOften)
	}
	return l.standstill(worst)
}

// isProbe: one byte again at the last number is a keep-alive of an old kind, or a probe.
func (l *life) isProbe(r *row) bool {
	return r.len == 1 && len(r.frames) > 0 && r.first().Len == 1 && l.end(r.from).LongestAcked > 1
}

// standstill explains a row of repeats.
func (l *life) standstill(r *row) *finding {
	x, y := r.from, r.from.Other()
	ey := l.end(y)
	f := l.finding("stalled", x, r.first().Point(), r.numbers()...)
	f.asks = fmt.Sprintf("Why did the %s send the same %d bytes %d times from frame %d on?", name(x), r.len, len(r.frames), r.first().Frame)
	acked := ey.RcvNxt.Seen() && !ey.RcvNxt.Num.Before(r.end)
	heard := ey.Last.Seen() && ey.Last.Frame > r.first().Frame && !l.onlyRSTAfter(y, r.first().Frame) && !l.cameTooLate(r)
	gaps, _ := ladderOf(timers.Data, r.frames)
	ss := l.e.stories(8)
	switch {
	case acked:
		l.recovered(ss, r, gaps)
	case heard:
		l.unheard(ss, r, gaps)
	default:
		l.gone(ss, r, gaps)
		f.explainsEnd = !l.cameTooLate(r)
	}
	l.finish(f, ss)
	if acked && r.span() < 3*time.Second {
		f.severity = report.Notice
	}
	return f
}

// cameTooLate: the peer was heard of again only when the sender had given up, and got a RST.
func (l *life) cameTooLate(r *row) bool {
	y := r.from.Other()
	rst := l.firstRST(r.from, r.last().Frame)
	at := l.end(y).BeforeEnd
	return rst != nil && len(r.frames) >= 3 && at.Seen() && at.Frame > r.last().Frame && at.Frame < rst.Frame && !has(rst, segment.ACK)
}

// onlyRSTAfter: what came from a side after a frame is no more than a RST.
func (l *life) onlyRSTAfter(s flow.Side, frame uint64) bool {
	after := l.after(s, frame)
	last := l.end(s).Last
	return len(after) > 0 && has(after[0], segment.RST) && last.Frame <= after[0].Frame
}

// gone: nothing came back since.
func (l *life) gone(ss *stories, r *row, gaps report.Evidence) {
	x, y := name(r.from), name(r.from.Other())
	ey := l.end(r.from.Other())
	if l.tooBig(ss, r, gaps) {
		return
	}
	silent := note(fmt.Sprintf("nothing came from the %s after frame %d", y, r.first().Frame), r.first().Frame)
	says := fmt.Sprintf("The %s, or the path to it, is gone: nothing comes back.", y)
	verdict := fmt.Sprintf("The %s, or the path to it, is gone: the %s repeated its data %d times over %s, and nothing came back.", y, x, len(r.frames)-1, seconds(r.span()))
	if rst := l.firstRST(r.from.Other(), r.first().Frame); rst != nil {
		verdict += fmt.Sprintf(" In the end a RST came (frame %d): whoever has that address now knows nothing of the connection.", rst.Frame)
		ss.add(story{cause: "half-open", stands: report.StaysOpen, assumes: []Assumption{assumeSilentPath}, evidence: []report.Evidence{gaps, note("then a RST comes", rst.Frame)},
			says: fmt.Sprintf("The %s restarted or was replaced: it is silent while it is away, and then knows nothing of the connection.", y), verdict: verdict})
	}
	if ey.Segments == 0 {
		ss.add(story{cause: "capture-incomplete", stands: report.StaysOpen, assumes: []Assumption{assumeOneSided}, says: fmt.Sprintf("The capture shows nothing of the %s at all.", y)})
	}
	if n := len(r.frames); n < 4 && l.left(r.last().Point()) < 2*r.last().Point().Since(r.frames[n-2].Point()) {
		once := assumeLostOnce
		once.Cost += 4 * (n - 2)
		ss.add(story{cause: "loss-recovery", stands: report.StaysOpen, assumes: []Assumption{once}, says: "A frame was lost, and the capture ends before the next repeat could show that the other end is still there."})
	}
	ss.add(story{cause: "peer-gone", stands: report.StaysOpen, assumes: []Assumption{assumeSilentPath}, evidence: []report.Evidence{gaps, silent}, says: says, verdict: verdict})
	e := l.end(r.from)
	if r.len > uint32(e.LongestAcked) && r.len > 500 && e.LongestAcked > 0 {
		ss.add(story{cause: "large-segments-lost", stands: report.StaysOpen, assumes: []Assumption{assumeMTUSilent}, evidence: []report.Evidence{note(fmt.Sprintf("it is longer (%d bytes) than anything that was acknowledged before (%d)", r.len, e.LongestAcked), r.first().Frame)},
			says: "Only segments of that size may be lost: a link with a smaller MTU."})
	} else {
		ss.add(ruledOut("large-segments-lost", "Segments of that size had been delivered before, or it is small.", noteNo(fmt.Sprintf("%d bytes; the longest that was acknowledged before has %d", r.len, e.LongestAcked), r.first().Frame)))
	}
}

// firstRST returns the first RST of a side after a frame.
func (l *life) firstRST(s flow.Side, frame uint64) *flow.Frame {
	for _, f := range l.after(s, frame) {
		if has(f, segment.RST) {
			return f
		}
	}
	return nil
}

// unheard: the peer goes on, but never acknowledges this.
func (l *life) unheard(ss *stories, r *row, gaps report.Evidence) {
	x, y := name(r.from), name(r.from.Other())
	e, ey := l.end(r.from), l.end(r.from.Other())
	if f := l.tooBig(ss, r, gaps); f {
		return
	}
	goes := note(fmt.Sprintf("the %s goes on (last in frame %d) and acknowledges no more than %s", y, ey.Last.Frame, ey.RcvNxt.Num), ey.Last.Frame, ey.RcvNxt.Frame)
	if r.len > uint32(e.LongestAcked) && r.len > 500 {
		ss.add(story{cause: "large-segments-lost", stands: report.StaysOpen, assumes: []Assumption{assumeMTU}, evidence: []report.Evidence{gaps, goes, note(fmt.Sprintf("the segment has %d bytes; of the %s's data nothing longer than %d bytes is known to have arrived", r.len, x, e.LongestAcked), r.first().Frame)},
			says:    "Small segments pass in both directions, the large one never arrives: a link on the path has a smaller MTU.",
			verdict: fmt.Sprintf("Large segments of the %s vanish: the %d bytes in frame %d are never acknowledged, while %s pass and the %s goes on. A link on the path has a smaller MTU and drops them without a word.", x, r.len, r.first().Frame, smaller(e), y)})
		lossy := assumeLossy
		lossy.Cost += 4 * (len(r.frames) - 1)
		ss.add(story{cause: "loss-recovery", stands: report.StaysOpen, assumes: []Assumption{lossy}, says: "The path loses frames of any size."})
		return
	}
	ss.add(ruledOut("large-segments-lost", "Segments of that size were delivered.", noteNo(fmt.Sprintf("%d bytes; up to %d were acknowledged", r.len, e.LongestAcked), r.first().Frame)))
	ss.add(story{cause: "segment-dropped", stands: report.StaysOpen, assumes: []Assumption{assumeOneDropped}, evidence: []report.Evidence{gaps, goes},
		says: fmt.Sprintf("Something on the path drops this one segment of the %s each time, and may let others pass: a filter of content, a broken checksum.", x)})
	ss.add(story{cause: "direction-dead", stands: report.StaysOpen, assumes: []Assumption{assumeSilentPath}, evidence: []report.Evidence{gaps, goes},
		says: fmt.Sprintf("What the %s sends no longer arrives, the other direction still works: a box on the path drops it, or a route changed.", x), verdict: fmt.Sprintf("What the %s sends no longer arrives, while the %s is still heard: a box on the path drops one direction.", x, y)})
	lossy := assumeLossy
	lossy.Cost += 2 * (len(r.frames) - 1)
	ss.add(story{cause: "loss-recovery", stands: report.StaysOpen, assumes: []Assumption{lossy}, says: "The path loses many frames."})
}

// smaller words what did pass.
func smaller(e *flow.End) string {
	if e.LongestAcked == 0 {
		return "smaller segments"
	}
	return fmt.Sprintf("smaller ones (up to %d bytes)", e.LongestAcked)
}

// tooBig: an ICMP error says that the segment does not fit a link.
func (l *life) tooBig(ss *stories, r *row, gaps report.Evidence) bool {
	for _, n := range l.icmpAbout(r.from) {
		says, cause := icmpWords(&n)
		if cause != "large-segments-lost" || n.Frame < r.first().Frame {
			continue
		}
		ss.add(story{cause: "large-segments-lost", stands: report.StaysOpen, evidence: []report.Evidence{gaps, icmpEvidence(&n)},
			says:    "A link on the path is too narrow for the segment, and a router says so; the sender does not heed it.",
			verdict: fmt.Sprintf("The %s's segments are too long for a link on the path: %s says so in frame %d (%s), but the %s sends them again with the same length: the message does not reach it, or it ignores it.", name(r.from), n.From, n.Frame, says, name(r.from))})
		return true
	}
	return false
}

// recovered: it was acknowledged in the end.
func (l *life) recovered(ss *stories, r *row, gaps report.Evidence) {
	x, y := r.from, name(r.from.Other())
	e := l.end(x)
	tail := r.end == e.SndNxt.Num || r.fin || r.first().Rebuilt
	ev := []report.Evidence{gaps, note(fmt.Sprintf("the %s acknowledged it in the end", y), l.end(x.Other()).RcvNxt.Frame)}
	cause, says := "loss-recovery", "Frames were lost, and repeated until they arrived."
	if last := r.last(); r.first().Len > 500 && last.Len < r.first().Len && last.Len > 0 {
		ev = append(ev, note(fmt.Sprintf("the first sendings have %d bytes, the last %d", r.first().Len, last.Len), r.first().Frame, last.Frame))
		for _, n := range l.icmpAbout(r.from) {
			if _, cause := icmpWords(&n); cause == "large-segments-lost" {
				ev = append(ev, icmpEvidence(&n))
			}
		}
		ss.add(story{cause: "large-segments-lost", stands: report.StaysOpen, evidence: ev, says: "The segment was too long for a link on the path; the sender found out and sent it in smaller pieces.",
			verdict: fmt.Sprintf("The segment of %d bytes was too long for a link on the path; the %s found out (an ICMP error, or by probing) and sent it in pieces of %d, which arrived. It took %s.", r.first().Len, name(x), last.Len, seconds(r.span()))})
		lost := assumeLostAgain
		lost.Cost += 3 // and cut otherwise by chance
		ss.add(story{cause: cause, stands: report.StaysOpen, assumes: []Assumption{lost}, says: says})
		return
	}
	if tail {
		cause, says = "tail-loss", "The last segment was lost, and only the timer can notice that."
	}
	ss.add(story{cause: cause, stands: report.StaysOpen, assumes: []Assumption{assumeLossy}, evidence: ev, says: says,
		verdict: fmt.Sprintf("%s It took %s (%d repeat%s).", says, seconds(r.span()), len(r.frames)-1, plural(len(r.frames)-1))})
}
