package flow

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// talker makes conversations from bytes: mostly what is ordinary, now and then what is not.
type talker struct {
	b    []byte
	now  int64
	out  []segment.Segment
	talk [6]talk
}

// talk is a conversation of the talker.
type talk struct {
	ends    [2]segment.Endpoint
	snd     [2]seq.Num
	ts      [2]seq.Num
	ecr     [2]seq.Num
	window  [2]uint16
	step    int
	closer  int // the end that closes first
	withTS  bool
	ipid    [2]uint16
	last    [2]segment.Segment
	options segment.Options
}

func (k *talker) byte() byte {
	if len(k.b) == 0 {
		return 0
	}
	x := k.b[0]
	k.b = k.b[1:]
	return x
}

// start begins a conversation, on the same four-tuple as the one before.
func (k *talker) start(i int) {
	c := &k.talk[i]
	x := k.byte()
	old := *c
	*c = talk{ends: [2]segment.Endpoint{{Addr: segment.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Port: uint16(4000 + i)}, {Addr: server.Addr, Port: 80}}}
	if i == 5 {
		c.ends[0].Addr = segment.Addr{Hi: 0x20010db800000000, Lo: 7}
		c.ends[1].Addr = segment.Addr{Hi: 0x20010db800000000, Lo: 1}
	}
	if i%2 == 1 {
		c.ends[0].Port = 3 // the lower endpoint is the other one
	}
	if old.ends[0].Port != 0 && x&8 != 0 {
		c.ends[0].Port = old.ends[0].Port + 8 // another four-tuple
	} else if old.ends[0].Port != 0 {
		c.ends[0].Port = old.ends[0].Port
	}
	c.snd = [2]seq.Num{seq.Of(uint32(x>>4) << 28), seq.Of(^uint32(0) - uint32(x&15))}
	if old.step > 0 && x&1 == 0 {
		c.snd[0] = old.snd[0].Add(uint32(x)) // near the old numbers
	}
	c.withTS = x&2 != 0
	c.ts = [2]seq.Num{seq.Of(1<<31 - uint32(x&7)), seq.Of(^uint32(0) - uint32(x>>5))}
	c.window = [2]uint16{64240, 65160}
	c.options = segment.OptMSS
	if x&4 != 0 {
		c.options |= segment.OptWScale | segment.OptSACKPermitted
	}
}

// send sends a segment of a conversation.
func (k *talker) send(i, e int, flags segment.Flags, n uint32) {
	c := &k.talk[i]
	s := segment.Segment{Src: c.ends[e], Dst: c.ends[1-e], Seq: c.snd[e], Flags: flags, Len: n, Window: c.window[e], TTL: uint8(64 - e), IPID: c.ipid[e]}
	if flags&segment.ACK != 0 {
		s.Ack = c.snd[1-e]
	}
	if flags&segment.SYN != 0 {
		s.Options = c.options
		s.MSS, s.WScale = 1460, 7
		if s.Options&segment.OptWScale == 0 {
			s.WScale = 0
		}
	}
	if c.withTS {
		s.Options |= segment.OptTimestamps
		s.TSVal = c.ts[e]
		if flags&segment.ACK != 0 {
			s.TSEcr = c.ecr[e]
		}
		c.ecr[1-e] = c.ts[e]
		c.ts[e] = c.ts[e].Add(uint32(n & 3))
	}
	c.ipid[e]++
	c.snd[e] = s.End()
	k.emit(i, e, s)
}

func (k *talker) emit(i, e int, s segment.Segment) {
	s.Frame = uint64(len(k.out) + 1)
	s.SourceFrame, s.Time = s.Frame, k.now
	k.talk[i].last[e] = s
	k.out = append(k.out, s)
}

