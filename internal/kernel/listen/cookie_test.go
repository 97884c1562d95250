package listen_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func parsed(t *testing.T, text string) *segment.Segment {
	t.Helper()
	s, err := segment.ParsePacketdrill(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &s
}

func release(t *testing.T, s string) kernel.Profile {
	t.Helper()
	if s == "" {
		return kernel.Profile{}
	}
	p, err := kernel.ParseRelease(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Cookies of 6.18.44 with tcp_syncookies=2 and tcp_timestamps=2, which adds no offset.
func TestCookieBits(t *testing.T) {
	for _, c := range []struct {
		syn, synACK string
		low         uint32
	}{
		{"S 1000:1000(0) <mss 1460,wscale 7,sackOK,TS val 9 ecr 0>", "S. 0:0(0) ack 1001 <mss 1460,sackOK,TS val 12628439 ecr 9,wscale 10>", 23},
		{"S 1000:1000(0) <mss 1460,wscale 7,TS val 9 ecr 0>", "S. 0:0(0) ack 1001 <mss 1460,TS val 12628615 ecr 9,wscale 10>", 7},
		{"S 1000:1000(0) <mss 1460,TS val 9 ecr 0>", "S. 0:0(0) ack 1001 <mss 1460,TS val 12628623 ecr 9>", 15},
		{"S 1000:1000(0) <mss 1460,sackOK,TS val 9 ecr 0>", "S. 0:0(0) ack 1001 <mss 1460,sackOK,TS val 12628575 ecr 9>", 31},
		{"SEW 1000:1000(0) <mss 1460,wscale 14,sackOK,TS val 9 ecr 0>", "SE. 0:0(0) ack 1001 <mss 1460,sackOK,TS val 12628606 ecr 9,wscale 10>", 62},
		{"S 1000:1000(0) <mss 536,wscale 0,sackOK,TS val 9 ecr 0>", "S. 0:0(0) ack 1001 <mss 1460,sackOK,TS val 12628624 ecr 9,wscale 10>", 16},
	} {
		syn, ack := parsed(t, c.syn), parsed(t, c.synACK)
		if got := listen.CookieBits(syn, ack); got != c.low || ack.TSVal.Uint32()&63 != c.low {
			t.Errorf("%s: bits %d, in the TSval %d, want %d", c.syn, got, ack.TSVal.Uint32()&63, c.low)
		}
		// A kernel without offsets shows the bits as this one did.
		if r := listen.MayBeCookie(release(t, "4.9.229"), syn, ack); r.Answer != kernel.Unknown || !strings.Contains(r.Because(), "as a cookie's") {
			t.Errorf("%s: %s", c.syn, r)
		}
		ack.TSVal = ack.TSVal.Add(1)
		if r := listen.MayBeCookie(release(t, "4.9.229"), syn, ack); r.Answer != kernel.No {
			t.Errorf("%s, one more: %s", c.syn, r)
		}
		for _, k := range []string{"4.11", "6.18.44", "2.6.32", ""} { // an offset, or not read
			if r := listen.MayBeCookie(release(t, k), syn, ack); r.Answer != kernel.Unknown || r.Missing == "" {
				t.Errorf("%s on %q: %s", c.syn, k, r)
			}
		}
	}
}

func TestMayBeCookie(t *testing.T) {
	for _, c := range []struct {
		want        kernel.Answer
		syn, synACK string
	}{
		{kernel.No, "S 1000:1000(0) <mss 1460>", "S. 7:7(0) ack 1002 <mss 1460>"},
		{kernel.No, "S 1000:1000(0) <mss 1460>", ". 7:7(0) ack 1001"},
		{kernel.Unknown, "S 1000:1000(0) <mss 1460>", "S. 7:7(0) ack 1001 <mss 1460>"},
		{kernel.Unknown, "S 1000:1000(0) <mss 1460,wscale 7,sackOK>", "S. 7:7(0) ack 1001 <mss 1460>"},
		{kernel.No, "S 1000:1000(0) <mss 1460,wscale 7,sackOK>", "S. 7:7(0) ack 1001 <mss 1460,wscale 7>"},
		{kernel.No, "S 1000:1000(0) <mss 1460,wscale 7,sackOK>", "S. 7:7(0) ack 1001 <mss 1460,sackOK>"},
		{kernel.No, "S 1000:1000(0) <mss 1460,wscale 7,TS val 9 ecr 0>", "S. 7:7(0) ack 1001 <mss 1460,wscale 7>"},
		{kernel.Unknown, "S 1000:1000(0) <mss 1460,wscale 7,TS val 9 ecr 0>", "S. 7:7(0) ack 1001 <mss 1460,wscale 7,TS val 1 ecr 9>"},
		{kernel.No, "S 1000:1000(0) <mss 1460,TS val 9 ecr 0>", "S. 7:7(0) ack 1001 <mss 1460,wscale 7,TS val 1 ecr 9>"},
		{kernel.No, "S 1000:1000(0) <mss 1460>", "S. 7:7(0) ack 1001 <mss 1460,TS val 1 ecr 9>"},
	} {
		if r := listen.MayBeCookie(release(t, "6.18.44"), parsed(t, c.syn), parsed(t, c.synACK)); r.Answer != c.want {
			t.Errorf("%s, %s: %v (%s)", c.syn, c.synACK, r.Answer, r)
		}
	}
}

// What 6.18.44 sent behind a cookie: the segment and 12 bytes of timestamps.
func TestCookieMSS(t *testing.T) {
	for _, c := range []struct {
		kernel    string
		ipv6      bool
		mss, kept uint16
	}{
		{"6.18.44", false, 500, 536},
		{"6.18.44", false, 536, 536},
		{"6.18.44", false, 1299, 536},
		{"6.18.44", false, 1300, 1300},
		{"6.18.44", false, 1439, 1300},
		{"6.18.44", false, 1440, 1440},
		{"6.18.44", false, 1459, 1440},
		{"6.18.44", false, 1460, 1460},
		{"6.18.44", false, 8960, 1460},
		{"3.10.65", false, 1300, 1024},
		{"3.10.65", false, 63, 64},
		{"3.10.65", false, 9000, 8960},
		{"", true, 1439, 1420},
		{"", true, 1, 1220},
		{"", false, 1460, 0},
		{"4.9", false, 1460, 0}, // not read
		{"2.6.32", false, 1460, 0},
	} {
		kept, ok := listen.CookieMSS(release(t, c.kernel), c.ipv6, c.mss)
		if kept != c.kept || ok != (c.kept != 0) {
			t.Errorf("%+v: %d, %t", c, kept, ok)
		}
	}
}

// answered puts a measured pair together: the part of the ISN that goes with the SYN.
func answered(t *testing.T, seqNo, part, mss, tsval uint32, at time.Duration) listen.Answered {
	syn := parsed(t, "S 0:0(0) <mss 1460,wscale 7,sackOK,TS val 9 ecr 0>")
	ack := parsed(t, "S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1 ecr 9,wscale 10>")
	syn.Seq, syn.MSS, ack.Ack = seq.Of(seqNo), uint16(mss), seq.Of(seqNo+1)
	ack.Seq, ack.TSVal, ack.Time = seq.Of(seqNo+part), seq.Of(tsval), casefile.Start+int64(at)
	syn.Time = ack.Time
	return listen.Answered{SYN: syn, SYNACK: ack}
}

func TestBothCookies(t *testing.T) {
	p := release(t, "6.18.44")
	const part, ts = 0x71ed57f7, 16130777 // measured, with an offset of the four-tuple
	first := answered(t, 1000, part, 1460, ts, 0)
	for _, c := range []struct {
		name string
		want kernel.Answer
		b    listen.Answered
	}{
		{"another number, the same minute", kernel.Yes, answered(t, 5000, part, 1460, ts, 200*time.Millisecond)},
		{"64 ticks later", kernel.Yes, answered(t, 5000, part, 1460, ts+64, 200*time.Millisecond)},
		{"an MSS three places lower (measured)", kernel.Yes, answered(t, 5000, part-3, 536, ts, time.Second)},
		{"the same number: a request would do so too", kernel.Unknown, answered(t, 1000, part, 1460, ts, time.Second)},
		{"a minute later", kernel.Unknown, answered(t, 5000, part+1<<24+12345, 1460, ts, 30*time.Second)},
		{"an ISN of the clock, and a TSval that is no cookie's", kernel.No, answered(t, 5000, part+3_125_000-4000, 1460, ts+1, 200*time.Millisecond)},
		{"an ISN anywhere", kernel.No, answered(t, 5000, part+1<<31, 1460, ts, 200*time.Millisecond)},
		{"long after nothing can be said", kernel.Unknown, answered(t, 5000, part+1<<31, 1460, ts, time.Hour)},
		{"timestamps that go otherwise", kernel.No, answered(t, 5000, part, 1460, ts+63, 200*time.Millisecond)},
	} {
		if r := listen.BothCookies(p, first, c.b); r.Answer != c.want {
			t.Errorf("%s: %v (%s)", c.name, r.Answer, r)
		}
		if r := listen.BothCookies(p, c.b, first); r.Answer != c.want {
			t.Errorf("%s, the other way round: %v (%s)", c.name, r.Answer, r)
		}
	}
	// The bits of the options do not count: no SACK here.
	b := answered(t, 5000, part, 1460, ts-16, 200*time.Millisecond)
	b.SYN.Options &^= segment.OptSACKPermitted
	b.SYNACK.Options &^= segment.OptSACKPermitted
	if r := listen.BothCookies(p, first, b); r.Answer != kernel.Yes {
		t.Errorf("without SACK: %v (%s)", r.Answer, r)
	}
}
