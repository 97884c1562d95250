package tcpwhy

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"
)

// spoiling is a way to make another capture of one, that has at least one frame.
type spoiling func(c *rawCapture, r *rand.Rand)

// spoilings change the frames of a capture: which there are, when, and what they say.
func spoilings() []spoiling {
	return []spoiling{
		dropSome, doubleOne, moveOne, cutSome, lie, shiftTail, shiftOne, stopClock, turnBack, absurdTime,
		otherFlags, otherNumber, otherNumber, renumber, otherWindow, otherOptions, otherStamp, otherEnds, otherLength, otherIP,
		reply, reply, openAgain, openAgain, repeat, quote,
	}
}

// any returns the place of a frame that is a segment, with its headers.
func (c *rawCapture) any(r *rand.Rand) (i int, ip, tcp []byte, ok bool) {
	for range 4 {
		i = r.IntN(len(c.frames))
		if ip, tcp, ok = c.headers(i); ok {
			return i, ip, tcp, true
		}
	}
	return 0, nil, nil, false
}

// copyOf returns a copy of a frame that shares nothing with it.
func (f rawFrame) copyOf() rawFrame {
	f.data = bytes.Clone(f.data)
	return f
}

func dropSome(c *rawCapture, r *rand.Rand) {
	for range 1 + r.IntN(3) {
		if n := len(c.frames); n > 1 {
			i := r.IntN(n)
			c.frames = slices.Delete(c.frames, i, i+1)
		}
	}
}

func doubleOne(c *rawCapture, r *rand.Rand) {
	i := r.IntN(len(c.frames))
	f := c.frames[i].copyOf()
	f.at += r.Int64N(2) * r.Int64N(1e6)
	c.frames = slices.Insert(c.frames, min(len(c.frames), i+1+r.IntN(3)), f)
}

func moveOne(c *rawCapture, r *rand.Rand) {
	i, j := r.IntN(len(c.frames)), r.IntN(len(c.frames))
	f := c.frames[i]
	if r.IntN(2) == 0 {
		f.at, c.frames[j].at = c.frames[j].at, f.at
	}
	c.frames = slices.Insert(slices.Delete(c.frames, i, i+1), j, f)
}

// cutSome cuts frames as a snap length does, one or all from some place on.
func cutSome(c *rawCapture, r *rand.Rand) {
	from := r.IntN(len(c.frames))
	to := len(c.frames)
	if r.IntN(2) == 0 {
		to = from + 1
	}
	snap := 20 + r.IntN(90)
	for i := from; i < to; i++ {
		c.frames[i].data = c.frames[i].data[:min(snap, len(c.frames[i].data))]
	}
}

// lie changes what the record says of the frame's length.
func lie(c *rawCapture, r *rand.Rand) {
	f := &c.frames[r.IntN(len(c.frames))]
	f.wire = []uint32{0, uint32(len(f.data)) - 1, uint32(len(f.data)) + 100, r.Uint32()}[r.IntN(4)]
}

// pauses are steps of time that mean something to TCP.
var pauses = [...]time.Duration{
	1, time.Microsecond, time.Millisecond, 40 * time.Millisecond, 200 * time.Millisecond, 499 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 59 * time.Second, 60 * time.Second, 61 * time.Second, 64 * time.Second,
	120 * time.Second, 241 * time.Second, 2 * time.Hour, 25 * 24 * time.Hour,
}

func someTime(r *rand.Rand) int64 {
	d := int64(pauses[r.IntN(len(pauses))])
	if r.IntN(2) == 0 {
		d += r.Int64N(d/2 + 1)
	}
	return d
}

func shiftTail(c *rawCapture, r *rand.Rand) {
	d := someTime(r)
	if r.IntN(5) == 0 {
		d = -d
	}
	for i := r.IntN(len(c.frames)); i < len(c.frames); i++ {
		c.frames[i].at = max(0, c.frames[i].at+d)
	}
}

func shiftOne(c *rawCapture, r *rand.Rand) {
	f := &c.frames[r.IntN(len(c.frames))]
	f.at = max(0, f.at+someTime(r)*int64(1-2*r.IntN(2)))
}

// stopClock gives some frames that follow each other one time.
func stopClock(c *rawCapture, r *rand.Rand) {
	i := r.IntN(len(c.frames))
	for j := i; j < len(c.frames) && j < i+8; j++ {
		c.frames[j].at = c.frames[i].at
	}
}

// turnBack turns the order of some frames round, with their times or without.
func turnBack(c *rawCapture, r *rand.Rand) {
	i := r.IntN(len(c.frames))
	part := c.frames[i:min(len(c.frames), i+2+r.IntN(8))]
	slices.Reverse(part)
	if r.IntN(2) == 0 {
		for a, b := 0, len(part)-1; a < b; a, b = a+1, b-1 {
			part[a].at, part[b].at = part[b].at, part[a].at
		}
	}
}

