package segment

import "fmt"

// Raw is where a segment's frame lies in its reader's buffer. It means nothing
// to anybody but that reader, and only until its next read. The zero value
// stands for a segment that has no frame.
type Raw struct {
	At, Kept uint32 // the captured bytes
	Wire     uint32 // the frame's length on the wire, at least Kept
	Link     uint8  // how the frame begins
}

// MAC is a 48-bit link-layer address. The zero value is unknown (it is also
// that of the loopback interface).
type MAC [6]byte

// String prints it as tcpdump does.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// Check is what a checksum in a frame is worth.
type Check uint8

// CheckUnknown: there is none, or the frame was not captured whole.
// CheckPartial: it is the sum of the pseudo-header alone, which Linux leaves
// for the network card to complete (CHECKSUM_PARTIAL): the frame was captured
// on the machine that sent it, and its own TCP made it.
const (
	CheckUnknown Check = iota
	CheckGood
	CheckBad
	CheckPartial
)

var checkNames = [...]string{"unknown", "good", "bad", "partial"}

// String is the name for people.
func (c Check) String() string {
	if int(c) < len(checkNames) {
		return checkNames[c]
	}
	return "unknown"
}

// Wire is what a frame says about who sent it, beside what Segment has. It is
// read on demand (capture.Reader.Wire), for the few frames that decide. It is
// comparable and holds no pointer.
type Wire struct {
	// Known tells whether there was a frame to read; without it all is zero.
	Known bool
	// SrcMAC and DstMAC are those of the innermost Ethernet header. A cooked
	// header has only the sender's.
	SrcMAC, DstMAC MAC
	// DF and MF are IPv4's flags, of the segment's own IP header. MF is also
	// set for a first fragment of IPv6.
	DF, MF bool
	// FlowLabel is IPv6's, 0 for IPv4.
	FlowLabel uint32
	// IPLen is the length of the whole IP packet by its header, or by the
	// frame where the header has none, in bytes. A packet longer than the
	// network's MTU was captured before segmentation or after coalescing.
	IPLen uint32
	// Captured and Length are the bytes kept of the frame and its length on
	// the wire.
	Captured, Length uint32
	// IPCheck is the IPv4 header's checksum, TCPCheck that of the segment.
	IPCheck, TCPCheck Check
	// OuterSrc, OuterDst and OuterTTL are of the outermost IP header where the
	// segment is inside another IP packet; the zero Addr where it is not.
	OuterSrc, OuterDst Addr
	OuterTTL           uint8
}
