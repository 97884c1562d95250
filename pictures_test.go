package tcpwhy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
	"github.com/tcpwhy/tcpwhy/internal/scenario"
)

// TestPictureData: what the pictures are drawn from is in itself right, for every
// capture of the corpus.
func TestPictureData(t *testing.T) {
	paths, err := filepath.Glob("testdata/corpus/*/*/*.pcap")
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d captures: %v", len(paths), err)
	}
	if testing.Short() {
		paths = paths[:50]
	}
	seen := map[string]int{}
	for _, p := range append(paths, "testdata/founding/founding.pcap") {
		r, err := tcpwhy.Explain(context.Background(), []string{p}, tcpwhy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Findings {
			f := &r.Findings[i]
			name := p + " " + f.ID
			checkSteps(t, name, f)
			for j := range f.Lanes {
				checkLane(t, name, f, &f.Lanes[j], seen)
			}
			if f.Ring != nil {
				seen["ring"]++
				checkRing(t, name, f.Ring)
			}
			if f.Clock != nil {
				seen["clock"]++
				if len(f.Clock.ISNs) < 2 {
					t.Errorf("%s: clock with %d ISNs", name, len(f.Clock.ISNs))
				}
			}
			if strings.HasPrefix(f.Question, "reopened-") && len(f.Lanes) != 2 {
				t.Errorf("%s: %d lanes", name, len(f.Lanes))
			}
		}
	}
	for _, want := range []string{"ring", "clock", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSED"} {
		if seen[want] == 0 {
			t.Errorf("nowhere in the corpus: %s", want)
		}
	}
}

func checkSteps(t *testing.T, name string, f *report.Finding) {
	t.Helper()
	frames := map[uint64]bool{}
	last := 0.0
	for i := range f.Ladder {
		s := &f.Ladder[i]
		if s.AtS < last {
			t.Errorf("%s: frame %d goes back in time", name, s.Frame)
		}
		last = s.AtS
		if s.Frame == 0 {
			continue
		}
		if frames[s.Frame] {
			t.Errorf("%s: frame %d twice", name, s.Frame)
		}
		frames[s.Frame] = true
		if s.Segment != "" && (s.Fields == nil || !strings.HasPrefix(s.Segment, s.Fields.Flags+" ")) {
			t.Errorf("%s: frame %d %q: fields %+v", name, s.Frame, s.Segment, s.Fields)
		}
	}
}

func checkLane(t *testing.T, name string, f *report.Finding, l *report.Lane, seen map[string]int) {
	t.Helper()
	end := f.Ladder[len(f.Ladder)-1].AtS
	for i := range l.Spans {
		s := &l.Spans[i]
		seen[s.State]++
		switch {
		case s.FromS < 0 || s.ToS < s.FromS || s.ToS > end+1e-6:
			t.Errorf("%s: %s: %+v leaves the ladder (%f)", name, l.End, s, end)
		case i > 0 && s.FromS != l.Spans[i-1].ToS:
			t.Errorf("%s: %s: %+v does not follow %+v", name, l.End, s, l.Spans[i-1])
		case len(s.EndsS) != 0 && (len(s.EndsS) != 2 || s.EndsS[0] < s.FromS || s.EndsS[1] < s.EndsS[0]):
			t.Errorf("%s: %s: %+v ends oddly", name, l.End, s)
		case len(s.EndsS) == 2 && s.ToS > s.EndsS[1]+1e-3:
			t.Errorf("%s: %s: %+v outlives its timer", name, l.End, s)
		}
	}
}

