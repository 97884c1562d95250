package whatif

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Input is a question as it was typed.
type Input struct {
	// Kernel is what uname -r prints, "all" for every kernel, empty for an unknown one.
	Kernel string
	// PeerKernel is the same for the other end, where it matters what that does
	// next; empty: every kernel.
	PeerKernel string
	// Set are sysctls, NAME=VALUE; the value "unknown" takes the default away.
	Set []string
	// Listener and QueueFull are yes, no, unknown, or empty for what is usual.
	Listener, QueueFull string
	IPv6                bool
	// At is when the segment arrives, in seconds after the state began.
	At float64
	// Announces: what a SYN or SYN-ACK announces is predicted too (window, options,
	// TSval), and tells kernels apart.
	Announces bool
	// Args are the state, its settings, and the segment.
	Args []string
}

// maxSeconds bounds every span of time that is typed: 100 years.
const maxSeconds = 100 * 365 * 86400

// maxRTO is TCP_RTO_MAX in seconds.
const maxRTO = 120

// Parse reads a question. Every error is a mistake in the input, and names the
// argument.
func Parse(in Input) (*Question, error) {
	if len(in.Args) == 0 {
		return nil, errors.New("no state given")
	}
	q := &Question{state: stateOf(in.Args[0]), host: kernel.Host{IPv6: in.IPv6}, announces: in.Announces, values: values{}, given: []string{}}
	if q.state == nil {
		return nil, fmt.Errorf("there is no state %q: it is one of %s", in.Args[0], strings.Join(stateNames(), ", "))
	}
	if in.At < 0 || in.At > maxSeconds || in.At != in.At {
		return nil, fmt.Errorf("--at %v: expected seconds from 0 to %d", in.At, maxSeconds)
	}
	q.at = seconds(in.At)
	if err := q.setKernel(in.Kernel); err != nil {
		return nil, err
	}
	if err := q.setPeer(in.PeerKernel); err != nil {
		return nil, err
	}
	if err := q.setHost(in); err != nil {
		return nil, err
	}
	args := in.Args[1:]
	if q.state.takes != nil {
		switch given := len(args) > 0 && !isSetting(args[len(args)-1]); {
		case given:
			if err := q.setSegment(args[len(args)-1]); err != nil {
				return nil, err
			}
			args = args[:len(args)-1]
		case q.state.timed:
			q.quiet = true
		default:
			return nil, errors.New("no segment given: the last argument is what arrives, for example '< S 1001:1001(0) win 64240'")
		}
	}
	if err := q.setState(args); err != nil {
		return nil, err
	}
	q.assume()
	return q, nil
}

// isSetting tells KEY=VALUE from a segment, in which no = can stand.
func isSetting(arg string) bool { return strings.Contains(arg, "=") }

func (q *Question) setKernel(s string) (err error) {
	switch s {
	case "":
		return nil
	case "all":
		q.All = true
		return nil
	}
	if q.host.Profile, err = kernel.ParseRelease(s); err != nil {
		return fmt.Errorf("--kernel: %w", err)
	}
	return nil
}

func (q *Question) setPeer(s string) (err error) {
	if s == "" || s == "all" {
		return nil
	}
	if q.peer, err = kernel.ParseRelease(s); err != nil {
		return fmt.Errorf("--peer-kernel: %w", err)
	}
	if q.state.name != "time-wait" {
		return fmt.Errorf("--peer-kernel: what the other end does next is followed from time-wait alone, not from %s", q.state.name)
	}
	return nil
}

// setSegment reads the segment; a leading < says that it arrives, as in packetdrill.
func (q *Question) setSegment(arg string) error {
	text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(arg), "<"))
	s, err := segment.ParsePacketdrill(text)
	if err != nil {
		return fmt.Errorf("segment %q: %w", text, err)
	}
	if !q.state.takes(s.Flags) {
		return fmt.Errorf("segment %q: in state %s the rules speak of %s alone", text, q.state.name, q.state.only)
	}
	q.segment, q.text = s, string(segment.AppendPacketdrill(nil, &s))
	return nil
}

