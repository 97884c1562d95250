package diagnose

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// TestDateCache: the fast way to write a time gives what the contract's own way
// gives, whatever was written before.
func TestDateCache(t *testing.T) {
	var d dateCache
	same := func(t interface{ Errorf(string, ...any) }, ns int64) {
		if got, want := string(d.append(nil, ns)), report.FormatTime(ns); got != want {
			t.Errorf("%d ns: %s, want %s", ns, got, want)
		}
	}
	const day = 24 * 3600 * 1e9
	for _, ns := range []int64{
		0, 1, -1, 999_999_999, 1e9, day - 1, day, day + 1, -day, -day - 1, -day + 1,
		951782400e9,            // 29 February 2000
		1767225599_999_999_999, // the last nanosecond of 2025
		1<<63 - 1, -1 << 63,
	} {
		same(t, ns)
	}
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64().Draw(t, "ns")
		same(t, ns)
		same(t, ns+rapid.Int64Range(0, 2*day).Draw(t, "later"))
	})
}

// TestEndpointText: an endpoint is written as segment.Endpoint prints it.
func TestEndpointText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")))
		if rapid.Bool().Draw(t, "is v6") {
			a = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
		}
		e := segment.Endpoint{Addr: segment.AddrFromNetip(a), Port: rapid.Uint16().Draw(t, "port")}
		if got := string(appendEndpoint(nil, e)); got != e.String() {
			t.Fatalf("%s, want %s", got, e)
		}
	})
}

// TestDescribedStays: what was described keeps its text when others follow.
func TestDescribedStays(t *testing.T) {
	var d Describer
	var all []report.Connection
	c := flow.Connection{}
	for i := range 2000 {
		c.ID, c.Ends[0].Port = uint64(i), uint16(i)
		var out report.Connection
		d.Describe(&c, &out)
		all = append(all, out)
	}
	for i := range all {
		var fresh Describer
		var want report.Connection
		c.ID, c.Ends[0].Port = uint64(i), uint16(i)
		if fresh.Describe(&c, &want); all[i] != want {
			t.Fatalf("%+v, want %+v", all[i], want)
		}
	}
}
