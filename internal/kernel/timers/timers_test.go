package timers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
)

func profile(t *testing.T, release string) kernel.Profile {
	t.Helper()
	if release == "" {
		return kernel.Profile{}
	}
	p, err := kernel.ParseRelease(release)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func seconds(fs ...float64) (out []time.Duration) {
	for _, f := range fs {
		out = append(out, time.Duration(f*float64(time.Second)))
	}
	return out
}

func count(n int) timers.Count { return timers.Count{N: n, Set: true} }

// When the SYNs leave, and when connect() fails.
func TestSYNs(t *testing.T) {
	for _, c := range []struct {
		kernel string
		set    timers.Settings
		times  []float64
		giveUp float64
	}{
		{"2.6.32", timers.Settings{}, []float64{0, 3, 9, 21, 45, 93}, 189},
		{"3.2.7", timers.Settings{}, []float64{0, 1, 3, 7, 15, 31}, 63},
		{"3.10.65", timers.Settings{}, []float64{0, 1, 3, 7, 15, 31, 63}, 127},
		{"6.1.141", timers.Settings{}, []float64{0, 1, 3, 7, 15, 31, 63}, 127},
		{"6.6.87", timers.Settings{}, []float64{0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67}, 131},
		{"6.18.44", timers.Settings{SynRetries: count(2)}, []float64{0, 1, 2, 3, 4, 5, 7}, 11},
		{"6.18.44", timers.Settings{SynLinear: count(0)}, []float64{0, 1, 3, 7, 15, 31, 63}, 127},
		{"6.18.44", timers.Settings{SynLinear: count(1), SynRetries: count(0)}, []float64{0, 1}, 2},
		{"5.10.223", timers.Settings{SynRetries: count(0)}, []float64{0}, 1},
		{"5.10.223", timers.Settings{SynRetries: count(8)}, []float64{0, 1, 3, 7, 15, 31, 63, 127, 247}, 367},
		// An old kernel has no tcp_syn_linear_timeouts that could be set.
		{"4.9.229", timers.Settings{SynLinear: count(4)}, []float64{0, 1, 3, 7, 15, 31, 63}, 127},
	} {
		ls := timers.SYNs(profile(t, c.kernel), c.set)
		if len(ls) != 1 {
			t.Errorf("%s: %d ladders", c.kernel, len(ls))
			continue
		}
		if got, want := ls[0].Times(), seconds(c.times...); !slices.Equal(got, want) {
			t.Errorf("%s %+v: SYNs at %v, want %v", c.kernel, c.set, got, want)
		}
		if want := seconds(c.giveUp)[0]; ls[0].GiveUp != want {
			t.Errorf("%s %+v: gives up after %v, want %v", c.kernel, c.set, ls[0].GiveUp, want)
		}
	}
}

// What is not known leaves more ladders, never another one.
func TestUnknownKernels(t *testing.T) {
	for release, want := range map[string]int{"": 8, "3.8": 2, "6.3": 2, "2.6.32": 1, "3.0": 1} {
		ls := timers.SYNs(profile(t, release), timers.Settings{})
		if len(ls) != want {
			t.Errorf("%q: %d ladders, want %d", release, len(ls), want)
		}
	}
	if n := len(timers.SYNs(profile(t, "3.8"), timers.Settings{SynRetries: count(3)})); n != 1 {
		t.Errorf("3.8 with tcp_syn_retries: %d ladders", n)
	}
	whole := timers.SYNs(kernel.Profile{}, timers.Settings{})
	for _, p := range kernel.Candidates() {
		for _, l := range timers.SYNs(p, timers.Settings{}) {
			if !slices.ContainsFunc(whole, func(m timers.Ladder) bool { return slices.Equal(m.Gaps, l.Gaps) && m.GiveUp == l.GiveUp }) {
				t.Errorf("%s: %s is not among those of an unknown kernel", p, &l)
			}
		}
	}
}

func TestSYNACKs(t *testing.T) {
	for release, want := range map[string][]float64{
		"2.6.32":   {0, 3, 9, 21, 45, 93, 189},
		"6.18.44":  {0, 1, 3, 7, 15, 31, 63},
		"rhel6":    {0, 1, 3, 7, 15, 31, 63},
		"3.10.108": {0, 1, 3, 7, 15, 31, 63},
	} {
		ls := timers.SYNACKs(profile(t, release), timers.Settings{})
		if len(ls) != 1 {
			t.Fatalf("%s: %d ladders", release, len(ls))
		}
		if got := append(ls[0].Times(), ls[0].GiveUp); !slices.Equal(got, seconds(want...)) {
			t.Errorf("%s: %v, want %v", release, got, want)
		}
	}
	if l := timers.SYNACKs(profile(t, "6.1.141"), timers.Settings{SynAckRetries: count(0)})[0]; len(l.Gaps) != 0 || l.GiveUp != time.Second {
		t.Errorf("no repeats: %+v", l)
	}
}

// The figures that the kernel's documentation states.
func TestModelTimeout(t *testing.T) {
	for retries, want := range map[int]time.Duration{
		-1: 200 * time.Millisecond, 0: 200 * time.Millisecond, 3: 3 * time.Second, 8: 102200 * time.Millisecond,
		9: 204600 * time.Millisecond, 10: 324600 * time.Millisecond, 15: 924600 * time.Millisecond,
	} {
		if got := timers.ModelTimeout(retries); got != want {
			t.Errorf("%d tries: %v, want %v", retries, got, want)
		}
	}
}

func TestDataOf(t *testing.T) {
	l := timers.DataOf(timers.RTOMin, timers.Settings{})
	if n := len(l.Gaps); n != 15 || l.Gaps[9].Nominal != 102400*time.Millisecond || l.Gaps[10].Nominal != timers.RTOMax {
		t.Errorf("%d repeats: %s", n, &l)
	}
	// A greater timeout makes fewer tries in the same time.
	if l := timers.DataOf(3*time.Second, timers.Settings{}); len(l.Gaps) != 12 || l.GiveUp != 924600*time.Millisecond {
		t.Errorf("%d repeats until %v", len(l.Gaps), l.GiveUp)
	}
	if l := timers.OrphanOf(timers.RTOMin, timers.Settings{}); len(l.Gaps) != 8 || l.GiveUp != 102200*time.Millisecond {
		t.Errorf("orphan: %d repeats until %v", len(l.Gaps), l.GiveUp)
	}
	if l := timers.OrphanOf(timers.RTOMin, timers.Settings{OrphanRetries: count(1)}); len(l.Gaps) != 1 {
		t.Errorf("tcp_orphan_retries = 1: %s", &l)
	}
	if l := timers.KeepAlives(0, 0, 0); len(l.Gaps) != 9 || l.GiveUp != 7875*time.Second {
		t.Errorf("keep-alive: %s until %v", &l, l.GiveUp)
	}
	if l := timers.WindowProbes(timers.RTOMin); l.GiveUp != 0 || l.Gaps[len(l.Gaps)-1].Nominal != timers.RTOMax {
		t.Errorf("window probes: %s", &l)
	}
	// Nonsense is bounded.
	for _, l := range []timers.Ladder{
		timers.DataOf(-1, timers.Settings{Retries2: count(1 << 40)}), timers.WindowProbes(0), timers.KeepAlives(-1, -1, 1<<40),
		timers.SYNs(profile(t, "6.6.87"), timers.Settings{SynRetries: count(1 << 40), SynLinear: count(-7)})[0],
	} {
		if len(l.Gaps) == 0 || len(l.Gaps) > 400 {
			t.Errorf("%d gaps", len(l.Gaps))
		}
	}
}

// Gaps that were measured, and what they say.
func TestMatchMeasured(t *testing.T) {
	for _, c := range []struct {
		name      string
		kind      timers.Kind
		gaps      []float64
		step      int
		atOnce    bool
		linear    int
		rto       time.Duration
		in, notIn []string // kernels
	}{
		{"3.10.el7 as opener", timers.SYN, []float64{0.994494, 2.004691, 4.007743}, 0, false, 0, time.Second, []string{"rhel7", "5.10.223"}, []string{"2.6.32", "6.18.44"}},
		{"5.10 after a bad ACK", timers.SYN, []float64{0.06025, 1.983345, 4.160072}, 0, true, 0, time.Second, []string{"5.10.223"}, []string{"4.19.108", "6.18.44", "rhel8"}},
		{"6.18 after a bad ACK", timers.SYN, []float64{0.011721, 1.03275, 1.023268, 1.024093, 1.024535, 2.017088}, 0, true, 4, time.Second, []string{"6.18.44"}, []string{"5.10.223"}},
		{"2.6.32", timers.SYN, []float64{3.0, 6.0, 12.0}, 0, false, 0, 3 * time.Second, []string{"2.6.32"}, []string{"3.1.0"}},
		{"6.18 in the middle", timers.SYN, []float64{1.02, 2.05, 4.1}, 4, false, 4, time.Second, []string{"6.6.87"}, []string{"6.1.190"}},
		{"SYN-ACK", timers.SYNACK, []float64{1.05, 2.02, 4.06}, 0, false, 0, time.Second, []string{"6.18.44", "rhel6"}, []string{"2.6.32"}},
	} {
		fits := timers.Match(c.kind, seconds(c.gaps...))
		i := slices.IndexFunc(fits, func(f timers.Fit) bool {
			return f.Step == c.step && f.Ladder.AtOnce == c.atOnce && f.Ladder.Linear == c.linear && f.Ladder.RTO == c.rto
		})
		if i < 0 {
			t.Errorf("%s: %+v", c.name, fits)
			continue
		}
		has := func(release string) bool {
			p := profile(t, release)
			return slices.ContainsFunc(fits[i].Kernels, func(q kernel.Profile) bool { return q.Vendor == p.Vendor && q.Version.Compare(p.Version) == 0 })
		}
		for _, r := range c.in {
			if !has(r) {
				t.Errorf("%s: not %s", c.name, r)
			}
		}
		for _, r := range c.notIn {
			if has(r) {
				t.Errorf("%s: %s", c.name, r)
			}
		}
		if !fits[i].Default() {
			t.Errorf("%s: no kernel does so by default", c.name)
		}
	}
}

// What no timer does fits nothing.
func TestMatchRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		kind timers.Kind
		gaps []float64
	}{
		"nothing":                       {timers.SYN, nil},
		"no kind":                       {timers.NoKind, []float64{1, 2}},
		"tripled":                       {timers.SYN, []float64{1, 3}},
		"too soon":                      {timers.SYN, []float64{0.9}},
		"an application tries anew":     {timers.SYN, []float64{1, 2, 0.5}},
		"back to one second":            {timers.SYN, []float64{1, 2, 1}},
		"linear with 3 s":               {timers.SYN, []float64{3, 3}},
		"a linear SYN-ACK":              {timers.SYNACK, []float64{1, 1}},
		"data under the least timeout":  {timers.Data, []float64{0.1, 0.2}},
		"data that does not double":     {timers.Data, []float64{0.3, 0.3}},
		"data that more than doubles":   {timers.Data, []float64{0.3, 1}},
		"more than the greatest":        {timers.Data, []float64{80, 160}},
		"an orphan that would be gone":  {timers.Orphan, []float64{0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4}},
		"keep-alives of one gap":        {timers.KeepAlive, []float64{33}},
		"keep-alives that are no clock": {timers.KeepAlive, []float64{75, 75, 20}},
	} {
		if fits := timers.Match(c.kind, seconds(c.gaps...)); len(fits) > 0 {
			t.Errorf("%s: %+v", name, fits)
		}
	}
}

