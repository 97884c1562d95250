package replay_test

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/replay"
	"github.com/tcpwhy/tcpwhy/internal/scenario"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// server is the end of 10.0.0.2, a kernel with its defaults.
func server(t testing.TB, release string) *replay.Host {
	t.Helper()
	p, err := kernel.ParseRelease(release)
	if err != nil {
		t.Fatal(err)
	}
	return &replay.Host{
		Host: kernel.Host{
			Profile: p, Timestamps: kernel.Yes, RFC1337: kernel.No, Recycle: kernel.No, AbortOnOverflow: kernel.No,
			RateLimit: kernel.Duration{Duration: kernel.DefaultRateLimit, Known: true},
		},
		Owns:         owns("10.0.0.2"),
		SynCookies:   kernel.Known(seq.Of(1)),
		MaxTWBuckets: kernel.Known(seq.Of(131072)),
		FinTimeout:   kernel.Duration{Duration: time.Minute, Known: true},
		Reuse:        kernel.Known(seq.Of(2)),
	}
}

func owns(addr string) func(segment.Addr) bool {
	return func(a segment.Addr) bool { return a.String() == addr }
}

func story(t testing.TB, lines ...string) []segment.Segment {
	t.Helper()
	s, err := scenario.Read("story", strings.NewReader("# A story.\n"+strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return s.Segments
}

const (
	open = `0.000  < S 100:100(0) win 64240 <mss 1460>
+0.001 > S. 200:200(0) ack 101 win 64240 <mss 1460>
+0.001 < . 101:101(0) ack 201 win 64240`
	// closed ends in the server's TIME_WAIT.
	closed = open + `
+0.001 > F. 201:201(0) ack 101 win 64240
+0.001 < F. 101:101(0) ack 202 win 64240
+0.001 > . 202:202(0) ack 102 win 64240`
	// idle is long enough for every answer to be overdue.
	idle = "+1.000 < R 7:7(0) win 0"
)

// TestStories: what a server's kernel may do, and what it may not. frame is the first
// that contradicts the model, 0 for none.
func TestStories(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lines   string
		frame   uint64
		missing bool
	}{
		{"a handshake", open, 0, false},
		{"a close", closed, 0, false},
		{"a SYN-ACK out of nothing", "0.000 > S. 200:200(0) ack 101 win 64240", 0, false}, // older than the capture
		{"a SYN-ACK that acknowledges another SYN", "0.000 < S 100:100(0) win 64240\n+0.001 > S. 200:200(0) ack 102 win 64240", 2, false},
		{"a bare ACK for a SYN that met nothing", "0.000 < S 100:100(0) win 64240\n+0.001 > . 200:200(0) ack 101 win 64240", 2, false},
		{"a refusal", "0.000 < S 100:100(0) win 64240\n+0.001 > R. 0:0(0) ack 101 win 0", 0, false},
		{"a refusal with a wrong number", "0.000 < S 100:100(0) win 64240\n+0.001 > R. 0:0(0) ack 100 win 0", 2, false},
		{"a SYN without an answer", "0.000 < S 100:100(0) win 64240\n" + idle, 1, true},
		{"a SYN-ACK repeated after 1 s and 2 s", "0.000 < S 100:100(0) win 64240\n+0.001 > S. 200:200(0) ack 101 win 64240\n" +
			"+1.010 > S. 200:200(0) ack 101 win 64240\n+2.010 > S. 200:200(0) ack 101 win 64240", 0, false},
		{"a SYN-ACK repeated after 1 s and 1 s", "0.000 < S 100:100(0) win 64240\n+0.001 > S. 200:200(0) ack 101 win 64240\n" +
			"+1.010 > S. 200:200(0) ack 101 win 64240\n+1.010 > S. 200:200(0) ack 101 win 64240", 4, false},
		{"a SYN-ACK repeated with another ISN", "0.000 < S 100:100(0) win 64240\n+0.001 > S. 200:200(0) ack 101 win 64240\n" +
			"+1.010 > S. 201:201(0) ack 101 win 64240", 3, false},

		{"data, acknowledged", open + "\n+0.001 < P. 101:111(10) ack 201 win 64240\n+0.040 > . 201:201(0) ack 111 win 64230", 0, false},
		{"data, never acknowledged", open + "\n+0.001 < P. 101:111(10) ack 201 win 64240\n" + idle, 4, true},
		{"data, acknowledged too far", open + "\n+0.001 < P. 101:111(10) ack 201 win 64240\n+0.040 > . 201:201(0) ack 112 win 64230", 5, false},
		{"an ACK that nothing asked for", open + "\n+0.500 > . 201:201(0) ack 101 win 64240", 4, false},
		{"a window that opens", open + "\n+0.500 > . 201:201(0) ack 101 win 64241", 0, false},
		{"data beyond a hole is acknowledged at once", open + "\n+0.001 < P. 111:121(10) ack 201 win 64240\n+0.001 > . 201:201(0) ack 101 win 64240\n" +
			"+0.001 < P. 101:111(10) ack 201 win 64240\n+0.001 > . 201:201(0) ack 121 win 64220", 0, false},
		{"the hole is not filled by itself", open + "\n+0.001 < P. 111:121(10) ack 201 win 64240\n+0.001 > . 201:201(0) ack 121 win 64240", 5, false},
		{"a keepalive of the peer is answered", open + "\n+9.000 < . 100:100(0) ack 201 win 64240\n+0.001 > . 201:201(0) ack 101 win 64240", 0, false},
		{"sent beyond the peer's window", "0.000 < S 100:100(0) win 10\n+0.001 > S. 200:200(0) ack 101 win 64240\n+0.001 < . 101:101(0) ack 201 win 10\n" +
			"+0.001 > P. 201:221(20) ack 101 win 64240", 4, false},
		{"repeated after 200 ms and 400 ms", open + "\n+0.001 > P. 201:211(10) ack 101 win 64240\n+0.205 > P. 201:211(10) ack 101 win 64240\n+0.410 > P. 201:211(10) ack 101 win 64240", 0, false},
		{"repeated after 50 ms", open + "\n+0.001 > P. 201:211(10) ack 101 win 64240\n+0.050 > P. 201:211(10) ack 101 win 64240", 5, false},
		{"never repeated", open + "\n+0.001 > P. 201:211(10) ack 101 win 64240\n+4.000 < R 7:7(0) win 0", 4, true},
		{"repeated though acknowledged", open + "\n+0.001 > P. 201:211(10) ack 101 win 64240\n+0.001 < . 101:101(0) ack 211 win 64240\n+0.205 > P. 201:211(10) ack 101 win 64240", 6, false},
		{"an abort", open + "\n+0.001 > R. 201:201(0) ack 101 win 0", 0, false},
		{"an abort with another number", open + "\n+0.001 > R. 202:202(0) ack 101 win 0", 4, false},
		{"data behind the own FIN", open + "\n+0.001 > F. 201:201(0) ack 101 win 64240\n+0.001 > P. 202:212(10) ack 101 win 64240", 5, false},
		{"data for an application that has closed", open + "\n+0.001 > F. 201:201(0) ack 101 win 64240\n+0.001 < P. 101:111(10) ack 202 win 64240\n+0.001 > R 202:202(0) win 0", 0, false},
		{"data for one that has only shut down", open + "\n+0.001 > F. 201:201(0) ack 101 win 64240\n+0.001 < P. 101:111(10) ack 202 win 64240\n+0.001 > . 202:202(0) ack 111 win 64230", 0, false},
		{"a SYN into a connection is challenged", open + "\n+1.000 < S 5000:5000(0) win 64240\n+0.001 > . 201:201(0) ack 101 win 64240", 0, false},
		{"a SYN into a connection is not accepted", open + "\n+1.000 < S 5000:5000(0) win 64240\n+0.001 > S. 9000:9000(0) ack 5001 win 64240", 5, false},

		{"an old SYN into TIME_WAIT is acknowledged", closed + "\n+1.000 < S 50:50(0) win 64240\n+0.001 > . 202:202(0) ack 102 win 64240", 0, false},
		{"an old SYN into TIME_WAIT without an answer", closed + "\n+1.000 < S 50:50(0) win 64240\n" + idle, 7, true},
		{"a second one within 500 ms is not", closed + "\n+1.000 < S 50:50(0) win 64240\n+0.001 > . 202:202(0) ack 102 win 64240\n" +
			"+0.100 < S 50:50(0) win 64240\n+0.001 > . 202:202(0) ack 102 win 64240", 10, false},
		{"an old SYN into TIME_WAIT is not accepted", closed + "\n+1.000 < S 50:50(0) win 64240\n+0.001 > S. 15625200:15625200(0) ack 51 win 64240", 8, false},
		{"after 61 s it is", closed + "\n+61.500 < S 50:50(0) win 64240\n+0.001 > S. 961000000:961000000(0) ack 51 win 64240", 0, false},
		{"with an ISN that is not on the clock line", closed + "\n+61.500 < S 50:50(0) win 64240\n+0.001 > S. 15000000:15000000(0) ack 51 win 64240", 8, false},
		{"a newer SYN into TIME_WAIT is accepted", closed + "\n+1.000 < S 500:500(0) win 64240\n+0.001 > S. 65739:65739(0) ack 501 win 64240", 0, false},
		{"a newer SYN into TIME_WAIT with a clock ISN", closed + "\n+1.000 < S 500:500(0) win 64240\n+0.001 > S. 15625200:15625200(0) ack 501 win 64240", 8, false},
		{"a RST ends TIME_WAIT", closed + "\n+1.000 < R 102:102(0) win 0\n+1.000 < S 50:50(0) win 64240\n+0.001 > S. 31300000:31300000(0) ack 51 win 64240", 0, false},
		{"the FIN again is acknowledged", closed + "\n+0.200 < F. 101:101(0) ack 202 win 64240\n+0.001 > . 202:202(0) ack 102 win 64240", 0, false},
		{"the FIN again gets no RST", closed + "\n+0.200 < F. 101:101(0) ack 202 win 64240\n+0.001 > R 202:202(0) win 0", 8, false},
	} {
		res := replay.Replay(server(t, "6.18.44"), story(t, tt.lines))
		switch u := res.Unexplained; {
		case u == nil && tt.frame != 0:
			t.Errorf("%s: explained, want frame %d", tt.name, tt.frame)
		case u != nil && (u.Frame != tt.frame || u.Missing != tt.missing):
			t.Errorf("%s: %s; want frame %d", tt.name, u, tt.frame)
		}
	}
}

// The opener's schedule differs by version: from 6.5 on it doubles only behind the
// first four repeats.
func TestOpener(t *testing.T) {
	syns := func(times ...string) string {
		b := "0.000 > S 100:100(0) win 64240"
		for _, at := range times {
			b += "\n" + at + " > S 100:100(0) win 64240"
		}
		return b
	}
	for _, tt := range []struct {
		release, lines string
		frame          uint64
	}{
		{"5.10.223", syns("1.0", "3.0", "7.0"), 0},
		{"6.18.44", syns("1.0", "2.0", "3.0", "4.0", "5.0", "7.0", "11.0"), 0},
		{"5.10.223", syns("1.0", "2.0"), 3},
		{"6.18.44", syns("1.0", "3.0"), 3},
		{"6.18.44", syns("0.5"), 2},
		{"5.10.223", "0.000 > S 100:100(0) win 64240\n+0.001 < . 900:900(0) ack 500 win 9\n+0.001 > R 500:500(0) win 0\n+0.010 > S 100:100(0) win 64240", 0},
		{"5.10.223", "0.000 > S 100:100(0) win 64240\n+0.001 < . 900:900(0) ack 500 win 9\n+0.001 > R 501:501(0) win 0", 3},
		{"4.19.100", "0.000 > S 100:100(0) win 64240\n+0.001 < . 900:900(0) ack 500 win 9\n+0.001 > R 500:500(0) win 0\n+0.010 > S 100:100(0) win 64240", 4},
		{"6.18.44", "0.000 > S 100:100(0) win 64240\n+0.001 < S. 900:900(0) ack 101 win 9\n+0.001 > . 101:101(0) ack 901 win 64240", 0},
		{"6.18.44", "0.000 > S 100:100(0) win 64240\n+0.001 < S. 900:900(0) ack 102 win 9\n+0.001 > . 101:101(0) ack 901 win 64240", 3},
		{"6.18.44", "0.000 > S 100:100(0) win 64240\n+0.001 < S. 900:900(0) ack 101 win 9\n" + idle, 2},
	} {
		res := replay.Replay(server(t, tt.release), story(t, tt.lines))
		got := uint64(0)
		if res.Unexplained != nil {
			got = res.Unexplained.Frame
		}
		if got != tt.frame {
			t.Errorf("%s: %s\n%v, want frame %d", tt.release, tt.lines, res.Unexplained, tt.frame)
		}
	}
}

// With less known of the host there are more possible courses, never another one:
// what the whole knowledge explains, less of it explains as well.
func TestLessKnownExplainsMore(t *testing.T) {
	segs := story(t, closed+"\n+1.000 < S 50:50(0) win 64240\n+0.001 > . 202:202(0) ack 102 win 64240\n"+
		"+0.001 < R 102:102(0) win 0\n+1.000 < S 50:50(0) win 64240\n+0.001 > S. 31300000:31300000(0) ack 51 win 64240")
	for _, forget := range []func(*replay.Host){
		func(h *replay.Host) { h.Profile = kernel.Profile{} },
		func(h *replay.Host) { h.RFC1337 = kernel.Unknown },
		func(h *replay.Host) { h.Recycle = kernel.Unknown },
		func(h *replay.Host) { h.RateLimit = kernel.Duration{} },
		func(h *replay.Host) { h.Timestamps = kernel.Unknown },
		func(h *replay.Host) { h.SynCookies = kernel.Num{} },
		func(h *replay.Host) { h.MaxTWBuckets = kernel.Num{} },
		func(h *replay.Host) { *h = replay.Host{Owns: h.Owns} },
	} {
		h := server(t, "6.18.44")
		forget(h)
		if res := replay.Replay(h, segs); res.Unexplained != nil {
			t.Errorf("%+v: %s", *h, res.Unexplained)
		}
	}
}

// randomSegments draws segments between two hosts whose numbers lie so close that
// they often meet.
func randomSegments(r *rand.Rand) []segment.Segment {
	a := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 1}), Port: 1}
	b := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 2}), Port: 2}
	edges := []uint32{0, 1, 2, 99, 100, 101, 102, 200, 201, 202, 1 << 31, 1<<31 - 1, 1<<32 - 1}
	num := func() seq.Num { return seq.Of(edges[r.IntN(len(edges))] + uint32(r.IntN(2))) }
	var out []segment.Segment
	now := int64(1e18)
	for i := range 1 + r.IntN(40) {
		now += r.Int64N(int64(2 * time.Second))
		s := segment.Segment{
			Ref: segment.Ref{Frame: uint64(i + 1), Time: now}, Src: a, Dst: b, Seq: num(), Ack: num(),
			Flags: segment.Flags(r.IntN(64)), Window: uint16(r.Uint32()), Len: uint32(r.IntN(3)),
		}
		if r.IntN(2) == 0 {
			s.Src, s.Dst = b, a
		}
		if r.IntN(2) == 0 {
			s.Options |= segment.OptTimestamps
			s.TSVal, s.TSEcr = num(), num()
		}
		if r.IntN(4) == 0 {
			s.Options |= segment.OptWScale
			s.WScale = uint8(r.Uint32())
		}
		out = append(out, s)
	}
	return out
}

