package flow

import (
	"math/rand"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// TestSteadyIsPlain holds steady against the general way: of any plain segment in any state it either makes the same
// record, or nothing.
func TestSteadyIsPlain(t *testing.T) {
	story := mustStory(t, `
0.000 < S 100:100(0) win 64240 <mss 1460,TS val 900 ecr 0>
0.010 > S. 200:200(0) ack 101 win 65160 <mss 1400,TS val 5000 ecr 900>
0.011 < . 101:101(0) ack 201 win 502 <nop,nop,TS val 911 ecr 5000>
`)
	r := rand.New(rand.NewSource(1))
	one := func(of int) bool { return r.Intn(of) == 0 }
	steady, other := 0, 0
	for range 300 {
		table := NewTable(Config{LinesOnly: one(4)}, &nothing{})
		table.Add(story)
		if one(3) {
			table.records.at(1).hot[r.Intn(2)].segs = 1<<32 - 2
		}
		frame, now := uint64(3), story[2].Time
		for range 100 {
			rec := table.records.at(1)
			e := Side(r.Intn(2))
			h := &rec.hot[e]
			s := segment.Segment{Flags: segment.ACK, Seq: h.sndNxt, Ack: rec.hot[e.Other()].sndNxt, Window: 500, TTL: 64, IPID: uint16(frame)}
			frame, now = frame+1, now+int64(r.Intn(3))*int64(10*time.Microsecond)
			s.Frame, s.Time, s.Len = frame, now, uint32(r.Intn(3)*700)
			s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, h.tsVal.Add(1), rec.hot[e.Other()].tsVal
			disturb(&s, one, h)
			now = s.Time
			if rec.plain(&s) && steadyEqual(t, table, &s, e) {
				steady++
			} else {
				other++
			}
		}
		table.Close()
	}
	if steady < 10000 || other < 10000 {
		t.Errorf("%d steady segments, %d others", steady, other)
	}
}

// disturb takes now and then from a segment what makes it steady.
func disturb(s *segment.Segment, one func(int) bool, h *hotEnd) {
	switch {
	case one(30):
		s.Options = 0
	case one(30):
		s.Options = segment.OptCut
	case one(30):
		s.Seq = s.Seq.Add(^uint32(0))
	case one(30):
		s.Seq = s.Seq.Add(100)
	case one(30):
		s.Ack = s.Ack.Add(1 << 28)
	case one(30):
		s.Ack = s.Ack.Add(1 << 31)
	case one(20):
		s.Ack = h.rcvNxt
	case one(30):
		s.Window = 0
	case one(30):
		s.Len = 1 << 17
	case one(30):
		s.Doubt = segment.SeqRelative
	case one(30):
		s.Time += 50 * int64(time.Millisecond)
	case one(30):
		s.Time += 2 * int64(time.Second)
	case one(20):
		// A copy of the last one, as far as it can be told.
		s.Seq, s.Ack, s.TSVal, s.Len = h.sndNxt, h.lastAck, h.tsVal, 0
	case one(20):
		s.IPID, s.Len, s.Ack, s.Time = 0, 0, h.lastAck, h.lastTime
	}
}

// steadyEqual takes a segment of end e in, both ways if both are possible, and tells whether they are.
func steadyEqual(t *testing.T, table *Table, s *segment.Segment, e Side) bool {
	t.Helper()
	r, d := table.records.at(1), table.deep(1)
	type all struct {
		r record
		d deep
		o Observed
	}
	now := func() all { return all{*r, *d, table.observed} }
	before, print := now(), fingerprint(s)
	ok := table.steady(1, r, s, e, print)
	after := now()
	if !ok && after != before {
		t.Fatalf("not steady, and yet %+v became %+v", before, after)
	}
	*r, *d, table.observed = before.r, before.d, before.o
	table.unsteady(1, r, s, e, print)
	if general := now(); ok && !table.linesOnly && general != after {
		t.Fatalf("segment %+v\nsteady  %+v\ngeneral %+v", s, after, general)
	} else if ok && forLines(general.r) != forLines(after.r) {
		t.Fatalf("segment %+v\nsteady  %+v\ngeneral %+v", s, after.r, general.r)
	}
	return ok
}

// forLines returns a record without what nobody reads where only lines are wanted.
func forLines(r record) record {
	for e := range r.hot {
		r.hot[e].bits &^= endEcr | endEcrElse
	}
	return r
}
