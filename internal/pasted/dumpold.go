package pasted

import (
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// oldBody is a line of tcpdump before 4.0: "SRC > DST: S 1:1(0) win 5840 <..>".
var oldBody = pattern{text: `(\S+)\s+>\s+(\S+?):\s+([SFRPUWE]{1,6}|\.)(\s+\[[^\]]*\])?(?:\s+\[ECN[^\]]*\])?(?:,\s+cksum\s+0x[0-9a-f]+\s+\([^)]*\))?,?\s+(?:\d+:\d+\s*\(\d+\)|ack\s+\d+|win\s+\d+)`}

var (
	oldSeq  = pattern{text: `^\s*(\d+):(\d+)\s*\((\d+)\)`}
	oldIP   = pattern{text: `\(?(?:DF\)?,?\s*)?\(?ttl (\d+), id (\d+)`}
	oldTOS  = pattern{text: `\[tos (0x[0-9a-f]+)`}
	sumPart = pattern{text: `^\s*(?:\[[^\]]*\]|,|cksum\s+0x[0-9a-f]+\s+\([^)]*\))\s*`}
)

// oldTCPDump reads such a line.
func (r *row) oldTCPDump(text string) level {
	at := oldBody.FindStringSubmatchIndex(text)
	if at == nil {
		return nothing
	}
	flags, ok := flagsOf(text[at[6]:at[7]])
	if !ok {
		return nothing
	}
	r.kind, r.dialect, r.flags = kindTCP, dump, flags
	r.src, r.dst = endsOf(text[at[2]:at[3]]), endsOf(text[at[4]:at[5]])
	head, b := text[:at[2]], text[at[7]:]
	r.dumpHead(head)
	for {
		m := sumPart.FindString(b)
		if m == "" {
			break
		}
		b = b[len(m):]
	}
	if m := oldSeq.FindStringSubmatch(b); m != nil {
		r.seq, r.end, r.len = num32(m[1]), num32(m[2]), num32(m[3])
		b = b[len(m[0]):]
	} else {
		r.len = number{0, true}
	}
	opts := ""
	done := whole
	if i := strings.IndexByte(b, '<'); i >= 0 {
		j := strings.IndexByte(b[i:], '>')
		if j < 0 {
			done, j = partial, len(b)-i
			r.options |= segment.OptCut
		}
		opts = b[i+1 : i+j]
		b = b[:i] + b[min(i+j+1, len(b)):]
	}
	r.optionList(opts)
	win := winPart.FindStringIndex(b)
	if win == nil {
		done = partial
	}
	r.dumpNumbers(b)
	if r.ack.ok {
		r.flags |= segment.ACK // the old letters have no sign for it
	}
	ip := b
	if !strings.Contains(b, "ttl ") {
		ip = head
	}
	if m := oldIP.FindStringSubmatch(ip); m != nil {
		r.hasIP, r.ttl, r.ipid = true, uint8(num(m[1], 8)), uint16(num(m[2], 16))
	}
	if m := oldTOS.FindStringSubmatch(b); m != nil {
		r.tos = uint8(num(m[1], 8))
	}
	r.df = r.df || strings.Contains(b, "DF")
	return done
}

var (
	pairBody  = pattern{text: `(?s)(?:^|\s)(\S+)\s+(?:>|→)\s+(\S+?):\s+(.*)$`}
	tcpQuiet  = pattern{text: `^tcp (\d+)`}
	ipAhead   = pattern{text: `^(?:IP6? )?\((?:tos|class|flowlabel|hlim)`}
	icmpBody  = pattern{text: `(?s)^ICMP6?,? (.*)`}
	headOnly  = pattern{text: `(?i)^(?:[\w.@-]+\s+)?(?:(?:In|Out|B|M|P)\s+)?(?:IP6?|ip)?\s*(?:\((?:tos|class|flowlabel|hlim).*)?$`}
	otherWord = pattern{text: `^(?:[\w.@-]+\s+)?(?:(?:In|Out|B|M|P)\s+)?(?:ARP|arp|RARP|STP|LLDP|CDP|IS-IS|LOOP|EAPOL|802\.1|IPX|AT|unknown|Unknown)\b`}
	etherARP  = pattern{text: `ethertype\s+ARP\b`}
	tunnelEnd = pattern{text: `\b(?:VXLAN|OTV|Geneve|GREv\d|gre-proto|PPPoE|MPLS|EtherIP)\b`}
)

// otherDump reads a line of tcpdump without TCP's flags.
func (r *row) otherDump(text string) level {
	r.dialect = dump
	if otherWord.MatchString(text) || etherARP.MatchString(text) {
		r.kind, r.info = kindOther, text
		r.takeARP()
		return payload
	}
	bare := macPair.ReplaceAllString(text, "")
	m := pairBody.FindStringSubmatch(bare)
	if m == nil || ipAhead.MatchString(m[3]) || strings.HasPrefix("Flags [", m[3]) {
		if m != nil || headOnly.MatchString(text) || macPair.MatchString(text) || strings.Contains(text, "ethertype") || pairTail.MatchString(bare) || strings.HasSuffix(text, ">") {
			return headless
		}
		return nothing
	}
	if strings.ContainsAny(m[1], "[]=") || strings.ContainsAny(m[2], "[]=") {
		return nothing
	}
	r.src, r.dst, r.info = endsOf(m[1]), endsOf(m[2]), m[3]
	r.dumpHead(text[:strings.Index(text, m[1])])
	switch {
	case tcpQuiet.MatchString(m[3]):
		r.kind, r.protocol = kindOpaque, "TCP"
		r.len = num32(tcpQuiet.FindStringSubmatch(m[3])[1])
	case strings.HasPrefix(m[3], "[|tcp]"), strings.HasPrefix(m[3], "tcp"):
		r.kind, r.protocol = kindOpaque, "TCP"
	case icmpBody.MatchString(m[3]):
		r.kind = kindICMP
		words, quoted, _ := strings.Cut(icmpBody.FindStringSubmatch(m[3])[1], "\n")
		if r.icmpText(words); !r.icmp.known {
			r.kind = kindOther // a ping
			return payload
		}
		if q := (row{}); q.tcpdump(quoted) >= partial {
			r.quoted = &q
		}
		return payload
	case tunnelEnd.MatchString(m[3]):
		// The packet inside has a line of its own.
		r.kind = kindTunnel
		return partial
	default:
		r.kind = kindOther
	}
	return payload
}
