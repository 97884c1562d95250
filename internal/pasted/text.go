package pasted

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxFrame bounds the numbers that a text may give its packets.
const maxFrame = 1 << 31

// text puts the result together.
func (p *reader) text() *Text {
	t := &Text{Uses: p.uses, NotUnderstood: p.unread()}
	rows := p.rows
	setFrames(rows)
	frame := func(r *row) uint64 { return r.frame }
	c := setTimes(rows)
	n := newNames()
	n.see(rows)
	bare, bareLine := n.fillEnds(rows)
	end := func(h host) segment.Endpoint { return segment.Endpoint{Addr: n.addr(h.host), Port: n.port(h.port)} }
	ends := func(r *row) (src, dst segment.Endpoint) {
		return end(r.src), end(r.dst)
	}
	numberInterfaces(rows)
	nums := numberRows(rows, ends)
	placed := map[*row]bool{}
	for i := range nums {
		if nums[i].app && nums[i].c == nil {
			continue
		}
		placed[nums[i].row] = true
		q := nums[i].packet()
		q.Frame = frame(nums[i].row)
		q.SourceFrame = q.Frame
		t.Packets = append(t.Packets, q)
	}
	for i := range rows {
		r := &rows[i]
		switch r.kind {
		case kindOpaque, kindICMP:
			if placed[r] {
				continue
			}
			o := Opaque{
				Line: r.line, LastLine: r.last, FrameLen: r.frameLen, Protocol: r.protocol,
				ICMP: r.kind == kindICMP, Info: r.info, Labels: r.labels,
			}
			o.Frame, o.SourceFrame, o.Time = frame(r), frame(r), r.time
			o.Src, o.Dst = ends(r)
			if r.kind == kindICMP {
				o.Error = r.icmpError(end)
			}
			t.Opaque = append(t.Opaque, o)
		case kindOther, kindTunnel:
			t.Others++
			if r.arp != noARP {
				a := ARP{Ref: segment.Ref{Frame: frame(r), SourceFrame: frame(r), Time: r.time}, Addr: n.addr(r.dst.host)}
				if r.arp == arpAsk {
					a.Asker = n.addr(r.src.host)
				}
				t.ARP = append(t.ARP, a)
			}
		case kindTCP, kindNone:
		}
	}
	t.findCauses()
	t.Names = n.invented
	t.warnTimes(c)
	t.warnNumbers()
	t.warnNames(bare, bareLine)
	t.warnLines(p)
	t.fillFrames()
	return t
}

// setFrames numbers the packets: as the text does, else by their lines, else, where
// a line has several, as they come.
func setFrames(rows []row) {
	own, lines := numbersItself(rows), true
	for i := range rows {
		lines = lines && (i == 0 || rows[i].line > rows[i-1].line)
	}
	for i := range rows {
		switch r := &rows[i]; {
		case own:
			r.frame = r.number
		case lines:
			r.frame = uint64(r.line)
		default:
			r.frame = uint64(i + 1)
		}
	}
}

// numbersItself tells whether a text numbers all its packets, upwards.
func numbersItself(rows []row) bool {
	last := uint64(0)
	for i := range rows {
		if n := rows[i].number; n <= last || n > maxFrame {
			return false
		}
		last = rows[i].number
	}
	return true
}

// numberInterfaces gives every place of capture a number: headings and "listening
// on" begin one, and so does each name of an interface (tcpdump -i any).
func numberInterfaces(rows []row) {
	type place struct {
		section uint32
		iface   string
	}
	seen := map[place]uint32{}
	for i := range rows {
		p := place{rows[i].section, rows[i].iface}
		n, ok := seen[p]
		if !ok {
			n = uint32(len(seen))
			seen[p] = n
		}
		rows[i].section = n
	}
}

// warn adds a warning.
func (t *Text) warn(code string, line int, format string, a ...any) {
	t.Warnings = append(t.Warnings, Warning{Code: code, Says: fmt.Sprintf(format, a...), Line: line})
}

func (t *Text) sortWarnings() {
	slices.SortStableFunc(t.Warnings, func(a, b Warning) int { return strings.Compare(a.Code, b.Code) })
}

// fillFrames turns the lines of warnings into frames.
func (t *Text) fillFrames() {
	for i := range t.Warnings {
		w := &t.Warnings[i]
		for j := range t.Packets {
			if q := &t.Packets[j]; q.Line <= w.Line && w.Line <= q.LastLine {
				w.Frame = q.Frame
			}
		}
	}
}

func (t *Text) warnTimes(c clocks) {
	if c.missing > 0 {
		t.warn("times-missing", c.firstMissing, "tells no time for %s; only their order is known", count(c.missing, "packet"))
	}
	if c.undated {
		t.warn("date-missing", 0, "tells no date: its times are shown on 2 January 1970")
	}
	if c.coarse {
		t.warn("times-coarse", 0, "tells times only to the second")
	}
	if c.deltas {
		t.warn("times-deltas", 0, "tells the time from packet to packet; the times were added up, and what was left out in between is missing from them")
	}
	if c.guessed {
		t.warn("times-guessed", 0, "may tell times since the first packet or from packet to packet; the former was taken")
	}
	if c.parts > 0 {
		t.warn("parts", c.parts, "has parts of which one begins earlier than the one before it ends, as if captured at several places; they were read one after the other: in files of their own they are merged by time")
	}
	if c.back > 0 {
		t.warn("clock-backwards", c.back, "has times that go backwards")
	}
}

