package flow

import (
	"math"
)

// What Config.MaxBytes is divided into: an eighth for the index of the past, half of that for the other, which then are hardly ever
// more than half full; five for connections; the rest is what hosts and closings can take at
// a customary bound, and what Go itself needs.
const (
	leastBytes  = 8 << 20
	shareIndex  = 8
	shareForMem = 5
)

// Forgotten is what had to be forgotten to stay within Config.MaxBytes.
type Forgotten struct {
	// Connections were forgotten while a late packet, or a SYN on their four-tuple, might
	// still have been of interest; nothing more is told of them.
	Connections uint64
	// Frames were left out of what is kept of connections that are told of.
	Frames uint64
	// Since is the frame at which it began, 0: nothing was forgotten.
	Since uint64
}

// Forgotten returns what had to be forgotten so far.
func (t *Table) Forgotten() Forgotten { return t.forgotten }

// bound sets the limits of a table that may take so many bytes.
func (t *Table) bound(bytes int64) {
	if bytes <= 0 {
		return
	}
	bytes = max(bytes, leastBytes)
	t.mem.limit = bytes / 8 * shareForMem
	// No kind of piece may take so much that none is left for the others: what was given to one
	// does not serve another. The cold ones have the rest, and give it up for any.
	part := t.mem.limit / 100
	t.briefs.bound(67 * part)
	t.shortNotes.bound(10 * part)
	t.longNotes.bound(8 * part)
	t.queue.blocks.bound(10 * part)
	t.records.bound(13 * part)
	t.deeps.bound(7 * part)
	t.extras.bound(8 * part)
	t.rares.bound(4 * part)
	t.blocks.bound(6 * part)
	t.past.most = 1
	for 8<<(t.past.most+1) <= bytes/shareIndex {
		t.past.most++
	}
	t.index.most = t.past.most - 1
}

// need is what kind of connection gives back what is short.
type need uint8

const (
	needBrief need = iota
	needRecord
	needTurn // any: a place in the queue is short
)

// take returns a zeroed element of a slab and its number. Where there is no memory left,
// connections are forgotten; a nil element means that this did not help.
func take[T any](t *Table, s *slab[T], short need) (uint32, *T) {
	n, x := s.alloc()
	for try := 0; x == nil && t.mem.limit > 0 && try < mostTries && t.makeRoom(short, s.full()); try++ {
		n, x = s.alloc()
	}
	return n, x
}

// roomSample is how many connections are looked at to find those that were silent longest, and
// roomFor how many of them go.
const (
	roomSample = 256
	roomFor    = 64
	mostTries  = 8
)

// makeRoom forgets some of what is least likely to be needed: the oldest of the closed connections,
// unless what is short has all that its kind may take; then the first whose turn would come; then what was
// silent longest among a sample. It tells whether there was anything to forget.
func (t *Table) makeRoom(short need, full bool) bool {
	if t.forgotten.Since == 0 {
		t.forgotten.Since = max(t.frame, 1)
	}
	t.enterPast()
	if c := t.cold.oldest(); c != nil && !full {
		for block := t.cold.head / coldBlock; c != nil && t.cold.head/coldBlock == block; c = t.cold.oldest() {
			t.forgetOldest(c)
		}
		return true
	}
	return t.hurryQueue(short) || t.forgetSilent(short)
}

// forgetOldest forgets the oldest cold one before its time.
func (t *Table) forgetOldest(c *cold) {
	if c.id != 0 {
		k := c.key()
		t.past.remove(t.hash(&k), t.cold.number())
		t.forgotten.Connections++
	}
	t.cold.drop(c)
}

// hurryQueue takes turns before their time until something of the kind was forgotten; nothing waits
// for most of them any more.
func (t *Table) hurryQueue(short need) bool {
	for range 4 * len(eventBlock{}.e) {
		row, ok := t.queue.next()
		if !ok {
			return false
		}
		e := t.queue.shift(row)
		before := t.forgotten.Connections
		kind := needBrief
		if e.n&isBrief != 0 {
			if b := t.briefs.at(e.n & maxKind); b.id&eventID == e.id&eventID && b.phase != briefFree && b.phase != briefEstablished && b.phase != briefHalfClosed {
				if short == needRecord {
					t.queue.delay(e) // it would not help
				} else {
					t.forgetBrief(e.n&maxKind, b)
				}
			}
		} else if r := t.records.at(e.n); t.waits(r, e) && e.id&eventEnded != 0 {
			kind = needRecord
			if !t.forgetRecord(e.n, r) {
				t.queue.delay(e)
			}
		}
		if t.forgotten.Connections > before && kind == short {
			return true
		}
	}
	return short == needTurn
}

