package capture

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxTunnels is how many tunnels inside one another are looked into.
const maxTunnels = 4

// enter notes that what follows is inside one more tunnel, with the identifier
// that is known so far. It is false where they are too many.
func enter(seg *segment.Segment, kind segment.TunnelKind) bool {
	if seg.Tunnel.Depth >= maxTunnels {
		return false
	}
	seg.Tunnel.Depth++
	seg.Tunnel.Kind = kind
	return true
}

// tunnel goes on with p, which is of EtherType t, inside a tunnel of a kind that
// has no identifier, or whose identifier the caller sets.
func (s *source) tunnel(seg *segment.Segment, kind segment.TunnelKind, t uint16, p []byte, wire uint32) reason {
	if !enter(seg, kind) {
		return tunnelled
	}
	switch t {
	case etherIPv4:
		return s.ipv4(seg, p, wire)
	case etherIPv6:
		return s.ipv6(seg, p, wire)
	case etherBridged:
		// The outer frame's tag is not one of the inner frame.
		seg.VLAN = 0
		return s.ethernet(seg, p, wire)
	}
	return s.etherType(seg, t, p, wire)
}

// udp looks for the tunnels that go over UDP. They are known by the port that
// they are sent to; what does not look like one is other traffic there.
func (s *source) udp(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 4 {
		return notTCP
	}
	port := binary.BigEndian.Uint16(p[2:])
	switch port {
	case portVXLAN, portVXLANOld, portGeneve, portMPLS, portGTP:
	default:
		return notTCP
	}
	if len(p) < 16 {
		return cutOr(notTCP, tunnelCut, 16, wire)
	}
	// With 0, or a length that cannot be, the IP header's is believed.
	if n := uint32(binary.BigEndian.Uint16(p[4:])); n >= 16 && n <= wire {
		wire = n
		p = p[:min(n, uint32(len(p)))]
	}
	p, wire = p[8:], wire-8
	switch port {
	case portGeneve:
		return s.geneve(seg, p, wire)
	case portMPLS:
		return s.mpls(seg, p, wire)
	case portGTP:
		return s.gtp(seg, p, wire)
	}
	return s.vxlan(seg, p, wire)
}

// vxlan reads the header of RFC 7348, which may have the group policy that
// Linux and draft-smith-vxlan-group-policy add; p has 8 bytes.
func (s *source) vxlan(seg *segment.Segment, p []byte, wire uint32) reason {
	const hasVNI, hasPolicy = 0x08, 0x80
	if p[0]&^hasPolicy != hasVNI || p[7] != 0 || p[0]&hasPolicy == 0 && p[1]|p[2]|p[3] != 0 {
		return notTCP
	}
	seg.Tunnel.ID = binary.BigEndian.Uint32(p[4:]) >> 8
	return s.tunnel(seg, segment.TunnelVXLAN, etherBridged, p[8:], wire-8)
}

// geneve reads the header of RFC 8926; p has 8 bytes.
func (s *source) geneve(seg *segment.Segment, p []byte, wire uint32) reason {
	const control = 0x80
	at := 8 + uint32(p[0]&0x3f)*4
	t := binary.BigEndian.Uint16(p[2:])
	if p[0]>>6 != 0 || p[1]&control != 0 || p[7] != 0 || at > wire || t != etherIPv4 && t != etherIPv6 && t != etherBridged {
		return notTCP
	}
	if uint32(len(p)) < at {
		return tunnelCut
	}
	seg.Tunnel.ID = binary.BigEndian.Uint32(p[4:]) >> 8
	return s.tunnel(seg, segment.TunnelGeneve, t, p[at:], wire-at)
}

