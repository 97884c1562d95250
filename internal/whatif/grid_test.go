package whatif

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// The grids of cases: enough of each state that every question to the kernel is
// reached. Nobody says what is right here, only what a rule asks.

var (
	gridFlags = []segment.Flags{
		segment.SYN, segment.SYN | segment.FIN, segment.RST, segment.ACK, segment.FIN | segment.ACK, segment.PSH | segment.ACK,
	}
	gridKernels = []kernel.Version{kernel.V(4, 9, 229), kernel.V(5, 10, 223), kernel.V(6, 18, 44)}
	gridAges    = []time.Duration{time.Second, 3000 * time.Second, 25 * 24 * time.Hour}
)

const (
	gridRcvNxt = 1001
	gridWindow = 65160
	gridNow    = start + int64(100*24*time.Hour)
)

// gridSegments are the flags at several places, without and with a timestamp.
func gridSegments() (out []segment.Segment) {
	for _, f := range gridFlags {
		for _, at := range []uint32{gridRcvNxt - 1, gridRcvNxt, gridRcvNxt + 500, gridRcvNxt + 1<<20} {
			s := segment.Segment{Flags: f, Seq: seq.Of(at), Ack: seq.Of(5001)}
			if f&segment.PSH != 0 {
				s.Len = 10
			}
			out = append(out, s)
			for _, ts := range []uint32{899, 901, 1<<32 - 5} { // the last is older than 0
				s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, seq.Of(ts), seq.Of(300)
				out = append(out, s)
			}
		}
		// It begins in the window and ends beyond it.
		out = append(out, segment.Segment{Flags: f, Seq: seq.Of(gridRcvNxt + gridWindow - 10), Ack: seq.Of(5001), Len: 100})
	}
	return out
}

// gridHosts are hosts on the given kernels, with their settings one way and the other.
func gridHosts() (out []kernel.Host) {
	for _, v := range gridKernels {
		for _, other := range []bool{false, true} {
			out = append(out, kernel.Host{
				UsualChallengeLimit: true, Challenges: kernel.Count{N: 600, Known: true}, ChallengeLimit: kernel.Count{Known: other}, // or 0
				Profile: kernel.Profile{Vendor: kernel.Mainline, Version: v}, Timestamps: kernel.Yes, RFC1337: kernel.If(other),
				RateLimit: kernel.Duration{Duration: kernel.DefaultRateLimit, Known: true}, Recycle: kernel.Yes, Listener: kernel.Yes,
				AcceptQueueFull: kernel.If(other), SynCookies: kernel.No, IPv6: other,
			})
		}
	}
	return out
}

func known(n uint32) kernel.Num { return kernel.Known(seq.Of(n)) }

func timeWaitCases(sub timewait.Substate) (out []variant[timewait.Case]) {
	for _, h := range gridHosts() {
		for _, s := range gridSegments() {
			for _, recent := range []uint32{0, 900} {
				for _, age := range gridAges {
					for _, ack := range []int64{0, gridNow - int64(100*time.Millisecond)} {
						c := &timewait.Case{Host: h, Segment: s, Now: gridNow, Socket: timewait.Socket{
							Substate: sub, RcvNxt: known(gridRcvNxt), SndNxt: known(5001), RcvWnd: known(gridWindow), HasTS: kernel.Yes, TSRecent: known(recent),
							TSStored: gridNow - int64(age), LastACK: ack, Armed: start,
						}}
						out = append(out, variant[timewait.Case]{c, &c.Host.Profile})
					}
				}
			}
		}
	}
	return out
}

// gridAhead ends where a segment of the grid begins.
var gridAhead = live.Ahead{Ahead: [4]live.Block{{Left: seq.Of(gridRcvNxt + 490), Right: seq.Of(gridRcvNxt + 500)}}, AheadN: 1}

