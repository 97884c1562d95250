package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Writer writes segments as a nanosecond pcap file with Ethernet frames whose
// lengths and checksums are right, so that other tools read it without
// complaint. It is meant for tests and tools: the payload is made up.
type Writer struct {
	w       io.Writer
	buf     []byte
	written uint64
}

const (
	writeSnapLen = 262144
	maxOptions   = 40 // data offset 15 less the fixed header
)

// NewWriter writes the file header to w and returns a Writer on it. Every
// segment is one Write; wrap w in a bufio.Writer where that matters.
func NewWriter(w io.Writer) (*Writer, error) {
	h := binary.LittleEndian.AppendUint32(nil, magicNanos)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = append(h, make([]byte, 8)...) // zone and accuracy, always zero
	h = binary.LittleEndian.AppendUint32(h, writeSnapLen)
	h = binary.LittleEndian.AppendUint32(h, uint32(linkEthernet))
	if _, err := w.Write(h); err != nil {
		return nil, fmt.Errorf("capture header: %w", err)
	}
	return &Writer{w: w}, nil
}

// WriteSegment writes s as one frame: Ethernet (with an 802.1Q tag if VLAN is
// set), IPv4 or IPv6, TCP, and Len bytes of 'x'. Options are laid out as Linux
// does (net/ipv4/tcp_output.c tcp_options_write). Those for which Segment has
// no fields (fast open, MPTCP, MD5, AO, unknown) are copied from RawOptions
// and left out where it is nil. A TTL of 0 becomes 64. Frame, Source,
// SourceFrame, Interface and OptCut are not written, nor is IPID with IPv6.
// An error names the frame, counted from 1; nothing of it is written unless
// the underlying Write failed.
func (w *Writer) WriteSegment(s *segment.Segment) error {
	if err := w.build(s); err != nil {
		return fmt.Errorf("frame %d: %w", w.written+1, err)
	}
	if _, err := w.w.Write(w.buf); err != nil {
		return fmt.Errorf("frame %d: %w", w.written+1, err)
	}
	w.written++
	return nil
}

// build puts the record of s into w.buf.
func (w *Writer) build(s *segment.Segment) error {
	if s.Time < 0 || s.Time/1e9 > 1<<32-1 {
		return fmt.Errorf("time %d ns does not fit a pcap record (1970 to 2106)", s.Time)
	}
	if s.Src.Addr.Is4() != s.Dst.Addr.Is4() {
		return fmt.Errorf("%v and %v are not of one family", s.Src, s.Dst)
	}
	if s.VLAN > 4095 {
		return fmt.Errorf("vlan %d is over 4095", s.VLAN)
	}
	b := append(w.buf[:0], make([]byte, 16)...) // the record header, set below
	b = appendEthernet(b, s)
	ip := len(b)
	is4 := s.Src.Addr.Is4()
	if is4 {
		b = append(b, make([]byte, 20)...)
	} else {
		b = append(b, make([]byte, 40)...)
	}
	tcp := len(b)
	b, err := appendTCP(b, s)
	if err != nil {
		return err
	}
	n := uint64(len(b)-tcp) + uint64(s.Len)
	if (is4 && n+20 > 65535) || n > 65535 {
		return fmt.Errorf("payload of %d bytes does not fit an ip packet", s.Len)
	}
	for range s.Len {
		b = append(b, 'x')
	}
	var pseudo uint64
	if is4 {
		putIPv4(b[ip:], s)
		pseudo = sum16(b[ip+12 : ip+20])
	} else {
		putIPv6(b[ip:], s)
		pseudo = sum16(b[ip+8 : ip+40])
	}
	pseudo += protoTCP + n
	binary.BigEndian.PutUint16(b[tcp+16:], ^fold16(pseudo+sum16(b[tcp:])))

	binary.LittleEndian.PutUint32(b[0:], uint32(s.Time/1e9))
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Time%1e9))
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)-16))
	binary.LittleEndian.PutUint32(b[12:], uint32(len(b)-16))
	w.buf = b
	return nil
}

// appendEthernet makes locally administered addresses of the low IP bytes, so
// that each host keeps one.
func appendEthernet(b []byte, s *segment.Segment) []byte {
	b = binary.BigEndian.AppendUint32(append(b, 2, 0), uint32(s.Dst.Addr.Lo))
	b = binary.BigEndian.AppendUint32(append(b, 2, 0), uint32(s.Src.Addr.Lo))
	if s.VLAN != 0 {
		b = binary.BigEndian.AppendUint16(b, etherVLAN)
		b = binary.BigEndian.AppendUint16(b, s.VLAN)
	}
	if s.Src.Addr.Is4() {
		return binary.BigEndian.AppendUint16(b, etherIPv4)
	}
	return binary.BigEndian.AppendUint16(b, etherIPv6)
}

