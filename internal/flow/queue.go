package flow

import "math"

// event is a turn in the order of ends: what is due at a time for a record. The
// record may be gone or used again by then, so its id is noted.
type event struct {
	due int64
	n   uint32
	id  uint32 // low 31 bits of the connection's id; the top bit is eventEnded
}

const (
	// eventEnded marks the turn of a connection that ended; without it the
	// event only asks whether a quiet or announced record can go.
	eventEnded = 1 << 31
	eventID    = eventEnded - 1
)

// queue holds the events in the order of their times, those of one time in that of their
// connections' age. Nearly all of them are entered with one of few delays: those with the same
// delay wait in a row of blocks, and so in order. The few that must be put off go to a heap, as do
// those that come too late for the end of their row.
type queue struct {
	blocks slab[eventBlock]
	rows   [3]row
	last   int // the row that shift took from
	late   []event
}

// The rows of a queue.
const (
	quietRow = iota // with Config.Keep
	endedRow        // with Config.KeepEnded
	youngRow        // with youngFor
)

// row is a row of blocks.
type row struct {
	head  uint32 // block
	tail  uint32
	at    int   // next event in head
	fill  int   // events in tail
	due   int64 // of the next event; needs holds
	holds bool  // there is a next event
}

// eventBlock holds events by how much later than base they are due, which is less than 2^32 ns.
type eventBlock struct {
	base int64
	next uint32
	full uint32 // events in it, once it is not the last of its row
	e    [41]shortEvent
	_    uint32
}

type shortEvent struct{ later, n, id uint32 }

func (b *eventBlock) at(i int) event {
	e := &b.e[i]
	return event{b.base + int64(e.later), e.n, e.id}
}

// push enters an event into a row, or out of order where the row's last one comes behind it: the
// clock went back, or an older connection ended at the same time. It fails only where there is no memory left.
func (q *queue) push(e event, into int) bool {
	r := &q.rows[into]
	if r.holds && e.before(q.blocks.at(r.tail).at(r.fill-1)) {
		q.delay(e)
		return true
	}
	var b *eventBlock
	if r.tail != 0 && r.fill < len(b.e) {
		b = q.blocks.at(r.tail)
	}
	if b != nil && r.fill == 0 {
		b.base = e.due // it is used again
	}
	if b == nil || uint64(e.due-b.base) > math.MaxUint32 {
		n, x := q.blocks.alloc()
		if x == nil {
			return false
		}
		if r.tail == 0 {
			r.head, r.at = n, 0
		} else {
			last := q.blocks.at(r.tail)
			last.next, last.full = n, uint32(r.fill)
		}
		b, r.tail, r.fill = x, n, 0
		b.base = e.due
	}
	b.e[r.fill] = shortEvent{uint32(e.due - b.base), e.n, e.id}
	r.fill++
	if !r.holds {
		r.due, r.holds = e.due, true
	}
	return true
}

// next returns the row whose head goes first.
func (q *queue) next() (of int, ok bool) {
	for i := range q.rows {
		r := &q.rows[i]
		if r.holds && (!ok || r.due < q.rows[of].due || r.due == q.rows[of].due && q.head(i).before(q.head(of))) {
			of, ok = i, true
		}
	}
	return of, ok
}

// head returns the next event of a row that holds one.
func (q *queue) head(of int) event {
	r := &q.rows[of]
	return q.blocks.at(r.head).at(r.at)
}

// ahead returns the record of the event that is some places behind the head of
// the row that was shifted last, 0 if it is not at hand.
func (q *queue) ahead(places int) uint32 {
	r := &q.rows[q.last]
	i := r.at + places
	if r.head == 0 || i >= len(eventBlock{}.e) {
		return 0
	}
	return q.blocks.at(r.head).e[i].n
}

// shift takes the head of a row out, which holds one.
func (q *queue) shift(of int) event {
	q.last = of
	r := &q.rows[of]
	b := q.blocks.at(r.head)
	e := b.at(r.at)
	r.at++
	switch {
	case r.head == r.tail && r.at == r.fill:
		// Empty: use the block again from its start.
		r.at, r.fill, r.holds = 0, 0, false
		return e
	case r.head != r.tail && r.at == int(b.full):
		next := b.next
		q.blocks.release(r.head)
		r.head, r.at = next, 0
		b = q.blocks.at(next)
	}
	r.due = b.at(r.at).due
	return e
}

// skipBriefs takes out the briefs before the next record of each row. Among a million connections that is all that the end of a
// capture has to do with most events, and in less than half the time that popping takes.
func (q *queue) skipBriefs() {
	for of := range q.rows {
		r := &q.rows[of]
		for r.holds && q.blocks.at(r.head).e[r.at].n&isBrief != 0 {
			q.shift(of)
		}
	}
}

// pop takes out the next event that is due at the given time, and tells from
// which row. What comes from the heap belongs to quietRow.
func (q *queue) pop(now int64) (e event, of int, ok bool) {
	of, ok = q.next()
	if len(q.late) > 0 && (!ok || q.late[0].due <= q.rows[of].due && q.late[0].before(q.head(of))) {
		if q.late[0].due > now {
			return event{}, 0, false
		}
		return q.popLate(), quietRow, true
	}
	if !ok || q.rows[of].due > now {
		return event{}, 0, false
	}
	return q.shift(of), of, true
}

// nextDue returns when the next event is due.
func (q *queue) nextDue() int64 {
	due := int64(1<<63 - 1)
	if of, ok := q.next(); ok {
		due = q.rows[of].due
	}
	if len(q.late) > 0 {
		due = min(due, q.late[0].due)
	}
	return due
}

// before orders the heap: by time, then by the age of the connection, so that the order
// does not depend on how the heap came about.
func (e event) before(f event) bool {
	if e.due != f.due {
		return e.due < f.due
	}
	return e.id&eventID < f.id&eventID
}

// delay enters an event out of order.
func (q *queue) delay(e event) {
	q.late = append(q.late, e)
	h := q.late
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *queue) popLate() event {
	h := q.late
	e := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	q.late = h
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(h[i]) {
			break
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
	return e
}
