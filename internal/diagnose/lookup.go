package diagnose

import (
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// lookup is what findings ask of all connections together, put in order once for all of them:
// there may be millions of both. A part is nil until it is asked for; pair forgets it all.
type lookup struct {
	// hanging are, by listener, the times of the SYN-ACKs whose handshakes were not completed, sorted.
	hanging map[segment.Endpoint][]int64
	// bare are, by server, the frames of SYN-ACKs without the options that the SYN offered, sorted.
	bare map[segment.Addr][]uint64
	// starts are, by host, the handshakes of troubled connections in which its own part was seen.
	starts map[segment.Addr][]start
	// findings are the first indexed of those found so far, by their connections.
	findings map[uint64][]*finding
	indexed  int
}

// start is a handshake, and which side of it a host is.
type start struct {
	c    *flow.Connection
	side flow.Side
}

// hangingAt counts the handshakes with a listener that were answered in the minute before a
// time and not completed.
func (e *Engine) hangingAt(listener segment.Endpoint, now int64) int {
	x := &e.lookup
	if x.hanging == nil {
		x.hanging = map[segment.Endpoint][]int64{}
		for _, c := range e.asked {
			if l := &c.Ends[flow.Listener]; c.State == flow.SynAcked {
				x.hanging[l.Endpoint] = append(x.hanging[l.Endpoint], l.ISN.Time)
			}
		}
		for _, times := range x.hanging {
			slices.Sort(times)
		}
	}
	times := x.hanging[listener]
	from, _ := slices.BinarySearch(times, now-int64(time.Minute)+1)
	to, _ := slices.BinarySearch(times, now)
	return max(to-from, 0)
}

// bareBefore returns the frames before one in which a server answered SYNs without the
// options that they offered, as cookies without timestamps do.
func (e *Engine) bareBefore(server segment.Addr, before uint64) []uint64 {
	x := &e.lookup
	if x.bare == nil {
		x.bare = map[segment.Addr][]uint64{}
		for _, c := range e.asked {
			o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
			if l.ISN.Seen() && !l.ISNImplied && o.WScaleOffered && o.SACKOffered && !o.TSOffered && !l.WScaleOffered && !l.SACKOffered {
				x.bare[l.Addr] = append(x.bare[l.Addr], l.ISN.Frame)
			}
		}
		for _, frames := range x.bare {
			slices.Sort(frames)
		}
	}
	frames := x.bare[server]
	n, _ := slices.BinarySearch(frames, before)
	return frames[:n:n]
}

// startsOf returns the handshakes of a host in connections that call for a reason, in the order
// in which they were handed over.
func (e *Engine) startsOf(a segment.Addr) []start {
	x := &e.lookup
	if x.starts == nil {
		x.starts = map[segment.Addr][]start{}
		for _, c := range e.troubled {
			for s := range c.Ends {
				if v := &c.Ends[s]; v.ISN.Seen() && !v.ISNImplied {
					x.starts[v.Addr] = append(x.starts[v.Addr], start{c, flow.Side(s)})
				}
			}
		}
	}
	return x.starts[a]
}

// findingsOf returns the findings about a connection among all that were found so far. Of these
// there may be more at each call.
func (x *lookup) findingsOf(id uint64, all []*finding) []*finding {
	if x.findings == nil {
		x.findings = map[uint64][]*finding{}
	}
	for ; x.indexed < len(all); x.indexed++ {
		f := all[x.indexed]
		x.findings[f.c.ID] = append(x.findings[f.c.ID], f)
	}
	return x.findings[id]
}
