package tcpwhy_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/scenario"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// foundingCapture is the founding story as a capture: made from its numbers, not
// recorded.
const foundingCapture = "testdata/founding/founding.pcap"

// TestFoundingCapture holds the capture in the repository against the scenario it
// is made from.
func TestFoundingCapture(t *testing.T) {
	s := readScenario(t, "founding-nothing-known")
	var want bytes.Buffer
	if err := s.WriteCapture(&want); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(foundingCapture, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(foundingCapture)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error(foundingCapture + " is not what its scenario makes (go test -run Founding -update)")
	}
}

func readScenario(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	path := filepath.Join("testdata/scenario", name+".txt")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := scenario.Read(path, f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// founding explains a scenario of the founding story; there is one finding.
func founding(t *testing.T, name string, facts ...string) report.Finding {
	t.Helper()
	var b bytes.Buffer
	if err := readScenario(t, name).WriteCapture(&b); err != nil {
		t.Fatal(err)
	}
	r, err := tcpwhy.Explain(context.Background(), []string{"-"}, tcpwhy.Options{Stdin: &b, Facts: facts})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 {
		t.Fatalf("%d findings", len(r.Findings))
	}
	return r.Findings[0]
}

func stands(f report.Finding, cause string) report.Cause {
	for _, c := range f.Causes {
		if c.Cause == cause {
			return c
		}
	}
	return report.Cause{}
}

func sayings(c report.Cause) string {
	var out []string
	for _, e := range c.Evidence {
		out = append(out, e.Says)
	}
	return c.Says + "\n" + strings.Join(append(out, c.Assumes...), "\n")
}

// TestFounding is the story that the project comes from, and what becomes of it
// as more is known.
func TestFounding(t *testing.T) {
	for _, c := range []struct {
		certainty report.Certainty
		cause     string
		scenario  string
		facts     []string
		ruledOut  []string
	}{
		{report.Open, "", "founding-nothing-known", nil, []string{"time-wait-sequence", "time-wait-expired", "tw-reuse", "rebooted", "other-host"}},
		{report.Likely, "tw-recycle", "founding-nothing-known", []string{"server:kernel=3.10"}, []string{"time-wait-sequence", "time-wait-timestamp"}},
		{report.Likely, "tw-recycle", "founding-nothing-known", []string{"10.0.0.2:kernel=3.10.0-1127.el7.x86_64"}, []string{"time-wait-sequence", "time-wait-timestamp"}},
		{report.Certain, "tw-recycle", "founding-nothing-known", []string{"server:kernel=3.10", "server:net.ipv4.tcp_tw_recycle=1"}, []string{"time-wait-timestamp"}},
		{report.Open, "", "founding-nothing-known", []string{"server:kernel=3.10", "server:tcp_tw_recycle=0"}, []string{"tw-recycle", "time-wait-timestamp"}},
		{report.Likely, "time-wait-timestamp", "founding-nothing-known", []string{"server:kernel=5.10"}, []string{"tw-recycle", "time-wait-sequence"}},
		{report.Certain, "time-wait-timestamp", "founding-inherited-isn", nil, []string{"tw-recycle", "time-wait-sequence", "time-wait-expired"}},
		{report.Open, "", "founding-without-timestamps", nil, []string{"tw-recycle", "time-wait-timestamp", "time-wait-sequence", "time-wait-expired"}},
		// A fact about another host changes nothing.
		{report.Open, "", "founding-nothing-known", []string{"client:kernel=3.10", "10.0.0.9:kernel=5.10"}, nil},
	} {
		f := founding(t, c.scenario, c.facts...)
		if f.Verdict.Certainty != c.certainty || f.Verdict.Cause != c.cause {
			t.Errorf("%s %v: %s %q, want %s %q", c.scenario, c.facts, f.Verdict.Certainty, f.Verdict.Cause, c.certainty, c.cause)
		}
		for _, x := range c.ruledOut {
			if got := stands(f, x).Stands; got != report.RuledOut {
				t.Errorf("%s %v: %s %s, want it ruled out", c.scenario, c.facts, x, got)
			}
		}
	}
}

// TestFoundingSays: the three numbers, what they are worth, and what settles it.
func TestFoundingSays(t *testing.T) {
	f := founding(t, "founding-nothing-known")
	for _, c := range []struct{ cause, want string }{
		{"time-wait-sequence", "after(3145977016, 4008801888) = false"},
		{"time-wait-timestamp", "newer than ts_recent"},
		{"time-wait-timestamp", "2175872083 is not the old snd_nxt 1082535342 + 65537 = 1082600879"},
		{"time-wait-timestamp", "on kernels that keep the ISN (up to early 4.14.y, early 6.12.y and later, rhel6, rhel7) the SYN was not accepted in TIME_WAIT; on those that lose it (late 4.14.y, 4.17 to 6.6, rhel8) the ISN proves nothing"},
		{"time-wait-timestamp", "late 4.14.y to 4.19, rhel8 (by the signs of its age in the capture"},
		{"tw-recycle", "up to 4.11, rhel6, rhel7"},
		{"tw-recycle", "net.ipv4.tcp_tw_recycle = 1"},
		{"tw-reuse", "concerns only the side that opens"},
		{"time-wait-expired", "Only 17.0 s have passed, and TIME_WAIT lasts at least 52.5 s"},
	} {
		if got := sayings(stands(f, c.cause)); !strings.Contains(got, c.want) {
			t.Errorf("%s does not say %q:\n%s", c.cause, c.want, got)
		}
	}
	for _, c := range []string{"tw-recycle", "time-wait-timestamp"} {
		if stands(f, c).Stands != report.StaysOpen {
			t.Errorf("%s does not stay open", c)
		}
	}
	for _, c := range []string{"uname -r", "sysctl net.ipv4.tcp_tw_recycle"} {
		if !slices.ContainsFunc(f.Settle, func(s report.Settle) bool { return s.Command == c && s.On == "server" }) {
			t.Errorf("no %q among the commands", c)
		}
	}
	if advice := strings.Join(f.Advice, " "); !strings.Contains(advice, "NAT") || !strings.Contains(advice, "gone since Linux 4.12") {
		t.Errorf("advice: %s", advice)
	}
	if !slices.ContainsFunc(f.Warnings, func(w report.Warning) bool { return w.Code == "opener-isn-off-line" }) {
		t.Error("no warning about the opener's ISNs")
	}
	newer := founding(t, "founding-nothing-known", "server:kernel=5.10")
	if !slices.ContainsFunc(newer.Warnings, func(w report.Warning) bool {
		return w.Code == "kernel-mismatch" && strings.Contains(w.Says, "28960")
	}) {
		t.Error("the first window that 5.10 does not send is not told")
	}
}

// TestADigitTooMany: 40088018880 is found in the wild where 4008801888 was meant.
// Wherever a person can type a number it is refused, with the place; cut to 32
// bits it would turn the answer around.
func TestADigitTooMany(t *testing.T) {
	const typed = "40088018880"
	if n, err := seq.Parse(typed); err == nil {
		t.Errorf("seq: read as %v", n)
	}
	if _, err := segment.ParsePacketdrill(". " + typed + ":" + typed + "(0) ack 1 win 1"); err == nil {
		t.Error("packetdrill: no error")
	}
	story := "# A slip.\n0.000 < S 1:1(0) win 1\n0.001 < . " + typed + ":" + typed + "(0) ack 1 win 1\n----\n"
	if _, err := scenario.Read("slip.txt", strings.NewReader(story)); err == nil || !strings.Contains(err.Error(), "slip.txt:3") {
		t.Errorf("scenario: %v", err)
	}
	var facts diagnose.Facts
	if err := facts.Add("server:net.ipv4.tcp_rfc1337=" + typed); err == nil {
		t.Error("fact: no error")
	}
	err := facts.AddFile("server", "sysctl.txt", strings.NewReader("net.ipv4.tcp_timestamps = 1\nnet.ipv4.tcp_rfc1337 = "+typed+"\n"))
	if err == nil || !strings.Contains(err.Error(), "sysctl.txt:2") {
		t.Errorf("facts file: %v", err)
	}

	// What a careless program would have read.
	var wide uint64 = 40088018880
	cut := seq.Of(uint32(wide))
	syn, right := seq.Of(3145977016), seq.Of(4008801888)
	if syn.After(right) || !syn.After(cut) {
		t.Errorf("after(%s, %s) = %t, after(%s, %s) = %t: the answer does not turn around", syn, right, syn.After(right), syn, cut, syn.After(cut))
	}
}
