package capture

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// packet takes one record: p is what was kept of a frame of wire bytes. It tells whether seg
// now holds a segment.
//
// Nearly every frame is decoded here: Ethernet, IPv4 without options or fragments or IPv6 without
// extension headers, and a whole TCP header. general would give the same, in twice the
// instructions: here the headers are arrays, whose bounds are tested once, and nothing is called.
func (s *source) packet(seg *segment.Segment, link linkKind, iface uint32, t int64, p []byte, wire uint32) bool {
	s.frames++
	if t < s.prev {
		s.stepBack(t)
	}
	s.prev = t
	seg.Frame, seg.SourceFrame = s.frames+s.delta, s.frames
	seg.Time, seg.Source = t, uint16(s.index)
	seg.Interface, seg.Doubt = iface, 0
	seg.VLAN, seg.Way, seg.Tunnel = 0, segment.WayUnknown, segment.Tunnel{}
	// p lies in buf and reaches, as far as its capacity goes, to its end.
	wire = max(wire, uint32(len(p)))
	seg.Raw = segment.Raw{At: uint32(cap(s.buf) - cap(p)), Kept: uint32(len(p)), Wire: wire, Link: uint8(link)}
	if link != linkEther || len(p) < 54 {
		return s.odd(seg, link, p)
	}
	h := (*[54]byte)(p)
	var rest []byte // from the TCP header on
	var size uint32 // of the segment by the IP header
	switch {
	case binary.BigEndian.Uint16(h[12:]) == etherIPv4 && h[14] == 0x45 && h[23] == protoTCP && binary.BigEndian.Uint16(h[20:])&0x3fff == 0:
		setIPv4(seg, h[14:34])
		rest, size = p[34:], uint32(binary.BigEndian.Uint16(h[16:]))-20
		wire -= 34
	case binary.BigEndian.Uint16(h[12:]) == etherIPv6 && h[14]>>4 == 6 && h[20] == protoTCP:
		setIPv6(seg, h[14:54])
		rest, size = p[54:], uint32(binary.BigEndian.Uint16(h[18:]))
		wire -= 54
	}
	if len(rest) < 20 || size > wire {
		return s.odd(seg, link, p)
	}
	tcp := (*[20]byte)(rest)
	data := uint32(tcp[12]>>4) * 4
	if data < 20 || data > size || data > uint32(len(rest)) {
		return s.odd(seg, link, p)
	}
	setTCP(seg, tcp)
	seg.Len = size - data
	o := rest[20:data:data]
	if len(o) != 12 || binary.BigEndian.Uint32(o) != nopNopTS {
		setOptions(seg, o)
		return true
	}
	seg.RawOptions = o
	seg.Options, seg.NSACK, seg.WScale, seg.MSS = segment.OptTimestamps, 0, 0, 0
	seg.TSVal, seg.TSEcr = seq.Of(binary.BigEndian.Uint32(o[4:])), seq.Of(binary.BigEndian.Uint32(o[8:]))
	return true
}

// odd is packet for all other frames.
func (s *source) odd(seg *segment.Segment, link linkKind, p []byte) bool {
	if r := s.general(seg, link, p, seg.Raw.Wire); r != 0 {
		s.skipped[r].add(seg.Frame)
		return false
	}
	if seg.Tunnel.Depth > 0 {
		s.inside.add(seg.Frame)
	}
	return true
}
