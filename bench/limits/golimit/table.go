//go:build linux

package main

import (
	"fmt"
	"math/bits"
	"os"
	"syscall"
	"unsafe"
)

// direction is what is counted of one direction, in 20 bytes.
type direction struct {
	bytesLow, bytesHigh uint32
	pkts, seqMax, ack   uint32
}

func (d *direction) bytes() uint64 { return uint64(d.bytesHigh)<<32 | uint64(d.bytesLow) }

// entry4 and entry6 are the table's entries: one cache line (64 bytes), and one
// and a half.
type entry4 struct {
	a, b   uint32
	pa, pb uint16
	flags  uint32 // of each direction; the top bit marks an entry in use
	ts     uint64
	dir    [2]direction
}

type entry6 struct {
	a, b   [2]uint64
	pa, pb uint16
	flags  uint32
	ts     uint64
	dir    [2]direction
	_      uint64
}

// table holds the four-tuples: open addressing, at most half full, in memory of
// large pages outside the Go heap.
type table struct {
	v4     []entry4
	v6     []entry6
	n4, n6 uint64
}

const firstSize = 4096

func (t *table) init() {
	t.v4, t.v6 = mapped[entry4](firstSize), mapped[entry6](firstSize)
}

func (t *table) prefetch(x *packet) {
	if !x.v6 {
		prefetch(unsafe.Pointer(&t.v4[x.hash&uint64(len(t.v4)-1)]))
		return
	}
	e := unsafe.Pointer(&t.v6[x.hash&uint64(len(t.v6)-1)])
	prefetch(e)
	prefetch(unsafe.Add(e, 64))
}

// update enters a packet.
func (t *table) update(x *packet) {
	if x.v6 {
		t.update6(x)
		return
	}
	es := t.v4
	for j := x.hash; ; j++ {
		e := &es[j&uint64(len(es)-1)]
		if e.flags == 0 {
			if 2*t.n4 >= uint64(len(es)) {
				t.grow4()
				t.update(x)
				return
			}
			t.n4++
			e.a, e.b, e.pa, e.pb = x.a, x.b, x.pa, x.pb
			count(&e.dir[x.dir&1], &e.flags, &e.ts, x)
			return
		}
		if e.a == x.a && e.b == x.b && e.pa == x.pa && e.pb == x.pb {
			count(&e.dir[x.dir&1], &e.flags, &e.ts, x)
			return
		}
	}
}

func (t *table) update6(x *packet) {
	es := t.v6
	for j := x.hash; ; j++ {
		e := &es[j&uint64(len(es)-1)]
		if e.flags == 0 {
			if 2*t.n6 >= uint64(len(es)) {
				t.grow6()
				t.update6(x)
				return
			}
			t.n6++
			e.a, e.b, e.pa, e.pb = x.a6, x.b6, x.pa, x.pb
			count(&e.dir[x.dir&1], &e.flags, &e.ts, x)
			return
		}
		if e.pa == x.pa && e.pb == x.pb && e.a == x.a6 && e.b == x.b6 {
			count(&e.dir[x.dir&1], &e.flags, &e.ts, x)
			return
		}
	}
}

func count(d *direction, flags *uint32, ts *uint64, x *packet) {
	end := x.seq + x.plen
	if d.pkts == 0 || int32(end-d.seqMax) > 0 {
		d.seqMax = end
	}
	d.pkts++
	sum := d.bytes() + uint64(x.plen)
	d.bytesLow, d.bytesHigh = uint32(sum), uint32(sum>>32)
	d.ack = x.ack
	*flags |= 1<<31 | uint32(x.flags)<<(x.dir*8&31)
	*ts = x.ts
}

func (t *table) grow4() {
	bigger := mapped[entry4](2 * len(t.v4))
	mask := uint64(len(bigger) - 1)
	for i := range t.v4 {
		if e := &t.v4[i]; e.flags != 0 {
			j := hash4(e.a, e.b, e.pa, e.pb) & mask
			for bigger[j].flags != 0 {
				j = (j + 1) & mask
			}
			bigger[j] = *e
		}
	}
	unmap(t.v4)
	t.v4 = bigger
}

func (t *table) grow6() {
	bigger := mapped[entry6](2 * len(t.v6))
	mask := uint64(len(bigger) - 1)
	for i := range t.v6 {
		if e := &t.v6[i]; e.flags != 0 {
			j := hash6(&e.a, &e.b, e.pa, e.pb) & mask
			for bigger[j].flags != 0 {
				j = (j + 1) & mask
			}
			bigger[j] = *e
		}
	}
	unmap(t.v6)
	t.v6 = bigger
}

// mapped returns n zeroed entries outside the Go heap. Without memory there is
// nothing to measure, and the program ends.
func mapped[T any](n int) []T {
	var z T
	b, err := syscall.Mmap(-1, 0, n*int(unsafe.Sizeof(z)), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		fmt.Fprintf(os.Stderr, "golimit: a table of %d entries: %v\n", n, err)
		os.Exit(1)
	}
	if len(b) >= 2<<20 {
		_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // a refusal costs only speed
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

func unmap[T any](t []T) {
	var z T
	_ = syscall.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&t[0])), len(t)*int(unsafe.Sizeof(z))))
}

func fold(a, b uint64) uint64 {
	h, l := bits.Mul64(a, b)
	return h ^ l
}

func hash4(a, b uint32, pa, pb uint16) uint64 {
	return fold((uint64(a)<<32|uint64(b))^0x9e3779b97f4a7c15, (uint64(pa)<<16|uint64(pb))^0xe7037ed1a0b428db)
}

func hash6(a, b *[2]uint64, pa, pb uint16) uint64 {
	h := fold(a[0]^0x9e3779b97f4a7c15, a[1]^0xe7037ed1a0b428db)
	h = fold(h^b[0], b[1]^0x8ebc6af09c88c6e3)
	return fold(h^0x589965cc75374cc3, (uint64(pa)<<16|uint64(pb))^0xe7037ed1a0b428db)
}
