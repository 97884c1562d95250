package pasted_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/pasted"
)

// TestClock reads columns of times. The seconds wanted are since the first packet.
func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name  string
		times []string
		tsval []uint32 // 0: none
		want  []float64
		codes string
	}{
		{"clock", []string{"10:00:00.5", "10:00:01.5", "10:00:01.4"}, nil, []float64{0, 1, 0.9}, "date-missing"},
		{"clock over midnight", []string{"23:59:59.900000", "00:00:00.100000", "23:59:59.999000"}, nil, []float64{0, 0.2, 86400.099}, "date-missing"},
		{"dates", []string{"2024-02-28 23:59:59.900000", "2024-02-29 00:00:00.100000"}, nil, []float64{0, 0.2}, ""},
		{"ISO dates", []string{"2024-02-28T23:59:59.900Z", "2024-02-29T00:00:00.100Z"}, nil, []float64{0, 0.2}, ""},
		{"epoch", []string{"1700000000.000001", "1700000001.000001"}, nil, []float64{0, 1}, ""},
		{"deltas that go down", []string{"00:00:00.000000", "00:00:00.100000", "00:00:00.000100", "00:00:03.000000", "00:00:00.000100"}, nil, []float64{0, 0.1, 0.1001, 3.1001, 3.1002}, "date-missing times-deltas"},
		{"deltas by the senders' clock", []string{"00:00:00.000000", "00:00:01.000000", "00:00:02.000000", "00:00:04.000000"}, []uint32{1000, 2000, 4000, 8000}, []float64{0, 1, 3, 7}, "date-missing times-deltas"},
		{"a clock by the senders' clock", []string{"00:00:00.000000", "00:00:01.000000", "00:00:03.000000", "00:00:07.000000"}, []uint32{1000, 2000, 4000, 8000}, []float64{0, 1, 3, 7}, "date-missing"},
		{"deltas or not", []string{"00:00:00.000000", "00:00:01.000000", "00:00:03.000000"}, nil, []float64{0, 1, 3}, "date-missing times-guessed"},
		{"out of order", []string{"0.000000", "0.100000", "0.099900", "0.200000", "0.199900", "0.300000"}, nil, []float64{0, 0.1, 0.0999, 0.2, 0.1999, 0.3}, "date-missing"},
		{"to the second", []string{"10:00:00", "10:00:01"}, nil, []float64{0, 1}, "date-missing times-coarse"},
		{"backwards", []string{"10:00:05.000000", "10:00:01.000000"}, nil, []float64{0, -4}, "clock-backwards date-missing"},
		{"missing in between", []string{"10:00:05.000000", "", "10:00:06.000000"}, nil, []float64{0, 0.01, 1}, "date-missing times-missing"},
		{"a day that does not exist", []string{"2023-02-30 00:00:00.000000", "2023-03-02 00:00:01.000000"}, nil, []float64{0, 1}, ""},
		{"no time of day", []string{"10:61:00.000000", "10:00:00.000000"}, nil, []float64{0, 36000}, "date-missing times-missing"},
	} {
		var b strings.Builder
		for i, at := range tt.times {
			opts := "mss 1460"
			if tt.tsval != nil {
				opts = fmt.Sprintf("mss 1460,sackOK,TS val %d ecr 0", tt.tsval[i])
			}
			fmt.Fprintf(&b, "%s IP 10.0.0.1.%d > 10.0.0.2.80: Flags [S], seq 4000000000, win 64240, options [%s], length 0\n", at, 4000+i, opts)
		}
		x := pasted.Parse([]byte(b.String()))
		if len(x.Packets) != len(tt.want) {
			t.Errorf("%s: %d packets", tt.name, len(x.Packets))
			continue
		}
		for i := range x.Packets {
			got := float64(x.Packets[i].Time-x.Packets[0].Time) / 1e9
			if d := got - tt.want[i]; d > 1e-9 || d < -1e-9 {
				t.Errorf("%s: packet %d is at %v, want %v", tt.name, i, got, tt.want[i])
			}
		}
		var codes []string
		for _, w := range x.Warnings {
			codes = append(codes, w.Code)
		}
		if got := strings.Join(codes, " "); got != tt.codes {
			t.Errorf("%s: warnings %q, want %q", tt.name, got, tt.codes)
		}
	}
}
