package replay

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// setting is a sysctl that a replay asks for, without net.ipv4.
type setting struct {
	name string
	set  func(h *Host, n uint32)
}

func flag(name string, of func(*Host) *kernel.Answer) setting {
	return setting{name, func(h *Host, n uint32) { *of(h) = kernel.If(n != 0) }}
}

func number(name string, of func(*Host) *kernel.Num) setting {
	return setting{name, func(h *Host, n uint32) { *of(h) = kernel.Known(seq.Of(n)) }}
}

func span(name string, unit time.Duration, of func(*Host) *kernel.Duration) setting {
	return setting{name, func(h *Host, n uint32) {
		*of(h) = kernel.Duration{Duration: time.Duration(n) * unit, Known: true}
	}}
}

func count(name string, of func(*Host) *timers.Count) setting {
	return setting{name, func(h *Host, n uint32) { *of(h) = timers.Count{N: int(min(n, 1<<20)), Set: true} }}
}

var settings = []setting{
	flag("tcp_timestamps", func(h *Host) *kernel.Answer { return &h.Timestamps }),
	flag("tcp_rfc1337", func(h *Host) *kernel.Answer { return &h.RFC1337 }),
	flag("tcp_tw_recycle", func(h *Host) *kernel.Answer { return &h.Recycle }),
	flag("tcp_abort_on_overflow", func(h *Host) *kernel.Answer { return &h.AbortOnOverflow }),
	number("tcp_syncookies", func(h *Host) *kernel.Num { return &h.SynCookies }),
	number("tcp_max_tw_buckets", func(h *Host) *kernel.Num { return &h.MaxTWBuckets }),
	number("tcp_tw_reuse", func(h *Host) *kernel.Num { return &h.Reuse }),
	{"tcp_challenge_ack_limit", func(h *Host, n uint32) { h.ChallengeLimit = kernel.Count{N: n, Known: true} }},
	span("tcp_invalid_ratelimit", time.Millisecond, func(h *Host) *kernel.Duration { return &h.RateLimit }),
	span("tcp_fin_timeout", time.Second, func(h *Host) *kernel.Duration { return &h.FinTimeout }),
	count("tcp_syn_retries", func(h *Host) *timers.Count { return &h.Timers.SynRetries }),
	count("tcp_synack_retries", func(h *Host) *timers.Count { return &h.Timers.SynAckRetries }),
	count("tcp_syn_linear_timeouts", func(h *Host) *timers.Count { return &h.Timers.SynLinear }),
}

// Set takes the value of a sysctl, with or without "net.ipv4." before its name. A
// sysctl that no replay asks for, and a value that is no number, are errors; the
// first is a *NotAsked.
func (h *Host) Set(name, value string) error {
	short := strings.TrimPrefix(name, "net.ipv4.")
	for i := range settings {
		if settings[i].name != short {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%s: %q is no number", name, value)
		}
		settings[i].set(h, uint32(n))
		return nil
	}
	return &NotAsked{name}
}

// NotAsked says that no replay asks for a sysctl.
type NotAsked struct{ Name string }

func (e *NotAsked) Error() string {
	names := make([]string, len(settings))
	for i := range settings {
		names[i] = settings[i].name
	}
	return fmt.Sprintf("no rule of a replay asks for %q; they ask for %s", e.Name, strings.Join(names, ", "))
}

// NewHost returns the end with the given addresses, whose kernel is what uname -r
// printed ("": not known), and of whose settings nothing is known.
func NewHost(release string, addrs ...netip.Addr) (*Host, error) {
	h := &Host{}
	if release != "" {
		p, err := kernel.ParseRelease(release)
		if err != nil {
			return nil, err
		}
		h.Profile = p
	}
	own := make(map[segment.Addr]bool, len(addrs))
	for _, a := range addrs {
		own[segment.AddrFromNetip(a)] = true
	}
	h.Owns = func(a segment.Addr) bool { return own[a] }
	return h, nil
}
