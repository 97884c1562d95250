package segment

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// packetdrill's notation for a packet, without its time and direction:
//
//	FLAGS SEQ:END(LEN) [ack ACK] win WINDOW [urg POINTER] [<OPTION,…>]
//
// Numbers are absolute and decimal. What packetdrill has no word for is written
// so that nothing is lost: "ao HEX", "mptcp HEX", "opt-kind KIND len LEN HEX" for
// an option of another kind (or of a wrong length), "unknown" for one whose
// bytes are gone, "cut HEX" where the options could not be read to their end,
// and "padding HEX" for bytes after the end of the list that are not zero.

// AppendPacketdrill appends s in packetdrill's notation to b and returns the
// extended slice. Options are printed from RawOptions where there are any, and
// otherwise from the fields in the order in which Linux would write them. An
// acknowledgement number without the ACK flag is printed only if it is not 0.
func AppendPacketdrill(b []byte, s *Segment) []byte {
	b = append(b, s.Flags.String()...)
	b = append(b, ' ')
	b = appendDecimal(b, s.Seq.Uint32())
	b = append(b, ':')
	b = appendDecimal(b, s.Seq.Add(s.Len).Uint32())
	b = append(b, '(')
	b = appendDecimal(b, s.Len)
	b = append(b, ')')
	if s.Flags.Has(ACK) || s.Ack != (seq.Num{}) {
		b = append(b, " ack "...)
		b = appendDecimal(b, s.Ack.Uint32())
	}
	b = append(b, " win "...)
	b = appendDecimal(b, uint32(s.Window))
	if s.Urgent != 0 {
		b = append(b, " urg "...)
		b = appendDecimal(b, uint32(s.Urgent))
	}
	return appendOptionList(b, s)
}

func appendDecimal(b []byte, n uint32) []byte { return strconv.AppendUint(b, uint64(n), 10) }

// appendOptionList appends " <…>", or nothing where s has no options.
func appendOptionList(b []byte, s *Segment) []byte {
	raw := s.RawOptions
	if len(raw) == 0 {
		var room [2 * maxOptions]byte
		raw = appendOptionBytes(room[:0], s)
	}
	var shown Segment
	readOptions(&shown, raw)
	// What is there, or may be there, without bytes that show it.
	unshown := s.Options &^ shown.Options
	start := len(b)
	b = append(b, " <"...)
	empty := len(b)
	if unshown.Has(OptUnknown) {
		b = append(b, "unknown,"...)
	}
	for len(raw) > 0 {
		opt, rest, ok := nextOption(raw)
		switch {
		case !ok:
			b = appendHex(append(b, "cut"...), raw)
			rest = nil
		case opt[0] == kindEnd:
			b = appendEnd(b, rest)
			rest = nil
		case opt[0] == kindNop:
			b = append(b, "nop"...)
		default:
			b = appendOption(b, opt)
		}
		b = append(b, ',')
		raw = rest
	}
	if unshown.Has(OptCut) {
		b = append(b, "cut,"...)
	}
	if len(b) == empty {
		return b[:start]
	}
	b[len(b)-1] = '>'
	return b
}

// appendOption appends one option that adds up.
func appendOption(b, opt []byte) []byte {
	switch optionOf(opt) {
	case OptMSS:
		b = append(b, "mss "...)
		return appendDecimal(b, uint32(opt[2])<<8|uint32(opt[3]))
	case OptWScale:
		b = append(b, "wscale "...)
		return appendDecimal(b, uint32(opt[2]))
	case OptSACKPermitted:
		return append(b, "sackOK"...)
	case OptSACK:
		b = append(b, "sack"...)
		for k := opt[2:]; len(k) > 0; k = k[8:] {
			b = appendDecimal(append(b, ' '), num(k).Uint32())
			b = appendDecimal(append(b, ':'), num(k[4:]).Uint32())
		}
		return b
	case OptTimestamps:
		b = appendDecimal(append(b, "TS val "...), num(opt[2:]).Uint32())
		return appendDecimal(append(b, " ecr "...), num(opt[6:]).Uint32())
	case OptFastOpen:
		if opt[0] == kindExperiment {
			return appendHex(append(b, "FOEXP"...), opt[4:])
		}
		return appendHex(append(b, "FO"...), opt[2:])
	case OptMD5:
		return appendHex(append(b, "md5"...), opt[2:])
	case OptAO:
		return appendHex(append(b, "ao"...), opt[2:])
	case OptMPTCP:
		return appendHex(append(b, "mptcp"...), opt[2:])
	}
	b = appendDecimal(append(b, "opt-kind "...), uint32(opt[0]))
	b = appendDecimal(append(b, " len "...), uint32(len(opt)))
	return appendHex(b, opt[2:])
}

