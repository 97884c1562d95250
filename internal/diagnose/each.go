package diagnose

import (
	"cmp"
	"math"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// Each takes results as AnswerEach finds them. Sorted stably by Compare they are what Answer returns.
type Each struct {
	// Give takes a result without an ID.
	Give func(*Result)
	// Sure is told now and then the time before which no result comes any more: of those given until
	// then, what is earlier can be put in its place. nil: nobody asks.
	Sure func(before int64)
	// Reuse: of a result, all but Connections and the texts of its ids is valid during Give only.
	Reuse bool
	// Batch, if not nil, takes what Give and Sure would, many results at a time: for who works on them
	// beside the engine. They, too, are valid only until they were given back, which
	// may be done by another goroutine.
	Batch func(*Batch)
}

// Batch is some results, and then what Sure would be told.
type Batch struct {
	Results []Result
	Before  int64
	mem     *scratch
	free    chan<- *Batch
}

// Done gives the batch back.
func (b *Batch) Done() {
	b.mem.reset()
	clear(b.Results)
	b.Results = b.Results[:0]
	b.free <- b
}

const (
	// batches is how many there are: so far the engine may be ahead.
	batches = 4
	// batchResults is how many results fill one.
	batchResults = 32
)

// AnswerEach is Answer for who cannot keep all results at once.
func (e *Engine) AnswerEach(capture Capture, to Each) {
	if to.Batch != nil {
		e.answerBatches(capture, to.Batch)
		return
	}
	var r Result
	e.answerEach(capture, func(f *finding) {
		r = f.result(f.c)
		to.Give(&r)
	}, func(before int64) {
		if to.Reuse {
			e.mem.reset()
		}
		if to.Sure != nil {
			to.Sure(before)
		}
	})
}

// answerBatches gives results in batches, each of which has memory of its own.
func (e *Engine) answerBatches(capture Capture, give func(*Batch)) {
	free := make(chan *Batch, batches)
	for range batches {
		free <- &Batch{mem: &scratch{}, free: free}
	}
	b := <-free
	own := e.mem
	e.mem = b.mem
	e.answerEach(capture, func(f *finding) {
		b.Results = append(b.Results, f.result(f.c))
	}, func(before int64) {
		if len(b.Results) >= batchResults || before == math.MaxInt64 {
			b.Before = before
			give(b)
			b = <-free
			e.mem = b.mem
		}
	})
	e.mem = own
}

// answerEach gives findings as they are found. Between two sets of findings it tells what Each.Sure is told;
// none of those before is looked at any more then.
func (e *Engine) answerEach(capture Capture, give func(*finding), sure func(before int64)) {
	if !e.settled.used && capture.Connections <= FewConnections {
		for _, f := range e.find(capture, math.MaxInt64, true) {
			give(f)
		}
		sure(math.MaxInt64)
		return
	}
	e.prepare(capture)
	before := e.settled.findings
	a := answering{e: e, now: math.MaxInt64, findings: before, give: give}
	a.together()
	for _, f := range a.findings[len(before):] {
		give(f)
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
