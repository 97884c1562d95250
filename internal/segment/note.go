package segment

import "github.com/tcpwhy/tcpwhy/internal/seq"

// NoteKind is what a Note tells of.
type NoteKind uint8

// NoteICMP is an ICMP or ICMPv6 error that quotes a TCP segment. NoteWhoHas is
// a question for an address on the link (ARP request, neighbor solicitation),
// NoteIsAt the answer or an announcement of one's own.
const (
	NoteUnknown NoteKind = iota
	NoteICMP
	NoteWhoHas
	NoteIsAt
)

// Note is a frame that is no TCP segment, and yet says something about a
// connection.
type Note struct {
	Ref
	Kind NoteKind
	// Way, VLAN, Interface and Tunnel are as in Segment.
	Way       Way
	VLAN      uint16
	Interface uint32
	Tunnel    Tunnel
	// From and To are the addresses of the packet: of an error, the router or
	// host that sent it, and whom it tells. Of ARP, From is the sender's
	// address (0.0.0.0 in a probe), To the address asked for.
	From, To Addr
	// TTL is that of the packet itself, 0 for ARP.
	TTL uint8

	// Type and Code are ICMP's, or ICMPv6's where From is an IPv6 address.
	Type, Code uint8
	// MTU is the next hop's in "fragmentation needed" and "packet too big", in
	// bytes; 0: not said (RFC 1191 §4).
	MTU uint32
	// Quoted is the segment that the error is about.
	Quoted Quoted

	// Addr is the address that NoteWhoHas asks for, or that NoteIsAt says is at
	// MAC. Of NoteWhoHas, MAC is the asker's; zero where it is not said.
	Addr Addr
	MAC  MAC
}

// Quoted is what an ICMP error repeats of the segment that caused it, as it was
// when it came to the reporter: behind a translator that is not as it was sent.
type Quoted struct {
	// Src and Dst are the sender of the segment, who gets the error, and whom
	// it was for.
	Src, Dst Endpoint
	Seq      seq.Num
	// Flags and Ack need HasFlags: RFC 792 demands no more than 8 bytes of the
	// TCP header.
	HasFlags bool
	Flags    Flags
	Ack      seq.Num
	// TTL is what was left of it, IPID and DF as in IPv4's header, IPLen the
	// length of the IP packet around the segment by its header.
	TTL   uint8
	IPID  uint16
	DF    bool
	IPLen uint32
	// Tunnel says inside what the segment was, where the packet that the error
	// is about was a tunnel's: the error went to the tunnel's end.
	Tunnel Tunnel
}
