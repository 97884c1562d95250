package capture

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever the runs, each frame is found where it came from.
func TestRunList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l runList
		type at struct {
			source int
			frame  uint64
		}
		var want []at
		seen := map[int]uint64{}
		sources := rapid.SampledFrom([]int{1, 2, 3, 300}).Draw(t, "sources")
		for range rapid.IntRange(0, 3000).Draw(t, "runs") {
			s := rapid.IntRange(0, sources-1).Draw(t, "source")
			l.add(run{uint64(len(want)) + 1, seen[s] + 1, s})
			for range rapid.IntRange(1, 3).Draw(t, "length") {
				seen[s]++
				want = append(want, at{s, seen[s]})
			}
		}
		for i, w := range want {
			if s, n, ok := l.find(uint64(i + 1)); !ok || s != w.source || n != w.frame {
				t.Fatalf("frame %d: %d, %d, %v; want %+v", i+1, s, n, ok, w)
			}
		}
		if _, _, ok := l.find(0); ok {
			t.Fatal("frame 0 is found")
		}
	})
}

// Past its bound the list forgets the oldest frames and keeps the others.
func TestRunListForgets(t *testing.T) {
	var l runList
	const n = 4_000_000
	for i := range uint64(n) {
		l.add(run{i + 1, i/2 + 1, int(i % 2)})
	}
	if len(l.blocks) > maxRunBlocks {
		t.Fatalf("%d blocks", len(l.blocks))
	}
	known := 0
	for _, f := range []uint64{1, 1000, n / 2, n - 2_000_000, n - 1_000_001, n - 1, n} {
		s, at, ok := l.find(f)
		if ok {
			known++
		} else if known > 0 || f >= n-2_000_000 {
			t.Errorf("frame %d is forgotten", f)
		}
		if ok && (s != int((f-1)%2) || at != (f-1)/2+1) {
			t.Errorf("frame %d: %d, %d", f, s, at)
		}
	}
	if _, _, ok := l.find(1); ok {
		t.Error("the first frame is still known")
	}
}
