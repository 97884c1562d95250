package whatif

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// sysctl is one that rules ask for.
type sysctl struct {
	name string
	set  func(*Question, uint32)
	// usual is the default that is taken where it is not given; nil: it stays unknown.
	usual *uint32
	drop  func(*Question)
	other string // how to say otherwise
	// least and most are the values that the kernel takes, of one that only timers ask
	// for; most 0: any.
	least, most uint32
}

func usual(n uint32) *uint32 { return &n }

// The largest values that are taken: tries as timers count them, and seconds as the
// kernel takes them for keep-alives (MAX_TCP_KEEPIDLE).
const (
	mostTries   = 255
	mostSeconds = 32767
)

var sysctls = []sysctl{
	{name: "tcp_timestamps", set: func(q *Question, n uint32) { q.host.Timestamps = kernel.If(n != 0) }, usual: usual(1), drop: func(q *Question) { q.host.Timestamps = kernel.Unknown }, other: "0"},
	{name: "tcp_rfc1337", set: func(q *Question, n uint32) { q.host.RFC1337 = kernel.If(n != 0) }, usual: usual(0), drop: func(q *Question) { q.host.RFC1337 = kernel.Unknown }, other: "1"},
	{name: "tcp_invalid_ratelimit", set: func(q *Question, n uint32) {
		q.host.RateLimit = kernel.Duration{Duration: time.Duration(n) * time.Millisecond, Known: true}
	}, usual: usual(uint32(kernel.DefaultRateLimit / time.Millisecond)), drop: func(q *Question) { q.host.RateLimit = kernel.Duration{} }, other: "MILLISECONDS"},
	{name: "tcp_tw_recycle", set: func(q *Question, n uint32) { q.host.Recycle = kernel.If(n != 0) }, usual: usual(0), drop: func(q *Question) { q.host.Recycle = kernel.Unknown }, other: "1"},
	// With 1, the default, cookies are sent only while the SYN queue is full: that
	// is not taken for granted.
	{name: "tcp_syncookies", set: func(q *Question, n uint32) { q.host.SynCookies = kernel.If(n >= 2) }, usual: usual(1), drop: func(q *Question) { q.host.SynCookies = kernel.Unknown }, other: "2"},
	{name: "tcp_abort_on_overflow", set: func(q *Question, n uint32) { q.host.AbortOnOverflow = kernel.If(n != 0) }, usual: usual(0), drop: func(q *Question) { q.host.AbortOnOverflow = kernel.Unknown }, other: "1"},
	// Its default differs by kernel: the rules know it.
	{name: "tcp_challenge_ack_limit", set: func(q *Question, n uint32) { q.host.ChallengeLimit = kernel.Count{N: n, Known: true} }, other: "NUMBER"},
	// Its default is 2 since 4.19 and its meaning has changed: nothing is taken.
	{name: "tcp_tw_reuse", set: func(q *Question, n uint32) { q.reuse = kernel.Known(seq.Of(n)) }, other: "1"},
	{name: "tcp_tw_reuse_delay", set: func(q *Question, n uint32) {
		q.reuseDelay = kernel.Duration{Duration: time.Duration(n) * time.Millisecond, Known: true}
	}, other: "MILLISECONDS"},
	// Of the timers: where they are not given, what is usual for the kernel holds.
	{name: "tcp_syn_retries", set: func(q *Question, n uint32) { q.waiting.SynRetries = tries(n) }, least: 1, most: 127},
	{name: "tcp_syn_linear_timeouts", set: func(q *Question, n uint32) { q.waiting.SynLinear = tries(n) }, most: 127},
	{name: "tcp_synack_retries", set: func(q *Question, n uint32) { q.waiting.SynAckRetries = tries(n) }, most: mostTries},
	{name: "tcp_retries2", set: func(q *Question, n uint32) { q.waiting.Retries2 = tries(n) }, most: mostTries},
	{name: "tcp_orphan_retries", set: func(q *Question, n uint32) { q.waiting.OrphanRetries = tries(n) }, most: mostTries},
	{name: "tcp_keepalive_time", set: func(q *Question, n uint32) { q.waiting.idle = time.Duration(n) * time.Second }, least: 1, most: mostSeconds},
	{name: "tcp_keepalive_intvl", set: func(q *Question, n uint32) { q.waiting.interval = time.Duration(n) * time.Second }, least: 1, most: mostSeconds},
	{name: "tcp_keepalive_probes", set: func(q *Question, n uint32) { q.waiting.probes = int(n) }, least: 1, most: 127},
	{name: "tcp_fin_timeout", set: func(q *Question, n uint32) {
		q.waiting.finTimeout = kernel.Duration{Duration: time.Duration(n) * time.Second, Known: true}
	}, most: mostSeconds},
	{name: rmemName}, // setRmem
}

// rmemName is the one that is three numbers.
const rmemName = "tcp_rmem"

func tries(n uint32) timers.Count { return timers.Count{N: int(n), Set: true} }

// setSysctl reads NAME=VALUE.
func (q *Question) setSysctl(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("--set %s: expected NAME=VALUE, for example tcp_tw_recycle=1", s)
	}
	short := strings.TrimPrefix(strings.ReplaceAll(name, "/", "."), "net.ipv4.")
	i := slices.IndexFunc(sysctls, func(c sysctl) bool { return c.name == short })
	if i < 0 {
		var names []string
		for _, c := range sysctls {
			names = append(names, c.name)
		}
		return fmt.Errorf("--set %s: no rule asks for %s; rules ask for %s", s, name, strings.Join(names, ", "))
	}
	if q.values.has(short) {
		return fmt.Errorf("--set %s: %s is set twice", s, short)
	}
	if value == "unknown" {
		q.values[short] = parsed{}
		return nil
	}
	if short == rmemName {
		q.values[short] = parsed{}
		return q.setRmem(s, value)
	}
	n, err := seq.Parse(value)
	if err != nil {
		return fmt.Errorf("--set %s: %w", s, err)
	}
	if c := sysctls[i]; c.most > 0 && (n.Uint32() < c.least || n.Uint32() > c.most) {
		return fmt.Errorf("--set %s: expected %d to %d", s, c.least, c.most)
	}
	q.values[short] = parsed{num: kernel.Known(n)}
	sysctls[i].set(q, n.Uint32())
	if short == "tcp_syncookies" && n.Uint32() == 1 {
		q.assumed = append(q.assumed, assumption{synQueue, "--set tcp_syncookies=2", sysctls[i].drop})
	}
	return nil
}

// setRmem reads the three numbers of tcp_rmem.
func (q *Question) setRmem(s, value string) error {
	var numbers []uint32
	for _, f := range strings.Fields(value) {
		n, err := strconv.ParseUint(f, 10, 31) // the kernel has an int
		if err != nil {
			break
		}
		numbers = append(numbers, uint32(n))
	}
	if len(numbers) != 3 || len(strings.Fields(value)) != 3 || numbers[1] == 0 || numbers[2] == 0 {
		return fmt.Errorf("--set '%s': expected three numbers of bytes, as sysctl prints them: 'tcp_rmem=4096 131072 6291456'", s)
	}
	q.rmem, q.rmemMax = numbers[1], numbers[2]
	return nil
}