// gtp reads the header of GTP-U (3GPP TS 29.281 §5.1) with its extensions; p has
// 8 bytes.
func (s *source) gtp(seg *segment.Segment, p []byte, wire uint32) reason {
	const version1, userData, optional, extended = 0x30, 255, 0x07, 0x04
	if p[0]&0xf0 != version1 || p[1] != userData {
		return notTCP
	}
	seg.Tunnel.ID = binary.BigEndian.Uint32(p[4:])
	at := uint32(8)
	if p[0]&optional != 0 {
		at += 4
		if uint32(len(p)) < at {
			return cutOr(notTCP, tunnelCut, int(at), wire)
		}
		for more := p[0]&extended != 0 && p[at-1] != 0; more; more = p[at-1] != 0 {
			if uint32(len(p)) <= at {
				return cutOr(notTCP, tunnelCut, int(at+4), wire)
			}
			n := uint32(p[at]) * 4
			if n == 0 {
				return notTCP
			}
			if at += n; uint32(len(p)) < at {
				return cutOr(notTCP, tunnelCut, int(at), wire)
			}
		}
	}
	if p, wire = p[at:], wire-at; len(p) == 0 {
		return cutOr(notTCP, tunnelCut, 1, wire)
	}
	if p[0]>>4 == 6 {
		return s.tunnel(seg, segment.TunnelGTP, etherIPv6, p, wire)
	}
	return s.tunnel(seg, segment.TunnelGTP, etherIPv4, p, wire)
}

// gre reads the header of RFC 2784 with the key and number of RFC 2890, and
// that of version 1 (PPTP, RFC 2637).
func (s *source) gre(seg *segment.Segment, p []byte, wire uint32) reason {
	const checksum, routing, key, number, ack = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	if len(p) < 4 {
		return cutOr(frameShort, tunnelCut, 4, wire)
	}
	flags, t := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
	version := flags & 7
	if flags&routing != 0 || version > 1 {
		return tunnelled
	}
	at := uint32(4)
	for _, f := range [...]uint16{checksum, key, number, ack} {
		if flags&f == 0 || f == ack && version == 0 {
			continue
		}
		if uint32(len(p)) < at+4 {
			return cutOr(frameShort, tunnelCut, int(at+4), wire)
		}
		if f == key {
			seg.Tunnel.ID = binary.BigEndian.Uint32(p[at:])
		}
		at += 4
	}
	p, wire = p[at:], wire-at
	switch t {
	case etherERSPAN, etherERSPAN3:
		return s.erspan(seg, p, wire, t, flags&number != 0)
	case etherWCCP:
		// Version 2 puts four bytes before the packet (draft-forster-wrec-wccp-v1,
		// draft-mclaggan-wccp-v2rev1), whose first byte is no IP version.
		if t = etherIPv4; len(p) >= 5 && p[0]>>4 != 4 {
			p, wire = p[4:], wire-4
		}
	case etherPPP:
		if !enter(seg, segment.TunnelGRE) {
			return tunnelled
		}
		seg.Tunnel.ID &= 0xffff // the call; the rest is a length
		if len(p) >= 2 && p[0] == 0xff && p[1] == 3 {
			p, wire = p[2:], wire-2
		}
		return s.ppp(seg, p, wire)
	}
	return s.tunnel(seg, segment.TunnelGRE, t, p, wire)
}

// erspan reads what Cisco's mirrors put between GRE and the copied frame
// (draft-foschiano-erspan-03): nothing in type I, which is GRE without a number.
func (s *source) erspan(seg *segment.Segment, p []byte, wire uint32, t uint16, numbered bool) reason {
	seg.Tunnel.ID = 0
	if t == etherERSPAN && !numbered {
		return s.tunnel(seg, segment.TunnelERSPAN, etherBridged, p, wire)
	}
	at := 8
	if t == etherERSPAN3 {
		if at = 12; len(p) >= at && p[11]&1 != 0 { // O: a platform's header
			at = 20
		}
	}
	if len(p) < at {
		return cutOr(frameShort, tunnelCut, at, wire)
	}
	version := p[0] >> 4
	if t == etherERSPAN && version != 1 || t == etherERSPAN3 && version != 2 || !enter(seg, segment.TunnelERSPAN) {
		return tunnelled
	}
	h := binary.BigEndian.Uint32(p)
	seg.Tunnel.ID = h & 0x3ff
	seg.VLAN = uint16(h>>16) & 0xfff
	isIP := t == etherERSPAN3 && binary.BigEndian.Uint16(p[10:])>>10&0x1f == 2 // FT
	if p, wire = p[at:], wire-uint32(at); isIP && len(p) > 0 {
		return s.ip(seg, p, wire)
	}
	return s.ethernet(seg, p, wire)
}