// appendEnd appends the end of the option list and the bytes behind it.
func appendEnd(b, rest []byte) []byte {
	b = append(b, "eol"...)
	for _, c := range rest {
		if c != kindEnd {
			return appendHex(append(b, ",padding"...), rest)
		}
	}
	for range rest {
		b = append(b, ",eol"...)
	}
	return b
}

// appendHex appends a space and the bytes in hexadecimal, or nothing if there are none.
func appendHex(b, data []byte) []byte {
	if len(data) == 0 {
		return b
	}
	return hex.AppendEncode(append(b, ' '), data)
}

// ParsePacketdrill reads one packet in packetdrill's notation with absolute
// numbers, as AppendPacketdrill writes it. A missing "win" is 0. The segment has
// no place, time or addresses; RawOptions are its own memory, in the order of
// the text and without padding. Errors say the column, counted in bytes from 1.
func ParsePacketdrill(text string) (Segment, error) {
	p := parser{text: text}
	var s Segment
	p.flags(&s)
	p.numbers(&s)
	if p.keyword("ack") {
		s.Ack = p.num()
	} else if s.Flags.Has(ACK) {
		p.fail(p.pos, errors.New("flag . needs an acknowledgement: ack NUMBER"))
	}
	if p.keyword("win") {
		s.Window = uint16(p.limited("window", 1<<16-1))
	}
	if p.keyword("urg") {
		s.Urgent = uint16(p.limited("urgent pointer", 1<<16-1))
	}
	if p.char('<') {
		p.options(&s)
	}
	p.space()
	if p.pos < len(text) {
		p.fail(p.pos, fmt.Errorf("%s is not expected here: the order is flags seq:end(len) ack win urg <options>", p.shown()))
	}
	if p.err != nil {
		return Segment{}, p.err
	}
	return s, nil
}

func (p *parser) flags(s *Segment) {
	p.space()
	start := p.pos
	w := p.word()
	switch w {
	case "":
		p.fail(start, fmt.Errorf("want the flags (S F R P U E W A . or - for none), got %s", p.shown()))
		return
	case "-":
		return
	}
	for i := range len(w) {
		f, ok := flagOf(w[i])
		if !ok {
			p.fail(start+i, fmt.Errorf("%q in flags %s is none of . S F R P U E W A", w[i], quoted(w)))
			return
		}
		if s.Flags.Has(f) {
			p.fail(start+i, fmt.Errorf("flag %c stands twice in %s", w[i], quoted(w)))
			return
		}
		s.Flags |= f
	}
}

func flagOf(c byte) (Flags, bool) {
	switch c {
	case 'S':
		return SYN, true
	case 'F':
		return FIN, true
	case 'R':
		return RST, true
	case 'P':
		return PSH, true
	case 'U':
		return URG, true
	case 'E':
		return ECE, true
	case 'W':
		return CWR, true
	case 'A':
		return AE, true
	case '.':
		return ACK, true
	}
	return 0, false
}

// numbers takes seq:end(len).
func (p *parser) numbers(s *Segment) {
	s.Seq = p.num()
	p.want(':')
	p.space()
	at := p.pos
	end := p.num()
	p.want('(')
	s.Len = p.num().Uint32()
	p.want(')')
	if want := s.Seq.Add(s.Len); p.err == nil && end != want {
		p.fail(at, fmt.Errorf("end %v does not fit: %v plus %d bytes is %v", end, s.Seq, s.Len, want))
	}
}

// options takes the options behind "<" up to ">" and sets the fields they hold.
func (p *parser) options(s *Segment) {
	var raw []byte
	var extra Options
	open := p.pos - 1
	for p.err == nil {
		p.space()
		at := p.pos
		w := p.word()
		switch {
		case w == "":
			p.fail(at, fmt.Errorf("want an option, got %s", p.shown()))
		case extra.Has(OptCut):
			p.fail(at, fmt.Errorf("%s after cut: nothing can follow where the options break off", quoted(w)))
		case endOfList(raw) && w != "eol" && w != "padding" && w != "unknown" && w != "cut":
			p.fail(at, fmt.Errorf("%s after eol: only eol and padding can follow the end of the list", quoted(w)))
		case w == "unknown":
			extra |= OptUnknown
		case w == "cut":
			extra |= OptCut
			raw = append(raw, p.hex()...)
		default:
			raw = p.option(raw, at, w)
		}
		if !p.char(',') {
			break
		}
	}
	p.want('>')
	if len(raw) > maxOptions {
		p.fail(open, fmt.Errorf("the options take %d bytes: a header has room for %d", len(raw), maxOptions))
	}
	if p.err != nil {
		return
	}
	readOptions(s, raw)
	s.Options |= extra
	s.RawOptions = raw
}

// endOfList tells whether the options in raw have come to their end.
func endOfList(raw []byte) bool {
	for len(raw) > 0 {
		if raw[0] == kindEnd {
			return true
		}
		_, rest, ok := nextOption(raw)
		if !ok {
			return false
		}
		raw = rest
	}
	return false
}

