package diagnose

import (
	"cmp"
	"math"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// Each takes results one by one, as AnswerEach finds them.
type Each struct {
	// Give takes a result without an ID. Sorted stably by Compare they are what Answer returns.
	Give func(*Result)
	// Sure is told now and then the time before which no result comes any more: of those given until
	// then, what is earlier can be put in its place. nil: nobody asks.
	Sure func(before int64)
	// Reuse: of a result, all but Connections and the texts of its ids is valid during Give only.
	Reuse bool
}

// AnswerEach is Answer for who cannot keep all results at once.
func (e *Engine) AnswerEach(capture Capture, to Each) {
	sure := to.Sure
	if sure == nil {
		sure = func(int64) {}
	}
	if !e.settled.used && capture.Connections <= FewConnections {
		for _, r := range e.answer(capture, math.MaxInt64, true) {
			r.Finding.ID = ""
			to.Give(&r)
		}
		sure(math.MaxInt64)
		return
	}
	e.prepare(capture)
	before := e.settled.findings
	var r Result
	a := answering{e: e, now: math.MaxInt64, findings: before, give: func(f *finding) {
		r = f.result(f.c)
		to.Give(&r)
	}}
	a.together()
	for _, f := range a.findings[len(before):] {
		a.give(f)
	}
	for _, t := range e.byTime() {
		sure(t.time - capture.SetBack)
		if t.life {
			a.life(t.index)
		} else {
			a.attempt(t.index)
		}
		if to.Reuse {
			e.mem.reset()
		}
	}
	sure(math.MaxInt64)
	e.settled.findings = nil
}

// together answers those whose answers depend on what was found about others: what two of them
// share is told where it is found first, in the order of Answer.
func (a *answering) together() {
	e := a.e
	if len(e.sides)+len(e.strays)+len(e.crossed) == 0 {
		return
	}
	for i, c := range e.asked {
		if e.joins(c) {
			a.attempt(i)
		}
	}
	for i, c := range e.troubled {
		if e.joins(c) {
			a.life(i)
		}
	}
}

// joins tells whether a connection, or one that its four-tuple had before, belongs together with another.
func (e *Engine) joins(c *flow.Connection) bool {
	for ; c != nil; c = c.Previous {
		if e.sides[c.ID] != nil || e.strays[c.ID] != nil || e.crossed[c.ID] != nil {
			return true
		}
	}
	return false
}

// place is the place of a connection in the order of time.
type place struct {
	time  int64 // of its first frame, before which no result about it lies
	id    uint64
	index int
	life  bool // of the troubled
}

// byTime orders the connections by their beginning; of one that is there twice the attempt comes first.
func (e *Engine) byTime() []place {
	out := make([]place, 0, len(e.asked)+len(e.troubled))
	for i, c := range e.asked {
		out = append(out, place{c.First.Time, c.ID, i, false})
	}
	for i, c := range e.troubled {
		out = append(out, place{c.First.Time, c.ID, i, true})
	}
	slices.SortStableFunc(out, func(a, b place) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.id, b.id)) })
	return out
}
