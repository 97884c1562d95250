package lab

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// cookieSYNs are SYNs of one four-tuple, each with another number and other options.
var cookieSYNs = []struct {
	seq     uint32
	options segment.Options
	mss     uint16
	flags   segment.Flags
}{
	{1_000_000, segment.OptMSS, 1400, 0},
	{7, segment.OptMSS, 1400, 0},
	{1<<32 - 1, segment.OptMSS | segment.OptWScale | segment.OptSACKPermitted, 1460, 0},
	{1 << 31, segment.OptMSS | segment.OptWScale | segment.OptSACKPermitted | segment.OptTimestamps, 1460, 0},
	{99, segment.OptMSS | segment.OptTimestamps, 536, 0},
	{100, segment.OptMSS | segment.OptWScale | segment.OptTimestamps, 1440, segment.ECE | segment.CWR},
	{5_000_000, segment.OptMSS | segment.OptSACKPermitted | segment.OptTimestamps, 9000, 0},
}

// asked sends a SYN and returns it with its answer.
func (x *stage) asked(t *judge, i int) (a listen.Answered, ok bool) {
	t.Helper()
	c := cookieSYNs[i]
	syn := segment.Segment{
		Src: x.c.peer, Dst: x.c.host, Flags: segment.SYN | c.flags, Seq: seqOf(c.seq), Window: peerWindow,
		Options: c.options, MSS: c.mss, WScale: 9, TSVal: x.tick(),
	}
	x.c.got = nil
	if x.err == nil {
		syn.Time = time.Now().UnixNano()
		x.err = x.r.wire.send(&syn)
	}
	x.pause(replyWait)
	if x.err != nil {
		return a, false
	}
	if len(x.c.got) != 1 || !x.c.got[0].Flags.Has(synAck) {
		t.Errorf("SYN %d: %d answers", i, len(x.c.got))
		return a, false
	}
	got := x.c.got[0]
	return listen.Answered{SYN: &syn, SYNACK: &got}, true
}

// The numbers, options and timestamps of cookies are made as package listen says, and
// those of other SYN-ACKs are not: with tcp_timestamps=2, which adds no offset, the low
// bits show, and with 1 the relations of two of them do.
func TestLabCookies(t *testing.T) {
	t.Parallel()
	for _, stamps := range []string{"1", "2"} {
		for _, ipv6 := range []bool{false, true} {
			onStage(t, clientStory(ipv6, true), func(t *judge, x *stage) {
				x.sysctl("tcp_timestamps", stamps)
				x.sysctl("tcp_syncookies", "2")
				var all []listen.Answered
				for i := range cookieSYNs {
					if a, ok := x.asked(t, i); ok {
						all = append(all, a)
						x.mayBeCookie(t, a, stamps == "2")
					}
					if s := x.state(); s != "none" {
						t.Errorf("a cookie left %s behind", s)
					}
				}
				for i := range all {
					for j := range i {
						r := listen.BothCookies(x.r.profile, all[j], all[i])
						// Within one minute; another may begin between two of them.
						if r.Answer != kernel.Yes && (r.Answer == kernel.No || !x.minuteEnded(all[j], all[i])) {
							t.Errorf("IPv6 %t, SYNs %d and %d, tcp_timestamps=%s: %s: %s", ipv6, j, i, stamps, r.Answer, r.Because())
						}
					}
				}
			})
		}
	}
}

// minuteEnded tells whether a minute ended between two cookies: then they differ by
// the counter and another hash, and not by a few.
func (x *stage) minuteEnded(a, b listen.Answered) bool {
	partA, partB := a.SYNACK.Seq.Sub(a.SYN.Seq), b.SYNACK.Seq.Sub(b.SYN.Seq)
	d := uint32(partB) - uint32(partA)
	return d >= 16 && d < 2<<24
}

// mayBeCookie holds one cookie against what a cookie can be.
func (x *stage) mayBeCookie(t *judge, a listen.Answered, bare bool) {
	t.Helper()
	p := x.r.profile
	if r := listen.MayBeCookie(p, a.SYN, a.SYNACK); r.Answer == kernel.No {
		t.Errorf("%s, %s: no cookie: %s", text(a.SYN), text(a.SYNACK), r.Because())
	}
	offer := x.r.buffers.offering(x.defaults(), a.SYN, true)
	for _, d := range compareOffer(offer, a.SYNACK) {
		t.Errorf("%s: %s: predicted %s, observed %s", text(a.SYNACK), d.Field, d.Predicted, d.Observed)
	}
	if !bare || !a.SYNACK.HasTS() {
		return
	}
	if want, got := listen.CookieBits(a.SYN, a.SYNACK), a.SYNACK.TSVal.Uint32()&63; want != got {
		t.Errorf("%s, %s: low bits %d, want %d", text(a.SYN), text(a.SYNACK), got, want)
	}
	none := x.defaults()
	none.Profile, _ = kernel.ParseRelease("4.9.229") // one without an offset shows the bits as this one does now
	other := *a.SYNACK
	other.TSVal = other.TSVal.Add(1)
	if listen.MayBeCookie(none.Profile, a.SYN, a.SYNACK).Answer == kernel.No || listen.MayBeCookie(none.Profile, a.SYN, &other).Answer != kernel.No {
		t.Errorf("%s, %s: the low bits are not told from others", text(a.SYN), text(a.SYNACK))
	}
}

