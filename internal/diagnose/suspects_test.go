package diagnose

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func TestSuspectsFitASet(t *testing.T) {
	if n := len(kernel.Candidates()); n > 64 {
		t.Fatalf("%d candidates: a set has 64 bits", n)
	}
}

// Asking one kernel of those that answered alike gives what asking all gives.
func TestEachAsksNoneTooFew(t *testing.T) {
	e := New(&Facts{}, nil)
	rapid.Check(t, func(t *rapid.T) {
		num := rapid.Custom(func(t *rapid.T) kernel.Num {
			return kernel.Num{Num: seq.Of(rapid.Uint32Range(0, 3).Draw(t, "n")), Known: rapid.IntRange(0, 4).Draw(t, "known") > 0}
		})
		answer := rapid.SampledFrom([]kernel.Answer{kernel.Unknown, kernel.No, kernel.Yes})
		c := timewait.Case{Now: 3e18, Socket: timewait.Socket{RcvNxt: num.Draw(t, "rcv_nxt"), SndNxt: num.Draw(t, "snd_nxt"), TSRecent: num.Draw(t, "ts_recent"), HasTS: answer.Draw(t, "ts"),
			TSStored: 3e18 - rapid.SampledFrom([]int64{1e9, 2200e9, 2500000e9}).Draw(t, "stored"), LastACK: rapid.SampledFrom([]int64{0, 3e18 - 1e8}).Draw(t, "last ACK")}}
		c.Segment = segment.Segment{Seq: num.Draw(t, "seq").Num, Flags: segment.Flags(rapid.IntRange(0, 31).Draw(t, "flags")), Options: segment.OptTimestamps, TSVal: num.Draw(t, "tsval").Num}
		host := kernel.Host{Timestamps: answer.Draw(t, "on"), RFC1337: answer.Draw(t, "rfc1337"), Listener: answer.Draw(t, "listens"), AcceptQueueFull: answer.Draw(t, "full"), IPv6: rapid.Bool().Draw(t, "IPv6")}
		ask := func(p kernel.Profile) timewait.Outcome {
			x := c
			x.Host = host
			x.Host.Profile = p
			out := timewait.Outcomes(&x)
			o := out[len(out)-1]
			if min, _ := timewait.Lifetime(p); min > timewait.Length/10*9 {
				o.Gone = !o.Gone // another question of the same kernel
			}
			return o
		}
		k := e.suspected(kernel.Profile{}, nil)
		for i := range k.suspects {
			want := ask(k.suspects[i].Profile)
			asked := 0
			got := k.each(func(p kernel.Profile) bool { asked++; return ask(p) == want })
			for j := range k.suspects {
				if in := got&(1<<j) != 0; in != (ask(k.suspects[j].Profile) == want) {
					t.Fatalf("kernel %s: %t", k.suspects[j].Profile, in)
				}
			}
			if asked == 0 || asked > len(k.suspects)/2 {
				t.Fatalf("%d of %d kernels were asked", asked, len(k.suspects))
			}
		}
	})
}

// A set, the list of it, and the best of it belong together.
func TestSets(t *testing.T) {
	e := New(&Facts{}, nil)
	hints := []hint{{sign: sign{&kernel.LargeFirstWindow, kernel.Yes, 10}}, {sign: sign{&kernel.OffsetsTimestamps, kernel.No, 20}}}
	k := e.suspected(kernel.Profile{}, hints)
	if e.suspected(kernel.Profile{}, hints) != k || e.suspected(kernel.Profile{}, nil) == k {
		t.Error("the signs do not choose the suspects")
	}
	rapid.Check(t, func(t *rapid.T) {
		s := set(rapid.Uint64().Draw(t, "set")) & k.all()
		list := k.profiles(s)
		if k.setOf(list) != s || len(list) > 0 && k.setOf(append([]kernel.Profile{}, list...)) != s {
			t.Fatal("a list stands for another set")
		}
		if s == 0 {
			return
		}
		likeliest := k.likeliest(list)
		first := true
		for i, x := range k.suspects {
			if s&(1<<i) == 0 {
				continue
			}
			if x.against < k.best || x.against < k.best+k.weight(s) {
				t.Fatalf("%s is better than the best", x.Profile)
			}
			if first && x.against == k.best+k.weight(s) {
				first = false
				if x.Profile != likeliest {
					t.Fatalf("%s is the likeliest, not %s", x.Profile, likeliest)
				}
			}
		}
	})
	given, err := kernel.ParseRelease("5.10.1")
	if err != nil {
		t.Fatal(err)
	}
	if k := e.suspected(given, hints); len(k.suspects) != 1 || k.likeliest(nil) != given || k.each(func(p kernel.Profile) bool { return p.Has(&kernel.HasRecycle).Answer == kernel.No }) != 1 {
		t.Error("a kernel that was given is not the only suspect")
	}
}
