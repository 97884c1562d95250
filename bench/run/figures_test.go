//go:build linux

package main

import (
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		s    spread
		want string
	}{
		{spread{2}, "2.00 (2.00-2.00)"},
		{spread{3, 1}, "2.00 (1.00-3.00)"},
		{spread{9, 1, 2}, "2.00 (1.00-9.00)"},
	} {
		if got := tt.s.String(); got != tt.want {
			t.Errorf("%v: got %s, want %s", []float64(tt.s), got, tt.want)
		}
	}
}

// TestOver: a ratio is that of one round, not of the medians.
func TestOver(t *testing.T) {
	a := runs{{cpu: 2 * time.Second}, {cpu: 9 * time.Second}, {cpu: 4 * time.Second}}
	b := runs{{cpu: 1 * time.Second}, {cpu: 3 * time.Second}, {cpu: 4 * time.Second}}
	if got, want := a.over(b).String(), "2.00 (1.00-3.00)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if cpu, _ := a.perPacket(1e9); cpu.median() != 4 {
		t.Errorf("got %v ns a packet, want 4", cpu.median())
	}
}

// TestLess: each finding is free by a fixed time, in every round.
func TestLess(t *testing.T) {
	r := runs{{cpu: time.Second, user: time.Second}}.less(1000)
	if got, want := r[0].cpu, time.Second-1000*freeFinding; got != want || r[0].user != time.Second {
		t.Errorf("got %v, want %v of CPU time, and the user time as it was", got, want)
	}
}
