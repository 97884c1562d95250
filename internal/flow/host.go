package flow

import (
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// What is remembered of an address, and of how many.
const (
	maxHosts   = 1 << 16
	maxWindows = 4
	maxSamples = 8
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

// hostEntry is an address: one cache line, which is all that is looked at once full is set. The rest is a hostShown with the
// same number.
type hostEntry struct {
	addr     segment.Addr
	windows  [maxWindows]windowKind
	nWindows uint8
	nSamples uint8
	full     bool // all samples come from different peers
	_        [13]uint8
}

type hostShown struct {
	frames  [maxWindows]uint64 // where the windows were seen first
	samples [maxSamples]hostSample
}

// windowKind packs window, MSS, and whether it was a SYN with timestamps.
type windowKind uint64

const (
	windowTS windowKind = 1 << iota
	windowSYN
)

type hostSample struct {
	peer           segment.Addr
	frame          uint64
	time           int64
	isn, tsVal     seq.Num
	peerPort, port uint16
	syn, ts        bool
}

// hosts remembers addresses. It stays readable after Close.
type hosts struct {
	seed    uint64
	index   index
	entries slab[hostEntry]
	shown   slab[hostShown]
	refused uint64
}

func (h *hosts) hash(a segment.Addr) uint32 {
	x := fold(a.Lo^h.seed, a.Hi+0x9e3779b97f4a7c15)
	return uint32(x ^ x>>32)
}

// find returns the entry of an address and its number, nil if there is none.
func (h *hosts) find(a segment.Addr, hash uint32) (uint32, *hostEntry) {
	x := &h.index
	for i := hash & x.mask; ; i = (i + 1) & x.mask {
		s := x.slots[i]
		if s == 0 {
			return 0, nil
		}
		if s.hash() == hash {
			if e := h.entries.at(s.record()); e.addr == a {
				return s.record(), e
			}
		}
	}
}

// slotAt returns where the index slot of an address is, and prefetchEntry asks for its entry if that is the right
// slot: what note will need.
func (h *hosts) slotAt(a segment.Addr) uintptr {
	return h.index.slotAt(h.hash(a))
}

func (h *hosts) prefetchEntry(a segment.Addr) {
	if n := h.index.slots[h.hash(a)&h.index.mask].record(); n != 0 {
		prefetch(unsafe.Pointer(h.entries.at(n))) // once it is full no more is looked at
	}
}

// noteHost takes in what a first SYN (or SYN-ACK) shows of its sender.
func (t *Table) noteHost(s *segment.Segment) {
	if !t.linesOnly && !t.reliving {
		t.hosts.note(s)
	}
}

// note takes in a first SYN (or SYN-ACK) of a connection.
func (h *hosts) note(s *segment.Segment) {
	hash := h.hash(s.Src.Addr)
	n, e := h.find(s.Src.Addr, hash)
	if e == nil {
		if h.entries.used >= maxHosts {
			h.refused++
			return
		}
		if n, e = h.entries.alloc(); e == nil {
			h.refused++
			return
		}
		if !h.shown.lend(n) {
			h.entries.release(n)
			h.refused++
			return
		}
		e.addr = s.Src.Addr
		h.index.insert(hash, n)
	}
	h.noteWindow(n, e, s)
	if !e.full {
		e.noteSample(h.shown.at(n), s)
	}
}

func (h *hosts) noteWindow(n uint32, e *hostEntry, s *segment.Segment) {
	w := windowKind(s.Window) << 32
	if s.Options.Has(segment.OptMSS) {
		w |= windowKind(s.MSS) << 16
	}
	if s.HasTS() {
		w |= windowTS
	}
	if s.Flags&segment.ACK == 0 {
		w |= windowSYN
	}
	for _, x := range e.windows[:e.nWindows] {
		if x == w {
			return
		}
	}
	if e.nWindows < maxWindows {
		e.windows[e.nWindows], h.shown.at(n).frames[e.nWindows] = w, s.Frame
		e.nWindows++
	}
}

// noteSample keeps samples of different peers where it can, as those tell most:
// the same clock seen by several.
func (e *hostEntry) noteSample(shown *hostShown, s *segment.Segment) {
	at := int(e.nSamples)
	for i := range shown.samples[:at] {
		if x := &shown.samples[i]; x.peer == s.Dst.Addr && (at == maxSamples || x.peerPort == s.Dst.Port && x.port == s.Src.Port) {
			return
		}
	}
	if at == maxSamples {
		// A new peer takes the place of the second sample of another one.
		twin := shown.twin()
		copy(shown.samples[twin:], shown.samples[twin+1:])
		at--
	}
	x := &shown.samples[at]
	*x = hostSample{
		peer: s.Dst.Addr, peerPort: s.Dst.Port, port: s.Src.Port, frame: s.Frame, time: s.Time,
		isn: s.Seq, syn: s.Flags&segment.ACK == 0, ts: s.HasTS(),
	}
	if x.ts {
		x.tsVal = s.TSVal
	}
	e.nSamples = uint8(at + 1)
	e.full = at+1 == maxSamples && shown.twin() < 0
}

// twin returns which of all the samples is the last one whose peer has another one before it, -1: all come from different peers.
func (h *hostShown) twin() int {
	for i := maxSamples - 1; i > 0; i-- {
		for j := range i {
			if h.samples[i].peer == h.samples[j].peer {
				return i
			}
		}
	}
	return -1
}

func (h *hosts) get(a segment.Addr) (Host, bool) {
	n, e := h.find(a, h.hash(a))
	if e == nil {
		return Host{}, false
	}
	shown := h.shown.at(n)
	var v Host
	for i, w := range e.windows[:e.nWindows] {
		v.Windows = append(v.Windows, FirstWindow{
			Window: uint16(w >> 32), MSS: uint16(w >> 16), TS: w&windowTS != 0, SYN: w&windowSYN != 0, Frame: shown.frames[i],
		})
	}
	for i := range shown.samples[:e.nSamples] {
		x := &shown.samples[i]
		peer, p := segment.Endpoint{Addr: x.peer, Port: x.peerPort}, Point{x.frame, x.time}
		if x.ts {
			v.TSVals = append(v.TSVals, TSSample{peer, x.port, x.tsVal, p})
		}
		v.ISNs = append(v.ISNs, ISNSample{peer, x.port, x.syn, x.isn, p})
	}
	return v, true
}
