package tcpwhy_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
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