// pppoe reads the session header of RFC 2516 §4.
func (s *source) pppoe(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 6 {
		return cutOr(frameShort, tunnelCut, 6, wire)
	}
	if p[0] != 0x11 || p[1] != 0 {
		return notIP
	}
	if !enter(seg, segment.TunnelPPPoE) {
		return tunnelled
	}
	seg.Tunnel.ID = uint32(binary.BigEndian.Uint16(p[2:]))
	n := uint32(binary.BigEndian.Uint16(p[4:]))
	p, wire = p[6:], wire-6
	if n <= wire {
		wire = n
		p = p[:min(n, uint32(len(p)))]
	}
	return s.ppp(seg, p, wire)
}

// ppp reads the protocol field of PPP, which may be one byte (RFC 1661 §6.5).
func (s *source) ppp(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 2 {
		return cutOr(frameShort, tunnelCut, 2, wire)
	}
	protocol, at := binary.BigEndian.Uint16(p), uint32(2)
	if p[0]&1 != 0 {
		protocol, at = uint16(p[0]), 1
	}
	p, wire = p[at:], wire-at
	switch protocol {
	case pppIPv4:
		return s.ipv4(seg, p, wire)
	case pppIPv6:
		return s.ipv6(seg, p, wire)
	case pppMPLS:
		return s.mpls(seg, p, wire)
	}
	return notIP
}

// mpls reads a stack of labels (RFC 3032) and guesses what is under it, which
// no label says: an IP packet, or an Ethernet frame with the control word of RFC
// 4385 or without.
func (s *source) mpls(seg *segment.Segment, p []byte, wire uint32) reason {
	const bottom = 0x100
	for last := false; !last; {
		if len(p) < 4 {
			return cutOr(frameShort, tunnelCut, 4, wire)
		}
		e := binary.BigEndian.Uint32(p)
		seg.Tunnel.ID, last = e>>12, e&bottom != 0
		p, wire = p[4:], wire-4
	}
	if !enter(seg, segment.TunnelMPLS) {
		return tunnelled
	}
	if len(p) == 0 {
		return cutOr(frameShort, tunnelCut, 1, wire)
	}
	version := p[0] >> 4
	switch {
	case (version == 4 || version == 6) && (!bridged(p) || plausible(p, wire)):
		return s.ip(seg, p, wire)
	case version == 0 && len(p) > 4 && bridged(p[4:]):
		p, wire = p[4:], wire-4
	case bridged(p):
	case len(p) < 19:
		return cutOr(notIP, tunnelCut, 19, wire)
	default:
		return notIP
	}
	seg.VLAN = 0
	return s.ethernet(seg, p, wire)
}

// bridged tells whether p looks like an Ethernet frame with something of ours.
func bridged(p []byte) bool {
	if len(p) < 15 {
		return false
	}
	switch binary.BigEndian.Uint16(p[12:]) {
	case etherIPv4:
		return p[14]>>4 == 4
	case etherIPv6:
		return p[14]>>4 == 6
	case etherVLAN, etherQinQ, etherARP:
		return true
	}
	return false
}

// plausible tells whether p, which begins with 4 or 6, has an IP header whose
// length fits.
func plausible(p []byte, wire uint32) bool {
	switch {
	case p[0]>>4 == 4 && len(p) >= 20:
		total := uint32(binary.BigEndian.Uint16(p[2:]))
		return p[0]&15 >= 5 && total >= 20 && total <= wire
	case p[0]>>4 == 6 && len(p) >= 40:
		return 40+uint32(binary.BigEndian.Uint16(p[4:])) <= wire
	}
	return false
}
