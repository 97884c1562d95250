package diagnose

import (
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// round is one SYN and what came back before the next one.
type round struct {
	syn   flow.Frame
	index int // of syn in the connection's Frames
	kind  kernel.ReplyKind
	reply *flow.Frame // nil: nothing, or not in the capture
	// implied: a SYN-ACK that is not in the capture, known by the opener's ACK of it.
	implied *flow.Frame
	// openerRST is a RST that the opener sent in this round.
	openerRST *flow.Frame
}

// frames lists the frames of a round that a finding asks about.
func (r *round) frames() []uint64 {
	out := []uint64{r.syn.Frame}
	if r.reply != nil {
		out = append(out, r.reply.Frame)
	}
	return out
}

// repeats: the SYN came again although it had been answered, and got the same
// SYN-ACK again: one acceptance.
func (r *round) repeats(before *round) bool {
	return r.syn.Seq == before.syn.Seq && before.kind == kernel.ReplySYNACK && r.kind == kernel.ReplySYNACK &&
		before.reply != nil && r.reply != nil && before.reply.Seq == r.reply.Seq
}

// isSYN: a SYN as listeners know it. FIN and others may ride along.
func isSYN(f *flow.Frame) bool {
	return f.Flags.Has(segment.SYN) && f.Flags&(segment.ACK|segment.RST) == 0
}

// roundsOf splits the frames of an attempt by its SYNs.
func roundsOf(c *flow.Connection) []round {
	var out []round
	for i := range c.Frames {
		f := &c.Frames[i]
		if f.From == flow.Opener && isSYN(f) {
			out = append(out, round{syn: *f, index: i})
			continue
		}
		if len(out) == 0 {
			continue
		}
		out[len(out)-1].take(f)
	}
	if n := len(out); n > 0 && c.Ends[flow.Listener].ISNImplied && out[n-1].kind == kernel.NoReply {
		r := &out[n-1]
		for i := r.index; i < len(c.Frames); i++ {
			if f := &c.Frames[i]; f.Frame == c.Ends[flow.Listener].ISN.Frame {
				r.kind, r.implied = kernel.ReplySYNACK, f
			}
		}
	}
	return out
}

// take looks whether a frame is the answer to the round's SYN.
func (r *round) take(f *flow.Frame) {
	if f.From == flow.Opener {
		if f.Flags.Has(segment.RST) && r.openerRST == nil {
			r.openerRST = f
		}
		return
	}
	synack := f.Flags.Has(segment.SYN | segment.ACK)
	if r.reply != nil && (r.kind != kernel.ReplyACK || !synack || f.Ack != r.syn.Seq.Add(1) || r.openerRST != nil) {
		return // only a SYN-ACK outdoes an ACK that a late segment may have been
	}
	switch {
	case synack && f.Ack == r.syn.Seq.Add(1), synack && r.syn.Len > 0 && f.Ack == r.syn.End():
		r.kind = kernel.ReplySYNACK
	case f.Flags.Has(segment.RST):
		if f.Flags.Has(segment.ACK) && f.Ack != r.syn.End() && f.Ack != r.syn.Seq.Add(1) {
			return // it answers something else
		}
		r.kind = kernel.ReplyRST
	case f.Flags.Has(segment.ACK) && f.Flags&(segment.SYN|segment.FIN) == 0 && f.Len == 0:
		r.kind = kernel.ReplyACK
	default:
		return
	}
	r.reply = f
}

// asked is one question: a SYN on a four-tuple with a past.
type asked struct {
	e *Engine
	// c is the attempt; p is the connection that its past is, as the capture had
	// shown it before the first SYN after it; whole is all of it.
	c, p, whole *flow.Connection
	rounds      []round
	past        []round // see earlier
	i           int
	es          flow.Side // the side in p of the end that the SYN reached
	ipv6        bool
	server      hostView
	client      hostView
	holds       []holding
	isn         isnReading
	nums        numbers // see numbers, once hasNums
	hasNums     bool
	sent        []flow.Frame // what between found last, behind sentAfter
	sentAfter   uint64
	hasSent     bool
	// What several stories ask for is worked out once: nil, or without words, where it was not asked yet.
	cookie          *cookieAnswer
	secret          *secretAnswer
	clock           *clockReading
	line, inherited report.Evidence
}

func (e *Engine) ask(c *flow.Connection, rounds []round, i int) *asked {
	p := c.Previous
	for leftNothing(p) && p.Previous != nil {
		p = p.Previous
	}
	srv, cli := &c.Ends[flow.Listener], &c.Ends[flow.Opener]
	q := e.mem.askeds.one()
	*q = asked{e: e, c: c, whole: p, rounds: rounds, i: i, es: sideOf(p, srv.Endpoint), ipv6: !srv.Addr.Is4()}
	q.p = e.mem.asOf(p, q.firstSYN())
	q.p.Relative = p.Relative || c.Relative
	p = q.p
	q.server = e.view("server", srv.Addr, &p.Ends[q.es], srv)
	q.client = e.view("client", cli.Addr, cli)
	q.holds = e.mem.holdingsOf(p, q.es, q.firstSYN(), "server")
	if q.r().kind == kernel.ReplySYNACK {
		q.isn = q.readISN()
	}
	return q
}

// leftNothing: an attempt without an answer, or one that was refused, left nothing
// of its own behind; what stood there before it may still stand.
func leftNothing(p *flow.Connection) bool {
	return p.State == flow.SynOnly || p.State == flow.Reset && !p.MidStream && !p.Ends[flow.Listener].ISN.Seen()
}

// firstSYN is the first frame after the old connection: what came from then on is
// what is to be explained.
func (q *asked) firstSYN() uint64 {
	x := q.c
	for x.Previous != nil && x.Previous != q.whole {
		x = x.Previous
	}
	return x.First.Frame
}

// numbers are the end's variables before the SYN, read off once.
func (q *asked) numbers() numbers {
	if !q.hasNums {
		q.nums, q.hasNums = numbersOf(q.p, q.es, q.firstSYN()), true
	}
	return q.nums
}

func (q *asked) r() *round { return &q.rounds[q.i] }

// old returns the old connection's ends: the one that is asked, and its peer.
func (q *asked) old() (e, p *flow.End) { return &q.p.Ends[q.es], &q.p.Ends[q.es.Other()] }

// now is when the SYN arrived.
func (q *asked) now() int64 { return q.r().syn.Time }

// elapsed is the time from a point to the SYN.
func (q *asked) elapsed(p flow.Point) time.Duration { return q.r().syn.Point().Since(p) }

// between lists the frames that the peer sent on the four-tuple after a point and
// before the SYN asked about, in order: those of the old connection, of attempts
// in between, and of this attempt. They are kept: a copy of q that asks about another SYN must not call it.
func (q *asked) between(after flow.Point) []flow.Frame {
	if !q.hasSent || q.sentAfter != after.Frame { // every kernel is asked about the same ones
		q.sent, q.sentAfter, q.hasSent = slices.Clip(q.betweenUntil(after, q.r().syn.Frame)), after.Frame, true
	}
	return q.sent
}

// betweenUntil is the same up to another frame.
func (q *asked) betweenUntil(after flow.Point, until uint64) []flow.Frame {
	var room [4]*flow.Connection
	chain := room[:0]
	for x := q.c; x != nil && x != q.whole; x = x.Previous {
		chain = append(chain, x)
	}
	chain = append(chain, q.whole)
	n := 0
	for _, x := range chain {
		n += len(x.Frames)
	}
	peer := q.p.Ends[q.es.Other()].Endpoint
	out := q.e.mem.frames.take(n)
	for i := len(chain) - 1; i >= 0; i-- {
		x := chain[i]
		for j := range x.Frames {
			if f := &x.Frames[j]; f.Frame > after.Frame && f.Frame < until && x.Ends[f.From].Endpoint == peer {
				out = append(out, *f)
			}
		}
	}
	return out
}

// omitted tells whether frames were left out between a point and the SYN.
func (q *asked) omitted() bool {
	for x := q.c; x != nil && x != q.whole.Previous; x = x.Previous {
		if x.FramesOmitted > 0 {
			return true
		}
	}
	return false
}
