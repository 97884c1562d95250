package kernel

import (
	"strings"
	"testing"
)

// covers tells whether a version belongs to the stretch that a candidate stands
// for. Of a series that is split both parts do.
func (c *candidate) covers(t *testing.T, v Version) bool {
	t.Helper()
	edge := func(words string) Version {
		words = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(words, ".y"), "early "), "late ")
		p, err := ParseRelease(words)
		if err != nil {
			t.Fatal(err)
		}
		return V(p.Version.Major, p.Version.Minor, 0)
	}
	series := V(v.Major, v.Minor, 0)
	return edge(c.from).Compare(series) <= 0 && series.Compare(edge(c.to)) <= 0
}

// TestCandidatesCoverEveryChange: on both sides of every change there is a kernel
// that was read. A host that runs it is among the candidates: one of them whose
// stretch it lies in answers as it does, or does not know. Otherwise a story that is
// true of that kernel would fit none.
func TestCandidatesCoverEveryChange(t *testing.T) {
	for _, b := range Behaviours() {
		for _, c := range b.Changes {
			for _, v := range []Version{c.Before, c.After} {
				p := Profile{Vendor: Mainline, Version: v}
				want, covered, fits := p.Has(b).Answer, false, false
				for i := range candidates {
					k := &candidates[i]
					if k.profile.Vendor != Mainline || !k.covers(t, v) {
						continue
					}
					covered = true
					got := k.profile.Has(b).Answer
					fits = fits || got == want || got == Unknown
				}
				if !covered || !fits {
					t.Errorf("%s: %v answers %v; no candidate does (one covers it: %t)", b.ID, v, want, covered)
				}
			}
		}
	}
}

// TestAlike: profiles share a group exactly where they answer alike.
func TestAlike(t *testing.T) {
	all := Candidates()
	for _, by := range [][]*Behaviour{nil, {&KeepsISN}, {&RearmsOnIgnoredRST, &LimitsACKs}, Behaviours()} {
		group := make([]int, len(all))
		seen := 0
		for g, members := range Alike(all, by) {
			for _, i := range members {
				group[i] = g
				seen++
			}
		}
		if seen != len(all) {
			t.Fatalf("%d profiles in groups, of %d", seen, len(all))
		}
		for i := range all {
			for j := range i {
				same := true
				for _, b := range by {
					same = same && all[i].Has(b).Answer == all[j].Has(b).Answer
				}
				if same != (group[i] == group[j]) {
					t.Errorf("%v and %v: alike %t, in one group %t", all[i], all[j], same, group[i] == group[j])
				}
			}
		}
	}
}
