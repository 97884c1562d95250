package pasted

import (
	"strconv"
	"strings"
)

// front is what stands before a packet: its number and its time.
type front struct {
	number uint64
	marked bool // the number has a mark behind it: "1:"
	stamp  stamp
	rest   string
	indent int    // columns before it
	place  string // a name before the time: where it was captured
}

var (
	placed   = pattern{text: `^([\[(]?[A-Za-z][^\s,]{0,40}(?:\s+\|)?)\s+(\d\d:\d\d:\d\d\.\d+\s+(?:\S+\s+(?:In|Out|B|M|P)\s+)?(?:IP6?|ARP,?)\s.*)$`}
	bullet   = pattern{text: `^\s*[-*•+]\s+`}
	numberRE = pattern{text: `^\s*(?:[Nn]o\.?|[Ff]rame|[Pp]acket|#|\[|\()?\s*(\d{1,9})(?:([.:)\]]+)\s+|\s+)`}
)

// frontOf takes the number and the time off a line. A number without a mark
// counts only before a time, or before what is clearly a packet.
func frontOf(t string) front {
	if b := bullet.FindString(t); b != "" {
		t = t[len(b):]
	}
	f := front{rest: strings.TrimSpace(t), indent: indent(t)}
	if s, n := stampOf(f.rest, 3); n > 0 {
		f.stamp, f.rest = s, strings.TrimSpace(f.rest[n:])
		return f
	}
	if m := placed.FindStringSubmatch(f.rest); m != nil {
		s, n := stampOf(m[2], 3)
		if n > 0 {
			f.place, f.stamp, f.rest = strings.TrimRight(m[1], " |:>"), s, strings.TrimSpace(m[2][n:])
			return f
		}
	}
	m := numberRE.FindStringSubmatch(t)
	if m == nil {
		return f
	}
	rest := strings.TrimSpace(t[len(m[0]):])
	s, n := stampOf(rest, 1)
	if n == 0 && !weakStart(rest) {
		return f
	}
	if n == 0 && m[2] == "" && (strings.HasPrefix(rest, "→") || strings.HasPrefix(rest, ">")) {
		return f // "2049 → 909 [ACK]": a port
	}
	f.number, _ = strconv.ParseUint(m[1], 10, 64)
	f.marked = m[2] != ""
	f.stamp, f.rest = s, strings.TrimSpace(rest[n:])
	return f
}

// indent returns the columns that a line is moved to the right.
func indent(t string) int {
	n := 0
	for i := range len(t) {
		switch t[i] {
		case ' ':
			n++
		case '\t':
			n += 8 - n%8
		default:
			return n
		}
	}
	return n
}

// strong tells whether a line starts a packet whatever came before it.
func (f *front) strong() bool {
	if f.stamp.kind != noStamp {
		return f.rest != ""
	}
	return f.marked && weakStart(f.rest)
}

// weak tells whether a line starts a packet if none waits for it.
func (f *front) weak() bool { return weakStart(f.rest) }

// flagWords are flags as Wireshark names them, within brackets.
const flagWords = `(?:(?:FIN|SYN|RST|PSH|ACK|URG|ECN|ECE|CWR|NS|AE|Reserved|<None>|None)(?:\s*,\s*)?)+`

var (
	ipStart   = pattern{text: `^(?:\S+\s+)?(?:(?:In|Out|B|M|P)\s+)?(?:IP6?|ip6?)\s+(?:\(|\S+.*>)`}
	pairStart = pattern{text: `^(?:IP6? )?\S+\s*>\s*\S+:?\s+(?:Flags \[|ICMP|\(tos|VXLAN|tcp \d|ethertype)`}
	macStart  = pattern{text: `^[0-9a-f]{2}(?::[0-9a-f]{2}){5}\s*>\s*\S+`}
	arpStart  = pattern{text: `(?i)^ARP,|^arp (?:who-has|reply)`}
	infoStart = pattern{text: `^(?:\[[^\]]*\]\s*)*(?:[\w.:*-]+\s*(?:→|>|\?|\x{fffd}+)\s*[\w.:*-]+\s*)?\[` + flagWords + `\]`}
)

