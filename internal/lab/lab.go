// Package lab holds the model of the kernel against the kernel that runs here:
// in a network namespace of its own it plays the peer of real sockets, segment by
// segment, over a TUN device, and compares each answer with what the rules of
// package kernel predict.
//
// What is portable (stories, predictions, comparison) stands apart from what
// needs Linux and root (files named _linux.go).
package lab

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// ErrUnsupported: this system has no kernel that the laboratory could try.
var ErrUnsupported = errors.New("the laboratory tries the kernel that runs here: it needs Linux")

// ErrPrivilege: a network namespace cannot be made.
var ErrPrivilege = errors.New("the laboratory makes a network namespace and a TUN device: it needs root")

// State is where a connection stands on the kernel's side when the first segment
// of a story arrives.
type State uint8

// The states that the laboratory reaches. The FIN_WAIT2 of a socket that the
// application still holds, and that of an orphan, are two: only the second is
// the small one that shares its code with TIME_WAIT.
const (
	NoSocket State = iota // nothing but, perhaps, a listener
	SynRecv
	Established
	FinWait1
	FinWait2
	FinWait2Orphan
	CloseWait
	Closing
	LastAck
	TimeWait
	FinWait1Orphan // the application closed it; the others were shut down by it
	ClosingOrphan
	LastAckOrphan
)

var stateNames = [...]string{
	NoSocket: "NO_SOCKET", SynRecv: "SYN_RECV", Established: "ESTABLISHED", FinWait1: "FIN_WAIT1", FinWait2: "FIN_WAIT2",
	FinWait2Orphan: "FIN_WAIT2_ORPHAN", CloseWait: "CLOSE_WAIT", Closing: "CLOSING", LastAck: "LAST_ACK", TimeWait: "TIME_WAIT",
	FinWait1Orphan: "FIN_WAIT1_ORPHAN", ClosingOrphan: "CLOSING_ORPHAN", LastAckOrphan: "LAST_ACK_ORPHAN",
}

// String prints the state in capitals, as the kernel's sources do.
func (s State) String() string { return stateNames[s] }

// Path is how a TIME_WAIT came about; each way stores its numbers elsewhere.
type Path uint8

// The ways into TIME_WAIT.
const (
	ByOrphan  Path = iota // close, the FIN acknowledged, then the peer's FIN
	ByFull                // shutdown, the FIN acknowledged, then the peer's FIN
	ByClosing             // both FINs cross
)

// String names the path.
func (p Path) String() string {
	return [...]string{"by way of the orphan in FIN_WAIT2", "by way of FIN_WAIT2", "by way of CLOSING"}[p]
}

// Settings are the host's settings while the segments of a story arrive; the
// connection was made under the defaults. The zero value is the defaults.
type Settings struct {
	NoTimestamps bool // net.ipv4.tcp_timestamps=0
	RFC1337      bool // net.ipv4.tcp_rfc1337=1
	NoLimit      bool // net.ipv4.tcp_invalid_ratelimit=0
	Cookies      bool // net.ipv4.tcp_syncookies=2
	NoListener   bool // the listener is closed
	QueueFull    bool // its accept queue is full
	Abort        bool // net.ipv4.tcp_abort_on_overflow=1
	// NoTimeWait is net.ipv4.tcp_max_tw_buckets=0, already while the connection
	// closes: neither TIME_WAIT nor an orphan's FIN_WAIT2 comes about.
	NoTimeWait bool
}

// named are the settings with the words for them.
func (s *Settings) named() []namedSetting {
	return []namedSetting{
		{&s.NoTimestamps, "tcp_timestamps=0"}, {&s.RFC1337, "tcp_rfc1337=1"}, {&s.NoLimit, "tcp_invalid_ratelimit=0"},
		{&s.Cookies, "tcp_syncookies=2"}, {&s.NoListener, "no listener"}, {&s.QueueFull, "accept queue full"},
		{&s.Abort, "tcp_abort_on_overflow=1"}, {&s.NoTimeWait, "tcp_max_tw_buckets=0"},
	}
}

type namedSetting struct {
	on   *bool
	text string
}

// String lists what differs from the defaults.
func (s Settings) String() string {
	var out []string
	for _, x := range s.named() {
		if *x.on {
			out = append(out, x.text)
		}
	}
	if len(out) == 0 {
		return "defaults"
	}
	return strings.Join(out, ", ")
}

