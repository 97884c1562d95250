package lab

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// seedOf returns the seed of a run: LAB_SEED from the environment, "fresh" for one
// that was never tried, which the test prints; otherwise one and the same, so that a
// change is judged by itself and not by a walk that nobody has seen.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	switch v := os.Getenv("LAB_SEED"); v {
	case "":
		return 20261124
	case "fresh":
		return rand.Uint64()
	default:
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("LAB_SEED: %v", err)
		}
		return n
	}
}

// tryHere plays the stories on the kernel that runs here, for which the model
// takes the profile given. Without root there is nothing to try with; as root a
// laboratory that does not work is a failure.
func tryHere(t *testing.T, mode string, seed uint64, stories []Story, p kernel.Profile) *Result {
	t.Helper()
	r, err := Try(t.Context(), mode, seed, stories, p)
	if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
		t.Skip("without root there is no network namespace to try the kernel in")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kernel %s, seed %d: %d connections, %d probes, %d follow-ups, %d rules, %d mismatches, not predicted: %v",
		r.Kernel, seed, r.Stories, r.Probes, r.FollowUps, len(r.Rules), r.Mismatches, r.Open)
	return r
}

func here(t *testing.T) kernel.Profile {
	t.Helper()
	p, err := Kernel()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustAgree(t *testing.T, r *Result) {
	t.Helper()
	for _, k := range r.Kinds {
		if k.Known == "" {
			t.Errorf("%s: %d (seed %d)\n%s", k.Key, k.Count, r.Seed, k.Scenario)
		}
	}
}

// Of the whole matrix a part is tried, another one each time.
func TestLabMatrix(t *testing.T) {
	t.Parallel()
	p, seed := here(t), seedOf(t)
	all, err := Matrix(nil, true, seed)
	if err != nil {
		t.Fatal(err)
	}
	var some []Story
	for i := int(seed % 23); i < len(all); i += 23 {
		some = append(some, all[i])
	}
	r := tryHere(t, "matrix", seed, some, p)
	mustAgree(t, r)
	if r.Probes < len(some)*9/10 || r.Probes < 300 {
		t.Errorf("%d connections, but only %d probes were compared", len(some), r.Probes)
	}
	for _, rule := range []string{"syn-accepted", "bare-in-order", "rst-kills", "fw2-fin", "fw2-syn", "syn-challenged", "req-repeat", "listen-accept"} {
		if r.Rules[rule] == 0 {
			t.Errorf("%s was never tried", rule)
		}
	}
}

func TestLabRandom(t *testing.T) {
	t.Parallel()
	p, seed := here(t), seedOf(t)
	r := tryHere(t, "random", seed, Random(3200, seed), p)
	mustAgree(t, r)
	if r.Probes < 3000 {
		t.Errorf("%d probes were compared, want 3000", r.Probes)
	}
	for _, rule := range []string{"ack-limited", "ack-flag", "rst-elsewhere"} {
		if r.Rules[rule] == 0 {
			t.Errorf("%s was never tried", rule)
		}
	}
}

// A model that is wrong about the kernel must be caught: that of a kernel which
// treats the ISN of an accepted SYN the other way.
func TestLabNoticesAWrongModel(t *testing.T) {
	t.Parallel()
	p := here(t)
	other, err := kernel.ParseRelease("5.10.223")
	if err != nil {
		t.Fatal(err)
	}
	if p.Has(&kernel.KeepsISN).Answer == kernel.No {
		if other, err = kernel.ParseRelease("6.18.44"); err != nil {
			t.Fatal(err)
		}
	}
	accepted := Step{Flags: segment.SYN, Seq: 1}
	stories := []Story{
		{State: TimeWait, Steps: []Step{{Flags: segment.ACK, Seq: 5}, accepted}},
		{State: TimeWait, IPv6: true, TS: true, Steps: []Step{{Flags: segment.RST, Seq: 3}, accepted, {FollowUp: true}}},
	}
	r := tryHere(t, "matrix", 0, stories, other)
	if r.Mismatches != 2 {
		t.Fatalf("%d mismatches, want 2: %+v", r.Mismatches, r.Kinds)
	}
	if r = tryHere(t, "matrix", 0, stories, p); r.Mismatches != 0 {
		t.Errorf("with the right model: %+v", r.Kinds)
	}
}

// A difference is told in as few segments as show it.
func TestLabShrinks(t *testing.T) {
	t.Parallel()
	p := here(t)
	if p.Has(&kernel.KeepsISN).Answer != kernel.Yes {
		t.Skip("needs a kernel that keeps the ISN")
	}
	wrong, err := kernel.ParseRelease("5.10.223")
	if err != nil {
		t.Fatal(err)
	}
	s := Story{State: TimeWait, Steps: []Step{
		{Flags: segment.ACK, Seq: 5}, {Flags: segment.RST, Seq: 5}, {Flags: segment.SYN, Seq: 9}, {Flags: segment.RST, Seq: 5},
	}}
	out, err := Run(t.Context(), []Story{s}, wrong)
	if err != nil {
		if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
			t.Skip("without root there is no network namespace to try the kernel in")
		}
		t.Fatal(err)
	}
	short, _, err := shrink(t.Context(), s, out[0], wrong)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(short.Steps, []Step{{Flags: segment.SYN, Seq: 9}}) {
		t.Errorf("shrunk to %+v", short.Steps)
	}
}

// An entry of the ledger that the whole matrix no longer shows is stale.
func TestLabLedgerIsNotStale(t *testing.T) {
	t.Parallel()
	p := here(t)
	all, err := Ledger()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(e Entry) bool { return !e.Of(p) })
	if len(all) == 0 {
		return // nothing is said of this kernel
	}
	stories, err := Matrix(nil, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := tryHere(t, "matrix", 1, stories, p)
	for _, e := range all {
		if !slices.ContainsFunc(r.Kinds, func(m Mismatch) bool { return m.Key == e.Key }) {
			t.Errorf("%s: the kernel and the model agree by now", e.Key)
		}
	}
}

func TestTableLine(t *testing.T) {
	for _, c := range []struct {
		line string
		ipv6 bool
		want table
	}{
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", false, table{}},
		{"   0: 01004D0A:2711 02004D0A:0400 06 00000000:00000000 03:0000176F 00000000     0        0 0 3 0000000000000000", false,
			table{{false, 0x2711, 0x400}: {procTimeWait, 59990 * time.Millisecond}}},
		{"  10: 000077FD000000000000000001000000:2711 000077FD000000000000000002000000:FFFF 03 00000000:00000000 01:00000063 00000000", true,
			table{{true, 0x2711, 0xffff}: {procSynRecv, 990 * time.Millisecond}}},
		{"   0: 01004D0A:2711 00000000:0000 0A 00000000:00000000 00:00000000", false, table{}}, // a listener
		{"   0: 01004D0A:2711 02004D0A:0400 FF 00000000:00000000 00:00000000", false, table{}},
		{"   0: 01004D0A 02004D0A:0400 06", false, table{}},
		{"", false, table{}},
	} {
		got := table{}
		got.add(c.line, c.ipv6)
		if len(got) != len(c.want) {
			t.Errorf("%q: got %v", c.line, got)
		}
		for k, e := range c.want {
			if got[k] != e {
				t.Errorf("%q: got %v, want %v", c.line, got, c.want)
			}
		}
	}
}
