package segment

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Kinds of TCP options (IANA, "TCP Option Kind Numbers").
const (
	kindEnd           = 0
	kindNop           = 1
	kindMSS           = 2
	kindWScale        = 3
	kindSACKPermitted = 4
	kindSACK          = 5
	kindTimestamps    = 8
	kindMD5           = 19
	kindAO            = 29
	kindMPTCP         = 30
	kindFastOpen      = 34
	kindExperiment    = 254
)

// fastOpenMagic marks the experimental form of fast open (RFC 7413 §4.1.1 as it
// was before kind 34 was assigned).
const fastOpenMagic = 0xf989

// maxOptions is the room that a data offset of 15 words leaves for options.
const maxOptions = 40

// nextOption cuts the first option off b, padding by no-operation and end of
// list among them (one byte each). ok is false where the bytes do not add up.
func nextOption(b []byte) (opt, rest []byte, ok bool) {
	if b[0] == kindEnd || b[0] == kindNop {
		return b[:1], b[1:], true
	}
	if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
		return nil, b, false
	}
	return b[:b[1]], b[b[1]:], true
}

// optionOf tells what an option is. A known kind whose length is not the one it
// must have is OptUnknown: the kernel passes over it (tcp_parse_options).
func optionOf(opt []byte) Options {
	switch kind, n := opt[0], len(opt); {
	case kind == kindMSS && n == 4:
		return OptMSS
	case kind == kindWScale && n == 3:
		return OptWScale
	case kind == kindSACKPermitted && n == 2:
		return OptSACKPermitted
	case kind == kindSACK && n >= 10 && n <= 34 && (n-2)%8 == 0:
		return OptSACK
	case kind == kindTimestamps && n == 10:
		return OptTimestamps
	case kind == kindFastOpen:
		return OptFastOpen
	case kind == kindExperiment && n >= 4 && binary.BigEndian.Uint16(opt[2:]) == fastOpenMagic:
		return OptFastOpen
	case kind == kindMPTCP:
		return OptMPTCP
	case kind == kindMD5:
		return OptMD5
	case kind == kindAO:
		return OptAO
	}
	return OptUnknown
}

// readOptions sets the option fields of s from the bytes raw, as far as they add
// up (else OptCut is set). Of an option given twice the last counts, as in
// tcp_parse_options. What follows the end of the list is not looked at.
func readOptions(s *Segment, raw []byte) {
	s.Options = 0
	for len(raw) > 0 && raw[0] != kindEnd {
		opt, rest, ok := nextOption(raw)
		if !ok {
			s.Options |= OptCut
			return
		}
		raw = rest
		if opt[0] == kindNop {
			continue
		}
		o := optionOf(opt)
		s.Options |= o
		switch o {
		case OptMSS:
			s.MSS = binary.BigEndian.Uint16(opt[2:])
		case OptWScale:
			s.WScale = opt[2]
		case OptSACK:
			s.SACK = [4]SACKBlock{}
			s.NSACK = 0
			for b := opt[2:]; len(b) > 0; b = b[8:] {
				s.SACK[s.NSACK] = SACKBlock{num(b), num(b[4:])}
				s.NSACK++
			}
		case OptTimestamps:
			s.TSVal, s.TSEcr = num(opt[2:]), num(opt[6:])
		}
	}
}

// num reads a sequence number or timestamp in network order.
func num(b []byte) seq.Num { return seq.Of(binary.BigEndian.Uint32(b)) }

// appendNum appends n in network order.
func appendNum(b []byte, n seq.Num) []byte { return binary.BigEndian.AppendUint32(b, n.Uint32()) }

// appendOptionBytes appends the options that the fields of s hold, in the order
// and with the padding of Linux (tcp_output.c tcp_options_write). An option
// whose bytes Segment has no field for is left empty.
func appendOptionBytes(b []byte, s *Segment) []byte {
	o := s.Options
	if o.Has(OptMD5) {
		b = append(b, kindNop, kindNop, kindMD5, 2)
	}
	if o.Has(OptAO) {
		b = append(b, kindAO, 2)
	}
	if o.Has(OptMSS) {
		b = append(b, kindMSS, 4, byte(s.MSS>>8), byte(s.MSS))
	}
	switch {
	case o.Has(OptTimestamps | OptSACKPermitted):
		b = append(b, kindSACKPermitted, 2)
	case o.Has(OptTimestamps):
		b = append(b, kindNop, kindNop)
	case o.Has(OptSACKPermitted):
		b = append(b, kindNop, kindNop, kindSACKPermitted, 2)
	}
	if o.Has(OptTimestamps) {
		b = append(b, kindTimestamps, 10)
		b = appendNum(b, s.TSVal)
		b = appendNum(b, s.TSEcr)
	}
	if o.Has(OptWScale) {
		b = append(b, kindNop, kindWScale, 3, s.WScale)
	}
	if n := min(int(s.NSACK), len(s.SACK)); o.Has(OptSACK) && n > 0 {
		b = append(b, kindNop, kindNop, kindSACK, byte(2+8*n))
		for _, k := range s.SACK[:n] {
			b = appendNum(b, k.Left)
			b = appendNum(b, k.Right)
		}
	}
	if o.Has(OptFastOpen) {
		b = append(b, kindFastOpen, 2)
	}
	if o.Has(OptMPTCP) {
		b = append(b, kindMPTCP, 2)
	}
	return b
}