// parse reads what String writes.
func (s *Settings) parse(text string) error {
	if text == "defaults" {
		return nil
	}
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		all := s.named()
		i := slices.IndexFunc(all, func(x namedSetting) bool { return x.text == word })
		if i < 0 {
			var words []string
			for _, x := range all {
				words = append(words, x.text)
			}
			return fmt.Errorf("there is no setting %q (there are defaults, %s)", word, strings.Join(words, ", "))
		}
		*all[i].on = true
	}
	return nil
}

// The peer announces the same window in every segment; its SYN offers the scale.
const (
	peerWindow = 4000
	peerWScale = 7
)

// Step is one segment of a story. Its numbers are distances from those that the
// kernel held when the state was reached, so that a story keeps its sense when
// steps before it are left out.
type Step struct {
	// Wait: the limiter of ACKs has forgotten the last one when it is sent.
	Wait  bool
	Flags segment.Flags
	// Seq is added to rcv_nxt, and HalfWindows times half the receive window.
	Seq         uint32
	HalfWindows uint32
	Ack         uint32 // added to snd_nxt
	Len         uint32
	HasTS       bool
	TSVal       uint32 // added to ts_recent (to the last TSval sent where there is none)
	// FollowUp: the step belongs to no story; it shows what the state is after.
	FollowUp bool
}

// Story is a connection brought to a state, and the segments that then arrive.
type Story struct {
	State    State
	Path     Path
	IPv6     bool
	TS       bool // the connection uses timestamps, and SACK with them
	ISS      seq.Num
	TSVal    seq.Num // of the peer's SYN; its later segments count up by one
	Settings Settings
	Steps    []Step
}

// Numbers is what the laboratory knows for certain of a connection when its
// state is reached.
type Numbers struct {
	RcvNxt, SndNxt seq.Num
	RcvWnd         uint32 // bytes
	WScale         uint8
	TSRecent       seq.Num
	TSEcr          seq.Num // the kernel's last TSval
	// TSAsked and TSTime are between when the kernel drew that TSval, ns; 0: it has
	// drawn none.
	TSAsked, TSTime int64
	Buffers         buffers
	ISN             seq.Num // of the kernel's SYN-ACK
	ISNAsked        int64   // when its SYN was sent, ns
	ISNTime         int64   // when it arrived, ns
	Reached         int64   // when the segment was sent that led to the state, ns
}

// build turns a step into the segment that is sent.
func (st *Step) build(n *Numbers, peer, host segment.Endpoint) segment.Segment {
	s := segment.Segment{
		Src: peer, Dst: host, Flags: st.Flags, Window: peerWindow, Len: st.Len,
		Seq: n.RcvNxt.Add(st.Seq + st.HalfWindows*(n.RcvWnd/2)),
	}
	if st.Flags.Has(segment.ACK) {
		s.Ack = n.SndNxt.Add(st.Ack)
	}
	if st.Flags.Has(segment.SYN) {
		s.Options, s.MSS = segment.OptMSS, 1400
	}
	if st.HasTS {
		s.Options |= segment.OptTimestamps
		s.TSVal = n.TSRecent.Add(st.TSVal)
		if st.Flags.Has(segment.ACK) {
			s.TSEcr = n.TSEcr
		}
	}
	return s
}

// host is what the model is told of the settings.
func (s Settings) host(p kernel.Profile, ipv6 bool) kernel.Host {
	h := kernel.Host{
		Profile: p, Timestamps: kernel.If(!s.NoTimestamps), RFC1337: kernel.If(s.RFC1337), Recycle: kernel.No,
		Listener: kernel.If(!s.NoListener), AcceptQueueFull: kernel.If(s.QueueFull), SynCookies: kernel.If(s.Cookies), IPv6: ipv6,
		AbortOnOverflow: kernel.If(s.Abort),
		RateLimit:       kernel.Duration{Duration: kernel.DefaultRateLimit, Known: true},
		// From 6.1 on nothing limits those of a new namespace; older kernels let hundreds
		// a second go, which these stories do not come near.
		ChallengesSpent: kernel.No,
	}
	if s.NoLimit {
		h.RateLimit.Duration = 0
	}
	return h
}

// reachError is a state that was not reached: the machine stood still too long,
// or the kernel does not do what everybody does.
type reachError struct {
	state State
	why   string
}

func (e *reachError) Error() string { return fmt.Sprintf("%s was not reached: %s", e.state, e.why) }

func setupError(s *Story, why string) error { return &reachError{s.State, why} }
