package flow

import (
	"math/rand"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// shortConnections interleaves whole connections, a number of them at a time,
// each with ten segments.
func shortConnections(t testing.TB, n, atOnce int) []segment.Segment {
	story := mustStory(t, `
0.000 < S 100:100(0) win 64240 <mss 1460,TS val 900 ecr 0>
0.010 > S. 200:200(0) ack 101 win 65160 <mss 1400,TS val 5000 ecr 900>
0.011 < . 101:101(0) ack 201 win 502 <nop,nop,TS val 911 ecr 5000>
0.020 < P. 101:111(10) ack 201 win 502 <nop,nop,TS val 920 ecr 5000>
0.021 > . 201:201(0) ack 111 win 502 <nop,nop,TS val 5010 ecr 920>
0.022 > P. 201:301(100) ack 111 win 502 <nop,nop,TS val 5020 ecr 920>
0.030 > F. 301:301(0) ack 111 win 509 <nop,nop,TS val 5020 ecr 920>
0.040 < . 111:111(0) ack 302 win 502 <nop,nop,TS val 940 ecr 5020>
0.041 < F. 111:111(0) ack 302 win 502 <nop,nop,TS val 940 ecr 5020>
0.050 > . 302:302(0) ack 112 win 509 <nop,nop,TS val 5040 ecr 940>
`)
	return interleave(story, n, atOnce)
}

// openConnections interleaves connections that are never closed.
func openConnections(t testing.TB, n int) []segment.Segment {
	story := mustStory(t, `
0.000 < S 100:100(0) win 64240 <mss 1460,TS val 900 ecr 0>
0.010 > S. 200:200(0) ack 101 win 65160 <mss 1400,TS val 5000 ecr 900>
0.011 < . 101:101(0) ack 201 win 502 <nop,nop,TS val 911 ecr 5000>
0.020 < P. 101:111(10) ack 201 win 502 <nop,nop,TS val 920 ecr 5000>
`)
	return interleave(story, n, n)
}

func interleave(story []segment.Segment, n, atOnce int) []segment.Segment {
	r := rand.New(rand.NewSource(1))
	out := make([]segment.Segment, 0, n*len(story))
	type place struct{ conn, step int }
	var live []place
	for next := 0; next < n || len(live) > 0; {
		for len(live) < atOnce && next < n {
			live = append(live, place{next, 0})
			next++
		}
		i := r.Intn(len(live))
		p := &live[i]
		s := story[p.step]
		own := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 1, byte(p.conn % 5000 >> 8), byte(p.conn % 5000)}), Port: uint16(1024 + p.conn/5000)}
		if s.Src == client {
			s.Src = own
		} else {
			s.Dst = own
		}
		s.Frame = uint64(len(out) + 1)
		s.SourceFrame = s.Frame
		s.Time = int64(len(out)) * int64(10*time.Microsecond)
		out = append(out, s)
		if p.step++; p.step == len(story) {
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
	}
	return out
}

// BenchmarkTable gives the time a segment takes, from first to Close, with a Sink that does nothing.
func BenchmarkTable(b *testing.B) {
	for _, c := range []struct {
		name string
		segs []segment.Segment
	}{
		{"short", shortConnections(b, 20_000, 2_000)},
		{"open", openConnections(b, 50_000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run(c.segs, &nothing{}, 64)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(c.segs)), "ns/segment")
		})
	}
}