func checkRing(t *testing.T, name string, r *report.Ring) {
	t.Helper()
	if (r.After == nil) != (r.RcvNxt == nil) || r.After != nil && *r.After != (int32(*r.RcvNxt-r.Seq) < 0) {
		t.Errorf("%s: after: %+v", name, r)
	}
	for _, c := range r.Candidates {
		if d := int32(*r.ISN - c.Value); c.Met != (max(d, -d) <= int32(c.Tolerance)) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestLanes holds the states of the end that was asked against what the story has it do.
func TestLanes(t *testing.T) {
	for _, c := range []struct{ scenario, want string }{
		{"time-wait-challenge-rescued", "ESTABLISHED 2, FIN_WAIT1 8, FIN_WAIT2 9, TIME_WAIT 11 until 60-65 s, CLOSED 14, SYN_RECV 16, ESTABLISHED 17"},
		{"time-wait-accepts-newer-sequence", "ESTABLISHED 2, FIN_WAIT1 8, FIN_WAIT2 9, TIME_WAIT 11 until 60-65 s, SYN_RECV 13, ESTABLISHED 14"},
		{"time-wait-paws", "ESTABLISHED 2, FIN_WAIT1 8, FIN_WAIT2 9, TIME_WAIT 11 until 60-65 s, TIME_WAIT 12 until 65-70 s, CLOSED 14, SYN_RECV 16, ESTABLISHED 17"},
		{"time-wait-expired", "ESTABLISHED 2, FIN_WAIT1 8, FIN_WAIT2 9, TIME_WAIT 11 until 60-65 s, CLOSED, SYN_RECV 13, ESTABLISHED 14"},
		{"founding-recycle-on", "ESTABLISHED 2, FIN_WAIT1 8, FIN_WAIT2 9, TIME_WAIT 11 until 54-54 s, CLOSED, SYN_RECV 13, ESTABLISHED 14"},
		{"founding-kernel-known", "ESTABLISHED 2, FIN_WAIT1 8, FIN_WAIT2 9, assumed TIME_WAIT 11 until 54-54 s, assumed CLOSED, SYN_RECV 13, ESTABLISHED 14"},
		{"no-time-wait", "ESTABLISHED 2, CLOSE_WAIT 8, LAST_ACK 10, CLOSED 11, SYN_RECV 13, ESTABLISHED 14"},
		{"simultaneous-close", "ESTABLISHED 2, FIN_WAIT1 8, CLOSING 9, TIME_WAIT 10 until 60-65 s, SYN_RECV 13, ESTABLISHED 14"},
		{"fin-wait2-orphan", "ESTABLISHED 2, FIN_WAIT1 8, FIN_WAIT2 9 until 53-69 s, assumed CLOSED 10"},
		{"closing-peer", "ESTABLISHED 2, CLOSE_WAIT 8, CLOSED 12, SYN_RECV 14, ESTABLISHED 15"},
		{"closed-by-reset", "ESTABLISHED 2, CLOSED 8"},
	} {
		f, err := os.Open("testdata/scenario/" + c.scenario + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Read(c.scenario, f)
		path := filepath.Join(t.TempDir(), "story.pcap")
		w, createErr := os.Create(path)
		if err := errors.Join(err, f.Close(), createErr); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.WriteCapture(w), w.Close()); err != nil {
			t.Fatal(err)
		}
		r, err := tcpwhy.Explain(context.Background(), []string{path}, tcpwhy.Options{Facts: s.Facts})
		if err != nil {
			t.Fatal(err)
		}
		if got := serverLane(&r.Findings[0]); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.scenario, got, c.want)
		}
	}
}

// serverLane words the server's states, each with the frame that began it.
func serverLane(f *report.Finding) string {
	var out []string
	for i := range f.Lanes {
		if f.Lanes[i].End != "server" {
			continue
		}
		for _, s := range f.Lanes[i].Spans {
			word := s.State
			if s.Assumed {
				word = "assumed " + word
			}
			if s.Frame != 0 {
				word += fmt.Sprintf(" %d", s.Frame)
			}
			if len(s.EndsS) == 2 {
				word += fmt.Sprintf(" until %.0f-%.0f s", s.EndsS[0], s.EndsS[1])
			}
			out = append(out, word)
		}
	}
	return strings.Join(out, ", ")
}

// TestReadmePictures draws the pictures of the founding case that the README shows; with
// -update it writes them.
func TestReadmePictures(t *testing.T) {
	r, err := tcpwhy.Explain(context.Background(), []string{"testdata/founding/founding.pcap"}, tcpwhy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	f := &r.Findings[0]
	for name, picture := range map[string][]byte{
		"ladder": svg.Ladder(f, svg.Options{}), "ring": svg.Ring(f, svg.Options{}),
		"clock": svg.Clock(f, svg.Options{}), "sequence": svg.TimeSequence(f, svg.Options{}),
	} {
		path := "docs/pictures/founding-" + name + ".svg"
		if !strings.Contains(string(page), "]("+path+")") {
			t.Errorf("the README does not show %s", path)
		}
		have, err := os.ReadFile(path)
		if err == nil && bytes.Equal(have, picture) {
			continue
		}
		if !*update {
			t.Errorf("%s is stale: go test . -run TestReadmePictures -update", path)
			continue
		}
		if err := os.WriteFile(path, picture, 0o644); err != nil {
			t.Error(err)
		}
	}
}
