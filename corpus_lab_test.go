package tcpwhy_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/replay"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

const (
	// recordedDir holds captures that "tcpwhy lab record" made.
	recordedDir = "testdata/corpus/lab"
	// fewestRecorded guards against a walk that finds nothing and therefore passes.
	fewestRecorded = 95
)

// recorded reads the labels of the captures that the laboratory made. A cause that
// has no row in the table is a slug of the program itself; reopened tells of one
// that has.
func recorded(t *testing.T) (all []*label, reopened map[*label]bool) {
	t.Helper()
	paths, err := filepath.Glob(recordedDir + "/*/*.json")
	if err != nil || len(paths) < fewestRecorded {
		t.Fatalf("only %d labels found, want at least %d: %v", len(paths), fewestRecorded, err)
	}
	reopened = map[*label]bool{}
	for _, path := range paths {
		l := readLabel(t, path)
		r, ok := rows[l.Cause]
		if !ok {
			r = row{right: []string{l.Cause}, quiet: l.Cause == "nothing-wrong"}
			switch l.Cause { // the same, seen from outside
			case "fin-wait2-orphan-data":
				r.right = append(r.right, "data-after-close")
			case "rto-given-up":
				r.right = append(r.right, "peer-gone")
			}
		}
		l.row, reopened[l] = r, ok
		all = append(all, l)
	}
	return all, reopened
}

// TestRecorded holds the verdicts against what the laboratory set up. Where a
// four-tuple is opened again they must name the cause, or leave it open and list it.
func TestRecorded(t *testing.T) {
	all, reopened := recorded(t)
	var mu sync.Mutex
	counts := map[string]*[grades]int{}
	var total [grades]int
	each(all, func(l *label) {
		pcap, err := os.ReadFile(l.path + ".pcap")
		if err != nil {
			t.Error(err)
			return
		}
		r, err := explain(pcap)
		if err != nil {
			t.Errorf("%s: %v", l, err)
			return
		}
		g, says := judge(l, r, l.asked())
		mu.Lock()
		defer mu.Unlock()
		if counts[l.Cause] == nil {
			counts[l.Cause] = new([grades]int)
		}
		counts[l.Cause][g]++
		total[g]++
		switch {
		case g == gradeRight:
		case g == gradeListed, !reopened[l] && g != gradeWrong:
			t.Logf("%s (%s), frame %d: %s", l, l.Cause, l.asked(), says)
		default:
			t.Errorf("%s (%s), frame %d: %s", l, l.Cause, l.asked(), says)
		}
	})
	t.Log(table(counts, total))
}

// TestRecordedWithoutAFrame takes each frame away in turn, of the captures in which
// a four-tuple is opened again.
func TestRecordedWithoutAFrame(t *testing.T) {
	all, reopened := recorded(t)
	var mu sync.Mutex
	runs := 0
	each(all, func(l *label) {
		if !reopened[l] {
			return
		}
		pcap, err := os.ReadFile(l.path + ".pcap")
		if err != nil {
			t.Error(err)
			return
		}
		n, _ := withoutEach(t, l, ".pcap", pcap, l.asked())
		mu.Lock()
		defer mu.Unlock()
		runs += n
	})
	if runs < 500 {
		t.Errorf("only %d runs", runs)
	}
}

// recordedEnd is the kernel's end of a recorded capture.
func recordedEnd(t *testing.T, l *label) (replay.Host, []segment.Segment) {
	t.Helper()
	b, err := os.ReadFile(l.path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Kernel  string            `json:"kernel"`
		Role    string            `json:"kernel_role"`
		Server  string            `json:"server"`
		Client  string            `json:"client"`
		Sysctls map[string]string `json:"sysctls"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	own := d.Server
	if d.Role == "client" {
		own = d.Client
	}
	at, err := netip.ParseAddrPort(own)
	if err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	h, err := replayHost(d.Kernel, d.Sysctls)
	if err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	h.Owns = func(a segment.Addr) bool { return a == segment.AddrFromNetip(at.Addr()) }
	return h, segmentsOf(t, l.path+".pcap")
}

// notReplayed are the cases with a frame that the model does not explain, and why. A
// case that it explains must not be here.
var notReplayed = map[string]string{}

// TestReplayRecorded: the model explains every frame of the kernel that the
// laboratory recorded.
func TestReplayRecorded(t *testing.T) {
	all, _ := recorded(t)
	var mu sync.Mutex
	sent := 0
	each(all, func(l *label) {
		h, segments := recordedEnd(t, l)
		res := replay.Replay(&h, segments)
		switch u, reason := res.Unexplained, notReplayed[l.Scenario]; {
		case u != nil && reason == "":
			t.Errorf("%s frame %d: %s", l, u.Frame, u)
		case u == nil && reason != "":
			t.Errorf("%s is explained by now, although %s", l, reason)
		}
		mu.Lock()
		defer mu.Unlock()
		sent += res.Sent
	})
	if sent < 400 {
		t.Errorf("only %d frames were the kernel's", sent)
	}
}
