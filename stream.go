package tcpwhy

import (
	"cmp"
	"container/heap"
	"io"
	"math"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// stream does what findings does, but writes each finding as soon as its place among the others is sure.
func (s *sink) stream(to io.Writer, out *Report, r *capture.Reader, sel *selection, first int64, c diagnose.Capture) error {
	w, err := sel.window(first)
	if err != nil {
		return err
	}
	q := &queue{out: out, to: report.NewStream(to, out), wants: func(res *diagnose.Result) bool { return sel.wants(res, w, s.names.name) }}
	if len(out.Capture.Sources) > 1 {
		q.refs = func(f *report.Finding) { addRefs(r, out.Capture.Sources, f) }
	}
	q.answer(s.engine.Parts(c), s.o)
	if err := q.to.Err(); err != nil {
		return err
	}
	out.Summary, out.QuietConnections = q.sum.Groups(), q.sum.Quiet(out.Capture.Connections)
	q.to.Conclude(out)
	for _, c := range q.named.list {
		s.describer.Describe(c, &s.line)
		q.to.Connection(&s.line)
	}
	return q.to.End()
}

// answer works the parts out, with as many workers as there are, and writes them.
func (q *queue) answer(p *diagnose.Parts, o *Options) {
	var next atomic.Int64
	q.parts, q.done = p, make([]bool, p.Len())
	work := func(w *diagnose.Worker) {
		var t report.Packer
		for {
			part := int(next.Add(1)) - 1
			if part >= p.Len() || q.failed.Load() {
				break
			}
			q.answerPart(w, part, &t)
		}
	}
	own := p.Worker()
	if o.Workers < 2 {
		work(own)
		return
	}
	other := p.Worker()
	var done sync.WaitGroup
	done.Go(func() {
		defer o.works(true)()
		work(other)
	})
	work(own)
	done.Wait()
}

// answerPart works a part out, and writes what is sure with it.
func (q *queue) answerPart(w *diagnose.Worker, part int, t *report.Packer) {
	var found []*queued
	w.Answer(part, func(res *diagnose.Result) {
		x := &queued{shown: q.wants(res), found: uint64(part)<<32 | uint64(len(found))}
		if x.shown {
			if q.refs != nil {
				q.refs(&res.Finding)
			}
			x.text = t.Pack(&res.Finding)
		}
		x.Result = *res
		found = append(found, x)
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, x := range found {
		heap.Push(q, x)
	}
	q.done[part] = true
	for q.part < len(q.done) && q.done[q.part] {
		q.part++
	}
	q.write(q.parts.Before(q.part))
	q.to.Meet(t)
	q.failed.Store(q.to.Err() != nil)
}

// named lists connections once each, in the order in which they were first named.
type named struct {
	list []*flow.Connection
	seen []uint64 // a bit for each id
}

func (n *named) add(all []*flow.Connection) {
	for _, c := range all {
		word, bit := c.ID/64, uint64(1)<<(c.ID%64)
		for uint64(len(n.seen)) <= word {
			n.seen = append(n.seen, 0)
		}
		if n.seen[word]&bit == 0 {
			n.seen[word] |= bit
			n.list = append(n.list, c)
		}
	}
}

// queued is a finding while its place among the others is not sure.
type queued struct {
	diagnose.Result // its Finding is what Packer.Pack left of it
	text            report.Packed
	shown           bool
	found           uint64 // its place among those found, where all else is equal
}

// queue has findings whose place is not sure, the first on top.
type queue struct {
	wants  func(*diagnose.Result) bool
	refs   func(*report.Finding) // nil: there is one source
	parts  *diagnose.Parts
	failed atomic.Bool // nobody reads any more
	// mu guards what is below while workers are at work; part is the first one that is not done.
	mu      sync.Mutex
	out     *Report
	to      *report.Stream
	sum     report.Summary
	named   named
	given   uint64
	done    []bool
	part    int
	waiting []*queued
}

// write writes those that lie before a time: nothing earlier comes any more.
func (q *queue) write(before int64) {
	for len(q.waiting) > 0 && (q.waiting[0].Time < before || before == math.MaxInt64) {
		p := heap.Pop(q).(*queued)
		q.given++
		p.Finding.ID = "f" + strconv.FormatUint(q.given, 10)
		if !p.shown {
			q.sum.Hide(&p.Finding)
			q.out.HiddenFindings++
			continue
		}
		q.sum.Add(&p.Finding)
		q.to.Write(p.Finding.ID, p.text)
		q.named.add(p.Connections)
	}
}

// Len, Less, Swap, Push and Pop are container/heap's.
func (q *queue) Len() int { return len(q.waiting) }

func (q *queue) Less(i, j int) bool {
	a, b := q.waiting[i], q.waiting[j]
	return cmp.Or(a.Compare(&b.Result), cmp.Compare(a.found, b.found)) < 0
}

func (q *queue) Swap(i, j int) { q.waiting[i], q.waiting[j] = q.waiting[j], q.waiting[i] }

func (q *queue) Push(x any) { q.waiting = append(q.waiting, x.(*queued)) }

func (q *queue) Pop() any {
	n := len(q.waiting) - 1
	x := q.waiting[n]
	q.waiting[n] = nil
	q.waiting = q.waiting[:n]
	return x
}

// clock notes how far behind a time that it had shown the capture's clock ever was.
type clock struct{ latest, setBack int64 }

func (c *clock) see(batch []segment.Segment) {
	for i := range batch {
		if t := batch[i].Time; t >= c.latest {
			c.latest = t
		} else {
			c.setBack = max(c.setBack, c.latest-t)
		}
	}
}
