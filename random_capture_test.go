package tcpwhy

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// rawFrame is a frame as a file has it.
type rawFrame struct {
	at   int64 // nanoseconds since 1970
	data []byte
	wire uint32 // its length before it was cut
}

// rawCapture is a capture taken apart, to be spoilt and written again.
type rawCapture struct {
	link   uint32 // LINKTYPE_
	frames []rawFrame
}

const (
	pcapMicros = 0xa1b2c3d4
	pcapNanos  = 0xa1b23c4d
)

// readRaw takes a pcap file apart, as far as it is one.
func readRaw(b []byte) (rawCapture, bool) {
	var o binary.ByteOrder = binary.LittleEndian
	if len(b) < 24 {
		return rawCapture{}, false
	}
	if m := o.Uint32(b); m != pcapMicros && m != pcapNanos {
		o = binary.BigEndian
	}
	unit := int64(1)
	switch o.Uint32(b) {
	case pcapMicros:
		unit = 1000
	case pcapNanos:
	default:
		return rawCapture{}, false
	}
	c := rawCapture{link: o.Uint32(b[20:])}
	for b = b[24:]; len(b) >= 16; {
		n := int(o.Uint32(b[8:]))
		if n > len(b)-16 {
			break
		}
		c.frames = append(c.frames, rawFrame{int64(o.Uint32(b))*1e9 + int64(o.Uint32(b[4:]))*unit, b[16 : 16+n : 16+n], o.Uint32(b[12:])})
		b = b[16+n:]
	}
	return c, len(c.frames) > 0
}

// part returns a copy of some frames that follow each other, n at most.
func (c *rawCapture) part(r *rand.Rand, n int) rawCapture {
	from := 0
	if len(c.frames) > n && r.IntN(2) == 0 {
		from = r.IntN(len(c.frames) - n)
	}
	out := rawCapture{link: c.link, frames: slices.Clone(c.frames[from:min(len(c.frames), from+n)])}
	for i := range out.frames {
		out.frames[i].data = bytes.Clone(out.frames[i].data)
	}
	return out
}

// write makes a file of a capture, in any of the forms that files have.
func (c *rawCapture) write(r *rand.Rand) []byte {
	var o binary.AppendByteOrder = binary.LittleEndian
	if r.IntN(4) == 0 {
		o = binary.BigEndian
	}
	var b []byte
	if r.IntN(3) == 0 {
		b = (&ngWriter{o: o, r: r}).write(c)
	} else {
		b = c.pcap(r, o)
	}
	if r.IntN(64) == 0 {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		z.Write(b) // into memory: it cannot fail
		z.Close()
		b = out.Bytes()
	}
	return b
}

func (c *rawCapture) pcap(r *rand.Rand, o binary.AppendByteOrder) []byte {
	magic, unit := uint32(pcapMicros), int64(1000)
	if r.IntN(2) == 0 {
		magic, unit = pcapNanos, 1
	}
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(o.AppendUint16(b, 2), 4)
	b = o.AppendUint32(o.AppendUint32(append(b, make([]byte, 8)...), 65535), c.link)
	for _, f := range c.frames {
		b = o.AppendUint32(b, uint32(f.at/1e9))
		b = o.AppendUint32(b, uint32(f.at%1e9/unit))
		b = o.AppendUint32(o.AppendUint32(b, uint32(len(f.data))), f.wire)
		b = append(b, f.data...)
	}
	return b
}

// ngWriter writes pcapng, with blocks and options between the packets that may be there.
type ngWriter struct {
	o      binary.AppendByteOrder
	r      *rand.Rand
	out    []byte
	link   uint32
	ifaces []uint64 // of the section: ticks of a second
	// full: there are options, and blocks that are no packets; else packets alone.
	full bool
}

func (w *ngWriter) u32(b []byte, n ...uint32) []byte {
	for _, x := range n {
		b = w.o.AppendUint32(b, x)
	}
	return b
}

func (w *ngWriter) block(kind uint32, body []byte) {
	body = append(body, make([]byte, -len(body)&3)...)
	w.out = w.u32(w.out, kind, uint32(len(body)+12))
	w.out = w.u32(append(w.out, body...), uint32(len(body)+12))
}

func (w *ngWriter) option(b []byte, code uint16, v ...byte) []byte {
	b = append(w.o.AppendUint16(w.o.AppendUint16(b, code), uint16(len(v))), v...)
	return append(b, make([]byte, -len(v)&3)...)
}

func (w *ngWriter) section() {
	b := w.o.AppendUint16(w.u32(nil, 0x1a2b3c4d), 1)
	w.block(0x0a0d0d0a, append(w.o.AppendUint16(b, 0), 255, 255, 255, 255, 255, 255, 255, 255))
	w.ifaces = w.ifaces[:0]
}

// iface describes one more interface, with a resolution of its own.
func (w *ngWriter) iface() {
	b := w.u32(w.o.AppendUint16(w.o.AppendUint16(nil, uint16(w.link)), 0), uint32(w.r.IntN(2)*65535))
	ticks := uint64(1e6)
	if exp := w.r.IntN(14); exp < 12 {
		b = w.option(b, 9, byte(exp))
		ticks = 1
		for range exp {
			ticks *= 10
		}
	}
	w.block(1, b)
	w.ifaces = append(w.ifaces, ticks)
}