// A listener with room answers with ISNs of its clock, which no two of are cookies.
func TestLabNoCookies(t *testing.T) {
	t.Parallel()
	onStage(t, clientStory(false, true), func(t *judge, x *stage) {
		var all []listen.Answered
		for i := range cookieSYNs[:3] {
			a, ok := x.asked(t, i)
			if !ok {
				return
			}
			all = append(all, a)
			if s := x.state(); s != "SYN_RECV" {
				t.Errorf("%s, want a request", s)
			}
			x.raw(segment.RST, a.SYN.Seq.Add(1), seqOf(0), 0, 0)
			x.pause(moment)
		}
		for i := range all {
			for j := range i {
				if r := listen.BothCookies(x.r.profile, all[j], all[i]); r.Answer == kernel.Yes {
					t.Errorf("SYNs %d and %d: %s", j, i, r.Because())
				}
			}
		}
	})
}

// The ACK of a cookie opens a connection whose segments are as large as the cookie could keep.
func TestLabCookieMSS(t *testing.T) {
	t.Parallel()
	for _, ipv6 := range []bool{false, true} {
		for _, mss := range []uint16{100, 536, 1299, 1300, 1400, 1460} {
			onStage(t, clientStory(ipv6, false), func(t *judge, x *stage) {
				x.sysctl("tcp_syncookies", "2")
				syn := segment.Segment{Src: x.c.peer, Dst: x.c.host, Flags: segment.SYN, Seq: seqOf(41), Window: peerWindow, Options: segment.OptMSS, MSS: mss}
				if x.err == nil {
					x.err = x.r.wire.send(&syn)
				}
				x.pause(replyWait)
				if x.err != nil {
					return
				}
				if len(x.c.got) == 0 {
					t.Error("no SYN-ACK came")
					return
				}
				x.c.n.take(&x.c.got[0])
				x.raw(segment.ACK, seqOf(42), x.c.n.SndNxt, peerWindow, 0)
				x.do((*runner).accept)
				if x.err != nil {
					return
				}
				want, ok := listen.CookieMSS(x.r.profile, ipv6, mss)
				got, err := unix.GetsockoptInt(x.c.fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG)
				if !ok || err != nil || got != int(want) {
					t.Errorf("IPv6 %t, MSS %d: segments of %d, want %d, %t, %v", ipv6, mss, got, want, ok, err)
				}
			})
		}
	}
}

// A connection without timestamps is judged by its sequence number alone, whatever
// timestamp the SYN has.
func TestLabWithoutTimestamps(t *testing.T) {
	t.Parallel()
	all, err := ParseScenarios("no-timestamps", `
state TIME_WAIT by way of FIN_WAIT2
numbers ts_recent=none tsval=700
< S rcv_nxt-1(0) <TS val ts_recent+100 ecr 0>
wait
< S rcv_nxt(0) <TS val ts_recent+100 ecr 0>
wait
< S rcv_nxt+1(0) <TS val ts_recent-100 ecr 0>

state TIME_WAIT by way of the orphan in FIN_WAIT2
family IPv6
numbers ts_recent=none tsval=700
< S rcv_nxt+2^31(0) <TS val ts_recent-100 ecr 0>

state FIN_WAIT2_ORPHAN
numbers ts_recent=none tsval=700
< FP. rcv_nxt(10) ack snd_nxt win 4000 <TS val ts_recent-100 ecr 0>

state ESTABLISHED
numbers ts_recent=none tsval=700
< S rcv_nxt+5(0) <TS val ts_recent-100 ecr 0>
wait
< R. rcv_nxt(0) ack snd_nxt win 4000 <TS val ts_recent-100 ecr 0>
`)
	if err != nil {
		t.Fatal(err)
	}
	r := playHere(t, all, here(t))
	mustAgree(t, &r.Result)
	for _, rule := range []string{"ack-old-syn", "syn-accepted", "fw2-data", "syn-challenged", "rst-exact"} {
		if r.Rules[rule] == 0 {
			t.Errorf("no step comes to %s: %v", rule, r.Rules)
		}
	}
	if r.Probes < 7 {
		t.Errorf("%d probes", r.Probes)
	}
}
