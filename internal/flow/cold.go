package flow

import (
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// cold is a brief that was closed: what is left of it is only read again if its
// four-tuple is heard of once more. Its notes follow it, before them a coldFar where that is needed. When
// it was opened its notes tell. Of a million of them each byte is a megabyte that has to be cleared first.
type cold struct {
	used       uint8 // bytes of notes; 0: nothing follows in this block
	bits       briefBits
	answered   uint16    // frames from the SYN to the SYN-ACK
	id         uint32    // 0: it became a record again
	last       [2]uint32 // lastTime, the lower half first
	addrs      [2]uint32
	ports      uint32
	answer     uint32
	frame      uint32 // of the SYN
	isn, tsVal [2]seq.Num
	ipid       [2]uint16
	common     uint32 // the numbers in coldLog.shapes, which mean nothing with isFar, and the place
}

// coldFar is what few have no room for in a cold: the upper halves of answer and answered, and shapes without a number.
type coldFar struct {
	answer, answered uint16
	shapes           [2][2]uint32
}

// isFar in cold.bits: there is a coldFar. A brief's bit has no meaning there.
const isFar = briefLong

// shape is what the SYNs of many connections have in common: window, MSS, scale, TTL, options.
type shape uint64

func (o *briefOpening) shape() shape {
	return shape(o.window) | shape(o.mss)<<16 | shape(o.wscale)<<32 | shape(o.ttl)<<40 | shape(o.options)<<48
}

func (o *briefOpening) setShape(x shape) {
	o.window, o.mss, o.wscale, o.ttl, o.options = uint16(x), uint16(x>>16), uint8(x>>32), uint8(x>>40), uint8(x>>48)
}

// shapes gives the first shapes numbers.
type shapes struct {
	list    []shape
	numbers map[shape]uint16
	hints   [256]uint16 // the number of what was asked for last, by a hash
}

// In cold.common are the shape of the SYN, that of the SYN-ACK, and the place.
const (
	shapeBits  = 10
	mostShapes = 1 << shapeBits
)

// number returns the number of a shape; not ok: it has none.
func (l *shapes) number(x shape) (n uint16, ok bool) {
	hint := &l.hints[x*0x9e3779b97f4a7c15>>56]
	if n = *hint; int(n) < len(l.list) && l.list[n] == x {
		return n, true
	}
	if n, ok = l.numbers[x]; !ok {
		if len(l.list) == mostShapes {
			return 0, false
		}
		if l.numbers == nil {
			l.numbers = make(map[shape]uint16)
		}
		n = uint16(len(l.list))
		l.list, l.numbers[x] = append(l.list, x), n
	}
	*hint = n
	return n, true
}

const (
	coldHeader = int(unsafe.Sizeof(cold{}))
	farSize    = int(unsafe.Sizeof(coldFar{}))
	wideSize   = int(unsafe.Sizeof(wideKey{}))
	// coldBlock is how much memory is taken and given back at a time.
	coldBlock = 1 << 18
	// coldUnit is what the numbers of cold ones count.
	coldUnit = 4
	// maxColdBlocks is how many blocks can be told apart by a number.
	maxColdBlocks = (maxKind + 1) / (coldBlock / coldUnit)
)

// coldLog holds the cold ones in the order in which they were closed, and so in
// that in which they are forgotten.
type coldLog struct {
	mem        *arena
	shapes     shapes
	blocks     []*[coldBlock]byte // a ring, once there are maxColdBlocks
	head, tail uint64             // the oldest one, and where the next goes, counted from the start in bytes
}

func (l *coldLog) block(at uint64) **[coldBlock]byte { return &l.blocks[at/coldBlock%maxColdBlocks] }

func (l *coldLog) atOffset(at uint64) *cold {
	return (*cold)(unsafe.Pointer(&(*l.block(at))[at%coldBlock]))
}

// at returns the one with a number.
func (l *coldLog) at(n uint32) *cold { return l.atOffset(uint64(n&maxKind) * coldUnit) }

// far returns the coldFar of one that has it.
func (c *cold) far() *coldFar { return (*coldFar)(unsafe.Add(unsafe.Pointer(c), coldHeader)) }

// notes returns what is behind c.
func (c *cold) notes() []byte {
	at := coldHeader
	if c.bits&isFar != 0 {
		at += farSize
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), at)), c.used)
}

// size returns how many bytes c takes with all that follows it.
func (c *cold) size() int {
	n := coldHeader + int(c.used)
	if c.bits&isFar != 0 {
		n += farSize
	}
	return (n + coldUnit - 1) &^ (coldUnit - 1)
}

func (c *cold) lastTime() int64 { return int64(c.last[0]) | int64(c.last[1])<<32 }

// key returns its four-tuple; with briefWide its notes begin with a wideKey.
func (c *cold) key() key {
	var w wideKey
	if c.bits&briefWide != 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&w)), wideSize), c.notes())
	}
	return keyOf(c.bits, uint64(c.addrs[0])<<32|uint64(c.addrs[1]), c.ports, &w.lo, &w.hi)
}

