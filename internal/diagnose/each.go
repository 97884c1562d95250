package diagnose

import (
	"cmp"
	"math"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// AnswerEach is Answer for who cannot keep all results at once: it gives them one by one as
// they are found, without an ID. Sorted stably by Compare they are what Answer returns. Now and then
// it tells the time before which no result comes any more: those given until then that are
// earlier can be put in their places.
func (e *Engine) AnswerEach(capture Capture, give func(*Result), sure func(before int64)) {
	if !e.settled.used && capture.Connections <= FewConnections {
		for _, r := range e.answer(capture, math.MaxInt64, true) {
			r.Finding.ID = ""
			give(&r)
		}
		sure(math.MaxInt64)
		return
	}
	e.prepare(capture)
	before := e.settled.findings
	a := answering{e: e, now: math.MaxInt64, findings: before, give: func(f *finding) {
		r := f.result(f.c)
		give(&r)
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
