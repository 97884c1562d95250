package kernel

import (
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func TestInheritedISN(t *testing.T) {
	for _, c := range []struct{ sndNxt, isn uint32 }{
		{1082535342, 1082600879},
		{0, 65537},
		{1<<32 - 65537, 1}, // 0 would mean none
		{1<<32 - 65536, 1}, // the one after it is 1 by itself
		{1<<32 - 65538, 1<<32 - 1},
		{1<<32 - 1, 65536},
		{1 << 31, 1<<31 + 65537},
	} {
		if got := InheritedISN(Known(seq.Of(c.sndNxt))); got != Known(seq.Of(c.isn)) {
			t.Errorf("snd_nxt %d: %+v, want %d", c.sndNxt, got, c.isn)
		}
	}
	if got := InheritedISN(Num{}); got.Known {
		t.Errorf("of an unknown snd_nxt: %+v", got)
	}
}

func TestKeepsISNByFamily(t *testing.T) {
	p, err := ParseRelease("4.9.229")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ipv6 bool
		want Answer
	}{{false, Yes}, {true, No}} {
		h := Host{Profile: p, IPv6: c.ipv6}
		if got := h.KeepsISN(); got.Answer != c.want {
			t.Errorf("IPv6 %t: %s", c.ipv6, got.Answer)
		}
	}
}

func TestAnswers(t *testing.T) {
	var zero Answer
	if zero != Unknown {
		t.Error("the zero answer is not unknown")
	}
	for _, c := range []struct{ a, not Answer }{{Unknown, Unknown}, {No, Yes}, {Yes, No}} {
		if c.a.Not() != c.not || c.a.Not().Not() != c.a {
			t.Errorf("not %s is %s", c.a, c.a.Not())
		}
	}
	if If(true) != Yes || If(false) != No {
		t.Error("If")
	}
	if r := Setting(Unknown, "on", "off", FactRFC1337); r.Answer != Unknown || r.Missing != FactRFC1337 {
		t.Errorf("an unknown setting reads %+v", r)
	}
	if r := Setting(No, "on", "off", FactRFC1337); r.Answer != No || r.Because() != "off" || r.Missing != "" {
		t.Errorf("a setting that is off reads %+v", r)
	}
}

// Decide stops at the first rule that is sure, keeps those that may fire, and
// asks no clause after a no.
func TestDecide(t *testing.T) {
	type facts map[string]Answer
	rule := func(id string, clauses ...string) *Rule[facts, string] {
		r := &Rule[facts, string]{ID: id, Then: func(*facts) string { return id }}
		for _, c := range clauses {
			r.When = append(r.When, Clause[facts]{Says: c, Ask: func(f *facts) Reading {
				a, ok := (*f)[c]
				if !ok {
					t.Errorf("%s was asked", c)
				}
				rd := Reading{Answer: a}
				if a == Unknown {
					rd.Missing = Fact(c)
				}
				return rd
			}})
		}
		return r
	}
	rules := []*Rule[facts, string]{rule("first", "a", "b"), rule("second", "c"), rule("last")}
	for _, c := range []struct {
		facts    facts
		possible []string
		missing  []Fact
	}{
		{facts{"a": Yes, "b": Yes}, []string{"first"}, nil},
		{facts{"a": No, "c": Yes}, []string{"second"}, nil},
		{facts{"a": No, "c": No}, []string{"last"}, nil},
		{facts{"a": Unknown, "b": Yes, "c": Yes}, []string{"first", "second"}, []Fact{"a"}},
		{facts{"a": Unknown, "b": No, "c": Unknown}, []string{"second", "last"}, []Fact{"a", "c"}},
		{facts{"a": Yes, "b": Unknown, "c": Unknown}, []string{"first", "second", "last"}, []Fact{"b", "c"}},
	} {
		d := Decide(rules, &c.facts)
		if !slices.Equal(d.Possible, c.possible) || !slices.Equal(d.Missing(), c.missing) {
			t.Errorf("%v: possible %q, missing %q", c.facts, d.Possible, d.Missing())
		}
		o, ok := d.Sure()
		if ok != (len(c.possible) == 1) || ok && o != c.possible[0] || !ok && o != "" {
			t.Errorf("%v: sure of %q: %t", c.facts, o, ok)
		}
	}
}
