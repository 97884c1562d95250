package lab

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Names of cases are names of files, and each is there once.
func TestCases(t *testing.T) {
	all := Cases()
	if len(all) < 100 {
		t.Errorf("only %d cases", len(all))
	}
	name := regexp.MustCompile(`^[a-z0-9_]+$`)
	seen := map[string]bool{}
	for _, c := range all {
		if !name.MatchString(c.Name) || seen[c.Name] || c.Cause == "" || c.Says == "" {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
	}
}

// recordHere records cases of the kernel that runs here, and reads the labels.
func recordHere(t *testing.T, names ...string) (dir string, labels map[string]Label) {
	t.Helper()
	dir = t.TempDir()
	made, err := Record(t.Context(), dir, names, false)
	if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
		t.Skip("without root there is no network namespace to record in")
	}
	if err != nil {
		t.Fatal(err)
	}
	labels = map[string]Label{}
	for _, m := range made {
		b, err := os.ReadFile(m.File[:len(m.File)-len(".pcap")] + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var l Label
		if err := json.Unmarshal(b, &l); err != nil {
			t.Fatal(err)
		}
		labels[l.Scenario] = l
		dir = filepath.Dir(m.File)
	}
	return dir, labels
}

// frames reads a capture.
func frames(t *testing.T, file string) (all []segment.Segment) {
	t.Helper()
	r, err := capture.Open([]string{file}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batch := make([]segment.Segment, 64)
	for err == nil {
		var n int
		n, err = r.Read(batch)
		all = append(all, batch[:n]...)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return all
}

// A label's numbers are those of the capture, and its states and counters the kernel's.
func TestRecord(t *testing.T) {
	t.Parallel()
	dir, labels := recordHere(t, "tw_rescue", "fw2_rst_v6", "linger0_syn", "connect_refused")
	if len(labels) != 4 {
		t.Fatalf("%d labels", len(labels))
	}
	for name, l := range labels {
		all := frames(t, filepath.Join(dir, l.Capture.File))
		if len(all) != l.Capture.Frames || len(l.Steps) == 0 || l.Cause == "" || l.KeyFrames.Trigger == 0 {
			t.Fatalf("%s: %d frames, label %+v", name, len(all), l)
		}
		for _, s := range l.Steps {
			f := &all[s.Frame-1]
			if f.Seq.Uint32() != s.Seq || labelFlags(f.Flags) != s.Flags {
				t.Errorf("%s: step %+v is frame %s", name, s, text(f))
			}
			for _, r := range s.Replies {
				f := &all[r.Frame-1]
				if f.Seq.Uint32() != r.Seq || labelFlags(f.Flags) != r.Flags || r.Delay < 0 || r.Ack != nil && f.Ack.Uint32() != *r.Ack {
					t.Errorf("%s: reply %+v is frame %s", name, r, text(f))
				}
			}
		}
	}
	l := labels["tw_rescue"]
	var states []string
	for _, s := range l.Steps {
		states = append(states, s.ServerBefore, s.ServerAfter)
	}
	if want := []string{"TIME_WAIT", "TIME_WAIT", "TIME_WAIT", "none", "none", "SYN_RECV"}; !slices.Equal(states, want) {
		t.Errorf("states %q, want %q", states, want)
	}
	if l.ClosedFirst != "server" || l.SecondConnection != "accepted_after_retry" || *l.Steps[0].SeqMinusOld != -far || l.OldTSRecent != nil {
		t.Errorf("%+v", l)
	}
	if l = labels["linger0_syn"]; l.Counters["TCPAbortOnData"] != [2]uint64{0, 1} && l.Counters["EstabResets"] != [2]uint64{0, 1} || l.OldTSRecent == nil {
		t.Errorf("%+v", l)
	}
	if l = labels["connect_refused"]; l.KernelRole != "client" || l.ClosedFirst != "server" || l.Client != "10.77.0.1:50000" || l.Server != "10.77.0.2:80" {
		t.Errorf("%+v", l)
	}
}

func TestRecordUnknownCase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := Record(t.Context(), dir, []string{"tw_rescue", "tw_rescu"}, false); err == nil {
		t.Error("no error for a case that there is not")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

func TestCounters(t *testing.T) {
	got := map[string]uint64{}
	addCounters(got, "TcpExt: A B\nTcpExt: 1 2\nIpExt: A\nIpExt: 9\nTcp: C D E\nTcp: 3 -1\nTcpExt:")
	if want := map[string]uint64{"A": 1, "B": 2, "C": 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	before := map[string]uint64{"TW": 1, "OutRsts": 2, "Unheard": 1}
	if got := moved(before, map[string]uint64{"TW": 3, "OutRsts": 2, "Unheard": 2}); !reflect.DeepEqual(got, map[string][2]uint64{"TW": {1, 3}}) {
		t.Errorf("moved: %v", got)
	}
}
