package plain

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// Bounds of what a four-tuple with a long past may hold.
const (
	maxChain   = 4
	maxOrphans = 1 << 16
)

// turn is a connection's place in the order of ends.
type turn struct {
	due   int64
	c     *conn
	ended bool // it ended; otherwise it is asked whether it can go
}

// before is the order of turns: by time, then by the age of the connections.
func (u turn) before(v turn) bool {
	if u.due != v.due {
		return u.due < v.due
	}
	return u.c.ID < v.c.ID
}

// turns are the connections that wait for their turn. Those that wait equally long stand
// in a row; those that were put off, or come too late for the end of their row, in a heap.
type turns struct {
	rows [3][]turn
	late late
}

// The rows.
const (
	quietRow = iota // wait Config.Keep
	endedRow        // wait Config.KeepEnded
	youngRow        // wait youngFor
)

// late is a heap.
type late []turn

func (l late) Len() int      { return len(l) }
func (l late) Swap(i, j int) { l[i], l[j] = l[j], l[i] }

func (l late) Less(i, j int) bool { return l[i].before(l[j]) }

// Push and Pop are heap's.
func (l *late) Push(x any) { *l = append(*l, x.(turn)) }

// Pop takes the last element out.
func (l *late) Pop() any {
	n := len(*l) - 1
	x := (*l)[n]
	*l = (*l)[:n]
	return x
}

// push enters a turn into a row, where that leaves it in order.
func (q *turns) push(u turn, of int) {
	if row := q.rows[of]; len(row) > 0 && u.before(row[len(row)-1]) {
		heap.Push(&q.late, u)
		return
	}
	q.rows[of] = append(q.rows[of], u)
}

// next returns the row whose head goes first, -1 if all are empty.
func (q *turns) next() int {
	of := -1
	for i := range q.rows {
		if len(q.rows[i]) > 0 && (of < 0 || q.rows[i][0].before(q.rows[of][0])) {
			of = i
		}
	}
	return of
}

func (q *turns) shift(of int) turn {
	u := q.rows[of][0]
	q.rows[of] = q.rows[of][1:]
	return u
}

// pop takes out the next turn that is due, and tells from which row.
func (q *turns) pop(now int64) (u turn, of int, ok bool) {
	of = q.next()
	if len(q.late) > 0 && (of < 0 || q.late[0].before(q.rows[of][0])) {
		if q.late[0].due > now {
			return turn{}, 0, false
		}
		return heap.Pop(&q.late).(turn), quietRow, true
	}
	if of < 0 || q.rows[of][0].due > now {
		return turn{}, 0, false
	}
	return q.shift(of), of, true
}

