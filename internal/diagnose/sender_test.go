package diagnose

import (
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// resetOf is a server's RST in a small connection: frames 1 to 3 are the handshake, frame 4 an
// ACK of the server that is not kept, frame 5 the RST.
func resetOf(e *Engine) *resetCase {
	addr := func(b byte) segment.Addr { return segment.AddrFrom4([4]byte{10, 0, 0, b}) }
	c := &flow.Connection{ID: 1, State: flow.Reset, First: flow.Point{Frame: 1, Time: 1e9}, EndedAt: flow.Point{Frame: 5, Time: 5e9}}
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	o.Endpoint, l.Endpoint = segment.Endpoint{Addr: addr(1), Port: 51820}, segment.Endpoint{Addr: addr(2), Port: 80}
	at := func(n uint64) flow.Point { return flow.Point{Frame: n, Time: int64(n) * 1e9} }
	o.ISN, l.ISN = flow.Mark{Num: seq.Of(100), Point: at(1)}, flow.Mark{Num: seq.Of(200), Point: at(2)}
	o.RcvNxt, l.RcvNxt = flow.Mark{Num: seq.Of(201), Point: at(3)}, flow.Mark{Num: seq.Of(101), Point: at(2)}
	o.SndNxt, l.SndNxt = flow.Mark{Num: seq.Of(101), Point: at(1)}, flow.Mark{Num: seq.Of(201), Point: at(2)}
	l.FirstWindow, l.TTL, l.Segments, o.Segments = 65160, 52, 3, 2
	l.IPID, l.BeforeEnd = 700, at(4)
	c.Frames = []flow.Frame{{Ref: segment.Ref{Frame: 5, Time: 5e9}, From: flow.Listener, Seq: seq.Of(201), Ack: seq.Of(101), Flags: segment.RST | segment.ACK, Window: 509, TTL: 52, IPID: 701}}
	syn := &segment.Segment{Flags: segment.SYN | segment.ACK, TTL: 52}
	syn.Frame = 2
	e.Seen(syn, segment.Wire{Known: true, SrcMAC: segment.MAC{2, 0, 0, 0, 0, 9}, DF: true, TCPCheck: segment.CheckGood})
	return e.newLife(c).resetCase()
}

func TestTraitsOfRST(t *testing.T) {
	own := segment.Wire{Known: true, SrcMAC: segment.MAC{2, 0, 0, 0, 0, 9}, DF: true, TCPCheck: segment.CheckGood}
	for _, c := range []struct {
		name   string
		change func(r *flow.Frame, w *segment.Wire, q *resetCase)
		says   string // "" for none of that kind
		weight int
	}{
		{"own", func(*flow.Frame, *segment.Wire, *resetCase) {}, "beside it, 700, are of one count", -12},
		{"another neighbour", func(_ *flow.Frame, w *segment.Wire, _ *resetCase) { w.SrcMAC[5] = 1 }, "on the link", alienTrait},
		{"no DF", func(_ *flow.Frame, w *segment.Wire, _ *resetCase) { w.DF = false }, "lacks the DF bit", 7},
		{"bad checksum", func(_ *flow.Frame, w *segment.Wire, _ *resetCase) { w.TCPCheck = segment.CheckBad }, "checksum is wrong", 8},
		{"offloaded", func(_ *flow.Frame, w *segment.Wire, _ *resetCase) { w.TCPCheck = segment.CheckPartial }, "left to the network card", -20},
		{"zero id", func(r *flow.Frame, _ *segment.Wire, _ *resetCase) { r.IPID = 0 }, "beside it 700: a Linux socket", 8},
		{"far id", func(r *flow.Frame, _ *segment.Wire, _ *resetCase) { r.IPID = 765 }, "beside it 700: a Linux socket", 8},
		{"farthest id", func(r *flow.Frame, _ *segment.Wire, _ *resetCase) { r.IPID = 764 }, "beside it, 700, are of one count", -12},
		{"copied id", func(r *flow.Frame, _ *segment.Wire, _ *resetCase) { r.IPID = 700 }, "repeats the IP identification", 4},
		{"id before", func(r *flow.Frame, _ *segment.Wire, _ *resetCase) { r.IPID = 699 }, "a Linux socket counts by one", 8},
		{"far id of an unknown stack", func(r *flow.Frame, _ *segment.Wire, q *resetCase) { r.IPID, q.end(q.x).FirstWindow = 9, 8192 }, "beside it 700", 3},
		{"zero id of a host without a socket", func(r *flow.Frame, _ *segment.Wire, q *resetCase) { r.IPID, q.bare = 0, true }, "", 0},
		{"window of a host without a socket", func(_ *flow.Frame, _ *segment.Wire, q *resetCase) { q.bare = true }, "sets none", 8},
		{"no window", func(r *flow.Frame, _ *segment.Wire, _ *resetCase) { r.Window = 0 }, "its window is 0", 5},
		{"another TTL", func(r *flow.Frame, _ *segment.Wire, _ *resetCase) { r.TTL = 61 }, "its TTL is 61", alienTrait},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := New(&Facts{}, nil)
			q := resetOf(e)
			w := own
			c.change(q.r, &w, q)
			rst := &segment.Segment{Flags: segment.RST}
			rst.Frame = q.r.Frame
			e.Seen(rst, w)
			for _, x := range q.traits() {
				if c.says == "" && strings.Contains(x.says(), "identification") {
					t.Errorf("%s (%d dB): nothing follows", x.says(), x.weight)
				}
				if c.says != "" && strings.Contains(x.says(), c.says) {
					if x.weight != c.weight {
						t.Errorf("%s: %d dB, want %d", x.says(), x.weight, c.weight)
					}
					return
				}
			}
			if c.says != "" {
				t.Errorf("no trait says %q: %+v", c.says, q.traits())
			}
		})
	}
}

