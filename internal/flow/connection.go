package flow

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Side names an end of a connection.
type Side uint8

// The two ends. Opener is the one that sent the first SYN; where no SYN was
// seen it is guessed (see Connection.MidStream).
const (
	Opener Side = iota
	Listener
)

// Other returns the opposite end.
func (s Side) Other() Side { return s ^ 1 }

// Point is a moment in the capture: a frame and its time. The zero Point was
// never seen.
type Point struct {
	Frame uint64
	Time  int64 // nanoseconds since the Unix epoch
}

// Seen tells whether the point was seen at all.
func (p Point) Seen() bool { return p.Frame != 0 }

// Since returns the time from q to p.
func (p Point) Since(q Point) time.Duration { return time.Duration(p.Time - q.Time) }

// Mark is a number that an end had reached, and the frame that shows it. The
// number means nothing unless the mark was seen.
type Mark struct {
	Num seq.Num
	Point
}

// End is what the capture shows of one end of a connection: what its kernel
// must remember, as far as its own segments and the peer's acknowledgements
// tell. A field is meaningful only if the condition in its comment holds.
type End struct {
	segment.Endpoint
	// ISN is the sequence number of this end's SYN or SYN-ACK and the first
	// frame that carried it. Not seen: the capture does not show the handshake.
	ISN Mark
	// ISNImplied: ISN.Num was worked out from the peer's ACK of a SYN or SYN-ACK that
	// the capture misses (ISN.Frame is then that ACK's).
	ISNImplied bool
	// SndNxt is the end of the highest segment seen from this end, its FIN
	// included, and the first frame that reached it.
	SndNxt Mark
	// RcvNxt is the highest acknowledgement number that this end sent, and
	// the first frame that did: what this end certainly had received.
	RcvNxt Mark
	// Last is the last segment seen from this end (Num: its acknowledgement number).
	Last Mark
	// FIN is the sequence number just after this end's FIN, and the first
	// frame that carried the FIN. Not seen: no FIN from this end in the capture.
	FIN Mark
	// FINAck is the acknowledgement number in the first FIN: whether this end
	// had received the peer's FIN when it closed. Has the frame of FIN.
	FINAck Mark
	// FINAcked is the first frame in which the peer acknowledged this end's FIN.
	FINAcked Point
	// RST is the first RST this end sent on this connection (Num: its sequence number).
	RST Mark

	// IPID is IPv4's identification in the last segment of this end that is no RST (of all
	// that are RSTs, in the first). 0: none, or the host counts none.
	IPID uint16

	// HasTS: this end's segments carried timestamps.
	HasTS bool
	// OptionsCut: segments of this end were captured without all their options: that no
	// timestamp was seen does not mean that there was none.
	OptionsCut bool
	// TSOffered, WScaleOffered, SACKOffered: its SYN or SYN-ACK carried the option.
	TSOffered, WScaleOffered, SACKOffered bool
	// FastOpen: the same of TCP Fast Open (RFC 7413).
	FastOpen bool
	// FirstTSVal is the TSval of its SYN or SYN-ACK; needs TSOffered.
	FirstTSVal seq.Num
	// FirstTSEcr is the TSecr of its SYN or SYN-ACK; needs TSOffered.
	FirstTSEcr seq.Num
	// TSVal is the TSval of the last segment (frame in Last); needs HasTS.
	TSVal seq.Num
	// TSEcr is the TSecr of the last segment that carried ACK and timestamps:
	// this end's ts_recent at that moment; needs HasTSEcr.
	TSEcr    Mark
	HasTSEcr bool
	// FirstWindow is the window field of its SYN or SYN-ACK, never scaled.
	FirstWindow uint16
	// LastWindow is the window field of its last segment with ACK and without
	// SYN and RST, as on the wire; HasLastWindow tells whether there was one.
	LastWindow    uint16
	HasLastWindow bool
	WScale        uint8 // needs WScaleOffered; shift in bits
	MSS           uint16
	TTL           uint8 // of the first segment seen from this end
	// SRTT and RTTVar are a smoothed round trip and its deviation as this
	// end's kernel would have measured them at the capture point (RFC 6298); zero: no sample.
	SRTT, RTTVar time.Duration
	// Segments and Bytes (payload) seen from this end, repeats included.
	Segments, Bytes uint64
	// Unseen: the peer acknowledged bytes of this end that the capture does
	// not show: it misses frames of this end.
	Unseen bool
	// Holes: sequence numbers of this end skipped forward without the bytes
	// between ever being seen before (lost before the capture point, or by it).
	Holes bool
	// Retransmits counts segments that repeat sequence space already seen.
	Retransmits uint32
	// BeforeEnd is the last segment of this end before the first FIN or RST of
	// either. Not seen: none, or there was no end.
	BeforeEnd Point
	// LongestAcked is the longest payload in bytes that the peer is known to have
	// received: it acknowledged everything sent by then. At most 65535.
	LongestAcked uint16
}

// RTO returns the retransmission timeout that the end's kernel would compute from
// SRTT and RTTVar: srtt + max(200 ms, 4*rttvar) (tcp_rtt_estimator, __tcp_set_rto). ok is
// false where there is no sample.
func (e *End) RTO() (rto time.Duration, ok bool) {
	if e.SRTT == 0 {
		return 0, false
	}
	v := max(4*e.RTTVar, 200*time.Millisecond)
	return min(e.SRTT+v, 120*time.Second), true
}

