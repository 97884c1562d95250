package flow

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// With a bound a table takes no more memory than that, says what it forgot, and is still right about
// what is recent.
func TestMaxBytes(t *testing.T) {
	for name, segs := range map[string][]segment.Segment{
		"closed": shortConnections(t, 50_000, 300), "open": openConnections(t, 60_000), "floods": floods(100_000), "again": again(50_000),
	} {
		var bounded, free lastAsked
		cfg := Config{AskedOnly: true, MaxBytes: leastBytes}
		table := NewTable(cfg, &bounded)
		table.Add(segs)
		if got := table.mem.taken; got > leastBytes {
			t.Errorf("%s: %d bytes are taken, %d were allowed", name, got, leastBytes)
		}
		if got := len(table.index.slots) * 8; got > leastBytes/shareIndex {
			t.Errorf("%s: the index takes %d bytes", name, got)
		}
		f := table.Forgotten()
		if f.Connections == 0 || f.Since == 0 || f.Since > segs[len(segs)-1].Frame {
			t.Errorf("%s: forgotten: %+v", name, f)
		}
		if o := table.Overflow(); o.Segments > 0 {
			t.Errorf("%s: %+v", name, o)
		}
		// A four-tuple that is opened again at once is still known.
		last := story(segs)
		table.Add(last)
		table.Close()
		if bounded.c.Previous == nil || bounded.c.First.Frame < last[0].Frame {
			t.Errorf("%s: nothing is asked about what was opened again at once", name)
		}
		whole := NewTable(Config{AskedOnly: true}, &free)
		whole.Add(segs)
		if f := whole.Forgotten(); f != (Forgotten{}) {
			t.Errorf("%s: without a bound %+v is forgotten", name, f)
		}
		whole.Close()
	}
}

// lastAsked is a Sink that keeps what it was asked last.
type lastAsked struct{ c Connection }

func (*lastAsked) Ended(*Connection)    {}
func (*lastAsked) Troubled(*Connection) {}
func (k *lastAsked) Asked(c *Connection) {
	if c.Previous != nil {
		k.c = *c
	}
}

// story is a connection that ends and is opened again, behind segs.
func story(segs []segment.Segment) []segment.Segment {
	out := moved(mustSegments(wholeStory+"\n1.0 < S 900000:900000(0) win 64240\n1.1 > S. 1200000:1200000(0) ack 900001 win 65160\n1.2 < . 900001:900001(0) ack 1200001 win 502"), 9999, 0)
	for i := range out {
		out[i].Frame += segs[len(segs)-1].Frame
		out[i].SourceFrame = out[i].Frame
		out[i].Time += segs[len(segs)-1].Time
	}
	return out
}

func mustSegments(text string) []segment.Segment {
	out, err := parseStory(text)
	if err != nil {
		panic(err)
	}
	return out
}

// floods are SYNs that nobody answers, each of another four-tuple.
func floods(n int) []segment.Segment {
	syn := mustSegments("0.000 < S 100:100(0) win 64240 <mss 1460,TS val 900 ecr 0>")[0]
	out := make([]segment.Segment, n)
	for i := range out {
		out[i] = syn
		out[i].Src.Addr = segment.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		out[i].Frame = uint64(i + 1)
		out[i].SourceFrame, out[i].Time = out[i].Frame, int64(i)*1000
	}
	return out
}

// again is one four-tuple that is opened and reset all the time, among others that are only opened.
func again(n int) []segment.Segment {
	three := mustSegments("0.000 < S 100:100(0) win 64240\n0.1 > S. 200:200(0) ack 101 win 65160\n0.2 > R. 201:201(0) ack 101 win 0")
	var out []segment.Segment
	for i, s := range floods(n) {
		out = append(out, s)
		for _, x := range three {
			if x.Seq = x.Seq.Add(uint32(i) * 100_000); x.Flags&segment.ACK != 0 {
				x.Ack = x.Ack.Add(uint32(i) * 100_000)
			}
			out = append(out, x)
		}
	}
	for i := range out {
		out[i].Frame = uint64(i + 1)
		out[i].SourceFrame, out[i].Time = out[i].Frame, int64(i)*1000
	}
	return out
}
