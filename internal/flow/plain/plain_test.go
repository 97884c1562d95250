package plain_test

import (
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/flow/plain"
	"github.com/tcpwhy/tcpwhy/internal/flow/plain/scene"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// nobody is a Sink that does not listen.
type nobody struct{}

func (nobody) Ended(*flow.Connection)    {}
func (nobody) Asked(*flow.Connection)    {}
func (nobody) Troubled(*flow.Connection) {}

// input is what a table is fed.
type input struct {
	cfg   flow.Config
	batch int
	segs  []segment.Segment
	// marks tells after how many segments which two endpoints are marked.
	marks map[int][2]segment.Endpoint
}

// compare feeds both tables and tells the first difference, "" if there is none.
func (in *input) compare() string {
	d := plain.NewDuel(in.cfg, nobody{})
	for i := 0; i < len(in.segs); i += in.batch {
		d.Add(in.segs[i:min(i+in.batch, len(in.segs))])
		for k := i; k < i+in.batch; k++ {
			if m, ok := in.marks[k]; ok {
				d.Mark(m[0], m[1])
			}
		}
	}
	d.Close()
	d.Connections()
	d.Observed()
	type pair struct{ a, b segment.Addr }
	done := map[pair]bool{}
	for i := range in.segs {
		p := pair{in.segs[i].Src.Addr, in.segs[i].Dst.Addr}
		if !done[p] {
			done[p] = true
			d.Host(p.a)
			d.Closings(p.a, p.b)
		}
	}
	return d.Difference
}

// read makes an input of bytes: the first three say how the table works, the rest is
// the scene.
func read(b []byte) *input {
	in := &input{batch: 1}
	first := uint64(0)
	if len(b) >= 3 {
		in.cfg = flow.Config{LinesOnly: b[0]&1 != 0, AskedOnly: b[0]&2 != 0, TellFirst: uint64(b[0] >> 6)}
		if b[0]&4 != 0 {
			in.cfg.Keep = 70 * time.Second
		}
		if b[0]&8 != 0 {
			in.cfg.KeepEnded = 10 * time.Second
		}
		if b[0]&16 != 0 {
			first = math.MaxUint32 - uint64(b[2]) // its frame numbers grow over 32 bits
		}
		in.batch = 1 + int(b[1])%80
		b = b[3:]
	}
	s := scene.New(b, 3000)
	in.segs, in.marks = s.Segments, s.Marks
	for i := range in.segs {
		x := &in.segs[i]
		if x.Frame += first; x.Frame >= 1<<32 {
			x.Frame++ // the lower half of 2^32 is 0, which flow takes for no frame
		}
		x.SourceFrame, x.Source = x.Frame/2+1, uint16(i&1)
	}
	return in
}

// FuzzOracle: whatever the segments are, flow hands out what plain does.
func FuzzOracle(f *testing.F) {
	for _, seed := range []string{
		"\x40\x02\x10\x00\x01\x82\x00\x03\x00\x05\x09\x85\x30\x07\x00\x83\x00\x87\x00\x03\x00\x0d\x09\x00\x01\x83\x00\x08\x01", // close, and open again
		"\x4d\x30\x10\x60\x01\x62\x00\x63\x00\x65\x00\x70\x00\x67\x00",                                                         // to itself
		"\x02\x05\x00\x13\x0f\x0d\x0b\x33\x1f\x12\xff\x0c\x00\x0d\x08\x0c\xc0\x17\xc3",                                         // many times, long talk, a closed window, late ACKs
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d := read(b).compare(); d != "" {
			t.Fatal(d)
		}
	})
}

// TestRandom is FuzzOracle over inputs at random.
func TestRandom(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	for i := range 200 {
		b := make([]byte, 3+r.Intn(800))
		r.Read(b)
		if d := read(b).compare(); d != "" {
			t.Fatalf("input %d: %s", i, d)
		}
	}
}

// TestMany holds the tables against each other where they are large.
func TestMany(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  flow.Config
		segs []segment.Segment
	}{
		{"four-tuples", flow.Config{}, flood(70_000, 70_000, time.Millisecond)},
		{"four-tuples, lines only", flow.Config{LinesOnly: true, Keep: 70 * time.Second, KeepEnded: 10 * time.Second}, flood(20_000, 20_000, time.Millisecond)},
		// More ends than may wait for their turn.
		{"one reopened", flow.Config{LinesOnly: true}, flood(75_000, 1, time.Millisecond)},
		{"some reopened", flow.Config{}, flood(8_000, 50, 100*time.Microsecond)},
		{"closings", flow.Config{AskedOnly: true, KeepEnded: time.Second}, flood(1<<18+100, 30_000, time.Millisecond)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := (&input{cfg: tt.cfg, batch: 64, segs: tt.segs}).compare(); d != "" {
				t.Fatal(d)
			}
		})
	}
}

// flood opens connections one after the other over a number of four-tuples; three of four
// are then closed.
func flood(n, tuples int, every time.Duration) []segment.Segment {
	var out []segment.Segment
	server := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 255, 0, 1}), Port: 80}
	for i := range n {
		k := i % tuples
		client := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)}), Port: 40000}
		say := func(a, b segment.Endpoint, flags segment.Flags, s, ack uint32) {
			x := segment.Segment{Src: a, Dst: b, Flags: flags, Seq: seq.Of(uint32(i)*100_000 + s), Window: 500, TTL: 64, Options: segment.OptTimestamps}
			if x.Frame, x.Time = uint64(len(out)+1), int64(i)*int64(every)+int64(s); flags&segment.ACK != 0 {
				x.Ack = seq.Of(uint32(i)*100_000 + ack)
			}
			x.TSVal = seq.Of(uint32(i))
			out = append(out, x)
		}
		say(client, server, segment.SYN, 0, 0)
		if i%4 == 0 {
			continue
		}
		say(server, client, segment.SYN|segment.ACK, 500, 1)
		say(client, server, segment.ACK, 1, 501)
		say(server, client, segment.ACK|segment.FIN, 501, 1)
		say(client, server, segment.ACK|segment.FIN, 1, 502)
		say(server, client, segment.ACK, 502, 2)
	}
	return out
}
