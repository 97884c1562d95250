// Package anonymize makes a report safe to share: addresses, names of hosts and of
// files are replaced, the same one by the same wherever it stands. Numbers stay as they
// are, ports too: what is told rests on them, and whoever owns a port is told by the
// address alone.
package anonymize

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Mapping gives every address its replacement, in the order in which they are asked
// for: from the ranges for documentation (RFC 5737, RFC 3849), and for more IPv4
// hosts than these have from that for benchmarks (RFC 2544). The zero value is empty
// and ready. It is not safe for concurrent use.
type Mapping struct {
	addrs  map[netip.Addr]netip.Addr
	v4, v6 uint32 // how many were given
	macs   map[string]int
	names  map[string]string
	files  map[string]string
	titles []string // keys of files that are replaced within sentences, the longest first
}

// ranges are where IPv4 replacements come from, one after the other.
var ranges = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	// Reserved and never assigned (RFC 1112 §4): for a capture of very many hosts.
	netip.MustParsePrefix("240.0.0.0/4"),
}

// Addr returns the replacement of an address, of the same family. Addresses that name
// no host of anybody's stay: unspecified, loopback, multicast and broadcast. An IPv4 address
// within IPv6 is replaced like the IPv4 address. A zone is dropped.
func (m *Mapping) Addr(a netip.Addr) netip.Addr {
	if !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return a
	}
	if a.Is4In6() {
		return netip.AddrFrom16(m.Addr(a.Unmap()).As16())
	}
	a = a.WithZone("")
	if to, ok := m.addrs[a]; ok {
		return to
	}
	if m.addrs == nil {
		m.addrs = map[netip.Addr]netip.Addr{}
	}
	to := m.next6
	if a.Is4() {
		to = m.next4
	}
	m.addrs[a] = to()
	return m.addrs[a]
}

func (m *Mapping) next4() netip.Addr {
	m.v4++
	n := m.v4
	for i, p := range ranges {
		b := p.Addr().As4()
		// The first and the last address of a range name no host.
		if size := uint32(1)<<(32-p.Bits()) - 2; n > size && i < len(ranges)-1 {
			n -= size
			continue
		}
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]) + n
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	return netip.Addr{}
}

func (m *Mapping) next6() netip.Addr {
	m.v6++
	b := netip.MustParseAddr("2001:db8::").As16()
	b[12], b[13], b[14], b[15] = byte(m.v6>>24), byte(m.v6>>16), byte(m.v6>>8), byte(m.v6)
	return netip.AddrFrom16(b)
}

// MAC returns the replacement of an Ethernet address: 02:00:00:…, a locally administered
// one. Broadcast, multicast and all zeroes stay, and so does what is not 6 bytes long.
func (m *Mapping) MAC(a net.HardwareAddr) net.HardwareAddr {
	if len(a) != 6 || a[0]&1 != 0 || strings.Trim(string(a), "\x00") == "" {
		return a
	}
	n, ok := m.macs[string(a)]
	if !ok {
		if m.macs == nil {
			m.macs = map[string]int{}
		}
		n = len(m.macs) + 1
		m.macs[string(a)] = n
	}
	return net.HardwareAddr{2, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// Report returns a copy of the report in which every address, every host's name and
// every file's name is replaced, in sentences and commands too.
func (m *Mapping) Report(r *report.Report) *report.Report {
	m.learn(r)
	return report.MapStrings(r, m.Text)
}

// learn gives replacements to the ends of connections first, in their order: what
// tells of a host by a name looks like any other word in a sentence.
func (m *Mapping) learn(r *report.Report) {
	if m.files == nil {
		m.files, m.names = map[string]string{}, map[string]string{}
	}
	for _, s := range r.Capture.Sources {
		m.file(s)
	}
	for i := range r.Findings {
		m.end(r.Findings[i].Flow.Client)
		m.end(r.Findings[i].Flow.Server)
	}
	for i := range r.Connections {
		m.end(r.Connections[i].Client)
		m.end(r.Connections[i].Server)
	}
	m.titles = m.titles[:0]
	for s := range m.files {
		m.titles = append(m.titles, s)
	}
	for s := range m.names {
		m.titles = append(m.titles, s)
	}
	slices.SortFunc(m.titles, func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// file gives a source a name without meaning.
func (m *Mapping) file(source string) {
	if _, ok := m.files[source]; ok || source == "" {
		return
	}
	n := 1
	for _, to := range m.files {
		var k int
		if _, err := fmt.Sscanf(to, "capture %d", &k); err == nil {
			n = max(n, k+1)
		}
	}
	to := fmt.Sprintf("capture %d", n)
	m.files[source] = to
	if base := filepath.Base(source); base != source && base != "." && base != "/" {
		if _, ok := m.files[base]; !ok {
			m.files[base] = to
		}
	}
}

// end learns the host of "host:port".
func (m *Mapping) end(s string) {
	host := hostOf(s)
	if a, err := netip.ParseAddr(host); err == nil {
		m.Addr(a)
		return
	}
	if _, ok := m.names[host]; ok || host == "" {
		return
	}
	if m.replaceAddrs(host) == host { // else the address within is replaced, which is enough
		m.names[host] = fmt.Sprintf("host-%d.example", len(m.names)+1)
	}
}

// hostOf returns what stands before the port of "host:port" or "[host]:port".
func hostOf(s string) string {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && strings.Trim(s[i+1:], "0123456789") == "" {
		s = s[:i]
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
}
