package diagnose

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// AnswerEach is Answer for who cannot keep all results at once: it gives them one by one as they are
// found, without an ID. Sorted stably by Compare they are what Answer returns.
func (e *Engine) AnswerEach(capture Capture, give func(*Result)) {
	p := e.Parts(capture)
	w := &Worker{p: p, e: e}
	for i := range p.Len() {
		w.Answer(i, give)
	}
	e.settled.findings = nil
}

// Parts are the answers of an engine in parts, which may be worked out side by side: what is told of
// connections that belong together, and then, in the order of time, all that is told of each other one.
type Parts struct {
	e *Engine
	// found is the first part.
	found []*finding
	// places are in the other parts, partLen in each or a few more.
	places  []place
	cuts    []int // where the other parts end
	setBack int64
}

// partLen is how many places a part has: enough that workers seldom wait for each other, and few
// enough that what waits for its place among the others does not grow.
const partLen = 64

// Parts prepares to answer everything that was asked and not answered by Settle. It is called once, last.
func (e *Engine) Parts(capture Capture) *Parts {
	p := &Parts{e: e, setBack: capture.SetBack}
	if !e.settled.used && capture.Connections <= FewConnections {
		p.found = e.find(capture, math.MaxInt64, true)
		return p
	}
	e.prepare(capture)
	before := len(e.settled.findings)
	a := answering{e: e, now: math.MaxInt64, findings: e.settled.findings}
	a.together()
	p.found, p.places = a.findings[before:], e.byTime()
	for at := 0; at < len(p.places); {
		at = min(at+partLen, len(p.places))
		for at < len(p.places) && p.places[at].id == p.places[at-1].id {
			at++ // what is told of a connection depends on what else is
		}
		p.cuts = append(p.cuts, at)
	}
	return p
}

// Len is how many parts there are.
func (p *Parts) Len() int { return 1 + len(p.cuts) }

// Before is the time before which no result of a part, nor of a later one, lies; of Len,
// the end of time. Not of the first part: its results lie anywhere.
func (p *Parts) Before(part int) int64 {
	switch {
	case part == 0:
		return math.MinInt64
	case part == p.Len():
		return math.MaxInt64
	}
	return p.places[p.begin(part)].time - p.setBack
}

// begin is the first place of a part but the first.
func (p *Parts) begin(part int) int {
	if part == 1 {
		return 0
	}
	return p.cuts[part-2]
}

// Worker works parts out. Several may do so at the same time, each on parts of its own.
type Worker struct {
	p *Parts
	e *Engine
	// reuse: see Answer.
	reuse bool
	// forgets: nothing was told before, so that what is told of the connections of a part is
	// of no use for another part, and is forgotten.
	forgets bool
}

// Worker returns one more worker, which shares what the engine knows and remembers for itself what
// it works out. None may be at work yet.
func (p *Parts) Worker() *Worker {
	e := *p.e
	e.mem = &scratch{}
	e.suspects, e.answers, e.lists, e.listed, e.keepers = nil, nil, nil, nil, [2]*keepers{}
	e.shown, e.lookup, e.replays = nil, lookup{}, replays{}
	// What was told of connections that belong together stays told.
	e.openingTold, e.stuck, e.settled.told = maps.Clone(e.openingTold), maps.Clone(e.stuck), maps.Clone(e.settled.told)
	return &Worker{p, &e, true, len(e.openingTold)+len(e.stuck)+len(e.settled.told) == 0}
}

// Answer gives the results of a part, without IDs. Of a worker that Parts.Worker returned, all
// of a result but Connections and the texts of its ids is valid during give only.
func (w *Worker) Answer(part int, give func(*Result)) {
	var r Result
	found := func(f *finding) {
		r = f.result(f.c)
		give(&r)
	}
	if part == 0 {
		for _, f := range w.p.found {
			found(f)
		}
		return
	}
	first := slices.Clip(w.p.found) // another worker has them, too
	a := answering{e: w.e, now: math.MaxInt64, findings: first, give: found}
	for _, t := range w.p.places[w.p.begin(part):w.p.cuts[part-1]] {
		if t.life {
			a.life(t.index)
		} else {
			a.attempt(t.index)
		}
		for _, f := range a.findings[len(first):] {
			found(f)
		}
		a.findings = first
		if w.reuse {
			w.e.mem.reset()
		}
	}
	if w.forgets {
		clear(w.e.openingTold)
		clear(w.e.stuck)
		clear(w.e.settled.told)
	}
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
	time  int64 // of its first frame, or of what else a result asks about first
	id    uint64
	index int
	life  bool // of the troubled
}

// byTime orders the connections by the time before which no result about them lies; of one that is
// there twice the attempt comes first.
func (e *Engine) byTime() []place {
	out := make([]place, 0, len(e.asked)+len(e.troubled))
	for i, c := range e.asked {
		at := c.First.Time
		if p := rewroteSYN(c); p != nil { // told of where the SYN was seen first
			at = min(at, p.Ends[flow.Opener].ISN.Time)
		}
		out = append(out, place{at, c.ID, i, false})
	}
	for i, c := range e.troubled {
		out = append(out, place{c.First.Time, c.ID, i, true})
	}
	slices.SortStableFunc(out, func(a, b place) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.id, b.id)) })
	return out
}
