package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// pcapState is what the header of a pcap file says about its records.
type pcapState struct {
	header   int   // bytes of a record's header
	tick     int64 // nanoseconds in the unit of the fraction
	link     linkKind
	linkType uint32
	longest  uint32 // a captured length above it shows a broken file
}

const pcapHeader = 24

// recordHeader is what the header of a record has at least.
const recordHeader = 16

// pcapMagic tells whether b starts with the magic number of a pcap file, in
// which byte order, and what it means for the records.
func pcapMagic(b []byte) (swap bool, header int, tick int64, ok bool) {
	m := binary.LittleEndian.Uint32(b)
	for range 2 {
		switch m {
		case magicMicros:
			return swap, 16, 1000, true
		case magicNanos:
			return swap, 16, 1, true
		case magicModified:
			return swap, 24, 1000, true
		}
		m, swap = bits.ReverseBytes32(m), true
	}
	return false, 0, 0, false
}

// openPcap reads the file header, whose magic number was seen.
func (s *source) openPcap() error {
	if err := s.need(pcapHeader); err != nil {
		return err
	}
	if s.end < pcapHeader {
		return fmt.Errorf("%s: the file header is cut off after %d of %d bytes: copy or capture it again", s.title(), s.end, pcapHeader)
	}
	h := s.buf[:pcapHeader]
	s.swap, s.pcap.header, s.pcap.tick, _ = pcapMagic(h)
	if major := s.u16(h[4:]); major != 2 {
		return fmt.Errorf("%s: pcap version %d.%d is not known, only 2.x is: convert it with editcap, or capture it again", s.title(), major, s.u16(h[6:]))
	}
	s.pcap.longest = maxRecord
	if snap := s.u32(h[16:]); snap > 0 && snap < maxRecord/4 {
		// Some writers state a snap length that they do not keep, but never by far.
		s.pcap.longest = max(4*snap, 1<<20)
	}
	// The upper half holds the length of the frame check sequence.
	link := s.u32(h[20:]) & 0xffff
	s.pcap.linkType = link
	if s.pcap.link = linkKindOf(link); s.pcap.link == linkOther {
		s.badLink = link
	}
	s.pos = pcapHeader
	return nil
}

func (s *source) u16(b []byte) uint16 {
	if s.swap {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (s *source) u32(b []byte) uint32 {
	if s.swap {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// runPcap is run for pcap.
func (s *source) runPcap(dst []segment.Segment, limit int64) (n int, st status) {
	h := s.buf[s.pos:s.end]
	for len(h) >= recordHeader {
		if n == len(dst) {
			return n, s.stopAt(h, full)
		}
		r := (*[recordHeader]byte)(h)
		sec, frac := binary.LittleEndian.Uint32(r[:]), binary.LittleEndian.Uint32(r[4:])
		kept, wire := binary.LittleEndian.Uint32(r[8:]), binary.LittleEndian.Uint32(r[12:])
		if s.swap {
			sec, frac = bits.ReverseBytes32(sec), bits.ReverseBytes32(frac)
			kept, wire = bits.ReverseBytes32(kept), bits.ReverseBytes32(wire)
		}
		if kept > s.pcap.longest {
			return n, s.breakOff(fmt.Sprintf("the next record claims %d bytes", kept))
		}
		size := s.pcap.header + int(kept)
		if size > len(h) {
			if len(h) < len(s.buf) {
				break
			}
			s.discard, size = uint64(size-len(h)), len(h) // and then nothing is left in the buffer
		}
		t := int64(sec)*1e9 + int64(frac)*s.pcap.tick
		if t > limit {
			s.head, s.discard = t, 0
			return n, s.stopAt(h, later)
		}
		p := h[s.pcap.header:size]
		h = h[size:]
		if s.packet(&dst[n], s.pcap.link, 0, t, p, wire) {
			n++
		} else if s.brimful() {
			return n, s.stopAt(h, brimful)
		}
	}
	s.stopAt(h, starved)
	return n, s.outOfBytes()
}

// stopAt notes that h is what is left of the buffer, and returns st.
func (s *source) stopAt(h []byte, st status) status {
	s.pos = s.end - len(h)
	return st
}
