package pasted

import "github.com/tcpwhy/tcpwhy/internal/segment"

// Wireshark shows a segment that ends an application's message as a row of the
// application, without TCP numbers. The frame's length tells its payload's, and
// the rows around it often leave one place only: the number that its end has
// come to, if the peer then acknowledges just that much, or the next row goes on
// there. Such a row is a segment with worked-out numbers; the others stay without.

// measure learns from a TCP row how much of a frame is not payload.
func (c *conv) measure(r *row) {
	// Ethernet pads short frames to 60 bytes, and SYNs and RSTs have other options.
	if r.dialect == summary && r.len.ok && r.frameLen != 60 && r.flags&(segment.SYN|segment.RST) == 0 && r.nsack == 0 && r.frameLen > r.len.n {
		c.overhead = r.frameLen - r.len.n
	}
}

// between lists the four-tuples that have these two hosts, with the direction.
func (l *lifter) between(src, dst segment.Addr) (cs []*conv, dirs []int) {
	if src == dst {
		return nil, nil
	}
	cs = l.byHosts[[2]segment.Addr{src, dst}]
	for _, c := range cs {
		if c.key.a.Addr == src {
			dirs = append(dirs, 0)
		} else {
			dirs = append(dirs, 1)
		}
	}
	return cs, dirs
}

// reach is how many rows ahead and back something is looked for, so that a long
// text takes no longer for each row than a short one.
const reach = 2000

// behind are the rows after i that are within reach, before those before it.
func behind(rows []numbered, i int) []numbered { return rows[i+1 : min(len(rows), i+1+reach)] }
func before(rows []numbered, i int) []numbered { return rows[max(0, i-reach):i] }

// place finds the connection and the numbers of the application's row i, if
// there is just one place for it.
func (l *lifter) place(rows []numbered, i int) bool {
	n := &rows[i]
	cs, dirs := l.between(n.src.Addr, n.dst.Addr)
	if len(cs) > 64 {
		return false // too many to tell them apart
	}
	found := -1
	var at lifted
	for k, c := range cs {
		if c.overhead == 0 || n.frameLen <= c.overhead {
			continue
		}
		s, ok := c.fits(rows, i, dirs[k], len(cs) == 1)
		if !ok {
			continue
		}
		if found >= 0 {
			return false // two connections could have it
		}
		found, at = k, s
	}
	if found < 0 {
		return false
	}
	c := cs[found]
	n.c, n.dir, n.s = c, dirs[found], at
	n.row.len = number{n.frameLen - c.overhead, true}
	n.flags = segment.ACK
	n.row.options |= segment.OptCut
	n.doubt |= segment.SeqUnsaid | segment.LenUnsaid | segment.FlagsUnsaid
	n.src, n.dst = c.key.a, c.key.b
	if n.dir == 1 {
		n.src, n.dst = c.key.b, c.key.a
	}
	n.setWindow()
	return true
}

// fits returns the number at which the row i has its place in a connection, if
// it has one. only: no other connection of the two hosts is in the text.
func (c *conv) fits(rows []numbered, i, dir int, only bool) (lifted, bool) {
	n := &rows[i]
	size := n.frameLen - c.overhead
	if n.repeats() {
		return c.repeated(before(rows, i), dir, n.frameLen)
	}
	if s, ok := c.sacked(behind(rows, i), dir, size); ok {
		return s, true
	}
	if n.labelled("not captured") {
		return lifted{}, false
	}
	s := c.next[dir]
	if !s.ok {
		return c.firstAck(behind(rows, i), dir, size)
	}
	if c.confirmed(rows, i, dir, s.n) {
		return s, true
	}
	// Without a label it is the next of its end, if the text leaves no row out.
	return s, only && n.row.number != 0 && c.unbroken(before(rows, i), n.row.number)
}

// repeats tells whether Wireshark calls the row a repeat.
func (n *numbered) repeats() bool { return n.labelled("Retransmission") || n.labelled("RPC duplicate") }

// repeated finds the row that another one of equal length repeats.
func (c *conv) repeated(before []numbered, dir int, size uint32) (lifted, bool) {
	for i := len(before) - 1; i >= 0; i-- {
		if n := &before[i]; n.c == c && n.dir == dir && n.app && n.frameLen == size {
			return n.s, true
		}
	}
	return lifted{}, false
}

// sacked finds a SACK block of just that size, the first that its peer sends.
func (c *conv) sacked(after []numbered, dir int, size uint32) (lifted, bool) {
	for i := range after {
		n := &after[i]
		if n.app || n.c != c || n.dir == dir || n.nsack == 0 {
			continue
		}
		b := n.row.sack[0]
		if b[1]-b[0] != size || !n.a.ok || !n.ack.ok {
			return lifted{}, false
		}
		return lifted{b[0] + n.a.n - n.ack.n, true, n.a.relative}, true
	}
	return lifted{}, false
}

// firstAck places the first row of an end that the text has: the row right
// behind it acknowledges it.
func (c *conv) firstAck(after []numbered, dir int, size uint32) (lifted, bool) {
	if len(after) == 0 {
		return lifted{}, false
	}
	n := &after[0]
	if n.app || n.c != c || n.dir == dir || n.flags&(segment.ACK|segment.SYN|segment.RST) != segment.ACK || !n.a.ok || !n.ack.ok || n.ack.n < size {
		return lifted{}, false
	}
	return lifted{n.a.n - size, true, n.a.relative}, true
}

// confirmed tells whether the rows behind row i agree that it begins at seq:
// the peer acknowledges its end, or the end of a row after it, or its own end
// goes on there (or one below, with a keep-alive).
func (c *conv) confirmed(rows []numbered, i, dir int, seq uint32) bool {
	end := seq + rows[i].frameLen - c.overhead
	ends := map[uint32]bool{end: true}
	after := behind(rows, i)
	for j := range after {
		n := &after[j]
		if n.app {
			if n.src.Addr == rows[i].src.Addr && n.dst.Addr == rows[i].dst.Addr && n.frameLen > c.overhead && !n.repeats() {
				end += n.frameLen - c.overhead
				ends[end] = true
			}
			continue
		}
		if n.c != c {
			continue
		}
		if n.flags&(segment.SYN|segment.ACK) == segment.SYN {
			return false
		}
		if n.dir == dir && n.s.ok && n.s.n != seq {
			return ends[n.s.n] || ends[n.s.n+1]
		}
		if n.dir != dir && n.a.ok && n.flags&segment.ACK != 0 && n.a.n != seq && int32(n.a.n-seq) > 0 {
			return ends[n.a.n]
		}
	}
	return false
}

// unbroken tells whether the rows up to number follow each other by their
// numbers since the last row of the connection.
func (c *conv) unbroken(before []numbered, number uint64) bool {
	for i := len(before) - 1; i >= 0; i-- {
		n := &before[i]
		if n.row.number+1 != number {
			return false
		}
		number = n.row.number
		if n.c == c {
			return true
		}
	}
	return false
}
