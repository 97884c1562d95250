package capture

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// This file builds captures and frames byte by byte, so that a test can say
// exactly what is wrong with one.

// join concatenates.
func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func be16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func be32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// tcpHeader is from port 1000 to 2000, seq 1, ack 2, ACK, window 3, with the
// options padded to a multiple of four.
func tcpHeader(options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, optEnd)
	}
	return join(be16(1000), be16(2000), be32(1), be32(2), []byte{byte(5+len(options)/4) << 4, 0x10}, be16(3), be16(0), be16(0), options)
}

// ip4 is an IPv4 packet from 10.0.0.1 to 10.0.0.2.
func ip4(proto byte, payload ...byte) []byte { return ip4Options(proto, nil, payload...) }

func ip4Options(proto byte, options []byte, payload ...byte) []byte {
	return join([]byte{0x40 | byte(5+len(options)/4), 0x28}, be16(20+len(options)+len(payload)), be16(777), be16(0x4000),
		[]byte{61, proto}, be16(0), []byte{10, 0, 0, 1, 10, 0, 0, 2}, options, payload)
}

// ip6 is an IPv6 packet from fd00::1 to fd00::2.
func ip6(next byte, payload ...byte) []byte {
	a := make([]byte, 32)
	a[0], a[15], a[16], a[31] = 0xfd, 1, 0xfd, 2
	return join([]byte{0x60, 0, 0, 0}, be16(len(payload)), []byte{next, 62}, a, payload)
}

// ether is an Ethernet frame.
func ether(etherType int, payload ...byte) []byte {
	return join(make([]byte, 12), be16(etherType), payload)
}

// setByte returns a copy of b with one byte changed.
func setByte(b []byte, i int, v byte) []byte {
	b = bytes.Clone(b)
	b[i] = v
	return b
}

// pcapSpec is a pcap file in the making.
type pcapSpec struct {
	order  binary.AppendByteOrder
	magic  uint32
	snap   uint32
	link   uint32
	record int // bytes of a record header
}

var usualPcap = pcapSpec{order: binary.LittleEndian, magic: magicMicros, snap: 65535, link: linkEthernet, record: 16}

func (p pcapSpec) header() []byte {
	b := p.order.AppendUint32(nil, p.magic)
	b = p.order.AppendUint16(b, 2)
	b = p.order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = p.order.AppendUint32(b, p.snap)
	return p.order.AppendUint32(b, p.link)
}

// rec is a record at sec and frac seconds; wire 0 means the length of data.
func (p pcapSpec) rec(sec, frac uint32, data []byte, wire int) []byte {
	if wire == 0 {
		wire = len(data)
	}
	b := p.order.AppendUint32(nil, sec)
	b = p.order.AppendUint32(b, frac)
	b = p.order.AppendUint32(b, uint32(len(data)))
	b = p.order.AppendUint32(b, uint32(wire))
	b = append(b, make([]byte, p.record-16)...)
	return append(b, data...)
}

// file is a pcap with one record a frame, a second apart.
func (p pcapSpec) file(frames ...[]byte) []byte {
	b := p.header()
	for i, f := range frames {
		b = append(b, p.rec(uint32(100+i), 5, f, 0)...)
	}
	return b
}

// ng builds pcapng blocks in one byte order.
type ng struct{ o binary.AppendByteOrder }

func (g ng) block(kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := g.o.AppendUint32(nil, kind)
	b = g.o.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return g.o.AppendUint32(b, uint32(len(body)+12))
}

func (g ng) section() []byte {
	b := g.o.AppendUint32(nil, byteOrderMagic)
	b = g.o.AppendUint16(b, 1)
	b = g.o.AppendUint16(b, 0)
	return g.block(blockSection, g.o.AppendUint64(b, 1<<64-1))
}

func (g ng) option(code uint16, v ...byte) []byte {
	b := g.o.AppendUint16(nil, code)
	b = append(g.o.AppendUint16(b, uint16(len(v))), v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (g ng) iface(link uint16, snap uint32, options ...[]byte) []byte {
	b := g.o.AppendUint16(nil, link)
	b = g.o.AppendUint16(b, 0)
	return g.block(blockInterface, append(g.o.AppendUint32(b, snap), join(options...)...))
}

func (g ng) packet(iface uint32, ticks uint64, data []byte, options ...[]byte) []byte {
	return g.block(blockPacket, g.packetBody(g.o.AppendUint32(nil, iface), ticks, data, options))
}

func (g ng) oldPacket(iface, drops uint16, ticks uint64, data []byte, options ...[]byte) []byte {
	b := g.o.AppendUint16(nil, iface)
	return g.block(blockOldPacket, g.packetBody(g.o.AppendUint16(b, drops), ticks, data, options))
}

func (g ng) packetBody(b []byte, ticks uint64, data []byte, options [][]byte) []byte {
	b = g.o.AppendUint32(b, uint32(ticks>>32))
	b = g.o.AppendUint32(b, uint32(ticks))
	b = g.o.AppendUint32(b, uint32(len(data)))
	b = append(g.o.AppendUint32(b, uint32(len(data))), data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return append(b, join(options...)...)
}

func (g ng) simple(wire int, data []byte) []byte {
	return g.block(blockSimple, append(g.o.AppendUint32(nil, uint32(wire)), data...))
}

func (g ng) statistics(iface uint32, options ...[]byte) []byte {
	b := g.o.AppendUint32(nil, iface)
	return g.block(blockStatistics, join(b, make([]byte, 8), join(options...)))
}

func (g ng) u64(n uint64) []byte { return g.o.AppendUint64(nil, n) }

var littleNG, bigNG = ng{binary.LittleEndian}, ng{binary.BigEndian}

// decodeOne decodes one frame of a link type and returns the segment and the
// code of the reason why there is none.
func decodeOne(t testing.TB, link uint32, frame []byte, wire int) (segment.Segment, string, *source) {
	t.Helper()
	s := &source{notes: new([]segment.Note)}
	seg := garbage()
	why := ""
	if !s.packet(&seg, linkKindOf(link), seg.Interface, seg.Time, frame[:len(frame):len(frame)], uint32(wire)) {
		r := slices.IndexFunc(s.skipped[:], func(t tally) bool { return t.n > 0 })
		why = reasons[r].code
	}
	// What says where it was seen is not the frame's.
	seg.Ref, seg.Raw = garbage().Ref, garbage().Raw
	return seg, why, s
}
