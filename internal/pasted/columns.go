package pasted

import (
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// column is what a column of a row holds.
type column uint8

const (
	colSkip column = iota
	colNumber
	colTime
	colEpoch
	colSrc
	colDst
	colSrcPort
	colDstPort
	colProtocol
	colLength
	colInfo
	colTTL
	colIPID
	colSeq
	colSeqRaw
	colAck
	colAckRaw
	colWin
	colScaledWin
	colLen
	colFlags
	colMSS
	colScale
	colTSVal
	colTSEcr
	colSYN
	colFIN
	colRST
	colPSH
	colACK
	colSackLeft
	colSackRight
	colSrcMAC
	colDstMAC
	colVLAN
)

// columnNames are Wireshark's headings and the names of tshark -T fields.
var columnNames = map[string]column{
	"no.": colNumber, "no": colNumber, "#": colNumber, "frame": colNumber, "number": colNumber, "frame.number": colNumber,
	"time": colTime, "frame.time": colTime, "frame.time_relative": colTime, "frame.time_epoch": colEpoch, "utc time": colTime,
	"absolute time": colTime, "abs time": colTime, "timestamp": colTime, "epoch time": colEpoch, "date": colTime,
	"source": colSrc, "src": colSrc, "source address": colSrc, "ip.src": colSrc, "ipv6.src": colSrc, "src ip": colSrc, "source ip": colSrc,
	"destination": colDst, "dst": colDst, "destination address": colDst, "ip.dst": colDst, "ipv6.dst": colDst, "dst ip": colDst,
	"dest": colDst, "destination ip": colDst, "source port": colSrcPort, "src port": colSrcPort, "srcport": colSrcPort,
	"sport": colSrcPort, "tcp.srcport": colSrcPort, "destination port": colDstPort, "dest port": colDstPort, "dst port": colDstPort,
	"dstport": colDstPort, "dport": colDstPort, "tcp.dstport": colDstPort, "src.port": colSrcPort, "dst.port": colDstPort,
	"dest. port": colDstPort, "protocol": colProtocol, "proto": colProtocol, "_ws.col.protocol": colProtocol,
	"length": colLength, "frame.len": colLength, "frame length": colLength, "info": colInfo, "_ws.col.info": colInfo,
	"ttl": colTTL, "time to live": colTTL, "ip.ttl": colTTL, "ipv6.hlim": colTTL, "ip.id": colIPID, "ip id": colIPID, "ipid": colIPID,
	"identification": colIPID, "seq": colSeq, "tcp.seq": colSeq, "sequence number": colSeq, "tcp.seq_raw": colSeqRaw,
	"ack": colAck, "tcp.ack": colAck, "acknowledgment number": colAck, "tcp.ack_raw": colAckRaw, "win": colScaledWin,
	"window": colScaledWin, "tcp.window_size": colScaledWin, "tcp.window_size_value": colWin, "len": colLen, "tcp.len": colLen,
	"flags": colFlags, "tcp.flags": colFlags, "tcp.flags.str": colFlags, "tcp.options.mss_val": colMSS,
	"tcp.options.wscale.shift": colScale, "tcp.options.timestamp.tsval": colTSVal, "tcp.options.timestamp.tsecr": colTSEcr,
	"tcp.flags.syn": colSYN, "tcp.flags.fin": colFIN, "tcp.flags.reset": colRST, "tcp.flags.push": colPSH, "tcp.flags.ack": colACK,
	"tcp.options.sack_le": colSackLeft, "tcp.options.sack_re": colSackRight, "eth.src": colSrcMAC, "eth.dst": colDstMAC,
	"vlan.id": colVLAN, "vlan": colVLAN,
	// Known, and of no use here.
	"delta": colSkip, "delta time": colSkip, "time delta": colSkip, "frame.time_delta": colSkip, "stream": colSkip,
	"tcp.stream": colSkip, "tcp stream": colSkip, "stream index": colSkip, "delta time displayed": colSkip, "comment": colSkip,
	"host": colSkip, "frame.interface_name": colSkip, "tcp.analysis.flags": colSkip, "calculated window size": colScaledWin,
	"bytes in flight": colSkip, "frame.time_delta_displayed": colSkip, "tcp.time_delta": colSkip, "tcp.checksum": colSkip,
}

// columns is the order of columns that a heading announced.
type columns struct {
	order []column
	sep   string // "" where columns are padded with spaces
}

// columnsOf reads a heading, nil if t is none.
func columnsOf(t string) *columns {
	low := strings.ToLower(strings.TrimSpace(t))
	if len(low) > 1000 || !strings.Contains(low, "source") && !strings.Contains(low, "src") {
		return nil
	}
	for _, sep := range [...]string{"\t", ",", "|", ";"} {
		if !strings.Contains(low, sep) {
			continue
		}
		words := strings.Split(low, sep)
		c := &columns{sep: sep}
		known := 0
		for _, w := range words {
			k, ok := columnNames[strings.Trim(w, ` "`)]
			c.order = append(c.order, k)
			if ok {
				known++
			}
		}
		if known >= 3 && known*4 >= len(words)*3 {
			return c
		}
	}
	return headingWords(strings.Fields(low))
}

// headingWords reads a heading whose columns are padded with spaces; a name may
// have two words.
func headingWords(words []string) *columns {
	c := &columns{}
	known := 0
	for i := 0; i < len(words); i++ {
		if i+1 < len(words) {
			if k, ok := columnNames[words[i]+" "+words[i+1]]; ok {
				c.order = append(c.order, k)
				known++
				i++
				continue
			}
		}
		k, ok := columnNames[words[i]]
		c.order = append(c.order, k)
		if ok {
			known++
		}
	}
	if known < 4 || known*4 < len(c.order)*3 {
		return nil
	}
	return c
}

// has tells whether the heading announced the column.
func (c *columns) has(k column) bool {
	if c == nil {
		return false
	}
	for _, o := range c.order {
		if o == k {
			return true
		}
	}
	return false
}

// row reads the columns of head, the part of a row behind number and time and,
// of TCP segments, before the Info column. It tells whether hosts were found.
func (c *columns) row(r *row, head string) bool {
	words := strings.Fields(head)
	if strings.Contains(head, "\t") {
		words = splitTabs(head)
	}
	if c.swapped() && c.place(r, words) {
		return true
	}
	return generic(r, words)
}

// whole reads a row between tabs whose order a heading has announced, and tells
// whether it did.
func (c *columns) whole(r *row, text string) bool {
	return c.swapped() && c.sep == "\t" && strings.Contains(text, "\t") && c.place(r, splitTabs(text)) && r.info != ""
}

// splitTabs splits at tabs and drops what is empty.
func splitTabs(s string) []string {
	var out []string
	for _, w := range strings.Split(s, "\t") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// swapped tells whether the heading has an order that must be followed: any
// but number, time, source, destination, protocol, length, Info.
func (c *columns) swapped() bool {
	if c == nil {
		return false
	}
	want := []column{colSrc, colDst, colProtocol, colLength, colInfo}
	for _, k := range c.order {
		if k == colNumber || k == colTime || k == colEpoch {
			continue
		}
		if len(want) == 0 || k != want[0] {
			return true
		}
		want = want[1:]
	}
	return false
}

// place puts words into the announced columns. Number and time were taken off
// the front already, if they stood there.
func (c *columns) place(r *row, words []string) bool {
	i := 0
	for at, k := range c.order {
		if i >= len(words) {
			break
		}
		if (k == colNumber || k == colTime || k == colEpoch) && at < 2 && c.order[0] != colSrc && c.order[0] != colDst {
			continue // taken off
		}
		if words[i] == "→" || words[i] == ">" {
			i++
			if i >= len(words) {
				break
			}
		}
		if k == colInfo {
			rest := words[i:]
			if after := len(c.order) - 1 - at; after > 0 && len(rest) > after {
				rest = rest[:len(rest)-after]
			}
			r.info = strings.Join(rest, " ")
			i += len(rest)
			continue
		}
		v := words[i]
		i++
		if k == colTime && i < len(words) {
			if s, n := stampOf(v+" "+words[i], 1); n > len(v) {
				r.stamp = s
				i++
				continue
			}
		}
		r.set(k, v)
	}
	return r.src.host != "" && r.dst.host != ""
}

// generic reads columns without a heading: source and destination are the
// first two words, with an arrow between them or without; behind them, the
// first word that is no number is the protocol, and the number behind it the
// frame's length.
func generic(r *row, words []string) bool {
	var rest []string
	for i, w := range words {
		if (w == "→" || w == ">") && i > 0 && i+1 < len(words) {
			r.src.host, r.dst.host, rest = words[i-1], words[i+1], words[i+2:]
			break
		}
		if i == 2 {
			break
		}
	}
	if r.src.host == "" {
		if len(words) < 2 || !isHost(words[0]) || !isHost(words[1]) {
			return false
		}
		r.src.host, r.dst.host, rest = words[0], words[1], words[2:]
	}
	for i, w := range rest {
		if _, err := strconv.ParseFloat(w, 64); err == nil {
			continue
		}
		r.protocol = w
		rest = rest[i+1:]
		if len(rest) > 0 {
			if v := num32(rest[0]); v.ok {
				r.frameLen = v.n
				rest = rest[1:]
			}
		}
		break
	}
	r.info = strings.Join(rest, " ")
	return true
}

// isHost tells whether a word may be an address, masked or not, or a name.
func isHost(w string) bool {
	if _, err := strconv.ParseUint(w, 10, 64); err == nil {
		return false
	}
	return strings.Trim(w, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:_-*<>/%#") == "" && strings.ContainsAny(w, ".:_") ||
		len(w) > 1 && strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}

// set puts a value into its column.
func (r *row) set(k column, v string) {
	v = strings.Trim(v, `"`)
	if v == "" {
		return
	}
	switch k {
	case colNumber:
		r.number = num(v, 64)
	case colTime, colEpoch:
		if s, n := stampOf(v, 1); n > 0 {
			r.stamp = s
		}
	case colSrc:
		r.src.host = first(v)
	case colDst:
		r.dst.host = first(v)
	case colSrcPort:
		r.src.port = first(v)
	case colDstPort:
		r.dst.port = first(v)
	case colProtocol:
		r.protocol = v
	case colLength:
		r.frameLen = uint32(num(v, 32))
	case colInfo:
		r.info = v
	case colTTL:
		r.ttl, r.hasIP = uint8(num(first(v), 8)), true
	case colIPID:
		r.ipid, r.hasIP = uint16(num(first(v), 16)), true
	case colSrcMAC:
		r.srcMAC = macOf(v)
	case colDstMAC:
		r.dstMAC = macOf(v)
	case colVLAN:
		r.vlan = uint16(num(v, 12))
	case colSkip:
	default:
		r.setTCP(k, v)
	}
}

// first returns the first of several values, which tshark joins with commas.
func first(v string) string {
	v, _, _ = strings.Cut(v, ",")
	return v
}

// setTCP puts a value of the TCP header into its column.
func (r *row) setTCP(k column, v string) {
	n := num32(first(v))
	bit := func(f segment.Flags) {
		if v == "1" || strings.EqualFold(v, "true") || strings.EqualFold(v, "set") {
			r.flags |= f
		}
	}
	switch k {
	case colSeq:
		r.seq = n
	case colAck:
		r.ack = n
	case colSeqRaw:
		r.seqRaw = n
	case colAckRaw:
		r.ackRaw = n
	case colWin:
		r.win, r.scaled = n, false
	case colScaledWin:
		if !r.win.ok {
			r.win, r.scaled = n, true
		}
	case colLen:
		r.len = n
	case colFlags:
		r.flagColumn(v)
	case colMSS:
		r.mss = uint16(min(n.n, 65535))
		r.options |= segment.OptMSS
	case colScale:
		r.wscale = uint8(min(n.n, 255))
		r.options |= segment.OptWScale
	case colTSVal:
		r.tsval, r.hasTS = n.n, n.ok
		r.options |= segment.OptTimestamps
	case colTSEcr:
		r.tsecr = n.n
	case colSackLeft:
		for _, l := range strings.Split(v, ",") {
			r.addSACK(l, l)
		}
	case colSackRight:
		for i, e := range strings.Split(v, ",") {
			if i < int(r.nsack) {
				r.sack[i][1] = num32(e).n
			}
		}
	case colSYN:
		bit(segment.SYN)
	case colFIN:
		bit(segment.FIN)
	case colRST:
		bit(segment.RST)
	case colPSH:
		bit(segment.PSH)
	case colACK:
		bit(segment.ACK)
	}
}

// flagColumn reads tcp.flags (0x0012) or tcp.flags.str (·······A··S·).
func (r *row) flagColumn(v string) {
	if strings.HasPrefix(v, "0x") {
		r.flags |= segment.Flags(num(v, 16) & 0x1ff)
		return
	}
	for _, c := range v {
		switch c {
		case 'S':
			r.flags |= segment.SYN
		case 'F':
			r.flags |= segment.FIN
		case 'R':
			r.flags |= segment.RST
		case 'P':
			r.flags |= segment.PSH
		case 'A':
			r.flags |= segment.ACK
		case 'U':
			r.flags |= segment.URG
		case 'E':
			r.flags |= segment.ECE
		case 'C':
			r.flags |= segment.CWR
		}
	}
}

// takeFields takes a row under a heading of tshark -T fields.
func (p *reader) takeFields(no int, t string) bool {
	c := p.columns
	if c == nil || c.sep == "" || !c.has(colFlags) && !c.has(colSYN) {
		return false
	}
	if c.has(colInfo) || columnsOf(t) != nil {
		return false
	}
	words := strings.Split(t, c.sep)
	if len(words) != len(c.order) {
		words = strings.Split(t, "\t") // what was in quotes
	}
	if len(words) != len(c.order) {
		return false
	}
	r := row{dialect: detail, kind: kindTCP}
	for i, k := range c.order {
		r.set(k, strings.TrimSpace(words[i]))
	}
	if r.src == (host{}) && r.dst == (host{}) {
		return false
	}
	p.flush()
	p.use(no, OfPacket)
	if r.src.port == "" && r.dst.port == "" && !r.seq.ok && !r.seqRaw.ok {
		r.kind = kindOther
	}
	p.put(r, no, no, front{})
	return true
}
