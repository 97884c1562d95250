package capture

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxBigPacket bounds the length that is believed where an IP header gives
// none (segmentation offload, jumbograms): Linux builds at most 512 KiB.
const maxBigPacket = 16 << 20

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
	proto, at := p[9], hl
	if proto != protoTCP {
		var r reason
		if proto != protoAH {
			return other(proto, p[min(int(hl), len(p)):])
		}
		if at, r = s.extensions(seg, proto, p, at, total); r != 0 {
			return r
		}
		if at > total {
			return ipMalformed
		}
	}
	if f := binary.BigEndian.Uint16(p[6:]); f&0x3fff != 0 && (f&0x1fff != 0 || total-at < 20) {
		return laterFragment
	}
	if uint32(len(p)) > total {
		p = p[:total]
	}
	if uint32(len(p)) < at {
		return tcpCut
	}
	setIPv4(seg, p)
	return s.tcp(seg, p[at:], total-at)
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
	if uint32(len(p)) > total {
		p = p[:total]
	}
	seg.IPID = 0
	next, at := p[6], uint32(40)
	if next != protoTCP {
		var r reason
		if at, r = s.extensions(seg, next, p, at, total); r != 0 {
			return r
		}
		if at > total {
			return ipMalformed
		}
		if uint32(len(p)) < at {
			return tcpCut
		}
	}
	seg.TOS, seg.TTL = p[0]<<4|p[1]>>4, p[7]
	seg.Src.Addr = segment.Addr{Hi: binary.BigEndian.Uint64(p[8:]), Lo: binary.BigEndian.Uint64(p[16:])}
	seg.Dst.Addr = segment.Addr{Hi: binary.BigEndian.Uint64(p[24:]), Lo: binary.BigEndian.Uint64(p[32:])}
	return s.tcp(seg, p[at:], total-at)
}

// extensions walks the headers from next at p[at:] up to TCP's and returns
// where that begins, which may lie behind the captured bytes. Each header is at
// least eight bytes, so that the walk ends.
func (s *source) extensions(seg *segment.Segment, next uint8, p []byte, at, total uint32) (uint32, reason) {
	for next != protoTCP {
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoFragment, protoAH:
		default:
			return at, other(next, p[min(int(at), len(p)):])
		}
		if uint32(len(p)) < at+8 {
			return at, cutOr(ipMalformed, ipCut, int(at+8), total)
		}
		h := p[at : at+8]
		switch next {
		case protoFragment:
			first := h[2] == 0 && h[3]&0xf8 == 0
			if h[0] == protoTCP && (!first || h[3]&1 != 0 && total < at+8+20) {
				return at, laterFragment
			}
			if !first {
				return at, other(h[0], nil)
			}
			seg.IPID = binary.BigEndian.Uint16(h[6:])
			at += 8
		case protoAH:
			at += max(8, (uint32(h[1])+2)*4)
		default:
			at += (uint32(h[1]) + 1) * 8
		}
		next = h[0]
	}
	return at, 0
}

// other says what a packet is that does not carry TCP; p is what follows the
// IP headers.
func other(proto uint8, p []byte) reason {
	switch proto {
	case protoIPIP, protoIPv6, protoGRE, protoEtherIP, protoMPLS:
		return tunnelled
	case protoESP:
		return encrypted
	case protoUDP:
		if len(p) < 4 {
			return notTCP
		}
		switch binary.BigEndian.Uint16(p[2:]) {
		case 4789, 8472, 6081, 2152: // VXLAN, its older Linux port, Geneve, GTP-U
			return tunnelled
		}
	}
	return notTCP
}
