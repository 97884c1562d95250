package capture

import (
	"encoding/binary"
	"math/bits"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// linkKind is how the link header of a frame is read.
type linkKind uint8

const (
	linkOther linkKind = iota
	linkEther
	linkCooked  // Linux "any" interface, version 1
	linkCooked2 // and version 2
	linkRaw     // starts with the IP header
	linkNull    // BSD loopback: address family in four bytes
	linkEach    // whatever it is, a walk takes it
)

// linkKindOf maps a LINKTYPE_ value (https://www.tcpdump.org/linktypes.html);
// 12 and 14 are what BSDs and older libpcaps wrote for raw IP.
func linkKindOf(linkType uint32) linkKind {
	switch linkType {
	case linkEthernet:
		return linkEther
	case 113:
		return linkCooked
	case 276:
		return linkCooked2
	case 12, 14, 101, 228, 229:
		return linkRaw
	case 0, 108:
		return linkNull
	}
	return linkOther
}

// linkName names the link types that people meet and that are not read; "" is
// any other.
func linkName(linkType uint32) string {
	switch linkType {
	case 9, 50, 51, 166:
		return "PPP"
	case 105, 119, 127, 163, 192:
		return "802.11 radio"
	case 187, 201:
		return "Bluetooth"
	case 189, 220, 249:
		return "USB"
	case 239:
		return "Linux netfilter log"
	case 147, 148, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 159, 160, 161, 162:
		return "private"
	}
	return ""
}

// general fills seg from the frame p, which was wire bytes long before the snap length cut it
// (wire >= len(p)), and returns 0, or the reason why there is no segment. Of seg, the
// fields that packet sets are the caller's.
func (s *source) general(seg *segment.Segment, link linkKind, p []byte, wire uint32) reason {
	switch link {
	case linkEther:
		return s.ethernet(seg, p, wire)
	case linkCooked:
		if len(p) < 16 {
			return frameShort
		}
		seg.Way = wayOf(binary.BigEndian.Uint16(p))
		if s.trace != nil {
			s.trace.cooked(p[6:12], binary.BigEndian.Uint16(p[4:]))
			s.trace.layer(LayerCooked, p, 16, 0, 0)
		}
		return s.etherType(seg, binary.BigEndian.Uint16(p[14:]), p[16:], wire-16)
	case linkCooked2:
		if len(p) < 20 {
			return frameShort
		}
		seg.Interface = binary.BigEndian.Uint32(p[4:])
		seg.Way = wayOf(uint16(p[10]))
		if s.trace != nil {
			s.trace.cooked(p[12:18], uint16(p[11]))
			s.trace.layer(LayerCooked2, p, 20, 0, 0)
		}
		return s.etherType(seg, binary.BigEndian.Uint16(p), p[20:], wire-20)
	case linkRaw:
		if len(p) < 1 {
			return frameShort
		}
		return s.ip(seg, p, wire)
	case linkNull:
		return s.null(seg, p, wire)
	case linkEach:
		return s.each(seg, p, wire)
	}
	return linkUnsupported
}

// wayOf translates the packet type of a cooked header (linux/if_packet.h).
func wayOf(packetType uint16) segment.Way {
	switch packetType {
	case 0, 1, 2: // PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST
		return segment.WayIn
	case 3: // PACKET_OTHERHOST
		return segment.WayOther
	case 4: // PACKET_OUTGOING
		return segment.WayOut
	}
	return segment.WayUnknown
}

// ethernet reads an Ethernet header, the frame's own or one inside a tunnel.
func (s *source) ethernet(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 14 {
		return cutOr(frameShort, tunnelCut, 14, wire)
	}
	if s.trace != nil {
		s.trace.ethernet(p)
	}
	return s.etherType(seg, binary.BigEndian.Uint16(p[12:]), p[14:], wire-14)
}

// etherType walks VLAN tags and hands on what they carry.
func (s *source) etherType(seg *segment.Segment, t uint16, p []byte, wire uint32) reason {
	for {
		switch t {
		case etherIPv4:
			return s.ipv4(seg, p, wire)
		case etherIPv6:
			return s.ipv6(seg, p, wire)
		case etherVLAN, etherQinQ, etherOldQ:
			if len(p) < 4 {
				return frameShort
			}
			if s.trace != nil {
				s.trace.layer(LayerTag, p, 4, 0, 0)
			}
			seg.VLAN = binary.BigEndian.Uint16(p) & 0xfff
			t = binary.BigEndian.Uint16(p[2:])
			p, wire = p[4:], wire-4
		case etherMPLS, etherMPLSM:
			return s.mpls(seg, p, wire)
		case etherPPPoE:
			return s.pppoe(seg, p, wire)
		case etherARP:
			if s.trace != nil {
				s.trace.layer(LayerARP, p, 28, 0, 0)
			}
			s.arp(seg, p)
			return notIP
		default:
			return notIP
		}
	}
}

// null reads the BSD loopback header. Its family is in the byte order of the
// machine that captured (network order for LINKTYPE_LOOP); families are small,
// so the order shows. IPv6 has another number on each BSD.
func (s *source) null(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 4 {
		return frameShort
	}
	if s.trace != nil {
		s.trace.layer(LayerNull, p, 4, 0, 0)
	}
	family := binary.LittleEndian.Uint32(p)
	if family > 0xffff {
		family = bits.ReverseBytes32(family)
	}
	switch family {
	case 2:
		return s.ipv4(seg, p[4:], wire-4)
	case 10, 24, 28, 30:
		return s.ipv6(seg, p[4:], wire-4)
	}
	return notIP
}
