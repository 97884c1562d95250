package lab

import (
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

func profile(t *testing.T, release string) kernel.Profile {
	t.Helper()
	p, err := kernel.ParseRelease(release)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLeftOverPrediction(t *testing.T) {
	for _, c := range []struct {
		release string
		cookies int
		want    string
	}{
		{"5.10.223", 1, "fresh"},
		{"6.1.176", 2, "cookie"},
		{"6.12.43", 0, "left over"},
		{"6.12.43", 2, "left over"}, // no cookie: the number is taken without a look at the sysctl
		{"6.12.117", 1, "fresh"},
		{"6.12.117", 2, "cookie"},
		{"6.9.0", 1, ""}, // not read
	} {
		p := profile(t, c.release)
		if got := leftOverPrediction(&p, c.cookies); got != c.want {
			t.Errorf("%s, tcp_syncookies=%d: %q, want %q", c.release, c.cookies, got, c.want)
		}
	}
}

func TestISNCells(t *testing.T) {
	r := newResult("isn", 1, profile(t, "6.12.43"))
	for _, c := range []struct {
		cell       ISNCell
		mismatches int // after it
		open       int
	}{
		{ISNCell{Predicted: "inherited", Seen: map[string]int{"inherited": 3}}, 0, 0},
		{ISNCell{Predicted: "", Seen: map[string]int{"fresh": 4}}, 0, 4},
		{ISNCell{Predicted: "clock line", Seen: map[string]int{"clock line": 2, "inherited": 1, "no SYN-ACK": 2}}, 3, 4},
	} {
		r.addISN(c.cell, "syn-accepted")
		open := 0
		for _, n := range r.Open {
			open += n
		}
		if r.Mismatches != c.mismatches || open != c.open {
			t.Errorf("after %+v: %d mismatches, %d open, want %d and %d", c.cell, r.Mismatches, open, c.mismatches, c.open)
		}
	}
	if r.Probes != 12 || r.Rules["syn-accepted"] != 12 || len(r.Kinds) != 1 || r.Kinds[0].Count != 3 {
		t.Errorf("%+v", r)
	}
	var out strings.Builder
	if err := r.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 clock line 1 inherited 2 no SYN-ACK (predicted: clock line)", "4 fresh (the model leaves it open)", "3 mismatches"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// What could not be judged is counted apart from what the model leaves open.
func TestSkippedIsNotOpen(t *testing.T) {
	var r Result
	r.Rules, r.Open = map[string]int{}, map[string]int{}
	for _, why := range []string{machineStood, notReached, limiterEnds, "the model leaves it open: kernel", ""} {
		if err := r.add(t.Context(), &Story{}, &Outcome{Unsure: why}, kernel.Profile{}); err != nil {
			t.Fatal(err)
		}
	}
	if r.Skipped != 3 || len(r.SkippedFor) != 3 || len(r.Open) != 1 {
		t.Errorf("%d skipped: %v, open: %v", r.Skipped, r.SkippedFor, r.Open)
	}
}
