package tcpwhy_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// TestRealResets: in captures of real kernels, in which no box sent anything, none of their RSTs is
// said to be a box's, and many show that they are the end's own.
func TestRealResets(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/captures/*/*.pcap")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d captures: %v", len(files), err)
	}
	resets, own := 0, 0
	for _, file := range files {
		r, err := tcpwhy.Explain(context.Background(), []string{file}, tcpwhy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.Question != "reset" && f.Question != "connect-refused" {
				continue
			}
			resets++
			if c := f.Verdict.Cause; c == "middlebox-reset" || c == "rejected-by-filter" {
				t.Errorf("%s: %s", file, f.Verdict.Says)
			}
			for j := range f.Causes {
				c := &f.Causes[j]
				if c.Cause == "middlebox-reset" && c.Stands != report.RuledOut && c.AgainstDB < 5 {
					t.Errorf("%s: a box is believed at %d dB: %v", file, c.AgainstDB, c.Evidence)
				}
			}
			if f.Causes[0].Cause != "middlebox-reset" && strings.Contains(evidenceText(f), "sender's own") {
				own++
			}
		}
	}
	t.Logf("%d resets and refusals, %d with a sign that they are the end's own", resets, own)
	if resets < 20 || own < 15 {
		t.Errorf("only %d resets, of which %d show whose they are", resets, own)
	}
}

func evidenceText(f *report.Finding) string {
	var b strings.Builder
	for _, c := range f.Causes {
		for _, e := range c.Evidence {
			b.WriteString(e.Says + "\n")
		}
	}
	return b.String()
}
