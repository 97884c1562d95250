package capture

import (
	"encoding/binary"
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// record is a block that holds a packet, taken apart.
type record struct {
	iface   *iface
	id      uint32 // of the interface
	way     segment.Way
	time    int64
	data    []byte
	wire    uint32
	drops   uint64 // lost since the packet before, as an old packet block says it
	options []byte // nil where there are none
}

// record takes the body of a packet block apart without changing s. Of a block
// larger than the buffer, the body is its beginning.
func (s *source) record(b *record, kind uint32, body []byte, cut bool) (why string) {
	if kind == blockSimple {
		return s.simple(b, body, cut)
	}
	if len(body) < 20 {
		return "the next packet block is too short"
	}
	b.id = s.u32(body)
	if kind == blockOldPacket {
		b.id = uint32(s.u16(body))
		// All ones: the writer did not know.
		if d := s.u16(body[2:]); d != 0xffff {
			b.drops = uint64(d)
		}
	}
	if uint64(b.id) >= uint64(len(s.pcapng.ifaces)) {
		return fmt.Sprintf("the next packet is of interface %d, which was not described", b.id)
	}
	b.iface = &s.pcapng.ifaces[b.id]
	b.time = b.iface.clock.time(uint64(s.u32(body[4:]))<<32 | uint64(s.u32(body[8:])))
	kept := s.u32(body[12:])
	b.wire = s.u32(body[16:])
	return b.split(body[20:], kept, cut)
}

// simple takes a simple packet block apart, which has neither a time nor a
// captured length of its own.
func (s *source) simple(b *record, body []byte, cut bool) (why string) {
	if len(body) < 4 || len(s.pcapng.ifaces) == 0 {
		return "a simple packet block without an interface before it"
	}
	b.iface = &s.pcapng.ifaces[0]
	if s.prev != noTime {
		b.time = s.prev
	}
	b.wire = s.u32(body)
	kept := b.wire
	if b.iface.snap > 0 {
		kept = min(kept, b.iface.snap)
	}
	if !cut {
		kept = min(kept, uint32(len(body)-4))
	}
	return b.split(body[4:], kept, cut)
}

// split cuts rest into the packet and the options behind it.
func (b *record) split(rest []byte, kept uint32, cut bool) (why string) {
	if uint64(kept) > uint64(len(rest)) {
		if !cut || kept > maxRecord {
			return fmt.Sprintf("the next packet claims %d bytes, its block has %d", kept, len(rest))
		}
		b.data = rest
		return ""
	}
	b.data = rest[:kept]
	if o := uint64(kept+3) &^ 3; o < uint64(len(rest)) && !cut {
		b.options = rest[o:]
	}
	return ""
}

// remark takes what is special about the packet about to be taken: that it has
// no time, that others on its interface were lost before it, which way it went.
func (s *source) remark(b *record, kind uint32) {
	frame := s.frames + 1 + s.delta
	if kind == blockSimple {
		s.timeless.add(frame)
	}
	n := b.drops
	s.eachOption(b.options, func(code uint16, v []byte) {
		switch {
		case code == optionDropCount && len(v) == 8:
			n += s.u64(v)
		case code == optionFlags && len(v) == 4:
			b.way = [4]segment.Way{1: segment.WayIn, 2: segment.WayOut}[s.u32(v)&3]
			s.pcapng.way, s.pcapng.wayFrame = b.way, s.frames+1
		}
	})
	if n > 0 {
		b.iface.counted += n
		s.pcapng.dropped.add(frame)
		s.noteLoss()
	}
}

// section starts a section at the block h, whose byte order may be another; it
// may be called again for the same block.
func (s *source) section(h []byte) (why string) {
	switch binary.LittleEndian.Uint32(h[8:]) {
	case byteOrderMagic:
		s.swap = false
	case 0x4d3c2b1a:
		s.swap = true
	default:
		return "a section header has a wrong byte-order magic"
	}
	s.pcapng.drops = s.drops()
	s.pcapng.ifaces = s.pcapng.ifaces[:0]
	return ""
}

// drops is how many packets the file says the capture lost.
func (s *source) drops() uint64 {
	n := s.pcapng.drops
	for i := range s.pcapng.ifaces {
		n += s.pcapng.ifaces[i].drops()
	}
	return n
}

// block reads a block that holds no packet.
func (s *source) block(kind uint32, body []byte) (why string) {
	switch kind {
	case blockSection:
		if len(body) < 16 {
			return "a section header is too short"
		}
		if major := s.u16(body[4:]); major != 1 {
			return fmt.Sprintf("pcapng version %d.%d is not known", major, s.u16(body[6:]))
		}
	case blockInterface:
		return s.interfaceBlock(body)
	case blockStatistics:
		s.statisticsBlock(body)
	case blockJournal, blockEvent, blockEventV2, blockEventBig, blockCustom, blockCustomNC:
		s.frames++
		s.skipped[notPacket].add(s.frames + s.delta)
	}
	return ""
}

func (s *source) interfaceBlock(body []byte) (why string) {
	if len(body) < 8 {
		return "an interface block is too short"
	}
	if len(s.pcapng.ifaces) == maxInterfaces {
		return fmt.Sprintf("it describes more than %d interfaces", maxInterfaces)
	}
	link := uint32(s.u16(body))
	f := iface{link: linkKindOf(link), linkType: link, snap: s.u32(body[4:])}
	resolution, offset := uint8(6), int64(0)
	s.eachOption(body[8:], func(code uint16, v []byte) {
		switch {
		case code == optionResolution && len(v) == 1:
			resolution = v[0]
		case code == optionOffset && len(v) == 8:
			offset = int64(s.u64(v))
		}
	})
	if s.walk != nil {
		f.link = linkEach
	}
	f.clock = clockOf(resolution, offset)
	s.pcapng.ifaces = append(s.pcapng.ifaces, f)
	return ""
}

func (s *source) statisticsBlock(body []byte) {
	if len(body) < 12 || uint64(s.u32(body)) >= uint64(len(s.pcapng.ifaces)) {
		return
	}
	f := &s.pcapng.ifaces[s.u32(body)]
	s.eachOption(body[12:], func(code uint16, v []byte) {
		switch {
		case code == optionIfDrop && len(v) == 8:
			f.ifDrop = s.u64(v)
		case code == optionOSDrop && len(v) == 8:
			f.osDrop = s.u64(v)
		}
	})
	s.noteLoss()
}

// noteLoss remembers where the file first says that the capture lost packets.
func (s *source) noteLoss() {
	if s.lossFrame == 0 && s.drops() > 0 {
		s.lossFrame = s.frames + 1 + s.delta
	}
}

// eachOption calls do for the options in b up to the first that does not fit.
func (s *source) eachOption(b []byte, do func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, n := s.u16(b), int(s.u16(b[2:]))
		if code == optionEnd || n > len(b)-4 {
			return
		}
		do(code, b[4:4+n])
		b = b[min(len(b), 4+(n+3)&^3):]
	}
}

func (s *source) u64(b []byte) uint64 {
	if s.swap {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}
