package flow

import (
	"math/bits"
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// batchSize is how many segments are looked up together.
const batchSize = 32

// probe is a segment on its way to its record.
type probe struct {
	key      key
	hash     uint32
	guess    uint32
	fromHigh bool
}

// addBatch first brings the index slots of all segments into the cache, then
// their records, then what hangs on those, and only then works through the segments: so the
// misses overlap.
func (t *Table) addBatch(batch []segment.Segment) {
	probes := t.probes[:len(batch)]
	for i := range probes {
		p := &probes[i]
		p.fromHigh = p.key.set(&batch[i])
		p.hash = t.hash(&p.key)
		prefetch(unsafe.Pointer(&t.index.slots[p.hash&t.index.mask]))
	}
	for i := range probes {
		p := &probes[i]
		if p.guess = t.guess(p.hash); p.guess&isBrief != 0 {
			t.prefetchKind(p.guess)
		} else if p.guess != 0 {
			r := t.records.at(p.guess)
			prefetch3(unsafe.Pointer(r))
			if batch[i].Flags&(segment.SYN|segment.FIN|segment.RST) != 0 {
				prefetch(unsafe.Pointer(&r.id))
			}
		}
	}
	if !t.linesOnly {
		t.prefetchDeep(batch)
	}
	for i := range probes {
		t.add(&batch[i], &probes[i])
	}
}

// prefetchDeep brings into the cache what the probed records need for a diagnosis, and
// where a brief's next note goes.
func (t *Table) prefetchDeep(batch []segment.Segment) {
	deep := false
	for i := range batch {
		switch n := t.probes[i].guess; {
		case n == 0:
		case n&isBrief == 0:
			prefetch2(unsafe.Pointer(t.deeps.at(n)))
			deep = true
		case n&kindBits == isBrief:
			t.prefetchNotes(t.briefs.at(n & maxKind))
		}
		if batch[i].Flags&segment.SYN != 0 {
			t.hosts.prefetchSlot(batch[i].Src.Addr)
			deep = true
		}
	}
	if !deep {
		return
	}
	for i := range batch {
		if n := t.probes[i].guess; n != 0 && n&isBrief == 0 {
			if x := t.records.at(n).extra; x != 0 {
				prefetch4(unsafe.Pointer(t.extras.at(x)))
			}
		}
		if batch[i].Flags&segment.SYN != 0 {
			t.hosts.prefetchEntry(batch[i].Src.Addr)
		}
	}
}

// guess returns the first record with the hash.
func (t *Table) guess(hash uint32) uint32 {
	x := &t.index
	for i := hash & x.mask; ; i = (i + 1) & x.mask {
		if s := x.slots[i]; s == 0 || s.hash() == hash {
			return s.record()
		}
	}
}

// lookup returns the current record of a four-tuple, 0 if there is none. The
// guess was right unless the batch changed the table since, or hashes collide.
func (t *Table) lookup(p *probe) uint32 {
	if n := p.guess; n != 0 && n&isBrief == 0 {
		if r := t.records.at(n); r.is(&p.key) && r.bits&(bitLive|bitPinned|bitOrphan) == bitLive {
			return n
		}
	}
	x := &t.index
	for i := p.hash & x.mask; ; i = (i + 1) & x.mask {
		s := x.slots[i]
		if s == 0 {
			return 0
		}
		if s.hash() == p.hash && t.is(s.record(), &p.key) {
			return s.record()
		}
	}
}

func (t *Table) hash(k *key) uint32 {
	h := fold(k.lo.Lo^t.seed[0], k.hi.Lo^t.seed[1])
	h = fold(h^t.seed[2], uint64(k.loPort)<<16|uint64(k.hiPort)|1<<32)
	if k.lo.Hi|k.hi.Hi != 0 {
		h = fold(h^k.lo.Hi^t.seed[1], k.hi.Hi^t.seed[2])
	}
	return uint32(h ^ h>>32)
}

func fold(a, b uint64) uint64 {
	h, l := bits.Mul64(a, b)
	return h ^ l
}