// TestAnyInput: whatever a capture holds, a replay ends, and what contradicts the
// beginning of a capture contradicts the whole at the same frame.
func TestAnyInput(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 2000 {
		segs := randomSegments(r)
		host := server(t, []string{"6.18.44", "5.10.223", "3.10.0-1127.el7.x86_64", "2.6.32"}[r.IntN(4)])
		whole := replay.Replay(host, segs)
		part := replay.Replay(host, segs[:r.IntN(len(segs)+1)])
		if part.Unexplained != nil && (whole.Unexplained == nil || whole.Unexplained.Frame != part.Unexplained.Frame) {
			t.Fatalf("the beginning: %v, the whole: %v", part.Unexplained, whole.Unexplained)
		}
		sum := 0
		for _, n := range whole.By {
			sum += n
		}
		if want := whole.Sent; whole.Unexplained != nil && !whole.Unexplained.Missing && sum != want-1 || whole.Unexplained == nil && sum != want {
			t.Fatalf("%d sent, %d explained, %v", whole.Sent, sum, whole.Unexplained)
		}
	}
}

// The order of four-tuples in a capture decides nothing about each of them.
func TestTuplesAreApart(t *testing.T) {
	one := story(t, closed+"\n+1.000 < S 50:50(0) win 64240\n+0.001 > . 202:202(0) ack 102 win 64240")
	other := slices.Clone(one)
	for i := range other {
		s := &other[i]
		s.Frame += 100
		for _, e := range []*segment.Endpoint{&s.Src, &s.Dst} {
			if e.Addr.String() == "10.0.0.1" {
				e.Port++
			}
		}
	}
	all := slices.Concat(one, other)
	slices.SortStableFunc(all, func(a, b segment.Segment) int { return cmp.Compare(a.Time, b.Time) })
	a, b := replay.Replay(server(t, "6.18.44"), one), replay.Replay(server(t, "6.18.44"), all)
	if b.Unexplained != nil || b.Sent != 2*a.Sent {
		t.Errorf("%d and %d sent, %v", a.Sent, b.Sent, b.Unexplained)
	}
}