// odd does something that is not in every conversation.
func (k *talker) odd(i, e int, x byte) {
	c := &k.talk[i]
	s := c.last[e]
	switch x % 16 {
	case 0:
		if s.Frame != 0 {
			k.emit(i, e, s) // a copy, or a repeat
		}
	case 1:
		k.send(i, e, segment.RST, 0)
	case 2:
		k.send(i, e, segment.RST|segment.ACK, 0)
	case 3:
		c.window[e] = 0
		k.send(i, e, segment.ACK, 0)
		c.window[e] = uint16(x)
	case 4:
		k.now += int64(x) * int64(time.Second)
	case 5:
		k.now -= int64(x) * int64(time.Millisecond) / 16
	case 6:
		c.snd[e] = c.snd[e].Add(uint32(x)) // a hole
	case 7:
		c.snd[e] = c.snd[e].Add(-uint32(x >> 4)) // a repeat
	case 8:
		c.withTS = !c.withTS
	case 9:
		s.TTL += x
		k.emit(i, e, s)
	case 10:
		s.Ack = s.Ack.Add(uint32(x))
		k.emit(i, e, s)
	case 11:
		k.send(i, e, segment.SYN|segment.ACK, 0)
	case 12:
		c.ts[e] = c.ts[e].Add(uint32(x) << (x & 31))
	case 13:
		k.now += 100 * int64(time.Second)
	case 14:
		k.send(i, e, segment.ACK|segment.ECE, 0)
	case 15:
		k.start(i)
		k.send(i, 0, segment.SYN, 0)
		k.talk[i].step = 1
	}
}

// talks reads the bytes to the end.
func talks(b []byte) []segment.Segment {
	k := &talker{b: b}
	for len(k.b) > 0 && len(k.out) < 2000 {
		x := k.byte()
		i := int(x) % len(k.talk)
		c := &k.talk[i]
		y := k.byte()
		k.now += int64(y) * int64(time.Millisecond)
		e := int(y & 1)
		if y > 250 {
			k.odd(i, e, x)
			continue
		}
		switch c.step {
		case 0:
			k.start(i)
			k.send(i, 0, segment.SYN, 0)
		case 1:
			k.send(i, 1, segment.SYN|segment.ACK, 0)
		case 2:
			k.send(i, 0, segment.ACK, 0)
		case 20 - int(x&15):
			k.send(i, e, segment.FIN|segment.ACK, 0)
			c.step, c.closer = 30, e
		case 31:
			k.send(i, 1-c.closer, segment.ACK, 0)
		case 32:
			k.send(i, 1-c.closer, segment.FIN|segment.ACK, uint32(x&1))
		case 33:
			k.send(i, c.closer, segment.ACK, 0)
		case 34:
			k.start(i)
			continue
		default:
			if c.window[e] += uint16(y & 8); c.last[e].Ack != c.snd[1-e] {
				k.send(i, e, segment.ACK, 0)
			} else {
				k.send(i, e, segment.ACK|segment.PSH, uint32(x)+1)
			}
		}
		c.step++
	}
	return k.out
}

// inFiles spreads segments over files of so many frames, 0: one file.
func inFiles(segs []segment.Segment, each int) []segment.Segment {
	for i := range segs {
		if s := &segs[i]; each > 0 {
			s.Source, s.SourceFrame = uint16(i/each), uint64(i%each+1)
		}
	}
	return segs
}

// told is a Sink that keeps all that it is told.
type told struct {
	what []string
	of   []Connection
}

func (k *told) Ended(*Connection) {}

func (k *told) add(what string, c *Connection) {
	for ; c != nil; c = c.Previous {
		k.what, k.of = append(k.what, what), append(k.of, *c)
		what = "previous"
	}
}

func (k *told) Asked(c *Connection)    { k.add("asked", c) }
func (k *told) Troubled(c *Connection) { k.add("troubled", c) }

