package flow

import (
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
// A million short connections (S1 of bench) take 290 bytes each instead of 740, and reading them 2.0 s instead
// of 3.3 s; a million open ones (S3) 230 instead of 410 bytes, and 0.8 s instead of 1.4 s: most of the difference
// is memory that is not touched.

// brief is a connection that has done nothing but what nearly all do: two cache
// lines. The first is what every segment changes, the second how it was opened.
type brief struct {
	lo, hi         uint32 // IPv4 addresses in the order of key; with briefWide lo is the number of a wideKey
	loPort, hiPort uint16
	notes          uint32 // number of the block that its notes are in
	lastTime       int64
	lastFrame      uint32
	phase          briefPhase
	bits           briefBits
	used           uint8 // bytes of its notes
	size           uint8 // of the block: the index of noteSizes
	end            [2]briefEnd

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

// wideKey holds a brief's addresses where they are not both IPv4.
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

func (b *brief) side(fromHigh bool) Side {
	if fromHigh == (b.bits&briefSwap != 0) {
		return Opener
	}
	return Listener
}

// briefIs tells whether a brief is the four-tuple's.
func (t *Table) briefIs(b *brief, k *key) bool {
	if b.loPort != k.loPort || b.hiPort != k.hiPort || b.phase == briefFree {
		return false
	}
	if b.bits&briefWide == 0 {
		return k.lo == addr4(b.lo) && k.hi == addr4(b.hi)
	}
	w := t.wides.at(b.lo)
	return w.lo == k.lo && w.hi == k.hi
}

func addr4(a uint32) segment.Addr { return segment.Addr{Lo: 0xffff<<32 | uint64(a)} }

// briefKey returns a brief's four-tuple.
func (t *Table) briefKey(b *brief) key {
	if b.bits&briefWide != 0 {
		w := t.wides.at(b.lo)
		return key{w.lo, w.hi, b.loPort, b.hiPort}
	}
	return key{addr4(b.lo), addr4(b.hi), b.loPort, b.hiPort}
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
	if int(t.place) < len(t.places) && t.places[t.place] == x {
		return t.place, true
	}
	for i := range t.places {
		if t.places[i] == x {
			t.place = uint16(i)
			return t.place, true
		}
	}
	if len(t.places) == mostPlaces {
		t.briefly = false
		return 0, false
	}
	t.place = uint16(len(t.places))
	t.places = append(t.places, x)
	return t.place, true
}

// plainFrame tells whether a segment's frame comes from where the brief's others do, and nothing about it
// needs a record to remember.
func (t *Table) plainFrame(b *brief, s *segment.Segment) bool {
	n, ok := t.placeOf(s)
	return ok && s.Doubt == 0 && (len(t.places) == 1 || n == b.opening[Opener].place)
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
	k := &p.key
	if k.lo.Is4() && k.hi.Is4() {
		b.lo, b.hi = uint32(k.lo.Lo), uint32(k.hi.Lo)
	} else {
		w, v := take(t, &t.wides, needBrief)
		if v == nil {
			t.briefs.release(n)
			return false
		}
		*v = wideKey{k.lo, k.hi}
		b.lo, b.bits = w, briefWide
	}
	if !t.index.insert(p.hash, n|isBrief) {
		t.dropBrief(n, b)
		return false
	}
	t.connections++
	t.neverRecords++
	b.loPort, b.hiPort, b.id = k.loPort, k.hiPort, uint32(t.connections)
	if p.fromHigh {
		b.bits |= briefSwap
	}
	b.phase, b.time, b.lastTime, b.lastFrame = briefSyn, s.Time, s.Time, uint32(s.Frame)
	b.open(s, Opener)
	b.opening[Opener].place = at
	t.noteHost(s)
	t.awaitBrief(n, b)
	return true
}

// open remembers the SYN or SYN-ACK of end e.
func (b *brief) open(s *segment.Segment, e Side) {
	b.opening[e] = briefOpening{
		isn: s.Seq, tsVal: s.TSVal, frame: uint32(s.Frame), window: s.Window, mss: s.MSS, ipid: s.IPID,
		wscale: s.WScale, ttl: s.TTL, options: uint8(s.Options&openingOptions) | uint8(s.Flags&(segment.ECE|segment.CWR)>>openingECN),
	}
	b.end[e] = briefEnd{sndNxt: s.Seq.Add(1), lastAck: s.Ack, tsVal: s.TSVal, window: s.Window, ttl: s.TTL}
}

// awaitBrief gives a brief its turn, as enqueue does for a record that may have gone quiet.
func (t *Table) awaitBrief(n uint32, b *brief) {
	t.push(event{after(t.now, t.keep), n | isBrief, b.id & eventID}, quietRow)
}

// ordinary takes a segment into a brief, if it is one of those that nearly every
// connection has: in order, not a copy, not a repeat, and nothing about it unusual.
// Otherwise it changes nothing.
func (t *Table) ordinary(n uint32, b *brief, s *segment.Segment, fromHigh bool) bool {
	e := b.side(fromHigh)
	if b.phase == briefSyn {
		return t.answerBrief(b, s, e)
	}
	h, p := &b.end[e], &b.end[e.Other()]
	behind, more := p.sndNxt.Sub(s.Ack), s.Ack.Sub(h.lastAck)
	switch {
	case s.Flags&^(segment.PSH|segment.FIN) != segment.ACK, s.Seq != h.sndNxt, s.Window == 0, s.TTL != h.ttl,
		s.Len > 0xffff, !t.plainFrame(b, s), behind < 0:
		return false
	case b.phase == briefSynAck:
		if e != Opener || behind != 0 || s.Flags&segment.FIN != 0 {
			return false
		}
	case more < 0, more == 0 && s.Len == 0 && s.Flags&segment.FIN == 0 && s.Window == h.window:
		return false // the second may be a copy
	}
	if b.bits&briefTS != 0 {
		if s.Options != segment.OptTimestamps {
			return false
		}
	} else if s.Options != 0 || len(s.RawOptions) != 0 {
		return false
	}
	fin, other := briefFIN<<e, briefFIN<<e.Other()
	if b.bits&fin != 0 && (s.Len > 0 || s.Flags&segment.FIN != 0) {
		return false
	}
	bits, phase := b.bits, max(b.phase, briefEstablished)
	if s.Flags&segment.FIN != 0 {
		if bits |= fin; bits&other == 0 || behind != 0 {
			bits |= briefFirst << e
		}
		phase = briefHalfClosed
	}
	if bits&(fin|other) == fin|other {
		phase = briefClosing
		if behind == 0 && p.lastAck == s.End() {
			// Both are closed. Of a simultaneous close records know more.
			if bits&(briefFirst<<e|briefFirst<<e.Other()) != briefFirst<<e {
				return false
			}
			phase = briefFree
		}
	}
	if phase == briefFree && (h.waits >= waitMost || p.waits >= waitMost) || !t.note(b, s, e) {
		return false
	}
	b.wait(s, e, behind == 0 && more > 0)
	was := b.phase
	b.bits, b.phase = bits, phase
	h.sndNxt, h.lastAck, h.tsVal, h.window = s.End(), s.Ack, s.TSVal, s.Window
	b.lastTime, b.lastFrame = s.Time, uint32(s.Frame)
	t.observed.Longest = max(t.observed.Longest, s.Len)
	switch {
	case phase == briefFree:
		t.closeBrief(n, b, s, e)
	case phase == briefClosing && was != briefClosing && after(b.time, t.keep) <= t.now:
		t.awaitBrief(n, b) // else its first turn is still to come
	}
	return true
}

// wait looks whether segment s of end e may end a wait for a late ACK, or what was held back in one.
func (b *brief) wait(s *segment.Segment, e Side, all bool) {
	h, p := &b.end[e], &b.end[e.Other()]
	since := s.Time - b.lastTime
	if h.waits&waitWatched != 0 {
		if h.waits &^= waitWatched; s.Len > 0 && since <= heldWithin && h.waits < waitMost {
			h.waits += waitOnce
		}
	}
	if all && s.Len == 0 && s.Flags == segment.ACK && b.phase == briefEstablished && (since >= waitFrom || p.waits&waitSent == 0) {
		p.waits |= waitWatched
	}
	p.waits &^= waitSent
	if h.waits &^= waitSent; s.Len > 0 {
		h.waits |= waitSent
	}
}

// answerBrief takes the listener's ordinary SYN-ACK into a brief.
func (t *Table) answerBrief(b *brief, s *segment.Segment, e Side) bool {
	o := &b.opening[Opener]
	d := s.Time - b.time
	if e != Listener || s.Flags&^(segment.ECE|segment.CWR) != segment.SYN|segment.ACK || s.Ack != o.isn.Add(1) || !plainOpening(s) || !t.plainFrame(b, s) ||
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
func (t *Table) closeBrief(n uint32, b *brief, s *segment.Segment, e Side) {
	k := t.briefKey(b)
	if b.bits&briefTS != 0 {
		from, to := k.hi, k.lo
		if (e == Opener) != (b.bits&briefSwap != 0) {
			from, to = to, from
		}
		t.closings.push(&closing{
			pair: t.closings.hash(from, to), time: s.Time, frame: s.Frame, conn: widenTo(t.connections, b.id), tsVal: s.TSEcr,
		})
	}
	hash := t.hash(&k)
	b.phase = briefClosing
	c := t.cold.add(b, &k, t.notesOf(b))
	if c == 0 {
		// Without room it becomes a record, as everything else would.
		t.unfold(n|isBrief, hash)
		return
	}
	t.index.replace(hash, n|isBrief, c)
	t.dropBrief(n, b)
	t.due = min(t.due, t.cold.due(t.keepEnded))
}

// dropBrief gives a brief's memory back.
func (t *Table) dropBrief(n uint32, b *brief) {
	if b.bits&briefWide != 0 {
		t.wides.release(b.lo)
	}
	t.dropNotes(b)
	b.phase = briefFree
	t.briefs.release(n)
}
