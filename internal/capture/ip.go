package capture

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxBigPacket bounds the length that is believed where an IP header gives
// none (segmentation offload, jumbograms): Linux builds at most 512 KiB.
const maxBigPacket = 16 << 20

// unbounded is the length on the wire of something whose end is elsewhere.
const unbounded = maxBigPacket + 1

// ip tells IPv4 from IPv6 by the version field; p is not empty.
func (s *source) ip(seg *segment.Segment, p []byte, wire uint32) reason {
	switch p[0] >> 4 {
	case 4:
		return s.ipv4(seg, p, wire)
	case 6:
		return s.ipv6(seg, p, wire)
	}
	return ipMalformed
}

// cutOr returns r for bytes that were never there, or cut for those that the
// snap length took away.
func cutOr(r, cut reason, need int, wire uint32) reason {
	if wire >= uint32(need) {
		return cut
	}
	return r
}

// ipv4 reads an IPv4 header (RFC 791). Bytes behind its total length are
// padding of the link.
func (s *source) ipv4(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 20 {
		return cutOr(frameShort, ipCut, 20, wire)
	}
	hl := uint32(p[0]&15) * 4
	if p[0]>>4 != 4 || hl < 20 {
		return ipMalformed
	}
	total := uint32(binary.BigEndian.Uint16(p[2:]))
	if total < hl || total > wire {
		switch {
		case total == 0 && wire >= hl && wire <= maxBigPacket:
			// Captured before segmentation: the kernel leaves the field
			// empty where the packet is over 64 KiB.
			total = wire
		case total < hl:
			return ipMalformed
		default:
			s.longer.add(seg.Frame)
		}
	}
	setIPv4(seg, p)
	if s.trace != nil {
		s.trace.ip(seg, p, hl, total)
	}
	if uint32(len(p)) > total {
		p = p[:total]
	}
	proto, at := p[9], hl
	f := binary.BigEndian.Uint16(p[6:])
	if f&0x1fff != 0 {
		return fragmentOf(proto)
	}
	if proto == protoAH {
		var r reason
		if proto, at, _, r = s.extensions(seg, proto, p, at, total); r != 0 {
			return r
		}
	}
	return s.payload(seg, proto, p, at, total, f&0x2000 != 0)
}

// payload goes on behind the IP headers, at p[at:], of a packet of total bytes,
// of which p is what was kept; more tells that further fragments of it follow.
func (s *source) payload(seg *segment.Segment, proto uint8, p []byte, at, total uint32, more bool) reason {
	if at > total {
		return ipMalformed
	}
	if proto != protoTCP {
		return s.carrier(seg, proto, p[min(at, uint32(len(p))):], total-at, more)
	}
	if more {
		if total-at < 20 {
			return laterFragment
		}
		s.fragmented.add(seg.Frame)
	}
	if uint32(len(p)) < at {
		return tcpCut
	}
	if s.trace != nil {
		s.trace.segment(p[at:], total-at, more)
	}
	return s.tcp(seg, p[at:], total-at)
}

// fragmentOf is the reason for a fragment that is not the first: nothing is
// known of its content but the protocol.
func fragmentOf(proto uint8) reason {
	switch proto {
	case protoTCP, protoIPIP, protoIPv6, protoGRE, protoAH:
		return laterFragment
	case protoESP:
		return encrypted
	}
	return notTCP
}

// setIPv4 takes the fields over that need no check.
func setIPv4(seg *segment.Segment, p []byte) {
	seg.TOS, seg.TTL = p[1], p[8]
	seg.IPID = binary.BigEndian.Uint16(p[4:])
	seg.Src.Addr = segment.Addr{Lo: 0xffff<<32 | uint64(binary.BigEndian.Uint32(p[12:]))}
	seg.Dst.Addr = segment.Addr{Lo: 0xffff<<32 | uint64(binary.BigEndian.Uint32(p[16:]))}
}

