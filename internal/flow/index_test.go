package flow

import (
	"math/rand"
	"sort"
	"testing"
	"unsafe"
)

// The hash has few bits here, so that homes collide, runs wrap round the end
// and deletions move others back.
func TestIndexAgainstMap(t *testing.T) {
	for seed := range int64(20) {
		r := rand.New(rand.NewSource(seed))
		var x index
		x.heap = true
		x.init()
		want := map[uint32]uint32{} // record -> hash
		spread := uint32(1) << (3 + r.Intn(20))
		for n := uint32(1); n < 6000; n++ {
			if h := r.Uint32() % spread * 2654435761; r.Intn(3) > 0 {
				x.insert(h, n)
				want[n] = h
				continue
			}
			for old, h := range want {
				if r.Intn(2) == 0 {
					x.remove(h, old)
				} else {
					x.replace(h, old, n)
					want[n] = h
				}
				delete(want, old)
				break
			}
		}
		if x.used != len(want) {
			t.Fatalf("seed %d: used %d, want %d", seed, x.used, len(want))
		}
		for n, h := range want {
			if _, ok := x.find(h, n); !ok {
				t.Fatalf("seed %d: record %d is lost", seed, n)
			}
		}
		full := 0
		for _, s := range x.slots {
			if s != 0 {
				full++
			}
		}
		if full != len(want) {
			t.Fatalf("seed %d: %d slots are full, want %d", seed, full, len(want))
		}
	}
}

// Removing what is not there changes nothing.
func TestIndexRemoveAbsent(t *testing.T) {
	var x index
	x.init()
	x.insert(7, 1)
	x.remove(7, 2)
	x.remove(8, 1)
	if _, ok := x.find(7, 1); !ok || x.used != 1 {
		t.Fatal("the wrong record was removed")
	}
}

func TestSlabReuse(t *testing.T) {
	var m arena
	defer m.drop()
	s := slab[record]{mem: &m}
	seen := map[uint32]*record{}
	for range 3000 {
		n, e := s.alloc()
		if n == 0 || seen[n] != nil {
			t.Fatalf("element %d is handed out twice", n)
		}
		if *e != (record{}) {
			t.Fatalf("element %d is not zeroed", n)
		}
		e.endedTime, e.ended = -1, 1
		seen[n] = e
	}
	for n := range seen {
		s.release(n)
	}
	if s.used != 0 {
		t.Fatal("used", s.used)
	}
	for range 3000 {
		n, e := s.alloc()
		if seen[n] != e || *e != (record{}) {
			t.Fatalf("element %d comes back at another place or not zeroed", n)
		}
		delete(seen, n)
	}
	if s.next != 3001 {
		t.Fatalf("%d elements were made for 3000 in use", s.next-1)
	}
}

func TestArena(t *testing.T) {
	var m arena
	defer m.drop()
	for _, n := range []int{1, 64, 65, arenaSize/2 - 1, arenaSize / 2, arenaSize, 3 * arenaSize, 100} {
		b := m.take(n)
		if len(b) < n || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%64 != 0 {
			t.Fatalf("%d bytes: got %d", n, len(b))
		}
		b[0], b[n-1] = 1, 1
	}
}

// Events come out in the order of their time, and in that of the rows or of age where
// that is equal.
func TestQueueOrder(t *testing.T) {
	for seed := range int64(20) {
		r := rand.New(rand.NewSource(seed))
		var m arena
		q := queue{blocks: slab[eventBlock]{mem: &m}}
		var got, want []event
		now, id := int64(0), uint32(0)
		for range 5000 {
			now += int64(r.Intn(3))
			if seed%2 == 1 && r.Intn(40) == 0 {
				now += int64(r.Intn(3)) << 31 // a block holds less than 2^32
			}
			id++
			e := event{due: now + 100, n: id, id: id}
			switch r.Intn(4) {
			case 0:
				e.due += int64(r.Intn(500))
				q.delay(e)
				want = append(want, e)
			case 1:
				of := endedRow + r.Intn(2)
				e.due -= 40 * int64(of)
				if !q.push(e, of) {
					t.Fatal("no memory")
				}
				want = append(want, e)
			default:
				if !q.push(e, quietRow) {
					t.Fatal("no memory")
				}
				want = append(want, e)
			}
			for {
				e, _, ok := q.pop(now)
				if !ok {
					break
				}
				if e.due > now {
					t.Fatalf("due %d at %d", e.due, now)
				}
				got = append(got, e)
			}
			if due := q.nextDue(); due <= now {
				t.Fatalf("%d is due at %d, and stays", due, now)
			}
		}
		for {
			e, _, ok := q.pop(1 << 62)
			if !ok {
				break
			}
			got = append(got, e)
		}
		sort.SliceStable(want, func(i, j int) bool { return want[i].due < want[j].due })
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d events, want %d", seed, len(got), len(want))
		}
		for i := range got {
			if got[i].due != want[i].due {
				t.Fatalf("seed %d: event %d is due at %d, want %d", seed, i, got[i].due, want[i].due)
			}
		}
		if int(q.blocks.used) > len(q.rows) {
			t.Fatalf("%d blocks are held by an empty queue", q.blocks.used)
		}
		m.drop()
	}
}

// An array that became too small is memory for others, and no longer the index's.
func TestIndexGivesOldArrays(t *testing.T) {
	a := new(arena)
	defer a.drop()
	x := index{mem: a}
	x.init()
	defer x.drop()
	const n = 1 << 19
	for i := uint32(1); i <= n; i++ {
		if !x.insert(i*2654435761, i) {
			t.Fatal("no memory")
		}
	}
	given := 0
	for len(a.spare) > 0 {
		b := a.take(coldBlock)
		for i := range b {
			if b[i] != 0 {
				t.Fatal("a piece is not cleared")
			}
			b[i] = 0xff
		}
		given++
	}
	if given < 8*(1<<18)/coldBlock {
		t.Errorf("%d pieces were given", given)
	}
	for i := uint32(1); i <= n; i++ {
		if _, ok := x.find(i*2654435761, i); !ok {
			t.Fatalf("record %d is lost", i)
		}
	}
	bounded := index{mem: &arena{limit: 1 << 20}}
	bounded.init()
	defer bounded.drop()
	for i := uint32(1); i <= n; i++ {
		bounded.insert(i*2654435761, i)
	}
	if len(bounded.mem.spare)+len(bounded.mem.maps) != 0 {
		t.Error("an arena with a limit was given what its limit does not count")
	}
}
