package timewait_test

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// The oracle is a second telling of tcp_timewait_state_process and its caller:
// one straight function over plain integers in which every fact is known. It
// shares nothing with the rules, and is held against them over random cases.

// profile is one kernel, as a table of what it does; nothing here is asked of
// package kernel.
type profile struct {
	release     string
	idle        int64 // seconds after which ts_recent counts no more
	zeroTSOK    bool  // ts_recent 0 rejects nothing
	rst1337     bool  // a RST ignored by tcp_rfc1337 re-arms
	limits      bool  // one ACK per tcp_invalid_ratelimit
	dropsSYNFIN bool
	dropsOnFull bool // a full accept queue drops whatever else waits
	keeps4      bool // the chosen ISN reaches the SYN-ACK over IPv4
	keeps6      int  // the same over IPv6: 1 yes, 0 no, -1 not read
	model       kernel.Profile
}

// parsed returns the profile as package kernel knows it.
func (k *profile) parsed() kernel.Profile {
	if !k.model.Known() {
		p, err := kernel.ParseRelease(k.release)
		if err != nil {
			panic(err) // the table below is wrong
		}
		k.model = p
	}
	return k.model
}

const day = 24 * 3600

var profiles = []profile{
	{release: "2.6.32", idle: 24 * day, rst1337: true, keeps4: true, keeps6: 1},
	{release: "3.10.0-1127.el7", idle: 24 * day, zeroTSOK: true, limits: true, dropsSYNFIN: true, keeps4: true, keeps6: -1},
	{release: "4.9.115", idle: 24 * day, zeroTSOK: true, rst1337: true, limits: true, dropsSYNFIN: true, keeps4: true},
	{release: "4.9.243", idle: 24 * day, zeroTSOK: true, limits: true, dropsSYNFIN: true, dropsOnFull: true, keeps4: true},
	{release: "5.10.223", idle: 24 * day, zeroTSOK: true, limits: true, dropsSYNFIN: true, dropsOnFull: true},
	{release: "6.18.44", idle: 2147, zeroTSOK: true, limits: true, dropsSYNFIN: true, dropsOnFull: true, keeps4: true, keeps6: 1},
}

// host is what the oracle knows beside the kernel.
type host struct {
	timestamps, rfc1337, listener, queueFull, cookies, ipv6 bool
	limit                                                   time.Duration
}

// mini is the mini-socket: the fields of tcp_timewait_sock, times in nanoseconds.
type mini struct {
	fw2           bool
	rcvNxt        uint32
	sndNxt        uint32
	rcvWnd        uint32
	wscale        uint8
	hasTS         bool
	tsRecent      uint32
	tsStored, oow int64
	armed         int64
}

// packet is a segment in plain integers.
type packet struct {
	seq, ack, length             uint32
	syn, fin, rst, hasACK, hasTS bool
	tsval                        uint32
	otherFlags                   segment.Flags // PSH, URG, ECE, CWR, AE: nothing may depend on them
}

// end is end_seq: behind the payload, SYN and FIN.
func (p *packet) end() uint32 {
	n := p.seq + p.length
	if p.syn {
		n++
	}
	if p.fin {
		n++
	}
	return n
}

func (p *packet) takesSpace() bool { return p.end() != p.seq }

// answer is what the oracle says comes back.
type answer struct {
	kind       kernel.ReplyKind
	hasACK     bool
	seq, ack   uint32
	window     uint32
	hasTS      bool
	ecr        uint32
	isn        kernel.ISNKind
	unforeseen bool // seq is fresh: no number is predicted
	gone       bool
	after      mini
}

func s32(n uint32) int32 { return int32(n) }

// within is tcp_in_window.
func within(seq, end, left, right uint32) bool {
	return seq == left || s32(left-end) < 0 && s32(seq-right) < 0 || seq == right && seq == end
}

