package export_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/export"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/anonymize"
)

func explain(t testing.TB, paths ...string) *tcpwhy.Report {
	t.Helper()
	r, err := tcpwhy.Explain(context.Background(), paths, tcpwhy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// written exports captures and returns the file.
func written(t testing.TB, r *tcpwhy.Report, o export.Options, paths ...string) string {
	t.Helper()
	var b bytes.Buffer
	if err := export.Write(context.Background(), &b, paths, r, o); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "out.pcapng")
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// verdicts are what a report says, without what depends on addresses and numbers of frames.
func verdicts(r *tcpwhy.Report) []string {
	var out []string
	for _, f := range r.Findings {
		s := fmt.Sprintf("%s %s %s:", f.Question, f.Verdict.Certainty, f.Verdict.Cause)
		for _, c := range f.Causes {
			s += fmt.Sprintf(" %s %s %d", c.Cause, c.Stands, c.AgainstDB)
		}
		out = append(out, s)
	}
	return out
}

func captures(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"founding/*.pcap", "corpus/*/*/*.pcap*"} {
		m, err := filepath.Glob(filepath.Join("../../testdata", pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m...)
	}
	if len(all) < 50 {
		t.Fatalf("only %d captures", len(all))
	}
	return all
}

// TestExplainedAgain: a copy of all frames has everything that verdicts rest on, with
// other addresses and without payload too. One of the findings' frames lacks what other
// connections show of the hosts; nothing may become surer for it.
func TestExplainedAgain(t *testing.T) {
	for i, path := range captures(t) {
		if i%8 != 0 {
			continue
		}
		r := explain(t, path)
		want := verdicts(r)
		for _, tt := range []struct {
			name string
			o    export.Options
		}{
			{"all", export.Options{AllFrames: true}},
			{"payload", export.Options{AllFrames: true, KeepPayload: true}},
			{"anonymous", export.Options{AllFrames: true, Mapping: new(anonymize.Mapping)}},
		} {
			if got := verdicts(explain(t, written(t, r, tt.o, path))); !slices.Equal(got, want) {
				t.Errorf("%s, %s:\n got %q\nwant %q", path, tt.name, got, want)
			}
		}
		for _, m := range []*anonymize.Mapping{nil, new(anonymize.Mapping)} {
			again := explain(t, written(t, r, export.Options{Mapping: m}, path))
			for _, f := range again.Findings {
				if f.Verdict.Certainty == report.Certain && !slices.ContainsFunc(r.Findings, func(x report.Finding) bool {
					return x.Verdict.Certainty == report.Certain && x.Verdict.Cause == f.Verdict.Cause && x.Question == f.Question
				}) {
					t.Errorf("%s: the copy makes certain: %s", path, f.Verdict.Says)
				}
			}
			if len(again.Findings) < len(r.Findings) {
				t.Errorf("%s: %d findings, in the copy %d", path, len(r.Findings), len(again.Findings))
			}
		}
	}
}
