package flow

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func peerAddr(i int) segment.Addr {
	return segment.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)})
}

// syn is a first SYN of the client's host towards a peer.
func synTo(peer int, port uint16, frame uint64) segment.Segment {
	return segment.Segment{
		Ref: segment.Ref{Frame: frame, Time: int64(frame) * 1e6}, Src: segment.Endpoint{Addr: client.Addr, Port: port},
		Dst: segment.Endpoint{Addr: peerAddr(peer), Port: 80}, Flags: segment.SYN, Window: 64240,
		Options: segment.OptTimestamps | segment.OptMSS, MSS: 1460, TSVal: seq.Of(uint32(frame)), Seq: seq.Of(uint32(frame) * 1000),
	}
}

func TestHostShowsFirstWindows(t *testing.T) {
	s := mustStory(t, wholeStory)
	again := moved(s, 6000, 0)
	again[0].Window = 29200
	again[1].Options, again[1].MSS = segment.OptMSS, 1400
	table := run(merge(s, again, s), &nothing{}, 9)
	h, ok := table.Host(client.Addr)
	if !ok || len(h.Windows) != 2 {
		t.Fatalf("%v %+v", ok, h)
	}
	if w := (FirstWindow{Window: 64240, MSS: 1460, TS: true, SYN: true, Frame: 1}); h.Windows[0] != w {
		t.Errorf("%+v, want %+v", h.Windows[0], w)
	}
	if w := h.Windows[1]; w.Window != 29200 || !w.SYN {
		t.Errorf("%+v", w)
	}
	h, ok = table.Host(server.Addr)
	if !ok || len(h.Windows) != 2 || h.Windows[0].SYN || !h.Windows[0].TS || h.Windows[1].TS {
		t.Errorf("%v %+v", ok, h)
	}
	if len(h.TSVals) != 1 || len(h.ISNs) != 2 || h.ISNs[0].SYN || h.ISNs[0].Peer != client || h.ISNs[0].ISN != seq.Of(200) {
		t.Errorf("%+v", h)
	}
	if _, ok := table.Host(peerAddr(1)); ok {
		t.Error("an address that was never seen is known")
	}
}

// Of many samples those of different peers are kept: ten connections to one peer
// leave room for seven others.
func TestHostPrefersDifferentPeers(t *testing.T) {
	var segs []segment.Segment
	add := func(peer int, port uint16) {
		segs = append(segs, synTo(peer, port, uint64(len(segs)+1)))
	}
	for i := range 10 {
		add(1, uint16(1000+i))
	}
	for i := range 12 {
		add(2+i, 2000)
		add(2+i, 2000) // repeated: no new sample
	}
	table := run(segs, &nothing{}, 4)
	h, _ := table.Host(client.Addr)
	if len(h.TSVals) != maxSamples || len(h.ISNs) != maxSamples {
		t.Fatalf("%d and %d samples", len(h.TSVals), len(h.ISNs))
	}
	seen := map[segment.Addr]bool{}
	for _, x := range h.TSVals {
		if seen[x.Peer.Addr] {
			t.Errorf("two samples of %v", x.Peer)
		}
		seen[x.Peer.Addr] = true
	}
	if h.TSVals[0].Frame != 1 || h.ISNs[0].ISN != seq.Of(1000) {
		t.Errorf("the first sample is %+v", h.TSVals[0])
	}
}

// More addresses than fit are counted, and those that fit stay.
func TestHostsBounded(t *testing.T) {
	table := NewTable(Config{}, &nothing{})
	for i := range maxHosts + 100 {
		s := synTo(1, 1000, uint64(i+1))
		s.Src.Addr = segment.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		table.Add([]segment.Segment{s})
	}
	table.Close()
	if n := table.Overflow().Hosts; n != 100 {
		t.Errorf("%d were refused, want 100", n)
	}
	if _, ok := table.Host(segment.AddrFrom4([4]byte{10, 0, 0, 0})); !ok {
		t.Error("the first one is gone")
	}
}

func TestClosings(t *testing.T) {
	whole := mustStory(t, wholeStory)
	var flows [][]segment.Segment
	for i := range 6 {
		flows = append(flows, moved(whole, uint16(2000+i), 1e9))
		for k := range flows[i] {
			s := &flows[i][k]
			s.Time += int64(i) * 1e9
			if s.Src.Addr == client.Addr {
				s.TSVal = s.TSVal.Add(uint32(i) * 1000)
			} else {
				s.TSEcr = s.TSEcr.Add(uint32(i) * 1000)
			}
		}
	}
	table := run(merge(flows...), &nothing{}, 4)
	// The server closed first: it holds TIME_WAIT and remembers the client's TSval.
	v := table.Closings(server.Addr, client.Addr)
	if len(v) != maxClosings {
		t.Fatalf("%+v", v)
	}
	for i, w := range v {
		if want := (TimeWait{TSVal: seq.Of(940 + uint32(i+2)*1000), At: Point{uint64(7 * (i + 3)), int64(i+3)*1e9 + 50e6}, Conn: uint64(i + 3)}); w != want {
			t.Errorf("%d: %+v, want %+v", i, w, want)
		}
	}
	if v := table.Closings(client.Addr, server.Addr); v != nil {
		t.Errorf("the client holds none, got %+v", v)
	}
}

func TestClosingsOfBothAndWithoutTimestamps(t *testing.T) {
	both := mustStory(t, `
0.000 < S 100:100(0) win 64240 <TS val 900 ecr 0>
0.010 > S. 200:200(0) ack 101 win 65160 <TS val 5000 ecr 900>
0.011 < . 101:101(0) ack 201 win 502 <TS val 911 ecr 5000>
0.020 < F. 101:101(0) ack 201 win 502 <TS val 920 ecr 5000>
0.020 > F. 201:201(0) ack 101 win 509 <TS val 5010 ecr 911>
0.030 < . 102:102(0) ack 202 win 502 <TS val 930 ecr 5010>
0.030 > . 202:202(0) ack 102 win 509 <TS val 5020 ecr 920>
`)
	table := run(both, &nothing{}, 4)
	if v := table.Closings(server.Addr, client.Addr); len(v) != 1 || v[0].TSVal != seq.Of(920) {
		t.Errorf("server: %+v", v)
	}
	if v := table.Closings(client.Addr, server.Addr); len(v) != 1 || v[0].TSVal != seq.Of(5010) {
		t.Errorf("client: %+v", v)
	}
	for i := range both {
		both[i].Options = 0
	}
	table = run(both, &nothing{}, 4)
	if v := table.Closings(server.Addr, client.Addr); v != nil {
		t.Errorf("without timestamps: %+v", v)
	}
}

// The log is a ring: what it no longer holds is not found, nor taken for another.
func TestClosingsWrap(t *testing.T) {
	var m arena
	defer m.drop()
	c := closings{seed: 1, mem: &m}
	a := func(i int) segment.Addr { return segment.Addr{Lo: uint64(i)} }
	const n = 1<<closingBits + 1000
	for i := range n {
		c.push(&closing{pair: c.hash(a(i), a(0)), conn: uint64(i), time: int64(i)})
	}
	for _, i := range []int{0, 500, 999} {
		if v := c.get(a(i), a(0)); v != nil {
			t.Errorf("%d: %+v", i, v)
		}
	}
	for _, i := range []int{1000, 1001, 100_000, n - 1} {
		if v := c.get(a(i), a(0)); len(v) != 1 || v[0].Conn != uint64(i) {
			t.Errorf("%d: %+v", i, v)
		}
	}
}
