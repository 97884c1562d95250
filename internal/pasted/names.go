package pasted

import (
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// names gives every host and port of a text its number, and remembers what was
// invented.
type names struct {
	hosts    map[string]segment.Addr
	ports    map[string]uint16
	taken    map[segment.Addr]bool
	invented []Name
	// used are the port numbers that the text has.
	used map[uint16]bool
	// portHost is which host a port is on, in rows that name none.
	portHost map[string]string
}

func newNames() *names {
	return &names{
		hosts: map[string]segment.Addr{}, ports: map[string]uint16{},
		taken: map[segment.Addr]bool{}, used: map[uint16]bool{}, portHost: map[string]string{},
	}
}

// addr returns the address of a host. A name gets an address of 240.0.0.0/4,
// which no network uses: the same in every text.
func (n *names) addr(h string) segment.Addr {
	h = strings.Trim(h, "[]")
	if a, ok := n.hosts[h]; ok {
		return a
	}
	ip := h
	if i := strings.IndexByte(ip, '%'); i > 0 {
		ip = ip[:i]
	}
	if a, err := netip.ParseAddr(ip); err == nil {
		n.hosts[h] = segment.AddrFromNetip(a)
		return n.hosts[h]
	}
	f := fnv.New32a()
	f.Write([]byte(h)) // a hash does not fail
	k := f.Sum32()
	a := invented(k)
	for n.taken[a] {
		k++
		a = invented(k)
	}
	n.hosts[h], n.taken[a] = a, true
	n.invented = append(n.invented, Name{Text: h, Addr: a})
	return a
}

// invented returns an address of 240.0.0.0/4.
func invented(k uint32) segment.Addr {
	return segment.AddrFrom4([4]byte{240 | byte(k>>24)&7, byte(k >> 16), byte(k >> 8), byte(k)})
}

// port returns the number of a port. An unknown service gets a low number that
// the text does not use, so that it is taken for the listening end.
func (n *names) port(p string) uint16 {
	if i := strings.IndexByte(p, '('); i >= 0 && strings.HasSuffix(p, ")") {
		p = p[i+1 : len(p)-1] // "http(80)"
	}
	if v, err := strconv.ParseUint(p, 10, 16); err == nil {
		return uint16(v)
	}
	if v, ok := services()[strings.ToLower(p)]; ok {
		return v
	}
	if p == "" {
		return 0
	}
	if v, ok := n.ports[p]; ok {
		return v
	}
	v := uint16(1023)
	for n.used[v] && v > 1 {
		v--
	}
	n.ports[p], n.used[v] = v, true
	n.invented = append(n.invented, Name{Text: p, Port: v})
	return v
}

// see notes the ports that are in use.
func (n *names) see(rows []row) {
	for i := range rows {
		for _, p := range [...]string{rows[i].src.port, rows[i].dst.port} {
			if v, err := strconv.ParseUint(p, 10, 16); err == nil {
				n.used[uint16(v)] = true
			}
		}
	}
}

// The hosts of rows that name none.
const (
	firstHost  = "first-host"
	secondHost = "second-host"
)

// fillEnds completes the ends of rows that do not say them. It tells how many
// rows had no ends at all, and the first of them.
func (n *names) fillEnds(rows []row) (bare int, line int) {
	for i := range rows {
		r := &rows[i]
		if r.kind != kindTCP || r.src.host != "" && r.dst.host != "" {
			continue
		}
		if r.src.port != "" && r.dst.port != "" {
			n.byPort(r)
			continue
		}
		if bare++; line == 0 {
			line = r.line
		}
		if !byNumbers(rows[max(0, i-reach):min(len(rows), i+reach)], r) {
			r.src, r.dst = host{firstHost, ""}, host{secondHost, ""}
			if r.flags.Has(segment.SYN | segment.ACK) {
				r.src, r.dst = r.dst, r.src
			}
		}
	}
	return bare, line
}

// byPort gives two hosts to a row that has only ports.
func (n *names) byPort(r *row) {
	other := map[string]string{firstHost: secondHost, secondHost: firstHost}
	if h, ok := n.portHost[r.src.port]; ok {
		r.src.host, r.dst.host = h, other[h]
	} else if h, ok := n.portHost[r.dst.port]; ok {
		r.src.host, r.dst.host = other[h], h
	} else {
		r.src.host, r.dst.host = firstHost, secondHost
	}
	n.portHost[r.src.port], n.portHost[r.dst.port] = r.src.host, r.dst.host
}

// byNumbers finds the direction of a row without ends from the numbers of those
// that have them: its seq lies where that end has sent or the peer has
// acknowledged.
func byNumbers(rows []row, r *row) bool {
	const near = 1 << 20
	close := func(a, b number) bool {
		d := int32(a.n - b.n)
		return a.ok && b.ok && a.n > near && d < near && d > -near
	}
	for i := range rows {
		o := &rows[i]
		if o.kind != kindTCP || o.src.host == "" || o == r {
			continue
		}
		switch {
		case close(r.seq, o.seq), close(r.ack, o.ack):
			r.src, r.dst = o.src, o.dst
			return true
		case close(r.seq, o.ack), close(r.ack, o.seq):
			r.src, r.dst = o.dst, o.src
			return true
		}
	}
	return false
}
