package whatif

import (
	"maps"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// values are the settings that were given, or taken, by name.
type values map[string]parsed

func (v values) has(name string) bool { _, ok := v[name]; return ok }

// with returns a copy in which one value is another.
func (v values) with(name string, p parsed) values {
	out := maps.Clone(v)
	out[name] = p
	return out
}

func (v values) num(name string) kernel.Num { return v[name].num }

// first returns the number that another one, one behind it, gives: a number
// after the SYN from an ISN.
func (v values) first(name, isn string) kernel.Num {
	if n := v[isn].num; n.Known {
		return kernel.Known(n.Add(1))
	}
	return v[name].num
}

func (v values) shift(name string) uint8 { return uint8(v[name].num.Uint32()) }

func (v values) answer(name string) kernel.Answer { return v[name].answer }

// hasTS tells whether the connection used timestamps.
func (v values) hasTS() kernel.Answer {
	switch p := v["ts_recent"]; {
	case p.none:
		return kernel.No
	case p.num.Known:
		return kernel.Yes
	}
	return kernel.Unknown
}

// when returns a time that was given as seconds before the segment, in
// nanoseconds since the epoch; 0 where it has not happened or is not known.
func (q *Question) when(name string) int64 {
	p := q.values[name]
	if !p.set || p.never {
		return 0
	}
	return q.now() - int64(p.ago)
}
