package pasted

import (
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// layer is the protocol that the lines of a tree are about.
type layer uint8

const (
	noLayer layer = iota
	frameLayer
	linkLayer
	ipLayer
	tcpLayer
	icmpLayer
	otherLayer
)

// tree is one packet of Wireshark's export (File > Export, tshark -V): a line a field.
type tree struct {
	row    row
	first  int
	last   int
	layer  layer
	quoted bool // inside what an ICMP error quotes
	tcp    bool // TCP's header was there
	udp    bool
	scaled number
}

var (
	frameLine = pattern{text: `^\s*Frame (\d+)(?::| \()\s*\d+ bytes on wire`}
	layerLine = pattern{text: `^(Ethernet|Linux cooked|Internet Protocol|Transmission Control Protocol|User Datagram|Internet Control Message|` +
		`Virtual eXtensible|Generic Routing|802\.1Q|Null/Loopback|Raw packet data|PPP|Point-to-Point|MultiProtocol Label|Hypertext|Transport Layer|Secure Sockets|` +
		`Data \(|SSH Protocol|Remote Procedure|Network File|Address Resolution|Domain Name|Logical-Link|Geneve|\[)`}
	srcDst   = pattern{text: `Src:\s*([^\s,]+)(?:\s*\(([^)]*)\))?,\s*Dst:\s*([^\s,]+)(?:\s*\(([^)]*)\))?`}
	srcDstPt = pattern{text: `Src Port:\s*(\S+?)(?:\s*\((\d+)\))?,\s*Dst Port:\s*(\S+?)(?:\s*\((\d+)\))?(?:,|\s|$)`}
	headNums = pattern{text: `\b(Seq|Ack|Len):\s*(\d+)`}
	field    = pattern{text: `^\s*(?:[01. ]+= )?\[?((?:TCP Option - )?[A-Za-z][\w \-/.()]*?)\s*[:=]\s*(.*?)\]?\s*$`}
	digits   = pattern{text: `\d+`}
)

// takeTree takes a line if it is one of a packet's tree.
func (p *reader) takeTree(no int, t string) bool {
	if m := frameLine.FindStringSubmatch(t); m != nil {
		p.flush()
		p.endTree()
		p.tree = &tree{first: no, layer: frameLayer}
		p.tree.row.number = num(m[1], 64)
	} else if p.tree == nil {
		if !strings.HasPrefix(strings.TrimSpace(t), "Transmission Control Protocol, Src Port") &&
			!strings.HasPrefix(strings.TrimSpace(t), "Internet Protocol Version ") {
			return false
		}
		p.flush()
		p.tree = &tree{first: no}
	}
	f := frontOf(t)
	if p.tree.first != no && (columnsOf(t) != nil || f.strong() && !strings.HasPrefix(t, " ")) {
		p.endTree()
		return false
	}
	tr := p.tree
	if hexLine.MatchString(t) && tr.layer != frameLayer && !field.MatchString(t) {
		p.use(no, Ignored)
		return true
	}
	p.use(no, OfPacket)
	tr.last = no
	tr.line(t)
	return true
}

// endTree keeps what the tree has told. A row of the same number right before
// it is the same packet.
func (p *reader) endTree() {
	t := p.tree
	if t == nil {
		return
	}
	p.tree = nil
	r := t.row
	r.dialect = detail
	first := t.first
	if n := len(p.rows); n > 0 && p.rows[n-1].dialect == summary && r.number != 0 && p.rows[n-1].number == r.number {
		s := &p.rows[n-1]
		first = s.line
		if r.stamp.kind == noStamp {
			r.stamp = s.stamp
		}
		r.labels, r.protocol, r.info = s.labels, s.protocol, s.info
		if t.tcp && r.flags == 0 && s.kind == kindTCP && s.flags != 0 {
			r = s.onWire(&r)
		}
		p.rows = p.rows[:n-1]
	}
	switch {
	case r.kind == kindICMP:
	case t.tcp:
		r.kind = kindTCP
		if !r.win.ok && t.scaled.ok {
			r.win, r.scaled = t.scaled, r.flags&segment.SYN == 0
		}
	case t.udp, r.src.host == "":
		r.kind = kindOther
	default:
		r.kind = kindOther
	}
	p.put(r, first, t.last, front{})
}

// onWire returns the row of a packet whose tree has its layers closed, a line each: the row has the
// flags and options, the tree the headers below TCP.
func (r *row) onWire(t *row) row {
	out := *r
	out.dialect, out.stamp = t.dialect, t.stamp
	out.src, out.dst, out.outerSrc, out.outerDst, out.tunnel = t.src, t.dst, t.outerSrc, t.outerDst, t.tunnel
	out.srcMAC, out.dstMAC, out.vlan = t.srcMAC, t.dstMAC, t.vlan
	out.ttl, out.ipid, out.hasIP = t.ttl, t.ipid, t.hasIP
	if !out.len.ok {
		out.len = t.len
	}
	return out
}

// line takes one line of a tree.
func (t *tree) line(s string) {
	trimmed := strings.TrimSpace(s)
	if layerLine.MatchString(trimmed) && trimmed[0] != '[' && t.header(trimmed) {
		return
	}
	m := field.FindStringSubmatch(s)
	if m == nil {
		return
	}
	name, v := strings.ToLower(m[1]), strings.TrimSpace(m[2])
	switch t.layer {
	case frameLayer:
		t.frame(name, v)
	case linkLayer:
		if name == "id" {
			t.row.vlan = uint16(num(digits.FindString(v), 12))
		}
	case ipLayer:
		t.ip(name, v)
	case tcpLayer:
		t.tcpField(name, v)
	case icmpLayer:
		switch name {
		case "type":
			t.row.icmp.known, t.row.icmp.typ = true, uint8(num(digits.FindString(v), 8))
		case "code":
			t.row.icmp.code = uint8(num(digits.FindString(v), 8))
		case "mtu of next hop", "mtu":
			t.row.icmp.mtu = uint32(num(digits.FindString(v), 32))
		}
	case noLayer, otherLayer:
	}
}

// header takes the first line of a layer.
func (t *tree) header(s string) bool {
	r := &t.row
	switch {
	case strings.HasPrefix(s, "Ethernet"), strings.HasPrefix(s, "Linux cooked"), strings.HasPrefix(s, "802.1Q"):
		t.layer = linkLayer
		if m := srcDst.FindStringSubmatch(s); m != nil && !t.quoted {
			r.srcMAC, r.dstMAC = macOf(either(m[2], m[1])), macOf(either(m[4], m[3]))
		}
		if i := strings.Index(s, "ID: "); i > 0 {
			r.vlan = uint16(num(digits.FindString(s[i:]), 12))
		}
	case strings.HasPrefix(s, "Internet Protocol"):
		t.layer = ipLayer
		m := srcDst.FindStringSubmatch(s)
		if m == nil {
			return true
		}
		src, dst := either(m[2], m[1]), either(m[4], m[3])
		switch {
		case t.quoted:
			r.icmp.quotedSrc.host, r.icmp.quotedDst.host = src, dst
		default:
			if r.src.host != "" {
				r.outerSrc, r.outerDst = r.src.host, r.dst.host
				r.tunnel.Depth++
				if r.tunnel.Kind == segment.TunnelNone {
					r.tunnel.Kind = segment.TunnelIP
				}
			}
			r.src.host, r.dst.host = src, dst
		}
	case strings.HasPrefix(s, "Transmission Control Protocol"):
		t.layer = tcpLayer
		t.tcpHeader(s)
	case strings.HasPrefix(s, "Internet Control Message"):
		t.layer, t.quoted, r.kind = icmpLayer, true, kindICMP
	case strings.HasPrefix(s, "Virtual eXtensible"):
		t.layer, r.tunnel.Kind = otherLayer, segment.TunnelVXLAN
	case strings.HasPrefix(s, "Geneve"):
		t.layer, r.tunnel.Kind = otherLayer, segment.TunnelGeneve
	case strings.HasPrefix(s, "Generic Routing"):
		t.layer, r.tunnel.Kind = otherLayer, segment.TunnelGRE
	case strings.HasPrefix(s, "User Datagram"):
		t.layer, t.udp = otherLayer, true
	default:
		if t.layer == tcpLayer && strings.HasPrefix(s, "Data (") {
			t.layer = otherLayer
		}
		if t.layer != frameLayer {
			t.layer = otherLayer
		}
	}
	return true
}

// either returns a, or b where a is empty.
func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// tcpHeader takes the first line of TCP's tree.
func (t *tree) tcpHeader(s string) {
	r := &t.row
	m := srcDstPt.FindStringSubmatch(s)
	if t.quoted {
		if m != nil {
			r.icmp.quotedSrc.port, r.icmp.quotedDst.port = either(m[2], m[1]), either(m[4], m[3])
		}
		return
	}
	t.tcp = true
	if m != nil {
		r.src.port, r.dst.port = either(m[2], m[1]), either(m[4], m[3])
	}
	for _, m := range headNums.FindAllStringSubmatch(s, -1) {
		switch n := num32(m[2]); m[1] {
		case "Seq":
			r.seq = n
		case "Ack":
			r.ack = n
		case "Len":
			r.len = n
		}
	}
}

// frame takes a line of the frame's own layer.
func (t *tree) frame(name, v string) {
	r := &t.row
	switch name {
	case "arrival time", "utc arrival time":
		if s, n := anyStamp(v); n > 0 && r.stamp.kind == noStamp {
			r.stamp = s
		}
	case "epoch time", "epoch arrival time":
		if s, n := anyStamp(v); n > 0 {
			r.stamp = s // without a time zone to guess
		}
	case "time since reference or first frame":
		if s, n := anyStamp(v); n > 0 && r.stamp.kind == noStamp {
			r.stamp = s
		}
	case "frame number":
		r.number = num(digits.FindString(v), 64)
	case "frame length":
		r.frameLen = uint32(num(digits.FindString(v), 32))
	}
}

// ip takes a field of an IP header.
func (t *tree) ip(name, v string) {
	r := &t.row
	if t.quoted {
		return
	}
	switch name {
	case "time to live", "hop limit":
		r.hasIP, r.ttl = true, uint8(num(digits.FindString(v), 8))
	case "identification":
		r.hasIP, r.ipid = true, uint16(num(firstWord(v), 16))
	case "differentiated services field", "traffic class":
		if w := firstWord(v); strings.HasPrefix(w, "0x") {
			r.tos = uint8(num(w, 8))
		}
	case "total length":
		r.ipLen = uint32(num(digits.FindString(v), 32))
	case "don't fragment":
		r.df = strings.HasPrefix(v, "Set")
	case "flags":
		r.df = r.df || strings.Contains(v, "Don't fragment")
	}
}

func firstWord(v string) string {
	w, _, _ := strings.Cut(v, " ")
	return w
}

var (
	treeTS = pattern{text: `TSval (\d+), TSecr (\d+)`}
)

// tcpField takes a field of the TCP header.
func (t *tree) tcpField(name, v string) {
	if t.quoted {
		if n := num32(digits.FindString(v)); strings.HasPrefix(name, "sequence number") {
			t.row.icmp.seq = n
		}
		return
	}
	r := &t.row
	n := num32(digits.FindString(v))
	switch name {
	case "sequence number":
		r.seq = n
	case "sequence number (raw)":
		r.seqRaw = n
	case "acknowledgment number", "acknowledgement number":
		r.ack = n
	case "acknowledgment number (raw)", "acknowledgement number (raw)":
		r.ackRaw = n
	case "flags":
		if w := firstWord(v); strings.HasPrefix(w, "0x") {
			r.flags = segment.Flags(num(w, 16) & 0x1ff)
		}
	case "window", "window size value":
		r.win = n
	case "window size", "calculated window size":
		t.scaled = n
	case "urgent pointer":
		r.urg = n
	case "tcp segment len":
		r.len = n
	case "header length":
		r.noOptions = n.n == 20
	case "tcp option - maximum segment size", "maximum segment size":
		r.mss = uint16(min(n.n, 65535))
		r.options |= segment.OptMSS
	case "tcp option - window scale", "window scale":
		r.wscale = uint8(min(n.n, 255))
		r.options |= segment.OptWScale
	case "tcp option - sack permitted", "sack permitted":
		r.options |= segment.OptSACKPermitted
	case "tcp option - timestamps", "timestamps":
		if m := treeTS.FindStringSubmatch(v); m != nil {
			r.tsval, r.tsecr, r.hasTS = num32(m[1]).n, num32(m[2]).n, true
			r.options |= segment.OptTimestamps
		}
	default:
		t.option(name, v)
	}
}

// option takes what names no value in its first line.
func (t *tree) option(name, v string) {
	r := &t.row
	switch {
	case strings.HasPrefix(name, "left edge"):
		r.addSACK(digits.FindString(v), digits.FindString(v))
	case strings.HasPrefix(name, "right edge"):
		if r.nsack > 0 {
			r.sack[r.nsack-1][1] = num32(digits.FindString(v)).n
		}
	case strings.HasPrefix(name, "options"):
		if strings.Contains(v, "SACK permitted") {
			r.options |= segment.OptSACKPermitted
		}
		if strings.Contains(v, "TCP Fast Open") || strings.Contains(v, "Fast Open") {
			r.options |= segment.OptFastOpen
		}
		if strings.Contains(v, "Multipath") {
			r.options |= segment.OptMPTCP
		}
		if strings.Contains(v, "MD5") {
			r.options |= segment.OptMD5
		}
	}
}
