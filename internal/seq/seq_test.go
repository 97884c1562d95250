package seq

import (
	"math/rand/v2"
	"strings"
	"testing"
)

var edges = []uint32{0, 1, 2, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0x80000002, 0xfffffffe, 0xffffffff}

// pairs runs f over all pairs of edges and many random ones, some of them close
// to each other or to the point opposite.
func pairs(t *testing.T, f func(t *testing.T, a, b uint32)) {
	for _, a := range edges {
		for _, b := range edges {
			f(t, a, b)
		}
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50_000 {
		a := r.Uint32()
		f(t, a, r.Uint32())
		f(t, a, a+edges[r.IntN(len(edges))])
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// ahead is the way from b forward to a, in 64 bits.
func ahead(a, b uint32) int64 {
	d := int64(a) - int64(b)
	if d < 0 {
		d += 1 << 32
	}
	return d
}

func TestOrderAgainst64Bits(t *testing.T) {
	const half = 1 << 31
	pairs(t, func(t *testing.T, a, b uint32) {
		x, y := Of(a), Of(b)
		d := ahead(a, b)
		if got, want := x.Before(y), d >= half; got != want {
			t.Errorf("%d.Before(%d) = %t", a, b, got)
		}
		if got, want := x.After(y), d > 0 && d <= half; got != want {
			t.Errorf("%d.After(%d) = %t", a, b, got)
		}
		want := d
		if d >= half {
			want -= 1 << 32
		}
		if got := x.Sub(y); int64(got) != want {
			t.Errorf("%d.Sub(%d) = %d, want %d", a, b, got, want)
		}
		if got := x.Ahead(y); int64(got) != d {
			t.Errorf("%d.Ahead(%d) = %d, want %d", a, b, got, d)
		}
		if got := y.Add(uint32(d)); got != x {
			t.Errorf("%d.Add(%d) = %s, want %d", b, d, got, a)
		}
		if x.Uint32() != a {
			t.Errorf("Of(%d) holds %d", a, x.Uint32())
		}
	})
}

// At the point opposite both hold, as with the kernel's before() and after().
func TestOppositeIsBeforeAndAfter(t *testing.T) {
	for _, e := range edges {
		a, b := Of(e), Of(e+1<<31)
		if !a.Before(b) || !a.After(b) || !b.Before(a) || !b.After(a) {
			t.Errorf("%s and %s", a, b)
		}
		if a.Before(a) || a.After(a) {
			t.Errorf("%s is before or after itself", a)
		}
	}
}

// The kernel's formula, in 64 bits: the segment begins at the left edge, or it
// ends behind it and begins before the right edge, or it is empty and stands on the
// right edge.
func inWindow(seq, end, left, right uint32) bool {
	const half = 1 << 31
	endBehind := ahead(end, left) > 0 && ahead(end, left) <= half
	beginsBefore := ahead(right, seq) > 0 && ahead(right, seq) <= half
	return seq == left || endBehind && beginsBefore || seq == right && seq == end
}

func TestInWindow(t *testing.T) {
	for _, c := range []struct {
		seq, end, left, right uint32
		want                  bool
	}{
		{100, 100, 100, 100, true}, // an empty segment and an empty window
		{100, 200, 100, 100, true}, // at the left edge nothing else counts
		{99, 99, 100, 200, false},
		{99, 100, 100, 200, false},
		{99, 101, 100, 200, true}, // the last byte is new
		{199, 199, 100, 200, true},
		{200, 200, 100, 200, true}, // a probe of a full window
		{200, 201, 100, 200, false},
		{201, 201, 100, 200, false},
		{0xffffffff, 1, 0, 10, true}, // around 0
		{9, 10, 0xfffffff0, 10, true},
		{10, 11, 0xfffffff0, 10, false},
		{0x80000064, 0x80000064, 100, 200, false}, // opposite: after the left edge, and not before the right one
	} {
		if got := Of(c.seq).InWindow(Of(c.end), Of(c.left), Of(c.right)); got != c.want {
			t.Errorf("[%d, %d) in [%d, %d): %t", c.seq, c.end, c.left, c.right, got)
		}
		if inWindow(c.seq, c.end, c.left, c.right) != c.want {
			t.Errorf("[%d, %d) in [%d, %d): the oracle says otherwise", c.seq, c.end, c.left, c.right)
		}
	}
	lengths := []uint32{0, 1, 1448, 65535, 1 << 30}
	pairs(t, func(t *testing.T, seq, left uint32) {
		for _, n := range lengths {
			for _, w := range lengths {
				if got := Of(seq).InWindow(Of(seq+n), Of(left), Of(left+w)); got != inWindow(seq, seq+n, left, left+w) {
					t.Errorf("[%d, %d) in [%d, %d): %t", seq, seq+n, left, left+w, got)
				}
			}
		}
	})
}

func TestParse(t *testing.T) {
	for text, want := range map[string]uint32{"0": 0, "1": 1, "0001": 1, "2147483648": 1 << 31, "4294967295": 1<<32 - 1} {
		got, err := Parse(text)
		if err != nil || got != Of(want) {
			t.Errorf("Parse(%q) = %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "-1", "+1", " 1", "1 ", "0x10", "1e9", "1_000", "1.0", "١", "seq",
		"4294967296", "40088018880", "18446744073709551615", "18446744073709551616",
	} {
		got, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) = %s", text, got)
		} else if got != (Num{}) {
			t.Errorf("Parse(%q) fails and returns %s", text, got)
		}
	}
	// A digit too many is the usual slip, and is named as one.
	if _, err := Parse("40088018880"); err == nil || !strings.Contains(err.Error(), "a digit too many") {
		t.Errorf("40088018880: %v", err)
	}
}

// What Parse takes is a number written in decimal, and String gives it back.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "4294967295", "4294967296", "007", "-1", "1e9", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		want := strings.TrimLeft(s, "0")
		if want == "" {
			want = "0"
		}
		if n.String() != want {
			t.Errorf("Parse(%q) = %s", s, n)
		}
	})
}
