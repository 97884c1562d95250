package flow

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// record is a connection in packed form, 320 bytes: five cache lines, the first
// of which holds what every look-up reads, the next two what every segment
// changes. It holds no pointers. Frame numbers are cut to 32 bits (see
// Table.widen); the two ends are indexed by Side.
type record struct {
	lo, hi         segment.Addr // the endpoints in canonical order: see key
	loPort, hiPort uint16
	state          State
	// after counts frames on the four-tuple since a connection with a past was established.
	after     uint8
	bits      recordBits
	extra     uint32 // number of its extra, 0: none yet
	prev      uint32 // number of the previous incarnation's record, 0: none
	seenFrame uint32 // the last frame
	segsHigh  [2]uint16
	seenTime  int64

	hot  [2]hotEnd
	cold [2]coldEnd

	bytes      [2]uint64
	firstFrame uint64
	firstTime  int64
	// isnTime and isnFrame are the point of the listener's ISN; the opener's,
	// where it is known, is the first frame.
	isnTime  int64
	id       uint64
	isnFrame uint32
	_        uint32
}

// hotEnd is what almost every segment of an end changes: one cache line.
type hotEnd struct {
	sndNxt, rcvNxt   seq.Num
	lastAck          seq.Num
	tsVal, tsEcr     seq.Num
	lastFrame        uint32
	lastTime         int64
	sndFrame, rcvFrm uint32
	sndTime, rcvTime int64
	print            uint32 // fingerprint of the last segment, to know a copy
	segs             uint32
}

// coldEnd is the rest of an end.
type coldEnd struct {
	srtt, rttvar           uint32 // microseconds, 0: no sample
	retransmits            uint32
	isn                    seq.Num
	firstTSVal, firstTSEcr seq.Num
	firstWindow            uint16
	lastWindow             uint16
	mss                    uint16
	wscale, ttl            uint8
	bits                   endBits
}

// extra is what a connection needs in addition once it closes, or once frames
// of it are kept.
type extra struct {
	end       [2]closingEnd
	endedTime int64
	ended     uint32 // frame
	rare      uint32 // number of its rare, 0: none
	frames    frameList
	first     [blockFrames]packedFrame
}

// closingEnd is how an end closed.
type closingEnd struct {
	finTime, ackedTime   int64
	fin, finAck          seq.Num
	finFrame, ackedFrame uint32
}

// rare is what few connections need.
type rare struct {
	end  [2]rareEnd
	ring [tailFrames / blockFrames]uint32 // blocks with the last of many frames
	dups uint32
	_    uint32
}

type rareEnd struct {
	rstTime, ecrTime   int64
	rst                seq.Num
	rstFrame, ecrFrame uint32
	// [holeLeft, holeRight) is the last stretch of sequence numbers that was
	// skipped; empty where both are equal.
	holeLeft, holeRight seq.Num
}

// recordBits are the yes-or-no facts about a record.
type recordBits uint16

const (
	bitSwap        recordBits = 1 << iota // the opener is the higher endpoint
	bitMidStream                          // no SYN seen
	bitPast                               // it was opened on a four-tuple with a past
	bitNeverAsked                         // it began with neither SYN nor SYN-ACK: nothing to ask
	bitEstablished                        // it was established at some time
	bitEnding                             // a FIN or RST was seen: every frame is kept
	bitLateSynAck                         // a SYN-ACK was repeated after the opener's ACK
	bitTwoAnswers                         // SYN-ACKs with different ISNs answer the SYN
	bitAsked                              // Asked was called
	bitQueued                             // it ended and has its place in the order of ends
	bitAnnounced                          // Ended was called
	bitPinned                             // a later incarnation points to it
	bitOrphan                             // it was cut off a chain and waits to be announced
	bitLive                               // the record is in use
)

// endBits are the yes-or-no facts about an end.
type endBits uint32

const (
	endSnd         endBits = 1 << iota // sndNxt is set
	endRcv                             // rcvNxt is set
	endISN                             // isn is set
	endImplied                         // isn was worked out from the peer's ACK
	endTS                              // segments carried timestamps
	endEcr                             // tsEcr is set
	endEcrElse                         // tsEcr's point is not the last segment's but in rare
	endWindow                          // lastWindow is set
	endTSOffered                       // in its SYN or SYN-ACK
	endWSOffered                       // in its SYN or SYN-ACK
	endSACKOffered                     // in its SYN or SYN-ACK
	endUnseen                          // see End.Unseen
	endHoles                           // see End.Holes
	endTimed                           // an ACK that reaches sndNxt gives a round trip
	endFIN                             // extra holds its FIN
	endFINAcked                        // extra holds the ACK of its FIN
	endRST                             // extra holds its RST
	endLast                            // a segment of it moved the marks
)

