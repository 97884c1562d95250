package flow

import (
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// This is where the speed comes from. Nearly every connection of a busy host does
// the same: SYN, SYN-ACK, ACK, a few segments in order, a FIN each way; and no question
// is ever asked about it. For such a one the table does not work out what both ends
// remember: it writes its segments down in some twelve bytes each (notes.go). Only when a
// segment comes that is not ordinary, or a question arises, or the notes would take more
// memory than a record, are they read back and taken in one after the other as if they
// came now (unfold.go). What a record then holds is what it would have held: there is one
// description of the rules. That a table without briefs gives the same, call for
// call, is what brief_test.go holds.
//
// A million short connections (S1 of bench) take 260 bytes each instead of 740, a million open ones (S3) 230 instead
// of 410, and reading takes half the time: memory that is not touched need not be cleared by the system, nor fetched.

// brief is a connection that has done nothing but what nearly all do: three cache
// lines. The first is what every segment changes, the second has its first notes, the third how it was opened.
type brief struct {
	addrs     uint64 // IPv4 addresses and ports, as probe has them; with briefWide the notes begin with a wideKey
	ports     uint32
	lastFrame uint32
	lastTime  int64
	phase     briefPhase
	bits      briefBits
	used      uint8  // bytes of its notes
	split     uint8  // so many of those are here, the rest in the block with the number more; 0: all are here
	more      uint32 // see moreNotes
	end       [2]briefEnd

	notes [ownNotes]byte

	id      uint32
	answer  uint32 // nanoseconds from the SYN to the SYN-ACK, the lower half
	time    int64  // of the SYN
	opening [2]briefOpening
}

// briefEnd is what a segment of an end is held against, and what its notes are relative to.
type briefEnd struct {
	sndNxt, lastAck seq.Num
	tsVal           seq.Num
	window          uint16
	ttl             uint8
	waits           uint8 // waitWatched, waitSent, and how often it may have held back, times waitOnce
}

// What a brief keeps of waits for a late ACK (waits.go): enough to become a record in the end where
// there may be so many that they call for a reason.
const (
	waitWatched = 1 << iota // its next segment may have been held back
	waitSent                // the last segment of all is its, with payload
	waitOnce
	waitMost = waitsForTrouble * waitOnce
)

// briefOpening is the SYN or SYN-ACK of an end.
type briefOpening struct {
	isn, tsVal  seq.Num
	frame       uint32
	window, mss uint16
	ipid        uint16
	// place is of the opener where the frames of both come from (Table.placeOf), of the listener
	// the upper half of answer.
	place       uint16
	wscale, ttl uint8
	options     uint8 // of openingOptions, and above them ECE and CWR
}

// wideKey holds a brief's addresses where they are not both IPv4, before its notes.
type wideKey struct{ lo, hi segment.Addr }

// briefPhase is how far a brief has come.
type briefPhase uint8

const (
	briefFree briefPhase = iota // the place is not in use
	briefSyn
	briefSynAck
	briefEstablished
	briefHalfClosed
	briefClosing // both FINs were seen, but not both of their ACKs
)

type briefBits uint8

const (
	briefSwap briefBits = 1 << iota // the opener is the higher endpoint
	briefWide                       // its addresses are in a wideKey
	briefTS                         // both ends offered timestamps
	briefFIN                        // the opener sent its FIN; the listener's bit is the next one
	_
	briefFirst // the opener's FIN did not acknowledge the listener's; the listener's bit is the next one
	_
	briefLong // the block with the rest of its notes is a long one
)

// openingECN is by how much ECE and CWR are shifted down in briefOpening.options.
const openingECN = 1

const openingOptions = segment.OptMSS | segment.OptWScale | segment.OptSACKPermitted | segment.OptTimestamps

// The top bits of a number in the index say what it is the number of.
const (
	isBrief  = 1 << 31          // a brief or a cold one
	isCold   = 1<<31 | 1<<30    // a cold one
	kindBits = isBrief | isCold // none of them: a record
	maxKind  = 1<<30 - 1        // the highest number of each kind
)

func (b *brief) side(fromHigh bool) Side { return Side(one(fromHigh) ^ uint8(b.bits&briefSwap)) }

// is tells whether b is the four-tuple's.
func (b *brief) is(p *probe) bool {
	return b.addrs == p.addrs && b.ports == p.ports && b.bits&briefWide == p.wide && b.phase != briefFree &&
		(p.wide == 0 || *b.wide() == wideKey{p.lo, p.hi})
}

// wide returns the addresses before its notes, where they are there.
func (b *brief) wide() *wideKey { return (*wideKey)(unsafe.Pointer(&b.notes)) }

// key returns a brief's four-tuple.
func (b *brief) key() key {
	w := b.wide()
	return keyOf(b.bits, b.addrs, b.ports, &w.lo, &w.hi)
}

// place is a file, and by how much its own frame numbers are less than the merged ones.
type place struct {
	source uint16
	ahead  uint64
}

// mostPlaces is how many places are told apart. Of files one after the other each is one; where files
// are merged frame by frame there soon are too many, and no more briefs.
const mostPlaces = 1 << 12

// placeOf returns the number of the place that a segment's frame comes from.
func (t *Table) placeOf(s *segment.Segment) (n uint16, ok bool) {
	x := place{s.Source, s.Frame - s.SourceFrame}
	if x == t.here && len(t.places) > 0 {
		return t.place, true
	}
	for i := range t.places {
		if t.places[i] == x {
			t.place, t.here = uint16(i), x
			return t.place, true
		}
	}
	if len(t.places) == mostPlaces {
		t.briefly = false
		return 0, false
	}
	t.place, t.here = uint16(len(t.places)), x
	t.places = append(t.places, x)
	return t.place, true
}

// samePlace tells whether a segment's frame comes from where the brief's others do.
func (t *Table) samePlace(b *brief, s *segment.Segment) bool {
	if len(t.places) == 1 && t.here == (place{s.Source, s.Frame - s.SourceFrame}) {
		return true
	}
	n, ok := t.placeOf(s)
	return ok && n == b.opening[Opener].place
}

// plainOpening tells whether nothing about a SYN or SYN-ACK needs a record to remember.
func plainOpening(s *segment.Segment) bool {
	return s.Doubt == 0 && s.Len == 0 && s.Options&^openingOptions == 0 && (s.Options != 0 || len(s.RawOptions) == 0)
}

// openBrief begins a brief with the first segment of a four-tuple, if that is an
// ordinary SYN.
func (t *Table) openBrief(s *segment.Segment, p *probe) bool {
	if s.Flags&^(segment.ECE|segment.CWR) != segment.SYN || !plainOpening(s) || s.Ack != (seq.Num{}) || s.HasTS() && s.TSEcr != (seq.Num{}) ||
		t.connections < t.tellFirst {
		return false
	}
	at, ok := t.placeOf(s)
	if !ok {
		return false
	}
	n, b := take(t, &t.briefs, needBrief)
	if b == nil || n > maxKind {
		return false
	}
	if !t.index.insert(p.hash, n|isBrief) {
		t.briefs.release(n)
		return false
	}
	t.connections++
	t.neverRecords++
	b.addrs, b.ports, b.bits, b.id = p.addrs, p.ports, p.wide, uint32(t.connections)
	if p.wide != 0 {
		*b.wide() = wideKey{p.lo, p.hi}
		b.used = uint8(wideSize)
	}
	if p.fromHigh {
		b.bits |= briefSwap
	}
	b.phase, b.time, b.lastTime, b.lastFrame = briefSyn, s.Time, s.Time, uint32(s.Frame)
	b.open(s, Opener)
	b.opening[Opener].place = at
	t.noteHost(s)
	t.awaitBrief(n|isBrief, b)
	return true
}

// open remembers the SYN or SYN-ACK of end e. It sets field by field, as everywhere here: a struct that is put together
// elsewhere in small pieces and copied in large ones has the processor wait for the pieces, 45 ns a connection.
func (b *brief) open(s *segment.Segment, e Side) {
	o, h := &b.opening[e&1], &b.end[e&1]
	o.isn, o.tsVal, o.frame, o.window, o.mss, o.ipid = s.Seq, s.TSVal, uint32(s.Frame), s.Window, s.MSS, s.IPID
	o.wscale, o.ttl = s.WScale, s.TTL
	o.options = uint8(s.Options&openingOptions) | uint8(s.Flags&(segment.ECE|segment.CWR)>>openingECN)
	h.sndNxt, h.lastAck, h.tsVal, h.window, h.ttl, h.waits = s.Seq.Add(1), s.Ack, s.TSVal, s.Window, s.TTL, 0
}

// awaitBrief gives a brief, number and kind n, its turn, as enqueue does for a record that may have gone quiet.
func (t *Table) awaitBrief(n uint32, b *brief) {
	t.push(event{after(t.now, t.keep), n, b.id & eventID}, quietRow)
}

// ordinary takes a segment into a brief, if it is one of those that nearly every
// connection has: in order, not a copy, not a repeat, and nothing about it unusual.
// Otherwise it changes nothing.
func (t *Table) ordinary(b *brief, s *segment.Segment, p *probe) bool {
	e := b.side(p.fromHigh)
	if b.phase == briefSyn {
		return t.answerBrief(b, s, e)
	}
	h, o := &b.end[e&1], &b.end[e&1^1]
	behind, more := o.sndNxt.Sub(s.Ack), s.Ack.Sub(h.lastAck)
	if s.Flags&^(segment.PSH|segment.FIN) != segment.ACK || s.Seq != h.sndNxt || s.Window == 0 || s.TTL != h.ttl || s.Doubt != 0 || behind < 0 {
		return false
	}
	if b.bits&briefTS != 0 {
		if s.Options != segment.OptTimestamps {
			return false
		}
	} else if s.Options != 0 || len(s.RawOptions) != 0 {
		return false
	}
	if b.phase == briefSynAck {
		if e != Opener || behind != 0 || s.Flags&segment.FIN != 0 {
			return false
		}
		more = 0
	} else if more < 0 || uint32(more)|s.Len|uint32(s.Flags&segment.FIN)|uint32(s.Window^h.window) == 0 {
		return false // the second may be a copy
	}
	if (s.Source != t.here.source || s.Frame-s.SourceFrame != t.here.ahead || len(t.places) > 1) && !t.samePlace(b, s) {
		return false
	}
	t.observed.Longest = max(t.observed.Longest, s.Len)
	if uint8(s.Flags&segment.FIN)|one(b.phase >= briefHalfClosed) != 0 {
		return t.closing(b, s, h, o, e, behind, more, p)
	}
	if !t.note(b, s, h, o, uint64(e), behind, more) {
		return false
	}
	b.phase = briefEstablished
	return true
}

// closing is ordinary for a FIN and what follows.
func (t *Table) closing(b *brief, s *segment.Segment, h, o *briefEnd, e Side, behind, more int32, p *probe) bool {
	bits, phase, ok := b.closes(s, e, behind == 0)
	if !ok || !t.note(b, s, h, o, uint64(e), behind, more) {
		return false
	}
	was := b.phase
	b.bits, b.phase = bits|b.bits&briefLong, phase
	switch {
	case phase == briefFree:
		t.closeBrief(p.guess, b, s, e, p.hash)
	case after(b.time, t.keep) <= t.now && phase == briefClosing && was != briefClosing:
		t.awaitBrief(p.guess, b) // else its first turn is still to come
	}
	return true
}

// closes tells what bits and phase a brief will have after segment s of end e, which is a FIN or follows one;
// briefFree: it is closed. all: it acknowledges all that its peer sent.
func (b *brief) closes(s *segment.Segment, e Side, all bool) (bits briefBits, phase briefPhase, ok bool) {
	h, o := &b.end[e], &b.end[e.Other()]
	fin, other := briefFIN<<e, briefFIN<<e.Other()
	if b.bits&fin != 0 && (s.Len > 0 || s.Flags&segment.FIN != 0) {
		return 0, 0, false
	}
	bits, phase = b.bits, b.phase
	if s.Flags&segment.FIN != 0 {
		if bits |= fin; bits&other == 0 || !all {
			bits |= briefFirst << e
		}
		phase = briefHalfClosed
	}
	if bits&(fin|other) == fin|other {
		phase = briefClosing
		if all && o.lastAck == s.End() {
			// Both are closed. Of a simultaneous close records know more, and of waits too.
			if bits&(briefFirst<<e|briefFirst<<e.Other()) != briefFirst<<e || h.waits >= waitMost || o.waits >= waitMost {
				return 0, 0, false
			}
			phase = briefFree
		}
	}
	return bits, phase, true
}

// wait looks whether segment s of end h, since the one before, may end a wait for a late ACK of o, or what was held back in
// one; more is 1 if it acknowledges all that o sent, and something new. No branch, as it is different each time.
func (b *brief) wait(s *segment.Segment, h, o *briefEnd, since int64, more uint8) {
	data := one(s.Len > 0)
	if h.waits&waitWatched != 0 {
		held := data & one(since <= heldWithin) & one(h.waits < waitMost)
		h.waits += held*waitOnce - waitWatched
	}
	bare := one(s.Len|uint32(s.Flags^segment.ACK)|uint32(b.phase^briefEstablished) == 0)
	watch := more & bare & (one(since >= waitFrom) | ^o.waits>>1)
	h.waits = h.waits&^waitSent | data*waitSent
	o.waits = o.waits&^waitSent | watch*waitWatched
}

func one(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// answerBrief takes the listener's ordinary SYN-ACK into a brief.
func (t *Table) answerBrief(b *brief, s *segment.Segment, e Side) bool {
	o := &b.opening[Opener]
	d := s.Time - b.time
	if e != Listener || s.Flags&^(segment.ECE|segment.CWR) != segment.SYN|segment.ACK || s.Ack != o.isn.Add(1) || !plainOpening(s) || !t.samePlace(b, s) ||
		d < 0 || d >= 1<<48 || int32(uint32(s.Frame)-b.lastFrame) <= 0 {
		return false
	}
	if s.HasTS() {
		if o.options&uint8(segment.OptTimestamps) == 0 || s.TSEcr != o.tsVal {
			return false
		}
		b.bits |= briefTS
	}
	b.phase, b.answer, b.lastTime, b.lastFrame = briefSynAck, uint32(d), s.Time, uint32(s.Frame)
	b.open(s, Listener)
	b.opening[Listener].place = uint16(d >> 32)
	t.noteHost(s)
	return true
}

// closeBrief puts a brief that was closed by segment s of end e, which closed first, to
// the cold ones.
func (t *Table) closeBrief(n uint32, b *brief, s *segment.Segment, e Side, hash uint32) {
	if t.nFresh == len(t.fresh) {
		t.enterPast()
	}
	f := &t.fresh[t.nFresh]
	t.nFresh++
	if f.closing.conn = 0; b.bits&briefTS != 0 {
		k := b.key()
		from, to := k.hi, k.lo
		if (e == Opener) != (b.bits&briefSwap != 0) {
			from, to = to, from
		}
		c := &f.closing
		c.pair, c.time, c.frame, c.conn, c.tsVal = t.closings.hash(from, to), s.Time, s.Frame, widenTo(t.connections, b.id), s.TSEcr
		prefetch(unsafe.Pointer(t.closings.bucket(f.closing.pair)))
	}
	b.phase = briefClosing
	f.hash, f.n = hash, t.cold.add(b, t.moreNotes(b))
	if f.n == 0 {
		// Without room it becomes a record, as everything else would.
		t.unfold(n, hash)
		return
	}
	t.past.prefetch(hash)
	t.index.remove(hash, n)
	t.dropBrief(n&maxKind, b)
	t.due = min(t.due, t.cold.due(t.keepEnded))
}

// dropBrief gives a brief's memory back.
func (t *Table) dropBrief(n uint32, b *brief) {
	t.dropNotes(b)
	b.phase = briefFree
	t.briefs.release(n)
}
