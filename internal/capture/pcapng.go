package capture

import (
	"encoding/binary"
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// pcapngState is what the blocks so far say about those to come.
type pcapngState struct {
	ifaces []iface // of the current section
	drops  uint64  // packets dropped, of the sections before
	// dropped are the packets that say that others were lost before them.
	dropped tally
	// way is what frame wayFrame says of its direction; of other frames nothing is kept.
	way      segment.Way
	wayFrame uint64
}

// iface is an interface of the current section.
type iface struct {
	link     linkKind
	linkType uint32
	snap     uint32 // 0: no limit
	clock    clock
	// counted are the drops that the packets on it told of; ifDrop and osDrop
	// are the last values of its statistics blocks.
	counted, ifDrop, osDrop uint64
}

// drops takes the packets' word and the statistics' for two views of the same.
func (f *iface) drops() uint64 { return max(f.counted, f.ifDrop+f.osDrop) }

// maxInterfaces bounds the memory that a file can take with interface blocks.
const maxInterfaces = 1 << 16

// openPcapng reads the first section header, whose block type was seen.
func (s *source) openPcapng() error {
	s.ng = true
	if err := s.need(28); err != nil {
		return err
	}
	if s.end < 28 {
		return fmt.Errorf("%s: the section header is cut off after %d of 28 bytes: copy or capture it again", s.title(), s.end)
	}
	if binary.LittleEndian.Uint32(s.buf[8:]) != byteOrderMagic && binary.BigEndian.Uint32(s.buf[8:]) != byteOrderMagic {
		return fmt.Errorf("%s: it begins like a pcapng file, but its byte-order magic is wrong: copy or capture it again", s.title())
	}
	return nil
}

// runPcapng is run for pcapng.
func (s *source) runPcapng(dst []segment.Segment, limit int64) (n int, st status) {
	buf := s.buf[:s.end]
	for {
		k, stop := s.runBare(dst[n:], limit)
		if n += k; stop {
			return n, brimful
		}
		h := buf[s.pos:]
		if len(h) < 12 {
			return n, s.outOfBytes()
		}
		kind := s.u32(h)
		if kind == blockSection {
			if why := s.section(h); why != "" {
				return n, s.breakOff(why)
			}
		}
		total := s.u32(h[4:])
		if total < 12 || total > maxRecord {
			return n, s.breakOff(fmt.Sprintf("the next block claims %d bytes", total))
		}
		// Some writers leave the padding out of the length.
		size, rest := int(total+3)&^3, 0
		if size > len(h) {
			if len(h) < len(s.buf) {
				return n, s.outOfBytes()
			}
			size, rest = len(h), size-len(h)
		} else if s.u32(h[size-4:]) != total {
			return n, s.breakOff("the two lengths of the next block differ")
		}
		body := h[8:max(8, size-4)]
		if rest > 0 {
			body = h[8:size]
		}
		if kind == blockPacket || kind == blockSimple || kind == blockOldPacket {
			var b record
			if why := s.record(&b, kind, body, rest > 0); why != "" {
				return n, s.breakOff(why)
			}
			if b.time > limit {
				s.head = b.time
				return n, later
			}
			if n == len(dst) {
				return n, full
			}
			if b.options != nil || kind != blockPacket {
				s.remark(&b, kind)
			}
			if s.packet(&dst[n], b.iface.link, b.id, b.time, b.data, b.wire) {
				if b.way != 0 {
					dst[n].Way = b.way
				}
				n++
			} else if s.unused(b.iface) {
				s.pos += size
				s.discard = uint64(rest)
				return n, brimful
			}
		} else if why := s.block(kind, body); why != "" {
			return n, s.breakOff(why)
		}
		s.pos += size
		s.discard = uint64(rest)
	}
}

// bareBlock is what an enhanced packet block has beside the packet, and nothing else.
const bareBlock = 32

// runBare takes packets for as long as their blocks are what nearly every one is: an enhanced
// packet block without options, whole, in little-endian. It stops before any other, before a
// packet later than limit and where dst is full; stop tells that the Read has to end for its
// notes. It halves the instructions that a block takes.
func (s *source) runBare(dst []segment.Segment, limit int64) (n int, stop bool) {
	if s.swap {
		return 0, false
	}
	ifaces := s.pcapng.ifaces
	h := s.buf[s.pos:s.end]
	for len(h) >= bareBlock && n < len(dst) {
		b := (*[bareBlock]byte)(h)
		total, id, kept := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[20:])
		if binary.LittleEndian.Uint32(b[:]) != blockPacket || uint64(total) != (uint64(kept)+3)&^3+bareBlock || uint64(total) > uint64(len(h)) ||
			uint64(id) >= uint64(len(ifaces)) || binary.LittleEndian.Uint32(h[total-4:]) != total {
			break
		}
		f := &ifaces[id]
		t := f.clock.time(uint64(binary.LittleEndian.Uint32(b[12:]))<<32 | uint64(binary.LittleEndian.Uint32(b[16:])))
		if t > limit {
			break
		}
		p := h[28 : 28+kept]
		h = h[total:]
		if s.packet(&dst[n], f.link, id, t, p, binary.LittleEndian.Uint32(b[24:])) {
			n++
		} else if s.unused(f) {
			s.stopAt(h, brimful)
			return n, true
		}
	}
	s.stopAt(h, full)
	return n, false
}

// unused is called for a packet on f that gave no segment, and tells whether the
// Read has to end for its notes.
func (s *source) unused(f *iface) bool {
	if f.link == linkOther && s.skipped[linkUnsupported].n == 1 {
		s.badLink = f.linkType
	}
	return s.brimful()
}
