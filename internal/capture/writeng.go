package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// NGWriter writes frames with comments as a pcapng file
// (draft-ietf-opsawg-pcapng), times in nanoseconds.
type NGWriter struct {
	w      io.Writer
	buf    []byte
	ifaces int
}

// NGPacket is a frame to be written.
type NGPacket struct {
	Interface uint32 // what NGWriter.Interface returned
	Time      int64  // nanoseconds since the Unix epoch; one before it is written as the epoch
	Way       segment.Way
	Wire      uint32 // the length on the wire in bytes, at least that of Data
	Data      []byte
	Comments  []string
}

// maxComment is the longest value of an option, in bytes.
const maxComment = 1<<16 - 1

// NewNGWriter begins the file: a section with a comment and the name of the program
// that writes it, either may be empty. Every block is one Write.
func NewNGWriter(w io.Writer, comment, program string) (*NGWriter, error) {
	n := &NGWriter{w: w}
	b := n.begin(blockSection)
	b = binary.LittleEndian.AppendUint32(b, byteOrderMagic)
	b = append(b, 1, 0, 0, 0)                        // version 1.0
	b = binary.LittleEndian.AppendUint64(b, 1<<64-1) // the length is not told
	b = appendText(b, optionComment, comment)
	b = appendText(b, optionProgram, program)
	return n, n.finish(b)
}

// Interface describes one more interface and returns its number.
func (n *NGWriter) Interface(linkType uint32, description string) (uint32, error) {
	if linkType > 1<<16-1 {
		return 0, fmt.Errorf("link type %d does not fit a pcapng file", linkType)
	}
	if n.ifaces == maxInterfaces {
		return 0, fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	b := n.begin(blockInterface)
	b = binary.LittleEndian.AppendUint32(b, linkType) // and two reserved bytes
	b = binary.LittleEndian.AppendUint32(b, 0)        // no snap length
	b = appendText(b, optionDescription, description)
	b = appendOption(b, optionResolution, []byte{9})
	n.ifaces++
	return uint32(n.ifaces - 1), n.finish(b)
}

// Packet writes a frame.
func (n *NGWriter) Packet(p *NGPacket) error {
	if uint64(p.Interface) >= uint64(n.ifaces) {
		return fmt.Errorf("interface %d was not described", p.Interface)
	}
	if len(p.Data) > maxRecord {
		return errors.New("the frame is larger than a record can be")
	}
	b := n.begin(blockPacket)
	t := uint64(max(p.Time, 0))
	b = binary.LittleEndian.AppendUint32(b, p.Interface)
	b = binary.LittleEndian.AppendUint32(b, uint32(t>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(t))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Data)))
	b = binary.LittleEndian.AppendUint32(b, max(p.Wire, uint32(len(p.Data))))
	b = pad4(append(b, p.Data...))
	for _, c := range p.Comments {
		b = appendText(b, optionComment, c)
	}
	switch p.Way {
	case segment.WayIn:
		b = appendOption(b, optionFlags, []byte{1, 0, 0, 0})
	case segment.WayOut:
		b = appendOption(b, optionFlags, []byte{2, 0, 0, 0})
	case segment.WayUnknown, segment.WayOther:
	}
	return n.finish(b)
}

// Drops says that the capture of an interface lost packets.
func (n *NGWriter) Drops(iface uint32, packets uint64) error {
	b := n.begin(blockStatistics)
	b = binary.LittleEndian.AppendUint32(b, iface)
	b = append(b, make([]byte, 8)...) // no time
	b = appendOption(b, optionIfDrop, binary.LittleEndian.AppendUint64(nil, packets))
	return n.finish(b)
}

func (n *NGWriter) begin(kind uint32) []byte {
	b := binary.LittleEndian.AppendUint32(n.buf[:0], kind)
	return append(b, 0, 0, 0, 0) // the length, see finish
}

// finish ends the options and writes the block with its length at both ends.
func (n *NGWriter) finish(b []byte) error {
	b = append(b, 0, 0, 0, 0) // optionEnd
	total := uint32(len(b) + 4)
	b = binary.LittleEndian.AppendUint32(b, total)
	binary.LittleEndian.PutUint32(b[4:], total)
	n.buf = b
	_, err := n.w.Write(b)
	return err
}

// appendText appends an option of UTF-8, shortened where it is too long; "" is none.
func appendText(b []byte, code uint16, s string) []byte {
	if s == "" {
		return b
	}
	s = strings.ToValidUTF8(s, "�")
	if len(s) > maxComment {
		s = strings.ToValidUTF8(s[:maxComment], "")
	}
	return appendOption(b, code, []byte(s))
}

func appendOption(b []byte, code uint16, v []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v)))
	return pad4(append(b, v...))
}

// pad4 fills up to a multiple of four: every block and its fixed part are one.
func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
