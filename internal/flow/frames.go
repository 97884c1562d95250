package flow

import (
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Of the frames that a connection keeps, the first headFrames and the last
// tailFrames stay.
const (
	headFrames  = 40
	tailFrames  = 8
	blockFrames = 4
)

// packedFrame is a kept frame in 44 bytes.
type packedFrame struct {
	timeHigh, timeLow uint32
	frame             uint32
	sourceFrame       uint32
	seq, ack          seq.Num
	lenTTL            uint32 // payload length, at most 2^24-1, above 8 bits of TTL
	tsVal, tsEcr      seq.Num
	window            uint16
	source            uint16
	ipid              uint16
	flags             uint16 // segment.Flags, with the bits below
}

// Bits above segment.Flags in packedFrame.flags.
const (
	frameListener = 1 << (15 - iota) // sent by the listener
	frameTS
	frameOptions
	frameFlags = 1<<13 - 1
)

// frameBlock is a link of a list of kept frames.
type frameBlock struct {
	f    [blockFrames]packedFrame
	next uint32
}

// frameList is the list of frames that a connection keeps: those in its extra,
// then blocks in a row for the rest of the first headFrames, then a ring of two
// blocks, named in its rare, for the last ones.
type frameList struct {
	head, tail uint32
	count      uint32 // all frames, those left out among them
}

// keepFrame appends a frame to those that r keeps. Where memory is short it is left out.
func (t *Table) keepFrame(r *record, s *segment.Segment, e Side) {
	if t.linesOnly {
		return
	}
	x := t.extraOf(r)
	if x == nil {
		return
	}
	var p *packedFrame
	if x.frames.count < blockFrames {
		p = &x.first[x.frames.count]
	} else if p = t.frameSlot(x); p == nil {
		return
	}
	p.pack(s, e)
	x.frames.count++
}

// frameSlot returns the place for the next frame, which is not among the first.
func (t *Table) frameSlot(x *extra) *packedFrame {
	l := &x.frames
	i := l.count
	if i < headFrames {
		if i%blockFrames == 0 {
			n, b := t.blocks.alloc()
			if b == nil {
				return nil
			}
			if l.head == 0 {
				l.head = n
			} else {
				t.blocks.at(l.tail).next = n
			}
			l.tail = n
		}
		return &t.blocks.at(l.tail).f[i%blockFrames]
	}
	y := t.rareOf(x)
	if y == nil {
		return nil
	}
	i = (i - headFrames) % tailFrames
	at := &y.ring[i/blockFrames]
	if *at == 0 {
		n, b := t.blocks.alloc()
		if b == nil {
			return nil
		}
		*at = n
	}
	return &t.blocks.at(*at).f[i%blockFrames]
}

// dropFrames forgets the frames of a connection.
func (t *Table) dropFrames(x *extra) {
	for n := x.frames.head; n != 0; {
		next := t.blocks.at(n).next
		t.blocks.release(n)
		n = next
	}
	x.frames = frameList{}
	if x.rare == 0 {
		return
	}
	y := t.rares.at(x.rare)
	for i, n := range y.ring {
		if n != 0 {
			t.blocks.release(n)
			y.ring[i] = 0
		}
	}
}

func (p *packedFrame) pack(s *segment.Segment, e Side) {
	fl := uint16(s.Flags) & frameFlags
	if e == Listener {
		fl |= frameListener
	}
	p.tsVal, p.tsEcr = seq.Num{}, seq.Num{}
	if s.HasTS() {
		fl |= frameTS
		p.tsVal, p.tsEcr = s.TSVal, s.TSEcr
	}
	if s.Options != 0 || len(s.RawOptions) > 0 {
		fl |= frameOptions
	}
	p.timeHigh, p.timeLow = uint32(s.Time>>32), uint32(s.Time)
	p.frame, p.sourceFrame, p.source = uint32(s.Frame), uint32(s.SourceFrame), s.Source
	p.seq, p.ack, p.window, p.ipid, p.flags = s.Seq, s.Ack, s.Window, s.IPID, fl
	p.lenTTL = min(s.Len, 1<<24-1)<<8 | uint32(s.TTL)
}

// appendFrames unpacks the frames of a connection.
func (t *Table) appendFrames(to []Frame, x *extra) []Frame {
	at, count := len(to), x.frames.count
	kept := int(min(count, headFrames+tailFrames))
	to = slices.Grow(to, kept)[:at+kept]
	left := min(kept, headFrames)
	for f, next := x.first[:], x.frames.head; left > 0; {
		for i := range f[:min(blockFrames, left)] {
			t.unpackFrame(&to[at], &f[i])
			at++
		}
		if left -= blockFrames; left > 0 {
			b := t.blocks.at(next)
			f, next = b.f[:], b.next
		}
	}
	if count <= headFrames {
		return to
	}
	y := t.rares.at(x.rare)
	for i := count - headFrames - uint32(kept-headFrames); at < len(to); i++ {
		j := i % tailFrames
		t.unpackFrame(&to[at], &t.blocks.at(y.ring[j/blockFrames]).f[j%blockFrames])
		at++
	}
	return to
}

func (t *Table) unpackFrame(f *Frame, p *packedFrame) {
	f.Frame, f.Time, f.Source = t.widen(p.frame), int64(p.timeHigh)<<32|int64(p.timeLow), p.source
	// A file's own frame number is at most the merged one.
	f.SourceFrame = widenTo(f.Frame, p.sourceFrame)
	f.From = Opener
	if p.flags&frameListener != 0 {
		f.From = Listener
	}
	f.Seq, f.Ack, f.Flags = p.seq, p.ack, segment.Flags(p.flags&frameFlags)
	f.Window, f.Len = p.window, p.lenTTL>>8
	f.HasTS, f.TSVal, f.TSEcr = p.flags&frameTS != 0, p.tsVal, p.tsEcr
	f.TTL, f.IPID, f.HasOptions = uint8(p.lenTTL), p.ipid, p.flags&frameOptions != 0
}

// widen restores a frame number that was cut to 32 bits: the highest one with
// those bits that is not beyond the current frame.
func (t *Table) widen(n uint32) uint64 { return widenTo(t.frame, n) }

func widenTo(current uint64, n uint32) uint64 {
	back := uint64(uint32(current) - n)
	if back > current {
		return uint64(n)
	}
	return current - back
}
