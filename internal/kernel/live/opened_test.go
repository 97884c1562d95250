package live_test

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// A request that data opens is from then on a connection, which takes the data.
func TestOpened(t *testing.T) {
	profile, err := kernel.ParseRelease("6.18.44")
	if err != nil {
		t.Fatal(err)
	}
	num := func(n uint32) kernel.Num { return kernel.Known(seq.Of(n)) }
	for _, c := range []struct {
		segment  string
		opens    bool
		rule     string
		rcvNxt   uint32
		tsRecent uint32
	}{
		{"P. 1001:1011(10) ack 5001 win 501 <nop,nop,TS val 950 ecr 700>", true, "data-in-order", 1011, 950},
		{"F. 1001:1001(0) ack 5001 win 501 <nop,nop,TS val 950 ecr 700>", true, "fin-in-order", 1002, 950},
		{"P. 1011:1021(10) ack 5001 win 501 <nop,nop,TS val 950 ecr 700>", true, "data-ahead", 1001, 900},
		{"P. 1001:1011(10) ack 5001 win 501", true, "data-in-order", 1011, 900},
		{"P. 1001:1011(10) ack 5001 win 501 <nop,nop,TS val 890 ecr 700>", false, "", 0, 0}, // the new socket does not take it
		{"S. 1000:1000(0) ack 5001 win 501", false, "", 0, 0},
	} {
		s, err := segment.ParsePacketdrill(c.segment)
		if err != nil {
			t.Fatal(err)
		}
		req := live.Case{
			Socket:  live.Socket{State: live.SynRecv, RcvNxt: num(1001), SndNxt: num(5001), RcvWnd: num(64240), HasTS: kernel.Yes, TSRecent: num(900)},
			Host:    kernel.Host{Profile: profile, Timestamps: kernel.Yes},
			Segment: s, Now: 1,
		}
		got, ok := req.Opened()
		if ok != c.opens {
			t.Errorf("%s: opens %t", c.segment, ok)
			continue
		}
		if !ok {
			continue
		}
		o, sure := live.Decide(&got).Sure()
		if !sure || o.Rule != c.rule || o.After.RcvNxt != num(c.rcvNxt) || o.After.TSRecent != num(c.tsRecent) {
			t.Errorf("%s: %s, rcv_nxt %v, ts_recent %v, sure %t", c.segment, o.Rule, o.After.RcvNxt, o.After.TSRecent, sure)
		}
	}
}
