package pasted

import (
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// numbered is a row on its way to a Packet.
type numbered struct {
	*row
	app      bool // an application's row, whose numbers are not told
	src, dst segment.Endpoint
	c        *conv
	dir      int
	s, a     lifted
	doubt    segment.Doubt
	window   uint16
}

// numberRows lifts the numbers of all TCP rows and fills what is missing.
func numberRows(rows []row, ends func(*row) (src, dst segment.Endpoint)) []numbered {
	l := &lifter{convs: map[pairKey]*conv{}, byHosts: map[[2]segment.Addr][]*conv{}}
	l.modes(rows)
	var out []numbered
	for i := range rows {
		r := &rows[i]
		if r.kind == kindOpaque && r.frameLen > 0 {
			n := numbered{row: r, app: true}
			n.src, n.dst = ends(r)
			out = append(out, n)
			continue
		}
		if r.kind != kindTCP {
			continue
		}
		n := numbered{row: r}
		n.src, n.dst = ends(r)
		if r.dialect == detail && r.flags == 0 && r.ack.ok && r.ack.n != 0 {
			// The tree's TCP layer is closed: what it acknowledges tells of ACK, and nothing of the rest.
			r.flags = segment.ACK
			n.doubt |= segment.FlagsUnsaid
		}
		n.c, n.dir = l.conv(n.src, n.dst)
		n.c.measure(r)
		n.s, n.a = l.lift(r, n.c, n.dir)
		n.setWindow()
		n.setOptions()
		out = append(out, n)
	}
	l.fill(out)
	return out
}

// setWindow takes back Wireshark's scaling where the SYNs tell the factor.
func (n *numbered) setWindow() {
	r, c := n.row, n.c
	if r.flags&segment.SYN != 0 {
		if r.options.Has(segment.OptWScale) {
			c.scale[n.dir] = number{uint32(min(r.wscale, 14)), true}
		} else if !r.options.Has(segment.OptCut) && r.options != 0 {
			c.noScale[n.dir] = true
		}
		if r.flags&segment.ACK != 0 && r.options.Has(segment.OptWScale) && !c.scale[n.dir^1].ok {
			c.noScale[n.dir^1] = false // it must have been offered
		}
	}
	switch {
	case !r.win.ok:
		// No reader shall take a missing number for a closed window.
		n.doubt |= segment.WindowUnsaid
		if n.window = c.window[n.dir]; n.window == 0 && r.flags&segment.RST == 0 {
			n.window = 65535
		}
		return
	case !r.scaled || r.win.n == 0 || c.noScale[0] || c.noScale[1]:
		n.window = uint16(min(r.win.n, 65535))
	case c.scale[n.dir].ok && r.win.n>>c.scale[n.dir].n<<c.scale[n.dir].n == r.win.n && r.win.n>>c.scale[n.dir].n <= 65535:
		n.window = uint16(r.win.n >> c.scale[n.dir].n)
	default:
		n.window = uint16(min(r.win.n, 65535))
		n.doubt |= segment.WindowUnsaid
	}
	if r.flags&segment.RST == 0 {
		c.window[n.dir] = n.window
	}
}

// setOptions notes where options were left out by hand: no SYN is without any, and
// an RST hardly ever has some.
func (n *numbered) setOptions() {
	r := n.row
	if r.flags&segment.SYN != 0 {
		n.c.cutOptions = r.options&^segment.OptCut == 0 && !r.noOptions
	}
	if n.c.cutOptions && r.options == 0 && r.flags&segment.RST == 0 {
		r.options |= segment.OptCut
	}
}

// fill works out the numbers that the text does not tell, from what the same
// end sent before, then from what its peer acknowledged, then from what follows.
func (l *lifter) fill(rows []numbered) {
	for i := range rows {
		n := &rows[i]
		if n.app && !l.place(rows, i) {
			continue
		}
		c := n.c
		syn := n.flags&segment.SYN != 0
		if !n.len.ok || n.app {
			n.doubt |= segment.LenUnsaid
		}
		if !n.s.ok {
			n.s = c.next[n.dir]
			if syn && n.flags&segment.ACK == 0 || !n.s.ok {
				n.s = ahead(behind(rows, i), c, n.dir, syn)
			}
			if !n.s.ok {
				c.invent(n.dir)
				n.s = lifted{c.base[n.dir], true, true}
			}
			n.doubt |= segment.SeqUnsaid
		}
		if n.flags&segment.ACK != 0 && !n.a.ok {
			o := n.dir ^ 1
			if n.a = c.next[o]; !n.a.ok {
				n.a = ahead(behind(rows, i), c, o, false)
			}
			if !n.a.ok {
				c.invent(o)
				n.a = lifted{c.base[o] + 1, true, true}
				c.next[o] = n.a
			}
			n.doubt |= segment.AckUnsaid
		}
		if n.s.relative {
			n.doubt |= segment.SeqRelative
		}
		if n.a.relative && n.flags&segment.ACK != 0 {
			n.doubt |= segment.AckRelative
		}
		c.advance(n)
	}
}

// advance notes how far the row's end has come.
func (c *conv) advance(n *numbered) {
	end := n.s.n + n.len.n
	if n.flags&segment.SYN != 0 {
		end++
	}
	if n.flags&segment.FIN != 0 {
		end++
	}
	x := &c.next[n.dir]
	if !x.ok || n.flags&segment.SYN != 0 || n.flags&segment.RST == 0 && seq.Of(end).After(seq.Of(x.n)) {
		*x = lifted{end, true, n.s.relative}
	}
	if o := &c.next[n.dir^1]; !o.ok && n.flags&segment.ACK != 0 {
		*o = n.a
	}
}

// ahead looks in the rows that follow for the number of an end.
func ahead(rows []numbered, c *conv, dir int, syn bool) lifted {
	for i := range rows {
		n := &rows[i]
		if n.c != c || n.app {
			continue
		}
		back := uint32(0)
		if syn {
			back = 1
		}
		switch {
		case n.dir == dir && n.s.ok:
			if syn && n.flags&segment.SYN != 0 {
				back = 0
			}
			return lifted{n.s.n - back, true, n.s.relative}
		case n.dir != dir && n.a.ok && n.flags&segment.ACK != 0:
			return lifted{n.a.n - back, true, n.a.relative}
		}
	}
	return lifted{}
}

// packet makes the Packet of a row.
func (n *numbered) packet() Packet {
	r := n.row
	p := Packet{Line: r.line, LastLine: r.last, Labels: r.labels, Wire: segment.Wire{
		Known: r.hasIP || r.srcMAC != segment.MAC{}, SrcMAC: r.srcMAC, DstMAC: r.dstMAC, DF: r.df, IPLen: r.ipLen, Length: r.frameLen,
	}}
	s := &p.Segment
	s.Src, s.Dst, s.Flags, s.Window, s.Doubt = n.src, n.dst, r.flags, n.window, n.doubt
	s.Seq, s.Len, s.Urgent = seq.Of(n.s.n), r.len.n, uint16(min(r.urg.n, 65535))
	if n.a.ok && (r.flags&segment.ACK != 0 || r.ack.ok || r.ackRaw.ok) {
		s.Ack = seq.Of(n.a.n)
	}
	s.Options, s.MSS, s.WScale, s.NSACK = r.options, r.mss, r.wscale, r.nsack
	if r.hasTS {
		s.TSVal, s.TSEcr = seq.Of(r.tsval), seq.Of(r.tsecr)
	}
	for i := range int(r.nsack) {
		s.SACK[i] = segment.SACKBlock{Left: n.block(r.sack[i][0]), Right: n.block(r.sack[i][1])}
	}
	s.Time, s.Interface, s.Way, s.VLAN, s.Tunnel = r.time, r.section, r.way, r.vlan, r.tunnel
	if r.timeUnsaid {
		s.Doubt |= segment.TimeUnsaid
	}
	if r.hasIP {
		s.TTL, s.TOS, s.IPID = r.ttl, r.tos, r.ipid
	} else {
		s.Doubt |= segment.IPUnsaid
	}
	return p
}

// block lifts an edge of a SACK block: it counts from where Ack does.
func (n *numbered) block(v uint32) seq.Num {
	raw := n.ack
	if !n.a.ok || !raw.ok {
		return seq.Of(v)
	}
	return seq.Of(v + n.a.n - raw.n)
}
