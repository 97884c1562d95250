package pasted

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

var (
	icmpPort = pattern{text: `^(\S+) tcp port (\S+) unreachable`}
	icmpHost = pattern{text: `^(?:host |net )?([0-9a-fA-F:.x]+) (?:unreachable|protocol)`}
	icmpMTU  = pattern{text: `(?i)(?:mtu[ =:]+(\d+)|need to frag \(mtu (\d+)\))`}
)

// icmpWords are what tcpdump and Wireshark call errors, with type and code
// (RFC 792, RFC 1812 §5.2.7; ICMPv6, RFC 4443 §3, as negative types).
var icmpWords = []struct {
	word      string
	typ, code int
}{
	{"need to frag", 3, 4},
	{"fragmentation needed", 3, 4},
	{"packet too big", -2, 0},
	{"admin prohibited filter", 3, 13},
	{"communication administratively filtered", 3, 13},
	{"host administratively prohibited", 3, 10},
	{"network administratively prohibited", 3, 9},
	{"administratively prohibited", 3, 10},
	{"admin prohibited", 3, 10},
	{"port unreachable", 3, 3},
	{"protocol unreachable", 3, 2},
	{"host unreachable", 3, 1},
	{"net unreachable", 3, 0},
	{"network unreachable", 3, 0},
	{"time exceeded in-transit", 11, 0},
	{"time to live exceeded in transit", 11, 0},
	{"time-to-live exceeded", 11, 0},
	{" unreachable", 3, 1}, // "host A.B.C.D unreachable"
}

// icmpError makes the Error of a row. The quoted segment's numbers are as they
// stand in the text.
func (r *row) icmpError(end func(host) segment.Endpoint) Error {
	e := Error{Known: r.icmp.known, Type: r.icmp.typ, Code: r.icmp.code, MTU: r.icmp.mtu, Cause: -1}
	if !e.Known {
		return Error{}
	}
	src, dst := r.icmp.quotedSrc, r.icmp.quotedDst
	if q := r.quoted; q != nil {
		src, dst = q.src, q.dst
		n := numbered{row: q, s: plain(q.seq), a: plain(q.ack), window: uint16(min(q.win.n, 65535))}
		n.src, n.dst = end(src), end(dst)
		p := n.packet()
		e.Quoted = &p
	}
	if src.host == "" && dst.host != "" {
		src.host = r.dst.host // who is told
	}
	if src.host != "" {
		e.Src = end(src)
	}
	if dst.host != "" {
		e.Dst = end(dst)
	}
	return e
}

// findCauses finds what ICMP errors are about where the text tells less than the
// message did: rows of Wireshark show no ports, tcpdump not the sender's.
func (t *Text) findCauses() {
	for i := range t.Opaque {
		o := &t.Opaque[i]
		e := &o.Error
		if !e.Known {
			continue
		}
		if e.Cause = t.causeOf(o); e.Cause >= 0 && e.Quoted == nil {
			e.Src, e.Dst = t.Packets[e.Cause].Src, t.Packets[e.Cause].Dst
		}
	}
}

// causeOf looks back for what an error is about: what the host that is told of
// it sent within a second before, on one four-tuple, or right before.
func (t *Text) causeOf(o *Opaque) int {
	e := &o.Error
	// A port or protocol is unreachable at the host that says so (RFC 1122
	// §3.2.2.1); of another error, anybody may be the cause.
	own := e.Type == 3 && (e.Code == 2 || e.Code == 3)
	big := e.Type == 3 && e.Code == 4 || e.Type == 2
	found := -1
	last, _ := slices.BinarySearchFunc(t.Packets, o.Frame, func(p Packet, frame uint64) int { return cmp.Compare(p.Frame, frame) })
	for i := last - 1; i >= max(0, last-reach); i-- {
		p := &t.Packets[i]
		switch {
		case o.Time-p.Time > int64(time.Second):
			return found
		case p.Src.Addr != o.Dst.Addr, own && p.Dst.Addr != o.Src.Addr,
			e.Src.Port != 0 && p.Src != e.Src,
			e.Dst.Addr != (segment.Addr{}) && p.Dst.Addr != e.Dst.Addr, e.Dst.Port != 0 && p.Dst.Port != e.Dst.Port:
			continue
		case found < 0:
			found = i
			if !big && (p.Frame+1 == o.Frame || p.LastLine+1 == o.Line) {
				return found
			}
		case t.Packets[found].Src != p.Src || t.Packets[found].Dst != p.Dst:
			return -1
		case big && p.Len > t.Packets[found].Len:
			found = i // too large is the largest
		}
	}
	return found
}

// icmpText reads the words of an ICMP error.
func (r *row) icmpText(s string) {
	r.info = s
	low := strings.ToLower(s)
	if m := icmpPort.FindStringSubmatch(s); m != nil {
		r.icmp.known, r.icmp.typ, r.icmp.code = true, 3, 3
		r.icmp.quotedDst = host{m[1], m[2]}
		return
	}
	for _, w := range icmpWords {
		if strings.Contains(low, w.word) {
			r.icmp.known, r.icmp.code = true, uint8(w.code)
			r.icmp.typ = uint8(max(w.typ, -w.typ))
			break
		}
	}
	if m := icmpHost.FindStringSubmatch(s); m != nil && r.icmp.known {
		r.icmp.quotedDst.host = m[1]
	}
	if m := icmpMTU.FindStringSubmatch(s); m != nil {
		r.icmp.mtu = uint32(num(m[1]+m[2], 32))
	}
}
