package capture

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// maxNotes bounds the notes of one Read.
const maxNotes = 512

// Notes returns what was noted among the frames of the last Read: ICMP errors
// that quote a TCP segment, and who asked for an address on the link, in the
// order of their frames, which lie between those of the segments. It is valid
// until the next Read.
func (r *Reader) Notes() []segment.Note { return r.notes }

// note starts a note about the frame that seg was read from.
func (s *source) note(seg *segment.Segment, kind segment.NoteKind) segment.Note {
	return segment.Note{Ref: seg.Ref, Kind: kind, Way: seg.Way, VLAN: seg.VLAN, Interface: seg.Interface, Tunnel: seg.Tunnel,
		From: seg.Src.Addr, To: seg.Dst.Addr, TTL: seg.TTL}
}

// The messages of ICMP that matter here (RFC 792; RFC 4443 and 4861 with v6).
const (
	icmpUnreachable  = 3
	icmpSourceQuench = 4
	icmpTimeExceeded = 11
	icmpParameter    = 12
	icmpFragNeeded   = 4 // a code of icmpUnreachable

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
	icmp6Solicitation = 135
	icmp6Advertising  = 136
)

// icmp notes an error about a TCP segment, or a question for an address; p
// begins with the ICMP header. seg has the addresses of the packet.
func (s *source) icmp(seg *segment.Segment, v6 bool, p []byte) {
	if s.notes == nil || len(p) < 8 {
		return
	}
	// RFC 4884 says how long the quoted packet is, in 4 bytes each, or 8.
	quote, unit := p[8:], 4*int(p[5])
	n := s.note(seg, segment.NoteICMP)
	n.Type, n.Code = p[0], p[1]
	switch {
	case v6 && (p[0] == icmp6Solicitation || p[0] == icmp6Advertising):
		s.neighbor(seg, p)
		return
	case v6 && p[0] == icmp6TooBig:
		n.MTU = binary.BigEndian.Uint32(p[4:])
		unit = 0
	case v6 && (p[0] == icmp6Unreachable || p[0] == icmp6TimeExceeded):
		unit = 8 * int(p[4])
	case v6 && p[0] == icmp6Parameter:
		unit = 0
	case !v6 && p[0] == icmpUnreachable:
		if p[1] == icmpFragNeeded {
			n.MTU = uint32(binary.BigEndian.Uint16(p[6:]))
		}
	case !v6 && (p[0] == icmpTimeExceeded || p[0] == icmpParameter):
	case !v6 && p[0] == icmpSourceQuench:
		unit = 0
	default:
		return
	}
	if unit > 0 && unit < len(quote) {
		quote = quote[:unit]
	}
	if s.quote(&n.Quoted, quote) {
		*s.notes = append(*s.notes, n)
	}
}

// quote reads the packet that an ICMP error repeats, as far as it does, and
// tells whether it was a TCP segment with at least its ports and number.
func (s *source) quote(q *segment.Quoted, p []byte) bool {
	if len(p) == 0 {
		return false
	}
	if s.probe == nil {
		s.probe = &source{trace: new(trace)}
	}
	t := s.probe.trace
	*t = trace{}
	if s.trace != nil {
		t.layers, t.end, t.quoted = s.trace.layers, s.trace.end, true
	}
	var seg segment.Segment
	r := s.probe.ip(&seg, p, unbounded)
	if len(t.tcp) < 8 {
		return false
	}
	q.Src = segment.Endpoint{Addr: seg.Src.Addr, Port: binary.BigEndian.Uint16(t.tcp)}
	q.Dst = segment.Endpoint{Addr: seg.Dst.Addr, Port: binary.BigEndian.Uint16(t.tcp[2:])}
	q.Seq = seq.Of(binary.BigEndian.Uint32(t.tcp[4:]))
	if q.HasFlags = r == 0 || len(t.tcp) >= 14; q.HasFlags {
		q.Flags = segment.Flags(binary.BigEndian.Uint16(t.tcp[12:]) & 0x1ff)
		q.Ack = seq.Of(binary.BigEndian.Uint32(t.tcp[8:]))
	}
	q.TTL, q.IPID, q.IPLen, q.Tunnel = seg.TTL, seg.IPID, t.ipLen, seg.Tunnel
	q.DF, _ = t.fragmentBits()
	return true
}

// neighbor notes a neighbor solicitation or advertisement (RFC 4861 §4.3, §4.4).
func (s *source) neighbor(seg *segment.Segment, p []byte) {
	if len(p) < 24 {
		return
	}
	kind, option := segment.NoteWhoHas, byte(1) // the asker's link-layer address
	if p[0] == icmp6Advertising {
		kind, option = segment.NoteIsAt, 2 // the target's
	}
	n := s.note(seg, kind)
	n.Type, n.Code = p[0], p[1]
	n.Addr = segment.AddrFrom16([16]byte(p[8:24]))
	for o := p[24:]; len(o) >= 8 && o[1] != 0; o = o[min(len(o), int(o[1])*8):] {
		if o[0] == option {
			n.MAC = segment.MAC(o[2:8])
			break
		}
	}
	*s.notes = append(*s.notes, n)
}

// arp notes a request or reply for an IPv4 address on Ethernet (RFC 826). A
// request for one's own address announces it (RFC 5227 §2.3).
func (s *source) arp(seg *segment.Segment, p []byte) {
	const request, reply = 1, 2
	if s.notes == nil || len(p) < 28 || binary.BigEndian.Uint32(p[2:]) != etherIPv4<<16|6<<8|4 {
		return
	}
	op := binary.BigEndian.Uint16(p[6:])
	if op != request && op != reply {
		return
	}
	seg.TTL = 0
	seg.Src.Addr, seg.Dst.Addr = segment.AddrFrom4([4]byte(p[14:18])), segment.AddrFrom4([4]byte(p[24:28]))
	n := s.note(seg, segment.NoteIsAt)
	n.Addr = n.From
	if op == request && n.From != n.To {
		n.Kind, n.Addr = segment.NoteWhoHas, n.To
	}
	n.MAC = segment.MAC(p[8:14])
	*s.notes = append(*s.notes, n)
}
