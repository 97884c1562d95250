package main

// TCP flag bits.
const (
	flagFIN = 1
	flagSYN = 2
	flagRST = 4
	flagPSH = 8
	flagACK = 16
)

// pkt is a segment still to be sent: dir 0 is client to server.
type pkt struct {
	seq, ack     uint32
	sackL, sackR uint32
	plen         uint16
	flags        uint8
	dir          uint8
}

type phase uint8

const (
	phaseOpen phase = iota
	phaseRequest
	phaseData
	phaseClose
	phaseDone
)

type conn struct {
	id     uint32 // four-tuple number
	segs   int32  // response segments left
	seq    [2]uint32
	lastTS [2]uint32 // last TSval sent by each side
	q      [16]pkt
	qh, qn uint8
	ph     phase
	v6     bool
	reused bool
}

func (c *conn) push(p pkt) { c.q[c.qn] = p; c.qn++ }

// ackPkt is a pure ACK from side dir, acknowledging everything up to ack.
func (c *conn) ackPkt(dir uint8, ack uint32) pkt {
	return pkt{dir: dir, flags: flagACK, seq: c.seq[dir], ack: ack}
}

// loop lets a connection chosen at random send its next packet, until all are done.
func (g *gen) loop() {
	slots := make([]conn, min(g.c.concurrent, g.c.conns))
	for i := range slots {
		g.start(&slots[i])
	}
	for len(slots) > 0 {
		i := g.r.n(len(slots))
		c := &slots[i]
		if c.qh == c.qn {
			c.qh, c.qn = 0, 0
			g.refill(c)
		}
		g.emit(c, &c.q[c.qh])
		c.qh++
		if c.qh == c.qn && c.ph == phaseDone {
			g.free(c)
			if g.made < g.c.conns {
				g.start(c)
			} else {
				slots[i] = slots[len(slots)-1]
				slots = slots[:len(slots)-1]
			}
		}
		if g.c.packets > 0 && g.packets >= g.c.packets {
			return
		}
	}
}

func (g *gen) free(c *conn) {
	if g.c.reuse > 0 && c.segs == 0 && !c.reused {
		g.freed = append(g.freed, c.id)
		g.freedAt = append(g.freedAt, g.now)
	}
}

// again returns the number of a four-tuple that was closed within the last 60 s:
// the oldest of them, so that its close has settled.
func (g *gen) again() (id uint32, ok bool) {
	if g.c.reuse > 0 && g.r.p(g.c.reuse) {
		for len(g.freed) > 0 && g.freedAt[0]+60e9 < g.now {
			g.freed, g.freedAt = g.freed[1:], g.freedAt[1:]
		}
		if len(g.freed) > 0 {
			id = g.freed[0]
			g.freed, g.freedAt = g.freed[1:], g.freedAt[1:]
			g.nReuse++
			return id, true
		}
	} else if len(g.freed) > 4096 {
		g.freed, g.freedAt = g.freed[1:], g.freedAt[1:]
	}
	return 0, false
}

func (g *gen) start(c *conn) {
	*c = conn{}
	g.made++
	if c.id, c.reused = g.again(); !c.reused {
		c.id = g.nextID
		g.nextID++
	}
	h := mix(uint64(c.id)*0x9e3779b97f4a7c15 + g.c.seed)
	c.v6 = g.c.v6 > 0 && float64(h>>11)/(1<<53) < g.c.v6
	// A clock and an offset for each four-tuple (RFC 6528 in shape), so that a
	// four-tuple that is opened again has a higher ISN.
	c.seq = [2]uint32{uint32(h) + uint32(g.now/4000), uint32(h>>32) + uint32(g.now/4000)}
	if g.r.p(g.c.bulkFrac) {
		c.segs = int32(g.r.between(g.c.bulkMin, g.c.bulkMax))
	} else {
		c.segs = int32(g.r.between(g.c.segMin, g.c.segMax))
	}
	if g.r.p(g.c.mid) {
		c.seq[0]++
		c.seq[1]++
		c.ph = phaseRequest
	}
}

// refill queues the next packets of c: always at least one.
func (g *gen) refill(c *conn) {
	mss := g.mss[0]
	if c.v6 {
		mss = g.mss[1]
	}
	switch c.ph {
	case phaseOpen:
		g.handshake(c)
	case phaseRequest:
		g.request(c, mss)
	case phaseData:
		g.data(c, mss)
		if c.segs == 0 {
			c.ph = g.closing()
		}
	case phaseClose:
		g.close(c)
	case phaseDone:
	}
}

