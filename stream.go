package tcpwhy

import (
	"cmp"
	"container/heap"
	"io"
	"math"
	"strconv"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// stream does what findings does, but writes each finding as soon as its place among the others is sure.
func (s *sink) stream(to io.Writer, out *Report, r *capture.Reader, sel *selection, first int64, c diagnose.Capture) error {
	w, err := sel.window(first)
	if err != nil {
		return err
	}
	q := &queue{s: s, out: out, to: report.NewStream(to, out), named: map[uint64]bool{}}
	s.engine.AnswerEach(c, diagnose.Each{Reuse: true, Sure: q.write, Give: func(res *diagnose.Result) {
		p := &queued{shown: sel.wants(res, w, s.names.name), found: q.found}
		q.found++
		if p.shown {
			if len(out.Capture.Sources) > 1 {
				addRefs(r, out.Capture.Sources, &res.Finding)
			}
			p.text = q.to.Pack(&res.Finding)
		}
		p.Result = *res
		heap.Push(q, p)
	}})
	out.Summary, out.QuietConnections = q.sum.Groups(), q.sum.Quiet(out.Capture.Connections)
	return q.to.End(out)
}

// queued is a finding while its place among the others is not sure.
type queued struct {
	diagnose.Result // its Finding is what Stream.Pack left of it
	text            report.Packed
	shown           bool
	found           int // its place among those found
}

// queue has findings whose place is not sure, the first on top.
type queue struct {
	s       *sink
	out     *Report
	to      *report.Stream
	sum     report.Summary
	named   map[uint64]bool
	found   int
	given   uint64
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
		q.s.name(q.out, p.Connections, q.named)
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
