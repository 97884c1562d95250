package tcpwhy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// flowPattern is pairs of ends, of which one has to match: a name with a hyphen may
// be cut in several places.
type flowPattern []endPair

type endPair [2]end

// end is one side of a flow. An empty host, and a port below zero, match any.
type end struct {
	host string // an address in its usual form, else a name in lower case
	port int
}

// parseFlow reads ADDR:PORT-ADDR:PORT. A port, or a whole end, may be missing or "*".
func parseFlow(s string) (flowPattern, error) {
	bad := func(why string) error {
		return fmt.Errorf("flow %q: %s; expected ADDR:PORT-ADDR:PORT, for example 10.0.0.1:*-10.0.0.2:80, IPv6 in brackets", s, why)
	}
	if strings.TrimSpace(s) == "" {
		return nil, bad("it is empty")
	}
	var out flowPattern
	var first error
	try := func(a, b string) {
		x, err := parseEnd(a)
		y, err2 := parseEnd(b)
		switch {
		case err == nil && err2 == nil:
			out = append(out, endPair{x, y})
		case first != nil:
		case err != nil:
			first = err
		default:
			first = err2
		}
	}
	for i := range len(s) {
		if s[i] == '-' {
			try(s[:i], s[i+1:])
		}
	}
	if len(out) == 0 && (!strings.Contains(s, "-") || strings.Trim(s, "0123456789.:*-") != "") {
		try(s, "*") // one end, perhaps with a hyphen in its name
	}
	if len(out) == 0 {
		return nil, bad(first.Error())
	}
	return out, nil
}

func parseEnd(s string) (end, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "*" {
		return end{port: -1}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return end{plainAddr(a), -1}, nil
	}
	host, port, ok := cutPort(s)
	e := end{strings.ToLower(strings.Trim(host, "[]")), -1}
	if ok && port != "" && port != "*" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return end{}, fmt.Errorf("%q is no port", port)
		}
		e.port = int(n)
	}
	if a, err := netip.ParseAddr(e.host); err == nil {
		e.host = plainAddr(a)
	} else if e.host == "*" {
		e.host = ""
	} else if strings.Contains(e.host, ":") || strings.Trim(e.host, "0123456789.") == "" && e.host != "" {
		return end{}, fmt.Errorf("%q is no address", host)
	}
	return e, nil
}

// cutPort cuts an endpoint at the colon before its port, if it has one.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// plainAddr writes an address as reports do.
func plainAddr(a netip.Addr) string { return a.Unmap().WithZone("").String() }

// matches compares two endpoints of a report, in either direction.
func (p flowPattern) matches(x, y string) bool {
	for _, pair := range p {
		if pair[0].matches(x) && pair[1].matches(y) || pair[0].matches(y) && pair[1].matches(x) {
			return true
		}
	}
	return false
}

func (e end) matches(endpoint string) bool {
	host, port, _ := cutPort(endpoint)
	return (e.host == "" || e.host == strings.ToLower(strings.Trim(host, "[]"))) && (e.port < 0 || strconv.Itoa(e.port) == port)
}

// momentKind is how a moment is given.
type momentKind uint8

const (
	noMoment momentKind = iota
	absolute
	timeOfDay // on the day of the first packet, UTC as reports print it
	elapsed   // since the first packet
)

// moment is a point of time, perhaps to be counted from the first packet.
type moment struct {
	kind momentKind
	ns   int64
}

// from returns the moment in nanoseconds since the Unix epoch; 0 where there is none.
func (m moment) from(first int64) int64 {
	switch m.kind {
	case noMoment:
		return 0
	case absolute:
		return m.ns
	case timeOfDay:
		return time.Unix(0, first).UTC().Truncate(24*time.Hour).UnixNano() + m.ns
	case elapsed:
		return first + m.ns
	}
	return 0
}

// parseMoment reads one of the forms of a time; an empty string is none.
func parseMoment(s string) (moment, error) {
	if s == "" {
		return moment{}, nil
	}
	plain := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "UTC"))
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, plain); err == nil && t.Year() >= 1970 && t.Year() < 2262 {
			return moment{absolute, t.UnixNano()}, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, plain); err == nil {
			return moment{timeOfDay, int64(t.Sub(t.Truncate(24 * time.Hour)))}, nil
		}
	}
	if d, err := time.ParseDuration(plain); err == nil && d >= 0 {
		return moment{elapsed, int64(d)}, nil
	}
	return moment{}, fmt.Errorf("%q is no time; expected 2006-01-02T15:04:05Z, \"2006-01-02 15:04:05.25\", 15:04:05 (both UTC) or +12.5s from the first packet", s)
}
