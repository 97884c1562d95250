package lab

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// judge collects what one attempt finds wrong.
type judge struct{ wrong []string }

func (j *judge) Helper() {}

func (j *judge) Error(args ...any) { j.wrong = append(j.wrong, fmt.Sprint(args...)) }

func (j *judge) Errorf(format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf(format, args...))
}

// onStage runs f with the kernel that runs here in a namespace of its own, and again
// where something is wrong: on a busy machine an answer may come too late. What is
// wrong each time fails. Without root there is no namespace; as root it is a failure
// if there is none.
func onStage(t *testing.T, story Story, f func(t *judge, x *stage)) {
	t.Helper()
	var j *judge
	for range attempts {
		j = &judge{}
		err := stageOf(t, story, func(x *stage) { f(j, x) })
		if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
			t.Skip("without root there is no network namespace to try the kernel in")
		}
		if err != nil {
			j.Error(err)
		}
		if len(j.wrong) == 0 {
			return
		}
	}
	for _, w := range j.wrong {
		t.Error(w)
	}
}

func stageOf(t *testing.T, story Story, f func(x *stage)) error {
	p := here(t)
	return inNamespace(func(b *bench) error {
		if story.IPv6 && !b.ipv6 {
			return errors.New("the kernel has no IPv6")
		}
		w, err := newWire(b.tun)
		if err != nil {
			return err
		}
		x, err := newStage(t.Context(), b, w, story, p, &Label{Changed: map[string]string{}})
		if err != nil {
			return err
		}
		defer x.r.shut()
		defer x.c.abort()
		f(x)
		return x.err
	})
}

// defaults is the host of a stage under its defaults.
func (x *stage) defaults() kernel.Host { return Settings{}.host(x.r.profile, x.c.story.IPv6) }

// synOffer compares a SYN of the kernel with what it should announce.
func (x *stage) synOffer(t *judge, syn *segment.Segment, takesOver bool, tsRecent kernel.Num) {
	t.Helper()
	o := listen.Offering{Host: x.defaults(), MSS: deviceMTU - 40, Rmem: x.r.buffers.usual, RmemMax: x.r.buffers.most, TakesOver: takesOver, TSRecent: tsRecent}
	if x.c.story.IPv6 {
		o.MSS = deviceMTU - 60
	}
	f := o.Offer()
	for _, d := range compareOffer(&f, syn) {
		t.Errorf("%s: %s: predicted %s, observed %s", text(syn), d.Field, d.Predicted, d.Observed)
	}
}

// clientStory is a story of the kernel as the client.
func clientStory(ipv6, ts bool) Story {
	return Story{IPv6: ipv6, TS: ts, ISS: seqOf(1_000_000_000), TSVal: seqOf(700_000_000)}
}

// toOpener is a segment that arrives in SYN_SENT.
type toOpener struct {
	name  string
	flags segment.Flags
	ack   uint32 // added to ISS + 1
	ts    bool
	echo  uint32 // added to the SYN's TSval
}

// What an opener makes of each kind of segment is as the rules of SYN_SENT say: the
// reply to the field, and what becomes of connect().
func TestLabOpener(t *testing.T) {
	t.Parallel()
	for _, c := range []toOpener{
		{"an ACK that does not fit", segment.ACK, back(5000), false, 0},
		{"an ACK one too far", segment.ACK, 1, false, 0},
		{"a SYN-ACK that does not fit", synAck, back(1), false, 0},
		{"a RST that does not fit", segment.RST | segment.ACK, back(5000), false, 0},
		{"an ACK that happens to fit", segment.ACK, 0, false, 0},
		{"an old echo", segment.ACK, 0, true, back(60_000)},
		{"a RST that fits", segment.RST | segment.ACK, 0, false, 0},
		{"a RST without ACK", segment.RST, 0, false, 0},
		{"a FIN without ACK", segment.FIN, 0, false, 0},
		{"a SYN", segment.SYN, 0, false, 0},
		{"a SYN-ACK", synAck, 0, true, 0},
	} {
		for _, ipv6 := range []bool{false, true} {
			onStage(t, clientStory(ipv6, true), func(t *judge, x *stage) { opener(t, x, c) })
		}
	}
}

