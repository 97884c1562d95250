package pasted

import (
	"hash/fnv"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// smallNumber is below what a random 32-bit number hardly ever is, and above
// what relative numbers of a pasted text reach.
const smallNumber = 1 << 26

// pairKey is a four-tuple without a direction.
type pairKey struct{ a, b segment.Endpoint }

// conv is what is known of the numbers of a four-tuple, in both directions (0
// is from a to b).
type conv struct {
	key pairKey
	// recorded: tcpdump has noted where its relative numbers count from.
	recorded bool
	base     [2]uint32
	has      [2]bool
	invented [2]bool
	// syn is the number of a bare SYN since the bases were noted.
	syn [2]number
	// lives counts the connections of this four-tuple, and bases those that
	// were invented for it.
	lives, bases uint32
	// progress: the connection of the last SYN got further, or was refused.
	progress bool
	opener   int     // the direction of that SYN
	rebased  [2]bool // its base is that of a segment without SYN
	// top is how far relative numbers have come; ended: both ends have closed, or
	// one has reset.
	top   [2]uint32
	acked [2]uint32 // the highest acknowledgement that an end sent
	fins  [2]bool
	ended bool

	next [2]lifted
	// cutOptions: the SYNs have no options, so that they were left out.
	cutOptions bool
	scale      [2]number
	noScale    [2]bool
	window     [2]uint16 // the last one told
	// overhead is what a frame has beside the payload, in bytes, 0 if unknown.
	overhead uint32
}

// lifted is a number on the wire's circle, as far as it could be lifted.
type lifted struct {
	n        uint32
	ok       bool
	relative bool // its base is invented
}

// lifter turns the numbers of a text into those of the wire.
type lifter struct {
	convs map[pairKey]*conv
	// byHosts lists those of two hosts, in both directions, as they appear.
	byHosts map[[2]segment.Addr][]*conv
	// dumpAbsolute: tcpdump ran with -S; infoRelative: Wireshark's numbers count from 0.
	dumpAbsolute, infoRelative bool
	// sure: the text shows which of the two ways tcpdump counted.
	sure bool
}

func (l *lifter) conv(src, dst segment.Endpoint) (*conv, int) {
	k, dir := pairKey{src, dst}, 0
	if less(dst, src) {
		k, dir = pairKey{dst, src}, 1
	}
	c := l.convs[k]
	if c == nil {
		c = &conv{key: k}
		l.convs[k] = c
		for _, h := range [...][2]segment.Addr{{src.Addr, dst.Addr}, {dst.Addr, src.Addr}} {
			l.byHosts[h] = append(l.byHosts[h], c)
		}
	}
	return c, dir
}

func less(a, b segment.Endpoint) bool {
	if a.Addr != b.Addr {
		return a.Addr.Hi < b.Addr.Hi || a.Addr.Hi == b.Addr.Hi && a.Addr.Lo < b.Addr.Lo
	}
	return a.Port < b.Port
}

// invent makes a base up. Those of one four-tuple lie far apart (multiples of
// the golden ratio spread evenly over the circle), and equal texts get equal bases.
func (c *conv) invent(dir int) {
	h := fnv.New32a()
	for _, e := range [...]segment.Endpoint{c.key.a, c.key.b} {
		h.Write([]byte(e.String())) // a hash does not fail
	}
	c.base[dir] = h.Sum32() + c.bases*0x9e3779b9
	c.bases++
	c.has[dir], c.invented[dir] = true, true
}

// set notes a base that the text tells.
func (c *conv) set(dir int, base uint32) {
	c.base[dir], c.has[dir], c.invented[dir] = base, true, false
}

// modes finds out how the tools counted: they were started once, with or
// without -S, with or without relative numbers.
func (l *lifter) modes(rows []row) {
	v := votes{at: map[[2]host]number{}, known: map[[2]host]bool{}}
	infoAbs, infoRel := 0, 0
	for i := range rows {
		r := &rows[i]
		switch {
		case r.kind != kindTCP:
		case r.dialect != dump:
			a, b := infoVote(r)
			infoAbs, infoRel = infoAbs+a, infoRel+b
		case r.flags&segment.ACK != 0:
			v.take(r)
		}
	}
	l.dumpAbsolute = v.absolute > v.relative || v.absolute == v.relative && v.weakAbsolute > v.weakRelative
	l.sure = v.absolute != v.relative
	l.infoRelative = infoRel >= infoAbs
}

// votes are what rows of tcpdump say about how it counts. Weak votes are those
// of rows whose numbers have nothing to be held against.
type votes struct {
	absolute, relative, weakAbsolute, weakRelative int
	// at is a number near which the next ones of an end lie if they are
	// absolute, known whether tcpdump has noted bases for the pair.
	at    map[[2]host]number
	known map[[2]host]bool
}

func (v *votes) take(r *row) {
	there, back := [2]host{r.src, r.dst}, [2]host{r.dst, r.src}
	small := r.ack.n < smallNumber && r.seq.n < smallNumber
	first := !v.known[there]
	v.known[there], v.known[back] = true, true
	if r.flags&segment.SYN != 0 || first && !small {
		if r.seq.ok {
			v.at[there] = r.seq
		}
		if r.ack.ok {
			v.at[back] = r.ack
		}
		return
	}
	near := nearBy(r.seq, v.at[there]) || nearBy(r.ack, v.at[back])
	switch base := v.at[there].ok || v.at[back].ok; {
	case near && !small:
		v.absolute++
	case near:
		// Small either way.
	case small && base:
		v.relative++
	case small && r.ack.ok:
		v.weakRelative++
	case r.seq.n >= smallNumber && r.ack.n >= smallNumber:
		v.weakAbsolute++
	}
}

// nearBy tells whether two numbers may belong to one connection.
func nearBy(a, b number) bool {
	d := int32(a.n - b.n)
	return a.ok && b.ok && d < smallNumber && d > -smallNumber
}

// infoVote tells for a row of Wireshark whether its numbers speak for absolute
// or for relative ones.
func infoVote(r *row) (absolute, rel int) {
	switch {
	case r.seqRaw.ok && (!r.seq.ok || r.seq.n == r.seqRaw.n):
	case r.flags.Has(segment.SYN) && r.seq.ok:
		if r.seq.n == 0 {
			return 0, 4
		}
		return 4, 0
	case r.flags.Has(segment.RST) && r.seq.n <= 1:
		// A refusal has the number 0 on the wire as well.
	case r.seq.ok && r.ack.ok:
		if r.seq.n >= smallNumber && r.ack.n >= smallNumber {
			return 1, 0
		}
		if r.seq.n < smallNumber && r.ack.n < smallNumber {
			return 0, 1
		}
	}
	return 0, 0
}

// lift returns the numbers of a row, as far as the text tells them.
func (l *lifter) lift(r *row, c *conv, dir int) (s, a lifted) {
	switch {
	case r.seqRaw.ok:
		s, a = lifted{r.seqRaw.n, true, false}, lifted{r.ackRaw.n, r.ackRaw.ok, false}
		c.countLife(r, dir)
		// Where the relative numbers stand beside them, their start is known.
		if l.infoRelative && r.seq.ok {
			c.set(dir, r.seqRaw.n-r.seq.n)
			c.rebased[dir] = false
		}
		if l.infoRelative && r.ack.ok && r.ackRaw.ok && r.flags&segment.ACK != 0 {
			c.set(dir^1, r.ackRaw.n-r.ack.n)
			c.rebased[dir^1] = false
		}
		return s, a
	case r.dialect == dump:
		return l.dump(r, c, dir)
	default:
		return l.wireshark(r, c, dir)
	}
}

// countLife notes a SYN that opens a connection, for bases and scales.
func (c *conv) countLife(r *row, dir int) (fresh bool) {
	if r.flags&(segment.SYN|segment.ACK|segment.RST) != segment.SYN {
		// A challenge ACK and the RST that it gets leave the SYN what it is.
		if r.flags&segment.SYN == 0 && (r.flags&segment.FIN != 0 ||
			r.flags&segment.ACK != 0 && (dir == c.opener || r.flags&segment.RST != 0)) {
			c.progress = true
		}
		return false
	}
	switch {
	case c.lives == 0:
		fresh = true
	case r.labelled("Port numbers reused"):
		// With both labels the SYN has the number of the one before: Wireshark says "reused" of
		// some repeats, and "Retransmission" never of a connection's first segment.
		fresh = !r.labelled("Retransmission") || c.progress
	case r.labelled("Retransmission") && !r.seqRaw.ok:
	default:
		fresh = c.progress || r.seq.ok && c.syn[dir].ok && r.seq.n != c.syn[dir].n
	}
	if fresh {
		c.lives++
		c.progress, c.opener = false, dir
		c.scale, c.noScale = [2]number{}, [2]bool{}
	}
	return fresh
}

// dump follows tcpdump (print-tcp.c tcp_print): without -S, segments with ACK
// are shown relative to the first of them on their four-tuple, or to the last
// with SYN, which are shown as they are; segments without ACK always are.
func (l *lifter) dump(r *row, c *conv, dir int) (s, a lifted) {
	fresh := c.countLife(r, dir)
	if r.flags&segment.ACK == 0 {
		if r.flags&segment.SYN != 0 {
			if fresh && r.seq.ok && r.seq.n <= 1 && !l.dumpAbsolute {
				return l.wireshark(r, c, dir) // a person wrote relative numbers
			}
			c.syn[dir] = r.seq
		}
		return plain(r.seq), plain(r.ack)
	}
	if l.dumpAbsolute {
		return plain(r.seq), plain(r.ack)
	}
	if r.flags&segment.SYN != 0 && (r.seq.n > 1 || !c.invented[dir^1]) {
		c.note(dir, r.seq, r.ack)
		return plain(r.seq), plain(r.ack)
	}
	if !c.recorded && (r.ack.n >= smallNumber || r.seq.n >= smallNumber) {
		refuses := c.syn[dir^1].ok && r.ack.n == c.syn[dir^1].n+1
		c.note(dir, r.seq, r.ack)
		s, a = plain(r.seq), plain(r.ack)
		if r.flags&segment.RST != 0 && r.seq.n != 0 && !refuses {
			// Or it has wrapped numbers, relative to what the text leaves out.
			c.invented = [2]bool{true, true}
			s.relative, a.relative = true, true
		}
		return s, a
	}
	c.missing(r, dir)
	s, a = c.relative(dir, r.seq), c.relative(dir^1, r.ack)
	// An end that acknowledges less than before may be another connection's.
	if back := r.ack.ok && c.acked[dir] > 0 && r.ack.n < c.acked[dir]; back || !l.sure {
		s.relative, a.relative = true, true
	}
	c.high(r, dir)
	return s, a
}

func plain(n number) lifted { return lifted{n.n, n.ok, false} }

// note keeps the bases that tcpdump notes at a segment.
func (c *conv) note(dir int, s, a number) {
	c.recorded = true
	c.syn = [2]number{}
	c.has = [2]bool{}
	c.begin()
	if s.ok {
		c.set(dir, s.n)
	}
	if a.ok {
		c.set(dir^1, a.n-1)
	}
}

// missing finds bases where the segment that tcpdump noted them at is not in the
// text. Of an opener that completes a handshake the SYN is one. Where a
// connection has ended and the numbers begin again, another one has begun whose
// SYNs are missing.
func (c *conv) missing(r *row, dir int) {
	syn := c.syn[dir]
	opens := syn.ok && r.flags&segment.RST == 0 && r.ack.n == 1 && (!r.seq.ok || r.seq.n == 1)
	again := below(r.seq, c.top[dir]) || below(r.ack, c.top[dir^1])
	if opens && (!c.recorded || syn.n != c.base[dir]) || again && (c.ended || r.ack.n == 1 && r.len.n == 0 && r.flags == segment.ACK) {
		c.has = [2]bool{}
		c.begin()
	}
	c.recorded = true
	for d := range c.has {
		switch {
		case c.has[d]:
		case opens && d == dir:
			c.set(d, syn.n)
		default:
			c.invent(d)
		}
	}
	if opens {
		c.syn = [2]number{}
	}
}

// begin forgets how far relative numbers had come.
func (c *conv) begin() {
	c.top, c.acked, c.fins, c.ended = [2]uint32{}, [2]uint32{}, [2]bool{}, false
}

// below tells whether a relative number is lower than what its end had reached.
// A repeated FIN is one below.
func below(n number, top uint32) bool { return n.ok && top > 0 && n.n+1 < top }

// high notes how far the relative numbers have come, and whether both ends have
// closed or one has reset.
func (c *conv) high(r *row, dir int) {
	end := r.seq.n + r.len.n
	if r.flags&segment.FIN != 0 {
		end++
		c.fins[dir] = true
	}
	if r.seq.ok && r.flags&segment.RST == 0 && int32(end-c.top[dir]) > 0 {
		c.top[dir] = end
	}
	if r.ack.ok && int32(r.ack.n-c.acked[dir]) > 0 {
		c.acked[dir] = r.ack.n
	}
	if r.ack.ok && int32(r.ack.n-c.top[dir^1]) > 0 {
		c.top[dir^1] = r.ack.n
	}
	c.ended = c.ended || r.flags&segment.RST != 0 || c.fins[0] && c.fins[1]
}

// relative lifts a relative number.
func (c *conv) relative(dir int, n number) lifted {
	return lifted{c.base[dir] + n.n, n.ok, c.invented[dir]}
}

// wireshark follows Wireshark (packet-tcp.c): each connection counts from its
// SYN, or from one below the first number seen; a SYN with another number on
// the same four-tuple begins a connection.
func (l *lifter) wireshark(r *row, c *conv, dir int) (s, a lifted) {
	fresh := c.countLife(r, dir)
	if r.dialect != dump && !l.infoRelative {
		if r.flags&segment.SYN != 0 {
			c.syn[dir] = r.seq
		}
		return plain(r.seq), plain(r.ack)
	}
	switch {
	case fresh && r.seq.n == 0:
		c.has = [2]bool{}
		c.invent(dir)
		c.rebased = [2]bool{}
	case r.flags.Has(segment.SYN|segment.ACK) && r.seq.ok && r.seq.n == 0 && c.rebased[dir]:
		// The end answered with numbers of its past before; this is its new one.
		c.invent(dir)
		c.rebased[dir] = false
	}
	for _, d := range [...]int{dir, dir ^ 1} {
		if !c.has[d] {
			c.invent(d)
			c.rebased[d] = r.flags&segment.SYN == 0
		}
	}
	return c.relative(dir, r.seq), c.relative(dir^1, r.ack)
}
