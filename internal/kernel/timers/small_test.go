package timers

import (
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

func TestFinWait2(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		release    string
		timeout    time.Duration
		rto        time.Duration
		from, less float64 // seconds: the bounds without slack
	}{
		{"6.18.44", 60 * s, 0, 60, 67.5},
		{"6.18.44", 10 * s, 0, 10, 11.25},
		{"6.18.44", s / 2, 0, 0.7, 0.7875}, // 3.5 RTO
		{"6.18.44", s, 10 * s, 35, 39.375},
		{"4.4.155", 60 * s, 0, 60, 60},
		{"4.4.155", 10 * s, 0, 10, 10},
		{"3.10.65", 60 * s, 0, 52.5, 60},
		{"3.10.65", 10 * s, 0, 15, 22.5},
		{"3.10.65", 4 * s, 0, 4, 4.32},
		{"6.18.44", 90 * s, 0, 59.53, 67.56}, // 30 s whole, 30 s small
		{"", 10 * s, 0, 10, 22.5},
	} {
		var p kernel.Profile
		if c.release != "" {
			var err error
			if p, err = kernel.ParseRelease(c.release); err != nil {
				t.Fatal(err)
			}
		}
		from, to := FinWait2(p, c.timeout, c.rto)
		near := func(got time.Duration, want float64) bool {
			return got.Seconds() > want-0.02 && got.Seconds() < want+0.02
		}
		if !near(from+s/10, c.from) || !near(to-s, c.less) {
			t.Errorf("%q, tcp_fin_timeout %v, RTO %v: %v to %v, want %v to %v", c.release, c.timeout, c.rto, from, to, c.from, c.less)
		}
	}
}