func opener(t *judge, x *stage, c toOpener) {
	x.asClient()
	x.watch("connect", replyWait, func() { x.connect(false) })
	syn := x.synOf()
	if x.err != nil {
		return
	}
	x.synOffer(t, &syn, false, kernel.Num{})
	s := segment.Segment{Src: x.c.peer, Dst: x.c.host, Flags: c.flags, Seq: seqOf(2_000_000_000), Window: peerWindow}
	if c.flags.Has(segment.ACK) {
		s.Ack = syn.Seq.Add(1 + c.ack)
	}
	if c.ts {
		s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, seqOf(77), syn.TSVal.Add(c.echo)
	}
	q := connect.SynSent{
		ISS: syn.Seq, Host: x.defaults(), Repeated: kernel.No, Inherits: kernel.No, Segment: s,
		FirstTSVal: kernel.Known(syn.TSVal), LastTSVal: kernel.Known(syn.TSVal.Add(1000)),
	}
	o, ok := connect.React(&q).Sure()
	if !ok {
		t.Errorf("%s: the model names no outcome", c.name)
		return
	}
	x.c.got = nil
	if x.err = x.r.wire.send(&s); x.err != nil {
		return
	}
	x.pause(moment)
	got := x.c.got
	if n := len(got); o.Resends == kernel.Yes && n > 0 && got[n-1].Seq == syn.Seq && got[n-1].Flags.Has(segment.SYN) {
		got = got[:n-1] // the SYN again, which TestLabOpenerResends is about
	}
	for _, d := range compare(o.Reply, got, &Numbers{}, s.Time) {
		t.Errorf("%s to %s, rule %s: %s: predicted %s, observed %s", c.name, x.c.host, o.Rule, d.Field, d.Predicted, d.Observed)
	}
	want := map[connect.State]string{
		connect.StaysSynSent: "SYN_SENT", connect.Established: "ESTABLISHED", connect.SynRecv: "SYN_RECV", connect.Closed: "none",
	}[o.After]
	if state := x.state(); state != want && (o.After != connect.Closed || state != "CLOSE") {
		t.Errorf("%s: %s, want %s", c.name, state, want)
	}
	soErr, err := unix.GetsockoptInt(x.c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || (soErr == int(unix.ECONNREFUSED)) != (o.After == connect.Closed) {
		t.Errorf("%s: SO_ERROR %d, %v", c.name, soErr, err)
	}
}

// An opener sends its SYN again when the ladder of its kernel says so, and at once
// after an ACK that does not fit.
func TestLabOpenerResends(t *testing.T) {
	t.Parallel()
	for _, bad := range []bool{false, true} {
		onStage(t, clientStory(bad, true), func(t *judge, x *stage) {
			x.asClient()
			x.watch("connect", replyWait, func() { x.connect(false) })
			syn := x.synOf()
			ladders := timers.SYNs(x.r.profile, timers.Settings{})
			if len(ladders) != 1 {
				t.Errorf("%d ladders", len(ladders))
				return
			}
			gaps, last := ladders[0].Gaps, syn.Time
			if bad && x.err == nil {
				x.c.got = nil
				sent := time.Now().UnixNano()
				x.raw(segment.ACK, seqOf(77_777), syn.Seq.Add(back(5000)), 100, 0)
				x.pause(time.Second / 2)
				q := connect.SynSent{ISS: syn.Seq, Host: x.defaults(), Repeated: kernel.No, Inherits: kernel.No}
				q.Segment = segment.Segment{Flags: segment.ACK, Seq: seqOf(77_777), Ack: syn.Seq.Add(back(5000))}
				o, _ := connect.React(&q).Sure()
				again := x.synAgain(&syn)
				from, to, ok := connect.SecondSYN(o, time.Duration(sent-syn.Time))
				switch {
				case !ok:
					t.Error("the model does not say when the SYN comes again")
				case o.Resends != kernel.Yes && len(again) > 0:
					t.Errorf("the SYN came again at once: %v", again)
				case o.Resends == kernel.Yes:
					if len(again) != 1 || again[0]-syn.Time < int64(from) || again[0]-syn.Time > int64(to) {
						t.Errorf("SYNs %v, want one %v to %v after the first, %d", again, from, to, syn.Time)
						return
					}
					last, gaps = again[0], gaps[1:]
				}
			}
			x.c.got = nil
			x.pause(3500 * time.Millisecond)
			again := x.synAgain(&syn)
			if len(again) < 2 {
				t.Errorf("the SYN came %d times within 3.5 s", len(again))
			}
			for i, at := range again {
				if g := gaps[i]; !g.Has(time.Duration(at - last)) {
					t.Errorf("after a bad ACK: %t: SYN %d came %v after the one before, want %v", bad, i+2, time.Duration(at-last), g.Nominal)
				}
				last = at
			}
		})
	}
}

// synAgain are the times at which the SYN came once more.
func (x *stage) synAgain(syn *segment.Segment) (at []int64) {
	for i := range x.c.got {
		if s := &x.c.got[i]; s.Flags == syn.Flags && s.Seq == syn.Seq {
			at = append(at, s.Time)
		}
	}
	return at
}

// Whether connect() takes the host's own TIME_WAIT over, and with what numbers, is as
// the rules say: by tcp_tw_reuse and its age, or for a socket bound to the port.
func TestLabTakeOver(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		name  string
		reuse uint32
		bound bool
		ts    bool
		after time.Duration
	}{
		{"tcp_tw_reuse=1, old enough", 1, false, true, 1300 * time.Millisecond},
		{"tcp_tw_reuse=1, too soon", 1, false, true, 300 * time.Millisecond},
		{"tcp_tw_reuse=0", 0, false, true, 1300 * time.Millisecond},
		{"tcp_tw_reuse=2, no loopback", 2, false, true, 1300 * time.Millisecond},
		{"tcp_tw_reuse=1, no timestamps", 1, false, false, 1300 * time.Millisecond},
		{"bound, at once", 0, true, true, 100 * time.Millisecond},
		{"bound, no timestamps", 0, true, false, 100 * time.Millisecond},
	} {
		onStage(t, clientStory(i%2 == 1, c.ts), func(t *judge, x *stage) { takeOver(t, x, c.name, c.reuse, c.bound, c.after) })
	}
}