func absurdTime(c *rawCapture, r *rand.Rand) {
	c.frames[r.IntN(len(c.frames))].at = []int64{0, 1, 1<<32*1e9 - 1, r.Int64N(1 << 32 * 1e9)}[r.IntN(4)]
}

const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

func otherFlags(c *rawCapture, r *rand.Rand) {
	if _, _, tcp, ok := c.any(r); ok {
		if r.IntN(2) == 0 {
			tcp[13] ^= 1 << r.IntN(8)
			return
		}
		tcp[13] = []byte{flagSYN, flagSYN | flagACK, flagACK, flagFIN | flagACK, flagRST, flagRST | flagACK, flagSYN | flagFIN, 0, byte(r.Uint32())}[r.IntN(9)]
	}
}

// number returns a sequence number near one of another frame, or any.
func (c *rawCapture) number(r *rand.Rand) uint32 {
	_, ip, tcp, ok := c.any(r)
	if !ok || r.IntN(8) == 0 {
		return []uint32{0, 1 << 31, 1<<32 - 1, r.Uint32()}[r.IntN(4)]
	}
	n := binary.BigEndian.Uint32(tcp[4+4*r.IntN(2):])
	switch r.IntN(6) {
	case 0:
		n += uint32(lengthOf(ip, tcp))
	case 4: // the edge of a window
		n = binary.BigEndian.Uint32(tcp[8:]) + uint32(binary.BigEndian.Uint16(tcp[14:]))<<(7*r.IntN(2)) + r.Uint32N(3) - 1
	case 1:
		n += r.Uint32N(5) - 2
	case 2:
		n += 1 << r.IntN(32)
	case 3:
		n -= 1 << r.IntN(32)
	}
	return n
}

func otherNumber(c *rawCapture, r *rand.Rand) {
	n := c.number(r)
	if _, _, tcp, ok := c.any(r); ok {
		binary.BigEndian.PutUint32(tcp[4+4*r.IntN(2):], n)
	}
}

// renumber moves the numbers of one direction by a constant from some frame on: so that they
// wrap, or begin anew.
func renumber(c *rawCapture, r *rand.Rand) {
	i, ip, tcp, ok := c.any(r)
	if !ok {
		return
	}
	d := r.Uint32()
	if r.IntN(2) == 0 {
		d = -binary.BigEndian.Uint32(tcp[4:]) - r.Uint32N(40)
	}
	a, p := endsOf(ip, tcp)
	from := slices.Concat(a, p)
	for ; i < len(c.frames); i++ {
		ip, tcp, ok := c.headers(i)
		if !ok {
			continue
		}
		a, p := endsOf(ip, tcp)
		if bytes.Equal(slices.Concat(a, p), from) {
			binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+d)
		} else if tcp[13]&flagACK != 0 {
			binary.BigEndian.PutUint32(tcp[8:], binary.BigEndian.Uint32(tcp[8:])+d)
		}
	}
}

func otherWindow(c *rawCapture, r *rand.Rand) {
	if _, _, tcp, ok := c.any(r); ok {
		binary.BigEndian.PutUint16(tcp[14:], []uint16{0, 0, 1, 65535, uint16(r.Uint32())}[r.IntN(5)])
	}
}

// otherOptions overwrites a byte of the options, ends them, or changes how long they are.
func otherOptions(c *rawCapture, r *rand.Rand) {
	_, _, tcp, ok := c.any(r)
	if !ok {
		return
	}
	options := tcp[20:min(len(tcp), max(20, int(tcp[12]>>4)*4))]
	switch {
	case r.IntN(4) == 0 || len(options) == 0:
		tcp[12] = byte(r.Uint32())
	case r.IntN(3) == 0:
		options[0] = 0
	case r.IntN(2) == 0:
		for i := range options {
			options[i] = 1
		}
	default:
		options[r.IntN(len(options))] = byte(r.Uint32N(40))
	}
}

// otherStamp changes TSval or TSecr.
func otherStamp(c *rawCapture, r *rand.Rand) {
	_, _, tcp, ok := c.any(r)
	if !ok {
		return
	}
	for i := 20; i+10 <= min(len(tcp), int(tcp[12]>>4)*4); i++ {
		if tcp[i] == 8 && tcp[i+1] == 10 {
			at := tcp[i+2+4*r.IntN(2):]
			n := binary.BigEndian.Uint32(at)
			binary.BigEndian.PutUint32(at, []uint32{0, n - 1, n - 1<<r.IntN(31), n + 1<<r.IntN(31), r.Uint32()}[r.IntN(5)])
			return
		}
	}
}