// after returns the time that is later than t by d, which is not negative.
func after(t, d int64) int64 {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// later returns when a connection may go, as far as its last segment tells.
func (t *Table) later(c *conn) int64 {
	if c.over() {
		return after(c.LastSeen.Time, t.keepEnded)
	}
	return after(c.LastSeen.Time, t.keep)
}

// youngFor is how long a quiet connection waits where only lines are wanted before it is
// given a turn at all.
const youngFor = int64(time.Second)

// enqueue gives a connection its turn: because it ended, or because it may have gone quiet.
func (t *Table) enqueue(c *conn, ended bool) {
	keep, row := t.keep, quietRow
	switch {
	case ended:
		c.queued = true
		if t.keepEnded != t.keep {
			keep, row = t.keepEnded, endedRow
		}
	case t.cfg.LinesOnly:
		keep, row = youngFor, youngRow
	}
	t.turns.push(turn{after(t.now, keep), c, ended}, row)
}

func (t *Table) delayTo(due int64, c *conn) { heap.Push(&t.turns.late, turn{due, c, false}) }

// expire takes the turns that have come.
func (t *Table) expire(now int64) {
	for {
		u, row, ok := t.turns.pop(now)
		switch {
		case !ok:
			return
		case u.c.forgotten:
		case row != youngRow:
			t.turn(u)
		case u.c.quiet() && !u.c.queued:
			u.due = after(u.due-youngFor, t.keep)
			t.turns.push(u, quietRow)
		}
	}
}

// turn does what is due, as at the time when it was due.
func (t *Table) turn(u turn) {
	c := u.c
	if !c.announced {
		if !u.ended {
			if !c.quiet() || c.queued {
				return
			}
			if due := t.later(c); due > u.due {
				t.delayTo(due, c)
				return
			}
		}
		t.announce(c)
	}
	t.retire(c, u.due)
}

// retire forgets a connection that was announced, unless a later incarnation or a late
// packet still holds it.
func (t *Table) retire(c *conn, now int64) {
	switch {
	case c.orphan:
		t.orphans--
		t.forget(c)
		return
	case c.pinned:
		return
	}
	if due := t.later(c); due > now {
		t.delayTo(due, c)
		return
	}
	k := tupleOf(c.Ends[0].Endpoint, c.Ends[1].Endpoint)
	t.forget(c)
	if c.prev == nil {
		delete(t.current, k)
		return
	}
	t.current[k] = c.prev
	c.prev.pinned = false
	if c.prev.announced {
		t.retire(c.prev, now)
	}
}

func (t *Table) forget(c *conn) {
	c.forgotten = true
	delete(t.live, c.ID)
}

// limitChain cuts the oldest incarnation off a chain that grew too long. One that
// still lives is spared for the next.
func (t *Table) limitChain(c *conn) {
	var chain []*conn
	for p := c.prev; p != nil; p = p.prev {
		chain = append(chain, p)
	}
	if len(chain) <= maxChain {
		return
	}
	i := maxChain
	if o := chain[i]; !o.queued && !o.announced && !o.quiet() {
		i--
	}
	o := chain[i]
	chain[i-1].prev, o.prev = o.prev, nil
	o.pinned, o.orphan = false, true
	t.orphans++
	if o.announced {
		t.retire(o, t.now)
		return
	}
	o.Frames, o.Troubles, o.Held, o.Pause = nil, nil, flow.Held{}, flow.Pause{}
	o.pending = nil
	if !o.queued && !o.quiet() {
		t.enqueue(o, true)
	}
	t.hurry()
}

// hurry announces ends before their time, in their order, until not too many orphans wait.
func (t *Table) hurry() {
	for t.orphans > maxOrphans {
		row := t.turns.next()
		if row < 0 {
			return
		}
		u := t.turns.shift(row)
		c := u.c
		if c.forgotten {
			continue
		}
		if !c.announced {
			if !u.ended && !c.orphan {
				if c.quiet() && !c.queued {
					t.delayTo(t.later(c), c)
				}
				continue
			}
			t.announce(c)
		}
		t.retire(c, t.now)
	}
}

// announce reports the end of a connection.
func (t *Table) announce(c *conn) {
	t.askIfOpen(c)
	if !t.cfg.LinesOnly && t.calls(c) {
		t.sink.Troubled(t.view(c))
	}
	t.observe(c)
	c.announced = true
	if !t.cfg.AskedOnly {
		t.sink.Ended(t.view(c))
	}
}

// calls tells whether a connection's life or end calls for a reason.
func (t *Table) calls(c *conn) bool {
	switch {
	case c.ID <= t.cfg.TellFirst, c.trouble, c.twoAnswers, c.Ends[0].RST.Seen(), c.Ends[1].RST.Seen(),
		c.MidStream && !c.neverAsked && !c.established:
		return true
	}
	return c.State == flow.HalfClosed || c.State == flow.Closing
}

// observe counts a connection that is over.
func (t *Table) observe(c *conn) {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	if c.neverAsked {
		t.observed.MidStream++
	}
	both := c.seen(flow.Opener) && c.seen(flow.Listener)
	if !both && o.Segments+l.Segments > 2 && c.State >= flow.Established {
		t.observed.OneSided++
	}
	if !c.MidStream && both && (o.Unseen || l.Unseen) {
		if t.observed.Unseen++; t.observed.Unseen == 1 {
			t.observed.FirstUnseen = c.LastSeen.Frame
		}
	}
}

// justOpened: the capture ended within a second after the handshake, and nothing
// followed it.
func (t *Table) justOpened(c *conn) bool {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	return c.State == flow.Established && o.Bytes == 0 && l.Bytes == 0 && l.Segments == 1 && t.now-c.LastSeen.Time < int64(time.Second)
}

// askIfOpen asks about a connection whose question is settled by its being over.
func (t *Table) askIfOpen(c *conn) {
	switch {
	case c.asked, c.neverAsked:
	case c.past:
		t.ask(c)
	case c.MidStream:
	case t.closed && t.justOpened(c),
		c.State < flow.Established, c.lateSynAck, c.State == flow.Reset && !c.established:
		t.ask(c)
	}
}

// ask reports an attempt that raises a question, with its past.
func (t *Table) ask(c *conn) {
	c.asked = true
	if t.cfg.LinesOnly {
		return
	}
	first := t.view(c)
	for v, p := first, c.prev; p != nil; v, p = v.Previous, p.prev {
		v.Previous = t.view(p)
	}
	t.sink.Asked(first)
}

// Close ends the capture: those that ended are announced in the order of their turns,
// then the rest in that of their first frames.
func (t *Table) Close() {
	if t.closed {
		return
	}
	t.closed = true
	for {
		u, _, ok := t.turns.pop(math.MaxInt64)
		if !ok {
			break
		}
		if u.ended && !u.c.forgotten && !u.c.announced {
			t.announce(u.c)
		}
	}
	var rest []uint64
	for id, c := range t.live {
		if !c.announced {
			rest = append(rest, id)
		}
	}
	slices.Sort(rest)
	for _, id := range rest {
		t.announce(t.live[id])
	}
	t.turns, t.live, t.current = turns{}, nil, nil
}
