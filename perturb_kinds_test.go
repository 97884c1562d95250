package tcpwhy_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// trace is a capture that can be spoilt: its records, and for each what it was before.
type trace struct {
	head    []byte
	records []record
}

type record struct {
	b       []byte // with the header of the record
	was     uint64 // the frame in the whole capture, from 1
	toward  bool   // to the server
	another bool   // neither of the two directions: no TCP
}

const (
	recordHeader = 16
	nanoMagic    = 0xa1b23c4d
)

// newTrace takes a capture apart. server tells which end a segment comes from.
func newTrace(pcap []byte, server func(segment.Endpoint) bool) (*trace, error) {
	head, records, err := split(pcap)
	if err != nil {
		return nil, err
	}
	t := &trace{head: head}
	for i, b := range records {
		t.records = append(t.records, record{b: b, was: uint64(i) + 1, another: true})
	}
	err = eachSegment(pcap, func(s segment.Segment) {
		if s.Frame > 0 && s.Frame <= uint64(len(t.records)) {
			r := &t.records[s.Frame-1]
			r.another, r.toward = false, server(s.Dst)
		}
	})
	return t, err
}

// clone copies what the kinds of perturbation change.
func (t *trace) clone() *trace {
	return &trace{head: t.head, records: slices.Clone(t.records)}
}

func (t *trace) bytes() []byte {
	out := slices.Clone(t.head)
	for i := range t.records {
		out = append(out, t.records[i].b...)
	}
	return out
}

// now returns the places, from 1, of what was the given frame.
func (t *trace) now(was uint64) (all []uint64) {
	for i := range t.records {
		if t.records[i].was == was {
			all = append(all, uint64(i)+1)
		}
	}
	return all
}

// unit is how many nanoseconds the fraction in a record's header counts.
func (t *trace) unit() int64 {
	if binary.LittleEndian.Uint32(t.head) == nanoMagic {
		return 1
	}
	return 1000
}

func (t *trace) time(i int) int64 {
	b := t.records[i].b
	return int64(binary.LittleEndian.Uint32(b))*1e9 + int64(binary.LittleEndian.Uint32(b[4:]))*t.unit()
}

func (t *trace) setTime(i int, ns int64) {
	b := slices.Clone(t.records[i].b) // the whole capture holds the bytes, too
	binary.LittleEndian.PutUint32(b, uint32(ns/1e9))
	binary.LittleEndian.PutUint32(b[4:], uint32(ns%1e9/t.unit()))
	t.records[i].b = b
}

// kind is one way in which a capture comes out worse than the wire was.
type kind struct {
	name string
	do   func(*trace, *rand.Rand)
}

// kinds are what happens to captures: a busy tap, a mirror, a snap length, routes that
// differ by direction, a start too late, two clocks.
var kinds = []kind{
	{"drop frames", dropFrames},
	{"swap neighbours", swapNeighbours},
	{"duplicate frames", duplicateFrames},
	{"cut to 64 bytes", cutFrames},
	{"one direction", oneDirection},
	{"from the middle", fromTheMiddle},
	{"clock of one direction", shiftClock},
}

// some returns 1 to 5 % of n places, at least one where there is any, in order.
func some(n int, rnd *rand.Rand) []int {
	if n <= 0 {
		return nil
	}
	share := 0.01 + 0.04*rnd.Float64()
	all := rnd.Perm(n)[:max(1, int(share*float64(n)+0.5))]
	slices.Sort(all)
	return all
}

func dropFrames(t *trace, rnd *rand.Rand) {
	away := some(len(t.records), rnd)
	for i := len(away) - 1; i >= 0; i-- {
		t.records = slices.Delete(t.records, away[i], away[i]+1)
	}
}

// swapNeighbours: either the queue of the capture mixes frames with their times, or
// before they were given any.
func swapNeighbours(t *trace, rnd *rand.Rand) {
	stamped := rnd.IntN(2) == 0
	for _, i := range some(len(t.records)-1, rnd) {
		first, second := t.time(i), t.time(i+1)
		t.records[i], t.records[i+1] = t.records[i+1], t.records[i]
		if !stamped {
			t.setTime(i, first)
			t.setTime(i+1, second)
		}
	}
}

