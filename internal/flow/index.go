package flow

import "unsafe"

// slot is one place of the index: the upper half is the key's hash, the lower
// half the record's number, 0 where the place is empty.
type slot uint64

func makeSlot(hash, n uint32) slot { return slot(hash)<<32 | slot(n) }

func (x slot) hash() uint32   { return uint32(x >> 32) }
func (x slot) record() uint32 { return uint32(x) }

// index finds the record of a four-tuple: open addressing with linear probing.
// A slot's home is given by the low bits of the 32-bit hash that it carries,
// so that growing and deleting never look at a record.
type index struct {
	slots []slot
	raw   []byte // the mapping that holds slots; nil: the Go heap does
	mask  uint32
	used  int
	heap  bool // never map memory
	most  uint // at most so many slots, as a power of two; 0: any number
	// mem is given the arrays that became too small; nil, or where its size is bounded: the system is. Memory that was touched once is worth having: to
	// clear a page takes less than to get one.
	mem *arena
}

const (
	// firstIndexBits gives the slots of an empty index.
	firstIndexBits = 12
	// mappedIndexBits is the size from which an index has a mapping of its own.
	mappedIndexBits = 17
	// Up to fastIndexBits it grows eightfold, as each time everything moves.
	fastIndexBits = 18
)

// slotAt returns where the slot of a hash is, for fetching.
func (x *index) slotAt(hash uint32) uintptr { return uintptr(unsafe.Pointer(&x.slots[hash&x.mask])) }

// prefetch asks for it.
func (x *index) prefetch(hash uint32) { prefetch(unsafe.Pointer(&x.slots[hash&x.mask])) }

func (x *index) init() { x.resize(firstIndexBits) }

// resize moves everything to a new array, and tells whether there was memory for it.
func (x *index) resize(bits uint) bool {
	if bits > 31 || x.most > 0 && bits > x.most {
		return false
	}
	old, oldRaw := x.slots, x.raw
	if bits < mappedIndexBits || x.heap {
		x.slots, x.raw = make([]slot, 1<<bits), nil
	} else {
		raw, b := mapAligned(8 << bits)
		if raw == nil {
			return false
		}
		x.slots, x.raw = unsafe.Slice((*slot)(unsafe.Pointer(unsafe.SliceData(b))), 1<<bits), raw
	}
	x.mask = 1<<bits - 1
	for _, s := range old {
		if s != 0 {
			x.place(s)
		}
	}
	switch {
	case oldRaw == nil:
	case x.mem != nil && x.mem.limit == 0:
		x.mem.adopt(oldRaw, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(old))), len(old)*int(unsafe.Sizeof(slot(0)))))
	default:
		unmapMemory(oldRaw)
	}
	return true
}

func (x *index) place(s slot) {
	i := s.hash() & x.mask
	for x.slots[i] != 0 {
		i = (i + 1) & x.mask
	}
	x.slots[i] = s
}

// insert adds a record whose key is not there yet. It fails only where there is
// no memory left for a larger index.
func (x *index) insert(hash, n uint32) bool {
	if (x.used+1)*5 > len(x.slots)*3 {
		bits := uint(0)
		for 1<<bits < len(x.slots) {
			bits++
		}
		more := bits + 1
		if bits < fastIndexBits {
			more = min(bits+3, fastIndexBits)
		}
		if x.most > 0 {
			more = max(min(more, x.most), bits+1)
		}
		// A table that cannot grow may still fill up, as long as one slot stays
		// empty to end every search.
		if !x.resize(more) && x.used+1 >= len(x.slots) {
			return false
		}
	}
	x.place(makeSlot(hash, n))
	x.used++
	return true
}

// replace puts record n where old was.
func (x *index) replace(hash, old, n uint32) {
	if i, ok := x.find(hash, old); ok {
		x.slots[i] = makeSlot(hash, n)
	}
}

// remove takes record n out and moves back what had been displaced by it.
func (x *index) remove(hash, n uint32) {
	i, ok := x.find(hash, n)
	if !ok {
		return
	}
	x.used--
	hole := i
	for {
		i = (i + 1) & x.mask
		s := x.slots[i]
		if s == 0 {
			break
		}
		// s may move into the hole unless its home lies behind the hole.
		if (i-s.hash())&x.mask >= (i-hole)&x.mask {
			x.slots[hole] = s
			hole = i
		}
	}
	x.slots[hole] = 0
}

func (x *index) find(hash, n uint32) (uint32, bool) {
	want := makeSlot(hash, n)
	for i := hash & x.mask; ; i = (i + 1) & x.mask {
		switch x.slots[i] {
		case want:
			return i, true
		case 0:
			return 0, false
		}
	}
}

func (x *index) drop() {
	if x.raw != nil {
		unmapMemory(x.raw)
	}
	*x = index{}
}
