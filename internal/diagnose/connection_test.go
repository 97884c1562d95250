package diagnose

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// TestDateCache: the fast way to write a time gives what the contract's own way
// gives, whatever was written before.
func TestDateCache(t *testing.T) {
	var d dateCache
	same := func(t interface{ Errorf(string, ...any) }, ns int64) {
		if got, want := string(d.append(nil, ns)), report.FormatTime(ns); got != want {
			t.Errorf("%d ns: %s, want %s", ns, got, want)
		}
	}
	const day = 24 * 3600 * 1e9
	for _, ns := range []int64{
		0, 1, -1, 999_999_999, 1e9, day - 1, day, day + 1, -day, -day - 1, -day + 1,
		951782400e9,            // 29 February 2000
		1767225599_999_999_999, // the last nanosecond of 2025
		1<<63 - 1, -1 << 63,
	} {
		same(t, ns)
	}
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64().Draw(t, "ns")
		same(t, ns)
		same(t, ns+rapid.Int64Range(0, 2*day).Draw(t, "later"))
	})
}
