package export

import (
	"net/netip"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// choice is which frames the findings of a report are about.
type choice struct {
	pairs  map[[2]segment.Endpoint]bool // both directions
	frames map[uint64]bool
}

// choose wants every frame that a finding names, and all of the four-tuples of its
// connections: what came before and after them tells its part.
func choose(r *report.Report) *choice {
	c := &choice{map[[2]segment.Endpoint]bool{}, map[uint64]bool{}}
	for i := range r.Connections {
		c.pair(r.Connections[i].Client, r.Connections[i].Server)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		c.pair(f.Flow.Client, f.Flow.Server)
		c.add(f.Frames...)
		for j := range f.Causes {
			for k := range f.Causes[j].Evidence {
				c.add(f.Causes[j].Evidence[k].Frames...)
			}
		}
		for j := range f.Ladder {
			c.add(f.Ladder[j].Frame)
		}
		for j := range f.Warnings {
			c.add(f.Warnings[j].Frame)
		}
	}
	delete(c.frames, 0)
	return c
}

func (c *choice) add(frames ...uint64) {
	for _, n := range frames {
		c.frames[n] = true
	}
}

func (c *choice) pair(a, b string) {
	x, errX := netip.ParseAddrPort(a)
	y, errY := netip.ParseAddrPort(b)
	if errX != nil || errY != nil {
		return
	}
	p, q := endpoint(x), endpoint(y)
	c.pairs[[2]segment.Endpoint{p, q}] = true
	c.pairs[[2]segment.Endpoint{q, p}] = true
}

func endpoint(a netip.AddrPort) segment.Endpoint {
	return segment.Endpoint{Addr: segment.AddrFromNetip(a.Addr()), Port: a.Port()}
}

// wants tells whether a frame is one of them: also an ICMP error about them.
func (c *choice) wants(frame uint64, d *capture.Dissection) bool {
	if c.frames[frame] {
		return true
	}
	if s := d.Segment; s != nil {
		return c.pairs[[2]segment.Endpoint{s.Src, s.Dst}]
	}
	for i := range d.Notes {
		n := &d.Notes[i]
		if n.Kind == segment.NoteICMP && c.pairs[[2]segment.Endpoint{n.Quoted.Src, n.Quoted.Dst}] {
			return true
		}
	}
	return false
}
