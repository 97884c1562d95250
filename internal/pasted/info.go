package pasted

import (
	"math/bits"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// infoRE is the Info column of a TCP segment: "80 → 51820 [SYN, ACK] Seq=...".
// The arrow may be lost to a wrong encoding, the ports to whoever pasted it.
var (
	infoRE    = pattern{text: `(?:^|\s)(?:([^\s→>\[\]]+)\s*(?:→|>|\?|\x{fffd}+|â\S*)\s*([^\s→>\[\]]+)\s+)?\[(` + flagWords + `)\]`}
	labelTail = pattern{text: `(?:\[[^\[\]]*\]\s*)+$`}
	labelRE   = pattern{text: `\[([^\[\]]*)\]`}
	pairRE    = pattern{text: `\b([A-Za-z_]+)\s*=\s*(\d+)`}
	sackPerm  = pattern{text: `\bSACK_PERM\b`}
)

// wireshark reads a row of tshark or Wireshark about a TCP segment, or its Info
// column alone.
func (r *row) wireshark(text string, cols *columns) level {
	whole := cols.whole(r, text)
	if whole {
		text = r.info
	}
	at := infoRE.FindStringSubmatchIndex(text)
	if at == nil {
		*r = row{}
		return nothing
	}
	r.kind, r.dialect, r.protocol = kindTCP, summary, "TCP"
	for _, w := range strings.Split(text[at[6]:at[7]], ",") {
		r.flags |= flagOf(strings.TrimSpace(w))
	}
	head := text[:at[0]]
	if m := labelTail.FindStringIndex(head); m != nil {
		r.addLabels(head[m[0]:])
		head = head[:m[0]]
	}
	if !whole {
		cols.row(r, head)
	}
	if at[2] >= 0 {
		r.src.port, r.dst.port = text[at[2]:at[3]], text[at[4]:at[5]]
	}
	return r.infoTail(text[at[1]:])
}

// addLabels takes what stands in brackets.
func (r *row) addLabels(s string) {
	for _, m := range labelRE.FindAllStringSubmatch(s, -1) {
		r.labels = append(r.labels, m[1])
	}
}

// labelled tells whether Wireshark put a label on the row that contains s.
func (r *row) labelled(s string) bool {
	for _, l := range r.labels {
		if strings.Contains(l, s) {
			return true
		}
	}
	return false
}

// infoTail reads the numbers of an Info column.
func (r *row) infoTail(s string) level {
	r.addLabels(s)
	s = labelRE.ReplaceAllString(s, " ")
	old := strings.Contains(s, "TSV=") || strings.Contains(s, "TSER=")
	var left string
	for _, m := range pairRE.FindAllStringSubmatch(s, -1) {
		v := num32(m[2])
		if !v.ok {
			continue
		}
		switch m[1] {
		case "Seq":
			r.seq = v
		case "Ack":
			r.ack = v
		case "Win":
			r.win, r.scaled = v, r.flags&segment.SYN == 0
		case "Len":
			r.len = v
		case "Urg":
			r.urg = v
		case "MSS":
			r.mss = uint16(min(v.n, 65535))
			r.options |= segment.OptMSS
		case "WS":
			r.wscale = scaleOf(v.n, old)
			r.options |= segment.OptWScale
		case "TSval", "TSV":
			r.tsval, r.hasTS = v.n, true
			r.options |= segment.OptTimestamps
		case "TSecr", "TSER":
			r.tsecr = v.n
		case "SLE":
			left = m[2]
		case "SRE":
			r.addSACK(left, m[2])
		}
	}
	if sackPerm.MatchString(s) {
		r.options |= segment.OptSACKPermitted
	}
	if strings.Contains(s, "..") {
		r.options |= segment.OptCut
	}
	if strings.Contains(s, "MD5") {
		r.options |= segment.OptMD5
	}
	if strings.Contains(s, "TFO=") {
		r.options |= segment.OptFastOpen
	}
	if r.len.ok {
		return whole
	}
	return partial
}

// scaleOf turns Wireshark's WS into a shift. Since 1.6 it is the multiplier,
// before (when timestamps were TSV) the shift.
func scaleOf(v uint32, old bool) uint8 {
	if old || v == 0 || v&(v-1) != 0 {
		return uint8(min(v, 14))
	}
	return uint8(bits.TrailingZeros32(v))
}

// notTCP are Wireshark's words for packets that are surely no TCP.
var notTCP = map[string]bool{
	"UDP": true, "DNS": true, "ARP": true, "RARP": true, "MDNS": true, "IGMP": true, "IGMPv2": true, "IGMPv3": true, "DHCP": true,
	"DHCPv6": true, "BOOTP": true, "NTP": true, "LLDP": true, "STP": true, "RSTP": true, "MST": true, "CDP": true, "SSDP": true,
	"LLMNR": true, "NBNS": true, "BROWSER": true, "QUIC": true, "GQUIC": true, "SNMP": true, "VRRP": true, "OSPF": true,
	"EIGRP": true, "HSRP": true, "LOOP": true, "ESP": true, "ISAKMP": true, "RIP": true, "TFTP": true, "IPv4": true,
	"IPv6": true, "LLC": true, "EAPOL": true, "802.11": true, "SCTP": true, "WireGuard": true, "STUN": true,
	"RTP": true, "RTCP": true, "0x88cc": true, "DTLSv1.2": true, "DTLS": true, "CARP": true, "GRE": true, "VXLAN": true,
}

// rowLike tells whether what was taken for hosts is no sentence with a time before it.
func (f *front) rowLike(r *row) bool {
	return f.number != 0 && f.stamp.kind != noStamp || strings.ContainsAny(r.src.host, ".:") && strings.ContainsAny(r.dst.host, ".:")
}

// otherRow reads a row of Wireshark that has no TCP numbers: number, time,
// source, destination, protocol, length and words.
func (r *row) otherRow(text string, f *front, cols *columns) level {
	r.dialect = summary
	if !cols.row(r, text) || cols == nil && !f.rowLike(r) {
		return nothing
	}
	if i := strings.Index(r.info, "["); i == 0 || strings.Contains(r.info, "[TCP ") || strings.Contains(r.info, "[RPC ") {
		r.addLabels(r.info)
	}
	switch {
	case r.protocol == "ICMP" || r.protocol == "ICMPv6":
		r.kind = kindICMP
		if r.icmpText(r.info); !r.icmp.known {
			r.kind = kindOther
		}
	case notTCP[r.protocol]:
		if r.kind = kindOther; r.protocol == "ARP" {
			r.takeARP()
		}
	case r.protocol == "TCP" && !strings.Contains(r.info, "reassembled PDU"):
		r.kind = kindOpaque
		return headless
	default:
		r.kind = kindOpaque
	}
	if r.info == "" {
		return headless
	}
	return payload
}
