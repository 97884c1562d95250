package pasted

import (
	"encoding/hex"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// parse reads the packet as far as its lines have come.
func (c *piece) parse(cols *columns) {
	c.row = row{}
	c.level = parseRow(&c.row, c.text, &c.front, cols)
}

// parseRow reads the text of a packet behind its number and time.
func parseRow(r *row, text string, f *front, cols *columns) level {
	if l := r.tcpdump(text); l != nothing {
		return l
	}
	lines := text
	text = strings.ReplaceAll(text, "\n", " ")
	if l := r.wireshark(text, cols); l != nothing {
		return l
	}
	if l := r.oldTCPDump(text); l != nothing {
		return l
	}
	if l := r.otherDump(lines); l != nothing {
		return l
	}
	if f.stamp.kind != noStamp || f.number != 0 {
		return r.otherRow(text, f, cols)
	}
	return nothing
}

var (
	pairTail  = pattern{text: `(?:^|\s)(\S+)\s*(?:>|→)\s*(\S+?):?\s*$`}
	flagBreak = pattern{text: `Flags\s*\n\s*\[`}
	flagPart  = pattern{text: `^Flags \[([A-Za-z.]*)\]`}
	seqPart   = pattern{text: `\bseq\s+(\d+)(?::\s*(\d+))?`}
	ackPart   = pattern{text: `(?:^|[\s,])ack\s+(\d+)`}
	winPart   = pattern{text: `\bwin\s+(\d+)`}
	urgPart   = pattern{text: `\burg\s+(\d+)`}
	lenPart   = pattern{text: `\blength\s+(\d+)`}
	optPart   = pattern{text: `\[\s*(?:mss|nop|sackOK|sack|TS|wscale|eol|tfo|exp-tfo|mptcp|md5|tcp-ao|unknown|bad opt|\.\.)`}
	// A number that a mail client broke in two; nothing else has a number
	// behind a number here.
	broken = pattern{text: `([0-9])\n([0-9])`}
)

// tcpdump reads a line of tcpdump since 4.0: "SRC > DST: Flags [..], ...".
func (r *row) tcpdump(text string) level {
	text = flagBreak.ReplaceAllString(text, "Flags [")
	for from := 0; ; {
		i := strings.Index(text[from:], "Flags [")
		if i < 0 {
			return nothing
		}
		i += from
		from = i + len("Flags [")
		m := flagPart.FindStringSubmatch(text[i:])
		if m == nil {
			continue
		}
		flags, ok := flagsOf(m[1])
		head := strings.ReplaceAll(text[:i], "\n", " ")
		if strings.Contains(head, ": ICMP") {
			return nothing // a segment that an error quotes
		}
		pair := pairTail.FindStringSubmatchIndex(head)
		if !ok || pair == nil && strings.TrimSpace(strings.Trim(head, ">→ ")) != "" {
			continue // Geneve's own flags
		}
		r.kind, r.dialect, r.flags = kindTCP, dump, flags
		if pair != nil {
			r.src, r.dst = endsOf(head[pair[2]:pair[3]]), endsOf(head[pair[4]:pair[5]])
			r.dumpHead(head[:pair[2]])
		}
		return r.dumpBody(text[i+len(m[0]):])
	}
}

// dumpBody reads what follows the flags.
func (r *row) dumpBody(b string) level {
	done := partial
	if at := lenPart.FindStringSubmatchIndex(b); at != nil {
		r.len = num32(b[at[2]:at[3]])
		rest := strings.TrimSpace(b[at[1]:])
		done = whole
		if rest != "" && rest[0] == ':' {
			done = payload
		}
		b = b[:at[0]]
	}
	for broken.MatchString(b) {
		b = broken.ReplaceAllString(b, "$1$2")
	}
	b = strings.ReplaceAll(b, "\n", " ")
	b = r.dumpOptions(b)
	r.dumpNumbers(b)
	return done
}

// dumpNumbers reads seq, ack, win and urg; b is without options.
func (r *row) dumpNumbers(b string) {
	if m := seqPart.FindStringSubmatch(b); m != nil {
		r.seq = num32(m[1])
		if m[2] != "" {
			r.end = num32(m[2])
		}
	}
	if m := ackPart.FindStringSubmatch(b); m != nil {
		r.ack = num32(m[1])
	}
	if m := winPart.FindStringSubmatch(b); m != nil {
		r.win = num32(m[1])
	}
	if m := urgPart.FindStringSubmatch(b); m != nil {
		r.urg = num32(m[1])
	}
	if r.seq.ok && r.end.ok {
		// tcpdump 4.9 runs the length into DNS's words.
		r.len = number{r.end.n - r.seq.n, true}
	}
	if strings.Contains(b, "..") || strings.Contains(b, "[|tcp]") {
		r.options |= segment.OptCut // something was left out, and options may be in it
	}
}

// dumpOptions reads the list of options and returns b without it.
func (r *row) dumpOptions(b string) string {
	at := optPart.FindStringIndex(b)
	if at == nil {
		return b
	}
	depth, end := 0, len(b)
	for i := at[0]; i < len(b); i++ {
		if b[i] == '[' {
			depth++
		} else if b[i] == ']' || b[i] == '>' && depth == 1 {
			if depth--; depth == 0 {
				end = i
				break
			}
		}
	}
	if depth > 0 {
		r.options |= segment.OptCut
	}
	r.optionList(b[at[0]+1 : end])
	return b[:at[0]] + " " + b[min(end+1, len(b)):]
}

var (
	mssOpt    = pattern{text: `\bmss\s+(\d+)`}
	wscaleOpt = pattern{text: `\bwscale\s+(\d+)`}
	tsOpt     = pattern{text: `\bTS\s+val\s+(\d+)\s+ecr\s+(\d+)|\btimestamp\s+(\d+)\s+(\d+)`}
	sackOpt   = pattern{text: `\bsack\s+(?:sack\s+)?\d+\s*((?:\{\d+:\d+\}\s*)+)`}
	blockOpt  = pattern{text: `\{(\d+):(\d+)\}`}
	otherOpt  = pattern{text: `\b(unknown|echo|cc|scps|uto|enc|skeeter|bubba|tcp-?ao|md5|mptcp|tfo|exp-tfo)\b`}
)

// optionList reads tcpdump's options, old and new.
func (r *row) optionList(o string) {
	if m := mssOpt.FindStringSubmatch(o); m != nil {
		r.mss = uint16(num(m[1], 16))
		r.options |= segment.OptMSS
	}
	if m := wscaleOpt.FindStringSubmatch(o); m != nil {
		r.wscale = uint8(num(m[1], 8))
		r.options |= segment.OptWScale
	}
	if strings.Contains(o, "sackOK") {
		r.options |= segment.OptSACKPermitted
	}
	if m := tsOpt.FindStringSubmatch(o); m != nil {
		v, e := num32(m[1]+m[3]), num32(m[2]+m[4])
		if v.ok && e.ok {
			r.hasTS, r.tsval, r.tsecr = true, v.n, e.n
			r.options |= segment.OptTimestamps
		}
	}
	if m := sackOpt.FindStringSubmatch(o); m != nil {
		for _, b := range blockOpt.FindAllStringSubmatch(m[1], 4) {
			r.addSACK(b[1], b[2])
		}
	}
	for _, m := range otherOpt.FindAllString(o, -1) {
		switch m {
		case "md5":
			r.options |= segment.OptMD5
		case "tcp-ao", "tcpao":
			r.options |= segment.OptAO
		case "mptcp":
			r.options |= segment.OptMPTCP
		case "tfo", "exp-tfo":
			r.options |= segment.OptFastOpen
		default:
			r.options |= segment.OptUnknown
		}
	}
	if strings.Contains(o, "[|tcp]") || strings.Contains(o, "..") || strings.Contains(o, "bad opt") {
		r.options |= segment.OptCut
	}
}

// addSACK adds a block.
func (r *row) addSACK(left, right string) {
	l, e := num32(left), num32(right)
	if l.ok && e.ok && int(r.nsack) < len(r.sack) {
		r.sack[r.nsack] = [2]uint32{l.n, e.n}
		r.nsack++
		r.options |= segment.OptSACK
	}
}

var (
	anyIface = pattern{text: `^\s*(?:([\w.@-]+)\s+)?(In|Out|B|M|P)\s+`}
	macPair  = pattern{text: `([0-9a-f]{2}(?::[0-9a-f]{2}){5})(?:\s*\([^)]*\))?\s*>\s*(?:([0-9a-f]{2}(?::[0-9a-f]{2}){5})|Broadcast)`}
	oneMAC   = pattern{text: `(?:^|\s)([0-9a-f]{2}(?::[0-9a-f]{2}){5})(?:\s|,)`}
	vlanPart = pattern{text: `\bvlan (\d+)`}
	etherLen = pattern{text: `ethertype [^,]+(?:\(0x[0-9a-f]+\))?, length (\d+)`}
	ipv4Part = pattern{text: `\(tos (0x[0-9a-f]+)[^)]*?ttl\s+(\d+),\s+id\s+(\d+),(?:[^()]|\([^()]*\))*?flags\s+\[([^\]]*)\](?:[^()]|\([^()]*\))*?length:?\s+(\d+)`}
	ipv6Part = pattern{text: `\((?:class (0x[0-9a-f]+), )?(?:flowlabel 0x[0-9a-f]+, )?hlim (\d+), next-header [^)]*\(\d+\)\s+payload length:? (\d+)`}
	tunnelRE = pattern{text: `(VXLAN|OTV|Geneve|GREv\d|PPPoE|MPLS|gre-proto|EtherIP)`}
	vniPart  = pattern{text: `\b(?:vni|instance) (0x[0-9a-f]+|\d+)|\blabel (\d+)|\bkey=(0x[0-9a-f]+|\d+)|\[ses (0x[0-9a-f]+|\d+)\]`}
	outerIP  = pattern{text: `(\S+)\s+>\s+(\S+?):\s`}
)

// dumpHead reads what stands before the pair of ends: the interface, the link's
// header, the IP header of -v, and the tunnels around.
func (r *row) dumpHead(h string) {
	if m := anyIface.FindStringSubmatch(h); m != nil {
		r.iface, r.way = m[1], wayOf(m[2])
	}
	if m := macPair.FindAllStringSubmatch(h, -1); m != nil {
		last := m[len(m)-1]
		r.srcMAC, r.dstMAC = macOf(last[1]), macOf(last[2])
	} else if m := oneMAC.FindStringSubmatch(h); m != nil {
		r.srcMAC = macOf(m[1])
	}
	if m := vlanPart.FindAllStringSubmatch(h, -1); m != nil {
		r.vlan = uint16(num(m[len(m)-1][1], 12))
	}
	if m := etherLen.FindStringSubmatch(h); m != nil {
		r.frameLen = uint32(num(m[1], 32))
	}
	if m := ipv4Part.FindAllStringSubmatch(h, -1); m != nil {
		l := m[len(m)-1]
		r.hasIP, r.tos, r.ttl = true, uint8(num(l[1], 8)), uint8(num(l[2], 8))
		r.ipid, r.df, r.ipLen = uint16(num(l[3], 16)), strings.Contains(l[4], "DF"), uint32(num(l[5], 32))
	} else if m := ipv6Part.FindAllStringSubmatch(h, -1); m != nil {
		l := m[len(m)-1]
		r.hasIP, r.tos, r.ttl, r.ipLen = true, uint8(num(l[1], 8)), uint8(num(l[2], 8)), 40+uint32(num(l[3], 32))
	}
	r.dumpTunnel(h)
}

// dumpTunnel reads the packets around.
func (r *row) dumpTunnel(h string) {
	outer := outerIP.FindAllStringSubmatch(macPair.ReplaceAllString(h, ""), -1)
	names := tunnelRE.FindAllString(h, -1)
	if len(outer) > 0 {
		r.outerSrc, r.outerDst = endsOf(outer[0][1]).host, endsOf(outer[0][2]).host
	}
	r.tunnel.Depth = uint8(min(max(len(outer), len(names)), 255))
	if r.tunnel.Depth == 0 {
		return
	}
	r.tunnel.Kind = segment.TunnelIP
	if len(names) > 0 {
		switch n := names[len(names)-1]; n {
		case "VXLAN", "OTV": // tcpdump takes Linux's old port for OTV
			r.tunnel.Kind = segment.TunnelVXLAN
		case "Geneve":
			r.tunnel.Kind = segment.TunnelGeneve
		case "PPPoE":
			r.tunnel.Kind = segment.TunnelPPPoE
		case "MPLS":
			r.tunnel.Kind = segment.TunnelMPLS
		case "EtherIP":
			r.tunnel.Kind = segment.TunnelEtherIP
		default:
			r.tunnel.Kind = segment.TunnelGRE
		}
	}
	if m := vniPart.FindAllStringSubmatch(h, -1); m != nil {
		l := m[len(m)-1]
		r.tunnel.ID = uint32(num(l[1]+l[2]+l[3]+l[4], 32))
	}
}

func wayOf(s string) segment.Way {
	switch s {
	case "In", "B", "M":
		return segment.WayIn
	case "Out":
		return segment.WayOut
	case "P":
		return segment.WayOther
	}
	return segment.WayUnknown
}

func macOf(s string) (m segment.MAC) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(m) {
		return segment.MAC{}
	}
	return segment.MAC(b)
}
