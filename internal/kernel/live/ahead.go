package live

import (
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Ahead is what has arrived beyond a hole (out_of_order_queue). The zero value is
// nothing; AheadUnknown: it is not known what.
type Ahead struct {
	Ahead        [4]Block
	AheadN       uint8
	AheadUnknown bool
}

// Block is a stretch that lies together. FIN: its last number is the peer's FIN.
type Block struct {
	Left, Right seq.Num
	FIN         bool
}

// touches tells whether two stretches overlap or meet.
func (b *Block) touches(o *Block) bool { return !b.Left.After(o.Right) && !o.Left.After(b.Right) }

// add puts a block to the others. Where one with a FIN meets another it is not
// known what becomes of them, nor with more than four.
func (a *Ahead) add(n Block) {
	for i := 0; i < int(a.AheadN); i++ {
		b := a.Ahead[i]
		if !b.touches(&n) {
			continue
		}
		if b == n {
			return
		}
		if b.FIN || n.FIN {
			a.lose()
			return
		}
		if b.Left.Before(n.Left) {
			n.Left = b.Left
		}
		if b.Right.After(n.Right) {
			n.Right = b.Right
		}
		a.drop(i)
		i = -1 // the larger one may touch others
	}
	if int(a.AheadN) == len(a.Ahead) {
		a.lose()
		return
	}
	a.Ahead[a.AheadN] = n
	a.AheadN++
}

func (a *Ahead) drop(i int) {
	a.AheadN--
	a.Ahead[i] = a.Ahead[a.AheadN]
	a.Ahead[a.AheadN] = Block{}
}

// lose: from here on it is not known what lies beyond a hole.
func (a *Ahead) lose() { *a = Ahead{AheadUnknown: true} }

// reach drops what lies before a new rcv_nxt and returns how far the stretch from
// there goes; fin: it ends with the peer's FIN, after which nothing counts.
func (a *Ahead) reach(rcvNxt seq.Num) (end seq.Num, fin bool) {
	for i := 0; i < int(a.AheadN); i++ {
		b := a.Ahead[i]
		if b.Left.After(rcvNxt) {
			continue
		}
		a.drop(i)
		i = -1
		if !b.Right.After(rcvNxt) {
			continue
		}
		rcvNxt = b.Right
		if b.FIN {
			*a = Ahead{}
			return rcvNxt, true
		}
	}
	return rcvNxt, false
}

// edge is the right edge of the rightmost block.
func (a *Ahead) edge() (edge seq.Num, ok bool) {
	for _, b := range a.Ahead[:a.AheadN] {
		if !ok || b.Right.After(edge) {
			edge, ok = b.Right, true
		}
	}
	return edge, ok
}

var sackEdge = clause{Says: "its seq is the right edge of what lies beyond a hole", Ask: func(c *Case) kernel.Reading {
	if c.AheadUnknown {
		return kernel.Missing(kernel.FactAhead, "what lies beyond a hole is not known")
	}
	edge, ok := c.edge()
	if !ok {
		return kernel.YesIf(false, "nothing lies beyond a hole")
	}
	if c.Segment.Seq != edge {
		return kernel.Compare(false, "seq %s, the right edge is %s", c.Segment.Seq, edge)
	}
	return kernel.Setting(c.SACK, "it is the right edge of a SACK", "SACK was not negotiated", kernel.FactSACK)
}}

// follows is what rcv_nxt becomes by a segment that touches it, and whether the
// peer's FIN is then in order.
func (c *Case) follows() (after Socket, fin bool) {
	after = c.Socket
	after.RcvNxt.Num = c.Segment.End()
	if c.Segment.Flags.Has(segment.FIN) {
		after.Ahead = Ahead{}
		return after, true
	}
	after.RcvNxt.Num, fin = after.reach(after.RcvNxt.Num)
	return after, fin
}

// finArrives tells whether with this segment the peer's FIN is in order.
func (c *Case) finArrives() kernel.Reading {
	switch {
	case !c.RcvNxt.Known:
		return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
	case c.Segment.Seq.After(c.RcvNxt.Num):
		return kernel.Compare(false, "seq %s lies ahead of rcv_nxt %s", c.Segment.Seq, c.RcvNxt.Num)
	case c.Segment.Flags.Has(segment.FIN):
		return kernel.YesIf(true, "it carries the FIN, and lies not ahead of rcv_nxt %s", c.RcvNxt.Num)
	case c.AheadUnknown:
		return kernel.Missing(kernel.FactAhead, "what lies beyond a hole is not known")
	}
	if _, fin := c.follows(); fin {
		return kernel.YesIf(true, "it fills the hole before the FIN")
	}
	return kernel.YesIf(false, "no FIN is in order")
}
