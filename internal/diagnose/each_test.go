package diagnose

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// What is told of one connection is in one part, whoever works it out: its attempt first. And each part
// begins no earlier than Before says.
func TestPartsKeepConnectionsWhole(t *testing.T) {
	e := New(&Facts{}, nil)
	add := func(id uint64, time int64, attempt bool) {
		c := &flow.Connection{ID: id, First: flow.Point{Frame: id, Time: time}, State: flow.Reset}
		e.Trouble(c)
		if attempt {
			e.Ask(c)
		}
	}
	const n = 10 * partLen
	for i := range uint64(n) {
		add(n-i, int64(n-i)/3, n-i != 1) // the first is alone, so that pairs lie across the ends of whole parts
	}
	p := e.Parts(Capture{Connections: n, SetBack: 2})
	last, seen := place{}, 0
	for part := 1; part < p.Len(); part++ {
		for i, x := range p.places[p.begin(part):p.cuts[part-1]] {
			if i == 0 && x.id == last.id {
				t.Errorf("part %d goes on with connection %d", part, x.id)
			}
			if x.id == last.id && (last.life || !x.life) {
				t.Errorf("of connection %d the attempt does not come first", x.id)
			}
			if x.time-2 < p.Before(part) || x.time < last.time {
				t.Errorf("part %d: connection %d begins at %d, before %d", part, x.id, x.time, p.Before(part))
			}
			last = x
			seen++
		}
	}
	if seen != 2*n-1 {
		t.Errorf("%d places, want %d", seen, 2*n-1)
	}
}
