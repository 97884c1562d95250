package export

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report/anonymize"
)

// cleaner makes frames safe to share. What it does not know it cuts away: a header
// stays only where it is read.
type cleaner struct {
	mapping     *anonymize.Mapping // nil: addresses stay
	keepPayload bool
	buf         []byte
}

// clean returns what of a frame may leave. It is valid until the next call.
func (c *cleaner) clean(data []byte, layers []capture.Layer) []byte {
	if c.keepPayload {
		return data
	}
	c.buf = append(c.buf[:0], data...)
	b := c.buf
	if c.mapping != nil {
		c.rewrite(b, layers)
	}
	end := 0
	for _, l := range layers {
		end = max(end, l.Off+headerLen(b, l))
	}
	return b[:end]
}

// The messages of ICMP that hold addresses (RFC 792, RFC 4861).
const (
	icmpRedirect         = 5
	icmp6Solicitation    = 135
	icmp6Advertisement   = 136
	neighborFixed        = 24 // up to the options
	neighborLinkAddrSize = 8
)

// headerLen is how much of a layer is header. The question for a neighbor and its
// answer are headers as a whole, without options that are not known.
func headerLen(b []byte, l capture.Layer) int {
	if l.Kind != capture.LayerICMPv6 || !isNeighbor(b, l) {
		return l.Len
	}
	n := neighborFixed
	for l.Off+n+neighborLinkAddrSize <= l.End && (b[l.Off+n] == 1 || b[l.Off+n] == 2) && b[l.Off+n+1] == 1 {
		n += neighborLinkAddrSize
	}
	return n
}

func isNeighbor(b []byte, l capture.Layer) bool {
	return l.End-l.Off >= neighborFixed && (b[l.Off] == icmp6Solicitation || b[l.Off] == icmp6Advertisement)
}

// rewrite replaces the addresses in all headers, and blanks options that may hold
// more of them. Checksums that were right are right afterwards, and those that
// were not are not: that tells who made a frame.
func (c *cleaner) rewrite(b []byte, layers []capture.Layer) {
	before := make([]checksum, len(layers))
	for i := range layers {
		before[i] = measure(b, layers, i)
	}
	for _, l := range layers {
		c.layer(b, l)
	}
	// The inner ones first: what an ICMP error repeats is covered by its own checksum.
	for i := len(layers) - 1; i >= 0; i-- {
		before[i].repair(b, layers, i)
	}
}

// layer replaces the addresses of one header.
func (c *cleaner) layer(b []byte, l capture.Layer) {
	h := b[l.Off : l.Off+l.Len]
	switch l.Kind {
	case capture.LayerEthernet:
		c.mac(h[0:6])
		c.mac(h[6:12])
	case capture.LayerCooked:
		c.cooked(h[6:14], binary.BigEndian.Uint16(h[4:]))
	case capture.LayerCooked2:
		c.cooked(h[12:20], uint16(h[11]))
	case capture.LayerARP:
		c.arp(h)
	case capture.LayerIPv4:
		c.addr4(h[12:16])
		c.addr4(h[16:20])
		for i := range h[20:] {
			h[20+i] = 1 // no operation: routes and time stamps name hosts (RFC 791 §3.1)
		}
	case capture.LayerIPv6:
		c.addr6(h[8:24])
		c.addr6(h[24:40])
	case capture.LayerExtension:
		blankExtension(h, l.Proto)
	case capture.LayerTCP:
		blankOptions(h)
	case capture.LayerICMP:
		if len(h) == 8 && h[0] == icmpRedirect {
			c.addr4(h[4:8])
		}
	case capture.LayerICMPv6:
		c.neighbor(b, l)
	case capture.LayerNull, capture.LayerTag, capture.LayerUDP:
	}
}

func (c *cleaner) neighbor(b []byte, l capture.Layer) {
	if !isNeighbor(b, l) {
		return
	}
	h := b[l.Off : l.Off+headerLen(b, l)]
	c.addr6(h[8:24])
	for o := h[neighborFixed:]; len(o) > 0; o = o[neighborLinkAddrSize:] {
		c.mac(o[2:8])
	}
}

// arp replaces what is in a packet of RFC 826 for IPv4 on Ethernet, and blanks any
// other behind its fixed part.
func (c *cleaner) arp(h []byte) {
	if len(h) == 28 && binary.BigEndian.Uint16(h[2:]) == 0x0800 && h[4] == 6 && h[5] == 4 {
		c.mac(h[8:14])
		c.addr4(h[14:18])
		c.mac(h[18:24])
		c.addr4(h[24:28])
		return
	}
	clear(h[min(8, len(h)):])
}

// cooked replaces a link-layer address of a cooked header; one of another length than a
// MAC's may be an IP address, as tunnels have.
func (c *cleaner) cooked(addr []byte, length uint16) {
	if length != 6 {
		clear(addr)
		return
	}
	c.mac(addr[:6])
	clear(addr[6:])
}

func (c *cleaner) mac(b []byte) {
	if b[0] == 0x33 && b[1] == 0x33 {
		clear(b[2:]) // of an IPv6 group: the end of its address (RFC 2464 §7)
		return
	}
	copy(b, c.mapping.MAC(net.HardwareAddr(append([]byte(nil), b...))))
}

func (c *cleaner) addr4(b []byte) {
	a := c.mapping.Addr(netip.AddrFrom4([4]byte(b))).As4()
	copy(b, a[:])
}

// solicited are the groups that neighbors are asked in (RFC 4291 §2.7.1).
var solicited = netip.MustParsePrefix("ff02::1:ff00:0/104")

func (c *cleaner) addr6(b []byte) {
	a := netip.AddrFrom16([16]byte(b))
	if solicited.Contains(a) {
		clear(b[13:]) // the end of somebody's address
		return
	}
	to := c.mapping.Addr(a).As16()
	copy(b, to[:])
}

// blankExtension takes out what an extension header of IPv6 says beside what comes
// next: a route, a home address (RFC 8200 §4, RFC 6275 §6.3).
func blankExtension(h []byte, proto uint8) {
	const hopByHop, routing, destination = 0, 43, 60
	switch proto {
	case routing:
		clear(h[min(4, len(h)):])
	case hopByHop, destination:
		for o := h[min(2, len(h)):]; len(o) >= 2; {
			n := min(len(o)-2, 255)
			o[0], o[1] = 1, byte(n) // PadN
			clear(o[2 : 2+n])
			o = o[2+n:]
		}
	}
}

// blankOptions takes out the values of TCP options that are not everywhere: some
// name hosts (MPTCP's ADD_ADDR, what load balancers add), others are secrets. Their kinds
// stay, and what tells kinds apart that share a number.
func blankOptions(h []byte) {
	const end, nop, timestamps, mptcp, experiment1, experiment2 = 0, 1, 8, 30, 253, 254
	for o := h[min(20, len(h)):]; len(o) > 0 && o[0] != end; {
		if o[0] == nop {
			o = o[1:]
			continue
		}
		n := len(o)
		if n >= 2 && o[1] >= 2 {
			n = min(n, int(o[1]))
		}
		switch kind := o[0]; {
		case kind <= 5, kind == timestamps: // MSS, window scale, SACK
		case kind == mptcp && n > 2:
			o[2] &= 0xf0 // the subtype
			clear(o[3:n])
		case kind == experiment1 || kind == experiment2:
			clear(o[min(4, n):n]) // behind the number of RFC 6994
		default:
			clear(o[min(2, n):n])
		}
		o = o[n:]
	}
}