// warnNumbers says what is known of sequence numbers and windows.
func (t *Text) warnNumbers() {
	tuples := map[pairKey]bool{}
	relative, unsaid, window, cut, worked := 0, 0, 0, 0, 0
	var relLine, unsaidLine, windowLine, cutLine, workedLine int
	for i := range t.Packets {
		p := &t.Packets[i]
		note := func(n, line *int, is bool) {
			if is {
				if *n++; *line == 0 {
					*line = p.Line
				}
			}
		}
		if p.Doubt.Relative() {
			k := pairKey{p.Src, p.Dst}
			if less(p.Dst, p.Src) {
				k = pairKey{p.Dst, p.Src}
			}
			tuples[k] = true
		}
		note(&relative, &relLine, p.Doubt.Relative())
		if p.Doubt.Has(segment.FlagsUnsaid) {
			note(&worked, &workedLine, true)
			continue
		}
		// That tcpdump leaves Seq out of bare ACKs is no news.
		bare := p.Flags == segment.ACK && p.Len == 0
		note(&unsaid, &unsaidLine, p.Doubt.Has(segment.AckUnsaid) || p.Doubt.Has(segment.SeqUnsaid) && !bare)
		note(&window, &windowLine, p.Doubt.Has(segment.WindowUnsaid))
		note(&cut, &cutLine, p.Options.Has(segment.OptCut))
	}
	if relative > 0 {
		t.warn("relative-numbers", relLine, "has relative sequence numbers whose start it does not tell, in %s of %s: it cannot be told how they stand to those of another connection",
			count(relative, "packet"), count(len(tuples), "four-tuple"))
	}
	if unsaid > 0 {
		t.warn("numbers-missing", unsaidLine, "does not tell sequence or acknowledgement numbers of %s", count(unsaid, "packet"))
	}
	if worked > 0 {
		t.warn("numbers-worked-out", workedLine, "shows %s as an application's row without TCP numbers; they were worked out from the rows around", count(worked, "segment"))
	}
	if window > 0 {
		t.warn("windows-unknown", windowLine, "does not tell the window of %s as it was on the wire", count(window, "packet"))
	}
	if cut > 0 {
		t.warn("options-cut", cutLine, "leaves out TCP options of %s", count(cut, "packet"))
	}
}

// warnNames says what stands for names.
func (t *Text) warnNames(bare, line int) {
	var said []string
	for _, n := range t.Names {
		if n.Port != 0 {
			said = append(said, fmt.Sprintf("port %q is shown as %d", n.Text, n.Port))
		} else {
			said = append(said, fmt.Sprintf("%q", n.Text))
		}
	}
	if len(said) > 8 {
		said = append(said[:8], fmt.Sprintf("and %d more", len(said)-8))
	}
	if len(said) > 0 {
		t.warn("names", 0, "has names or masked addresses: %s", strings.Join(said, ", "))
	}
	if bare > 0 {
		t.warn("ends-missing", line, "does not tell who sent %s; their direction was taken from their numbers and flags", count(bare, "packet"))
	}
	ports := 0
	for i := range t.Packets {
		if t.Packets[i].Src.Port == 0 || t.Packets[i].Dst.Port == 0 {
			ports++
		}
	}
	if ports > 0 {
		t.warn("ports-missing", 0, "does not tell the ports of %s: connections between the same hosts cannot be told apart", count(ports, "packet"))
	}
}

// warnLines says what was not read.
func (t *Text) warnLines(p *reader) {
	if len(t.NotUnderstood) > 0 {
		var at []string
		for i, n := range t.NotUnderstood {
			if i == 10 {
				at = append(at, fmt.Sprintf("and %d more", len(t.NotUnderstood)-10))
				break
			}
			at = append(at, fmt.Sprint(n))
		}
		word := "line"
		if len(t.NotUnderstood) > 1 {
			word = "lines"
		}
		t.warn("lines-not-understood", t.NotUnderstood[0], "has packets that were not understood: %s %s", word, strings.Join(at, ", "))
	}
	opaque := 0
	line := 0
	for i := range t.Opaque {
		if !t.Opaque[i].ICMP {
			if opaque++; line == 0 {
				line = t.Opaque[i].Line
			}
		}
	}
	if opaque > 0 {
		t.warn("packets-without-numbers", line, "has %s without TCP numbers (rows of application protocols) and no place for them to be worked out; they were left out", count(opaque, "packet"))
	}
	if p.drops > 0 {
		t.warn("capture-drops", p.dropLine, "says that the capture lost %s", count(p.drops, "packet"))
	}
}

// count puts a number and a noun together.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
