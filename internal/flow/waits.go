package flow

import (
	"math"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Pause is what a silence stood between. The zero value: not known.
type Pause struct {
	// Sent is how far the end that sent sequence space last, From, had come before it.
	From Side
	Sent Mark
	// Acked is how far its peer had acknowledged that. Not seen: nothing.
	Acked Mark
	// End is the frame that ended it.
	End Frame
}

// Held tells how often an end held a small segment back until a late ACK of the one
// before came (Nagle's algorithm, RFC 9293 §3.7.4, meets a delayed ACK, RFC 9293
// §3.8.6.3): it sends, for a while nothing passes, the peer acknowledges without data,
// at once more is sent, and that the peer answers with data.
type Held struct {
	// From is the end that held back; it and the rest mean nothing where Times is 0.
	From Side
	// Times counts them, up to 65535; Shortest and Longest are how long the ACK took, to
	// 0.1 ms.
	Times             uint32
	Shortest, Longest time.Duration
	// Sent is the segment before the first wait (Num: its end), ACK what ended it,
	// Next what had been held back, Answer what the peer then sent.
	Sent              Mark
	ACK, Next, Answer Frame
}

const (
	// waitFrom and waitAtMost bound how late an ACK must come to count as delayed: Linux
	// waits 40 to 200 ms (TCP_DELACK_MIN, TCP_DELACK_MAX), others up to 500 ms (RFC 9293
	// §3.8.6.3).
	waitFrom   = int64(35 * time.Millisecond)
	waitAtMost = int64(550 * time.Millisecond)
	// heldWithin is how soon what was held back must follow the ACK.
	heldWithin = int64(20 * time.Millisecond)
	// smallMSS stands for an MSS that is not known: what every IPv6 path carries.
	smallMSS = 1220
	// waitsForTrouble is how many waits call for a reason.
	waitsForTrouble = 3
)

// waits is what few connections show of waits, in their rare part.
type waits struct {
	// block is the number of a frame block: what was sent before the first wait and the ACK
	// that ended it (both as far as the marks tell them), what was held back, the
	// answer. The block behind it holds the Pause. 0: none yet.
	block uint32
	count uint16
	// shortest and longest are in tenths of a millisecond.
	shortest, longest uint16
	// pending is a wait that counts once the answer comes: its length in tenths of a
	// millisecond, above them how many looks are left and heldByListener. 0: none.
	pending uint16
}

const (
	heldByListener = 1 << 15
	lookShift      = 13
	looks          = 3 // how many segments without data may pass before the answer
	waitTicks      = 1<<lookShift - 1
)

// noteGap is called before a segment is counted that ends a silence, or that comes
// from an end whose next segment was to be looked at.
func (t *Table) noteGap(n uint32, r *record, s *segment.Segment, e Side) {
	if t.linesOnly {
		return
	}
	d := t.deeps.at(n)
	if s.Time-r.seenTime > gapFrom {
		t.noteSilence(d, r, s, e)
	}
	h, p := &r.hot[e], &r.hot[e.Other()]
	if h.bits&endWatched != 0 {
		h.bits &^= endWatched
		if !t.noteAnswer(r, s, e) {
			t.noteHeld(d, r, s, e)
		}
	}
	if late := s.Time - d.sndTime[e.Other()]; late >= waitFrom && late <= waitAtMost && r.state == Established &&
		s.Len == 0 && s.Flags&^segment.ECE == segment.ACK && p.bits&endSnd != 0 && s.Ack == p.sndNxt && h.bits&endRcv != 0 {
		// An ACK of all that the peer has sent, which was less than a full segment.
		if n := s.Ack.Sub(h.rcvNxt); n > 0 && n < int32(smallest(h.mss)) {
			p.bits |= endWatched
		}
	}
}

// smallest is how long a segment to an end that offered an MSS is at least if it is full.
func smallest(mss uint16) uint16 {
	if mss == 0 {
		return smallMSS
	}
	return max(mss, 64) - 40 // its options take some of it
}

// noteHeld takes the segment of end e that follows a late ACK: if it was held back for that,
// what the peer answers is to be looked at.
func (t *Table) noteHeld(d *deep, r *record, s *segment.Segment, e Side) {
	h, p := &r.hot[e], &r.hot[e.Other()]
	wait := p.lastTime - d.sndTime[e]
	if s.Len == 0 || s.Flags&(segment.SYN|segment.RST) != 0 || s.Seq != h.sndNxt || p.lastAck != h.sndNxt ||
		r.seenFrame != p.lastFrame || d.rcvFrame[e.Other()] != p.lastFrame || s.Time-r.seenTime > heldWithin || wait < waitFrom || wait > waitAtMost {
		return
	}
	y := t.rareFor(r)
	if y == nil {
		return
	}
	w := &y.waits
	b := t.waitBlock(w)
	if b == nil || w.count > 0 && b.f[2].side() != e {
		return
	}
	if w.count == 0 {
		t.rebuildWait(&b.f, d, r, e)
		b.f[2].pack(s, e)
	}
	w.pending = uint16(wait/int64(time.Millisecond/10)) | looks<<lookShift
	if e == Listener {
		w.pending |= heldByListener
	}
	p.bits |= endWatched
}

// rebuildWait makes of the marks what end e had sent and the ACK that its peer sent last.
func (t *Table) rebuildWait(f *[blockFrames]packedFrame, d *deep, r *record, e Side) {
	h, p := &r.hot[e], &r.hot[e.Other()]
	sent := segment.Segment{Seq: h.sndNxt}
	sent.Frame, sent.Time = t.widen(h.sndFrame), d.sndTime[e]
	f[0].pack(&sent, e)
	ack := segment.Segment{Seq: p.sndNxt, Ack: p.lastAck, Flags: segment.ACK, Window: p.lastWindow, TTL: p.ttl, IPID: d.ipid[e.Other()]}
	if p.bits&endTS != 0 {
		ack.Options, ack.TSVal, ack.TSEcr = segment.OptTimestamps, p.tsVal, d.tsEcr[e.Other()]
	}
	ack.Frame, ack.Time = t.widen(p.lastFrame), p.lastTime
	f[1].pack(&ack, e.Other())
}

// noteAnswer takes a segment of end e, whose answer is waited for; it returns false where
// none is.
func (t *Table) noteAnswer(r *record, s *segment.Segment, e Side) bool {
	if r.extra == 0 || t.extras.at(r.extra).rare == 0 {
		return false
	}
	w := &t.rares.at(t.extras.at(r.extra).rare).waits
	if w.pending == 0 || (w.pending&heldByListener != 0) == (e == Listener) {
		return false
	}
	left := w.pending >> lookShift & looks
	switch {
	case s.Len > 0:
		wait := w.pending & waitTicks
		if w.count == 0 {
			t.blocks.at(w.block).f[3].pack(s, e)
			w.shortest = wait
		}
		if w.count < math.MaxUint16 {
			w.count++
		}
		if w.count == waitsForTrouble {
			r.bits |= bitTrouble
		}
		w.shortest, w.longest = min(w.shortest, wait), max(w.longest, wait)
		w.pending = 0
	case left == 0:
		w.pending = 0
	default:
		w.pending -= 1 << lookShift
		r.hot[e].bits |= endWatched
	}
	return true
}

// waitBlock returns the block of w, which it gets if it has none; nil where memory is
// short.
func (t *Table) waitBlock(w *waits) *frameBlock {
	if w.block != 0 {
		return t.blocks.at(w.block)
	}
	n, b := take(t, &t.blocks, needRecord)
	w.block = n
	return b
}

// noteSilence remembers the longest silence of a connection, and of the first ones what
// stood still in it.
func (t *Table) noteSilence(d *deep, r *record, s *segment.Segment, e Side) {
	gap := uint32(min((s.Time-r.seenTime)/int64(time.Millisecond), math.MaxUint32))
	if gap <= d.gapFor {
		return
	}
	d.gapFor, d.gapEnd, d.gapLast, d.gapNext = gap, s.Time, r.seenFrame, uint32(s.Frame)
	if r.id > t.tellFirst {
		return
	}
	if y := t.rareFor(r); y != nil {
		t.packPause(&y.waits, d, r, s, e)
	}
}

// packPause keeps what stood still before segment s.
func (t *Table) packPause(w *waits, d *deep, r *record, s *segment.Segment, e Side) {
	b := t.waitBlock(w)
	if b == nil {
		return
	}
	if b.next == 0 {
		n, _ := take(t, &t.blocks, needRecord)
		if b.next = n; n == 0 {
			return
		}
	}
	f := &t.blocks.at(b.next).f
	x := Opener
	if d.sndTime[Listener] > d.sndTime[Opener] {
		x = Listener
	}
	h, p := &r.hot[x], &r.hot[x.Other()]
	var sent, acked segment.Segment
	if h.bits&endSnd != 0 {
		sent.Seq, sent.Frame, sent.Time = h.sndNxt, t.widen(h.sndFrame), d.sndTime[x]
	}
	if p.bits&endRcv != 0 {
		acked.Ack, acked.Frame, acked.Time = p.rcvNxt, t.widen(d.rcvFrame[x.Other()]), d.rcvTime[x.Other()]
	}
	f[0].pack(&sent, x)
	f[1].pack(&acked, x.Other())
	f[2].pack(s, e)
}

// side returns which end sent a kept frame.
func (p *packedFrame) side() Side {
	if p.flags&frameListener != 0 {
		return Listener
	}
	return Opener
}

// dropWaits forgets the frames of waits.
func (t *Table) dropWaits(w *waits) {
	for n := w.block; n != 0; {
		next := t.blocks.at(n).next
		t.blocks.release(n)
		n = next
	}
	*w = waits{}
}

// viewWaits adds what a connection shows of waits.
func (t *Table) viewWaits(w *waits, c *Connection) {
	if w.block == 0 {
		return
	}
	b := t.blocks.at(w.block)
	const tick = time.Millisecond / 10
	if w.count > 0 {
		h := &c.Held
		h.From, h.Times = b.f[2].side(), uint32(w.count)
		h.Shortest, h.Longest = time.Duration(w.shortest)*tick, time.Duration(w.longest)*tick
		h.Sent = t.markOf(&b.f[0], b.f[0].seq)
		t.unpackFrame(&h.ACK, &b.f[1])
		t.unpackFrame(&h.Next, &b.f[2])
		t.unpackFrame(&h.Answer, &b.f[3])
		h.ACK.Rebuilt = true
	}
	if b.next != 0 {
		f := &t.blocks.at(b.next).f
		c.Pause.From = f[0].side()
		c.Pause.Sent, c.Pause.Acked = t.markOf(&f[0], f[0].seq), t.markOf(&f[1], f[1].ack)
		t.unpackFrame(&c.Pause.End, &f[2])
	}
}

// markOf reads a mark that was kept as a frame; one that was not seen has no frame.
func (t *Table) markOf(p *packedFrame, n seq.Num) Mark {
	if p.frame == 0 {
		return Mark{}
	}
	return Mark{n, Point{t.widen(p.frame), p.time()}}
}
