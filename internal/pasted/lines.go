package pasted

import (
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxPiece bounds the lines of one packet outside of a detail tree, so that a
// text without any packet is not joined into one.
const maxPiece = 40

// maxLine bounds a line, in bytes: rows are shorter, dumps are not read.
const maxLine = 4096

// reader takes a text line by line. A packet is a piece of one or more lines.
type reader struct {
	uses []Use
	rows []row
	full int // the first line that was not read for there being too many rows

	piece   piece
	tree    *tree
	columns *columns
	// tunnelled: the piece is a tunnel's own line, and the packet inside
	// follows on the next line.
	section  uint32
	sections int
	drops    int // packets that the tool says it lost, and the line
	dropLine int
}

// piece is a packet whose lines are being collected.
type piece struct {
	lines  []int
	depth  int // of quotation
	indent int
	text   string
	front  front
	// row and level are what the text reads as so far.
	row   row
	level level
}

// open tells whether a bracket is open, so that the next line goes on.
func (c *piece) open() bool {
	return strings.Count(c.text, "(") > strings.Count(c.text, ")") || strings.Count(c.text, "[") > strings.Count(c.text, "]")
}

// level is how far the text of a packet has come.
type level uint8

const (
	nothing  level = iota // no packet
	headless              // it has begun, but neither flags nor protocol are there yet
	partial               // the flags are there, more may come
	whole                 // nothing is missing
	payload               // whole, and text of the payload has begun
)

// read takes the whole text.
func (p *reader) read(s string) {
	lines := strings.Split(s, "\n")
	if n := len(lines); n > 0 && lines[n-1] == "" {
		lines = lines[:n-1]
	}
	p.uses = make([]Use, len(lines))
	for i, l := range lines {
		if len(p.rows) >= maxRows {
			p.full = i + 1
			break
		}
		for _, part := range split(l) {
			p.line(i+1, part[:min(len(part), maxLine)])
		}
	}
	p.flush()
	p.endTree()
}

// use notes what became of a line; of a line with several parts, what is told
// of a packet counts.
func (p *reader) use(no int, u Use) {
	if old := &p.uses[no-1]; u == OfPacket || *old != OfPacket && (u == Unread || *old != Unread) {
		*old = u
	}
}

// unread lists the lines that were not understood.
func (p *reader) unread() []int {
	var all []int
	for i, u := range p.uses {
		if u == Unread {
			all = append(all, i+1)
		}
	}
	return all
}

// splitRE is the beginning of a packet that cannot be anything else.
var splitRE = pattern{text: `(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3,9} IP6? \S+ > \S+:? Flags \[|` +
	`\b\d{1,9}\s+\d{1,9}\.\d{3,9}\s+[\w*-]*[.:][\w.:*-]*\s+(?:(?:→|->|>)\s+)?[\w*-]*[.:][\w.:*-]*\s+[A-Z][A-Za-z0-9.]{1,11}\s+\d{2,5}\s`}

// split takes apart a line that holds several packets: pages join lines that
// nobody marked as code.
func split(l string) []string {
	if len(l) < 160 {
		return []string{l}
	}
	at := splitRE.FindAllStringIndex(l, -1)
	if len(at) < 2 {
		return []string{l}
	}
	var parts []string
	from := 0
	for i, m := range at {
		if to := m[0]; i > 0 || strings.TrimSpace(l[:to]) != "" {
			parts = append(parts, l[from:to])
			from = to
		}
	}
	return append(parts, l[from:])
}

// line takes the next line.
func (p *reader) line(no int, raw string) {
	t, depth := clean(raw)
	if p.piece.level == headless && depth > p.piece.depth {
		if f := frontOf(t); !f.strong() {
			t = "> " + t // no quotation, but the arrow of a broken line
		}
	}
	if strings.TrimSpace(t) == "" {
		p.blank()
		return
	}
	if p.takeTree(no, t) || p.takeFields(no, t) {
		return
	}
	f := frontOf(t)
	switch {
	case isNoise(t):
		p.noise(no, t)
	case f.strong() && (f.stamp.kind != noStamp || !p.piece.open()):
		p.begin(no, depth, f)
	case p.wants(t, f):
		p.join(no, t)
	case f.weak():
		p.begin(no, depth, f)
	default:
		p.flush()
		p.aside(no, t)
	}
}

// blank ends a packet, unless it has hardly begun.
func (p *reader) blank() {
	if p.piece.level != headless {
		p.flush()
	}
}

// begin starts a packet.
func (p *reader) begin(no, depth int, f front) {
	p.flush()
	p.endTree()
	p.piece = piece{lines: []int{no}, depth: depth, indent: f.indent, text: f.rest, front: f}
	p.piece.parse(p.columns)
	if p.piece.level == nothing {
		p.piece.level = headless
	}
}

// join appends a line to the packet that has begun.
func (p *reader) join(no int, t string) {
	if p.piece.lines[len(p.piece.lines)-1] != no {
		p.piece.lines = append(p.piece.lines, no)
	}
	t = strings.TrimSpace(t)
	if !mends(p.piece.text, t) {
		p.piece.text += "\n"
	}
	p.piece.text += t
	p.piece.parse(p.columns)
	if p.piece.level == nothing {
		p.piece.level = headless
	}
}

// flush ends the packet that has begun.
func (p *reader) flush() {
	c := &p.piece
	if len(c.lines) == 0 {
		return
	}
	if c.level >= partial || c.row.kind == kindOpaque {
		for _, n := range c.lines {
			p.use(n, OfPacket)
		}
		p.put(c.row, c.lines[0], c.lines[len(c.lines)-1], c.front)
	} else {
		// The first line looked like a packet; what was joined to it is words.
		p.use(c.lines[0], Comment)
		if signs.MatchString(c.text) {
			p.use(c.lines[0], Unread)
		}
		for _, n := range c.lines[1:] {
			p.use(n, Comment)
		}
	}
	p.piece = piece{}
}

// put keeps a row.
func (p *reader) put(r row, first, last int, f front) {
	r.line, r.last = first, last
	if r.number == 0 {
		r.number = f.number
	}
	if r.stamp.kind == noStamp {
		r.stamp = f.stamp
	}
	r.section = p.section
	if r.iface == "" {
		r.iface = f.place
	}
	p.rows = append(p.rows, r)
}

// aside takes a line that belongs to no packet.
func (p *reader) aside(no int, t string) {
	if looksLikePacket(t) {
		p.use(no, Unread)
		return
	}
	p.use(no, Comment)
	if s := strings.TrimSpace(t); sectionLine.MatchString(t) || strings.HasSuffix(s, ":") && len(s) < 60 {
		p.sections++
		p.section = uint32(p.sections)
	}
}

// sectionLine is a heading that says where the packets below were captured.
var sectionLine = pattern{text: `(?i)\b(interface|captured? on|side|capture of)\b`}

// looksLikePacket tells whether a line has signs of a packet that only a tool prints.
func looksLikePacket(t string) bool {
	return strings.Contains(t, "Flags [") || strings.Contains(t, "Seq=") ||
		infoStart.MatchString(t) || oldBody.MatchString(t)
}

// noise takes a line of a tool that is no packet.
func (p *reader) noise(no int, t string) {
	if !hexLine.MatchString(t) {
		p.flush()
	}
	p.use(no, Ignored)
	if m := dropped.FindStringSubmatch(t); m != nil {
		if n, _ := strconv.Atoi(m[1]); n > 0 {
			p.drops, p.dropLine = p.drops+n, no
		}
	}
	if c := columnsOf(t); c != nil {
		p.columns = c
	}
	if m := listening.FindStringSubmatch(t); m != nil {
		p.sections++
		p.section = uint32(p.sections)
	}
}

var (
	hexLine   = pattern{text: `^\s*(?:0x[0-9a-f]{4}:\s|[0-9a-fA-F]{3,7}0:?\s{2,}(?:[0-9a-fA-F]{2}\s+)+)`}
	dropped   = pattern{text: `^\s*(\d+) packets? dropped`}
	listening = pattern{text: `(?i)^\s*(tcpdump: )?listening on |^\s*Capturing on `}
	chatter   = pattern{text: `(?i)^\s*(tcpdump: |tshark: |dumpcap: |\(?running as user|reading from file|capturing on|` +
		`listening on|dropped privs|` +
		`\d+ packets? (captured|received|dropped)|\^C|[$%>#]\s+(sudo\s+)?(tcpdump|tshark|dumpcap|tcpwhy|cat|nc|curl)\b|\S+@\S+[:~\s].*[$#]\s)`}
	fence = pattern{text: "^\\s*(```.*|~~~.*|[-=_*+|.…~#\t]{2,}|\\[(\\.\\.\\.|…|snip)\\]|<snip>|\\[?-+ ?snip ?-+\\]?|…|-+ *\\[? *cut.*)\\s*$"}
)

// isNoise tells whether a line is known to be no packet.
func isNoise(t string) bool {
	return fence.MatchString(t) || chatter.MatchString(t) || hexLine.MatchString(t) || columnsOf(t) != nil
}

var (
	tags    = pattern{text: `</?(?:span|code|pre|div|p|br|b|i|em|strong|td|tr|li|a|font)\b[^<>]*>`}
	csvLine = pattern{text: `^"[^"]*"(?:,"[^"]*"){3,}\s*$`} // Wireshark's export
	ansi    = pattern{text: `\x1b\[[0-9;?]*[A-Za-z]`}
	quote   = pattern{text: `^(?:[ \t]*[>|»][ \t]?)+`}
	// entities are what a page's source has in place of characters, odd are
	// arrows and spaces that went through a wrong encoding.
	entities = strings.NewReplacer(
		"-&gt;", "→", "&gt;", ">", "&lt;", "<", "&amp;", "&", "&rarr;", "→", "&#8594;", "→", "&nbsp;", " ", "&quot;", `"`,
		"\u00a0", " ", "\u200b", "", "\ufeff", "", "\u279c", "→", "\u21d2", "→",
		"\u00e2\u2020\u2019", "→", "\u00e2\u0086\u0092", "→", "->", "→", "=>", "→", "\u2026", "...", "\r", "",
	)
)

// decode returns a text in UTF-8: Windows shells write UTF-16.
func decode(b []byte) string {
	if len(b) < 2 || b[0] != 0xff && b[0] != 0xfe || b[0]^b[1] != 1 {
		return string(b)
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 2; i+1 < len(b); i += 2 {
		if b[0] == 0xff {
			units = append(units, uint16(b[i])|uint16(b[i+1])<<8)
		} else {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		}
	}
	return string(utf16.Decode(units))
}

// clean takes away what mail, pages and terminals put around a line. It returns
// how many marks of quotation there were.
func clean(t string) (line string, depth int) {
	t = strings.ToValidUTF8(t, "\ufffd")
	if strings.IndexByte(t, 0x1b) >= 0 {
		t = ansi.ReplaceAllString(t, "")
	}
	if strings.Contains(t, "</") || strings.Contains(t, "<br") {
		t = tags.ReplaceAllString(t, "")
	}
	t = entities.Replace(t)
	if q := quote.FindString(t); q != "" {
		rest := t[len(q):]
		depth = strings.Count(q, ">")
		if strings.Contains(q, "|") && strings.Contains(rest, "|") {
			// A row of a table, not a quotation.
			rest = strings.ReplaceAll(strings.TrimRight(strings.TrimSpace(rest), "|"), "|", "\t")
		}
		t = rest
	}
	if strings.HasPrefix(t, `"`) && csvLine.MatchString(t) {
		t = strings.TrimSpace(t)
		t = strings.ReplaceAll(t[1:len(t)-1], `","`, "\t")
	}
	return t, depth
}

// wants tells whether a line that does not start with a time belongs to the
// packet that has begun.
func (p *reader) wants(t string, f front) bool {
	c := &p.piece
	if len(c.lines) == 0 || len(c.lines) >= maxPiece {
		return false
	}
	switch c.level {
	case nothing:
		return false
	case headless:
		return true
	case whole:
		return c.row.kind == kindTCP && c.row.dialect == summary && (moreInfo.MatchString(t) || c.open())
	case payload:
		if c.row.kind == kindICMP && f.indent > c.indent+1 && (quotedIP.MatchString(t) || quotedIP.MatchString(c.text[strings.LastIndexByte(c.text, '\n')+1:])) {
			return true // tcpdump -v shows what an ICMP error quotes
		}
		return !f.weak() && !looksLikePacket(t)
	case partial:
		if c.row.kind == kindTunnel {
			return true
		}
		if f.weak() {
			return false
		}
		return mends(c.text, t) || moreInfo.MatchString(t) || moreDump.MatchString(t) || openEnd.MatchString(c.text)
	}
	return false
}

// keywords are words that a terminal may have broken in two.
var keywords = map[string]bool{
	"Flags": true, "seq": true, "ack": true, "win": true, "urg": true, "options": true, "length": true, "cksum": true,
	"ethertype": true, "offset": true, "proto": true, "flags": true,
}

// mends tells whether a line goes on in the middle of the word that text ends with.
func mends(text, t string) bool {
	last := text[strings.LastIndexAny(text, " \n\t")+1:]
	next, _, _ := strings.Cut(t, " ")
	return !keywords[last] && !keywords[strings.TrimRight(next, ",")] && keywords[last+next]
}

// signs are what a packet has and a sentence behind a time has not.
var signs = pattern{text: `[>→]|Flags|\bIP6?\b|\b\d+\.\d+\.\d+\.\d+|\bSRC=`}

var (
	quotedIP = pattern{text: `^\s*IP6? \(`}
	moreInfo = pattern{text: `^\s*(\[|(?:TSval|TSecr|TSV|TSER|WS|MSS|SACK_PERM|SLE|SRE|Len|Win|Ack|Seq|Urg|TFO|MD5)\b)`}
	moreDump = pattern{text: `^\s*(?:[\[({<]|\d+[\],:)>}(]|(?:seq|ack|win|urg|options|length|val|ecr|cksum|nop|mss|sackOK|sack|TS|wscale|` +
		`eol|tfo|mptcp|proto|offset|id|flags|ttl|tos|timestamp|TCP|correct|incorrect|\(correct|\(incorrect)\b)`}
	openEnd = pattern{text: `(?:[,(\[<>:→-]|\b(?:seq|ack|win|val|ecr|options|length|mss|wscale|TS|sack|sackOK|nop|proto|flags|cksum|urg|timestamp|` +
		`Len|Win|Ack|Seq|MSS|WS|TSval|TSecr|TSV|TSER|SLE|SRE)|=)\s*$`}
)
