package flow

import "unsafe"

const (
	// hugePage is the size and alignment of a large page.
	hugePage = 2 << 20
	// firstArena is mapped first, in small pages: most captures need no more.
	firstArena = 1 << 20
	// arenaSize is how much is mapped at a time from then on. What is not
	// touched takes no memory.
	arenaSize = 32 << 20
)

// arena hands out pieces of memory outside the Go heap that are given back all
// at once.
type arena struct {
	rest []byte // what is left of the last mapping
	maps [][]byte
	full bool // give nothing more, as if the system had no more
	// taken is how many bytes were given out and not taken back, limit how many may be; 0: any.
	taken, limit int64
	spare        [][]byte // pieces of coldBlock bytes that were taken back
	piece        []byte   // what is left of the last of those from which smaller ones were cut
}

// take returns n zeroed bytes aligned to a cache line, nil where there are no more.
func (a *arena) take(n int) []byte {
	if a.full {
		return nil
	}
	n = (n + 63) &^ 63
	if b := a.again(n); b != nil {
		return b
	}
	if a.limit > 0 && a.taken+int64(n) > a.limit {
		return nil
	}
	a.taken += int64(n)
	if len(a.rest) < n {
		size, mapped := arenaSize, mapAligned
		if a.maps == nil && n <= firstArena {
			size, mapped = firstArena, mapPlain
		}
		m, b := mapped(max(size, n))
		if m == nil {
			return nil
		}
		a.maps = append(a.maps, m)
		a.rest = b
	}
	b := a.rest[:n:n]
	a.rest = a.rest[n:]
	return b
}

// give takes a piece of coldBlock bytes back.
func (a *arena) give(b []byte) { a.spare = append(a.spare, b) }

// adopt takes a mapping over, of which b is free for pieces of coldBlock bytes.
func (a *arena) adopt(mapping, b []byte) {
	a.maps = append(a.maps, mapping)
	for ; len(b) >= coldBlock; b = b[coldBlock:] {
		a.give(b[:coldBlock:coldBlock])
	}
}

// again returns n zeroed bytes of what was taken back: whole pieces; smaller ones only where
// there is a limit, as then the pieces may be needed nowhere else.
func (a *arena) again(n int) []byte {
	last := len(a.spare) - 1
	if n == coldBlock && last >= 0 {
		b := a.spare[last]
		a.spare = a.spare[:last]
		clear(b)
		return b
	}
	if a.limit == 0 || a.taken+int64(n) <= a.limit || n > coldBlock {
		return nil
	}
	if len(a.piece) < n {
		if last < 0 {
			return nil
		}
		a.piece, a.spare = a.spare[last], a.spare[:last]
	}
	b := a.piece[:n:n]
	a.piece = a.piece[n:]
	clear(b)
	return b
}

// mapAligned maps at least n bytes and returns the mapping and its n bytes that
// begin at a large page.
func mapAligned(n int) (mapping, b []byte) {
	mapping = mapMemory(n + hugePage)
	if mapping == nil {
		return nil, nil
	}
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(mapping)))) & (hugePage - 1)
	b = mapping[skip : skip+n : skip+n]
	adviseHuge(b)
	return mapping, b
}

func mapPlain(n int) (mapping, b []byte) {
	mapping = mapMemory(n)
	return mapping, mapping
}

func (a *arena) drop() {
	for _, m := range a.maps {
		unmapMemory(m)
	}
	*a = arena{}
}
