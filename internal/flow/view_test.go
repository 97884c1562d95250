package flow

import (
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func TestRTO(t *testing.T) {
	for _, c := range []struct {
		srtt, rttvar, want time.Duration
		ok                 bool
	}{
		{0, 0, 0, false},
		{10 * time.Millisecond, 5 * time.Millisecond, 210 * time.Millisecond, true},
		{10 * time.Millisecond, 100 * time.Millisecond, 410 * time.Millisecond, true},
		{100 * time.Second, 100 * time.Second, 120 * time.Second, true},
	} {
		e := End{SRTT: c.srtt, RTTVar: c.rttvar}
		if got, ok := e.RTO(); got != c.want || ok != c.ok {
			t.Errorf("%v %v: %v %v, want %v", c.srtt, c.rttvar, got, ok, c.want)
		}
	}
}

// The estimate follows RFC 6298: the first sample, then 1/8 and 1/4 of the next.
func TestRTTEstimate(t *testing.T) {
	var d deep
	for _, x := range []struct {
		sample       time.Duration
		srtt, rttvar uint32
	}{
		{-5 * time.Millisecond, 0, 0},
		{8000 * time.Microsecond, 8000, 4000},
		{16000 * time.Microsecond, 9000, 5000},
		{1000 * time.Microsecond, 8000, 5750},
		{0, 7000, 6312},
	} {
		if d.sampleRTT(Listener, x.sample); d.srtt[1] != x.srtt || d.rttvar[1] != x.rttvar {
			t.Errorf("after %v: %d %d, want %d %d", x.sample, d.srtt[1], d.rttvar[1], x.srtt, x.rttvar)
		}
	}
}

func TestScaledWindow(t *testing.T) {
	for _, c := range []struct {
		name, story string
		want        uint32
		ok          bool
	}{
		{"both offered", `
0.000 < S 100:100(0) win 64240 <mss 1460,nop,wscale 7>
0.010 > S. 200:200(0) ack 101 win 65160 <mss 1460,nop,wscale 3>
0.020 > . 201:201(0) ack 101 win 100`, 800, true},
		{"one offered", `
0.000 < S 100:100(0) win 64240 <mss 1460>
0.010 > S. 200:200(0) ack 101 win 65160 <mss 1460,nop,wscale 3>
0.020 > . 201:201(0) ack 101 win 100`, 100, true},
		{"absurd scale", `
0.000 < S 100:100(0) win 64240 <mss 1460,nop,wscale 7>
0.010 > S. 200:200(0) ack 101 win 65160 <mss 1460,nop,wscale 200>
0.020 > . 201:201(0) ack 101 win 1`, 1 << 14, true},
		{"no window yet", `
0.000 < S 100:100(0) win 64240
0.010 > S. 200:200(0) ack 101 win 65160`, 0, false},
		{"no handshake", `0.020 > . 201:201(0) ack 101 win 100`, 0, false},
	} {
		var k collector
		run(mustStory(t, c.story), &k, 4)
		if got, ok := k.ended[0].ScaledWindow(Listener); got != c.want || ok != c.ok {
			t.Errorf("%s: %d %v, want %d %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// A flow of IPv6 and one of IPv4 with the same last bytes are different flows,
// and so are the ports of one pair of addresses.
func TestFourTuplesDiffer(t *testing.T) {
	a := segment.Addr{Hi: 0x20010db800000000, Lo: 0xffff<<32 | 1}
	b := segment.Addr{Hi: 0x20010db800000001, Lo: 0xffff<<32 | 1}
	v4 := segment.Addr{Lo: 0xffff<<32 | 1}
	ends := []segment.Endpoint{{Addr: a, Port: 1}, {Addr: a, Port: 2}, {Addr: b, Port: 1}, {Addr: b, Port: 2}, {Addr: v4, Port: 1}, {Addr: v4, Port: 2}}
	var segs []segment.Segment
	for i, x := range ends {
		for _, y := range ends[i+1:] {
			for k, f := range []segment.Flags{segment.SYN, segment.SYN | segment.ACK, segment.ACK} {
				s := segment.Segment{Src: x, Dst: y, Flags: f, Seq: seq.Of(100), Ack: seq.Of(0)}
				switch k {
				case 1:
					s.Src, s.Dst, s.Seq, s.Ack = y, x, seq.Of(200), seq.Of(101)
				case 2:
					s.Seq, s.Ack = seq.Of(101), seq.Of(201)
				}
				segs = append(segs, s)
			}
		}
	}
	for i := range segs {
		segs[i].Frame = uint64(i + 1)
	}
	var k collector
	run(segs, &k, 7)
	if len(k.ended) != 15 {
		t.Fatalf("%d connections, want 15", len(k.ended))
	}
	for i, c := range k.ended {
		o, l := &c.Ends[Opener], &c.Ends[Listener]
		if o.Endpoint != segs[3*i].Src || l.Endpoint != segs[3*i].Dst || c.State != Established || o.Segments != 2 || l.Segments != 1 {
			t.Errorf("connection %d: %s", c.ID, describe(c))
		}
	}
}

// useUp takes what is left of a slab's last chunk.
func useUp[T any](s *slab[T]) {
	for n := uint32(1); n != 0; {
		n, _ = s.alloc()
	}
}

// Without memory nothing stops: what cannot be entered is counted, what is
// already there goes on without its frames.
func TestMemoryRunsOut(t *testing.T) {
	whole := mustStory(t, wholeStory)
	for full := range whole {
		var n nothing
		table := NewTable(Config{}, &n)
		for i := range whole {
			table.mem.full = i >= full
			if table.mem.full {
				useUp(&table.extras)
				useUp(&table.records)
				useUp(&table.blocks)
				useUp(&table.rares)
			}
			table.Add(whole[i : i+1])
			table.Add(moved(whole[i:i+1], 7, 0))
		}
		for i := range 3000 {
			table.Add(moved(whole[:1], uint16(10000+i), 0))
		}
		table.Close()
		if o := table.Overflow(); o.Segments == 0 || n.ended != int(table.Connections()) {
			t.Errorf("from segment %d on: %+v, %d of %d ended", full, o, n.ended, table.Connections())
		}
	}
}

// TestIPIDBesideRST: an end's identification stays that of its last segment that is no RST.
func TestIPIDBesideRST(t *testing.T) {
	c, s := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 1}), Port: 51820}, segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 2}), Port: 80}
	var in []segment.Segment
	add := func(from segment.Endpoint, id uint16, f segment.Flags, sq, ack uint32) {
		x := segment.Segment{Src: from, Dst: s, Flags: f, Seq: seq.Of(sq), Ack: seq.Of(ack), IPID: id, Window: 500}
		if from == s {
			x.Dst = c
		}
		x.Frame, x.Time = uint64(len(in)+1), int64(len(in)+1)*1e9
		in = append(in, x)
	}
	add(c, 7, segment.SYN, 10, 0)
	add(s, 1, segment.SYN|segment.ACK, 20, 11)
	add(c, 8, segment.ACK, 11, 21)
	add(s, 40, segment.ACK, 21, 11)
	add(s, 99, segment.RST|segment.ACK, 21, 11)
	add(c, 9, segment.RST, 11, 0)
	k := &keeper{}
	tb := NewTable(Config{TellFirst: 1}, k)
	tb.Add(in)
	tb.Close()
	if len(k.all) != 1 {
		t.Fatalf("%d connections, want 1", len(k.all))
	}
	if got := k.all[0].Ends[Listener].IPID; got != 40 {
		t.Errorf("the listener's identification is %d, want 40: that before the RST", got)
	}
	if got := k.all[0].Ends[Opener].IPID; got != 8 {
		t.Errorf("the opener's identification is %d, want 8", got)
	}
}

// keeper is a sink that keeps what has trouble.
type keeper struct{ all []*Connection }

func (k *keeper) Ended(*Connection)      {}
func (k *keeper) Asked(*Connection)      {}
func (k *keeper) Troubled(c *Connection) { k.all = append(k.all, c) }