// otherEnds turns a segment round, or lets it come from elsewhere or go elsewhere, one or all such.
func otherEnds(c *rawCapture, r *rand.Rand) {
	i, ip, tcp, ok := c.any(r)
	if !ok {
		return
	}
	if r.IntN(3) == 0 {
		turn(ip, tcp)
		return
	}
	a, p := endsOf(ip, tcp)
	old := slices.Concat(a, p)
	if r.IntN(2) == 0 {
		p[1+2*r.IntN(2)] ^= byte(r.IntN(4))
	} else {
		a[r.IntN(len(a))] ^= byte(r.IntN(4))
	}
	now := slices.Concat(a, p)
	if r.IntN(2) == 0 {
		return
	}
	for i++; i < len(c.frames); i++ {
		if ip, tcp, ok := c.headers(i); ok {
			if a, p := endsOf(ip, tcp); bytes.Equal(slices.Concat(a, p), old) {
				copy(a, now)
				copy(p, now[len(a):])
			}
		}
	}
}

// otherLength changes how much payload a segment has, with it in the file or not.
func otherLength(c *rawCapture, r *rand.Rand) {
	i, ip, tcp, ok := c.any(r)
	if !ok {
		return
	}
	n := int(tcp[12]>>4)*4 + []int{0, 1, 2, 536, 1448, r.IntN(9000)}[r.IntN(6)]
	setLength(ip, tcp, n)
	f := &c.frames[i]
	f.wire = uint32(len(f.data) - len(tcp) + n)
	if n <= len(tcp) {
		f.data = f.data[:f.wire]
	} else if r.IntN(2) == 0 {
		f.data = append(f.data, make([]byte, min(n-len(tcp), 200))...)
	}
}

// otherIP changes a byte of the IP header: a fragment, a TTL, a length, an id, another version.
func otherIP(c *rawCapture, r *rand.Rand) {
	if _, ip, _, ok := c.any(r); ok {
		ip[r.IntN(12)] = []byte{0, 1, 0x20, 0x40, 0x45, 0x46, 0x60, 255, byte(r.Uint32())}[r.IntN(9)]
	}
}

// reply adds an answer to a segment behind it: a RST, an ACK, a SYN-ACK, a FIN.
func reply(c *rawCapture, r *rand.Rand) {
	i, _, _, ok := c.any(r)
	if !ok {
		return
	}
	f := c.frames[i].copyOf()
	f.at += someTime(r)
	at := i + 1
	for at < len(c.frames) && c.frames[at].at < f.at && r.IntN(20) > 0 {
		at++
	}
	c.frames = slices.Insert(c.frames, at, f)
	ip, tcp, _ := c.headers(at)
	n := uint32(max(0, lengthOf(ip, tcp)-int(tcp[12]>>4)*4))
	if tcp[13]&(flagSYN|flagFIN) != 0 {
		n++
	}
	sq, ack := binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:])
	turn(ip, tcp)
	binary.BigEndian.PutUint32(tcp[4:], ack)
	binary.BigEndian.PutUint32(tcp[8:], sq+n)
	tcp[13] = []byte{flagRST, flagRST | flagACK, flagACK, flagSYN | flagACK, flagFIN | flagACK}[r.IntN(5)]
	if r.IntN(4) == 0 {
		binary.BigEndian.PutUint32(tcp[4+4*r.IntN(2):], c.number(r))
	}
	if header := int(tcp[12]>>4) * 4; header >= 20 && header < len(tcp) && r.IntN(4) > 0 {
		setLength(ip, tcp, header)
		x := &c.frames[at]
		x.data = x.data[:len(x.data)-len(tcp)+header]
		x.wire = uint32(len(x.data))
	}
}

// openAgain lets frames come once more at the end, after a pause, from other numbers.
func openAgain(c *rawCapture, r *rand.Rand) {
	n := len(c.frames)
	if n > 80 {
		return
	}
	from := r.IntN(n)
	if r.IntN(2) == 0 {
		from = 0
	}
	to := min(n, from+1+r.IntN(20))
	d := c.frames[n-1].at - c.frames[from].at + someTime(r)
	first, second := r.Uint32()>>r.IntN(32), r.Uint32()>>r.IntN(32)
	var opener []byte
	for _, f := range c.frames[from:to] {
		f = f.copyOf()
		f.at = max(0, f.at+d)
		c.frames = append(c.frames, f)
		ip, tcp, ok := c.headers(len(c.frames) - 1)
		if !ok {
			continue
		}
		a, p := endsOf(ip, tcp)
		ends := slices.Concat(a, p)
		if opener == nil {
			opener = ends
		}
		x, y := first, second
		if !bytes.Equal(ends, opener) {
			x, y = second, first
		}
		binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+x)
		if tcp[13]&flagACK != 0 {
			binary.BigEndian.PutUint32(tcp[8:], binary.BigEndian.Uint32(tcp[8:])+y)
		}
	}
}