// setState reads the settings of the state.
func (q *Question) setState(args []string) error {
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not KEY=VALUE; the segment stands last, in quotes", arg)
		}
		if !slices.Contains(q.state.keys, name) {
			return fmt.Errorf("%s: state %s has no %s: it has %s", arg, q.state.name, name, strings.Join(q.state.keys, ", "))
		}
		if _, twice := q.values[name]; twice {
			return fmt.Errorf("%s: %s is given twice", arg, name)
		}
		if name == "last_ack" && value == "unknown" && !q.state.limiterUnknown() {
			return fmt.Errorf("%s: the rules of state %s want to know: seconds, or leave it out where there was none", arg, q.state.name)
		}
		if slices.Contains(announceKeys, name) && !q.announces && q.state.name != "connect" {
			return fmt.Errorf("%s: it matters only to what is announced: give --announces too", arg)
		}
		v, err := parseValue(kinds[name], value)
		if err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
		q.values[name] = v
		q.given = append(q.given, arg)
	}
	for _, pair := range [][2]string{{"snd_nxt", "isn"}, {"rcv_nxt", "irs"}} {
		if q.values.has(pair[0]) && q.values.has(pair[1]) {
			return fmt.Errorf("%s and %s say the same: give one of them", pair[0], pair[1])
		}
	}
	return nil
}

// setHost reads the flags about the host, and takes what is usual for the rest.
func (q *Question) setHost(in Input) error {
	for _, s := range in.Set {
		if err := q.setSysctl(s); err != nil {
			return err
		}
	}
	for _, y := range []struct {
		flag, value string
		to          *kernel.Answer
		usual       kernel.Answer
		says        string
		drop        func(*Question)
	}{
		{"--listener", in.Listener, &q.host.Listener, kernel.Yes, "somebody listens", func(q *Question) { q.host.Listener = kernel.Unknown }},
		{"--queue-full", in.QueueFull, &q.host.AcceptQueueFull, kernel.No, "the accept queue has room", func(q *Question) { q.host.AcceptQueueFull = kernel.Unknown }},
	} {
		a, ok := parseAnswer(y.value)
		switch {
		case y.value == "":
			*y.to = y.usual
			q.assumed = append(q.assumed, assumption{y.says, y.flag + " " + y.usual.Not().String(), y.drop})
		case !ok:
			return fmt.Errorf("%s %q: expected yes, no or unknown", y.flag, y.value)
		default:
			*y.to = a
		}
	}
	return nil
}

// synQueue is what tcp_syncookies = 1 rests on.
const synQueue = "the SYN queue has room"

// assume takes what is usual where nothing was said.
func (q *Question) assume() {
	for _, c := range sysctls {
		if c.usual == nil || q.values.has(c.name) {
			continue
		}
		c.set(q, *c.usual)
		says := fmt.Sprintf("%s = %d", c.name, *c.usual)
		if c.name == "tcp_syncookies" {
			says += ", and " + synQueue
		}
		q.assumed = append(q.assumed, assumption{says, "--set " + c.name + "=" + c.other, c.drop})
	}
	// Each of these is seen by states that have the setting alone.
	for _, k := range []struct {
		name, says, give string
		known            parsed
	}{
		{"last_ack", "no limited ACK was sent yet", "last_ack=SECONDS", parsed{never: true, set: true}},
		{"ts_stored", "ts_recent was stored when the state began", "ts_stored=SECONDS", parsed{ago: q.at, set: true}},
		{"repeated", "the SYN was sent once", "repeated=yes", parsed{answer: kernel.No}},
		{"inherits", "the SYN inherits nothing from an older connection", "inherits=yes", parsed{answer: kernel.No}},
		{"challenges", "the host has sent no challenge ACK yet this second", "challenges=NUMBER", parsed{num: kernel.Known(seq.Of(0))}},
		{"mss", "the device's MTU is 1500", "mss=BYTES", parsed{num: kernel.Known(seq.Of(q.usualMSS()))}},
		{"roomy", "the host has 4 GB of memory or more", "--set 'tcp_rmem=LEAST USUAL MOST'", parsed{answer: kernel.Yes}},
		{"rto", "the retransmission timeout is the least, 0.2 s", "rto=SECONDS", parsed{ago: timers.RTOMin, set: true}},
	} {
		if !slices.Contains(q.state.keys, k.name) && k.name != "roomy" || q.values.has(k.name) || !q.wants(k.name) {
			continue
		}
		q.values[k.name] = k.known
		other := parsed{}
		if k.name == "last_ack" && !q.state.limiterUnknown() {
			other = parsed{set: true} // one just now
		}
		q.assumed = append(q.assumed, assumption{k.says, k.give, func(q *Question) { q.values = q.values.with(k.name, other) }})
	}
}