// tcp_syn_linear_timeouts that somebody set, and the first gap alone.
func TestMatchSettings(t *testing.T) {
	fits := timers.Match(timers.SYN, seconds(1, 1, 1, 1, 1, 1, 1, 2))
	if len(fits) == 0 || !slices.ContainsFunc(fits, func(f timers.Fit) bool { return f.Ladder.Linear == 6 && f.Step == 0 }) {
		t.Fatalf("six linear gaps: %+v", fits)
	}
	for _, f := range fits {
		if f.Default() {
			t.Errorf("six linear gaps by default: %+v", f)
		}
	}
	var steps []int
	for _, f := range timers.Match(timers.SYN, seconds(1.02)) {
		if f.Ladder.Linear == 4 {
			steps = append(steps, f.Step)
		}
	}
	if !slices.Equal(steps, []int{0, 1, 2, 3, 4}) {
		t.Errorf("one gap of a second: steps %v", steps)
	}
	if fits := timers.Match(timers.KeepAlive, seconds(75.1, 75, 75.2)); len(fits) == 0 || fits[0].Kernels != nil {
		t.Errorf("keep-alives: %+v", fits)
	}
	if fits := timers.Match(timers.KeepAlive, seconds(300, 10, 10.1, 10)); len(fits) != 1 || fits[0].Ladder.Gaps[0].Nominal != 300*time.Second {
		t.Errorf("keep-alives that were set: %+v", fits)
	}
	if fits := timers.Match(timers.Data, seconds(0.212, 0.43, 0.87)); len(fits) != 1 || fits[0].Ladder.RTO != 212*time.Millisecond {
		t.Errorf("data: %+v", fits)
	}
	if fits := timers.Match(timers.WindowProbe, seconds(100, 120, 120.3)); len(fits) != 1 {
		t.Errorf("window probes at the cap: %+v", fits)
	}
}

