package flow

import (
	"encoding/binary"
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// A note is an ordinary segment after the handshake: two bytes that say what
// follows, then each thing that is not as expected.
const (
	noteListener = 1 << iota
	noteFIN
	notePSH
	noteLen     // two bytes of length follow; else 0
	noteWindow  // two bytes of window follow; else as before
	noteAckPeer // it acknowledges all that the peer sent
	noteAckMore // two bytes: how much more than before; neither: as before
	noteIPID    // two bytes of IP identification; else 0
	noteTS1     // one byte: how much later the timestamp is
	noteTS2     // two bytes; neither: as before
	noteEcr     // one byte: how much older the echo is than the peer's last timestamp; else equal
	noteTime3   // three bytes of nanoseconds since the segment before, of whichever end
	noteTime5   // five; neither: four
	noteFrame4  // four bytes of frames since the segment before; else two
	_
	_
)

// longestNote is the most bytes that a note takes.
const longestNote = 2 + 2 + 2 + 2 + 2 + 2 + 1 + 5 + 4

// noteSizes are the sizes of the blocks that notes are in. Longer notes take
// about what a record takes, so that it becomes one.
var noteSizes = [...]int{0, 64, 128, 255}

// notesOf returns a brief's notes.
func (t *Table) notesOf(b *brief) []byte { return t.noteBlock(b)[:b.used] }

func (t *Table) noteBlock(b *brief) []byte {
	switch b.size {
	case 1:
		return t.notes64.at(b.notes)[:]
	case 2:
		return t.notes128.at(b.notes)[:]
	case 3:
		return t.notes256.at(b.notes)[:]
	}
	return nil
}

func (t *Table) dropNotes(b *brief) {
	switch b.size {
	case 1:
		t.notes64.release(b.notes)
	case 2:
		t.notes128.release(b.notes)
	case 3:
		t.notes256.release(b.notes)
	}
	b.size, b.used = 0, 0
}

// growNotes moves the notes to the next larger block.
func (t *Table) growNotes(b *brief) bool {
	var n uint32
	var to []byte
	switch b.size {
	case 0:
		if i, x := t.notes64.alloc(); x != nil {
			n, to = i, x[:]
		}
	case 1:
		if i, x := t.notes128.alloc(); x != nil {
			n, to = i, x[:]
		}
	case 2:
		if i, x := t.notes256.alloc(); x != nil {
			n, to = i, x[:]
		}
	}
	if to == nil {
		return false
	}
	used, size := b.used, b.size
	copy(to, t.notesOf(b))
	t.dropNotes(b)
	b.notes, b.used, b.size = n, used, size+1
	return true
}

// note writes an ordinary segment of end e down. It fails where something is too
// far from the segment before, or where there is no room.
func (t *Table) note(b *brief, s *segment.Segment, e Side) bool {
	h, p := &b.end[e], &b.end[e.Other()]
	d, frames := uint64(s.Time-b.lastTime), uint32(s.Frame)-b.lastFrame
	if d >= 1<<40 || int32(frames) <= 0 {
		return false
	}
	ts, old := s.TSVal.Sub(h.tsVal), p.tsVal.Sub(s.TSEcr)
	if b.bits&briefTS == 0 {
		ts, old = 0, 0
	}
	more := s.Ack.Sub(h.lastAck)
	if uint32(ts) > 0xffff || uint32(old) > 0xff || s.Ack != p.sndNxt && uint32(more) > 0xffff {
		return false
	}
	if int(b.used)+longestNote > noteSizes[b.size] && !t.growNotes(b) {
		return false
	}
	to := t.noteBlock(b)[b.used:]
	le := binary.LittleEndian
	c, at := uint16(e), 2
	if s.Flags&segment.FIN != 0 {
		c |= noteFIN
	}
	if s.Flags&segment.PSH != 0 {
		c |= notePSH
	}
	switch {
	case d < 1<<24:
		c |= noteTime3
		le.PutUint32(to[at:], uint32(d))
		at += 3
	case d < 1<<32:
		le.PutUint32(to[at:], uint32(d))
		at += 4
	default:
		c |= noteTime5
		le.PutUint32(to[at:], uint32(d))
		to[at+4] = byte(d >> 32)
		at += 5
	}
	if frames > 0xffff {
		c |= noteFrame4
		le.PutUint32(to[at:], frames)
		at += 4
	} else {
		le.PutUint16(to[at:], uint16(frames))
		at += 2
	}
	if s.Len > 0 {
		c |= noteLen
		le.PutUint16(to[at:], uint16(s.Len))
		at += 2
	}
	if s.Window != h.window {
		c |= noteWindow
		le.PutUint16(to[at:], s.Window)
		at += 2
	}
	switch {
	case s.Ack == p.sndNxt:
		c |= noteAckPeer
	case more != 0:
		c |= noteAckMore
		le.PutUint16(to[at:], uint16(more))
		at += 2
	}
	if s.IPID != 0 {
		c |= noteIPID
		le.PutUint16(to[at:], s.IPID)
		at += 2
	}
	switch {
	case ts > 0xff:
		c |= noteTS2
		le.PutUint16(to[at:], uint16(ts))
		at += 2
	case ts > 0:
		c |= noteTS1
		to[at] = byte(ts)
		at++
	}
	if old > 0 {
		c |= noteEcr
		to[at] = byte(old)
		at++
	}
	le.PutUint16(to, c)
	b.used += uint8(at)
	return true
}

// reading is the state of reading a brief back.
type reading struct {
	b    *brief // with its ends as after the SYN-ACK
	rest []byte // notes not read yet
	time int64
	step int // 0: the SYN is next, 1: the SYN-ACK, 2: the notes
}

// next makes the next segment of a brief, but for its endpoints and the upper half of its frame number.
func (r *reading) next(s *segment.Segment) (e Side, ok bool) {
	b := r.b
	if r.step < 2 {
		e = Side(r.step)
		if e == Listener && b.phase == briefSyn {
			return e, false
		}
		r.step++
		r.opening(s, e)
		return e, true
	}
	if len(r.rest) == 0 {
		return e, false
	}
	le := binary.LittleEndian
	p := r.rest
	c := le.Uint16(p)
	p = p[2:]
	e = Side(c & noteListener)
	h, o := &b.end[e], &b.end[e.Other()]
	*s = segment.Segment{Flags: segment.ACK, Seq: h.sndNxt, Ack: h.lastAck, Window: h.window, TTL: h.ttl}
	if c&noteFIN != 0 {
		s.Flags |= segment.FIN
	}
	if c&notePSH != 0 {
		s.Flags |= segment.PSH
	}
	take := func(n int) (v uint64) {
		for i := range n {
			v |= uint64(p[i]) << (8 * i)
		}
		p = p[n:]
		return v
	}
	switch {
	case c&noteTime3 != 0:
		r.time += int64(take(3))
	case c&noteTime5 != 0:
		r.time += int64(take(5))
	default:
		r.time += int64(take(4))
	}
	s.Time = r.time
	if c&noteFrame4 != 0 {
		b.lastFrame += uint32(take(4))
	} else {
		b.lastFrame += uint32(take(2))
	}
	s.Frame = uint64(b.lastFrame)
	if c&noteLen != 0 {
		s.Len = uint32(take(2))
	}
	if c&noteWindow != 0 {
		s.Window = uint16(take(2))
	}
	switch {
	case c&noteAckPeer != 0:
		s.Ack = o.sndNxt
	case c&noteAckMore != 0:
		s.Ack = s.Ack.Add(uint32(take(2)))
	}
	if c&noteIPID != 0 {
		s.IPID = uint16(take(2))
	}
	if b.bits&briefTS != 0 {
		s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, h.tsVal, o.tsVal
		switch {
		case c&noteTS2 != 0:
			s.TSVal = s.TSVal.Add(uint32(take(2)))
		case c&noteTS1 != 0:
			s.TSVal = s.TSVal.Add(uint32(take(1)))
		}
		if c&noteEcr != 0 {
			s.TSEcr = s.TSEcr.Add(-uint32(take(1)))
		}
	}
	h.sndNxt, h.lastAck, h.tsVal, h.window = s.End(), s.Ack, s.TSVal, s.Window
	r.rest = p
	return e, true
}

// opening makes the SYN or SYN-ACK of end e.
func (r *reading) opening(s *segment.Segment, e Side) {
	b := r.b
	o := &b.opening[e]
	*s = segment.Segment{
		Seq: o.isn, Flags: segment.SYN | segment.Flags(o.ecn), Window: o.window, Options: o.options, MSS: o.mss, WScale: o.wscale,
		TSVal: o.tsVal, TTL: o.ttl, IPID: o.ipid,
	}
	r.time = b.time
	if e == Listener {
		r.time += int64(b.answer)
		s.Flags |= segment.ACK
		s.Ack = b.opening[Opener].isn.Add(1)
		if s.HasTS() {
			s.TSEcr = b.opening[Opener].tsVal
		}
	}
	s.Frame, s.Time, b.lastFrame = uint64(o.frame), r.time, o.frame
	b.open(s, e)
}

// prefetchNotes asks for the place where the next note goes.
func (t *Table) prefetchNotes(b *brief) {
	if to := t.noteBlock(b); int(b.used) < len(to) {
		prefetch(unsafe.Pointer(&to[b.used]))
	}
}
