// Package segment describes one TCP segment as it was seen on the wire, and
// reads and writes it in packetdrill's notation.
package segment

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Addr is an IPv4 or IPv6 address as two big-endian words, IPv4 in its mapped
// form ::ffff:a.b.c.d. It is comparable and holds no pointer, so that millions
// can lie outside the reach of the garbage collector. The zero value is "::".
type Addr struct{ Hi, Lo uint64 }

// AddrFrom4 returns the address of the four bytes of an IPv4 header field.
func AddrFrom4(b [4]byte) Addr {
	return Addr{0, 0xffff<<32 | uint64(binary.BigEndian.Uint32(b[:]))}
}

// AddrFrom16 returns the address of the sixteen bytes of an IPv6 header field.
func AddrFrom16(b [16]byte) Addr {
	return Addr{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// AddrFromNetip converts from the standard library's type; an IPv4 address and
// its IPv6-mapped form are the same Addr.
func AddrFromNetip(a netip.Addr) Addr { return AddrFrom16(a.As16()) }

// Is4 tells whether the address is an IPv4 one.
func (a Addr) Is4() bool { return a.Hi == 0 && a.Lo>>32 == 0xffff }

// Netip converts to the standard library's type.
func (a Addr) Netip() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	if a.Is4() {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.AddrFrom16(b)
}

// String prints the address as tcpdump does.
func (a Addr) String() string { return a.Netip().String() }

// Endpoint is an address and a port.
type Endpoint struct {
	Addr Addr
	Port uint16
}

// String prints "10.0.0.1:80" or "[2001:db8::1]:80".
func (e Endpoint) String() string {
	if e.Addr.Is4() {
		return e.Addr.String() + ":" + strconv.Itoa(int(e.Port))
	}
	return "[" + e.Addr.String() + "]:" + strconv.Itoa(int(e.Port))
}

// Ref says where a segment was seen.
type Ref struct {
	// Frame is the number of the frame as Wireshark shows it, from 1, in the
	// merged order where several files are read. 0: not from a capture.
	Frame uint64
	// Time is in nanoseconds since the Unix epoch.
	Time int64
	// Source is the index of the file among those read, from 0.
	Source uint16
	// SourceFrame is the number of the frame within its own file, from 1.
	SourceFrame uint64
}

// Flags are the control bits of the TCP header, in its own order.
type Flags uint16

// The control bits (RFC 9293 §3.1; AE is RFC 7560's and AccECN's ninth bit).
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

// Has tells whether all the bits of f are set.
func (x Flags) Has(f Flags) bool { return x&f == f }

// String prints the flags as tcpdump and packetdrill do: "S.", "F.", "R", "P.",
// "." for a bare ACK, "-" for none.
func (x Flags) String() string {
	switch x { // nearly all frames have one of these, of which no text has to be made
	case 0:
		return "-"
	case SYN:
		return "S"
	case SYN | ACK:
		return "S."
	case ACK:
		return "."
	case PSH | ACK:
		return "P."
	case FIN | ACK:
		return "F."
	case FIN | PSH | ACK:
		return "FP."
	case RST:
		return "R"
	case RST | ACK:
		return "R."
	}
	var b [9]byte
	n := 0
	for _, l := range [...]struct {
		f Flags
		c byte
	}{{SYN, 'S'}, {FIN, 'F'}, {RST, 'R'}, {PSH, 'P'}, {URG, 'U'}, {ECE, 'E'}, {CWR, 'W'}, {AE, 'A'}, {ACK, '.'}} {
		if x&l.f != 0 {
			b[n] = l.c
			n++
		}
	}
	return string(b[:n])
}

// Options is the set of TCP options that a segment carries.
type Options uint16

// The options that are understood; OptUnknown stands for any other kind.
const (
	OptMSS Options = 1 << iota
	OptWScale
	OptSACKPermitted
	OptSACK
	OptTimestamps
	OptFastOpen
	OptMPTCP
	OptMD5
	OptAO
	OptUnknown
	// OptCut is set where the options could not be read to their end: the
	// frame was cut by the snap length, or their lengths do not add up. An
	// option that was not found is then not known to be absent.
	OptCut
)

// Has tells whether all the options of o are present.
func (x Options) Has(o Options) bool { return x&o == o }

// SACKBlock is one block of a SACK option: [Left, Right) has arrived.
type SACKBlock struct{ Left, Right seq.Num }

// Segment is one TCP segment with everything the model may need. Numbers are
// absolute, as on the wire. A field that belongs to an option means something
// only if Options has that option.
type Segment struct {
	Ref
	Src, Dst Endpoint
	Seq, Ack seq.Num
	Flags    Flags
	// Window is the header's field, not scaled.
	Window uint16
	Urgent uint16
	// Doubt is 0 but for segments read from a text.
	Doubt Doubt
	// Len is the length of the payload on the wire in bytes, whatever part of
	// it the capture kept.
	Len uint32

	Options Options
	NSACK   uint8
	WScale  uint8
	MSS     uint16
	TSVal   seq.Num
	TSEcr   seq.Num
	SACK    [4]SACKBlock
	// Interface is the pcapng interface within its section, 0 in pcap; in a
	// capture with LINKTYPE_LINUX_SLL2 it is the kernel's number of the
	// interface. It tells frames of several interfaces apart, no more.
	Interface uint32
	// RawOptions are the bytes of the options as captured, those of unknown
	// kinds among them. They belong to the reader's buffer and are valid only
	// until its next read.
	RawOptions []byte

	// TTL is IPv4's time to live or IPv6's hop limit.
	TTL uint8
	// TOS is IPv4's type of service or IPv6's traffic class; its lowest two
	// bits are ECN.
	TOS uint8
	// IPID is IPv4's identification, or that of an IPv6 fragment header; 0
	// where there is none (IPv6 without a fragment header).
	IPID uint16
	// VLAN is the innermost 802.1Q tag's identifier, 0 if untagged. Inside a
	// tunnel that carries Ethernet it is a tag of the carried frame; of ERSPAN,
	// the VLAN that its header names where the frame has no tag.
	VLAN uint16
	// Way is which way the frame went past the capturing host.
	Way Way
	// Tunnel says inside what the segment was carried.
	Tunnel Tunnel
	// Raw is where the frame lies, for the reader's Wire.
	Raw Raw
}

// Way is which way a frame went past the host that captured it.
type Way uint8

// The ways, as a cooked header's packet type (LINKTYPE_LINUX_SLL) or pcapng's
// epb_flags give them. WayIn is also broadcast and multicast; WayOther is a
// frame for another host, seen in promiscuous mode.
const (
	WayUnknown Way = iota
	WayIn
	WayOut
	WayOther
)

// End returns seq plus the sequence space that the segment takes: payload, SYN
// and FIN (TCP_SKB_CB(skb)->end_seq).
func (s *Segment) End() seq.Num {
	n := s.Len
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return s.Seq.Add(n)
}

// HasTS tells whether the segment carries the timestamps option.
func (s *Segment) HasTS() bool { return s.Options&OptTimestamps != 0 }
