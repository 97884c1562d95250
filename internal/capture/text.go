package capture

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/pasted"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// textState is where the reading of a pasted text stands.
type textState struct {
	*pasted.Text
	packets, opaque, arp int // those handed out
	// gaps counts the numbers below s.frames that no packet of the text has.
	gaps uint64
	// merged are the frames of Text.Warnings in the merged numbering, 0 for none.
	merged []uint64
}

// mayBeText tells whether b, the beginning of a file, may be a text: also one
// in an encoding other than UTF-8, or in the UTF-16 of a Windows shell.
func mayBeText(b []byte) bool {
	if isText(b) || bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return true
	}
	odd := 0
	for _, c := range b {
		switch {
		case c >= utf8.RuneSelf:
			odd++
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b:
			return false
		}
	}
	return odd*4 < len(b)
}

// openText reads a text whole: it is as small as what a person pastes. A text
// without a packet is no capture.
func (s *source) openText() error {
	begun := bytes.Clone(s.buf[s.pos:s.end])
	t, err := pasted.Read(io.MultiReader(bytes.NewReader(begun), s.r))
	if s.device.err != nil {
		return s.readError(s.device.err)
	}
	if err != nil {
		s.broken = s.damage(err) // a decompressor's: what came before it is kept
	}
	if len(t.Packets)+len(t.Opaque) == 0 {
		return fmt.Errorf("%s: looks like text, and no line of it reads as a packet of tcpdump, tshark or Wireshark: "+
			"give the file that tcpdump -w or Wireshark wrote, or what they print", s.title())
	}
	s.text = &textState{Text: t, merged: make([]uint64, len(t.Warnings))}
	s.pos, s.end, s.eof = 0, 0, true
	return nil
}

// runText is run for a text.
func (s *source) runText(dst []segment.Segment, limit int64) (int, status) {
	t := s.text
	n := 0
	for {
		var ref *segment.Ref
		opaque := t.packets == len(t.Packets) ||
			t.opaque < len(t.Opaque) && t.Opaque[t.opaque].Frame < t.Packets[t.packets].Frame
		switch {
		case t.packets == len(t.Packets) && t.opaque == len(t.Opaque):
			s.textARP(math.MaxUint64)
			return n, s.stop()
		case opaque:
			ref = &t.Opaque[t.opaque].Ref
		default:
			ref = &t.Packets[t.packets].Ref
		}
		if ref.Time > limit {
			s.head = ref.Time
			return n, later
		}
		if !opaque && n == len(dst) {
			return n, full
		}
		if s.brimful() {
			return n, brimful
		}
		s.textARP(ref.Frame)
		t.gaps += ref.Frame - s.frames - 1
		s.frames = ref.Frame
		s.took(ref.Time)
		for i := range t.Warnings {
			if t.Warnings[i].Frame == s.frames {
				t.merged[i] = s.frames + s.delta
			}
		}
		if opaque {
			s.textNote(&t.Opaque[t.opaque])
			t.opaque++
			continue
		}
		seg := &dst[n]
		*seg = t.Packets[t.packets].Segment
		seg.Frame, seg.Source, seg.SourceFrame = s.frames+s.delta, uint16(s.index), s.frames
		seg.Raw.At = uint32(t.packets)
		t.packets++
		n++
	}
}

// Names returns the names that pasted texts have in place of addresses, by the
// address that stands for each in the segments.
func (r *Reader) Names() map[segment.Addr]string {
	names := map[segment.Addr]string{}
	for _, s := range r.sources {
		if s.text == nil {
			continue
		}
		for _, n := range s.text.Names {
			if n.Port == 0 {
				names[n.Addr] = n.Text
			}
		}
	}
	return names
}

// textARP notes what ARP asks and says before a frame.
func (s *source) textARP(before uint64) {
	t := s.text
	for ; t.arp < len(t.ARP) && t.ARP[t.arp].Frame < before; t.arp++ {
		a := &t.ARP[t.arp]
		if s.notes == nil {
			continue
		}
		n := segment.Note{Ref: a.Ref, Kind: segment.NoteIsAt, From: a.Addr, To: a.Addr, Addr: a.Addr}
		if a.Asker != (segment.Addr{}) {
			n.Kind, n.From = segment.NoteWhoHas, a.Asker
		}
		n.Frame, n.Source = a.Frame+s.delta, uint16(s.index)
		*s.notes = append(*s.notes, n)
	}
}

// textNote notes an ICMP error of which the text tells the ends.
func (s *source) textNote(o *pasted.Opaque) {
	e := &o.Error
	if s.notes == nil || !e.Known || e.Dst.Addr == (segment.Addr{}) {
		return
	}
	n := segment.Note{Ref: o.Ref, Kind: segment.NoteICMP, From: o.Src.Addr, To: o.Dst.Addr, Type: e.Type, Code: e.Code, MTU: e.MTU}
	n.Frame, n.Source, n.SourceFrame = s.frames+s.delta, uint16(s.index), s.frames
	n.Quoted.Src, n.Quoted.Dst = e.Src, e.Dst
	if e.Cause >= 0 {
		n.Quoted.Seq = s.text.Packets[e.Cause].Seq
	}
	if q := e.Quoted; q != nil {
		if e.Cause < 0 {
			n.Quoted.Seq = q.Seq
		}
		n.Quoted.HasFlags, n.Quoted.Flags, n.Quoted.Ack = true, q.Flags, q.Ack
		n.Quoted.TTL, n.Quoted.IPID, n.Quoted.DF, n.Quoted.IPLen = q.TTL, q.IPID, q.Wire.DF, q.Wire.IPLen
	}
	*s.notes = append(*s.notes, n)
}

// wire is Reader.Wire for a segment of a text.
func (t *textState) wire(seg *segment.Segment) segment.Wire {
	if int(seg.Raw.At) >= len(t.Packets) || t.Packets[seg.Raw.At].Seq != seg.Seq {
		return segment.Wire{}
	}
	return t.Packets[seg.Raw.At].Wire
}

// took notes the time of a packet.
func (s *source) took(t int64) {
	if t < s.prev {
		s.stepBack(t)
	}
	s.prev = t
}

// textWarnings are the doubts about a text.
func (s *source) textWarnings() []Warning {
	var all []Warning
	for i, w := range s.text.Warnings {
		all = append(all, Warning{w.Code, s.title() + " " + w.Says + ".", s.text.merged[i], s.index})
	}
	return all
}