// ipv6 reads an IPv6 header and its extension headers (RFC 8200).
func (s *source) ipv6(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 40 {
		return cutOr(frameShort, ipCut, 40, wire)
	}
	if p[0]>>4 != 6 {
		return ipMalformed
	}
	total := 40 + uint32(binary.BigEndian.Uint16(p[4:]))
	if total > wire {
		s.longer.add(seg.Frame)
	} else if total == 40 && wire <= maxBigPacket {
		total = wire // a jumbogram, or captured before segmentation
	}
	setIPv6(seg, p)
	if s.trace != nil {
		s.trace.ip(seg, p, 40, total)
	}
	if uint32(len(p)) > total {
		p = p[:total]
	}
	if p[6] == protoTCP {
		if s.trace != nil {
			s.trace.segment(p[40:], total-40, false)
		}
		return s.tcp(seg, p[40:], total-40)
	}
	proto, at, more, r := s.extensions(seg, p[6], p, 40, total)
	if r != 0 {
		return r
	}
	return s.payload(seg, proto, p, at, total, more)
}

// setIPv6 takes the fields over that need no check.
func setIPv6(seg *segment.Segment, p []byte) {
	h := (*[40]byte)(p)
	seg.IPID = 0
	seg.TOS, seg.TTL = h[0]<<4|h[1]>>4, h[7]
	seg.Src.Addr = segment.Addr{Hi: binary.BigEndian.Uint64(h[8:]), Lo: binary.BigEndian.Uint64(h[16:])}
	seg.Dst.Addr = segment.Addr{Hi: binary.BigEndian.Uint64(h[24:]), Lo: binary.BigEndian.Uint64(h[32:])}
}

// extensions walks the headers from first at p[at:] up to one that is none of
// IPv6's extensions. It returns what that is, where it begins, which may lie
// behind the captured bytes, and whether more fragments follow. Each header is
// at least eight bytes, so that the walk ends.
func (s *source) extensions(seg *segment.Segment, first uint8, p []byte, at, total uint32) (next uint8, end uint32, more bool, r reason) {
	for next = first; ; {
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoFragment, protoAH:
		default:
			return next, at, more, 0
		}
		if uint32(len(p)) < at+8 {
			return next, at, more, cutOr(ipMalformed, ipCut, int(at+8), total)
		}
		h, this, from := p[at:at+8], next, at
		switch next {
		case protoFragment:
			if h[2] != 0 || h[3]&0xf8 != 0 {
				return next, at, more, fragmentOf(h[0])
			}
			more = h[3]&1 != 0
			seg.IPID = binary.BigEndian.Uint16(h[6:])
			at += 8
		case protoAH:
			at += max(8, (uint32(h[1])+2)*4)
		default:
			at += (uint32(h[1]) + 1) * 8
		}
		if s.trace != nil {
			s.trace.layer(LayerExtension, p[from:], at-from, 0, this)
		}
		next = h[0]
	}
}

// carrier goes on with a packet that does not carry TCP itself: p is what was
// kept of the wire bytes behind its IP headers.
func (s *source) carrier(seg *segment.Segment, proto uint8, p []byte, wire uint32, more bool) reason {
	if more {
		// The rest comes in further fragments, so that the inner headers know
		// the length better.
		wire = unbounded
	}
	if s.trace != nil {
		s.trace.carried(proto, p)
	}
	switch proto {
	case protoICMP, protoICMPv6:
		if !more {
			s.icmp(seg, proto == protoICMPv6, p)
		}
		return notTCP
	case protoESP:
		return encrypted
	case protoUDP:
		return s.udp(seg, p, wire)
	case protoGRE:
		return s.gre(seg, p, wire)
	case protoMPLS:
		return s.mpls(seg, p, wire)
	case protoIPIP:
		return s.tunnel(seg, segment.TunnelIP, etherIPv4, p, wire)
	case protoIPv6:
		return s.tunnel(seg, segment.TunnelIP, etherIPv6, p, wire)
	case protoEtherIP:
		if len(p) < 2 {
			return cutOr(frameShort, tunnelCut, 2, wire)
		}
		if p[0] != 0x30 {
			return notTCP
		}
		return s.tunnel(seg, segment.TunnelEtherIP, etherBridged, p[2:], wire-2)
	}
	return notTCP
}
