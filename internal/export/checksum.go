package export

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/capture"
)

// checksum is what one is worth before the header around it changes.
type checksum struct {
	worth worth
	at    int    // where it is in the frame
	sum   uint16 // of what it covers, as far as it was captured
}

type worth uint8

const (
	none    worth = iota // there is no checksum, or it was not captured
	good                 // right
	bad                  // wrong
	partial              // that of the pseudo-header alone (CHECKSUM_PARTIAL)
	unknown              // what it covers was not captured whole
	zero                 // not filled in
)

// Where checksums are in their headers.
const (
	ipv4Sum = 10
	tcpSum  = 16
	udpSum  = 6
	icmpSum = 2
)

// measure reads the checksum of layer i.
func measure(b []byte, layers []capture.Layer, i int) checksum {
	l := layers[i]
	at, whole := 0, false
	switch l.Kind {
	case capture.LayerIPv4:
		at, whole = l.Off+ipv4Sum, l.Len == int(b[l.Off]&15)*4
	case capture.LayerTCP:
		at, whole = l.Off+tcpSum, uint64(l.End-l.Off) >= uint64(l.Wire)
	case capture.LayerICMP, capture.LayerICMPv6:
		at = l.Off + icmpSum
	case capture.LayerUDP:
		at = l.Off + udpSum
	default:
		return checksum{}
	}
	if at+2 > l.End {
		return checksum{}
	}
	c := checksum{worth: unknown, at: at, sum: covered(b, layers, i)}
	field := binary.BigEndian.Uint16(b[at:])
	switch {
	case l.Kind == capture.LayerTCP && whole && c.sum == 0xffff:
		c.worth = good
	case l.Kind == capture.LayerTCP && field == pseudo(b, layers, i):
		c.worth = partial
	case field == 0 && l.Kind != capture.LayerTCP:
		c.worth = zero
	case whole && c.sum == 0xffff:
		c.worth = good
	case whole:
		c.worth = bad
	}
	return c
}

// repair puts in a checksum of the same worth. One of which nothing is known is
// taken for right: then it is again, and tells nothing of what was replaced.
func (c checksum) repair(b []byte, layers []capture.Layer, i int) {
	if c.worth == none || c.worth == zero {
		return
	}
	field := b[c.at : c.at+2]
	if layers[i].Kind == capture.LayerUDP {
		clear(field) // none (RFC 768, RFC 6935)
		return
	}
	switch c.worth {
	case good:
		clear(field)
		binary.BigEndian.PutUint16(field, ^covered(b, layers, i))
	case partial:
		binary.BigEndian.PutUint16(field, pseudo(b, layers, i))
	case unknown:
		// RFC 1624: what was added to the sum is taken from its complement.
		now := uint32(covered(b, layers, i))
		v := uint32(binary.BigEndian.Uint16(field)) + uint32(c.sum) + uint32(^uint16(now))
		binary.BigEndian.PutUint16(field, fold(v))
	case bad:
		clear(field)
		wrong := ^covered(b, layers, i) + 1
		if wrong == pseudo(b, layers, i) || ^wrong == 0 || wrong == 0 {
			wrong += 2
		}
		binary.BigEndian.PutUint16(field, wrong)
	case none, zero:
	}
}

// covered adds up what the checksum of layer i is of, with the checksum itself; 0xffff
// is that of a right one.
func covered(b []byte, layers []capture.Layer, i int) uint16 {
	l := layers[i]
	switch l.Kind {
	case capture.LayerIPv4:
		return fold(add(0, b[l.Off:l.Off+l.Len]))
	case capture.LayerICMP:
		return fold(add(0, b[l.Off:l.End]))
	default:
		end := l.End
		if l.Kind == capture.LayerTCP && uint64(end-l.Off) > uint64(l.Wire) {
			end = l.Off + int(l.Wire)
		}
		return fold(add(uint32(pseudo(b, layers, i)), b[l.Off:end]))
	}
}

// pseudo is the sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1) of layer i, of
// which the IP header before it gives the addresses. The length is that of TCP; for
// the others it does not change, and is left out.
func pseudo(b []byte, layers []capture.Layer, i int) uint16 {
	l := layers[i]
	for j := i - 1; j >= 0; j-- {
		at := layers[j].Off
		sum := uint32(0)
		switch layers[j].Kind {
		case capture.LayerIPv4:
			sum = add(0, b[at+12:at+20])
		case capture.LayerIPv6:
			sum = add(0, b[at+8:at+40])
		default:
			continue
		}
		if l.Kind == capture.LayerTCP {
			const protoTCP = 6
			sum += protoTCP + l.Wire>>16 + l.Wire&0xffff
		}
		return fold(sum)
	}
	return 0
}

// add sums up big-endian words (RFC 1071); frames are too short for an overflow
// of what is folded in between.
func add(sum uint32, b []byte) uint32 {
	for len(b) >= 2 {
		sum += uint32(b[0])<<8 | uint32(b[1])
		sum = sum>>16 + sum&0xffff
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