// weakStart tells whether t reads like the beginning of a packet without a time.
func weakStart(t string) bool {
	return strings.HasPrefix(t, "Flags [") || ipStart.MatchString(t) || pairStart.MatchString(t) ||
		macStart.MatchString(t) || arpStart.MatchString(t) || infoStart.MatchString(t) ||
		oldBody.MatchString(t) && !strings.HasPrefix(t, "<")
}

// stampKind is what a time is measured from.
type stampKind uint8

const (
	noStamp  stampKind = iota
	dated              // nanoseconds since the epoch
	clock              // nanoseconds since midnight
	relative           // nanoseconds since the first packet
	delta              // nanoseconds since the packet before
)

// stamp is a packet's time as written.
type stamp struct {
	kind   stampKind
	ns     int64
	digits int // behind the decimal point
}

var (
	clockRE = pattern{text: `^(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?`}
	dateRE  = pattern{text: `^(\d{4})[-/](\d\d)[-/](\d\d)[T\s]+`}
	monthRE = pattern{text: `^([A-Z][a-z]{2})\s+(\d{1,2})(?:,\s+(\d{4}))?\s+`}
	secsRE  = pattern{text: `^(-?\d{1,10})\.(\d{1,9})`}
	refRE   = pattern{text: `^\*REF\*`}
)

// stampOf reads a time at the beginning of t and returns its length, 0 if there is
// none. Seconds alone need so many digits behind the point.
func stampOf(t string, digits int) (stamp, int) {
	s, n := anyStamp(t)
	if n == 0 || s.kind == relative && s.digits < digits || n < len(t) && !strings.ContainsAny(t[n:n+1], " \t,;") {
		return stamp{}, 0
	}
	for n < len(t) && (t[n] == ',' || t[n] == ';') {
		n++
	}
	return s, n
}

func anyStamp(t string) (stamp, int) {
	if m := dateRE.FindStringSubmatch(t); m != nil {
		c, n := clockOf(t[len(m[0]):])
		if n == 0 {
			return stamp{}, 0
		}
		return date(atoi(m[1]), atoi(m[2]), atoi(m[3]), c), len(m[0]) + n
	}
	if m := monthRE.FindStringSubmatch(t); m != nil {
		c, n := clockOf(t[len(m[0]):])
		if n == 0 {
			return stamp{}, 0
		}
		if month := monthOf(m[1]); month > 0 && m[3] != "" {
			c = date(atoi(m[3]), month, atoi(m[2]), c)
		}
		return c, len(m[0]) + n
	}
	if c, n := clockOf(t); n > 0 {
		return c, n
	}
	if m := secsRE.FindStringSubmatch(t); m != nil {
		sec, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return stamp{}, 0
		}
		s := stamp{kind: relative, ns: sec * 1e9, digits: len(m[2])}
		if strings.HasPrefix(m[1], "-") {
			s.ns -= fraction(m[2])
		} else {
			s.ns += fraction(m[2])
		}
		if sec > 1e8 {
			s.kind = dated
		}
		return s, len(m[0])
	}
	if refRE.MatchString(t) {
		return stamp{kind: relative, digits: 9}, len("*REF*")
	}
	return stamp{}, 0
}

// clockOf reads hours, minutes and seconds.
func clockOf(t string) (stamp, int) {
	m := clockRE.FindStringSubmatch(t)
	if m == nil {
		return stamp{}, 0
	}
	h, mi, se := atoi(m[1]), atoi(m[2]), atoi(m[3])
	if h > 99 || mi > 59 || se > 60 {
		return stamp{}, 0
	}
	return stamp{kind: clock, ns: (int64(h)*3600+int64(mi)*60+int64(se))*1e9 + fraction(m[4]), digits: len(m[4])}, len(m[0])
}

// fraction returns the nanoseconds of the digits behind a decimal point.
func fraction(d string) int64 {
	if d == "" {
		return 0
	}
	v, _ := strconv.ParseInt((d + "000000000")[:9], 10, 64)
	return v
}

func atoi(s string) int {
	v, _ := strconv.Atoi(s)
	return v
}
