package flow

import (
	"unsafe"
)

// cold is a brief that was closed: what is left of it is only read again if its
// four-tuple is heard of once more. Its notes follow it.
type cold struct {
	size          uint16 // of all of it, in bytes; 0: nothing follows in this block
	bits          briefBits
	used          uint8  // bytes of notes
	id            uint32 // 0: it became a record again
	lastTime      int64
	addrs         uint64
	ports, answer uint32
	time          int64
	opening       [2]briefOpening
}

const (
	coldHeader = int(unsafe.Sizeof(cold{}))
	wideSize   = int(unsafe.Sizeof(wideKey{}))
	// coldBlock is how much memory is taken and given back at a time.
	coldBlock = 1 << 18
	// coldUnit is what the numbers of cold ones count.
	coldUnit = 8
	// maxColdBlocks is how many blocks can be told apart by a number.
	maxColdBlocks = (maxKind + 1) / (coldBlock / coldUnit)
)

// coldLog holds the cold ones in the order in which they were closed, and so in
// that in which they are forgotten.
type coldLog struct {
	mem        *arena
	blocks     []*[coldBlock]byte // a ring, once there are maxColdBlocks
	head, tail uint64             // the oldest one, and where the next goes, counted from the start in bytes
}

func (l *coldLog) block(at uint64) **[coldBlock]byte { return &l.blocks[at/coldBlock%maxColdBlocks] }

func (l *coldLog) atOffset(at uint64) *cold {
	return (*cold)(unsafe.Pointer(&(*l.block(at))[at%coldBlock]))
}

// at returns the one with a number.
func (l *coldLog) at(n uint32) *cold { return l.atOffset(uint64(n&maxKind) * coldUnit) }

// notes returns what is behind c.
func (c *cold) notes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), coldHeader)), c.used)
}

// key returns its four-tuple; with briefWide its notes begin with a wideKey.
func (c *cold) key() key {
	w := (*wideKey)(unsafe.Add(unsafe.Pointer(c), coldHeader))
	return keyOf(c.bits, c.addrs, c.ports, &w.lo, &w.hi)
}

// add appends a brief, whose notes beyond its own are given, and returns its number with isCold, 0 where there is no memory.
func (l *coldLog) add(b *brief, more []byte) uint32 {
	size := (coldHeader + int(b.used) + coldUnit - 1) &^ (coldUnit - 1)
	if left := coldBlock - l.tail%coldBlock; l.tail%coldBlock == 0 || uint64(size) > left {
		if !l.grow() {
			return 0
		}
	}
	c := l.atOffset(l.tail)
	*c = cold{
		size: uint16(size), bits: b.bits, used: b.used, id: b.id, lastTime: b.lastTime,
		addrs: b.addrs, ports: b.ports, answer: b.answer, time: b.time, opening: b.opening,
	}
	to := c.notes()
	copy(to[copy(to, b.ownPart()):], more)
	n := uint32(l.tail/coldUnit)&maxKind | isCold
	l.tail += uint64(size)
	return n
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
		l.atOffset(l.tail).size = 0
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
			if c := l.atOffset(l.head); c.size != 0 {
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
	l.head += uint64(c.size)
	if l.head%coldBlock == 0 {
		l.mem.give((*l.block(at))[:])
		*l.block(at) = nil
	}
}

// due returns when the oldest one is to be forgotten, keep after it was closed.
func (l *coldLog) due(keep int64) int64 {
	if c := l.oldest(); c != nil {
		return after(c.lastTime, keep)
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
		if c == nil || after(c.lastTime, t.keepEnded) > now {
			return
		}
		if c.id != 0 {
			k := c.key()
			t.past.remove(t.hash(&k), t.cold.number())
		}
		t.cold.drop(c)
	}
}