// usualMSS is that of Ethernet.
func (q *Question) usualMSS() uint32 {
	if q.host.IPv6 {
		return 1440
	}
	return 1460
}

// wants tells whether a setting is one that the question is about.
func (q *Question) wants(key string) bool {
	switch key {
	case "mss", "roomy": // not a setting by itself: tcp_rmem says it
		if key == "roomy" && q.values.has(rmemName) {
			return false
		}
		return q.announces || q.state.name == "connect"
	case "rto": // to TIME_WAIT it is that of long ago, and rules want to know it
		return q.quiet && q.state.name != "time-wait"
	}
	return true
}

// kind is how a setting of a state is read.
type kind uint8

const (
	number  kind = iota // one that wraps
	stamp               // the same, or none
	shift               // 0 to 14
	ago                 // seconds before the segment
	timeout             // seconds, up to maxRTO
	size                // bytes of a segment
	yesNo
	shares // tuple, pair, peer
)

var kinds = map[string]kind{
	"rcv_nxt": number, "snd_nxt": number, "rcv_wnd": number, "isn": number, "irs": number, "iss": number,
	"first_tsval": number, "last_tsval": number, "gate_ts": number, "left_isn": number, "ts_recent": stamp, "wscale": shift,
	"last_ack": ago, "ts_stored": ago, "gate_stored": ago, "rto": timeout,
	"snd_una": number, "snd_wl1": number, "peer_wnd": size, "max_window": number, "bytes_acked": number,
	"ahead": number, "ahead_end": number, "orphan": yesNo, "unread": yesNo, "sack": yesNo, "memory": yesNo,
	"challenges": number, "bound": yesNo, "loopback": yesNo, "fin_wait2": yesNo, "repeated": yesNo, "inherits": yesNo, "gate_other": yesNo, "data": size,
	"mss": size, "seen_isn": number, "seen_tsval": number, "seen": ago, "seen_on": shares,
}

// parsed is the value of a setting; the zero value was given as unknown.
type parsed struct {
	num    kernel.Num
	none   bool // ts_recent=none
	answer kernel.Answer
	ago    time.Duration
	never  bool // it has not happened
	set    bool // ago, or never, is known

	sharing listen.Sharing
}

func parseValue(k kind, s string) (p parsed, err error) {
	if s == "unknown" {
		return parsed{}, nil
	}
	switch k {
	case number, stamp:
		if k == stamp && s == "none" {
			return parsed{none: true}, nil
		}
		n, err := seq.Parse(s)
		return parsed{num: kernel.Known(n)}, err
	case size:
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return p, fmt.Errorf("%q is no number of bytes from 0 to 65535", s)
		}
		return parsed{num: kernel.Known(seq.Of(uint32(n)))}, nil
	case shift:
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil || n > 14 {
			return p, fmt.Errorf("%q is no window scale: expected 0 to 14 (RFC 7323 §2.3)", s)
		}
		return parsed{num: kernel.Known(seq.Of(uint32(n)))}, nil
	case ago, timeout:
		most := float64(maxSeconds)
		if k == timeout {
			most = maxRTO
		}
		f, err := strconv.ParseFloat(strings.TrimSuffix(s, "s"), 64)
		if err != nil || !(f >= 0 && f <= most) {
			return p, fmt.Errorf("%q is no number of seconds from 0 to %.0f", s, most)
		}
		return parsed{ago: seconds(f), set: true}, nil
	case shares:
		for _, x := range []listen.Sharing{listen.SameTuple, listen.SamePair, listen.OtherPeer} {
			if s == x.String() {
				return parsed{sharing: x}, nil
			}
		}
		return p, fmt.Errorf("%q is none of tuple (the same ports), pair (the same addresses) and peer (another one)", s)
	case yesNo:
		a, ok := parseAnswer(s)
		if !ok {
			return p, fmt.Errorf("%q is none of yes, no and unknown", s)
		}
		return parsed{answer: a}, nil
	}
	return p, nil
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }

func parseAnswer(s string) (a kernel.Answer, ok bool) {
	for _, a := range []kernel.Answer{kernel.Yes, kernel.No, kernel.Unknown} {
		if s == a.String() {
			return a, true
		}
	}
	return kernel.Unknown, false
}