// duplicateFrames: a copy is at once behind the frame, up to a millisecond later.
func duplicateFrames(t *trace, rnd *rand.Rand) {
	twice := some(len(t.records), rnd)
	if rnd.IntN(4) == 0 { // a mirror shows every frame twice
		twice = nil
		for i := range t.records {
			twice = append(twice, i)
		}
	}
	for i := len(twice) - 1; i >= 0; i-- {
		at := twice[i]
		later := t.time(at) + rnd.Int64N(1e6)
		if at+1 < len(t.records) {
			later = max(t.time(at), min(later, t.time(at+1)))
		}
		t.records = slices.Insert(t.records, at+1, t.records[at])
		t.setTime(at+1, later)
	}
}

func cutFrames(t *trace, _ *rand.Rand) {
	const most = 64
	for i := range t.records {
		b := t.records[i].b
		if len(b) <= recordHeader+most {
			continue
		}
		b = slices.Clone(b[:recordHeader+most])
		binary.LittleEndian.PutUint32(b[8:], most)
		t.records[i].b = b
	}
}

func oneDirection(t *trace, rnd *rand.Rand) {
	toward := rnd.IntN(2) == 0
	t.records = slices.DeleteFunc(t.records, func(r record) bool { return !r.another && r.toward == toward })
}

func fromTheMiddle(t *trace, rnd *rand.Rand) {
	if n := len(t.records); n > 1 {
		t.records = t.records[1+rnd.IntN(n-1):]
	}
}

// shiftClock moves one direction by up to 50 ms, as two captures do that were merged by
// their times, or merged by order of arrival.
func shiftClock(t *trace, rnd *rand.Rand) {
	toward := rnd.IntN(2) == 0
	by := int64(50e6)
	switch rnd.IntN(3) {
	case 0:
		by = -by
	case 1:
		by = rnd.Int64N(2*by+1) - by
	}
	type timed struct {
		record
		at int64
	}
	all := make([]timed, len(t.records))
	for i := range t.records {
		at := t.time(i)
		if t.records[i].toward == toward {
			at = max(0, at+by)
			t.setTime(i, at)
		}
		all[i] = timed{t.records[i], at}
	}
	if rnd.IntN(4) == 0 {
		return // not sorted
	}
	slices.SortStableFunc(all, func(a, b timed) int { return int(a.at - b.at) })
	for i := range all {
		t.records[i] = all[i].record
	}
}

// TestPerturbationKinds: each kind does what its name says, and leaves the trace that it
// was made from as it was.
func TestPerturbationKinds(t *testing.T) {
	whole := &trace{head: make([]byte, 24)}
	binary.LittleEndian.PutUint32(whole.head, nanoMagic)
	for i := range 40 {
		b := make([]byte, recordHeader+54+i)
		binary.LittleEndian.PutUint32(b, uint32(100+i))
		binary.LittleEndian.PutUint32(b[8:], uint32(54+i))
		binary.LittleEndian.PutUint32(b[12:], uint32(54+i))
		whole.records = append(whole.records, record{b: b, was: uint64(i) + 1, toward: i%2 == 0})
	}
	before := whole.bytes()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, k := range kinds {
		for range 50 {
			got := whole.clone()
			k.do(got, rnd)
			n, moved := len(got.records), 0
			for i := range got.records {
				r := &got.records[i]
				if d := got.time(i) - (99+int64(r.was))*1e9; d != 0 {
					moved++
				}
				if _, _, err := split(got.bytes()); err != nil {
					t.Fatalf("%s: record %d: %v", k.name, i+1, err)
				}
			}
			var ok bool
			switch k.name {
			case "drop frames":
				ok = n == 38 || n == 39
			case "swap neighbours":
				ok = n == 40 && !slices.IsSortedFunc(got.records, func(a, b record) int { return int(a.was) - int(b.was) })
			case "duplicate frames":
				ok = n == 41 || n == 42 || n == 80
			case "cut to 64 bytes":
				ok = n == 40 && len(got.records[39].b) == recordHeader+64 && len(got.records[5].b) == recordHeader+59
			case "one direction":
				ok = n == 20 && got.records[0].toward == got.records[19].toward
			case "from the middle":
				ok = n >= 1 && n < 40 && got.records[n-1].was == 40
			case "clock of one direction":
				ok = n == 40 && (moved == 20 || moved == 0)
			}
			if !ok {
				t.Errorf("%s: %d records, %d moved in time", k.name, n, moved)
			}
		}
	}
	if string(whole.bytes()) != string(before) {
		t.Error("the whole trace has changed")
	}
}
