package kernel

import (
	"fmt"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// The words of a comparison are what fmt makes of them.
func TestCompareWords(t *testing.T) {
	a, b, c := seq.Of(0), seq.Of(4294967295), seq.Of(1001)
	for _, format := range []string{
		"seq %s, rcv_nxt %s", "%s%s", "seq %s lies within the window %s to %s", "no number",
		"after(%[1]s, %[2]s) = true: seq %[1]s is after rcv_nxt %[2]s", "%[2]s and %s", "ends with %[3]s",
	} {
		got := Compare(true, format, a, b, c).Because()
		// The formats name two, three or none of them: what fmt says of those left over is cut off.
		want := fmt.Sprintf(format+"%[4]s", a, b, c, "|")
		if got+"|" != want {
			t.Errorf("%q: %q, want %q", format, got, want)
		}
	}
}
