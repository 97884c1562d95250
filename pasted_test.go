package tcpwhy_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// TestPastedAsCaptured: what tcpdump and tshark print of a capture, with absolute
// numbers or such that can be lifted, gets the answers that the capture gets. With
// numbers that cannot, nothing may be certain that compares two connections.
func TestPastedAsCaptured(t *testing.T) {
	type answer struct {
		question  string
		certainty report.Certainty
		cause     string
		stand     []string
	}
	answers := func(path string) []answer {
		r, err := tcpwhy.Explain(context.Background(), []string{path}, tcpwhy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var all []answer
		for _, f := range r.Findings {
			a := answer{f.Question, f.Verdict.Certainty, f.Verdict.Cause, nil}
			for _, c := range f.Causes {
				if c.Stands != report.RuledOut {
					a.stand = append(a.stand, c.Cause)
				}
			}
			all = append(all, a)
		}
		return all
	}
	equal := func(a, b answer) bool {
		return a.question == b.question && a.certainty == b.certainty && a.cause == b.cause && slices.Equal(a.stand, b.stand)
	}
	const printed = "internal/pasted/testdata/tools/founding."
	want := answers("testdata/founding/founding.pcap")
	if len(want) == 0 {
		t.Fatal("the capture raises no question")
	}
	for _, way := range []string{"n", "nS", "nv", "nvvS", "ne", "ntttt", "nttt", "nttttt", "ntt", "shark-abs", "fields"} {
		if got := answers(printed + way + ".txt"); !slices.EqualFunc(got, want, equal) {
			t.Errorf("%s: %v, want %v", way, got, want)
		}
	}
	for _, a := range answers(printed + "shark.txt") {
		if a.certainty == report.Certain {
			t.Errorf("relative numbers: %v is certain", a)
		}
	}
}
