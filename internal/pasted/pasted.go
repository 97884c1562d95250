// Package pasted reads packets out of text that people paste: lines of tcpdump,
// rows of tshark and Wireshark and Wireshark's plain-text export, wrapped,
// quoted, numbered, masked and commented as they come.
//
// A text says less than a capture. What it leaves out is marked (segment.Doubt)
// and never stands for a fact: sequence numbers that are relative to an
// unknown base get an invented one, names get invented addresses, and
// lines that were not understood are listed.
package pasted

import (
	"fmt"
	"io"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxText and maxRows are how much of a text is read, in bytes and in packets;
// nobody pastes more, and all of it is held in memory.
const (
	maxText = 32 << 20
	maxRows = 250_000
)

// Text is what was found in a text.
type Text struct {
	// Packets are the TCP segments, in the order of the text.
	Packets []Packet
	// Opaque are the packets that carry no TCP numbers: rows of application
	// protocols, and segments cut so short that not even the flags are left.
	Opaque []Opaque
	// Others counts packets that are no TCP (ARP, UDP, ICMP).
	Others int
	// ARP are those of them that ask for an address, or say where one is, in order.
	ARP []ARP
	// Names are the hosts and ports that have no number in the text, and the
	// numbers that stand for them, in order of appearance.
	Names []Name
	// Warnings are the doubts about the text as a whole, sorted by code.
	Warnings []Warning
	// Uses says of each line, from line 1 on, what became of it.
	Uses []Use
	// NotUnderstood are the lines that look like a packet and could not be read.
	NotUnderstood []int
}

// Packet is one TCP segment and where it stands. Its Frame is the text's own
// number of the packet, or its first line where the text does not number
// (all of) its packets upwards, or, where a line holds several, a count. Frames go
// up from packet to packet, Opaque ones included.
type Packet struct {
	segment.Segment
	// Line and LastLine are the lines that it takes, from 1.
	Line, LastLine int
	// Wire is what the text tells of the frame beside the segment: addresses of
	// the link (-e), DF (-v), lengths.
	Wire segment.Wire
	// Labels are what Wireshark said of it, such as "TCP Retransmission":
	// no evidence, but what the reader saw.
	Labels []string
}

// Opaque is a packet of which the text tells no TCP numbers.
type Opaque struct {
	segment.Ref
	Line, LastLine int
	// Src and Dst have the port 0 where the text does not tell it.
	Src, Dst segment.Endpoint
	// FrameLen is the length of the frame in bytes, 0 if unknown.
	FrameLen uint32
	// Protocol is the text's word for it, such as NFS.
	Protocol string
	// ICMP: it is an ICMP message; Error tells of an error.
	ICMP  bool
	Error Error
	// Info is what the text says of it.
	Info string
	// Labels are as in Packet.
	Labels []string
}

// ARP is a request or an answer of ARP.
type ARP struct {
	segment.Ref
	// Asker asks for Addr; the zero Addr: Addr says itself where it is.
	Asker, Addr segment.Addr
}

// Error is an ICMP error.
type Error struct {
	// Known: Type and Code are known; without it nothing is.
	Known bool
	// Type and Code are ICMP's (RFC 792), or ICMPv6's where the Opaque's ends
	// have IPv6 addresses (RFC 4443).
	Type, Code uint8
	// MTU is the next hop's, in bytes; 0: not told.
	MTU uint32
	// Src and Dst are the ends of the packet that caused it: the zero Addr
	// and the port 0 where the text does not tell them.
	Src, Dst segment.Endpoint
	// Quoted is the segment that caused it, as far as it is repeated; nil: it is not.
	Quoted *Packet
	// Cause is the index in Packets of the segment that must have caused it, -1
	// where there is none, or more than one could have.
	Cause int
}

// Name is a host or service that the text names without a number.
type Name struct {
	Text string
	// Addr is the address that was invented for a host; 240.0.0.0/4 is in no
	// network (RFC 1112 §4).
	Addr segment.Addr
	// Port is the number that was invented for an unknown service, if not 0.
	Port uint16
}

// Warning is a doubt about the text.
type Warning struct {
	Code string // a slug
	Says string // one sentence, without the name of the file
	Line int    // the first line concerned, 0: none
	// Frame is the packet at that line, 0: none.
	Frame uint64
}

// Use is what became of a line.
type Use uint8

// What can become of a line.
const (
	// Blank: nothing is in it.
	Blank Use = iota
	// OfPacket: it belongs to a packet.
	OfPacket
	// Ignored: fences, headings of columns, hex dumps, what the tools say
	// beside packets.
	Ignored
	// Comment: words of the person who pasted it.
	Comment
	// Unread: it looks like a packet and could not be read.
	Unread
)

// Read reads a text to its end. An error is one of r.
//
// With an error the text is what was read before it.
func Read(r io.Reader) (*Text, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return Parse(b), fmt.Errorf("text: %w", err)
	}
	return Parse(b), nil
}

// Parse finds the packets of a text. It takes any bytes.
func Parse(b []byte) *Text {
	cut := len(b) > maxText
	if cut {
		b = b[:maxText]
	}
	p := &reader{}
	p.read(decode(b))
	t := p.text()
	if cut || p.full > 0 {
		t.warn("text-cut", p.full, "is longer than %d MiB or %d packets; what comes after was not read: give the capture itself", maxText>>20, maxRows)
	}
	t.sortWarnings()
	return t
}