// sameWithBriefs holds a table with briefs against one without: what it calls, in which order,
// and what it knows of hosts and of the whole. It returns how many connections were never a record.
func sameWithBriefs(t *testing.T, name string, segs []segment.Segment) (briefs uint64) {
	t.Helper()
	var got, want told
	with, without := NewTable(Config{AskedOnly: true, TellFirst: 1}, &got), NewTable(Config{AskedOnly: true, TellFirst: 1}, &want)
	without.briefly = false
	feedAll := func(table *Table) {
		for b := segs; len(b) > 0; {
			n := min(len(b), 17)
			table.Add(b[:n])
			b = b[n:]
		}
	}
	feedAll(with)
	feedAll(without)
	with.Close()
	without.Close()
	if !reflect.DeepEqual(got.what, want.what) {
		t.Fatalf("%s: calls %v, without briefs %v", name, got.what, want.what)
	}
	for i := range got.of {
		a, b := got.of[i], want.of[i]
		a.Previous, b.Previous = nil, nil
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%s: %s %d\n%+v\nwithout briefs\n%+v", name, got.what[i], a.ID, a, b)
		}
	}
	if with.Observed() != without.Observed() || with.Connections() != without.Connections() {
		t.Fatalf("%s: %+v, without briefs %+v", name, with.Observed(), without.Observed())
	}
	addrs := map[segment.Addr]bool{}
	for i := range segs {
		addrs[segs[i].Src.Addr], addrs[segs[i].Dst.Addr] = true, true
	}
	for a := range addrs {
		x, _ := with.Host(a)
		y, _ := without.Host(a)
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("%s: host %v: %+v, without briefs %+v", name, a, x, y)
		}
		for b := range addrs {
			if x, y := with.Closings(a, b), without.Closings(a, b); !reflect.DeepEqual(x, y) {
				t.Fatalf("%s: closings %v %v: %+v, without briefs %+v", name, a, b, x, y)
			}
		}
	}
	return with.neverRecords
}

func TestBriefsChangeNothing(t *testing.T) {
	files, err := filepath.Glob("testdata/story/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(string(b), "----\n")
		sameWithBriefs(t, name, mustStory(t, text))
	}
	if n := sameWithBriefs(t, "short", shortConnections(t, 3000, 100)); n < 2900 {
		t.Errorf("%d of 3000 short connections never became a record", n)
	}
	if n := sameWithBriefs(t, "open", openConnections(t, 2000)); n < 1900 {
		t.Errorf("%d of 2000 open connections never became a record", n)
	}
	r := rand.New(rand.NewSource(5))
	briefs := uint64(0)
	for i := range 800 {
		b := make([]byte, 8+r.Intn(2000))
		r.Read(b)
		briefs += sameWithBriefs(t, fmt.Sprint("talks ", i), inFiles(talks(b), i%4*70))
	}
	if briefs < 2000 {
		t.Errorf("only %d connections of the talks never became a record: they show little", briefs)
	}
	for i := range 500 {
		b := make([]byte, 8+r.Intn(900))
		r.Read(b)
		segs := fuzzSegments(b)
		for j := range segs {
			segs[j].SourceFrame = segs[j].Frame
		}
		sameWithBriefs(t, fmt.Sprint("random ", i), segs)
	}
}

// FuzzBriefs: whatever is said, briefs change nothing.
func FuzzBriefs(f *testing.F) {
	r := rand.New(rand.NewSource(7))
	for range 8 {
		b := make([]byte, 600)
		r.Read(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameWithBriefs(t, "fuzz", talks(b)) })
}

// A brief is three cache lines; what it is for is that it is small.
func TestBriefSize(t *testing.T) {
	var b brief
	if n, at := unsafe.Sizeof(b), unsafe.Offsetof(b.notes); n != 192 || at != 64 {
		t.Errorf("a brief takes %d bytes, want 192, and has its notes at %d, want 64", n, at)
	}
	if coldHeader != 60 {
		t.Errorf("a cold one takes %d bytes and its notes, want 60", coldHeader)
	}
}

