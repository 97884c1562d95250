package flow

import (
	"encoding/binary"
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// A note is an ordinary segment after the handshake: seven bytes that every one has, whose first bits say
// which more there are, of two bytes each and in this order.
const (
	noteListener = 1 << iota
	noteFIN
	notePSH
	noteAckPeer // it acknowledges all that the peer sent
	noteLen     // payload length; else 0
	noteIPID    // IP identification; else 0
	noteTS      // how much later the timestamp is; else as before
	noteEcr     // how much older the echo is than the peer's last timestamp; else equal
	// What few have.
	noteWindow    // window; else as before
	noteAckMore   // how much more it acknowledges; without this and noteAckPeer as before
	noteTimeHigh  // the upper part of the time
	noteFrameHigh // the upper part of the frames
)

// A note begins with the bits, so many of the time since the segment before in nanoseconds, and the lower half of the
// frames since then: seven bytes.
const (
	noteBits = 12
	timeBits = 28
	noteHead = 7
)

// usualNote and longestNote are the most bytes that a note takes without and with what few have.
const (
	usualNote   = 8 + 4*2 // a byte more, as words are written
	longestNote = usualNote + 4*2
)

// The notes that a brief has no room for are in a short block, and when that is full in a long one. Longer notes
// take about what a record takes, so that it becomes one.
const (
	ownNotes = 64
	mostUsed = 255 // what brief.used can say
)

type (
	shortNotes [64]byte
	longNotes  [192]byte
)

// ownPart returns the notes that are in the brief itself.
func (b *brief) ownPart() []byte {
	if b.split != 0 {
		return b.notes[:b.split]
	}
	return b.notes[:b.used]
}

// moreNotes returns the notes that are not, followed by the room that there is for more; nil where there are none.
func (t *Table) moreNotes(b *brief) []byte {
	switch {
	case b.split == 0:
		return nil
	case b.bits&briefLong == 0:
		return t.shortNotes.at(b.more)[:]
	}
	return t.longNotes.at(b.more)[:]
}

// copyNotes copies a brief's notes, and returns them.
func (t *Table) copyNotes(to *[mostUsed]byte, b *brief) []byte {
	n := copy(to[:], b.ownPart())
	copy(to[n:b.used], t.moreNotes(b))
	return to[:b.used]
}

// withoutWide returns the notes of b without the addresses that may be before them.
func (b *brief) withoutWide(notes []byte) []byte {
	if b.bits&briefWide != 0 {
		return notes[wideSize:]
	}
	return notes
}

// took returns how many nanoseconds passed from the SYN to the last of the notes.
func (b *brief) took(notes []byte) int64 {
	b2 := *b
	r := reading{b: &b2, notes: b.withoutWide(notes)}
	var s segment.Segment
	for ok := true; ok; {
		_, ok = r.next(&s)
	}
	return r.time - b.time
}

func (t *Table) dropNotes(b *brief) {
	switch {
	case b.split == 0:
	case b.bits&briefLong == 0:
		t.shortNotes.release(b.more)
	default:
		t.longNotes.release(b.more)
	}
	b.used, b.split, b.bits = 0, 0, b.bits&^briefLong
}

// noteRoom returns where at least so many bytes for the next note of a brief are that has no room for them itself; nil: nowhere.
func (t *Table) noteRoom(b *brief, size int) unsafe.Pointer {
	if b.split == 0 {
		n, x := take(t, &t.shortNotes, needBrief)
		if x == nil {
			return nil
		}
		b.more, b.split = n, b.used
		return unsafe.Pointer(x)
	}
	m, at := t.moreNotes(b), int(b.used-b.split)
	if at+size <= len(m) && int(b.used)+size <= mostUsed {
		return unsafe.Pointer(&m[at])
	}
	if b.bits&briefLong != 0 {
		return nil
	}
	n, x := take(t, &t.longNotes, needBrief)
	if x == nil {
		return nil
	}
	copy(x[:], m)
	t.shortNotes.release(b.more)
	b.more, b.bits = n, b.bits|briefLong
	return unsafe.Pointer(&x[at])
}

// note writes an ordinary segment of end h, whose number is in e, down; its peer is o. behind is how much that o sent it
// does not acknowledge, more how much more it acknowledges than the one before. It fails where something is too
// far from the segment before, or where there is no room.
func (t *Table) note(b *brief, s *segment.Segment, h, o *briefEnd, e uint64, behind, more int32) bool {
	d, frames := uint64(s.Time-b.lastTime), uint32(s.Frame)-b.lastFrame
	ts, old := s.TSVal.Ahead(h.tsVal), o.tsVal.Ahead(s.TSEcr)
	if b.bits&briefTS == 0 {
		ts, old = 0, 0
	}
	head := e | uint64(s.Flags&segment.FIN)*noteFIN | uint64(s.Flags&segment.PSH)/(uint64(segment.PSH)/notePSH)
	rest := uint32(more)
	if behind == 0 {
		head, rest = head|noteAckPeer, 0
	}
	if d>>(timeBits+16) != 0 || int32(frames) <= 0 || (ts|old|s.Len|rest)>>16 != 0 {
		return false
	}
	size, late := usualNote, uint32(d>>timeBits)
	few := s.Window != h.window || rest|late|frames>>16 != 0
	if few {
		size = longestNote
	}
	to := unsafe.Add(unsafe.Pointer(&b.notes), b.used)
	if b.split != 0 || int(b.used)+size > ownNotes {
		if to = t.noteRoom(b, size); to == nil {
			return false
		}
	}
	v, fill := append16(0, head<<32, s.Len, noteLen)
	v, fill = append16(v, fill, uint32(s.IPID), noteIPID)
	v, fill = append16(v, fill, ts, noteTS)
	v, fill = append16(v, fill, old, noteEcr)
	// Each word may overlap what comes before the next.
	usual := (*[usualNote]byte)(to)
	binary.LittleEndian.PutUint64(usual[:], fill>>32|d&(1<<timeBits-1)<<noteBits|uint64(frames)<<(noteBits+timeBits))
	binary.LittleEndian.PutUint64(usual[noteHead:], v)
	at := noteHead + uint32(fill)/8
	if few {
		window := uint32(s.Window)
		if s.Window == h.window {
			window = 0
		}
		v, fill = append16(0, 0, window, noteWindow)
		v, fill = append16(v, fill, rest, noteAckMore)
		v, fill = append16(v, fill, late, noteTimeHigh)
		v, fill = append16(v, fill, frames>>16, noteFrameHigh)
		long := (*[longestNote]byte)(to)
		binary.LittleEndian.PutUint64(long[at:], v)
		long[1] |= byte(fill >> 40) // their bits are in the second byte
		at += uint32(fill) / 8
	}
	b.used += uint8(at)
	h.sndNxt, h.lastAck, h.tsVal, h.window = s.Seq.Add(s.Len+uint32(s.Flags&segment.FIN)), s.Ack, s.TSVal, s.Window
	b.lastTime, b.lastFrame = s.Time, uint32(s.Frame)
	b.wait(s, h, o, int64(d), one(behind == 0)&one(more > 0))
	return true
}

// append16 appends x as 16 bits to v, unless it is 0; then fill, whose lower half counts the bits of v, has its bit in the
// upper half. Which ones are 0 is different each time, so no branch depends on it.
func append16(v, fill uint64, x uint32, bit uint64) (uint64, uint64) {
	k := uint64(0)
	if x != 0 {
		k = bit<<32 | 16
	}
	return v | uint64(x)<<(fill&63), fill + k
}

// reading is the state of reading a brief back.
type reading struct {
	b     *brief // with its ends as after the SYN-ACK
	notes []byte
	at    int // so many bytes of the notes were read. To cut notes instead would have them, and b, escape to the heap
	time  int64
	step  int // 0: the SYN is next, 1: the SYN-ACK, 2: the notes
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
	rest := r.notes[r.at:]
	if len(rest) == 0 {
		return e, false
	}
	var first [8]byte
	copy(first[:], rest)
	c := binary.LittleEndian.Uint64(first[:])
	p := rest[noteHead:]
	more := func(bit uint64) (v uint64) {
		if c&bit != 0 {
			v = uint64(binary.LittleEndian.Uint16(p))
			p = p[2:]
		}
		return v
	}
	e = Side(c & noteListener)
	h, o := &b.end[e], &b.end[e.Other()]
	*s = segment.Segment{Flags: segment.ACK, Seq: h.sndNxt, Ack: h.lastAck, Window: h.window, TTL: h.ttl}
	if c&noteFIN != 0 {
		s.Flags |= segment.FIN
	}
	if c&notePSH != 0 {
		s.Flags |= segment.PSH
	}
	s.Len = uint32(more(noteLen))
	s.IPID = uint16(more(noteIPID))
	ts, old := more(noteTS), more(noteEcr)
	if c&noteWindow != 0 {
		s.Window = uint16(more(noteWindow))
	}
	if b.bits&briefTS != 0 {
		s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, h.tsVal.Add(uint32(ts)), o.tsVal.Add(-uint32(old))
	}
	if c&noteAckPeer != 0 {
		s.Ack = o.sndNxt
	}
	s.Ack = s.Ack.Add(uint32(more(noteAckMore)))
	r.time += int64(c>>noteBits&(1<<timeBits-1) | more(noteTimeHigh)<<timeBits)
	b.lastFrame += uint32(c>>(noteBits+timeBits)&(1<<16-1) | more(noteFrameHigh)<<16)
	s.Time, s.Frame = r.time, uint64(b.lastFrame)
	h.sndNxt, h.lastAck, h.tsVal, h.window = s.Seq.Add(s.Len+uint32(s.Flags&segment.FIN)), s.Ack, s.TSVal, s.Window
	r.at = len(r.notes) - len(p)
	return e, true
}

// opening makes the SYN or SYN-ACK of end e.
func (r *reading) opening(s *segment.Segment, e Side) {
	b := r.b
	o := &b.opening[e]
	*s = segment.Segment{
		Seq: o.isn, Flags: segment.SYN | segment.Flags(o.options)<<openingECN&(segment.ECE|segment.CWR), Window: o.window,
		Options: segment.Options(o.options) & openingOptions, MSS: o.mss, WScale: o.wscale,
		TSVal: o.tsVal, TTL: o.ttl, IPID: o.ipid,
	}
	r.time = b.time
	if e == Listener {
		r.time += int64(b.answer) | int64(o.place)<<32
		s.Flags |= segment.ACK
		s.Ack = b.opening[Opener].isn.Add(1)
		if s.HasTS() {
			s.TSEcr = b.opening[Opener].tsVal
		}
	}
	s.Frame, s.Time, b.lastFrame = uint64(o.frame), r.time, o.frame
	b.open(s, e)
}
