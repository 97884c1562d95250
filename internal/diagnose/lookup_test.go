package diagnose

import (
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// crowd is many connections of few hosts, with little that is always there.
func crowd(r *rand.Rand, n int) []*flow.Connection {
	var all []*flow.Connection
	for i := range n {
		c := &flow.Connection{ID: uint64(i + 1), State: flow.State(r.Intn(3))}
		for e := range c.Ends {
			v := &c.Ends[e]
			v.Endpoint = segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, byte(r.Intn(3))}), Port: uint16(r.Intn(2))}
			v.ISNImplied, v.WScaleOffered, v.SACKOffered, v.TSOffered = r.Intn(4) == 0, r.Intn(2) == 0, r.Intn(2) == 0, r.Intn(2) == 0
			if r.Intn(4) != 0 {
				v.ISN = flow.Mark{Num: seq.Of(1), Point: flow.Point{Frame: uint64(1 + r.Intn(50)), Time: int64(r.Intn(150)) * int64(time.Second)}}
			}
		}
		all = append(all, c)
	}
	return all
}

// TestLookup holds what is looked up against a walk through all connections.
func TestLookup(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for range 200 {
		e := &Engine{asked: crowd(r, 40), troubled: crowd(r, 40)}
		at := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, byte(r.Intn(4))}), Port: uint16(r.Intn(2))}
		now, before := int64(r.Intn(150))*int64(time.Second), uint64(r.Intn(50))
		hanging, bare, starts := 0, []uint64{}, []start{}
		for _, c := range e.asked {
			o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
			if l.Endpoint == at && c.State == flow.SynAcked && l.ISN.Time < now && now-l.ISN.Time < int64(time.Minute) {
				hanging++
			}
			if l.Addr == at.Addr && l.ISN.Seen() && !l.ISNImplied && l.ISN.Frame < before && o.WScaleOffered && o.SACKOffered && !o.TSOffered && !l.WScaleOffered && !l.SACKOffered {
				bare = append(bare, l.ISN.Frame)
			}
		}
		slices.Sort(bare)
		for _, c := range e.troubled {
			for s := range c.Ends {
				if v := &c.Ends[s]; v.Addr == at.Addr && v.ISN.Seen() && !v.ISNImplied {
					starts = append(starts, start{c, flow.Side(s)})
				}
			}
		}
		if got := e.hangingAt(at, now); got != hanging {
			t.Fatalf("%d handshakes hang at %v, want %d", got, at, hanging)
		}
		if got := e.bareBefore(at.Addr, before); !slices.Equal(got, bare) {
			t.Fatalf("%v before %d, want %v", got, before, bare)
		}
		if got := e.startsOf(at.Addr); !slices.Equal(got, starts) {
			t.Fatalf("%v, want %v", got, starts)
		}
	}
}

// TestFindingsOf: those that were found since the last call are found, too.
func TestFindingsOf(t *testing.T) {
	var x lookup
	one, two := &flow.Connection{ID: 1}, &flow.Connection{ID: 2}
	all := []*finding{{c: one}, {c: two}, {c: one}}
	if got := x.findingsOf(1, all[:1]); !slices.Equal(got, all[:1]) {
		t.Errorf("%v", got)
	}
	if got := x.findingsOf(1, all); !slices.Equal(got, []*finding{all[0], all[2]}) {
		t.Errorf("%v", got)
	}
	if got := x.findingsOf(3, all); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
