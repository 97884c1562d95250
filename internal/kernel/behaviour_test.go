package kernel

import (
	"slices"
	"testing"
)

func TestHas(t *testing.T) {
	for _, c := range []struct {
		want    Answer
		b       *Behaviour
		release string
	}{
		{Yes, &KeepsISN, "4.14.5"},
		{Unknown, &KeepsISN, "4.14.6"},
		{Unknown, &KeepsISN, "4.14.276"},
		{No, &KeepsISN, "4.14.277"},
		{Unknown, &KeepsISN, "4.14"},
		{Unknown, &KeepsISN, "4.15.1"},
		{Unknown, &KeepsISN, "4.16"},
		{No, &KeepsISN, "4.17"},
		{No, &KeepsISN, "4.19.108"},
		{No, &KeepsISN, "5.10"},
		{No, &KeepsISN, "6.6.87"},
		{Unknown, &KeepsISN, "6.7"},
		{Unknown, &KeepsISN, "6.11.11"},
		{Yes, &KeepsISN, "6.12"},
		{Yes, &KeepsISN, "7.2.13"},
		{Yes, &KeepsISN, "3.10.0-1127.el7.x86_64"},
		{No, &KeepsISN, "4.18.0-240.el8"},
		{Yes, &KeepsISN, "2.6.32-642.6.2.el6"},
		// A vendor's 4.9 may have the back-port that 4.14.277 has; a vendor's 6.12
		// lies behind the last change.
		{Unknown, &KeepsISN, "4.9.0-13-amd64"},
		{Unknown, &KeepsISN, "5.10.0-32-amd64"},
		{Yes, &KeepsISN, "6.12.43-generic"},
		{Yes, &KeepsISN6, "3.19.8"},
		{Unknown, &KeepsISN6, "4.0"},
		{No, &KeepsISN6, "4.1.52"},
		{No, &HasRecycle, "4.12"},
		{Yes, &HasRecycle, "4.11"},
		{No, &HasRecycle, "5.4.0-42-generic"},
		{No, &LimitsACKs, "3.16"},
		{Unknown, &LimitsACKs, "4.0"},
		{Yes, &LimitsACKs, "4.1"},
		{Yes, &LimitsACKs, "3.10.0-1127.el7"},
		{Yes, &ChallengesSYN, "3.16.0"},
		{Unknown, &ChallengesSYN, "3.16.1"},
		{Yes, &SilentOnSYN, "3.16.0"},
		{Unknown, &SilentOnSYN, "3.16.0-4-amd64"},
		{Unknown, &SilentOnSYN, "3.16.1"},
		{Unknown, &SilentOnSYN, "3.14"},
		{No, &SilentOnSYN, "3.13"},
		// Between the trees that were read: stable series had the change too.
		{Unknown, &ExactRST, "3.2.37"},
		{Unknown, &ZeroTSRecentPasses, "2.6.39"},
		{Yes, &ChallengesSYN, "3.10"},
		{Yes, &ChallengesSYN, "4.4"},
		{Yes, &OffsetPerTuple, "6.18.19"},
		{No, &OffsetPerTuple, "6.18.18"},
		{Unknown, &OffsetPerTuple, "6.18"},
		{No, &OffsetPerTuple, "6.19.0"},
		{Unknown, &ResendsAtOnce, "5.6"},
		// The repair came to the stable series at patch levels that were not read.
		{Yes, &RearmsOnIgnoredRST, "3.16.0"},
		{Unknown, &RearmsOnIgnoredRST, "3.16.59"},
		{Yes, &RearmsOnIgnoredRST, "4.4.155"},
		{Unknown, &RearmsOnIgnoredRST, "4.4.156"},
		{Yes, &RearmsOnIgnoredRST, "4.9.115"},
		{Unknown, &RearmsOnIgnoredRST, "4.9.229"},
		{No, &RearmsOnIgnoredRST, "4.9.243"},
		{Yes, &RearmsOnIgnoredRST, "4.10.0"},
		{Yes, &RearmsOnIgnoredRST, "4.14.5"},
		{Unknown, &RearmsOnIgnoredRST, "4.14.277"},
		{No, &RearmsOnIgnoredRST, "4.14.355"},
		{Yes, &RearmsOnIgnoredRST, "4.16.18"},
		{Unknown, &RearmsOnIgnoredRST, "4.18.0"},
		{No, &RearmsOnIgnoredRST, "4.19.0"},
		{No, &RearmsOnIgnoredRST, "3.10.0-1127.el7.x86_64"},
	} {
		p, err := ParseRelease(c.release)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Has(c.b); got.Answer != c.want {
			t.Errorf("%s %s: %v, want %v (%s)", c.release, c.b.ID, got.Answer, c.want, got.Because())
		} else if (got.Answer == Unknown) != (got.Missing == FactKernel) {
			t.Errorf("%s %s: answer %v with missing %q", c.release, c.b.ID, got.Answer, got.Missing)
		}
	}
	if r := new(Profile).Has(&KeepsISN); r.Answer != Unknown || r.Missing != FactKernel {
		t.Errorf("the zero profile: %+v", r)
	}
}

