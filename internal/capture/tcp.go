package capture

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

const (
	// nopNopTS is the four bytes with which nearly every segment's options begin.
	nopNopTS = optNop<<24 | optNop<<16 | optTimestamps<<8 | 10
	// startMSS, sackPermittedTS and nopWScale are the fixed bytes of those of Linux's SYN.
	startMSS        = optMSS<<8 | 4
	sackPermittedTS = optSACKPermitted<<24 | 2<<16 | optTimestamps<<8 | 10
	nopWScale       = optNop<<16 | optWScale<<8 | 3
)

// tcp reads a TCP header (RFC 9293 §3.1) from p, of which wire bytes were sent.
func (s *source) tcp(seg *segment.Segment, p []byte, wire uint32) reason {
	if len(p) < 20 {
		return cutOr(tcpMalformed, tcpCut, 20, wire)
	}
	off := uint32(p[12]>>4) * 4
	if off < 20 || off > wire {
		return tcpMalformed
	}
	setTCP(seg, (*[20]byte)(p))
	seg.Len = wire - off

	end := min(off, uint32(len(p)))
	setOptions(seg, p[20:end:end])
	if end < off {
		seg.Options |= segment.OptCut
		s.snapped.add(seg.Frame)
	}
	return 0
}

// setTCP takes the fields of a TCP header over that need no check.
func setTCP(seg *segment.Segment, h *[20]byte) {
	seg.Src.Port, seg.Dst.Port = binary.BigEndian.Uint16(h[:]), binary.BigEndian.Uint16(h[2:])
	seg.Seq, seg.Ack = seq.Of(binary.BigEndian.Uint32(h[4:])), seq.Of(binary.BigEndian.Uint32(h[8:]))
	seg.Flags = segment.Flags(binary.BigEndian.Uint16(h[12:]) & 0x1ff)
	seg.Window, seg.Urgent = binary.BigEndian.Uint16(h[14:]), binary.BigEndian.Uint16(h[18:])
}

// setOptions takes the options o, all that were captured. Nearly always they are what Linux writes
// (tcp_output.c tcp_options_write): the timestamps with their padding alone, or in a SYN
// the four that it offers. readOptions would read the same from these.
func setOptions(seg *segment.Segment, o []byte) {
	seg.RawOptions = o
	seg.Options, seg.NSACK, seg.WScale, seg.MSS = 0, 0, 0, 0
	if len(o) == 20 && binary.BigEndian.Uint16(o) == startMSS && binary.BigEndian.Uint32(o[4:]) == sackPermittedTS && binary.BigEndian.Uint32(o[16:])>>8 == nopWScale {
		seg.Options = segment.OptMSS | segment.OptSACKPermitted | segment.OptTimestamps | segment.OptWScale
		seg.MSS, seg.WScale = binary.BigEndian.Uint16(o[2:]), o[19]
		seg.TSVal, seg.TSEcr = seq.Of(binary.BigEndian.Uint32(o[8:])), seq.Of(binary.BigEndian.Uint32(o[12:]))
		return
	}
	seg.TSVal, seg.TSEcr = seq.Num{}, seq.Num{}
	readOptions(seg, o)
}

// readOptions reads what Linux would (net/ipv4/tcp_input.c tcp_parse_options):
// an option of a known kind with a wrong length is passed over, as one of an
// unknown kind; a length that leaves the header ends the reading.
func readOptions(seg *segment.Segment, o []byte) {
	for len(o) > 0 && o[0] != optEnd {
		if o[0] == optNop {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			seg.Options |= segment.OptCut
			return
		}
		n := int(o[1])
		seg.Options |= readOption(seg, o[:n])
		o = o[n:]
	}
}

// readOption reads the option o, kind and length included, and returns its bit.
func readOption(seg *segment.Segment, o []byte) segment.Options {
	switch kind := o[0]; {
	case kind == optMSS && len(o) == 4:
		seg.MSS = binary.BigEndian.Uint16(o[2:])
		return segment.OptMSS
	case kind == optWScale && len(o) == 3:
		seg.WScale = o[2]
		return segment.OptWScale
	case kind == optSACKPermitted && len(o) == 2:
		return segment.OptSACKPermitted
	case kind == optSACK && len(o) >= 10 && len(o)%8 == 2:
		readSACK(seg, o[2:])
		return segment.OptSACK
	case kind == optTimestamps && len(o) == 10:
		seg.TSVal = seq.Of(binary.BigEndian.Uint32(o[2:]))
		seg.TSEcr = seq.Of(binary.BigEndian.Uint32(o[6:]))
		return segment.OptTimestamps
	case kind == optFastOpen,
		kind == optExperiment && len(o) >= 4 && binary.BigEndian.Uint16(o[2:]) == fastOpenMagic:
		return segment.OptFastOpen
	case kind == optMPTCP:
		return segment.OptMPTCP
	case kind == optMD5 && len(o) == 18:
		return segment.OptMD5
	case kind == optAO && len(o) >= 4:
		return segment.OptAO
	}
	return segment.OptUnknown
}

// readSACK reads the blocks in b, whose length is a multiple of eight; a TCP
// header has room for four.
func readSACK(seg *segment.Segment, b []byte) {
	n := min(len(b)/8, len(seg.SACK))
	for i := range n {
		seg.SACK[i].Left = seq.Of(binary.BigEndian.Uint32(b[8*i:]))
		seg.SACK[i].Right = seq.Of(binary.BigEndian.Uint32(b[8*i+4:]))
	}
	seg.NSACK = uint8(n)
}