// FuzzReplay reads a story from any bytes: nothing may panic, and every frame is
// accounted for.
func FuzzReplay(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		segs := randomSegments(rand.New(rand.NewPCG(a, b)))
		h := server(t, "6.18.44")
		if a&1 != 0 {
			*h = replay.Host{Owns: h.Owns}
		}
		res := replay.Replay(h, segs)
		if res.Arrived+res.Sent > len(segs) {
			t.Errorf("%d arrived, %d sent, of %d", res.Arrived, res.Sent, len(segs))
		}
	})
}

func TestSettings(t *testing.T) {
	h, err := replay.NewHost("5.10.223")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range [][2]string{{"net.ipv4.tcp_rfc1337", "1"}, {"tcp_invalid_ratelimit", "250"}, {"tcp_syn_retries", "4294967295"}} {
		if err := h.Set(s[0], s[1]); err != nil {
			t.Error(err)
		}
	}
	if h.RFC1337 != kernel.Yes || h.RateLimit.Duration != 250*time.Millisecond || !h.RateLimit.Known || !h.Timers.SynRetries.Set || h.Timestamps != kernel.Unknown {
		t.Errorf("%+v", h)
	}
	if asked := (*replay.NotAsked)(nil); !errors.As(h.Set("tcp_sack", "1"), &asked) {
		t.Error("tcp_sack is asked for")
	}
	if h.Set("tcp_rfc1337", "yes") == nil {
		t.Error("a value that is no number is taken")
	}
	if _, err := replay.NewHost("new"); err == nil {
		t.Error("a kernel named new")
	}
}
