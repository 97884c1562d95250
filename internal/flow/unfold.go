package flow

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// unfold makes a record of a brief or a cold one, and returns its number; 0 where there
// is no memory for it: then it is forgotten.
func (t *Table) unfold(n, hash uint32) uint32 {
	var b brief
	var k key
	var notes [mostUsed]byte
	var rest []byte
	old := n&kindBits == isCold
	if old {
		t.enterPast()
		t.past.remove(hash, n)
		c := t.cold.at(n)
		k, rest = c.key(), t.cold.restore(c, &b, &notes)
		c.id = 0
	} else {
		v := t.briefs.at(n & maxKind)
		k, b, rest = v.key(), *v, t.copyNotes(&notes, v)
		t.dropBrief(n&maxKind, v)
	}
	was := t.working
	t.working = k
	defer func() { t.working = was }()
	m, r := t.newRecord()
	if r == nil || old && !t.index.insert(hash, m) {
		if r != nil {
			t.records.release(m)
		} else if !old {
			t.index.remove(hash, n)
		}
		t.forgotten.Connections++
		return 0
	}
	t.neverRecords--
	r.lo, r.hi, r.loPort, r.hiPort = k.lo, k.hi, k.loPort, k.hiPort
	r.bits = bitLive
	r.id, r.firstFrame, r.firstTime = widenTo(t.connections, b.id), t.widen(b.opening[Opener].frame), b.time
	if !old {
		t.index.replace(hash, n, m)
	}
	t.relive(m, r, &reading{b: &b, notes: b.withoutWide(rest)}, &k)
	return m
}

// relive takes a brief's segments into its new record. What they showed of their hosts, and
// TIME_WAIT, was noted when they came.
func (t *Table) relive(m uint32, r *record, from *reading, k *key) {
	now := t.now
	t.reliving, t.relivingAt = true, now
	p := t.probeOf(k)
	low, high := segment.Endpoint{Addr: k.lo, Port: k.loPort}, segment.Endpoint{Addr: k.hi, Port: k.hiPort}
	swap := from.b.bits&briefSwap != 0
	at := t.places[from.b.opening[Opener].place]
	var s segment.Segment
	for first := true; ; first = false {
		e, ok := from.next(&s)
		if !ok {
			break
		}
		if p.fromHigh = (e == Opener) == swap; p.fromHigh {
			s.Src, s.Dst = high, low
		} else {
			s.Src, s.Dst = low, high
		}
		s.Frame = t.widen(uint32(s.Frame))
		s.Source, s.SourceFrame = at.source, s.Frame-at.ahead
		if t.now = s.Time; first {
			t.begin(m, r, &s, p.fromHigh)
		} else {
			t.enter(m, &s, &p)
		}
	}
	t.reliving, t.now = false, now
}

// awaited does what a brief's turn calls for: one whose handshake or close is not complete
// after all this time has a question to be asked.
func (t *Table) awaited(e event) {
	b := t.briefs.at(e.n & maxKind)
	if b.id&eventID != e.id&eventID {
		return
	}
	switch b.phase {
	case briefSyn, briefSynAck, briefClosing:
		k := b.key()
		if m := t.unfold(e.n, t.hash(&k)); m != 0 {
			t.turn(event{e.due, m, e.id})
		}
	case briefFree, briefEstablished, briefHalfClosed:
	}
}

// unfoldRest makes records of the briefs of which something is to be said at the end of
// the capture.
func (t *Table) unfoldRest() {
	for n := uint32(1); n < t.briefs.next; n++ {
		b := t.briefs.at(n)
		switch b.phase {
		case briefFree:
			continue
		case briefEstablished:
			waited := b.end[Opener].waits >= waitMost || b.end[Listener].waits >= waitMost
			if !waited && (b.end[Opener].sndNxt != b.opening[Opener].isn.Add(1) || b.end[Listener].sndNxt != b.opening[Listener].isn.Add(1) ||
				t.now-b.lastTime >= int64(time.Second)) {
				continue
			}
		case briefSyn, briefSynAck, briefHalfClosed, briefClosing:
		}
		k := b.key()
		t.unfold(n|isBrief, t.hash(&k))
	}
}
