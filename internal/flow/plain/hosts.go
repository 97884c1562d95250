package plain

import (
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// What is remembered of an address, and of how many.
const (
	maxHosts   = 1 << 16
	maxWindows = 4
	maxSamples = 8
)

// host is what an address showed in its own SYNs and SYN-ACKs.
type host struct {
	windows []flow.FirstWindow
	samples []sample
}

type sample struct {
	flow.ISNSample
	ts    bool
	tsVal seq.Num
}

type hosts map[segment.Addr]*host

// noteHost takes in what a first SYN (or SYN-ACK) shows of its sender.
func (t *Table) noteHost(s *segment.Segment) {
	if t.cfg.LinesOnly {
		return
	}
	h := t.hosts[s.Src.Addr]
	if h == nil {
		if len(t.hosts) >= maxHosts {
			t.overflow.Hosts++
			return
		}
		h = &host{}
		t.hosts[s.Src.Addr] = h
	}
	h.noteWindow(s)
	h.noteSample(s)
}

func (h *host) noteWindow(s *segment.Segment) {
	w := flow.FirstWindow{Window: s.Window, TS: s.HasTS(), SYN: s.Flags&segment.ACK == 0, Frame: s.Frame}
	if s.Options.Has(segment.OptMSS) {
		w.MSS = s.MSS
	}
	for _, x := range h.windows {
		if x.Window == w.Window && x.MSS == w.MSS && x.TS == w.TS && x.SYN == w.SYN {
			return
		}
	}
	if len(h.windows) < maxWindows {
		h.windows = append(h.windows, w)
	}
}

// noteSample keeps samples of different peers where it can: a new peer takes the place of the
// last one that is not the first of its peer.
func (h *host) noteSample(s *segment.Segment) {
	known, twin := false, -1
	for i, x := range h.samples {
		if x.Peer == s.Dst && x.Port == s.Src.Port {
			return
		}
		known = known || x.Peer.Addr == s.Dst.Addr
		if slices.ContainsFunc(h.samples[:i], func(y sample) bool { return y.Peer.Addr == x.Peer.Addr }) {
			twin = i
		}
	}
	if len(h.samples) == maxSamples {
		if known || twin < 0 {
			return
		}
		h.samples = slices.Delete(h.samples, twin, twin+1)
	}
	x := sample{ISNSample: flow.ISNSample{Peer: s.Dst, Port: s.Src.Port, SYN: s.Flags&segment.ACK == 0, ISN: s.Seq, Point: pointOf(s)}}
	if s.HasTS() {
		x.ts, x.tsVal = true, s.TSVal
	}
	h.samples = append(h.samples, x)
}

// Host returns what an address showed of its kernel so far.
func (t *Table) Host(a segment.Addr) (flow.Host, bool) {
	h := t.hosts[a]
	if h == nil {
		return flow.Host{}, false
	}
	v := flow.Host{Windows: slices.Clone(h.windows)}
	for _, x := range h.samples {
		if x.ts {
			v.TSVals = append(v.TSVals, flow.TSSample{Peer: x.Peer, Port: x.Port, TSVal: x.tsVal, Point: x.Point})
		}
		v.ISNs = append(v.ISNs, x.ISNSample)
	}
	return v, true
}

const (
	maxClosings  = 4       // what Closings returns
	closingsKept = 1 << 18 // of all addresses together
)

type pair struct{ server, client segment.Addr }

// closing is a TIME_WAIT and its number among all.
type closing struct {
	flow.TimeWait
	n uint64
}

type closings struct {
	of map[pair][]closing
	n  uint64
}

// noteClosing remembers end e's TIME_WAIT if it closed first: its FIN did not
// acknowledge the peer's.
func (t *Table) noteClosing(c *conn, e flow.Side) {
	v, p := &c.Ends[e], &c.Ends[e.Other()]
	if t.cfg.LinesOnly || !v.FINAck.Num.Before(p.FIN.Num) {
		return
	}
	w := flow.TimeWait{At: c.EndedAt, Conn: c.ID}
	switch {
	case v.HasTSEcr:
		w.TSVal = v.TSEcr.Num
	case v.HasTS && p.HasTS:
		w.TSVal = p.TSVal
	default:
		return
	}
	k := pair{v.Addr, p.Addr}
	t.closings.n++
	t.closings.of[k] = append(t.closings.of[k], closing{w, t.closings.n})
}

// Closings returns the last connections with timestamps between two addresses that
// server closed first, the most recent last.
func (t *Table) Closings(server, client segment.Addr) []flow.TimeWait {
	var v []flow.TimeWait
	all := t.closings.of[pair{server, client}]
	for _, x := range all[max(len(all)-maxClosings, 0):] {
		if t.closings.n-x.n < closingsKept {
			v = append(v, x.TimeWait)
		}
	}
	return v
}