func TestParseRelease(t *testing.T) {
	for _, bad := range []string{"", "linux", "5", "5.", "2.4.20", "2.6.18-398.el5", "40088018880.1", "x5.10"} {
		if p, err := ParseRelease(bad); err == nil {
			t.Errorf("%q: read as %v", bad, p)
		}
	}
	if p, _ := ParseRelease("6.12.0-rc4+"); p.Backports {
		t.Error("a release candidate is taken for a vendor's kernel")
	}
}

func TestWords(t *testing.T) {
	var old, all, lost []Profile
	for _, p := range Candidates() {
		all = append(all, p)
		if p.Has(&HasRecycle).Answer == Yes {
			old = append(old, p)
		}
		if p.Has(&KeepsISN).Answer == No {
			lost = append(lost, p)
		}
	}
	for want, set := range map[string][]Profile{
		"up to 4.11, rhel6, rhel7":                  old,
		"any mainline version, rhel6, rhel7, rhel8": all,
		"late 4.14.y, 4.17 to 6.6, rhel8":           lost,
		"no kernel":                                 nil,
	} {
		if got := Words(set); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Boundaries are in order, or at() would stop too early.
func TestBehavioursInOrder(t *testing.T) {
	ids := map[string]bool{}
	for _, b := range Behaviours() {
		if ids[b.ID] {
			t.Errorf("%s twice", b.ID)
		}
		ids[b.ID] = true
		last := V(2, 6, 32)
		for _, c := range b.Changes {
			if c.Before.Compare(last) < 0 || c.After.Compare(c.Before) <= 0 {
				t.Errorf("%s: %v to %v is out of order", b.ID, c.Before, c.After)
			}
			last = c.After
		}
		for _, p := range Candidates() {
			p.Has(b)
		}
	}
}

func TestWatched(t *testing.T) {
	var w Watch
	p := mustParse(t, "4.14.5").Watched(&w)
	for _, b := range []*Behaviour{&KeepsISN, &HasRecycle, &KeepsISN} {
		if got, want := p.Has(b), mustParse(t, "4.14.5"); got.Answer != want.Has(b).Answer || got.Because() != want.Has(b).Because() {
			t.Errorf("%s: watched it says %s", b.ID, got)
		}
	}
	want := []Consulted{{Behaviour: &KeepsISN, Answer: p.Has(&KeepsISN).Answer}, {Behaviour: &HasRecycle, Answer: No}}
	if !slices.Equal(w.Asked, want) {
		t.Errorf("watched was %v, want %v", w.Asked, want)
	}
	if p.Watched(&w); len(w.Asked) != 0 {
		t.Error("a new watch begins with what was asked before")
	}
}

func mustParse(t *testing.T, release string) *Profile {
	t.Helper()
	p, err := ParseRelease(release)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}