// ScaledWindow returns the last advertised window in bytes, scaled where both
// ends offered window scaling. ok is false where no window or no handshake was seen
// (the scale is then not known).
func (c *Connection) ScaledWindow(s Side) (bytes uint32, ok bool) {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	if !e.HasLastWindow || !e.ISN.Seen() || !p.ISN.Seen() || e.ISNImplied || p.ISNImplied {
		return 0, false
	}
	if e.WScaleOffered && p.WScaleOffered {
		return uint32(e.LastWindow) << min(e.WScale, 14), true
	}
	return uint32(e.LastWindow), true
}

// Frame is a deciding frame that was kept.
type Frame struct {
	segment.Ref
	From     Side
	Seq, Ack seq.Num
	Flags    segment.Flags
	Window   uint16
	Len      uint32
	HasTS    bool
	TSVal    seq.Num
	TSEcr    seq.Num
	TTL      uint8
	IPID     uint16
	// HasOptions: it carried TCP options at all (a kernel does not look at a
	// timestamp where there are none).
	HasOptions bool
	// OptionsCut: not all of its options were captured: one that is not there may
	// have been sent.
	OptionsCut bool
	// MSS (0: none), WScale and SACKPermitted are options of a SYN or SYN-ACK.
	MSS                      uint16
	WScale                   uint8
	HasWScale, SACKPermitted bool
	FastOpen                 bool // it carries a TCP Fast Open option (RFC 7413)
	// Rebuilt: the frame itself was not kept; it is what the marks of its end tell
	// of it, its numbers, length and flags those of its first repeat.
	Rebuilt bool
	// Doubt says what of it a text does not tell; 0 in a capture.
	Doubt segment.Doubt
}

// Point returns where the frame was seen.
func (f *Frame) Point() Point { return Point{f.Frame, f.Time} }

// End returns seq plus the sequence space of the segment.
func (f *Frame) End() seq.Num {
	n := f.Len
	if f.Flags&segment.SYN != 0 {
		n++
	}
	if f.Flags&segment.FIN != 0 {
		n++
	}
	return f.Seq.Add(n)
}

// State is how far a connection had come.
type State uint8

// The states, in the order in which a connection passes them.
const (
	// SynOnly: SYNs, no answer that fits.
	SynOnly State = iota
	// SynAcked: a SYN-ACK fits the SYN; the opener has not acknowledged it.
	SynAcked
	// Established: the handshake was completed, or the capture starts later.
	Established
	// HalfClosed: one end sent a FIN.
	HalfClosed
	// Closed: both ends sent a FIN and both were acknowledged.
	Closed
	// Closing: both ends sent a FIN, not both acknowledged.
	Closing
	// Reset: a RST ended it.
	Reset
)

//go:generate stringer -type=State

// Connection is one incarnation of a four-tuple, as diagnose sees it: a copy,
// made only where a question was raised or a line is printed.
type Connection struct {
	ID   uint64 // from 1, in the order of the first frame
	Ends [2]End
	// MidStream: the capture holds no SYN of it; which end is the Opener was guessed
	// from the ports (the lower one listens).
	MidStream bool
	// Relative: its numbers come from a text and count from bases that are not
	// known. Distances within it are true, a comparison with another connection
	// means nothing.
	Relative bool
	First    Point // first frame seen
	LastSeen Point // last frame seen
	// EndedAt is when it ended (second FIN acknowledged, or RST); not seen while it lives.
	EndedAt Point
	State   State
	// Frames are the deciding frames that were kept, in capture order: for an attempt on a
	// four-tuple with a past every frame from its first SYN on; for any
	// connection repeated SYNs and SYN-ACKs, and everything from the first FIN or RST on. Of a
	// long list the beginning and the end are kept.
	Frames []Frame
	// FramesOmitted counts the frames left out of the middle of Frames, of
	// which OmittedAfter tells the index in Frames behind which they stood.
	FramesOmitted uint32
	OmittedAfter  int
	// Duplicates counts frames that were seen twice (mirror, any-interface) and folded.
	Duplicates uint32
	// Troubles are the frames that show trouble, in capture order: repeats of
	// sequence space (before the first of a row the segment itself, as far as the
	// capture's marks tell it), keep-alives and probes of a closed window, the segments
	// that close a window and open it again. Of a long list the beginning and the
	// end are kept: TroublesOmitted counts the rest.
	Troubles        []Frame
	TroublesOmitted uint32
	// Silence is the longest time over one second in which nothing was seen of it: from
	// one frame to the next. Not seen: there was none.
	SilenceFrom, SilenceTo Point
	// Pause is what stood still in Silence, and what ended it; known only of the connections of
	// Config.TellFirst.
	Pause Pause
	// Held tells of segments that were held back until a late ACK came.
	Held Held
	// Superseded: when it was handed out, its four-tuple already had a later incarnation, which
	// raises a question of its own. Not set with Config.LinesOnly.
	Superseded bool
	// Previous is the incarnation before this one on the same four-tuple, as far as it is still
	// remembered; nil if there is none. Its ends may be swapped (the other side opened): see SameOpener.
	Previous *Connection
}

// SameOpener tells whether c and its Previous were opened by the same end.
func (c *Connection) SameOpener() bool {
	return c.Previous != nil && c.Previous.Ends[Opener].Endpoint == c.Ends[Opener].Endpoint
}