// beside writes what is no packet: another section or interface, statistics, names, a block
// that nobody knows.
func (w *ngWriter) beside() {
	switch w.r.IntN(6) {
	case 0:
		w.section()
		w.iface()
	case 1:
		w.iface()
	case 2:
		b := w.u32(nil, uint32(w.r.IntN(len(w.ifaces)+1)), 0, 0)
		b = w.option(b, 5, w.o.AppendUint64(nil, uint64(w.r.IntN(3)))...)
		w.block(5, b)
	case 3:
		v := []byte{10, 0, 0, byte(w.r.IntN(4)), 'a', '.', 'b', 0}
		w.block(4, w.u32(w.option(nil, 1, v...), 0))
	case 4:
		w.block(w.r.Uint32(), make([]byte, w.r.IntN(16)))
	}
}

// write writes all frames. Times that the ticks of an interface cannot say come out as others.
func (w *ngWriter) write(c *rawCapture) []byte {
	w.link, w.full = c.link, w.r.IntN(3) == 0
	w.section()
	w.iface()
	for _, f := range c.frames {
		if w.full && w.r.IntN(16) == 0 {
			w.beside()
		}
		id := w.r.IntN(len(w.ifaces))
		ticks := w.ifaces[id]
		t := uint64(f.at/1e9)*ticks + uint64(f.at%1e9)*(ticks/min(ticks, 1e6))/(1e9/min(ticks, 1e6))
		when := []uint32{uint32(t >> 32), uint32(t), uint32(len(f.data)), f.wire}
		kind := 2
		if w.full {
			kind = w.r.IntN(24)
		}
		switch kind {
		case 0:
			w.block(3, append(w.u32(nil, f.wire), f.data...))
		case 1:
			b := w.o.AppendUint16(w.o.AppendUint16(nil, uint16(id)), uint16(w.r.IntN(3)))
			w.block(2, append(w.u32(b, when...), f.data...))
		default:
			b := append(w.u32(nil, append([]uint32{uint32(id)}, when...)...), f.data...)
			b = append(b, make([]byte, -len(b)&3)...)
			option := 3
			if w.full {
				option = w.r.IntN(16)
			}
			switch option {
			case 0:
				b = w.option(b, 2, w.u32(nil, w.r.Uint32N(4))...) // which way
			case 1:
				b = w.option(b, 4, w.o.AppendUint64(nil, uint64(w.r.IntN(3)))...) // lost before it
			case 2:
				b = w.option(b, 1, []byte("seen here")...)
			}
			w.block(6, b)
		}
	}
	return w.out
}

// headers finds the IP and the TCP header of a frame; not ok where it has none, or one that is cut.
func (c *rawCapture) headers(i int) (ip, tcp []byte, ok bool) {
	b := c.frames[i].data
	var n int
	switch c.link {
	case 1:
		n = 14
		if len(b) > 18 && b[12] == 0x81 && b[13] == 0 {
			n = 18
		}
	case 113:
		n = 16
	case 276:
		n = 20
	case 0:
		n = 4
	}
	if len(b) < n+40 {
		return nil, nil, false
	}
	ip = b[n:]
	switch {
	case ip[0]>>4 == 4 && ip[9] == 6 && len(ip) >= int(ip[0]&15)*4+20:
		return ip, ip[int(ip[0]&15)*4:], ip[0]&15 >= 5
	case ip[0]>>4 == 6 && ip[6] == 6 && len(ip) >= 60:
		return ip, ip[40:], true
	}
	return nil, nil, false
}

// endsOf returns addresses and ports of a segment: eight or 32 bytes, and four.
func endsOf(ip, tcp []byte) (addresses, ports []byte) {
	if ip[0]>>4 == 4 {
		return ip[12:20], tcp[:4]
	}
	return ip[8:40], tcp[:4]
}

// turn exchanges source and destination.
func turn(ip, tcp []byte) {
	a, p := endsOf(ip, tcp)
	for _, b := range [][]byte{a, p} {
		h := len(b) / 2
		for i := range h {
			b[i], b[h+i] = b[h+i], b[i]
		}
	}
}

// lengthOf is the length of a segment that its IP header tells, TCP header and payload.
func lengthOf(ip, tcp []byte) int {
	if ip[0]>>4 == 4 {
		return int(binary.BigEndian.Uint16(ip[2:])) - (len(ip) - len(tcp))
	}
	return int(binary.BigEndian.Uint16(ip[4:]))
}

// setLength makes the IP header tell a length.
func setLength(ip, tcp []byte, n int) {
	if ip[0]>>4 == 4 {
		binary.BigEndian.PutUint16(ip[2:], uint16(n+len(ip)-len(tcp)))
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(n))
	}
}

// mend computes the checksums of all frames that are whole.
func (c *rawCapture) mend() {
	for i := range c.frames {
		ip, tcp, ok := c.headers(i)
		if !ok {
			continue
		}
		n := lengthOf(ip, tcp)
		if n < 20 || n > len(tcp) {
			continue
		}
		a, _ := endsOf(ip, tcp)
		tcp[16], tcp[17] = 0, 0
		binary.BigEndian.PutUint16(tcp[16:], ^sumOf(a, tcp[:n], []byte{0, 6, byte(n >> 8), byte(n)}))
		if ip[0]>>4 == 4 {
			ip[10], ip[11] = 0, 0
			binary.BigEndian.PutUint16(ip[10:], ^sumOf(ip[:len(ip)-len(tcp)]))
		}
	}
}

// sumOf is the sum of RFC 1071; all but the last part are of even length, or it is the last but one.
func sumOf(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for i := range b {
			s += uint32(b[i]) << (8 * (1 - i&1))
		}
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// sortByTime puts the frames into the order of their times.
func (c *rawCapture) sortByTime() {
	slices.SortStableFunc(c.frames, func(a, b rawFrame) int { return cmp.Compare(a.at, b.at) })
}
