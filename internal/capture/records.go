package capture

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Record is a packet of a capture as it stands there, whatever it holds.
type Record struct {
	segment.Ref
	// Interface is the pcapng interface within its section, 0 in pcap.
	Interface uint32
	// LinkType is the LINKTYPE_ value.
	LinkType uint32
	// Way is what a pcapng file says of the packet's direction.
	Way segment.Way
	// Wire is the length on the wire in bytes, at least that of Data.
	Wire uint32
	// Data are the captured bytes, valid until the next record. Of a packet larger than
	// the buffer of its source (64 KiB at least) it is the beginning.
	Data []byte
}

// Leftover is what a walk knows beside the records.
type Leftover struct {
	// Frames counts the records that were passed, those without a packet included.
	Frames uint64
	// Drops is how many packets each source says that its capture lost.
	Drops []uint64
}

// ErrNoFrames: what was read holds no frames to hand out, or cannot be read again.
var ErrNoFrames = errors.New("has no frames to copy")

// Rereadable tells whether the records of captures can be walked after the captures
// were read: a stream is gone then, and a text has none. The error says what to do.
func Rereadable(paths []string) error {
	for _, p := range paths {
		if p == "-" {
			return fmt.Errorf("standard input: %w: a stream is read only once; save it first (tcpdump -w FILE), and name the file", ErrNoFrames)
		}
		if st, err := os.Stat(p); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
			return fmt.Errorf("%s: %w: a pipe is read only once; save it to a file first, and name that", p, ErrNoFrames)
		}
	}
	r, err := Open(paths, Options{})
	if err != nil {
		return err
	}
	defer r.Close() // read only
	return r.framed()
}

// framed is the error for a text among the sources.
func (r *Reader) framed() error {
	for _, s := range r.sources {
		if s.text != nil {
			return fmt.Errorf("%s: %w: it is the text of packets, not a capture", s.title(), ErrNoFrames)
		}
	}
	return nil
}

// Records calls do for every packet of the captures, merged and numbered as Reader
// does. io.EOF from do ends the walk; any other error ends it and is returned.
func Records(paths []string, do func(*Record) error) (Leftover, error) {
	r, err := Open(paths, Options{})
	if err != nil {
		return Leftover{}, err
	}
	defer r.Close() // read only
	if err := r.framed(); err != nil {
		return Leftover{}, err
	}
	w := &walk{do: do}
	for _, s := range r.sources {
		s.walk, s.notes, s.pcap.link = w, nil, linkEach
	}
	for err == nil && w.err == nil {
		_, err = r.Read(make([]segment.Segment, 1))
	}
	left := Leftover{Frames: r.frames}
	for _, s := range r.sources {
		left.Drops = append(left.Drops, s.drops())
	}
	if w.err != nil {
		err = w.err
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return left, err
}

// walk takes records in place of segments.
type walk struct {
	do  func(*Record) error
	rec Record
	err error // what do returned; nothing is handed out behind it
}

// each hands out the record that seg stands for. It is reached through the link type,
// which costs the reading of segments nothing.
func (s *source) each(seg *segment.Segment, p []byte, wire uint32) reason {
	w := s.walk
	if w.err != nil {
		return linkUnsupported
	}
	w.rec = Record{Ref: seg.Ref, Interface: seg.Interface, LinkType: s.pcap.linkType, Wire: wire, Data: p}
	if s.ng {
		w.rec.LinkType = s.pcapng.ifaces[seg.Interface].linkType
		if s.pcapng.wayFrame == s.frames {
			w.rec.Way = s.pcapng.way
		}
	}
	w.err = w.do(&w.rec)
	return linkUnsupported
}
