package pasted

import (
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// dialect is who printed a row.
type dialect uint8

const (
	dump    dialect = iota // tcpdump
	summary                // a row of tshark or Wireshark, or its Info column
	detail                 // Wireshark's tree of a packet, or tshark -T fields
)

// rowKind is what a row is about.
type rowKind uint8

const (
	kindNone   rowKind = iota
	kindTCP            // a TCP segment with its flags
	kindOpaque         // a packet of which no TCP numbers are told
	kindICMP           // an ICMP message
	kindOther          // a packet that is no TCP
	kindTunnel         // a tunnel's own line, the packet inside is still to come
)

// host is an end as written.
type host struct{ host, port string }

// number is a number that may be missing.
type number struct {
	n  uint32
	ok bool
}

// row is what the text says of one packet, before numbers are put into relation
// to those of other packets.
type row struct {
	line, last int
	number     uint64 // 0: none
	frame      uint64
	dialect    dialect
	kind       rowKind
	stamp      stamp
	time       int64
	timeUnsaid bool
	section    uint32 // of the text: headings that name a place of capture count up
	iface      string // tcpdump -i any
	way        segment.Way

	src, dst host
	protocol string // Wireshark's column
	info     string // of rows without TCP numbers
	labels   []string

	flags              segment.Flags
	seq, end, ack      number
	win, urg, len      number
	seqRaw, ackRaw     number // Wireshark's "(raw)"
	scaled             bool   // win may be scaled
	options            segment.Options
	mss                uint16
	wscale             uint8
	hasTS              bool
	tsval, tsecr       uint32
	sack               [4][2]uint32
	nsack              uint8
	hasIP, df          bool
	noOptions          bool // the header has no room for any
	ttl, tos           uint8
	ipid               uint16
	vlan               uint16
	tunnel             segment.Tunnel
	srcMAC, dstMAC     segment.MAC
	frameLen           uint32
	ipLen              uint32
	outerSrc, outerDst string
	quoted             *row // the segment that an ICMP error quotes
	icmp               icmp
	arp                arpKind
}

// icmp is what is told of an ICMP error.
type icmp struct {
	known                bool
	typ, code            uint8
	mtu                  uint32
	seq                  number
	quotedSrc, quotedDst host
}

// num32 reads a number of at most 32 bits.
func num32(s string) number {
	v, err := strconv.ParseUint(s, 10, 32)
	return number{uint32(v), err == nil}
}

// num reads a decimal or hexadecimal number, 0 where it is none.
func num(s string, bits int) uint64 {
	v, err := strconv.ParseUint(s, 0, bits)
	if err != nil {
		v, _ = strconv.ParseUint(strings.TrimLeft(s, "0"), 10, bits)
	}
	return v
}

// flagsOf reads tcpdump's letters.
func flagsOf(s string) (segment.Flags, bool) {
	if s == "none" || s == "" {
		return 0, s != ""
	}
	var f segment.Flags
	for i := range len(s) {
		switch s[i] {
		case 'S':
			f |= segment.SYN
		case 'F':
			f |= segment.FIN
		case 'R':
			f |= segment.RST
		case 'P':
			f |= segment.PSH
		case 'U':
			f |= segment.URG
		case 'E':
			f |= segment.ECE
		case 'W':
			f |= segment.CWR
		case 'A', 'e': // tcpdump prints e for the ninth bit
			f |= segment.AE
		case '.':
			f |= segment.ACK
		default:
			return 0, false
		}
	}
	return f, true
}

// flagOf reads Wireshark's word for a flag.
func flagOf(w string) segment.Flags {
	switch w {
	case "SYN":
		return segment.SYN
	case "FIN":
		return segment.FIN
	case "RST":
		return segment.RST
	case "PSH":
		return segment.PSH
	case "ACK":
		return segment.ACK
	case "URG":
		return segment.URG
	case "ECN", "ECE":
		return segment.ECE
	case "CWR":
		return segment.CWR
	case "NS", "AE":
		return segment.AE
	}
	return 0
}

// endsOf splits what tcpdump joins: ADDRESS.PORT. An IPv4 address without a
// port has three dots, a name may have any number: what follows the last dot
// is a port if it is a number or a service.
func endsOf(s string) host {
	s = strings.TrimSuffix(s, ":")
	i := strings.LastIndexByte(s, '.')
	if i < 0 || i == len(s)-1 {
		if j := strings.LastIndexByte(s, ':'); j > 0 && strings.Count(s, ":") == 1 && isPort(s[j+1:]) {
			return host{s[:j], s[j+1:]}
		}
		return host{s, ""}
	}
	addr, port := s[:i], s[i+1:]
	if strings.Contains(s, ":") && !strings.Contains(addr, ".") || strings.Count(s, ".") == 4 || isPort(port) && strings.Count(s, ".") != 3 {
		return host{addr, port}
	}
	if strings.Count(s, ".") == 3 && isNumeric(s) {
		return host{s, ""}
	}
	if isPort(port) {
		return host{addr, port}
	}
	return host{s, ""}
}

func isNumeric(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == ""
}

// isPort tells whether s is a port number or a known service.
func isPort(s string) bool {
	if v, err := strconv.ParseUint(s, 10, 16); err == nil {
		return v > 0 || s == "0"
	}
	_, ok := services()[s]
	return ok
}
