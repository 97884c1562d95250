package lab

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

const scenarioDir = "../../testdata/lab"

// playHere plays the scenarios on the kernel that runs here. Without root there is
// none to play them on; as root it is a failure if there is none.
func playHere(t *testing.T, all []Scenario, p kernel.Profile) *Played {
	t.Helper()
	r, err := Play(t.Context(), all, p)
	if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
		t.Skip("without root there is no network namespace to try the kernel in")
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The scenarios that are shipped do what the model says, to their last step.
func TestShippedScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(scenarioDir + "/*.txt")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	var all []Scenario
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		some, err := ParseScenarios(filepath.Base(file), string(b))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	r := playHere(t, all, here(t))
	t.Logf("%d scenarios, %d probes, %d rules", len(r.Scenarios), r.Probes, len(r.Rules))
	for i, s := range r.Scenarios {
		if s.Mismatch || s.Unsure != "" || len(s.Steps) != len(all[i].Story.Steps) {
			t.Errorf("%s:%d: %d of %d steps, %s\n%s", s.File, s.Line, len(s.Steps), len(all[i].Story.Steps), s.Unsure, s.Text)
		}
	}
	for _, rule := range []string{
		"syn-accepted", "ack-old-syn", "ack-limited", "ack-paws", "rst-kills", "rst-ignored-rfc1337", "fw2-syn", "fw2-data", "fw2-fin",
		"fw2-rst", "fw2-out-of-window", "syn-fin", "syn-no-listener", "syn-queue-full", "syn-challenged", "rst-challenged", "rst-exact",
		"req-repeat", "req-ack", "req-syn-in-window", "req-rst", "listen-accept", "listen-cookie", "listen-no-listener",
	} {
		if r.Rules[rule] == 0 {
			t.Errorf("no scenario shows %s", rule)
		}
	}
}

// What is printed of a difference shows it once more when it is played.
func TestPrintedScenarioDiffersAgain(t *testing.T) {
	t.Parallel()
	wrong, err := kernel.ParseRelease("5.10.223")
	if err != nil {
		t.Fatal(err)
	}
	if p := here(t); p.Has(&kernel.KeepsISN).Answer != kernel.Yes {
		t.Skip("needs a kernel that keeps the ISN")
	}
	first := playHere(t, []Scenario{{File: "made", Line: 1, Story: Story{
		State: TimeWait, Path: ByClosing, IPv6: true, TS: true, ISS: seqOf(1<<32 - 2), TSVal: seqOf(1<<32 - 2),
		Steps: []Step{{Flags: segment.RST, Seq: 7}, {Flags: segment.SYN, Seq: 1<<32 - 9, Wait: true, HasTS: true, TSVal: 1}},
	}}}, wrong)
	if first.Mismatches != 1 {
		t.Fatalf("%+v", first)
	}
	again, err := ParseScenarios("again", first.Scenarios[0].Text)
	if err != nil {
		t.Fatal(err)
	}
	second := playHere(t, again, wrong)
	if second.Mismatches != 1 || second.Kinds[0].Key != first.Kinds[0].Key {
		t.Errorf("%+v", second)
	}
	third, err := ParseScenarios("again", second.Scenarios[0].Text)
	if err != nil || !reflect.DeepEqual(third, again) {
		t.Errorf("got %+v, %v\nwant %+v", third, err, again)
	}
}
