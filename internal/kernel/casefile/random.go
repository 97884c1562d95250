package casefile

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var seed = flag.Uint64("seed", 0, "draw the random cases that a failed test with this seed drew; 0: others each time")

// Random returns a source for random cases; a test that fails says its seed.
func Random(t *testing.T) *rand.Rand {
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the same again: -seed %d", n)
		}
	})
	return rand.New(rand.NewPCG(n, 0))
}
