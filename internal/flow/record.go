package flow

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// record is a connection in packed form: four cache lines. The first holds what
// every look-up reads, the next two what every segment of an end changes, the
// last what is written where the connection begins and ends. It holds no
// pointers. Frame numbers are cut to 32 bits (see Table.widen); the two ends are
// indexed by Side.
type record struct {
	lo, hi         segment.Addr // the endpoints in canonical order: see key
	loPort, hiPort uint16
	bits           recordBits
	state          State
	// after counts frames on the four-tuple since a connection with a past was established.
	after     uint8
	extra     uint32 // number of its extra, 0: none yet
	prev      uint32 // number of the previous incarnation's record, 0: none
	seenTime  int64
	seenFrame uint32 // the last frame
	isnFrame  uint32 // see deep.isnTime

	hot [2]hotEnd

	id          uint64
	firstFrame  uint64
	firstTime   int64
	endedTime   int64
	fin, finAck [2]seq.Num
	finFrame    [2]uint32
	ended       uint32 // frame
	segsHigh    [2]uint16
}

// hotEnd is what almost every segment of an end changes: one cache line.
type hotEnd struct {
	sndNxt, rcvNxt          seq.Num
	lastAck                 seq.Num
	tsVal                   seq.Num
	lastTime                int64
	lastFrame               uint32
	print                   uint32 // fingerprint of the last segment, to know a copy
	bytes                   uint64
	segs                    uint32 // the lower half of the count
	bits                    endBits
	sndFrame                uint32
	isn                     seq.Num
	lastWindow, firstWindow uint16
	mss                     uint16
	wscale, ttl             uint8
}

// deep is the part of a record that only a diagnosis reads: two cache lines, of which most segments change the first alone.
// It has the record's number. With Config.LinesOnly there is a single one, which takes what is
// written and which nobody reads.
type deep struct {
	sndTime, rcvTime [2]int64
	rcvFrame         [2]uint32
	tsEcr            [2]seq.Num
	// ipid is the IP identification of each end's last segment.
	ipid [2]uint16
	// maxSent is the longest payload since an ACK of everything, maxAcked the
	// longest that such an ACK covered.
	maxSent, maxAcked [2]uint16

	// gapEnd and gapFor are the longest time over a second in which nothing was
	// seen: the frame that ended it is gapNext, the one before it gapLast.
	gapFor           uint32 // milliseconds
	gapEnd           int64
	gapLast, gapNext uint32
	// isnTime and record.isnFrame are the point of the listener's ISN; the
	// opener's, where it is known, is the first frame.
	isnTime                int64
	firstTSVal, firstTSEcr [2]seq.Num
	srtt, rttvar           [2]uint32 // microseconds, 0: no sample
	retransmits            [2]uint32
}

// extra is what a diagnosis needs in addition once a connection closes, or once
// frames of it are kept.
type extra struct {
	finTime, ackedTime [2]int64
	ackedFrame         [2]uint32
	// beforeFrame and beforeTime are each end's last segment before the first FIN or RST.
	beforeFrame [2]uint32
	beforeTime  [2]int64
	rare        uint32 // number of its rare, 0: none
	frames      frameList
	first       [blockFrames]packedFrame
}

// rare is what few connections need.
type rare struct {
	end  [2]rareEnd
	ring [tailFrames / blockFrames]uint32 // blocks with the last of many frames
	dups uint32
	// troubles is the list of the frames that show trouble; its first ones hang on
	// blocks in a row, the last ones lie in troubleRing.
	troubles    frameList
	troubleRing [tailFrames / blockFrames]uint32
	waits       waits
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
	bitTrouble                            // its life shows something that calls for a reason
	bitRelative                           // its numbers count from bases that are not known
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
	endFIN                             // fin is set
	endFINAcked                        // its FIN was acknowledged
	endRST                             // rare holds its RST
	endLast                            // a segment of it moved the marks
	endAny                             // a segment of it was seen
	endCut                             // see End.OptionsCut
	endFastOpen                        // a Fast Open option in its SYN or SYN-ACK
	endWatched                         // its next segment tells whether a wait ended: see waits
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

// current tells whether r is the last one of the four-tuple.
func (r *record) current(p *probe) bool {
	if r.bits&(bitLive|bitPinned|bitOrphan) != bitLive || uint32(r.loPort)<<16|uint32(r.hiPort) != p.ports {
		return false
	}
	if p.wide != 0 {
		return r.lo == p.lo && r.hi == p.hi
	}
	return (r.lo.Lo^(mapped4|p.addrs>>32))|(r.hi.Lo^(mapped4|p.addrs&(1<<32-1)))|r.lo.Hi|r.hi.Hi == 0
}

func (r *record) key() key { return key{r.lo, r.hi, r.loPort, r.hiPort} }

// side returns the end that sends from the higher or the lower endpoint.
func (r *record) side(fromHigh bool) Side {
	return Side(one(fromHigh) ^ uint8(r.bits&bitSwap))
}

// endpoint returns the address and port of an end.
func (r *record) endpoint(e Side) segment.Endpoint {
	if (e == Opener) == (r.bits&bitSwap != 0) {
		return segment.Endpoint{Addr: r.hi, Port: r.hiPort}
	}
	return segment.Endpoint{Addr: r.lo, Port: r.loPort}
}

// has tells whether all of the bits are set for an end.
func (r *record) has(e Side, b endBits) bool { return r.hot[e].bits&b == b }

// plain tells whether s is what most segments of a record are: data or an ACK of an established connection without a past.
func (r *record) plain(s *segment.Segment) bool {
	return r.state == Established && r.bits&(bitPast|bitEnding) == 0 &&
		s.Flags&(segment.ACK|segment.SYN|segment.FIN|segment.RST) == segment.ACK
}

// hasAny tells whether any segment of an end was seen.
func (r *record) hasAny(e Side) bool { return r.hot[e].bits&endAny != 0 }

// over tells whether the connection is over for both ends.
func (r *record) over() bool { return r.state == Closed || r.state == Reset }

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
	c := &r.hot[e]
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
func (d *deep) sampleRTT(e Side, t time.Duration) {
	if t < 0 {
		return
	}
	m := uint32(min(max(t.Microseconds(), 1), 1<<31))
	srtt, rttvar := &d.srtt[e&1], &d.rttvar[e&1]
	if *srtt == 0 {
		*srtt, *rttvar = m, m/2
		return
	}
	dev := m - *srtt
	if *srtt > m {
		dev = *srtt - m
	}
	*rttvar = uint32((3*uint64(*rttvar) + uint64(dev)) / 4)
	*srtt = uint32(max((7*uint64(*srtt)+uint64(m))/8, 1))
}
