package diagnose

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Facts are what a person knows of the hosts beside the capture: a kernel
// version, sysctls. The zero value knows nothing.
type Facts struct {
	byWho map[who]*hostFacts
}

// who is a part (client or server of every finding) or an address.
type who struct {
	part string
	addr segment.Addr
}

// hostFacts is what was given for one host, and in which words.
type hostFacts struct {
	profile kernel.Profile
	sysctl  map[kernel.Fact]seq.Num
}

// Add reads one fact: WHO:NAME=VALUE. WHO is client, server, or an address (IPv6 in
// brackets); NAME is kernel, with what uname -r prints, or a sysctl.
func (f *Facts) Add(s string) error {
	w, rest, err := parseWho(s)
	if err != nil {
		return err
	}
	name, value, ok := strings.Cut(rest, "=")
	if !ok {
		return fmt.Errorf("fact %q: expected WHO:NAME=VALUE, for example server:kernel=3.10", s)
	}
	if err := f.host(w).set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
		return fmt.Errorf("fact %q: %w", s, err)
	}
	return nil
}

// AddFile reads the lines of "sysctl -a" ("name = value"), and a line
// "kernel = …" with what uname -r prints, for one host. Sysctls that no rule
// asks for are passed over. An error names file and line.
func (f *Facts) AddFile(whose, file string, r io.Reader) error {
	w, rest, err := parseWho(whose + ":")
	if err != nil || rest != "" {
		return fmt.Errorf("facts %s=%s: expected client, server or an address before the =", whose, file)
	}
	sc := bufio.NewScanner(r)
	for line := 1; sc.Scan(); line++ {
		text := strings.TrimSpace(sc.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%s:%d: expected a line like net.ipv4.tcp_tw_recycle = 0", file, line)
		}
		err := f.host(w).set(strings.TrimSpace(name), strings.TrimSpace(value))
		if err != nil && !errors.Is(err, errUnused) {
			return fmt.Errorf("%s:%d: %w", file, line, err)
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func parseWho(s string) (who, string, error) {
	bad := fmt.Errorf("fact %q: it begins with client:, server: or an address and a colon (IPv6 in brackets)", s)
	if strings.HasPrefix(s, "[") {
		a, rest, ok := strings.Cut(s[1:], "]:")
		addr, err := netip.ParseAddr(a)
		if !ok || err != nil {
			return who{}, "", bad
		}
		return who{addr: segment.AddrFromNetip(addr)}, rest, nil
	}
	a, rest, ok := strings.Cut(s, ":")
	if !ok {
		return who{}, "", bad
	}
	if a == "client" || a == "server" {
		return who{part: a}, rest, nil
	}
	addr, err := netip.ParseAddr(a)
	if err != nil {
		return who{}, "", bad
	}
	return who{addr: segment.AddrFromNetip(addr)}, rest, nil
}

func (f *Facts) host(w who) *hostFacts {
	if f.byWho == nil {
		f.byWho = map[who]*hostFacts{}
	}
	h := f.byWho[w]
	if h == nil {
		h = &hostFacts{sysctl: map[kernel.Fact]seq.Num{}}
		f.byWho[w] = h
	}
	return h
}

// errUnused: the name is none that a rule asks for. In a file of all sysctls
// that is normal, typed by a person it is a slip.
var errUnused = errors.New("no rule asks for it")

// usable are the sysctls that rules ask for.
var usable = []kernel.Fact{
	kernel.FactTimestamps, kernel.FactRFC1337, kernel.FactRateLimit, kernel.FactTWRecycle,
	kernel.FactTWReuse, kernel.FactFinTimeout, kernel.FactMaxTWBucket, kernel.FactSynCookies,
	kernel.FactAbort, kernel.FactChallengeLimit,
}

func (h *hostFacts) set(name, value string) error {
	if name == "kernel" || name == "kernel.osrelease" {
		p, err := kernel.ParseRelease(value)
		if err != nil {
			return err
		}
		h.profile = p
		return nil
	}
	for _, u := range usable {
		if name == string(u) || "net.ipv4."+name == string(u) {
			n, err := seq.Parse(value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			h.sysctl[u] = n
			return nil
		}
	}
	return fmt.Errorf("%s: %w", name, errUnused)
}

// of merges what is known of a host: the part it plays in a finding, and its
// address, which is more exact and wins.
func (f *Facts) of(part string, addr segment.Addr) hostFacts {
	if len(f.byWho) == 0 {
		return hostFacts{}
	}
	out := hostFacts{sysctl: map[kernel.Fact]seq.Num{}}
	for _, w := range []who{{part: part}, {addr: addr}} {
		h := f.byWho[w]
		if h == nil {
			continue
		}
		if h.profile.Known() {
			out.profile = h.profile
		}
		for k, v := range h.sysctl {
			out.sysctl[k] = v
		}
	}
	return out
}

// answer reads a sysctl as on or off.
func (h *hostFacts) answer(f kernel.Fact) kernel.Answer {
	n, ok := h.sysctl[f]
	if !ok {
		return kernel.Unknown
	}
	return kernel.If(n.Uint32() != 0)
}

// millis reads a sysctl as a time in milliseconds.
func (h *hostFacts) millis(f kernel.Fact, otherwise time.Duration) kernel.Duration {
	if n, ok := h.sysctl[f]; ok {
		return kernel.Duration{Duration: time.Duration(n.Uint32()) * time.Millisecond, Known: true}
	}
	return kernel.Duration{Duration: otherwise, Known: true}
}

// count reads a sysctl as a number of things.
func (h *hostFacts) count(f kernel.Fact) kernel.Count {
	n, ok := h.sysctl[f]
	return kernel.Count{N: n.Uint32(), Known: ok}
}

// says words a given sysctl: "net.ipv4.tcp_tw_recycle = 1 (given)".
func (h *hostFacts) says(f kernel.Fact) string {
	return string(f) + " = " + strconv.FormatUint(uint64(h.sysctl[f].Uint32()), 10) + " (given)"
}
