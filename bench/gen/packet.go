package main

import "encoding/binary"

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// The writer keeps its first error until Flush, so that single writes need no check.
func (g *gen) write(b []byte) {
	g.w.Write(b)
	g.bytes += int64(len(b))
}

func (g *gen) fileHeader() {
	var b []byte
	if !g.c.ng {
		magic := uint32(0xa1b2c3d4)
		if g.c.nano {
			magic = 0xa1b23c4d
		}
		b = le.AppendUint32(b, magic)
		b = le.AppendUint16(b, 2)
		b = le.AppendUint16(b, 4)
		b = le.AppendUint64(b, 0)
		b = le.AppendUint32(b, uint32(g.c.snap))
		b = le.AppendUint32(b, 1)
		g.write(b)
		return
	}
	b = le.AppendUint32(b, 0x0a0d0d0a) // section header
	b = le.AppendUint32(b, 28)
	b = le.AppendUint32(b, 0x1a2b3c4d)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, ^uint64(0))
	b = le.AppendUint32(b, 28)
	res := byte(6)
	if g.c.nano {
		res = 9
	}
	b = le.AppendUint32(b, 1) // interface description
	b = le.AppendUint32(b, 32)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, uint32(g.c.snap))
	b = le.AppendUint16(b, 9) // if_tsresol
	b = le.AppendUint16(b, 1)
	b = append(b, res, 0, 0, 0)
	b = le.AppendUint32(b, 0) // end of options
	b = le.AppendUint32(b, 32)
	g.write(b)
}

// ends are the addresses and ports of a connection: client and client port are
// different for every four-tuple number.
type ends struct {
	client, server int
	cport, sport   uint16
	hash           uint64
}

func (g *gen) endsOf(c *conn) ends {
	h := mix(uint64(c.id) ^ 0x5bd1e995)
	cl := int(c.id) % g.c.clients
	sv := int(h>>8) % g.c.servers
	if sv < 0 {
		sv = -sv
	}
	return ends{
		client: cl, server: sv, hash: h,
		cport: 32768 + uint16((int(c.id)/g.c.clients+int(mix(uint64(cl))%28000))%28000),
		// Ports that no dissector claims: the payload is noise.
		sport: [8]uint16{20443, 20443, 20443, 20443, 20080, 20080, 20022, 28080}[h&7],
	}
}

// emit writes a packet.
func (g *gen) emit(c *conn, p *pkt) {
	g.now += uint64(1 + g.r.n(2*g.c.gap))
	e := g.endsOf(c)
	b := g.buf[:0]
	if p.dir == 0 {
		b = append(b, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2)
	} else {
		b = append(b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1)
	}
	var opt [40]byte
	o := g.options(opt[:0], c, p, e.hash)
	b = g.ipHeader(b, c, p, &e, 20+len(o)+int(p.plen))
	b = g.segment(b, c, p, &e, o)
	full := len(b)
	b = b[:min(len(b), g.c.snap)]
	g.buf = b[:0]
	g.record(b, full)
	g.packets++
}

// options appends the TCP options of a packet.
func (g *gen) options(o []byte, c *conn, p *pkt, hash uint64) []byte {
	syn := p.flags&flagSYN != 0
	if syn {
		mss := uint16(1460)
		if c.v6 {
			mss = 1440
		}
		o = append(o, 2, 4, byte(mss>>8), byte(mss), 4, 2) // MSS, SACK permitted
		if !g.c.ts {
			o = append(o, 1, 1)
		}
	}
	if g.c.ts {
		if !syn {
			o = append(o, 1, 1)
		}
		v := uint32(hash>>(p.dir*8)) + uint32(g.now/1e6)
		echo := c.lastTS[1-p.dir]
		if p.flags&flagACK == 0 {
			echo = 0
		}
		o = append(o, 8, 10)
		o = be.AppendUint32(o, v)
		o = be.AppendUint32(o, echo)
		c.lastTS[p.dir] = v
	}
	if syn {
		o = append(o, 1, 3, 3, 7) // window scale
	}
	if p.sackR != p.sackL {
		o = append(o, 1, 1, 5, 10)
		o = be.AppendUint32(o, p.sackL)
		o = be.AppendUint32(o, p.sackR)
	}
	return o
}

