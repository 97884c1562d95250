package flow

import "unsafe"

// chunkBits gives the elements of one slab chunk: 512.
const chunkBits = 9

type chunk[T any] = [1 << chunkBits]T

// slab hands out elements of one size by number, from 1, and takes them back.
// T must hold no pointers and be at least four bytes long, because a free
// element's first four bytes link the free list.
type slab[T any] struct {
	chunks []*chunk[T]
	mem    *arena
	free   uint32 // head of the free list
	next   uint32 // the first number never handed out
	used   uint32 // elements handed out and not taken back
	most   int    // so many chunks at most, 0: any number
}

// at returns the element with number n, which must have been handed out.
func (s *slab[T]) at(n uint32) *T { return &s.chunks[n>>chunkBits][n&(1<<chunkBits-1)] }

// alloc returns a zeroed element and its number. Number 0 with a nil element
// means that there is no memory left.
func (s *slab[T]) alloc() (uint32, *T) {
	if n := s.free; n != 0 {
		e := s.at(n)
		s.free = *(*uint32)(unsafe.Pointer(e))
		clear(unsafe.Slice(e, 1))
		s.used++
		return n, e
	}
	if s.next == 0 {
		s.next = 1
	}
	if int(s.next>>chunkBits) >= len(s.chunks) && !s.grow() {
		return 0, nil
	}
	n := s.next
	s.next++
	s.used++
	return n, s.at(n)
}

// lend makes sure that there is a zeroed element n in a slab whose numbers
// another one hands out. It fails only where there is no memory left.
func (s *slab[T]) lend(n uint32) bool {
	for int(n>>chunkBits) >= len(s.chunks) {
		if !s.grow() {
			return false
		}
	}
	if n < s.next {
		clear(unsafe.Slice(s.at(n), 1))
	} else {
		s.next = n + 1
	}
	return true
}

// release takes element n back.
func (s *slab[T]) release(n uint32) {
	e := s.at(n)
	*(*uint32)(unsafe.Pointer(e)) = s.free
	s.free = n
	s.used--
}

// bound lets the slab take so many bytes, but at least a chunk.
func (s *slab[T]) bound(bytes int64) { s.most = max(int(bytes/int64(unsafe.Sizeof(chunk[T]{}))), 1) }

// full tells whether the slab has all that it may take.
func (s *slab[T]) full() bool { return s.most > 0 && len(s.chunks) >= s.most }

func (s *slab[T]) grow() bool {
	if len(s.chunks) == 1<<(32-chunkBits)-1 || s.full() {
		return false
	}
	b := s.mem.take(int(unsafe.Sizeof(chunk[T]{})))
	if b == nil {
		return false
	}
	s.chunks = append(s.chunks, (*chunk[T])(unsafe.Pointer(unsafe.SliceData(b))))
	return true
}
