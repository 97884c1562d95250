package report

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// An idSet counts as a set of strings does: also ids that do not count, and those that only look as if.
func TestIDSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(
			rapid.Map(rapid.Uint64Range(0, 200), func(n uint64) string { return fmt.Sprintf("c%d", n) }),
			rapid.Map(rapid.Uint64(), func(n uint64) string { return fmt.Sprintf("c%d", n) }),
			rapid.Map(rapid.Uint64Range(0, 9), func(n uint64) string { return fmt.Sprintf("c%04d", n) }),
			rapid.SampledFrom([]string{"", "c", "c+1", "c-1", "c1_0", "c01", "a/c1", "1", fmt.Sprintf("c%d0", uint64(math.MaxUint64))}),
		)
		var s idSet
		want := map[string]bool{}
		for range rapid.IntRange(0, 300).Draw(t, "adds") {
			x := id.Draw(t, "id")
			s.add(x)
			want[x] = true
			if s.n != len(want) {
				t.Fatalf("%d ids after %q, want %d", s.n, x, len(want))
			}
		}
	})
}
