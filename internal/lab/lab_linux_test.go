package lab

import (
	"context"
	"errors"
	"os"
	"testing"
)

// tryHere plays the stories on the kernel that runs here and reports every
// difference. Without root there is nothing to try with; as root a laboratory
// that does not work is a failure.
func tryHere(t *testing.T, mode string, seed uint64, stories []Story) *Result {
	t.Helper()
	p, err := Kernel()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Try(context.Background(), mode, seed, stories, p)
	if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
		t.Skip("without root there is no network namespace to try the kernel in")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range r.Kinds {
		if k.Known == "" {
			t.Errorf("%s: %d\n%s", k.Key, k.Count, k.Scenario)
		}
	}
	t.Logf("kernel %s, seed %d: %d connections, %d probes, %d follow-ups, %d mismatches, not predicted: %v",
		r.Kernel, seed, r.Stories, r.Probes, r.FollowUps, r.Mismatches, r.Open)
	return r
}

// every returns each nth story, from a place that the seed chooses.
func every(stories []Story, n int, seed uint64) []Story {
	var out []Story
	for i := int(seed % uint64(n)); i < len(stories); i += n {
		out = append(out, stories[i])
	}
	return out
}

func TestLabTimeWait(t *testing.T) {
	stories, err := Matrix([]string{"timewait", "finwait2"}, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	if r := tryHere(t, "matrix", 1, every(stories, 17, 1)); r.Probes < 300 {
		t.Errorf("%d probes, want at least 300", r.Probes)
	}
}
