package lab

import (
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

func parsedSegment(t *testing.T, text string) segment.Segment {
	t.Helper()
	s, err := segment.ParsePacketdrill(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each field of a SYN-ACK's offer is compared.
func TestCompareOffer(t *testing.T) {
	syn := parsedSegment(t, "SEW 7:7(0) win 4000 <mss 1400,sackOK,TS val 9 ecr 0,wscale 7>")
	offer := buffers{131072, 6 << 20}.offering(Settings{}.host(profile(t, "6.18.44"), false), &syn, false)
	for _, c := range []struct{ synACK, field string }{
		{"SE. 1:1(0) ack 8 win 65160 <mss 1460,sackOK,TS val 5 ecr 9,wscale 7>", ""},
		{"SE. 1:1(0) ack 8 win 65159 <mss 1460,sackOK,TS val 5 ecr 9,wscale 7>", "window"},
		{"SE. 1:1(0) ack 8 win 65160 <mss 1459,sackOK,TS val 5 ecr 9,wscale 7>", "mss"},
		{"SE. 1:1(0) ack 8 win 65160 <mss 1460,TS val 5 ecr 9,sackOK,wscale 7>", "options"},
		{"SE. 1:1(0) ack 8 win 65160 <mss 1460,TS val 5 ecr 9,wscale 7>", "options"},
		{"SE. 1:1(0) ack 8 win 65160 <mss 1460,sackOK,TS val 5 ecr 10,wscale 7>", "tsecr"},
		{"SE. 1:1(0) ack 8 win 65160 <mss 1460,sackOK,TS val 5 ecr 9,wscale 8>", "wscale"},
		{"S. 1:1(0) ack 8 win 65160 <mss 1460,sackOK,TS val 5 ecr 9,wscale 7>", "ece"},
	} {
		s, field := parsedSegment(t, c.synACK), ""
		if d := compareOffer(offer, &s); len(d) > 0 {
			field = d[0].Field
		}
		if field != c.field {
			t.Errorf("%s: differs in %q, want %q", c.synACK, field, c.field)
		}
	}
}

func TestWireOptions(t *testing.T) {
	for raw, want := range map[string]string{
		"": "",
		"\x02\x04\x05\xb4\x01\x01\x04\x02\x01\x03\x03\x07": " mss sackOK wscale",
		"\x22\x02\x00\x02": " kind 34",
		"\x02":             " malformed",
		"\x02\x01\x00":     " malformed",
		"\x02\x09\x00":     " malformed",
	} {
		if got := wireOptions([]byte(raw)); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

// A TSval off its line is noticed, where the kernel counts milliseconds.
func TestCompareStamp(t *testing.T) {
	n := Numbers{TSEcr: seqOf(1<<32 - 50), TSAsked: 1e9, TSTime: 1e9 + 2e6}
	for _, c := range []struct {
		kernel string
		tsval  uint32
		on     bool
	}{
		{"6.18.44", 2000 - 50, true}, {"6.18.44", 2150 - 50, true}, {"6.18.44", 1850 - 50, true},
		{"6.18.44", 2300 - 50, false}, {"6.18.44", 1700 - 50, false}, {"6.18.44", 1 << 31, false},
		{"4.9.229", 1 << 31, true}, // its ticks are not known
	} {
		h := kernel.Host{Profile: profile(t, c.kernel)}
		s := segment.Segment{Options: segment.OptTimestamps, TSVal: seqOf(c.tsval)}
		s.Time = n.TSTime + int64(2*time.Second)
		if d, on := compareStamp(&h, &s, &n, s.Time-1e6); on != c.on {
			t.Errorf("%s, TSval %d: %+v, want %t", c.kernel, c.tsval, d, c.on)
		}
	}
	h, s := kernel.Host{Profile: profile(t, "6.18.44")}, segment.Segment{Options: segment.OptTimestamps}
	if _, on := compareStamp(&h, &s, &Numbers{}, 1); !on {
		t.Error("nothing is known of the line, and it is off it")
	}
}

// What a request's SYN-ACK offered it offers again; what a SYN met that made a new one, anew.
func TestRequestOffersAgain(t *testing.T) {
	p := profile(t, "6.18.44")
	st := Story{State: SynRecv, TS: true, TSVal: seqOf(9)}
	n := Numbers{RcvNxt: seqOf(8), SndNxt: seqOf(101), TSRecent: seqOf(9), TSEcr: seqOf(5), Buffers: buffers{131072, 32 << 20}}
	v := viewOf(&st, &n, p)
	again := v.predict(Settings{}.host(p, false), parsedSegment(t, "S 7:7(0) win 1 <mss 1400,TS val 30 ecr 0>"), 1e9)
	if again.rule != "req-repeat" || again.offer == nil || again.offer.TSEcr != kernel.Known(seqOf(9)) || optionWords(again.offer.Options) != " mss sackOK TS wscale" {
		t.Errorf("%+v, offer %+v", again, again.offer)
	}
	if again.after.offer != v.offer {
		t.Error("the request has forgotten what it offered")
	}
	var nothing view
	fresh := nothing.predict(Settings{}.host(p, false), parsedSegment(t, "S 7:7(0) win 1 <mss 1400>"), 1e9)
	if fresh.offer == nil || optionWords(fresh.offer.Options) != " mss" || fresh.after.offer != fresh.offer {
		t.Errorf("%+v, offer %+v", fresh, fresh.offer)
	}
}