// option appends the option named w, which stands at position at, to raw.
func (p *parser) option(raw []byte, at int, w string) []byte {
	switch w {
	case "nop":
		return append(raw, kindNop)
	case "eol":
		return append(raw, kindEnd)
	case "padding":
		if !endOfList(raw) {
			p.fail(at, errors.New("padding without an eol before it"))
		}
		return append(raw, p.hex()...)
	case "mss":
		n := p.limited("mss", 1<<16-1)
		return append(raw, kindMSS, 4, byte(n>>8), byte(n))
	case "wscale":
		return append(raw, kindWScale, 3, byte(p.limited("wscale", 1<<8-1)))
	case "sackOK":
		return append(raw, kindSACKPermitted, 2)
	case "sack":
		return p.sack(raw, at)
	case "TS":
		return p.timestamps(raw)
	case "FO":
		return p.hexOption(raw, kindFastOpen, nil)
	case "FOEXP":
		return p.hexOption(raw, kindExperiment, []byte{fastOpenMagic >> 8, fastOpenMagic & 0xff})
	case "md5":
		return p.hexOption(raw, kindMD5, nil)
	case "ao":
		return p.hexOption(raw, kindAO, nil)
	case "mptcp":
		return p.hexOption(raw, kindMPTCP, nil)
	case "opt-kind":
		return p.otherOption(raw)
	}
	p.fail(at, fmt.Errorf("%s is not an option: want mss, wscale, sackOK, sack, TS, nop, eol, FO, FOEXP, md5, ao, mptcp or opt-kind", quoted(w)))
	return raw
}

func (p *parser) timestamps(raw []byte) []byte {
	raw = append(raw, kindTimestamps, 10)
	for _, w := range [...]string{"val", "ecr"} {
		if p.err == nil && !p.keyword(w) {
			p.fail(p.pos, fmt.Errorf("want TS val NUMBER ecr NUMBER, got %s", p.shown()))
		}
		raw = appendNum(raw, p.num())
	}
	return raw
}

// sack takes the blocks of a SACK option.
func (p *parser) sack(raw []byte, at int) []byte {
	head := len(raw)
	raw = append(raw, kindSACK, 0)
	n := 0
	for p.err == nil {
		if p.space(); p.pos >= len(p.text) || p.text[p.pos] < '0' || p.text[p.pos] > '9' {
			break
		}
		raw = appendNum(raw, p.num())
		p.want(':')
		raw = appendNum(raw, p.num())
		n++
	}
	if most := len(Segment{}.SACK); n == 0 || n > most {
		p.fail(at, fmt.Errorf("sack with %d blocks: 1 to %d fit", n, most))
		return raw
	}
	raw[head+1] = byte(2 + 8*n)
	return raw
}

// hexOption takes an option of the given kind whose content, after prefix, is in
// hexadecimal.
func (p *parser) hexOption(raw []byte, kind byte, prefix []byte) []byte {
	data := p.hex()
	raw = append(raw, kind, byte(2+len(prefix)+len(data)))
	raw = append(raw, prefix...)
	return append(raw, data...)
}

// hex takes bytes in hexadecimal, none if a comma or the end of the options
// comes next. More than options have room for is an error, so that a length
// always fits its byte.
func (p *parser) hex() []byte {
	p.space()
	at := p.pos
	w := p.word()
	data, err := hex.DecodeString(w)
	switch {
	case err != nil:
		p.fail(at, fmt.Errorf("%s is not a row of bytes in hexadecimal", quoted(w)))
		return nil
	case len(data) > maxOptions:
		p.fail(at, fmt.Errorf("%d bytes of one option: all options together have room for %d", len(data), maxOptions))
		return nil
	}
	return data
}

// otherOption takes "KIND len LEN HEX" behind "opt-kind"; LEN counts the two
// bytes of kind and length, as in the header.
func (p *parser) otherOption(raw []byte) []byte {
	p.space()
	at := p.pos
	kind := p.limited("kind", 1<<8-1)
	if kind == kindEnd || kind == kindNop {
		p.fail(at, fmt.Errorf("kind %d has no length: write eol or nop", kind))
	}
	if p.err == nil && !p.keyword("len") {
		p.fail(p.pos, fmt.Errorf("want opt-kind KIND len LEN HEX, got %s", p.shown()))
	}
	p.space()
	at = p.pos
	n := p.limited("len", maxOptions)
	data := p.hex()
	if p.err == nil && int(n) != 2+len(data) {
		p.fail(at, fmt.Errorf("len %d does not fit: kind, length and %d bytes make %d", n, len(data), 2+len(data)))
	}
	raw = append(raw, byte(kind), byte(n))
	return append(raw, data...)
}