// Where the clock steps back by much, what waits in the queue waits for what came before it, and briefs must not
// be forgotten earlier than records would be.
func TestBriefsAfterDisorder(t *testing.T) {
	other := moved(mustSegments("2000.0 < S 100:100(0) win 64240 <mss 1460>"), 70, 0)
	closed := mustSegments(wholeStory)
	again := mustSegments("0.000 < S 900000:900000(0) win 64240\n0.010 > S. 1200000:1200000(0) ack 900001 win 65160\n0.020 < . 900001:900001(0) ack 1200001 win 502")
	segs := append(other, shifted(closed, 100*time.Second)...)
	segs = append(segs, shifted(again, 400*time.Second)...)
	for i := range segs {
		segs[i].Frame, segs[i].SourceFrame = uint64(i+1), uint64(i+1)
	}
	sameWithBriefs(t, "clock set back", segs)
}

// What a cold one rarely needs more bits for: a SYN-ACK that comes many frames or seconds after the SYN, and from
// another file.
func TestColdFar(t *testing.T) {
	for name, by := range map[string]struct {
		frames uint64
		time   time.Duration
		shapes int
	}{
		"near": {}, "frames": {frames: 70_000}, "time": {time: 5 * time.Second}, "both": {1 << 20, 70 * time.Second, 0}, "shapes": {shapes: mostShapes + 300},
	} {
		var closed []segment.Segment
		for i := range by.shapes {
			one := moved(mustSegments(wholeStory), uint16(100+i), 0)
			one[0].Window -= uint16(i + 1)
			closed = append(closed, one...)
		}
		closed = append(closed, mustSegments(wholeStory)...)
		for i := range closed[1:] {
			closed[i+1].Time += int64(by.time)
		}
		again := mustSegments("0.000 < S 900000:900000(0) win 64240\n0.010 > S. 1200000:1200000(0) ack 900001 win 65160\n0.020 < . 900001:900001(0) ack 1200001 win 502")
		segs := append(shifted(closed, 0), shifted(again, 100*time.Second)...)
		for i := range segs {
			segs[i].Frame = uint64(i + 1)
			if i > 0 {
				segs[i].Frame += by.frames
			}
			segs[i].SourceFrame = segs[i].Frame
		}
		sameWithBriefs(t, name, segs)
		sameWithBriefs(t, name+" of the second file", append(moved(mustSegments(wholeStory), 9, 0), inSecond(segs)...))
	}
}

// inSecond moves segments to a second file.
func inSecond(segs []segment.Segment) []segment.Segment {
	for i := range segs {
		segs[i].Source = 1
		segs[i].Frame += 1000
	}
	return segs
}

func shifted(segs []segment.Segment, by time.Duration) []segment.Segment {
	for i := range segs {
		segs[i].Time += int64(by)
	}
	return segs
}

// A capture whose frames alternate between too many places to tell apart has records, with the same result.
func TestBriefsOfManyFiles(t *testing.T) {
	sameWithBriefs(t, "many files", inFiles(shortConnections(t, 1500, 50), 2))
}

// The cold ones are a queue also where their numbers begin again.
func TestColdLogTurnsOver(t *testing.T) {
	l := coldLog{mem: new(arena), blocks: make([]*[coldBlock]byte, maxColdBlocks-2)}
	l.head = (maxColdBlocks - 2) * coldBlock
	l.tail = l.head
	notes := make([]byte, 200)
	next := uint32(1)
	for id := uint32(1); id <= 20_000; id++ {
		b := brief{id: id, used: uint8(len(notes) - int(id)%50), split: 40}
		n := l.add(&b, notes)
		if n == 0 || l.at(n).id != id {
			t.Fatalf("%d was not added: number %#x", id, n)
		}
		for ; id-next > 3000; next++ {
			c := l.oldest()
			if c == nil || c.id != next || l.at(l.number()) != c {
				t.Fatalf("the oldest is %+v, want %d", c, next)
			}
			l.drop(c)
		}
	}
	for ; next <= 20_000; next++ {
		c := l.oldest()
		if c == nil || c.id != next {
			t.Fatalf("the oldest is %+v, want %d", c, next)
		}
		l.drop(c)
	}
	if c := l.oldest(); c != nil {
		t.Errorf("%+v is left", c)
	}
	l.mem.drop()
}