// key is a four-tuple without direction: the lower endpoint first.
type key struct {
	lo, hi         segment.Addr
	loPort, hiPort uint16
}

// set fills the key from a segment and tells whether the segment comes from
// the higher endpoint.
func (k *key) set(s *segment.Segment) (fromHigh bool) {
	a, b := &s.Src, &s.Dst
	if lessEndpoint(b, a) {
		a, b = b, a
		fromHigh = true
	}
	k.lo, k.hi, k.loPort, k.hiPort = a.Addr, b.Addr, a.Port, b.Port
	return fromHigh
}

func lessEndpoint(a, b *segment.Endpoint) bool {
	if a.Addr.Lo != b.Addr.Lo {
		return a.Addr.Lo < b.Addr.Lo
	}
	if a.Addr.Hi != b.Addr.Hi {
		return a.Addr.Hi < b.Addr.Hi
	}
	return a.Port < b.Port
}

func (r *record) is(k *key) bool {
	return r.lo == k.lo && r.hi == k.hi && r.loPort == k.loPort && r.hiPort == k.hiPort
}

func (r *record) key() key { return key{r.lo, r.hi, r.loPort, r.hiPort} }

// side returns the end that sends from the higher or the lower endpoint.
func (r *record) side(fromHigh bool) Side {
	if fromHigh == (r.bits&bitSwap != 0) {
		return Opener
	}
	return Listener
}

// endpoint returns the address and port of an end.
func (r *record) endpoint(e Side) segment.Endpoint {
	if (e == Opener) == (r.bits&bitSwap != 0) {
		return segment.Endpoint{Addr: r.hi, Port: r.hiPort}
	}
	return segment.Endpoint{Addr: r.lo, Port: r.loPort}
}

// has tells whether all of the bits are set for an end.
func (r *record) has(e Side, b endBits) bool { return r.cold[e].bits&b == b }

// hasAny tells whether any segment of an end was seen.
func (r *record) hasAny(e Side) bool { return r.hot[e].segs != 0 || r.segsHigh[e] != 0 }

// ended tells whether the connection is over for both ends.
func (r *record) ended() bool { return r.state == Closed || r.state == Reset }

// quiet tells whether the connection is forgotten when nothing more is heard of
// it: an attempt; one whose both ends have closed, so that no application
// holds it; and a closed direction whose other direction the capture never shows.
func (r *record) quiet() bool {
	switch r.state {
	case SynOnly, SynAcked, Closing:
		return true
	case HalfClosed:
		return !r.hasAny(Opener) || !r.hasAny(Listener)
	case Established, Closed, Reset:
	}
	return false
}

// window returns the window in bytes that an end last advertised, or a
// customary one where none was seen.
func (r *record) window(e Side) uint32 {
	c := &r.cold[e]
	if c.bits&endWindow == 0 {
		if c.bits&endISN != 0 && c.bits&endImplied == 0 {
			return max(uint32(c.firstWindow), 1)
		}
		return 1 << 16
	}
	w := uint32(c.lastWindow)
	if r.has(Opener, endWSOffered) && r.has(Listener, endWSOffered) {
		w <<= min(c.wscale, 14)
	} else if r.bits&bitMidStream != 0 {
		w = max(w, 1<<16) // the scale is not known
	}
	return max(w, 1)
}

// sampleRTT takes a round trip into the estimate of an end (RFC 6298 §2).
func (c *coldEnd) sampleRTT(d time.Duration) {
	if d < 0 {
		return
	}
	m := uint32(min(max(d.Microseconds(), 1), 1<<31))
	if c.srtt == 0 {
		c.srtt, c.rttvar = m, m/2
		return
	}
	dev := m - c.srtt
	if c.srtt > m {
		dev = c.srtt - m
	}
	c.rttvar = uint32((3*uint64(c.rttvar) + uint64(dev)) / 4)
	c.srtt = uint32(max((7*uint64(c.srtt)+uint64(m))/8, 1))
}