// repeat sends a frame several times, as timers do: each time after twice as long.
func repeat(c *rawCapture, r *rand.Rand) {
	f := c.frames[r.IntN(len(c.frames))]
	step := someTime(r) / 8
	for range 1 + r.IntN(8) {
		f = f.copyOf()
		f.at += step
		step *= 2
		c.frames = append(c.frames, f)
	}
	if r.IntN(4) > 0 {
		c.sortByTime()
	}
}

// quote adds an ICMP error about a segment, from its destination or from on the way.
func quote(c *rawCapture, r *rand.Rand) {
	i, ip, tcp, ok := c.any(r)
	if !ok || ip[0]>>4 != 4 {
		return
	}
	f := c.frames[i]
	link := f.data[:len(f.data)-len(ip)]
	quoted := ip[:min(len(ip), len(ip)-len(tcp)+8+r.IntN(30))]
	b := make([]byte, 28, 28+len(quoted))
	b[0], b[8], b[9] = 0x45, 64, 1
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(quoted)))
	copy(b[12:], ip[16:20])
	copy(b[16:], ip[12:16])
	if r.IntN(2) == 0 {
		b[15] ^= 1
	}
	b[20], b[21] = []byte{3, 3, 3, 11, 5, 8}[r.IntN(6)], byte(r.IntN(16))
	binary.BigEndian.PutUint16(b[26:], uint16(r.Uint32N(1500)))
	binary.BigEndian.PutUint16(b[10:], ^sumOf(b[:20]))
	data := slices.Concat(link, b, quoted)
	at := min(len(c.frames), i+1+r.IntN(3))
	c.frames = slices.Insert(c.frames, at, rawFrame{f.at + someTime(r)/100, data, uint32(len(data))})
}

// splice puts frames of another capture of the same link type among those of c, at its times, and
// on a four-tuple of c if the addresses are of one family.
func (c *rawCapture) splice(o rawCapture, r *rand.Rand) {
	if o.link != c.link || len(o.frames) == 0 {
		return
	}
	at := r.IntN(len(c.frames) + 1)
	d := c.frames[max(0, at-1)].at - o.frames[0].at + someTime(r)
	_, ip, tcp, ok := c.any(r)
	ok = ok && r.IntN(3) > 0
	var first []byte
	for i := range o.frames {
		o.frames[i].at = max(0, o.frames[i].at+d)
		oip, otcp, is := o.headers(i)
		if !ok || !is || oip[0]>>4 != ip[0]>>4 {
			continue
		}
		a, p := endsOf(oip, otcp)
		from := slices.Concat(a, p)
		if first == nil {
			first = from
		}
		x, y := endsOf(ip, tcp)
		copy(a, x)
		copy(p, y)
		if !bytes.Equal(from, first) {
			turn(oip, otcp)
		}
	}
	c.frames = slices.Insert(c.frames, at, o.frames...)
	if r.IntN(2) == 0 {
		c.sortByTime()
	}
}

// spoilBytes changes bytes, whatever they mean.
func spoilBytes(b []byte, r *rand.Rand) []byte {
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			return b
		}
		i := r.IntN(len(b))
		n := 1 + r.IntN(min(64, len(b)-i))
		switch r.IntN(8) {
		case 0:
			b[i] ^= 1 << r.IntN(8)
		case 1:
			b[i] = byte(r.Uint32())
		case 2:
			b = b[:i]
		case 3:
			b = slices.Delete(b, i, i+n)
		case 4:
			b = slices.Insert(b, i, b[i:i+n]...)
		case 5:
			b = slices.Insert(b, r.IntN(len(b)), bytes.Clone(b[i:i+n])...)
		case 6:
			if i+4 <= len(b) {
				binary.LittleEndian.PutUint32(b[i:], []uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, uint32(len(b)), r.Uint32()}[r.IntN(7)])
			}
		case 7:
			copy(b[r.IntN(len(b)):], b[i:i+n])
		}
	}
	return b
}

// spoilLines changes the lines of a text.
func spoilLines(text []byte, r *rand.Rand) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	for range 1 + r.IntN(4) {
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		switch r.IntN(4) {
		case 0:
			lines[i], lines[j] = lines[j], lines[i]
		case 1:
			lines[i] = nil
		case 2:
			lines = slices.Insert(lines, i, lines[j])
		case 3:
			k, m := r.IntN(len(lines[i])+1), r.IntN(len(lines[j])+1)
			lines[i] = slices.Concat(lines[i][:k], lines[j][m:])
		}
	}
	return bytes.Join(lines, nil)
}
