package flow

import (
	"cmp"
	"math"
	"slices"
	"time"
	"unsafe"
)

// Bounds of what a four-tuple with a long past may hold.
const (
	// maxChain is how many earlier incarnations a record can have behind it.
	maxChain = 4
	// maxOrphans is how many records that were cut off their chains may wait
	// for their turn. Beyond it, ends are announced before their time.
	maxOrphans = 1 << 16
)

// later returns when a record that was last heard of at a time may go.
func (t *Table) later(r *record, time int64) int64 {
	keep := t.keep
	if r.over() {
		keep = t.keepEnded
	}
	return after(time, keep)
}

// after returns the time that is later than t by d, which is not negative.
func after(t, d int64) int64 {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// enqueue gives a record its turn: eventEnded if it ended, 0 if it
// is to be looked at because it may have gone quiet.
func (t *Table) enqueue(n uint32, r *record, kind uint32) {
	keep, row := t.keep, quietRow
	switch {
	case kind == eventEnded:
		r.bits |= bitQueued
		// Where both are kept as long, they take turns in one row.
		if keep = t.keepEnded; keep != t.keep {
			row = endedRow
		}
	case t.linesOnly:
		keep, row = youngFor, youngRow
	}
	e := event{after(t.now, keep), n, uint32(r.id)&eventID | kind}
	switch {
	case !t.reliving:
		t.push(e, row)
	case kind == eventEnded || e.due > t.relivingAt:
		// The turn that was the brief's, if it is still to come; its place in a row is lost.
		t.queue.delay(e)
		t.due = min(t.due, e.due)
	}
}

// delayTo puts a record's turn off.
func (t *Table) delayTo(due int64, n uint32, r *record) {
	t.queue.delay(event{due, n, uint32(r.id) & eventID})
	t.due = min(t.due, due)
}

// expire takes the turns that have come.
func (t *Table) expire(now int64) {
	t.forgetCold(now)
	for {
		e, row, ok := t.queue.pop(now)
		if !ok {
			break
		}
		if row == youngRow {
			t.grow(e)
		} else {
			t.prepare()
			t.turn(e)
		}
	}
	t.due = min(t.queue.nextDue(), t.cold.due(t.keepEnded))
}

// prepare asks for the memory of the next records in the queue.
func (t *Table) prepare() {
	if n := t.queue.ahead(8); n != 0 && n&isBrief == 0 {
		t.prefetchRecord(n)
	}
	if n := t.queue.ahead(4); n != 0 && n&isBrief == 0 {
		r := t.records.at(n)
		if x := r.extra; x != 0 {
			prefetch4(unsafe.Pointer(t.extras.at(x)))
		}
		k := r.key()
		prefetch(unsafe.Pointer(&t.index.slots[t.hash(&k)&t.index.mask]))
	}
}

func (t *Table) prefetchRecord(n uint32) {
	prefetch4(unsafe.Pointer(t.records.at(n)))
	if !t.linesOnly {
		prefetch2(unsafe.Pointer(t.deeps.at(n)))
	}
}

// youngFor is how long a quiet record waits before it is given a turn at all:
// nearly all handshakes and closes are complete by then, and their records
// still near. Where questions are asked the order of all events is kept instead.
const youngFor = int64(time.Second)

// grow gives a record its turn as enqueue would have, had it known that it
// would stay quiet so long.
func (t *Table) grow(e event) {
	if n := t.queue.ahead(8); n != 0 {
		prefetch(unsafe.Pointer(t.records.at(n)))
		prefetch(unsafe.Pointer(&t.records.at(n).id))
	}
	r := t.records.at(e.n)
	if !t.waits(r, e) || !r.quiet() || r.bits&bitQueued != 0 {
		return
	}
	e.due = after(e.due-youngFor, t.keep)
	if !t.queue.push(e, quietRow) {
		t.queue.delay(e)
	}
}

// waits tells whether the event's record is still there.
func (t *Table) waits(r *record, e event) bool {
	return r.bits&bitLive != 0 && uint32(r.id)&eventID == e.id&eventID
}

// turn does what an event calls for, as at the time when it was due: so the
// outcome does not depend on when the next segment of whatever connection comes.
func (t *Table) turn(e event) {
	if e.n&isBrief != 0 {
		t.awaited(e)
		return
	}
	r := t.records.at(e.n)
	if !t.waits(r, e) {
		return
	}
	if r.bits&bitAnnounced == 0 {
		if e.id&eventEnded == 0 {
			if !r.quiet() || r.bits&bitQueued != 0 {
				return
			}
			if due := t.later(r, r.seenTime); due > e.due {
				t.delayTo(due, e.n, r)
				return
			}
		}
		t.announce(e.n, r)
	}
	t.retire(e.n, r, e.due)
}

// retire gives the memory of an announced record back, unless a later
// incarnation or a late packet still holds it.
func (t *Table) retire(n uint32, r *record, now int64) {
	if r.bits&bitOrphan != 0 {
		t.orphans--
		t.forget(n, r)
		return
	}
	if r.bits&bitPinned != 0 {
		return
	}
	if due := t.later(r, r.seenTime); due > now {
		t.delayTo(due, n, r)
		return
	}
	k := r.key()
	prev := r.prev
	if prev == 0 {
		t.index.remove(t.hash(&k), n)
		t.forget(n, r)
		return
	}
	t.index.replace(t.hash(&k), n, prev)
	t.forget(n, r)
	p := t.records.at(prev)
	p.bits &^= bitPinned
	if p.bits&bitAnnounced != 0 {
		t.retire(prev, p, now)
	}
}

// forget releases a record and what hangs on it.
func (t *Table) forget(n uint32, r *record) {
	if r.extra != 0 {
		x := t.extras.at(r.extra)
		t.dropFrames(x)
		if x.rare != 0 {
			t.rares.release(x.rare)
		}
		t.extras.release(r.extra)
	}
	r.bits = 0
	t.records.release(n)
}

// supersede notes that a new connection takes the four-tuple over.
func (t *Table) supersede(n uint32) {
	r := t.records.at(n)
	r.bits |= bitPinned
	t.askIfOpen(n, r)
}

// limitChain cuts the oldest incarnation off a chain that grew too long. One
// that still lives is spared for the next: what the four-tuple answers is its doing.
func (t *Table) limitChain(r *record) {
	var chain [maxChain + 1]uint32
	depth := 0
	for p := r.prev; p != 0 && depth < len(chain); p = t.records.at(p).prev {
		chain[depth] = p
		depth++
	}
	if depth <= maxChain {
		return
	}
	i := maxChain
	if o := t.records.at(chain[i]); o.bits&(bitQueued|bitAnnounced) == 0 && !o.quiet() {
		i--
	}
	n := chain[i]
	o := t.records.at(n)
	t.records.at(chain[i-1]).prev = o.prev
	o.prev = 0
	o.bits = o.bits&^bitPinned | bitOrphan
	t.orphans++
	if o.bits&bitAnnounced != 0 {
		t.retire(n, o, t.now)
		return
	}
	if o.extra != 0 {
		t.dropFrames(t.extras.at(o.extra))
	}
	if o.bits&bitQueued == 0 && !o.quiet() {
		t.enqueue(n, o, eventEnded)
	}
	if t.orphans > maxOrphans {
		t.hurry()
	}
}

// hurry announces ends before their time, in their order, until fewer orphans wait.
func (t *Table) hurry() {
	for t.orphans > maxOrphans {
		row, ok := t.queue.next()
		if !ok {
			return
		}
		e := t.queue.shift(row)
		if e.n&isBrief != 0 {
			t.awaited(e)
			continue
		}
		r := t.records.at(e.n)
		if !t.waits(r, e) {
			continue
		}
		if r.bits&bitAnnounced == 0 {
			if e.id&eventEnded == 0 && r.bits&bitOrphan == 0 {
				if r.quiet() && r.bits&bitQueued == 0 {
					t.delayTo(t.later(r, r.seenTime), e.n, r)
				}
				continue
			}
			t.announce(e.n, r)
		}
		t.retire(e.n, r, t.now)
	}
}

// announce reports the end of a connection.
func (t *Table) announce(n uint32, r *record) {
	t.askIfOpen(n, r)
	t.troubled(n, r)
	t.observe(r)
	r.bits |= bitAnnounced
	if t.askedOnly {
		return
	}
	t.view(n, r, &t.scratch)
	t.sink.Ended(&t.scratch)
}

// justOpened: the capture ended within a second after the handshake, and nothing
// followed it: whether the last ACK was taken cannot be told.
func (t *Table) justOpened(r *record) bool {
	return r.state == Established && r.hot[Opener].bytes == 0 && r.hot[Listener].bytes == 0 &&
		r.hot[Listener].segs == 1 && t.now-r.seenTime < int64(time.Second)
}

// askIfOpen asks about a connection whose question is settled by its being over.
func (t *Table) askIfOpen(n uint32, r *record) {
	if r.bits&(bitAsked|bitNeverAsked) != 0 {
		return
	}
	if r.bits&bitPast != 0 {
		t.ask(n, r)
		return
	}
	if r.bits&bitMidStream != 0 {
		return
	}
	if t.closed && t.justOpened(r) {
		t.ask(n, r)
		return
	}
	if r.state < Established || r.bits&bitLateSynAck != 0 || r.state == Reset && r.bits&bitEstablished == 0 {
		t.ask(n, r)
	}
}

// ask reports an attempt that raises a question, with its past.
func (t *Table) ask(n uint32, r *record) {
	r.bits |= bitAsked
	if t.linesOnly {
		return
	}
	first := new(Connection)
	c := first
	for {
		t.view(n, r, c)
		if n = r.prev; n == 0 {
			break
		}
		r = t.records.at(n)
		c.Previous = new(Connection)
		c = c.Previous
	}
	t.sink.Asked(first)
}

// Close ends the capture: what is still open is settled and announced, and the
// memory given back. Host and Closings keep their answers; Add takes nothing more.
func (t *Table) Close() {
	if t.closed {
		return
	}
	t.closed = true
	t.enterPast()
	t.unfoldRest()
	for {
		t.queue.skipBriefs()
		e, _, ok := t.queue.pop(math.MaxInt64)
		if !ok {
			break
		}
		t.prepare()
		if e.n&isBrief != 0 {
			continue
		}
		r := t.records.at(e.n)
		if e.id&eventEnded != 0 && t.waits(r, e) && r.bits&bitAnnounced == 0 {
			t.announce(e.n, r)
		}
	}
	t.announceRest()
	t.index.drop()
	t.past.drop()
	t.records, t.deeps, t.extras, t.rares, t.blocks = slab[record]{}, slab[deep]{}, slab[extra]{}, slab[rare]{}, slab[frameBlock]{}
	t.briefs, t.shortNotes, t.longNotes = slab[brief]{}, slab[shortNotes]{}, slab[longNotes]{}
	t.queue, t.cold = queue{}, coldLog{}
	t.mem.drop()
}

// announceRest announces what never ended, in the order of the first frames.
func (t *Table) announceRest() {
	left, first, last, sorted := uint64(0), uint64(math.MaxUint64), uint64(0), true
	for n := uint32(1); n < t.records.next; n++ {
		if r := t.records.at(n); r.bits&(bitLive|bitAnnounced) == bitLive {
			sorted = sorted && r.id > last
			left, first, last = left+1, min(first, r.id), max(last, r.id)
		}
	}
	if sorted {
		// Nothing was freed in between, as when everything stays open.
		for n := uint32(1); n < t.records.next; n++ {
			if r := t.records.at(n); r.bits&(bitLive|bitAnnounced) == bitLive {
				t.announce(n, r)
			}
		}
		return
	}
	var order []uint32
	if last-first < 4*left {
		order = t.placeRest(first, last)
	} else {
		order = t.sortRest(left)
	}
	for i, n := range order {
		if i+8 < len(order) {
			t.prefetchRecord(order[i+8])
		}
		t.announce(n, t.records.at(n))
	}
}

// placeRest returns the records that were not announced, in the order of their
// ids. Most of the ids from first to last are there: each has its place.
func (t *Table) placeRest(first, last uint64) []uint32 {
	places := make([]uint32, last-first+1)
	for n := uint32(1); n < t.records.next; n++ {
		if r := t.records.at(n); r.bits&(bitLive|bitAnnounced) == bitLive {
			places[r.id-first] = n
		}
	}
	return slices.DeleteFunc(places, func(n uint32) bool { return n == 0 })
}

// sortRest is placeRest where few are left of many.
func (t *Table) sortRest(left uint64) []uint32 {
	order := make([]uint32, 0, left)
	for n := uint32(1); n < t.records.next; n++ {
		if t.records.at(n).bits&(bitLive|bitAnnounced) == bitLive {
			order = append(order, n)
		}
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(t.records.at(a).id, t.records.at(b).id) })
	return order
}