// putIPv4 fills the header of the packet b, whose length is the packet's.
func putIPv4(b []byte, s *segment.Segment) {
	b[0], b[1] = 0x45, s.TOS
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], s.IPID)
	b[6] = 0x40 // don't fragment, as Linux does for TCP
	b[8], b[9] = ttlOrDefault(s.TTL), protoTCP
	binary.BigEndian.PutUint32(b[12:], uint32(s.Src.Addr.Lo))
	binary.BigEndian.PutUint32(b[16:], uint32(s.Dst.Addr.Lo))
	binary.BigEndian.PutUint16(b[10:], ^fold16(sum16(b[:20])))
}

// putIPv6 fills the header of the packet b, whose length is the packet's.
func putIPv6(b []byte, s *segment.Segment) {
	b[0], b[1] = 0x60|s.TOS>>4, s.TOS<<4
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	b[6], b[7] = protoTCP, ttlOrDefault(s.TTL)
	binary.BigEndian.PutUint64(b[8:], s.Src.Addr.Hi)
	binary.BigEndian.PutUint64(b[16:], s.Src.Addr.Lo)
	binary.BigEndian.PutUint64(b[24:], s.Dst.Addr.Hi)
	binary.BigEndian.PutUint64(b[32:], s.Dst.Addr.Lo)
}

func ttlOrDefault(ttl uint8) uint8 {
	if ttl == 0 {
		return 64
	}
	return ttl
}

// appendTCP appends the TCP header with its options; the checksum stays zero.
func appendTCP(b []byte, s *segment.Segment) ([]byte, error) {
	h := len(b)
	b = binary.BigEndian.AppendUint16(b, s.Src.Port)
	b = binary.BigEndian.AppendUint16(b, s.Dst.Port)
	b = binary.BigEndian.AppendUint32(b, s.Seq.Uint32())
	b = binary.BigEndian.AppendUint32(b, s.Ack.Uint32())
	b = append(b, byte(s.Flags>>8)&1, byte(s.Flags))
	b = binary.BigEndian.AppendUint16(b, s.Window)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, s.Urgent)
	b, err := appendOptions(b, s)
	if err != nil {
		return nil, err
	}
	for (len(b)-h)%4 != 0 {
		b = append(b, optEnd)
	}
	if len(b)-h > 20+maxOptions {
		return nil, fmt.Errorf("options take %d bytes, a tcp header holds %d", len(b)-h-20, maxOptions)
	}
	b[h+12] |= byte((len(b)-h)/4) << 4
	return b, nil
}

// appendOptions writes the options in the order and with the padding of
// tcp_options_write.
func appendOptions(b []byte, s *segment.Segment) ([]byte, error) {
	o := s.Options
	if o.Has(segment.OptMSS) {
		b = append(b, optMSS, 4, byte(s.MSS>>8), byte(s.MSS))
	}
	if o.Has(segment.OptTimestamps) {
		if o.Has(segment.OptSACKPermitted) {
			b = append(b, optSACKPermitted, 2)
		} else {
			b = append(b, optNop, optNop)
		}
		b = append(b, optTimestamps, 10)
		b = binary.BigEndian.AppendUint32(b, s.TSVal.Uint32())
		b = binary.BigEndian.AppendUint32(b, s.TSEcr.Uint32())
	} else if o.Has(segment.OptSACKPermitted) {
		b = append(b, optNop, optNop, optSACKPermitted, 2)
	}
	if o.Has(segment.OptWScale) {
		b = append(b, optNop, optWScale, 3, s.WScale)
	}
	if o.Has(segment.OptSACK) {
		n := int(s.NSACK)
		if n == 0 || n > len(s.SACK) {
			return nil, fmt.Errorf("%d sack blocks, want 1 to %d", n, len(s.SACK))
		}
		b = append(b, optNop, optNop, optSACK, byte(2+8*n))
		for _, k := range s.SACK[:n] {
			b = binary.BigEndian.AppendUint32(b, k.Left.Uint32())
			b = binary.BigEndian.AppendUint32(b, k.Right.Uint32())
		}
	}
	return appendRaw(b, s.RawOptions)
}

// appendRaw copies those options that Segment has no fields for.
func appendRaw(b, raw []byte) ([]byte, error) {
	for len(raw) > 0 && raw[0] != optEnd {
		if raw[0] == optNop {
			raw = raw[1:]
			continue
		}
		if len(raw) < 2 || raw[1] < 2 || int(raw[1]) > len(raw) {
			return nil, errors.New("raw options do not add up")
		}
		n := int(raw[1])
		switch raw[0] {
		case optMSS, optWScale, optSACKPermitted, optSACK, optTimestamps:
		default:
			b = append(b, raw[:n]...)
		}
		raw = raw[n:]
	}
	return b, nil
}

// sum16 adds the big-endian 16-bit words of b (RFC 1071); an odd last byte
// counts as the upper half of a word.
func sum16(b []byte) (sum uint64) {
	for len(b) >= 2 {
		sum += uint64(b[0])<<8 | uint64(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

func fold16(sum uint64) uint16 {
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
