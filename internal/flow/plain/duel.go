package plain

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Duel is a flow.Table and a Table that are fed the same. It answers as flow's
// does, hands its sink what flow's hands out, and remembers the first difference.
type Duel struct {
	fast *flow.Table
	slow *Table
	sink flow.Sink
	told []call // what slow handed out and fast did not yet
	n    int    // calls so far

	// Difference is the first one, in words; "" while there is none.
	Difference string
}

// call is a call of a Sink.
type call struct {
	what string
	c    *flow.Connection
}

// NewDuel returns two empty tables; what they agree on goes to sink.
func NewDuel(cfg flow.Config, sink flow.Sink) *Duel {
	d := &Duel{sink: sink}
	d.fast, d.slow = flow.NewTable(cfg, judge{d}), NewTable(cfg, teller{d})
	return d
}

// Add takes in the next segments of the capture.
func (d *Duel) Add(batch []segment.Segment) {
	d.slow.Add(batch)
	d.fast.Add(batch)
	d.rest()
}

// Mark marks the connection in both tables.
func (d *Duel) Mark(a, b segment.Endpoint) {
	d.slow.Mark(a, b)
	d.fast.Mark(a, b)
}

// Close closes both tables.
func (d *Duel) Close() {
	d.slow.Close()
	d.fast.Close()
	d.rest()
	if a, b := d.fast.Overflow(), d.slow.Overflow(); a != b {
		d.differ("overflow: flow %+v, plain %+v", a, b)
	}
}

// Connections returns how many connections were seen so far.
func (d *Duel) Connections() uint64 {
	a, b := d.fast.Connections(), d.slow.Connections()
	if a != b {
		d.differ("connections: flow %d, plain %d", a, b)
	}
	return a
}

// Observed returns what was seen of the capture as a whole so far.
func (d *Duel) Observed() flow.Observed {
	a, b := d.fast.Observed(), d.slow.Observed()
	if a != b {
		d.differ("observed: flow %+v, plain %+v", a, b)
	}
	return a
}

// Host returns what an address showed of its kernel so far.
func (d *Duel) Host(x segment.Addr) (flow.Host, bool) {
	a, ok := d.fast.Host(x)
	b, is := d.slow.Host(x)
	if ok != is || !reflect.DeepEqual(a, b) {
		d.differ("host %v: flow %+v, plain %+v", x, a, b)
	}
	return a, ok
}

// Closings returns the last TIME_WAIT entries of a server towards a client.
func (d *Duel) Closings(server, client segment.Addr) []flow.TimeWait {
	a, b := d.fast.Closings(server, client), d.slow.Closings(server, client)
	if !slices.Equal(a, b) {
		d.differ("closings of %v towards %v: flow %+v, plain %+v", server, client, a, b)
	}
	return a
}

func (d *Duel) differ(format string, args ...any) {
	if d.Difference == "" {
		d.Difference = fmt.Sprintf(format, args...)
	}
}

// teller is slow's sink.
type teller struct{ d *Duel }

func (k teller) tell(what string, c *flow.Connection) {
	k.d.told = append(k.d.told, call{what, whole(c)})
}

func (k teller) Ended(c *flow.Connection)    { k.tell("ended", c) }
func (k teller) Asked(c *flow.Connection)    { k.tell("asked", c) }
func (k teller) Troubled(c *flow.Connection) { k.tell("troubled", c) }

// judge is fast's sink.
type judge struct{ d *Duel }

func (k judge) Ended(c *flow.Connection) {
	k.d.compare("ended", c)
	k.d.sink.Ended(c)
}

func (k judge) Asked(c *flow.Connection) {
	k.d.compare("asked", c)
	k.d.sink.Asked(c)
}

func (k judge) Troubled(c *flow.Connection) {
	k.d.compare("troubled", c)
	k.d.sink.Troubled(c)
}

// compare holds a call of fast against the next one of slow.
func (d *Duel) compare(what string, c *flow.Connection) {
	d.n++
	if d.Difference != "" {
		return
	}
	a := whole(c)
	if len(d.told) == 0 {
		d.differ("call %d: plain makes none, flow %s\n%+v", d.n, what, *a)
		return
	}
	b := d.told[0]
	d.told = d.told[1:]
	if what != b.what || !reflect.DeepEqual(a, b.c) {
		d.differ("call %d: flow %s, plain %s\n%s", d.n, what, b.what, difference(a, b.c))
	}
}

// rest tells what slow handed out beyond fast.
func (d *Duel) rest() {
	if len(d.told) > 0 {
		d.differ("call %d: flow makes none, plain %s\n%+v", d.n+1, d.told[0].what, *d.told[0].c)
	}
	d.told = nil
}

// whole returns a copy of a connection and its past, in which an empty list is nil.
func whole(c *flow.Connection) *flow.Connection {
	v := *c
	v.Frames, v.Troubles = append([]flow.Frame(nil), c.Frames...), append([]flow.Frame(nil), c.Troubles...)
	// A frame that was not kept has no place in its file: flow tells a wrong one from frame 2^32 on.
	for i := range v.Troubles {
		if v.Troubles[i].Rebuilt {
			v.Troubles[i].SourceFrame = 0
		}
	}
	v.Held.ACK.SourceFrame = 0
	if c.Previous != nil {
		v.Previous = whole(c.Previous)
	}
	return &v
}

// difference names the fields in which two connections differ.
func difference(a, b *flow.Connection) string {
	var out string
	var walk func(path string, x, y reflect.Value)
	walk = func(path string, x, y reflect.Value) {
		switch {
		case !x.CanInterface() || reflect.DeepEqual(x.Interface(), y.Interface()):
			return
		case x.Kind() == reflect.Pointer && !x.IsNil() && !y.IsNil():
			walk(path, x.Elem(), y.Elem())
			return
		case x.Kind() == reflect.Slice && x.Len() == y.Len(), x.Kind() == reflect.Array:
			for i := range x.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), x.Index(i), y.Index(i))
			}
			return
		case x.Kind() == reflect.Struct && x.Type() != reflect.TypeFor[seq.Num]():
			for i := range x.NumField() {
				walk(path+"."+x.Type().Field(i).Name, x.Field(i), y.Field(i))
			}
			return
		}
		out += fmt.Sprintf("  %s: flow %v, plain %v\n", path, x, y)
	}
	walk(fmt.Sprint("connection ", a.ID, "/", b.ID), reflect.ValueOf(a), reflect.ValueOf(b))
	return out
}