// ipHeader appends the EtherType and the IP header for a TCP segment of tcpLen bytes.
func (g *gen) ipHeader(b []byte, c *conn, p *pkt, e *ends, tcpLen int) []byte {
	cl, sv := e.client, e.server
	if c.v6 {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(tcpLen))
		b = append(b, 6, 64)
		ca := [16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, byte(cl >> 8), byte(cl)}
		sa := [16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, byte(sv >> 8), byte(sv)}
		if p.dir == 0 {
			return append(append(b, ca[:]...), sa[:]...)
		}
		return append(append(b, sa[:]...), ca[:]...)
	}
	b = append(b, 8, 0)
	ip := len(b)
	b = append(b, 0x45, 0)
	b = be.AppendUint16(b, uint16(20+tcpLen))
	b = be.AppendUint16(b, uint16(g.packets))
	b = append(b, 0x40, 0, 64, 6, 0, 0)
	ca := [4]byte{10, 1, byte(cl >> 8), byte(cl)}
	sa := [4]byte{198, 18, byte(sv >> 8), byte(sv)}
	if p.dir == 0 {
		b = append(append(b, ca[:]...), sa[:]...)
	} else {
		b = append(append(b, sa[:]...), ca[:]...)
	}
	be.PutUint16(b[ip+10:], ^fold(sum(b[ip:ip+20], 0)))
	return b
}

// segment appends the TCP header, the options and the payload.
func (g *gen) segment(b []byte, c *conn, p *pkt, e *ends, o []byte) []byte {
	tcp := len(b)
	from, to := e.cport, e.sport
	if p.dir == 1 {
		from, to = to, from
	}
	b = be.AppendUint16(b, from)
	b = be.AppendUint16(b, to)
	b = be.AppendUint32(b, p.seq)
	b = be.AppendUint32(b, p.ack)
	win := uint16(502)
	if p.flags&flagSYN != 0 {
		win = 64240
	}
	b = append(b, byte((20+len(o))/4<<4), p.flags)
	b = be.AppendUint16(b, win)
	b = append(b, 0, 0, 0, 0)
	b = append(b, o...)
	// The payload depends on the sequence number, so that a retransmission
	// carries the same bytes.
	if p.plen > 0 {
		off := int(p.seq*2654435761>>17) & (1<<15 - 1)
		b = append(b, g.noise[off:off+int(p.plen)]...)
	}
	if g.c.cksum {
		addrs := 8
		if c.v6 {
			addrs = 32
		}
		s := sum(b[tcp-addrs:tcp], 0) + 6 + uint64(len(b)-tcp)
		be.PutUint16(b[tcp+16:], ^fold(sum(b[tcp:], s)))
	}
	return b
}

// record writes a packet of which b was kept and which was full bytes long.
func (g *gen) record(b []byte, full int) {
	var hdr [28]byte
	if !g.c.ng {
		sub := g.now % 1e9
		if !g.c.nano {
			sub /= 1000
		}
		le.PutUint32(hdr[0:], uint32(g.now/1e9))
		le.PutUint32(hdr[4:], uint32(sub))
		le.PutUint32(hdr[8:], uint32(len(b)))
		le.PutUint32(hdr[12:], uint32(full))
		g.write(hdr[:16])
		g.write(b)
		return
	}
	t := g.now
	if !g.c.nano {
		t /= 1000
	}
	pad := -len(b) & 3
	tot := uint32(32 + len(b) + pad)
	le.PutUint32(hdr[0:], 6) // enhanced packet block
	le.PutUint32(hdr[4:], tot)
	le.PutUint32(hdr[8:], 0)
	le.PutUint32(hdr[12:], uint32(t>>32))
	le.PutUint32(hdr[16:], uint32(t))
	le.PutUint32(hdr[20:], uint32(len(b)))
	le.PutUint32(hdr[24:], uint32(full))
	g.write(hdr[:28])
	g.write(b)
	var tail [8]byte
	le.PutUint32(tail[pad:], tot)
	g.write(tail[:pad+4])
}

// sum adds b to an Internet checksum (RFC 1071).
func sum(b []byte, s uint64) uint64 {
	for len(b) >= 8 {
		v := be.Uint64(b)
		s += v>>32 + v&0xffffffff
		b = b[8:]
	}
	for len(b) >= 2 {
		s += uint64(b[0])<<8 | uint64(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
