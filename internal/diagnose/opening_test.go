package diagnose

import (
	"testing"
	"time"
)

// The times at which listeners with TCP_DEFER_ACCEPT of 1 to 60 s repeated their SYN-ACK on 6.18, and times
// between them.
func TestDeferTime(t *testing.T) {
	for _, x := range []struct {
		s    float64
		want bool
	}{
		{1.05, true}, {3.05, true}, {7.25, true}, {15.56, true}, {31.58, true}, {64.84, true}, {1, true}, {63, true},
		{0.5, false}, {2, false}, {4, false}, {5, false}, {9, false}, {10, false}, {21, false}, {45, false}, {70, false}, {127, false},
	} {
		if got := deferTime(time.Duration(x.s * 1e9)); got != x.want {
			t.Errorf("deferTime(%v s) = %v", x.s, got)
		}
	}
}
