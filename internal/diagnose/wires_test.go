package diagnose

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// A wireList holds what a map would.
func TestWireList(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var l wireList
	want := map[uint64]uint32{}
	frame := uint64(0)
	check := func() {
		t.Helper()
		for f := range frame + 2 {
			w, ok := l.of(f)
			if length, known := want[f]; ok != known || w.Length != length {
				t.Fatalf("%d held, frame %d: %v, %v, want %v, %v", len(want), f, ok, w.Length, known, length)
			}
		}
		var all []uint64
		l.each(func(w *wire) bool { all = append(all, w.frame); return true })
		if !slices.Equal(all, slices.Sorted(maps.Keys(want))) {
			t.Fatalf("%d held: each hands out %d, not in order or not all", len(want), len(all))
		}
	}
	check()
	for round := range 3 {
		for n := 0; !l.full(); n++ {
			frame += 1 + rnd.Uint64N(3)
			want[frame] = rnd.Uint32() | 1
			l.add(wire{segment.Wire{Known: true, Length: want[frame]}, frame, segment.Addr{}})
			if n < 3 || n > wireBlock-3 && n < wireBlock+3 {
				check()
				l.forget() // there is room
			}
		}
		check()
		if len(want) != maxWires {
			t.Fatalf("round %d: full with %d", round, len(want))
		}
		frames := slices.Sorted(maps.Keys(want))
		for _, f := range frames[:maxWires/2] {
			delete(want, f)
		}
		l.forget()
		check()
	}
}
