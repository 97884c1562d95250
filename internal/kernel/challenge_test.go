package kernel

import "testing"

func TestSpentChallenges(t *testing.T) {
	n := func(n uint32) Count { return Count{n, true} }
	for _, c := range []struct {
		release     string
		limit, sent Count
		spent       Answer // as it was given
		want        Answer
		missing     Fact
	}{
		// Exactly the limit.
		{"3.10.65", n(100), n(0), Unknown, No, ""},
		{"3.10.65", n(100), n(99), Unknown, No, ""},
		{"3.10.65", n(100), n(100), Unknown, Yes, ""},
		{"3.10.65", n(1), n(0), Unknown, No, ""},
		{"3.10.65", n(1), n(1), Unknown, Yes, ""},
		// Drawn: 500 to 1499, 1 to 2, exactly 1, 2 to 4.
		{"5.10.223", n(1000), n(499), Unknown, No, ""},
		{"5.10.223", n(1000), n(500), Unknown, Unknown, FactChallenges},
		{"5.10.223", n(1000), n(1498), Unknown, Unknown, FactChallenges},
		{"5.10.223", n(1000), n(1499), Unknown, Yes, ""},
		{"6.18.44", n(1), n(0), Unknown, No, ""},
		{"6.18.44", n(1), n(1), Unknown, Yes, ""},
		{"6.18.44", n(2), n(1), Unknown, Unknown, FactChallenges},
		{"6.18.44", n(2), n(2), Unknown, Yes, ""},
		{"6.18.44", n(3), n(1), Unknown, No, ""},
		{"6.18.44", n(3), n(3), Unknown, Unknown, FactChallenges},
		{"6.18.44", n(3), n(4), Unknown, Yes, ""},
		// Which of the two it is matters only between.
		{"3.10.66", n(100), n(49), Unknown, No, ""},
		{"3.10.66", n(100), n(50), Unknown, Unknown, FactKernel},
		{"3.10.66", n(100), n(148), Unknown, Unknown, FactKernel},
		{"3.10.66", n(100), n(149), Unknown, Yes, ""},
		{"", n(1), n(1), Unknown, Yes, ""},
		// None at all, or no limit.
		{"3.10.65", n(0), Count{}, Unknown, Yes, ""},
		{"5.10.223", n(0), Count{}, Unknown, Yes, ""},
		{"5.15.0", n(0), Count{}, Unknown, Unknown, FactKernel},
		{"6.1.176", n(0), Count{}, Unknown, No, ""},
		{"5.10.223", n(NoChallengeLimit), n(1 << 31), Unknown, No, ""},
		{"5.10.223", n(1<<32 - 1), Count{}, Yes, No, ""}, // -1
		{"5.10.223", n(NoChallengeLimit - 1), n(0), Unknown, No, ""},
		{"5.10.223", n(NoChallengeLimit - 1), n(1<<32 - 1), Unknown, Yes, ""},
		// What was given says it outright.
		{"", Count{}, Count{}, Yes, Yes, ""},
		{"", Count{}, Count{}, No, No, ""},
		{"", n(1), n(1), No, No, ""},
		{"", Count{}, n(1), Unknown, Unknown, FactChallengeLimit},
		{"5.10.223", n(1000), Count{}, Unknown, Unknown, FactChallenges},
		{"6.18.44", n(1000), n(0), Yes, Yes, ""},
	} {
		h := Host{Profile: profile(t, c.release), ChallengeLimit: c.limit, Challenges: c.sent, ChallengesSpent: c.spent}
		if r := h.SpentChallenges(); r.Answer != c.want || r.Missing != c.missing {
			t.Errorf("%s, limit %+v, sent %+v, given %s: %s (missing %q, %s), want %s (%q)", c.release, c.limit, c.sent, c.spent, r.Answer, r.Missing, r, c.want, c.missing)
		}
	}
}

// The default is 100 up to 4.0, 1000 in what draws, and none from 6.1 on.
func TestUsualChallengeLimit(t *testing.T) {
	n := func(n uint32) Count { return Count{n, true} }
	for _, c := range []struct {
		release string
		sent    Count
		spent   Answer
		want    Answer
		missing Fact
	}{
		{"2.6.32", n(5000), Unknown, No, ""}, // it sends none, and limits none
		{"3.4.0", n(99), Unknown, No, ""},
		{"3.4.0", n(5000), Unknown, Unknown, FactKernel},
		{"3.6.0", n(99), Unknown, No, ""},
		{"3.6.0", n(100), Unknown, Yes, ""},
		{"3.10.65", n(100), Unknown, Yes, ""},
		{"3.10.66", n(99), Unknown, No, ""},
		{"3.10.66", n(100), Unknown, Unknown, FactKernel},
		{"3.10.66", n(1499), Unknown, Yes, ""},
		{"3.16.0", n(100), Unknown, Yes, ""},
		{"4.0.5", n(100), Unknown, Yes, ""},
		{"4.1", n(100), Unknown, Unknown, FactKernel},
		{"4.1.52", n(499), Unknown, No, ""},
		{"4.1.52", n(500), Unknown, Unknown, FactChallenges},
		{"4.4.155", n(1499), Unknown, Yes, ""},
		{"5.19.0", n(1499), Unknown, Yes, ""},
		{"6.0.0", n(1499), Unknown, Unknown, FactKernel},
		{"6.1.141", n(5000), Unknown, No, ""},
		{"7.2.13", Count{}, Yes, No, ""},
		{"5.10.223", Count{}, Yes, Yes, ""},
		{"5.10.223", Count{}, Unknown, Unknown, FactChallenges},
		{"6.0.0", Count{}, Yes, Yes, ""},
		{"rhel6", n(499), Unknown, No, ""}, {"rhel7", n(1499), Unknown, Yes, ""}, {"rhel8", n(1499), Unknown, Unknown, FactKernel},
		{"5.10.0-32-amd64", n(99), Unknown, No, ""}, // a vendor may have taken the later change over
		{"5.10.0-32-amd64", n(1499), Unknown, Unknown, FactKernel},
		{"", n(99), Unknown, No, ""},
		{"", n(5000), Unknown, Unknown, FactKernel},
		{"", Count{}, Unknown, Unknown, FactKernel},
	} {
		h := Host{Profile: profile(t, c.release), UsualChallengeLimit: true, Challenges: c.sent, ChallengesSpent: c.spent}
		if r := h.SpentChallenges(); r.Answer != c.want || r.Missing != c.missing {
			t.Errorf("%s, sent %+v, given %s: %s (missing %q, %s), want %s (%q)", c.release, c.sent, c.spent, r.Answer, r.Missing, r, c.want, c.missing)
		}
	}
}

func profile(t *testing.T, release string) (p Profile) {
	t.Helper()
	if release == "" {
		return p
	}
	p, err := ParseRelease(release)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
