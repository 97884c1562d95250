package flow

import (
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// What is remembered of an address, and how many addresses and pairs.
const (
	maxHosts      = 1 << 16
	maxWindows    = 4
	maxSamples    = 8
	maxPairs      = 1 << 16
	maxClosings   = 4
	stalePair     = 120e9 // nanoseconds
	pairsLookedAt = 16
)

// Host is what an address showed of its kernel in its own SYNs and SYN-ACKs:
// the first of each kind, a few only.
type Host struct {
	Windows []FirstWindow
	TSVals  []TSSample
	ISNs    []ISNSample
}

// FirstWindow is the start of a connection as a host chose it: window and MSS of a SYN or
// SYN-ACK.
type FirstWindow struct {
	Window, MSS uint16
	TS          bool   // it carried timestamps
	SYN         bool   // a SYN, else a SYN-ACK
	Frame       uint64 // the first frame that showed it
}

// TSSample is a timestamp that a host put into a SYN or SYN-ACK.
type TSSample struct {
	Peer  segment.Endpoint
	Port  uint16 // its own
	TSVal seq.Num
	Point
}

// ISNSample is an initial sequence number that a host chose.
type ISNSample struct {
	Peer segment.Endpoint
	Port uint16 // its own
	SYN  bool   // chosen for a SYN, else for a SYN-ACK
	ISN  seq.Num
	Point
}

// TimeWait is a connection with timestamps that an end closed first, so that it
// then held TIME_WAIT.
type TimeWait struct {
	// TSVal is the peer's timestamp that the end remembers (ts_recent).
	TSVal seq.Num
	// At is when the connection was closed on both sides.
	At Point
	// Conn is the connection's ID.
	Conn uint64
}

type hostSample struct {
	peer     segment.Endpoint
	frame    uint64
	time     int64
	isn      seq.Num
	tsVal    seq.Num
	port     uint16
	syn, hts bool
}

type hostEntry struct {
	samples   [maxSamples]hostSample
	windows   [maxWindows]FirstWindow
	nWindows  uint8
	nSamples  uint8
	manyPeers bool // all samples come from different peers
}

// hosts remembers addresses.
type hosts struct {
	byAddr  map[segment.Addr]*hostEntry
	refused uint64
}

// note takes in a first SYN (or SYN-ACK) of a connection.
func (h *hosts) note(s *segment.Segment) {
	e := h.byAddr[s.Src.Addr]
	if e == nil {
		if len(h.byAddr) >= maxHosts {
			h.refused++
			return
		}
		if h.byAddr == nil {
			h.byAddr = make(map[segment.Addr]*hostEntry)
		}
		e = new(hostEntry)
		h.byAddr[s.Src.Addr] = e
	}
	e.noteWindow(s)
	e.noteSample(s)
}

func (e *hostEntry) noteWindow(s *segment.Segment) {
	w := FirstWindow{Window: s.Window, TS: s.HasTS(), SYN: s.Flags&segment.ACK == 0, Frame: s.Frame}
	if s.Options.Has(segment.OptMSS) {
		w.MSS = s.MSS
	}
	for i := range e.windows[:e.nWindows] {
		x := &e.windows[i]
		if x.Window == w.Window && x.MSS == w.MSS && x.TS == w.TS && x.SYN == w.SYN {
			return
		}
	}
	if e.nWindows < maxWindows {
		e.windows[e.nWindows] = w
		e.nWindows++
	}
}

// noteSample keeps samples of different peers where it can, as those tell most:
// the same clock seen by several.
func (e *hostEntry) noteSample(s *segment.Segment) {
	if e.manyPeers {
		return
	}
	at := int(e.nSamples)
	known, twin := false, -1
	for i := range e.samples[:e.nSamples] {
		x := &e.samples[i]
		if x.peer.Addr == s.Dst.Addr {
			if x.peer.Port == s.Dst.Port && x.port == s.Src.Port {
				return
			}
			known = true
		}
		for j := range i {
			if e.samples[j].peer.Addr == x.peer.Addr {
				twin = i
			}
		}
	}
	if at == maxSamples {
		if known {
			return
		}
		if twin < 0 {
			e.manyPeers = true
			return
		}
		copy(e.samples[twin:], e.samples[twin+1:])
		at--
	}
	x := hostSample{peer: s.Dst, port: s.Src.Port, frame: s.Frame, time: s.Time, isn: s.Seq, syn: s.Flags&segment.ACK == 0}
	if s.HasTS() {
		x.hts, x.tsVal = true, s.TSVal
	}
	e.samples[at] = x
	e.nSamples = uint8(at + 1)
}

func (h *hosts) get(a segment.Addr) (Host, bool) {
	e := h.byAddr[a]
	if e == nil {
		return Host{}, false
	}
	v := Host{Windows: append([]FirstWindow(nil), e.windows[:e.nWindows]...)}
	for i := range e.samples[:e.nSamples] {
		x := &e.samples[i]
		p := Point{x.frame, x.time}
		if x.hts {
			v.TSVals = append(v.TSVals, TSSample{x.peer, x.port, x.tsVal, p})
		}
		v.ISNs = append(v.ISNs, ISNSample{x.peer, x.port, x.syn, x.isn, p})
	}
	return v, true
}

type pair struct{ server, client segment.Addr }

type pairEntry struct {
	of      pair
	ring    [maxClosings]TimeWait
	n, next uint8
}

// closings remembers for pairs of addresses which timestamps the one must
// remember of the other in TIME_WAIT.
type closings struct {
	byPair  map[pair]uint32
	entries []pairEntry
	hand    int
	refused uint64
}

func (c *closings) push(p pair, v TimeWait) {
	i, ok := c.byPair[p]
	if !ok {
		if c.byPair == nil {
			c.byPair = make(map[pair]uint32)
		}
		if i, ok = c.place(v.At.Time); !ok {
			c.refused++
			return
		}
		c.byPair[p] = i
		c.entries[i] = pairEntry{of: p}
	}
	e := &c.entries[i]
	e.ring[e.next] = v
	e.next = (e.next + 1) % maxClosings
	e.n = min(e.n+1, maxClosings)
}

// place returns a free entry, or one whose TIME_WAIT is long over.
func (c *closings) place(now int64) (uint32, bool) {
	if len(c.entries) < maxPairs {
		c.entries = append(c.entries, pairEntry{})
		return uint32(len(c.entries) - 1), true
	}
	for range pairsLookedAt {
		i := c.hand
		c.hand = (c.hand + 1) % maxPairs
		e := &c.entries[i]
		if now-e.ring[(e.next+maxClosings-1)%maxClosings].At.Time > stalePair {
			delete(c.byPair, e.of)
			return uint32(i), true
		}
	}
	return 0, false
}

func (c *closings) get(p pair) []TimeWait {
	i, ok := c.byPair[p]
	if !ok {
		return nil
	}
	e := &c.entries[i]
	v := make([]TimeWait, 0, e.n)
	for k := range e.n {
		v = append(v, e.ring[(e.next+maxClosings-e.n+k)%maxClosings])
	}
	return v
}