// forgetSilent forgets those that were silent longest in a sample of the kind, and tells whether there were any.
func (t *Table) forgetSilent(short need) bool {
	before := t.forgotten.Connections
	var old silent
	if short == needBrief {
		for range min(roomSample, int(t.briefs.next)-1) {
			if t.hand.brief++; t.hand.brief >= t.briefs.next {
				t.hand.brief = 1
			}
			if b := t.briefs.at(t.hand.brief); b.phase != briefFree {
				old.add(t.hand.brief, b.lastTime, t.now)
			}
		}
		for _, n := range old.n[:old.len] {
			t.forgetBrief(n, t.briefs.at(n))
		}
		return t.forgotten.Connections > before
	}
	for range min(roomSample, int(t.records.next)-1) {
		if t.hand.record++; t.hand.record >= t.records.next {
			t.hand.record = 1
		}
		if r := t.records.at(t.hand.record); r.bits&(bitLive|bitPinned) == bitLive {
			old.add(t.hand.record, r.seenTime, t.now)
		}
	}
	for _, n := range old.n[:old.len] {
		t.forgetRecord(n, t.records.at(n))
	}
	return t.forgotten.Connections > before
}

// silent collects the numbers of those that were silent longest.
type silent struct {
	n    [roomFor]uint32
	time [roomFor]int64
	len  int
}

// add enters one that was last heard of at a time, unless that is now: it may be in work.
func (l *silent) add(n uint32, time, now int64) {
	if time >= now {
		return
	}
	if l.len < roomFor {
		l.n[l.len], l.time[l.len] = n, time
		l.len++
		return
	}
	late, at := int64(math.MinInt64), 0
	for i, x := range l.time {
		if x > late {
			late, at = x, i
		}
	}
	if time < late {
		l.n[at], l.time[at] = n, time
	}
}

// forgetBrief forgets a brief before its time.
func (t *Table) forgetBrief(n uint32, b *brief) {
	k := b.key()
	if k == t.working {
		return
	}
	t.index.remove(t.hash(&k), n|isBrief)
	t.dropBrief(n, b)
	t.forgotten.Connections++
}

// forgetRecord forgets a record before its time, with its earlier incarnations, unless a later one holds it
// or it is in work. Of what is over all that can be said is said first.
func (t *Table) forgetRecord(n uint32, r *record) bool {
	if r.bits&bitOrphan != 0 {
		if r.bits&bitAnnounced == 0 {
			t.announce(n, r)
		}
		t.retire(n, r, t.now)
		t.forgotten.Connections++
		return true
	}
	k := r.key()
	if r.bits&bitPinned != 0 || k == t.working {
		return false
	}
	t.index.remove(t.hash(&k), n)
	for n != 0 {
		r := t.records.at(n)
		if r.over() && r.bits&bitAnnounced == 0 {
			t.announce(n, r)
		}
		prev := r.prev
		t.forget(n, r)
		t.forgotten.Connections++
		n = prev
	}
	return true
}

// newRecord returns a zeroed record with its deep part, nil where there is no memory for both.
func (t *Table) newRecord() (uint32, *record) {
	n, r := take(t, &t.records, needRecord)
	if r == nil || n > maxKind {
		return 0, nil
	}
	ok := t.linesOnly || t.deeps.lend(n)
	for try := 0; !ok && t.mem.limit > 0 && try < mostTries && t.makeRoom(needRecord, t.deeps.full()); try++ {
		ok = t.deeps.lend(n)
	}
	if !ok {
		t.records.release(n)
		return 0, nil
	}
	return n, r
}

// push enters an event into a row of the queue.
func (t *Table) push(e event, row int) {
	if !t.queue.push(e, row) && !(t.mem.limit > 0 && t.makeRoom(needTurn, t.queue.blocks.full()) && t.queue.push(e, row)) {
		t.queue.delay(e)
	}
	t.due = min(t.due, e.due)
}

// leftOut counts a frame for which there was no room.
func (t *Table) leftOut() {
	if t.mem.limit > 0 {
		t.forgotten.Frames++
	}
}
