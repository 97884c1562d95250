package listen_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// First windows as kernels were seen to announce them, over Ethernet and loopback.
func TestFirstWindow(t *testing.T) {
	const syn, synTS = "S 1:1(0) win 9 <mss 1460,wscale 7>", "S 1:1(0) win 9 <mss 1460,sackOK,TS val 3 ecr 0,wscale 7>"
	for _, c := range []struct {
		kernel string
		mss    uint16
		rmem   uint32
		syn    string
		want   uint32 // 0: not known
	}{
		{"6.18.44", 1460, 0, syn, 64240},
		{"6.18.44", 1460, 0, synTS, 65160},
		{"6.18.44", 1440, 0, syn, 64800},
		{"6.18.44", 1440, 0, synTS, 64260},
		{"6.18.44", 65495, 0, syn, 65495},
		{"6.18.44", 65495, 0, synTS, 65483},
		{"6.18.44", 1460, 0, "", 64240}, // a SYN of its own, though it has timestamps
		{"6.18.44", 1460, 16384, syn, 7300},
		{"6.18.44", 9, 16384, synTS, 8192}, // 1 byte a segment
		{"5.10.223", 1460, 0, synTS, 65160},
		{"4.20.0", 1460, 0, syn, 64240},
		{"4.19.108", 1460, 0, syn, 29200},
		{"4.19.108", 1460, 0, synTS, 28960},
		{"4.19.108", 1460, 0, "", 29200},
		{"4.19.108", 65495, 0, "", 43690},
		{"4.19.108", 8960, 0, syn, 26880},
		{"4.9.229", 1460, 0, synTS, 28960},
		{"3.10.0-1127.el7.x86_64", 1460, 0, syn, 29200},
		{"3.16.0", 1460, 0, syn, 29200},
		{"3.10.65", 1460, 0, syn, 0},
		{"2.6.32", 1460, 0, syn, 0},
		{"rhel8", 1460, 0, syn, 0},
		{"", 1460, 0, syn, 0},
		{"6.18.44", 0, 0, syn, 0},
	} {
		o := listen.Offering{Host: kernel.Host{Profile: release(t, c.kernel), Timestamps: kernel.Yes}, MSS: c.mss, Rmem: c.rmem, Cookie: kernel.No}
		if c.syn != "" {
			o.SYN = parsed(t, c.syn)
		}
		if got := o.Offer().Window; got.Known != (c.want != 0) || got.Uint32() != c.want {
			t.Errorf("%q, MSS %d, tcp_rmem %d, %q: window %+v, want %d", c.kernel, c.mss, c.rmem, c.syn, got, c.want)
		}
	}
	// A SYN that continues a connection with timestamps leaves them room.
	o := listen.Offering{Host: kernel.Host{Profile: release(t, "6.18.44"), Timestamps: kernel.Yes}, MSS: 1460, TakesOver: true, TSRecent: kernel.Known(seq.Of(7))}
	if f := o.Offer(); f.Window.Uint32() != 65160 || f.TSEcr != kernel.Known(seq.Of(7)) {
		t.Errorf("a SYN that takes TIME_WAIT over: %+v", f)
	}
}

func TestOfferedScale(t *testing.T) {
	for most, want := range map[uint32]uint32{1: 0, 65535: 0, 65536: 1, 4 << 20: 7, 6 << 20: 7, 8<<20 - 1: 7, 8 << 20: 8, 32 << 20: 10, 1<<30 - 1: 14, 1<<32 - 1: 14} {
		o := listen.Offering{RmemMax: most}
		if got := o.Offer().WScale; !got.Known || got.Uint32() != want {
			t.Errorf("%d bytes: %+v, want %d", most, got, want)
		}
	}
	// With memory enough the defaults of the kernel.
	for uname, want := range map[string]uint32{"6.18.44": 10, "7.2.13": 10, "5.10.223": 7, "6.12.117": 7, "3.10.0-1127.el7": 7, "6.16.12": 0, "4.9.229": 0, "": 0} {
		for _, roomy := range []kernel.Answer{kernel.Yes, kernel.Unknown, kernel.No} {
			o := listen.Offering{Host: kernel.Host{Profile: release(t, uname)}, Roomy: roomy}
			got := o.Offer().WScale
			if known := roomy == kernel.Yes && want > 0; got.Known != known || known && got.Uint32() != want {
				t.Errorf("%q, memory enough: %s: %+v, want %d", uname, roomy, got, want)
			}
		}
	}
}

