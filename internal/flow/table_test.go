package flow

import (
	"fmt"
	"math/rand"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func TestSizes(t *testing.T) {
	for _, x := range []struct {
		name      string
		size, max uintptr
	}{
		{"record", unsafe.Sizeof(record{}), 320},
		{"hotEnd", unsafe.Sizeof(hotEnd{}), 64},
		{"packedFrame", unsafe.Sizeof(packedFrame{}), 48},
		{"extra", unsafe.Sizeof(extra{}), 272},
		{"closing", unsafe.Sizeof(closing{}), 40},
		{"hostEntry", unsafe.Sizeof(hostEntry{}), 64},
	} {
		if x.size > x.max {
			t.Errorf("%s takes %d bytes, want at most %d", x.name, x.size, x.max)
		}
	}
	if o := unsafe.Offsetof(record{}.hot); o%64 != 0 {
		t.Errorf("the hot ends begin at %d, not at a cache line", o)
	}
}

// collector keeps copies of everything.
type collector struct{ ended, asked, troubled []*Connection }

func (c *collector) Ended(v *Connection) {
	d := *v
	d.Frames = slices.Clone(v.Frames)
	c.ended = append(c.ended, &d)
}
func (c *collector) Troubled(v *Connection) { c.troubled = append(c.troubled, v) }

func (c *collector) Asked(v *Connection) { c.asked = append(c.asked, v) }

// nothing is a Sink for counting.
type nothing struct{ ended, asked int }

func (n *nothing) Ended(*Connection)    { n.ended++ }
func (n *nothing) Troubled(*Connection) {}

func (n *nothing) Asked(*Connection) { n.asked++ }

// flowSegments moves a story to another client port and time.
func moved(segs []segment.Segment, port uint16, by time.Duration) []segment.Segment {
	out := slices.Clone(segs)
	for i := range out {
		s := &out[i]
		s.Time += int64(by)
		if s.Src == client {
			s.Src.Port = port
		} else {
			s.Dst.Port = port
		}
	}
	return out
}

func mustStory(t testing.TB, text string) []segment.Segment {
	t.Helper()
	segs, err := parseStory(text)
	if err != nil {
		t.Fatal(err)
	}
	return segs
}

const wholeStory = `
0.000 < S 100:100(0) win 64240 <mss 1460,TS val 900 ecr 0>
0.010 > S. 200:200(0) ack 101 win 65160 <mss 1400,TS val 5000 ecr 900>
0.011 < . 101:101(0) ack 201 win 502 <nop,nop,TS val 911 ecr 5000>
0.020 < P. 101:111(10) ack 201 win 502 <nop,nop,TS val 920 ecr 5000>
0.030 > F. 201:201(0) ack 111 win 509 <nop,nop,TS val 5020 ecr 920>
0.040 < F. 111:111(0) ack 202 win 502 <nop,nop,TS val 940 ecr 5020>
0.050 > . 202:202(0) ack 112 win 509 <nop,nop,TS val 5040 ecr 940>
`

// merge puts segments in the order of their times and numbers the frames.
func merge(flows ...[]segment.Segment) []segment.Segment {
	all := slices.Concat(flows...)
	slices.SortStableFunc(all, func(a, b segment.Segment) int { return int(max(-1, min(1, a.Time-b.Time))) })
	for i := range all {
		all[i].Frame = uint64(i + 1)
	}
	return all
}

// Connections are announced in the order in which they end, also where a late
// packet comes in between; those that never end come last, in the order of their first frames.
func TestEndedOrder(t *testing.T) {
	whole := mustStory(t, wholeStory)
	attempt := whole[:1]
	open := whole[:4]
	late := []segment.Segment{whole[6]}
	segs := merge(
		moved(open, 1, 0),
		moved(whole, 2, 10*time.Second),  // ends at 10 s
		moved(attempt, 3, 5*time.Second), // goes quiet at 5 s
		moved(whole, 4, 0),               // ends at 0 s
		moved(late, 4, 100*time.Second),
		moved(open, 5, 20*time.Second),
		moved(attempt, 6, 7*time.Second),
		moved(attempt, 6, 15*time.Second), // repeated: goes quiet at 15 s
		moved(whole, 7, 500*time.Second),  // ends at 500 s: by then all others were announced
		moved(late, 2, 505*time.Second),   // of a connection long forgotten: a new one
		moved(attempt, 8, 600*time.Second),
	)
	var c collector
	run(segs, &c, 3)
	var got []string
	for _, e := range c.ended {
		port := e.Ends[Opener].Port
		if port == server.Port {
			port = e.Ends[Listener].Port
		}
		got = append(got, fmt.Sprint(port))
	}
	if s := strings.Join(got, " "); s != "4 3 2 6 7 1 5 2 8" {
		t.Errorf("ended in the order of %s", s)
	}
	if n := c.ended[0].Ends[Listener].Segments; n != 4 {
		t.Errorf("the late packet within Keep is not counted: %d", n)
	}
}

// Keep after its last segment nothing is left of a connection.
func TestForgets(t *testing.T) {
	whole := mustStory(t, wholeStory)
	table := NewTable(Config{Keep: 10 * time.Second}, &nothing{})
	defer table.Close()
	for port := range uint16(3000) {
		table.Add(moved(whole, port+1, time.Duration(port)*time.Millisecond))
		table.Add(moved(whole[:1], port+10000, time.Duration(port)*time.Millisecond))
	}
	if n := table.records.used; n != 6000 {
		t.Fatalf("%d records are in use, want 6000", n)
	}
	table.Add(moved(whole[6:], 1, 9*time.Second)) // holds its record longer
	table.Add(moved(whole[:4], 9999, 25*time.Second))
	if n := table.records.used; n != 1 {
		t.Errorf("%d records are in use, want 1", n)
	}
	if n := table.extras.used + table.blocks.used + table.rares.used; n != 0 {
		t.Errorf("%d pieces are in use, want 0", n)
	}
	if table.index.used != 1 {
		t.Errorf("%d four-tuples are in the index, want 1", table.index.used)
	}
	made := table.records.next
	for port := range uint16(3000) {
		table.Add(moved(whole, port+1, 30*time.Second+time.Duration(port)*time.Millisecond))
	}
	if table.records.next != made {
		t.Errorf("records are not used again: %d were made, then %d", made, table.records.next)
	}
}

// A late packet holds the memory of a connection, and a SYN then still finds its past.
func TestLatePacketHoldsMemory(t *testing.T) {
	whole := mustStory(t, wholeStory)
	syn := moved(whole[:1], client.Port, 300*time.Second)
	syn[0].Seq = seq.Of(9000)
	for _, held := range []bool{false, true} {
		segs := [][]segment.Segment{whole, syn, moved(whole[:4], 9, 270*time.Second)}
		if held {
			segs = append(segs, moved(whole[6:], client.Port, 100*time.Second))
		}
		var c collector
		run(merge(segs...), &c, 5)
		last := c.asked[len(c.asked)-1]
		if (last.Previous != nil) != held {
			t.Errorf("held %v: previous %v", held, last.Previous)
		}
	}
}

// A four-tuple that is opened again and again keeps a short chain, and each
// connection is announced once, in order.
func TestReopenedManyTimes(t *testing.T) {
	whole := mustStory(t, wholeStory)
	const times = 100_000
	for _, every := range []time.Duration{time.Second, time.Microsecond} {
		var n nothing
		check := &orderCheck{t: t}
		table := NewTable(Config{}, check)
		most := uint32(0)
		for i := range times {
			segs := moved(whole, client.Port, time.Duration(i)*max(every, 60*time.Microsecond))
			for k := range segs {
				s := &segs[k]
				s.Frame = uint64(i*len(segs) + k + 1)
				s.Seq, s.Ack = s.Seq.Add(uint32(i)*1_000_003), s.Ack.Add(uint32(i)*1_000_003)
			}
			table.Add(segs)
			most = max(most, table.records.used)
		}
		table.Close()
		_ = n
		if check.ended != times || check.asked != times-1 || table.Connections() != times {
			t.Errorf("every %v: %d ended, %d asked, %d connections", every, check.ended, check.asked, table.Connections())
		}
		bound := uint32(maxOrphans + maxChain + 2)
		if every >= time.Second {
			bound = 240 + maxChain + 2
		}
		if most > bound {
			t.Errorf("every %v: %d records were in use, want at most %d", every, most, bound)
		}
	}
}

// orderCheck is a Sink that wants every connection once and in the order of their ends.
type orderCheck struct {
	t            *testing.T
	last         Point
	ended, asked int
}

func (o *orderCheck) Ended(c *Connection) {
	o.ended++
	if c.State != Closed || c.EndedAt.Frame <= o.last.Frame {
		o.t.Fatalf("connection %d: %v at %v after %v", c.ID, c.State, c.EndedAt, o.last)
	}
	o.last = c.EndedAt
}

func (o *orderCheck) Troubled(*Connection) {}

func (o *orderCheck) Asked(c *Connection) {
	o.asked++
	depth := 0
	for p := c.Previous; p != nil; p = p.Previous {
		depth++
		if want := c.ID - uint64(depth); p.ID != want {
			o.t.Fatalf("connection %d: previous %d, want %d", c.ID, p.ID, want)
		}
	}
	if want := min(maxChain, int(c.ID)-1); depth != want {
		o.t.Fatalf("connection %d: a past of %d, want %d", c.ID, depth, want)
	}
}

// A connection that lives on is not cut off by attempts that fail.
func TestChainSparesTheLiving(t *testing.T) {
	segs := mustStory(t, wholeStory)[:4]
	for i := range 20 {
		syn := segs[0]
		syn.Time = int64(i+1) * 1e9
		syn.Seq = seq.Of(uint32(i+1) * 100_000_000)
		segs = append(segs, syn)
	}
	var c collector
	run(merge(segs), &c, 8)
	for _, a := range c.asked {
		oldest, depth := a, 0
		for oldest.Previous != nil {
			oldest = oldest.Previous
			depth++
		}
		if oldest.ID != 1 || depth > maxChain {
			t.Errorf("connection %d: the oldest of %d is %d", a.ID, depth, oldest.ID)
		}
	}
	if len(c.asked) != 20 || len(c.ended) != 21 {
		t.Errorf("%d asked, %d ended", len(c.asked), len(c.ended))
	}
}

// Asked keeps what it gets: later segments do not change it.
func TestAskedIsACopy(t *testing.T) {
	b := mustStory(t, `
0.000 < S 100:100(0) win 64240
0.010 > R. 0:0(0) ack 101 win 0
1.000 < S 100:100(0) win 64240
1.010 > S. 500:500(0) ack 101 win 65160
1.011 < . 101:101(0) ack 501 win 502
1.020 < P. 101:102(1) ack 501 win 502
1.030 < P. 102:103(1) ack 501 win 502
1.040 < P. 103:104(1) ack 501 win 502
1.050 < P. 104:105(1) ack 501 win 502
1.060 < P. 105:106(1) ack 501 win 502
1.070 < R 106:106(0) win 0
`)
	var c collector
	table := NewTable(Config{}, &c)
	table.Add(b[:9])
	if len(c.asked) != 2 {
		t.Fatalf("%d asked", len(c.asked))
	}
	before := describe(c.asked[1])
	table.Add(b[9:])
	table.Close()
	if after := describe(c.asked[1]); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if len(c.asked) != 2 {
		t.Errorf("%d asked at the end", len(c.asked))
	}
}

// An open connection takes at most 400 bytes in all.
func TestMemoryPerConnection(t *testing.T) {
	const n = 300_000
	s := mustStory(t, wholeStory)[:3]
	table := NewTable(Config{}, &nothing{})
	for i := range n {
		segs := moved(s, uint16(1024+i%50_000), time.Duration(i)*time.Microsecond)
		for k := range segs {
			if segs[k].Src.Port == server.Port {
				segs[k].Src.Port += uint16(i / 50_000)
			} else {
				segs[k].Dst.Port += uint16(i / 50_000)
			}
		}
		table.Add(segs)
	}
	if table.Connections() != n {
		t.Fatal(table.Connections())
	}
	bytes := len(table.records.chunks)*int(unsafe.Sizeof(chunk[record]{})) + len(table.deeps.chunks)*int(unsafe.Sizeof(chunk[deep]{})) + len(table.index.slots)*8 +
		len(table.queue.blocks.chunks)*int(unsafe.Sizeof(chunk[eventBlock]{})) +
		(len(table.extras.chunks)*int(unsafe.Sizeof(chunk[extra]{})) + len(table.blocks.chunks)*int(unsafe.Sizeof(chunk[frameBlock]{})))
	t.Logf("%d bytes a connection", bytes/n)
	if bytes/n > 420 {
		t.Errorf("%d bytes a connection", bytes/n)
	}
	table.Close()
}

func TestAddAllocatesNothing(t *testing.T) {
	s := mustStory(t, wholeStory)
	table := NewTable(Config{Keep: time.Second / 2}, &nothing{})
	defer table.Close()
	round := func() {
		for k := range s {
			s[k].Time += 1e9
			s[k].Seq, s[k].Ack = s[k].Seq.Add(70_000_000), s[k].Ack.Add(70_000_000)
		}
		table.Add(s)
	}
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(1000, round); n > 0.1 {
		t.Errorf("%v allocations for a whole connection", n)
	}
}

// A table that is thrown away without Close gives its memory back all the same,
// and one that was closed does so once.
func TestCloseTwice(t *testing.T) {
	s := mustStory(t, wholeStory)
	for i := range 50 {
		var n nothing
		table := NewTable(Config{}, &n)
		table.Add(s)
		if i%2 == 0 {
			table.Close()
			table.Close()
			table.Add(s)
			if n.ended != 1 || table.Overflow().Segments != uint64(len(s)) {
				t.Fatal(n.ended, table.Overflow())
			}
			if h, ok := table.Host(client.Addr); !ok || len(h.ISNs) != 1 {
				t.Fatal(h, ok)
			}
			if len(table.Closings(server.Addr, client.Addr)) != 1 {
				t.Fatal("no closing")
			}
		}
	}
	runtime.GC()
}

// Numbers of frames beyond 32 bits come back whole.
func TestFrameNumbersBeyond32Bits(t *testing.T) {
	s := mustStory(t, wholeStory)
	for i := range s {
		s[i].Frame += 1<<32 - 3
		s[i].SourceFrame = s[i].Frame - 2
	}
	var c collector
	run(s, &c, 8)
	v := c.ended[0]
	if v.First.Frame != 1<<32-2 || v.LastSeen.Frame != 1<<32+4 || v.EndedAt.Frame != 1<<32+4 ||
		v.Ends[Listener].ISN.Frame != 1<<32-1 || v.Ends[Opener].RcvNxt.Frame != 1<<32+3 {
		t.Errorf("%s", describe(v))
	}
	if f := v.Frames[0]; f.Frame != 1<<32+2 || f.SourceFrame != 1<<32 {
		t.Errorf("frame %d, in its own file %d", f.Frame, f.SourceFrame)
	}
}

// Times at the ends of their range neither stop the table nor lose a connection.
func TestExtremeTimes(t *testing.T) {
	s := mustStory(t, wholeStory)
	times := []int64{0, 1<<63 - 1, -1 << 63, 5, 1<<63 - 2, -1, 1}
	for i := range s {
		s[i].Time = times[i]
	}
	var n nothing
	table := run(s, &n, 2)
	if n.ended != int(table.Connections()) {
		t.Errorf("%d ended of %d", n.ended, table.Connections())
	}
}

// randomFlow is what may happen on one four-tuple: plausible, but with repeats,
// losses, strange numbers, pauses and reopenings.
func randomFlow(r *rand.Rand, port uint16) []segment.Segment {
	nums := [2]uint32{r.Uint32(), r.Uint32()}
	ends := [2]segment.Endpoint{{Addr: client.Addr, Port: port}, server}
	now := r.Int63n(100e9)
	var out []segment.Segment
	put := func(from int, f segment.Flags, n uint32) {
		s := segment.Segment{Src: ends[from], Dst: ends[1-from], Flags: f, Len: n, Window: uint16(r.Intn(1000)), IPID: uint16(r.Intn(3))}
		s.Seq = seq.Of(nums[from])
		if f&segment.ACK != 0 {
			s.Ack = seq.Of(nums[1-from])
		}
		if r.Intn(2) == 0 {
			s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, seq.Of(uint32(now/1e6)), seq.Of(uint32(now/1e6)-uint32(r.Intn(9)))
		}
		switch r.Intn(30) {
		case 0:
			return // the capture misses it
		case 1:
			s.Seq = seq.Of(r.Uint32())
		case 2:
			s.Ack = s.Ack.Add(uint32(r.Intn(5000)) - 2500)
		}
		nums[from] = s.End().Uint32()
		now += r.Int63n(1e8)
		s.Time = now
		out = append(out, s)
		if r.Intn(20) == 0 {
			s.Time += r.Int63n(3e6)
			out = append(out, s)
		}
	}
	for range 1 + r.Intn(4) {
		o := r.Intn(2)
		put(o, segment.SYN, 0)
		put(1-o, segment.SYN|segment.ACK, 0)
		for range r.Intn(12) {
			put(r.Intn(2), segment.ACK, uint32(r.Intn(3)*100))
		}
		switch r.Intn(3) {
		case 0:
			put(r.Intn(2), segment.RST, 0)
		case 1:
			put(o, segment.FIN|segment.ACK, 0)
			put(1-o, segment.ACK, 0)
			put(1-o, segment.FIN|segment.ACK, 0)
			put(o, segment.ACK, 0)
		}
		now += r.Int63n(int64(1+r.Intn(200)) * 2e9)
		nums[0] += r.Uint32() >> uint(r.Intn(32))
	}
	return merge(out)
}

// What comes of a connection does not depend on which others are interleaved with it.
func TestInterleavingChangesNothing(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for seed := range int64(rounds) {
		r := rand.New(rand.NewSource(seed))
		var flows [][]segment.Segment
		alone := map[uint16][]string{}
		for port := uint16(1000); port < 1040; port++ {
			f := randomFlow(r, port)
			flows = append(flows, f)
		}
		// All captures end at the same time, so that the same is forgotten.
		end := segment.Segment{Src: server, Dst: client, Flags: segment.ACK}
		for _, f := range flows {
			end.Time = max(end.Time, f[len(f)-1].Time)
		}
		for _, f := range flows {
			port := f[0].Src.Port
			if port == server.Port {
				port = f[0].Dst.Port
			}
			alone[port] = outcome(append(slices.Clone(f), end), 1)[port]
		}
		// A stable sort keeps the order within a flow.
		r.Shuffle(len(flows), func(i, j int) { flows[i], flows[j] = flows[j], flows[i] })
		all := append(slices.Concat(flows...), end)
		slices.SortStableFunc(all, func(a, b segment.Segment) int { return int(max(-1, min(1, a.Time-b.Time))) })
		together := outcome(all, 1+r.Intn(100))
		for port, want := range alone {
			if !slices.Equal(together[port], want) {
				t.Fatalf("seed %d, port %d: alone\n%s\ntogether\n%s", seed, port,
					strings.Join(want, ""), strings.Join(together[port], ""))
			}
		}
	}
}

// outcome returns by client port what was reported, without the connections' IDs.
func outcome(segs []segment.Segment, batch int) map[uint16][]string {
	s := byPort{}
	run(segs, s, batch)
	return s
}

type byPort map[uint16][]string

func (b byPort) note(what string, c *Connection) {
	port := c.Ends[Opener].Port
	if port == server.Port {
		port = c.Ends[Listener].Port
	}
	_, text, _ := strings.Cut(describe(c), " ")
	for p := c.Previous; p != nil; p = p.Previous {
		_, past, _ := strings.Cut(describe(p), " ")
		text += "  after " + past
	}
	b[port] = append(b[port], what+" "+text)
}
func (b byPort) Ended(c *Connection)  { b.note("ended", c) }
func (b byPort) Troubled(*Connection) {}

func (b byPort) Asked(c *Connection) { b.note("asked", c) }