func liveCases(states ...live.State) (out []variant[live.Case]) {
	segments := gridSegments()
	for _, ack := range []uint32{5002, 5001 - 6, 5001 - 20, 1<<32 + 5001 - 1<<20} { // beyond, old, older than was acknowledged, than a window
		for _, n := range []uint32{0, 10} {
			segments = append(segments, segment.Segment{Flags: segment.ACK, Seq: seq.Of(gridRcvNxt), Ack: seq.Of(ack), Len: n})
		}
	}
	segments = append(segments, segment.Segment{Flags: segment.PSH, Seq: seq.Of(gridRcvNxt), Len: 10}) // without ACK
	fast := segment.Segment{Flags: segment.ACK, Seq: seq.Of(gridRcvNxt), Ack: seq.Of(5001 - 20), Options: segment.OptTimestamps, TSVal: seq.Of(901)}
	segments = append(segments, fast) // header prediction takes it where nothing lies ahead
	for _, h := range gridHosts() {
		for _, s := range segments {
			for _, recent := range []uint32{0, 900} {
				for _, ack := range []int64{0, gridNow - int64(100*time.Millisecond)} {
					for _, st := range states {
						c := &live.Case{Host: h, Segment: s, Now: gridNow, Socket: live.Socket{
							State: st, RcvNxt: known(gridRcvNxt), SndNxt: known(5001), RcvWnd: known(gridWindow), HasTS: kernel.Yes, TSRecent: known(recent), LastACK: ack,
							SynAckTS: known(100), LastSynAckTS: known(200), // which the segments do not echo
							Peer:   live.Peer{SndUna: known(5001), SndWL1: known(gridRcvNxt), PeerWnd: known(0), MaxWindow: known(1 << 16), BytesAcked: known(10)},
							Orphan: kernel.No, Unread: kernel.Yes, SACK: kernel.Yes, Ahead: gridAhead,
						}}
						if s.TSVal == fast.TSVal && s.Ack == fast.Ack {
							c.Ahead = live.Ahead{}
						}
						out = append(out, variant[live.Case]{c, &c.Host.Profile})
					}
				}
			}
		}
	}
	return out
}

func listenCases() (out []variant[listen.Case]) {
	for _, h := range gridHosts() {
		for _, s := range gridSegments() {
			for _, other := range []bool{false, true} {
				g := listen.Gate{TS: known(1900), Stored: gridNow - int64(time.Second), OtherAddress: other}
				c := &listen.Case{Host: h, Segment: s, Now: gridNow, Gate: g, LeftISN: known(7)}
				out = append(out, variant[listen.Case]{c, &c.Host.Profile})
			}
		}
	}
	return out
}

func synSentCases() (out []variant[connect.SynSent]) {
	for _, h := range gridHosts() {
		for _, s := range gridSegments() {
			for _, iss := range []uint32{5000, 7} {
				s.TSEcr = seq.Of(3)
				for _, recent := range []uint32{0, 900} {
					c := &connect.SynSent{
						ISS: seq.Of(iss), Host: h, Segment: s, FirstTSVal: known(5), LastTSVal: known(6),
						Repeated: kernel.No, Inherits: kernel.Yes, TSRecent: known(recent),
					}
					out = append(out, variant[connect.SynSent]{c, &c.Host.Profile})
				}
			}
		}
	}
	return out
}

func takeOverCases() (out []variant[connect.TakeOver]) {
	for _, h := range gridHosts() {
		for _, sub := range []timewait.Substate{timewait.TimeWait, timewait.FinWait2} {
			for _, bound := range []kernel.Answer{kernel.No, kernel.Yes} {
				for _, age := range []time.Duration{500 * time.Millisecond, 1200 * time.Millisecond, 5 * time.Second} {
					own := timewait.Socket{Substate: sub, SndNxt: known(1001), HasTS: kernel.Yes, TSRecent: known(900), TSStored: gridNow - int64(age)}
					for _, reuse := range []uint32{1, 2} {
						c := &connect.TakeOver{Own: own, Host: h, Reuse: known(reuse), Bound: bound, Entered: gridNow - int64(500*time.Millisecond), Now: gridNow}
						out = append(out, variant[connect.TakeOver]{c, &c.Host.Profile})
					}
				}
			}
		}
	}
	return out
}
