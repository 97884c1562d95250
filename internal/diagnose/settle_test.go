package diagnose

import (
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// noHosts knows nothing of any host.
type noHosts struct{}

func (noHosts) Host(segment.Addr) (flow.Host, bool)                   { return flow.Host{}, false }
func (noHosts) Closings(_, _ segment.Addr) (closings []flow.TimeWait) { return nil }

// silentSYN is an attempt that got no answer.
func silentSYN(id uint64, at time.Duration, superseded bool) *flow.Connection {
	c := &flow.Connection{ID: id, State: flow.SynOnly, Superseded: superseded}
	c.First = flow.Point{Frame: id, Time: int64(at)}
	c.LastSeen = c.First
	o := &c.Ends[flow.Opener]
	o.Endpoint = segment.Endpoint{Addr: segment.Addr{Lo: 0xffff0a000001}, Port: uint16(1000 + id)}
	o.ISN, o.Segments = flow.Mark{Num: seq.Of(uint32(id)), Point: c.First}, 1
	c.Ends[flow.Listener].Endpoint = segment.Endpoint{Addr: segment.Addr{Lo: 0xffff0a000002}, Port: 80}
	return c
}

func settling() *Engine {
	e := New(&Facts{}, noHosts{})
	e.Endless()
	return e
}

func ids(rs []Result) (all []string) {
	for i := range rs {
		all = append(all, rs[i].Finding.ID)
	}
	return all
}

// A SYN without an answer waits until no answer from elsewhere can come; it is told once, and
// ids go on.
func TestSettleWaits(t *testing.T) {
	e := settling()
	start := time.Hour
	e.Ask(silentSYN(1, start, false))
	if got := e.Settle(Capture{Last: int64(start)}); len(got) != 0 {
		t.Errorf("told at once: %v", ids(got))
	}
	if got := e.Settle(Capture{Last: int64(start + pairWithin - 1)}); len(got) != 0 {
		t.Errorf("told too soon: %v", ids(got))
	}
	e.Ask(silentSYN(2, start+time.Minute, false))
	got := e.Settle(Capture{Last: int64(start + pairWithin)})
	if len(got) != 1 || got[0].Finding.ID != "f1" || got[0].Finding.Frames[0] != 1 {
		t.Fatalf("after %v: %v", pairWithin, ids(got))
	}
	if got := e.Settle(Capture{Last: int64(start + pairWithin + time.Second)}); len(got) != 0 {
		t.Errorf("told twice: %v", ids(got))
	}
	// At the end the rest is told, though its time has not come.
	if got := e.Answer(Capture{Last: int64(start + pairWithin + 2*time.Second)}); len(got) != 1 || got[0].Finding.ID != "f2" || got[0].Finding.Frames[0] != 2 {
		t.Errorf("at the end: %v", ids(got))
	}
}

// A connection whose four-tuple was opened again waits for the attempt that followed.
func TestSettleHolds(t *testing.T) {
	e := settling()
	start := time.Hour
	first := silentSYN(1, start, true)
	e.Ask(first)
	at := start
	for range 10 {
		if got := e.Settle(Capture{Last: int64(at)}); len(got) != 0 {
			t.Fatalf("told before the attempt that followed: %v", ids(got))
		}
		at += time.Hour
	}
	second := silentSYN(2, at, false)
	second.Ends = first.Ends
	second.Ends[flow.Opener].ISN.Point = second.First
	second.Previous = first
	e.Ask(second)
	e.Settle(Capture{Last: int64(at)})
	if got := e.Settle(Capture{Last: int64(at + pairWithin)}); len(got) != 2 {
		t.Errorf("then: %v", ids(got))
	}
}

// A clock that was set back does not keep findings for ever.
func TestSettleAfterClockStep(t *testing.T) {
	e := settling()
	e.Ask(silentSYN(1, 1000*time.Hour, false))
	e.Settle(Capture{Last: int64(1000 * time.Hour)})
	e.Settle(Capture{Last: int64(time.Hour)})
	if got := e.Settle(Capture{Last: int64(time.Hour + pairWithin)}); len(got) != 1 {
		t.Errorf("got %v", ids(got))
	}
}

// What was answered long ago is not kept, and gives its room back; what finds no room is counted.
func TestSettleForgets(t *testing.T) {
	e := settling()
	e.Limit(100 * sizeOf(silentSYN(1, 0, false)))
	at, given := time.Hour, 0
	for i := range 1000 {
		at += 10 * time.Second
		e.Ask(silentSYN(uint64(i+1), at, false))
		given += len(e.Settle(Capture{Last: int64(at)}))
		if e.Waiting() > 60 {
			t.Fatalf("%d connections are kept", e.Waiting())
		}
	}
	if n, _ := e.Refused(); n != 0 || given < 980 {
		t.Errorf("%d were refused, %d told", n, given)
	}
	for i := range 1000 {
		e.Ask(silentSYN(uint64(i+2000), at, false))
	}
	if n, since := e.Refused(); n < 900 || n > 999 || since < 2000 || since > 2100 {
		t.Errorf("%d were refused, from frame %d on", n, since)
	}
}
