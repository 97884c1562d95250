package diagnose

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// Settle answers while a capture still goes on. A finding is given when nothing that the capture
// may still show belongs to it:
//
//   - flow has handed its connection over: its question is settled, or it is over and
//     even its late segments would have come (flow.Sink);
//   - where its four-tuple was opened again, the question of that attempt is settled too:
//     an old connection's reset may be the attempt's doing;
//   - and the time has passed in which a second connection could turn out to belong to it: the
//     other side of a translation, an answer from another address (pairs.go).
//
// What it says of hosts and of other connections is what the capture showed up to then. Times
// are those of the capture: while no packet comes, nothing is given.

const (
	// settleAfter is how long after it was handed over a connection waits whose both ends were
	// seen: its other side, behind a translation, is handed over at the same time but for
	// what packets need between two capture points (pairSides).
	settleAfter = 2 * time.Second
	// remember is how long connections that were answered are kept beside those to come, for
	// what is told of several together: half-open handshakes of a listener, translations.
	remember = 2 * pairWithin
	// maxHeld is how many connections may wait for the attempts that followed on their four-tuples:
	// those may live for long without showing more.
	maxHeld = 1 << 14
	// rememberIDs is for how many connections back it is known what was told of them.
	rememberIDs = 1 << 18
)

// turn is when a connection is answered.
type turn struct {
	// at is when it may be, in nanoseconds; 0: Settle has not seen it yet.
	at   int64
	done bool
	// held: it waits for the attempt that followed.
	held bool
}

// take tells whether the turn has come, and then takes it.
func (t *turn) take(now int64) bool {
	if t.done || t.at > now {
		return false
	}
	t.done = true
	return true
}

// settled is what an engine that answers piece by piece remembers of what it gave.
type settled struct {
	used bool
	// given is how many ids were given.
	given uint64
	// told are the connections of which a finding tells, by their ids, newest the highest of these.
	told   map[uint64]bool
	newest uint64
	// followed are the connections of which the attempt that followed on the four-tuple was asked about.
	followed map[uint64]bool
	held     int // connections that wait for that
	sweep    int // at how many ids the old ones are forgotten
	// findings are the latest, in the order in which they were found, and found says when each was.
	findings []*finding
	found    []int64
}

// Endless prepares for Settle: what is remembered beside connections is bounded by
// forgetting the oldest, not by leaving out the latest.
func (e *Engine) Endless() {
	e.settled.used = true
	e.settled.followed = map[uint64]bool{}
}

// follow notes that an attempt was asked about.
func (e *Engine) follow(c *flow.Connection) {
	for p := c.Previous; p != nil && e.settled.used; p = p.Previous {
		e.settled.followed[p.ID] = true
	}
}

// noteReopened notes for the past of each attempt that waits where it was opened again, before
// anything is answered.
func (e *Engine) noteReopened() {
	for i, c := range e.asked {
		if !e.askedTurns[i].done && !e.taken[c.ID] && len(e.strays[c.ID]) == 0 && e.crossed[c.ID] == nil {
			e.reopen(c)
		}
	}
}

// reopen notes for the past of an attempt where it was opened again.
func (e *Engine) reopen(c *flow.Connection) {
	for p := c.Previous; p != nil; p = p.Previous {
		if at, ok := e.reopened[p.ID]; !ok || c.First.Frame < at {
			e.reopened[p.ID] = c.First.Frame
		}
	}
}

// Settle answers what is sure at the time capture.Last, as a part of the results in the order of Answer;
// of the whole, each is given once, with ids that go on. Endless must have been called before. Called at the same times of a capture it
// gives the same. Capture.Connections is not looked at.
func (e *Engine) Settle(capture Capture) []Result {
	now := capture.Last
	ripe := e.schedule(e.asked, e.askedTurns, now)
	if !e.schedule(e.troubled, e.troubledTurns, now) && !ripe {
		return nil
	}
	out := e.answer(capture, now, false)
	for i := len(e.settled.found); i < len(e.settled.findings); i++ {
		e.settled.found = append(e.settled.found, now)
		// Of what was given, only what sameOnOtherSide compares is kept.
		f := e.settled.findings[i]
		e.settled.findings[i] = &finding{question: f.question, verdict: f.verdict, c: &flow.Connection{ID: f.c.ID}}
	}
	e.forget(now)
	return out
}

// Waiting tells how many connections are kept: those not answered yet, and those beside
// which others are judged.
func (e *Engine) Waiting() int { return len(e.asked) + len(e.troubled) }

// schedule gives new connections their turns and tells whether any turn has come.
func (e *Engine) schedule(all []*flow.Connection, turns []turn, now int64) (ripe bool) {
	for i := range turns {
		t := &turns[i]
		c := all[i]
		switch {
		case t.held && !e.settled.followed[c.ID] && e.settled.held <= maxHeld:
			continue
		case t.held:
			t.held, t.at = false, now+int64(waitFor(c))
			e.settled.held--
		case t.at == 0 && c.Superseded && !e.settled.followed[c.ID]:
			t.held, t.at = true, math.MaxInt64
			e.settled.held++
		case t.at == 0 || !t.done && t.at > now+2*int64(pairWithin): // new, or the clock was set back
			t.at = now + int64(waitFor(c))
			e.settled.newest = max(e.settled.newest, c.ID)
		}
		ripe = ripe || !t.done && t.at <= now
	}
	return ripe
}

// waitFor is how long a connection waits for another one that may belong to it.
func waitFor(c *flow.Connection) time.Duration {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	if o.Segments == 0 || l.Segments == 0 || !l.ISN.Seen() || l.ISNImplied || c.MidStream {
		return pairWithin
	}
	return settleAfter
}

// forget drops what was answered long ago.
func (e *Engine) forget(now int64) {
	drop := func(all []*flow.Connection, turns []turn) ([]*flow.Connection, []turn) {
		n := 0
		for i, t := range turns {
			if !t.done || t.at+int64(remember) > now {
				all[n], turns[n] = all[i], t
				n++
				continue
			}
			e.room.leave(all[i])
		}
		clear(all[n:])
		return all[:n], turns[:n]
	}
	e.asked, e.askedTurns = drop(e.asked, e.askedTurns)
	e.troubled, e.troubledTurns = drop(e.troubled, e.troubledTurns)
	s, n := &e.settled, 0
	for n < len(s.found) && s.found[n]+int64(remember) <= now {
		n++
	}
	s.findings, s.found = slices.Delete(s.findings, 0, n), slices.Delete(s.found, 0, n)
	e.forgetIDs()
}

// forgetIDs bounds what is known of the connections that were asked about: a question about one
// that lives longer than very many others may be asked again.
func (e *Engine) forgetIDs() {
	s := &e.settled
	size := func() int { return len(s.followed) + len(s.told) + len(e.openingTold) + len(e.stuck) + len(e.reopened) }
	if size() < max(s.sweep, 1<<16) || s.newest < rememberIDs {
		return
	}
	old := func(id uint64, _ bool) bool { return id < s.newest-rememberIDs }
	maps.DeleteFunc(s.told, old)
	maps.DeleteFunc(s.followed, old)
	maps.DeleteFunc(e.openingTold, old)
	maps.DeleteFunc(e.stuck, old)
	maps.DeleteFunc(e.reopened, func(id, _ uint64) bool { return id < s.newest-rememberIDs })
	s.sweep = 2 * size()
}
