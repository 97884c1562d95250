package report

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFormatTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 4e18), rapid.SampledFrom([]int64{0, 1, -1, 1e9, math.MaxInt64, math.MinInt64})).Draw(t, "ns")
		if got, want := FormatTime(ns), time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z"); got != want {
			t.Fatalf("%d is %s, want %s", ns, got, want)
		}
	})
}
