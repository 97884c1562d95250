package flow

import (
	"math/bits"
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// batchSize is how many segments are looked up together.
const batchSize = 32

// probe is a segment on its way to its record: its four-tuple without direction, as key has it.
type probe struct {
	addrs    uint64 // both IPv4 addresses, the lower endpoint's above; 0 where one is not IPv4
	ports    uint32 // the lower endpoint's above
	hash     uint32
	guess    uint32
	wide     briefBits // briefWide where lo and hi are needed; else they hold garbage
	fromHigh bool
	lo, hi   segment.Addr
}

// aim sets the probes of segments up, all but guess. Which endpoint is the lower one is a toss-up that no processor
// predicts, so no branch depends on it.
func (t *Table) aim(batch []segment.Segment, probes []probe) {
	probes = probes[:len(batch)]
	for i := range batch {
		s, p := &batch[i], &probes[i]
		src, dst := &s.Src.Addr, &s.Dst.Addr
		if src.Hi|dst.Hi|((src.Lo^mapped4)|(dst.Lo^mapped4))>>32 != 0 {
			t.aimWide(s, p) // they are not both IPv4
			continue
		}
		x, y := s.Src.Addr.Lo<<16|uint64(s.Src.Port), s.Dst.Addr.Lo<<16|uint64(s.Dst.Port)
		lo, hi := min(x, y), max(x, y)
		p.fromHigh, p.wide = x > y, 0
		p.addrs, p.ports = lo>>16<<32|hi<<16>>32, uint32(lo)<<16|uint32(hi)&0xffff
		p.hash = t.hash4(p.addrs, p.ports)
	}
}

func (t *Table) aimWide(s *segment.Segment, p *probe) {
	var k key
	fromHigh := k.set(s)
	*p = t.probeOf(&k)
	p.fromHigh = fromHigh
}

// probeOf returns the probe of a four-tuple.
func (t *Table) probeOf(k *key) probe {
	if k.lo.Is4() && k.hi.Is4() {
		p := probe{addrs: k.lo.Lo<<32 | k.hi.Lo&(1<<32-1), ports: k.ports()}
		p.hash = t.hash4(p.addrs, p.ports)
		return p
	}
	h := fold(k.lo.Lo^t.seed[0], k.hi.Lo^t.seed[1])
	h = fold(h^t.seed[2], uint64(k.ports()))
	h = fold(h^k.lo.Hi^t.seed[1], k.hi.Hi^t.seed[2])
	return probe{ports: k.ports(), wide: briefWide, hash: uint32(h ^ h>>32), lo: k.lo, hi: k.hi}
}

func (k *key) ports() uint32 { return uint32(k.loPort)<<16 | uint32(k.hiPort) }

// key returns the four-tuple.
func (p *probe) key() key { return keyOf(p.wide, p.addrs, p.ports, &p.lo, &p.hi) }

// keyOf makes a key of what probes, briefs and cold ones hold; lo and hi only matter with briefWide.
func keyOf(bits briefBits, addrs uint64, ports uint32, lo, hi *segment.Addr) key {
	k := key{addr4(uint32(addrs >> 32)), addr4(uint32(addrs)), uint16(ports >> 16), uint16(ports)}
	if bits&briefWide != 0 {
		k.lo, k.hi = *lo, *hi
	}
	return k
}

// mapped4 is what an IPv4 address has above its own bits in segment.Addr.Lo.
const mapped4 = 0xffff << 32

func addr4(a uint32) segment.Addr { return segment.Addr{Lo: mapped4 | uint64(a)} }

// addBatch first brings the index slots of all segments into the cache, then
// their records, then what hangs on those, and only then works through the segments: so the
// misses overlap.
func (t *Table) addBatch(batch []segment.Segment) {
	var briefs [batchSize]*brief // what is guessed, where that is a brief
	probes := t.probes[:len(batch)]
	t.aim(batch, probes)
	all, ofBriefs := t.reach()
	if all > nearBytes {
		t.fetchSlots(batch, probes)
	}
	for i := range probes {
		p := &probes[i]
		if s := t.index.slots[p.hash&t.index.mask]; s.hash() == p.hash && s != 0 {
			p.guess = s.record()
		} else {
			p.guess = t.guess(p.hash)
		}
		if p.guess&isBrief != 0 {
			briefs[i&(batchSize-1)] = t.briefs.at(p.guess & maxKind)
		}
	}
	if all > nearBytes {
		t.fetch(batch, probes, &briefs, ofBriefs > farBytes)
	}
	for i := range batch {
		s, p := &batch[i], &probes[i]
		if s.Time < t.now-maxDisorder {
			t.briefly = false // the order in which briefs are forgotten is that of time
		}
		t.now = s.Time
		t.frame = max(t.frame, s.Frame)
		if s.Time >= t.due {
			t.expire(s.Time)
		}
		if t.mem.limit > 0 {
			t.working = p.key()
		}
		if b := briefs[i&(batchSize-1)]; b != nil {
			if b.is(p) && t.briefly && t.ordinary(b, s, p) {
				continue
			}
		} else if n := p.guess; n != 0 && n&isBrief == 0 {
			if r := t.records.at(n); r.plain(s) && r.current(p) {
				t.plain(n, r, s, r.side(p.fromHigh))
				continue
			}
		}
		t.add(s, p)
	}
}

// nearBytes is what a core's own cache holds. A table that takes less has nothing fetched: that
// would be a hundred instructions a segment for nothing. With farBytes of briefs the memory itself is what takes the time,
// and it is worth while to look which lines of a brief are needed: of 400,000 open connections a segment then takes
// 170 ns instead of 230.
const (
	nearBytes = 1 << 20
	farBytes  = 4 << 20
)

// reach returns how many bytes look-ups go to, and how many of those are briefs.
func (t *Table) reach() (all, briefs int) {
	const ofRecord = int(unsafe.Sizeof(record{}) + unsafe.Sizeof(deep{}))
	briefs = int(t.briefs.next) * int(unsafe.Sizeof(brief{}))
	return (len(t.index.slots)+len(t.past.slots))*int(unsafe.Sizeof(slot(0))) + int(t.records.next)*ofRecord + briefs, briefs
}

// fetchSlots asks for the index slots of the probes, and where the segments are SYNs, which it lists in t.syns,
// for those of the past and of the hosts.
func (t *Table) fetchSlots(batch []segment.Segment, probes []probe) {
	slots, mask := uintptr(unsafe.Pointer(unsafe.SliceData(t.index.slots))), t.index.mask
	syns, probes := 0, probes[:len(batch)]
	for i := range batch {
		t.lines[i] = slots + uintptr(probes[i].hash&mask)*unsafe.Sizeof(slot(0))
		t.syns[syns&(batchSize-1)] = uint8(i)
		syns += int(batch[i].Flags / segment.SYN & 1) // no branch: who knows which ones are
	}
	n := len(batch)
	for _, i := range t.syns[:syns] {
		t.lines[n], t.lines[n+1] = t.past.slotAt(probes[i].hash), t.hosts.slotAt(batch[i].Src.Addr)
		n += 2
	}
	t.nSyns = syns
	prefetchAll(&t.lines[0], n)
}

// fetch asks for the records of the probes, and for what hangs on those.
func (t *Table) fetch(batch []segment.Segment, probes []probe, briefs *[batchSize]*brief, far bool) {
	n, records := 0, uint32(0)
	for i := range probes {
		b, guess := briefs[i&(batchSize-1)], probes[i].guess
		t.lines[n&(2*batchSize-1)] = uintptr(unsafe.Pointer(b))
		n += int(one(b != nil)) // no branch: who knows which ones are
		records |= guess &^ uint32(int32(guess)>>31)
	}
	if far {
		prefetchAll(&t.lines[0], n)
		t.fetchFar(batch, briefs)
	} else {
		prefetchBriefs(&t.lines[0], n)
	}
	if !t.linesOnly {
		for _, i := range t.syns[:t.nSyns] {
			t.hosts.prefetchEntry(batch[i].Src.Addr)
		}
	}
	if records != 0 {
		t.fetchRecords(probes)
	}
}

// fetchFar asks for those of the other lines of the briefs that will be needed: where the next note goes, and how it was
// opened.
func (t *Table) fetchFar(batch []segment.Segment, briefs *[batchSize]*brief) {
	n := 0
	for i := range batch {
		b := briefs[i&(batchSize-1)]
		if b == nil {
			continue
		}
		to := unsafe.Pointer(&b.notes)
		if b.split != 0 {
			to = unsafe.Add(unsafe.Pointer(unsafe.SliceData(t.moreNotes(b))), b.used-b.split)
		}
		t.lines[n] = uintptr(to)
		n++
		if b.phase >= briefHalfClosed || b.phase == briefSyn {
			t.lines[n] = uintptr(unsafe.Pointer(&b.id))
			n++
		}
	}
	prefetchAll(&t.lines[0], n)
}

// fetchRecords asks for the records among the guesses, then for their extras.
func (t *Table) fetchRecords(probes []probe) {
	for i := range probes {
		if n := probes[i].guess; n != 0 && n&isBrief == 0 {
			prefetch4(unsafe.Pointer(t.records.at(n)))
			if !t.linesOnly {
				prefetch2(unsafe.Pointer(t.deeps.at(n)))
			}
		}
	}
	if t.linesOnly {
		return
	}
	for i := range probes {
		if n := probes[i].guess; n != 0 && n&isBrief == 0 {
			if x := t.records.at(n).extra; x != 0 {
				prefetch4(unsafe.Pointer(t.extras.at(x)))
			}
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
	if n := p.guess; n != 0 && n&isBrief == 0 && t.records.at(n).current(p) {
		return n
	}
	x, k := &t.index, p.key()
	for i := p.hash & x.mask; x.slots[i] != 0; i = (i + 1) & x.mask {
		if s := x.slots[i]; s.hash() == p.hash && t.is(s.record(), p, &k) {
			return s.record()
		}
	}
	t.enterPast()
	x = &t.past
	for i := p.hash & x.mask; x.slots[i] != 0; i = (i + 1) & x.mask {
		if s := x.slots[i]; s.hash() == p.hash && t.cold.at(s.record()).key() == k {
			return s.record()
		}
	}
	return 0
}

// is tells whether what has number n in the index is of a four-tuple.
func (t *Table) is(n uint32, p *probe, k *key) bool {
	if n&isBrief != 0 {
		return t.briefs.at(n & maxKind).is(p)
	}
	return t.records.at(n).is(k)
}

func (t *Table) hash(k *key) uint32 {
	p := t.probeOf(k)
	return p.hash
}

func (t *Table) hash4(addrs uint64, ports uint32) uint32 {
	h := fold(addrs^t.seed[0], uint64(ports)^t.seed[1])
	return uint32(h ^ h>>32)
}

func fold(a, b uint64) uint64 {
	h, l := bits.Mul64(a, b)
	return h ^ l
}
