package flow

import (
	"encoding/binary"
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// A note is an ordinary segment after the handshake: eight bytes that every one has, the
// first two of which say which more there are, of two bytes each and in this order.
const (
	noteListener = 1 << iota
	noteFIN
	notePSH
	noteAckPeer   // it acknowledges all that the peer sent
	noteLen       // payload length; else 0
	noteWindow    // window; else as before
	noteIPID      // IP identification; else 0
	noteTS        // how much later the timestamp is; else as before
	noteEcr       // how much older the echo is than the peer's last timestamp; else equal
	noteAckMore   // how much more it acknowledges; without this and noteAckPeer as before
	noteTimeHigh  // the upper part of the time
	noteFrameHigh // the upper part of the frames
)

// longestNote is the most bytes that a note takes.
const longestNote = 8 + 8*2

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
		if i, x := take(t, &t.notes64, needBrief); x != nil {
			n, to = i, x[:]
		}
	case 1:
		if i, x := take(t, &t.notes128, needBrief); x != nil {
			n, to = i, x[:]
		}
	case 2:
		if i, x := take(t, &t.notes256, needBrief); x != nil {
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
	if d >= 1<<48 || int32(frames) <= 0 {
		return false
	}
	ts, old := s.TSVal.Sub(h.tsVal), p.tsVal.Sub(s.TSEcr)
	if b.bits&briefTS == 0 {
		ts, old = 0, 0
	}
	more := s.Ack.Sub(h.lastAck)
	if uint32(ts) > 0xffff || uint32(old) > 0xffff || s.Ack != p.sndNxt && uint32(more) > 0xffff {
		return false
	}
	if int(b.used)+longestNote > noteSizes[b.size] && !t.growNotes(b) {
		return false
	}
	c := uint64(e)
	if s.Flags&segment.FIN != 0 {
		c |= noteFIN
	}
	if s.Flags&segment.PSH != 0 {
		c |= notePSH
	}
	var x more16
	if s.Len > 0 {
		c |= noteLen
		x.put(uint64(s.Len))
	}
	if s.Window != h.window {
		c |= noteWindow
		x.put(uint64(s.Window))
	}
	if s.IPID != 0 {
		c |= noteIPID
		x.put(uint64(s.IPID))
	}
	if ts != 0 {
		c |= noteTS
		x.put(uint64(ts))
	}
	if old != 0 {
		c |= noteEcr
		x.put(uint64(old))
	}
	if s.Ack == p.sndNxt {
		c |= noteAckPeer
	} else if more != 0 {
		c |= noteAckMore
		x.put(uint64(more))
	}
	if d>>32 != 0 {
		c |= noteTimeHigh
		x.put(d >> 32)
	}
	if frames>>16 != 0 {
		c |= noteFrameHigh
		x.put(uint64(frames >> 16))
	}
	to := (*[longestNote]byte)(t.noteBlock(b)[b.used:])
	le := binary.LittleEndian
	le.PutUint64(to[:], c|d<<32>>16|uint64(frames)<<48)
	le.PutUint64(to[8:], x.v[0])
	if x.n > 64 {
		le.PutUint64(to[16:], x.v[1])
	}
	b.used += uint8(8 + x.n/8)
	return true
}

// more16 collects up to eight numbers of 16 bits.
type more16 struct {
	v [2]uint64
	n uint // bits
}

func (x *more16) put(v uint64) {
	x.v[x.n>>6&1] |= v << (x.n & 63)
	x.n += 16
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
	c := binary.LittleEndian.Uint64(r.rest)
	p := r.rest[8:]
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
	if c&noteWindow != 0 {
		s.Window = uint16(more(noteWindow))
	}
	s.IPID = uint16(more(noteIPID))
	ts, old := more(noteTS), more(noteEcr)
	if b.bits&briefTS != 0 {
		s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, h.tsVal.Add(uint32(ts)), o.tsVal.Add(-uint32(old))
	}
	if c&noteAckPeer != 0 {
		s.Ack = o.sndNxt
	}
	s.Ack = s.Ack.Add(uint32(more(noteAckMore)))
	r.time += int64(c>>16&(1<<32-1) | more(noteTimeHigh)<<32)
	b.lastFrame += uint32(c>>48 | more(noteFrameHigh)<<16)
	s.Time, s.Frame = r.time, uint64(b.lastFrame)
	h.sndNxt, h.lastAck, h.tsVal, h.window = s.End(), s.Ack, s.TSVal, s.Window
	r.rest = p
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

// prefetchNotes asks for the place where the next note goes.
func (t *Table) prefetchNotes(b *brief) {
	if to := t.noteBlock(b); int(b.used) < len(to) {
		prefetch(unsafe.Pointer(&to[b.used]))
	}
}