// A ladder fits itself at its first step, as it is and as a wheel makes it.
func TestLaddersFitThemselves(t *testing.T) {
	var all []timers.Ladder
	for _, p := range append(kernel.Candidates(), kernel.Profile{}) {
		for _, l := range timers.SYNs(p, timers.Settings{}) {
			all = append(all, l, l.AfterBadACK())
		}
		all = append(all, timers.SYNACKs(p, timers.Settings{})...)
	}
	for _, rto := range seconds(0.2, 0.204, 0.7, 1, 3, 60, 120) {
		all = append(all, timers.DataOf(rto, timers.Settings{}), timers.OrphanOf(rto, timers.Settings{}), timers.WindowProbes(rto))
	}
	all = append(all, timers.KeepAlives(0, 0, 0))
	for _, l := range all {
		if len(l.Gaps) == 0 {
			continue
		}
		for _, more := range []float64{1, 1.03, 1.1} {
			var gaps []time.Duration
			for _, g := range l.Gaps {
				gaps = append(gaps, time.Duration(float64(g.Nominal)*more))
			}
			if l.GiveUp > 0 && l.Kind != timers.SYN && l.Kind != timers.SYNACK && l.Kind != timers.KeepAlive {
				gaps = gaps[:max(1, len(gaps)-2)] // later timers leave room for fewer
			}
			fits := timers.Match(l.Kind, gaps)
			if l.AtOnce && l.RTO != time.Second {
				continue // no kernel has both
			}
			if !slices.ContainsFunc(fits, func(f timers.Fit) bool {
				return f.Step == 0 && f.Ladder.AtOnce == l.AtOnce && (l.Kind != timers.SYN || f.Ladder.RTO == l.RTO && f.Ladder.Linear == l.Linear)
			}) && !(l.Kind == timers.SYN && l.Linear > 0 && l.RTO != time.Second) {
				t.Errorf("%s, %g times: %d fits", &l, more, len(fits))
			}
		}
	}
}

// Whatever the gaps are, a fit says the truth about them.
func FuzzMatch(f *testing.F) {
	f.Add(uint8(1), int64(1e9), int64(2e9), int64(4e9))
	f.Add(uint8(3), int64(204e6), int64(410e6), int64(-5))
	f.Add(uint8(5), int64(75e9), int64(75e9), int64(75e9))
	f.Fuzz(func(t *testing.T, kind uint8, a, b, c int64) {
		gaps := []time.Duration{time.Duration(a), time.Duration(b), time.Duration(c)}
		for _, f := range timers.Match(timers.Kind(kind), gaps) {
			if f.Step < 0 || f.Step+len(gaps) > len(f.Ladder.Gaps) && f.Ladder.Kind != timers.WindowProbe {
				t.Errorf("%v: step %d of %s", gaps, f.Step, &f.Ladder)
			}
			for i := range gaps {
				if gaps[i] < 0 {
					t.Errorf("%v fits %s", gaps, &f.Ladder)
				}
			}
		}
	})
}