func (g *gen) handshake(c *conn) {
	syn := pkt{dir: 0, flags: flagSYN, seq: c.seq[0]}
	c.push(syn)
	g.repeat(c, syn)
	c.push(pkt{dir: 1, flags: flagSYN | flagACK, seq: c.seq[1], ack: c.seq[0] + 1})
	c.seq[0]++
	c.seq[1]++
	c.push(c.ackPkt(0, c.seq[1]))
	c.ph = phaseRequest
}

// repeat sends a packet again, now and then.
func (g *gen) repeat(c *conn, p pkt) {
	if g.r.p(g.c.retrans) {
		c.push(p)
		g.nRetrans++
	}
}

func (g *gen) request(c *conn, mss int) {
	n := min(g.r.between(g.c.reqMin, g.c.reqMax), mss)
	req := pkt{dir: 0, flags: flagACK | flagPSH, seq: c.seq[0], ack: c.seq[1], plen: uint16(n)}
	c.push(req)
	g.repeat(c, req)
	c.seq[0] += uint32(n)
	if c.segs > 1 {
		c.push(c.ackPkt(1, c.seq[0]))
	}
	c.ph = phaseData
	if c.segs == 0 {
		c.ph = g.closing()
	}
}

func (g *gen) closing() phase {
	if g.r.p(g.c.open) {
		return phaseDone
	}
	return phaseClose
}

func (g *gen) close(c *conn) {
	c.ph = phaseDone
	if g.r.p(g.c.rst) {
		c.push(pkt{dir: 0, flags: flagRST | flagACK, seq: c.seq[0], ack: c.seq[1]})
		return
	}
	a := uint8(1) // the server closes first two times of three
	if g.r.n(3) == 0 {
		a = 0
	}
	b := 1 - a
	c.push(pkt{dir: a, flags: flagFIN | flagACK, seq: c.seq[a], ack: c.seq[b]})
	c.seq[a]++
	c.push(c.ackPkt(b, c.seq[a]))
	c.push(pkt{dir: b, flags: flagFIN | flagACK, seq: c.seq[b], ack: c.seq[a]})
	c.seq[b]++
	c.push(c.ackPkt(a, c.seq[b]))
}

// response makes the next response segment.
func (g *gen) response(c *conn, mss int) pkt {
	n, fl := mss, uint8(flagACK)
	if c.segs == 1 {
		n, fl = min(g.r.between(g.c.respMin, g.c.respMax), mss), flagACK|flagPSH
	}
	p := pkt{dir: 1, flags: fl, seq: c.seq[1], ack: c.seq[0], plen: uint16(n)}
	c.seq[1] += uint32(n)
	c.segs--
	return p
}

// duplicateACK queues the client's ACK of a hole: everything up to ack, and a
// SACK block behind it.
func (c *conn) duplicateACK(ack, left, right uint32) {
	p := c.ackPkt(0, ack)
	p.sackL, p.sackR = left, right
	c.push(p)
}

// data queues one exchange: response segments and the ACKs that they cause.
func (g *gen) data(c *conn, mss int) {
	switch {
	case c.segs >= 4 && g.r.p(4*g.c.retrans):
		g.fastRetransmit(c, mss, true)
		g.nRetrans++
	case c.segs >= 4 && g.r.p(4*g.c.lost):
		g.fastRetransmit(c, mss, false)
		g.nLost++
	case c.segs >= 2 && g.r.p(2*g.c.ooo): // two swapped in the network
		base := c.seq[1]
		a, b := g.response(c, mss), g.response(c, mss)
		c.push(b)
		c.duplicateACK(base, b.seq, b.seq+uint32(b.plen))
		c.push(a)
		c.push(c.ackPkt(0, c.seq[1]))
		g.nOOO++
	case c.segs >= 2:
		c.push(g.response(c, mss))
		c.push(g.response(c, mss))
		c.push(c.ackPkt(0, c.seq[1]))
	default:
		p := g.response(c, mss)
		c.push(p)
		g.repeat(c, p) // a timeout, before the ACK
		c.push(c.ackPkt(0, c.seq[1]))
	}
}

// fastRetransmit queues four segments of which the first is lost on its way, and
// sent again after three duplicate ACKs. seen: lost behind the capture point.
func (g *gen) fastRetransmit(c *conn, mss int, seen bool) {
	base := c.seq[1]
	d := [4]pkt{g.response(c, mss), g.response(c, mss), g.response(c, mss), g.response(c, mss)}
	if seen {
		c.push(d[0])
	}
	for _, x := range d[1:] {
		c.push(x)
		c.duplicateACK(base, d[1].seq, x.seq+uint32(x.plen))
	}
	c.push(d[0])
	c.push(c.ackPkt(0, c.seq[1]))
}