func takeOver(t *judge, x *stage, name string, reuse uint32, bound bool, after time.Duration) {
	x.asClient()
	x.sysctl("tcp_tw_reuse", [...]string{"0", "1", "2"}[reuse])
	x.watch("connect", replyWait, func() { x.connect(bound) })
	x.answered()
	x.hostWrites(100)
	x.do(peerAcks, hostCloses, peerAcks, peerFinishes)
	entered := time.Now().UnixNano()
	x.pause(after)
	old := x.c.n
	q := connect.TakeOver{
		Own: timewait.Socket{
			RcvNxt: kernel.Known(old.RcvNxt), SndNxt: kernel.Known(old.SndNxt), HasTS: kernel.If(x.c.story.TS), TSStored: entered, Armed: entered,
		},
		Host: x.defaults(), Reuse: kernel.Known(seqOf(reuse)), Bound: kernel.If(bound), Entered: entered, Now: time.Now().UnixNano(),
	}
	if x.c.story.TS {
		q.Own.TSRecent = kernel.Known(old.TSRecent)
	}
	o, ok := connect.Decide(&q).Sure()
	if !ok {
		t.Errorf("%s: the model names no outcome", name)
		return
	}
	x.watch("connect again", replyWait, func() { x.connect(bound) })
	if errors.Is(x.err, unix.EADDRNOTAVAIL) {
		if !o.Refused {
			t.Errorf("%s, IPv6 %t: the port is not available, and rule %s takes it over", name, x.c.story.IPv6, o.Rule)
		}
		x.err = nil
		return
	}
	syn := x.synOf()
	switch {
	case x.err != nil:
	case o.Refused:
		t.Errorf("%s, IPv6 %t: %s, and rule %s refuses", name, x.c.story.IPv6, text(&syn), o.Rule)
	case syn.Seq != o.ISN.Num || syn.TSEcr != o.TSEcr.Num:
		t.Errorf("%s, IPv6 %t: %s, want seq %s, TSecr %s", name, x.c.story.IPv6, text(&syn), o.ISN, o.TSEcr)
	default:
		x.synOffer(t, &syn, true, o.TSEcr)
	}
}
