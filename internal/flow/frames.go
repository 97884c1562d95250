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

// packedFrame is a kept frame in 48 bytes.
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
	mss               uint16
	wscale            uint8 // above frameWScale and frameSACK: see pack
	doubt             uint8 // segment.Doubt without IPUnsaid, FlagsUnsaid in its place
}

// Bits above segment.Flags in packedFrame.flags.
const (
	frameListener = 1 << (15 - iota) // sent by the listener
	frameTS
	frameOptions
	frameCut
	frameFlags = 1<<12 - 1
)

// Bits above the shift in packedFrame.wscale.
const (
	frameWScale = 1 << (7 - iota)
	frameSACK
	frameFastOpen
	frameRebuilt
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
	} else if x.frames.count < headFrames {
		p = t.frameSlot(&x.frames, nil)
	} else if y := t.rareOf(x); y != nil {
		p = t.frameSlot(&x.frames, &y.ring)
	}
	if p == nil {
		t.leftOut()
		return
	}
	p.pack(s, e)
	x.frames.count++
}

// frameSlot returns the place for the next frame of a list, which is not in its extra;
// nil where memory is short. The ring is needed from headFrames on.
func (t *Table) frameSlot(l *frameList, ring *[tailFrames / blockFrames]uint32) *packedFrame {
	i := l.count
	if i < headFrames {
		if i%blockFrames == 0 {
			n, b := take(t, &t.blocks, needRecord)
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
	i = (i - headFrames) % tailFrames
	at := &ring[i/blockFrames]
	if *at == 0 {
		n, b := take(t, &t.blocks, needRecord)
		if b == nil {
			return nil
		}
		*at = n
	}
	return &t.blocks.at(*at).f[i%blockFrames]
}

// dropFrames forgets the frames of a connection.
func (t *Table) dropFrames(x *extra) {
	var none [tailFrames / blockFrames]uint32
	ring := &none
	if x.rare != 0 {
		y := t.rares.at(x.rare)
		ring = &y.ring
		t.dropList(&y.troubles, &y.troubleRing)
		t.dropWaits(&y.waits)
	}
	t.dropList(&x.frames, ring)
}

func (t *Table) dropList(l *frameList, ring *[tailFrames / blockFrames]uint32) {
	for n := l.head; n != 0; {
		next := t.blocks.at(n).next
		t.blocks.release(n)
		n = next
	}
	*l = frameList{}
	for i, n := range ring {
		if n != 0 {
			t.blocks.release(n)
			ring[i] = 0
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
	if s.Options.Has(segment.OptCut) {
		fl |= frameCut
	}
	p.timeHigh, p.timeLow = uint32(s.Time>>32), uint32(s.Time)
	p.frame, p.sourceFrame, p.source = uint32(s.Frame), uint32(s.SourceFrame), s.Source
	p.seq, p.ack, p.window, p.ipid, p.flags = s.Seq, s.Ack, s.Window, s.IPID, fl
	p.mss, p.wscale, p.doubt = 0, 0, uint8(s.Doubt)&^uint8(segment.IPUnsaid)
	if s.Doubt.Has(segment.FlagsUnsaid) {
		p.doubt |= uint8(segment.IPUnsaid)
	}
	if s.Flags&segment.SYN != 0 {
		if s.Options.Has(segment.OptMSS) {
			p.mss = s.MSS
		}
		if s.Options.Has(segment.OptWScale) {
			p.wscale = frameWScale | s.WScale&15
		}
		if s.Options.Has(segment.OptSACKPermitted) {
			p.wscale |= frameSACK
		}
	}
	if s.Options.Has(segment.OptFastOpen) {
		p.wscale |= frameFastOpen
	}
	p.lenTTL = min(s.Len, 1<<24-1)<<8 | uint32(s.TTL)
}

// appendFrames unpacks the frames of a connection.
func (t *Table) appendFrames(to []Frame, x *extra) []Frame {
	var none [tailFrames / blockFrames]uint32
	ring := &none
	if x.rare != 0 {
		ring = &t.rares.at(x.rare).ring
	}
	return t.appendList(to, &x.frames, x.first[:], ring)
}

// appendList unpacks a list of frames. first holds its first ones; nil where
// those too lie in blocks.
func (t *Table) appendList(to []Frame, l *frameList, first []packedFrame, ring *[tailFrames / blockFrames]uint32) []Frame {
	at, count := len(to), l.count
	kept := int(min(count, headFrames+tailFrames))
	if kept == 0 {
		return to
	}
	to = slices.Grow(to, kept)[:at+kept]
	left := min(kept, headFrames)
	f, next := first, l.head
	if f == nil {
		b := t.blocks.at(next)
		f, next = b.f[:], b.next
	}
	for left > 0 {
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
	for i := count - headFrames - uint32(kept-headFrames); at < len(to); i++ {
		j := i % tailFrames
		t.unpackFrame(&to[at], &t.blocks.at(ring[j/blockFrames]).f[j%blockFrames])
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
	f.Doubt = segment.Doubt(p.doubt &^ uint8(segment.IPUnsaid))
	if p.doubt&uint8(segment.IPUnsaid) != 0 {
		f.Doubt |= segment.FlagsUnsaid
	}
	f.MSS, f.WScale, f.HasWScale = p.mss, p.wscale&15, p.wscale&frameWScale != 0
	f.OptionsCut = p.flags&frameCut != 0
	f.Rebuilt = p.wscale&frameRebuilt != 0
	f.SACKPermitted, f.FastOpen = p.wscale&frameSACK != 0, p.wscale&frameFastOpen != 0
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