// TestCompleteChecksum: where the server's own segments leave the sum to the card, a RST of its
// socket does too; one of a host without a socket does not (ip_send_unicast_reply).
func TestCompleteChecksum(t *testing.T) {
	for _, bare := range []bool{false, true} {
		e := New(&Facts{}, nil)
		q := resetOf(e)
		q.bare = bare
		e.notes.wires = wireList{} // frame 2 shows something else here
		for _, f := range []uint64{2, 5} {
			s := &segment.Segment{}
			s.Frame = f
			w := segment.Wire{Known: true, DF: true, TCPCheck: segment.CheckPartial}
			if f == 5 {
				w.TCPCheck = segment.CheckGood
			}
			e.Seen(s, w)
		}
		found := false
		for _, x := range q.traits() {
			found = found || strings.Contains(x.says(), "checksum is complete")
		}
		if found == bare {
			t.Errorf("without ACK %t: a sign of another sender %t", bare, found)
		}
	}
}

// TestCapturedOn: a checksum left to the card tells on whose machine the capture was taken; where
// both ends leave theirs it tells nothing.
func TestCapturedOn(t *testing.T) {
	for _, c := range []struct {
		opener, listener segment.Check
		client, server   bool
	}{
		{segment.CheckPartial, segment.CheckGood, true, false},
		{segment.CheckGood, segment.CheckPartial, false, true},
		{segment.CheckPartial, segment.CheckPartial, false, false},
		{segment.CheckGood, segment.CheckGood, false, false},
	} {
		e := New(&Facts{}, nil)
		r := resetOf(e)
		e.notes.wires = wireList{}
		for i, sum := range []segment.Check{c.opener, c.listener} {
			s := &segment.Segment{}
			s.Frame = uint64(i) + 1
			e.Seen(s, segment.Wire{Known: true, TCPCheck: sum})
		}
		q := &asked{e: e, c: r.c, p: r.c}
		a, ok := q.capturedOn()
		if ok != (c.client || c.server) || c.client && a != r.end(flow.Opener).Addr || c.server && a != r.end(flow.Listener).Addr {
			t.Errorf("client %v, server %v: captured on %v, %t", c.opener, c.listener, a, ok)
		}
	}
}