func TestOfferedOptions(t *testing.T) {
	const m, s, ts, w = segment.OptMSS, segment.OptSACKPermitted, segment.OptTimestamps, segment.OptWScale
	type options = []segment.Options
	cut := segment.Segment{Flags: segment.SYN, Options: segment.OptCut}
	full := parsed(t, "S 1:1(0) win 9 <mss 1460,sackOK,TS val 3 ecr 0,wscale 7>")
	noTS := parsed(t, "S 1:1(0) win 9 <mss 1460,sackOK,wscale 7>")
	for i, c := range []struct {
		syn    *segment.Segment
		stamps kernel.Answer
		cookie kernel.Answer
		want   options
		ecr    bool
	}{
		{full, kernel.Yes, kernel.No, options{m, s, ts, w}, true},
		{full, kernel.No, kernel.No, options{m, s, w}, false},
		{full, kernel.Unknown, kernel.No, nil, false},
		{noTS, kernel.Unknown, kernel.No, options{m, s, w}, false},
		{full, kernel.Yes, kernel.Yes, options{m, s, ts, w}, true},
		{full, kernel.Yes, kernel.Unknown, options{m, s, ts, w}, true},
		{noTS, kernel.Yes, kernel.Yes, options{m}, false},
		{full, kernel.No, kernel.Yes, options{m}, false}, // what it would keep them in is off
		{noTS, kernel.Yes, kernel.Unknown, nil, false},
		{parsed(t, "S 1:1(0) win 9 <mss 1460>"), kernel.Yes, kernel.Unknown, options{m}, false},
		{parsed(t, "S 1:1(0) win 9"), kernel.Yes, kernel.No, options{m}, false},
		{&cut, kernel.Yes, kernel.No, nil, false},
		{nil, kernel.Yes, kernel.No, options{m, s, ts, w}, true},
		{nil, kernel.No, kernel.No, options{m, s, w}, false},
		{nil, kernel.Unknown, kernel.No, nil, false},
	} {
		o := listen.Offering{Host: kernel.Host{Timestamps: c.stamps}, SYN: c.syn, Cookie: c.cookie}
		f := o.Offer()
		if !slices.Equal(f.Options, c.want) || (f.Options == nil) != (c.want == nil) || f.TSEcr.Known != c.ecr {
			t.Errorf("%d: options %v, TSecr %+v, want %v, %t", i, f.Options, f.TSEcr, c.want, c.ecr)
		}
	}
}

// ECN is agreed to where the SYN asks for it by both bits; a cookie keeps it in its timestamp.
func TestOfferedECN(t *testing.T) {
	for _, c := range []struct {
		syn    string
		cookie kernel.Answer
		want   kernel.Answer
	}{
		{"SEW 1:1(0) win 9 <mss 1460>", kernel.No, kernel.Yes}, {"SE 1:1(0) win 9 <mss 1460>", kernel.No, kernel.No},
		{"SW 1:1(0) win 9 <mss 1460>", kernel.No, kernel.No}, {"SEW 1:1(0) win 9 <mss 1460>", kernel.Yes, kernel.No},
		{"SEW 1:1(0) win 9 <mss 1460,TS val 1 ecr 0>", kernel.Yes, kernel.Yes},
	} {
		o := listen.Offering{Host: kernel.Host{Timestamps: kernel.Yes}, SYN: parsed(t, c.syn), Cookie: c.cookie}
		if got := o.Offer().ECE; got != c.want {
			t.Errorf("%s: %s, want %s", c.syn, got, c.want)
		}
	}
}

// A repeated SYN-ACK offers the same again, but for what it echoes, and on some kernels ECN.
func TestOfferAgain(t *testing.T) {
	o := listen.Offering{Host: kernel.Host{Timestamps: kernel.Yes}, SYN: parsed(t, "SEW 1:1(0) win 9 <mss 1460,TS val 1 ecr 0>"), Cookie: kernel.No}
	first := o.Offer()
	for uname, want := range map[string]kernel.Answer{"4.19.108": kernel.Unknown, "5.10.223": kernel.Yes, "6.18.44": kernel.Yes, "7.0.0": kernel.Unknown, "7.2.13": kernel.Unknown, "": kernel.Unknown} {
		f := first.Again(release(t, uname), kernel.Known(seq.Of(9)))
		if f.ECE != want || f.TSEcr != kernel.Known(seq.Of(9)) || !slices.Equal(f.Options, first.Options) {
			t.Errorf("%q: %+v, ECE %s, want %s", uname, f, f.ECE, want)
		}
	}
	o.SYN = parsed(t, "S 1:1(0) win 9 <mss 1460>")
	if f := o.Offer().Again(release(t, "7.2.13"), kernel.Known(seq.Of(9))); f.ECE != kernel.No || f.TSEcr.Known {
		t.Errorf("what was not offered is not offered again: %+v", f)
	}
}

func TestTSValLines(t *testing.T) {
	old := seq.Of(1<<32 - 100)
	for _, c := range []struct {
		kernel           string
		tuple, pair, any kernel.Answer
		from, to         uint32 // a second later
	}{
		{"4.9.229", kernel.Yes, kernel.Yes, kernel.Yes, 0, 901},
		{"4.10.0", kernel.Yes, kernel.No, kernel.No, 0, 901},
		{"4.12.0", kernel.Yes, kernel.Yes, kernel.No, 0, 901},
		{"4.13.0", kernel.Yes, kernel.Yes, kernel.No, 900, 901},
		{"6.18.18", kernel.Yes, kernel.Yes, kernel.No, 900, 901},
		{"6.18.19", kernel.Yes, kernel.No, kernel.No, 900, 901},
		{"6.19.10", kernel.Yes, kernel.Unknown, kernel.Unknown, 900, 901},
		{"", kernel.Yes, kernel.Unknown, kernel.Unknown, 0, 901},
	} {
		k := listen.ClocksOf(release(t, c.kernel))
		if a, b, d := k.OneLine(listen.SameTuple), k.OneLine(listen.SamePair), k.OneLine(listen.OtherPeer); a != c.tuple || b != c.pair || d != c.any {
			t.Errorf("%q: %s, %s, %s, want %s, %s, %s", c.kernel, a, b, d, c.tuple, c.pair, c.any)
		}
		if from, to := k.TSVal(old, time.Second); from.Uint32() != c.from || to.Uint32() != c.to {
			t.Errorf("%q: %s to %s, want %d to %d", c.kernel, from, to, c.from, c.to)
		}
	}
}