// add appends a brief, whose notes beyond its own are given, and returns its number with isCold, 0 where there is no memory.
func (l *coldLog) add(b *brief, more []byte) uint32 {
	o, a := &b.opening[Opener], &b.opening[Listener]
	far := coldFar{answer: a.place, answered: uint16((a.frame - o.frame) >> 16)}
	most := uint64(coldHeader + farSize + int(b.used) + coldUnit - 1)
	if left := coldBlock - l.tail%coldBlock; l.tail%coldBlock == 0 || most > left {
		if !l.grow() {
			return 0
		}
	}
	c := l.atOffset(l.tail)
	c.used, c.bits, c.id = b.used, b.bits&^isFar, b.id
	c.last, c.addrs = [2]uint32{uint32(b.lastTime), uint32(b.lastTime >> 32)}, [2]uint32{uint32(b.addrs >> 32), uint32(b.addrs)}
	c.ports, c.answer, c.frame, c.answered = b.ports, b.answer, o.frame, uint16(a.frame-o.frame)
	c.isn, c.tsVal, c.ipid = [2]seq.Num{o.isn, a.isn}, [2]seq.Num{o.tsVal, a.tsVal}, [2]uint16{o.ipid, a.ipid}
	x, ok := l.shapes.number(o.shape())
	y, too := l.shapes.number(a.shape())
	if c.common = uint32(x) | uint32(y)<<shapeBits | uint32(o.place)<<(2*shapeBits); !ok || !too || far.answer|far.answered != 0 {
		for e := range far.shapes {
			x := b.opening[e].shape()
			far.shapes[e] = [2]uint32{uint32(x), uint32(x >> 32)}
		}
		c.bits |= isFar
		*c.far() = far
	}
	to := c.notes()
	copy(to[copy(to, b.ownPart()):], more)
	n := uint32(l.tail/coldUnit)&maxKind | isCold
	l.tail += uint64(c.size())
	return n
}

// restore makes of c the brief that it was, and returns its notes.
func (l *coldLog) restore(c *cold, b *brief, notes *[mostUsed]byte) []byte {
	*b = brief{bits: c.bits &^ isFar, phase: briefClosing, id: c.id, answer: c.answer}
	far := coldFar{}
	if c.bits&isFar != 0 {
		far = *c.far()
	}
	for e := range b.opening {
		o := &b.opening[e]
		o.isn, o.tsVal, o.ipid, o.frame = c.isn[e], c.tsVal[e], c.ipid[e], c.frame
		if c.bits&isFar != 0 {
			o.setShape(shape(far.shapes[e][0]) | shape(far.shapes[e][1])<<32)
		} else {
			o.setShape(l.shapes.list[c.common>>(shapeBits*e)%mostShapes])
		}
	}
	a := &b.opening[Listener]
	b.opening[Opener].place, a.place = uint16(c.common>>(2*shapeBits)), far.answer
	a.frame += uint32(c.answered) | uint32(far.answered)<<16
	rest := notes[:copy(notes[:], c.notes())]
	b.time = c.lastTime() - b.took(rest)
	return rest
}

// grow goes on in a new block.
func (l *coldLog) grow() bool {
	next := (l.tail + coldBlock - 1) / coldBlock * coldBlock
	if next-l.head/coldBlock*coldBlock >= maxColdBlocks*coldBlock {
		return false
	}
	m := l.mem.take(coldBlock)
	if m == nil {
		return false
	}
	b := (*[coldBlock]byte)(unsafe.Pointer(unsafe.SliceData(m)))
	if l.tail != next {
		l.atOffset(l.tail).used = 0
	}
	if int(next/coldBlock%maxColdBlocks) == len(l.blocks) {
		l.blocks = append(l.blocks, b)
	} else {
		*l.block(next) = b
	}
	l.tail = next
	return true
}

// oldest returns the oldest one, nil if there is none.
func (l *coldLog) oldest() *cold {
	for l.head != l.tail {
		if l.head%coldBlock != 0 || *l.block(l.head) != nil {
			if c := l.atOffset(l.head); c.used != 0 {
				return c
			}
		}
		l.leave()
		l.head = (l.head/coldBlock + 1) * coldBlock
	}
	return nil
}

// leave gives the block back that the oldest one was in.
func (l *coldLog) leave() {
	b := l.block(l.head)
	l.mem.give((*b)[:])
	*b = nil
}

// number returns the oldest one's.
func (l *coldLog) number() uint32 { return uint32(l.head/coldUnit)&maxKind | isCold }

// drop forgets the oldest one.
func (l *coldLog) drop(c *cold) {
	at := l.head
	l.head += uint64(c.size())
	if l.head%coldBlock == 0 {
		l.mem.give((*l.block(at))[:])
		*l.block(at) = nil
	}
}

// due returns when the oldest one is to be forgotten, keep after it was closed.
func (l *coldLog) due(keep int64) int64 {
	if c := l.oldest(); c != nil {
		return after(c.lastTime(), keep)
	}
	return 1<<63 - 1
}

// fresh is one that was closed just now. It enters the index of the past and the log of closings a little
// later, when their places, which are asked for at once, have come into the cache.
type fresh struct {
	hash, n uint32 // n: its number, 0 where it became a record
	closing closing
}

// enterPast enters the fresh ones.
func (t *Table) enterPast() {
	for i := range t.fresh[:t.nFresh] {
		f := &t.fresh[i]
		if f.closing.conn != 0 {
			t.closings.push(&f.closing)
		}
		for f.n != 0 && !t.past.insert(f.hash, f.n) {
			if t.forgotten.Since == 0 {
				t.forgotten.Since = max(t.frame, 1)
			}
			t.forgetOldest(t.cold.oldest())
		}
	}
	t.nFresh = 0
}

// forgetCold forgets those whose time has come.
func (t *Table) forgetCold(now int64) {
	t.enterPast()
	for {
		c := t.cold.oldest()
		if c == nil || after(c.lastTime(), t.keepEnded) > now {
			return
		}
		if c.id != 0 {
			k := c.key()
			t.past.remove(t.hash(&k), t.cold.number())
		}
		t.cold.drop(c)
	}
}