// oracle tells what a host answers whose every fact is known.
func oracle(k *profile, h *host, tw mini, p *packet, now int64) answer {
	second := int64(time.Second)
	saw := tw.hasTS && h.timestamps && p.hasTS
	old := saw && s32(tw.tsRecent-p.tsval) > 0 &&
		now/second < tw.tsStored/second+k.idle && !(k.zeroTSOK && tw.tsRecent == 0)
	paws := old && !(p.rst && now/second >= tw.tsStored/second+60)
	if tw.fw2 {
		return oracleFinWait2(k, h, tw, p, now, saw, paws)
	}
	if !paws && p.seq == tw.rcvNxt && (!p.takesSpace() || p.rst) {
		if p.rst && !h.rfc1337 {
			return answer{gone: true}
		}
		if !p.rst || k.rst1337 {
			tw.armed = now
		}
		if saw {
			tw.tsRecent, tw.tsStored = p.tsval, now
		}
		return answer{after: tw}
	}
	if p.syn && !p.rst && !p.hasACK && !paws && (s32(tw.rcvNxt-p.seq) < 0 || saw && s32(tw.tsRecent-p.tsval) < 0) {
		return oracleSYN(k, h, tw, p)
	}
	if p.rst {
		return answer{after: tw}
	}
	if paws || p.hasACK {
		tw.armed = now
	}
	return oracleLimited(k, h, tw, p, now)
}

// oracleSYN is what the caller does with an acceptable SYN.
func oracleSYN(k *profile, h *host, tw mini, p *packet) answer {
	if !h.listener {
		return timewaitACK(tw)
	}
	if h.queueFull && k.dropsOnFull || p.fin && k.dropsSYNFIN {
		return answer{gone: true}
	}
	a := answer{kind: kernel.ReplySYNACK, ack: p.seq + 1, gone: true}
	keeps := k.keeps4
	if h.ipv6 {
		keeps = k.keeps6 == 1
	}
	switch {
	case h.ipv6 && k.keeps6 < 0:
		a.isn, a.unforeseen = kernel.ISNUnknown, true
	case keeps:
		a.isn, a.seq = kernel.ISNInherited, tw.sndNxt+65537
		if a.seq == 0 {
			a.seq = 1
		}
	case h.cookies:
		a.isn, a.unforeseen = kernel.ISNCookie, true
	default:
		a.isn, a.unforeseen = kernel.ISNFresh, true
	}
	return a
}

// oracleFinWait2 is the branch of an orphan in FIN_WAIT2.
func oracleFinWait2(k *profile, h *host, tw mini, p *packet, now int64, saw, paws bool) answer {
	if paws || !within(p.seq, p.end(), tw.rcvNxt, tw.rcvNxt+tw.rcvWnd) {
		return oracleLimited(k, h, tw, p, now)
	}
	if p.rst {
		return answer{gone: true}
	}
	reset := answer{kind: kernel.ReplyRST, hasACK: true, ack: p.end(), gone: true}
	if p.hasACK {
		reset = answer{kind: kernel.ReplyRST, seq: p.ack, gone: true}
	}
	if p.syn && s32(p.seq-tw.rcvNxt) >= 0 {
		return reset
	}
	if !p.hasACK || s32(tw.rcvNxt-p.end()) >= 0 || !p.takesSpace() {
		return answer{after: tw}
	}
	if !p.fin || p.end() != tw.rcvNxt+1 {
		return reset
	}
	tw.fw2, tw.rcvNxt, tw.armed = false, p.end(), now
	if saw {
		tw.tsRecent, tw.tsStored = p.tsval, now
	}
	return timewaitACK(tw)
}

// oracleLimited sends the ACK, if the limiter lets it.
func oracleLimited(k *profile, h *host, tw mini, p *packet, now int64) answer {
	if k.limits && (p.syn || !p.takesSpace()) {
		if tw.oow != 0 && now-tw.oow >= 0 && now-tw.oow < int64(h.limit) {
			return answer{after: tw}
		}
		tw.oow = now
	}
	return timewaitACK(tw)
}

func timewaitACK(tw mini) answer {
	return answer{
		kind: kernel.ReplyACK, seq: tw.sndNxt, ack: tw.rcvNxt, window: tw.rcvWnd >> tw.wscale & 0xffff,
		hasTS: tw.hasTS && tw.tsRecent != 0, ecr: tw.tsRecent, after: tw,
	}
}
