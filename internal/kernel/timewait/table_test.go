package timewait_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// The rows below are what real kernels were seen to answer, by flags and edges of
// seq and TSval; they hold for each kernel of profiles and wherever rcv_nxt and
// ts_recent lie on the circle. SndNxt is rcv_nxt + sndOff, so that it wraps too.

const (
	half   = 1 << 31 // at this distance before and after are both true
	sndOff = 77
	window = 65160
)

// expect is what a row says. ISN and ACK follow from the socket.
type expect struct {
	kind  kernel.ReplyKind
	gone  bool
	rearm bool
	store bool // ts_recent becomes the segment's TSval
}

var (
	silent       = expect{}
	silentRearm  = expect{rearm: true}
	silentStored = expect{rearm: true, store: true}
	challenge    = expect{kind: kernel.ReplyACK}
	rearming     = expect{kind: kernel.ReplyACK, rearm: true}
	accepted     = expect{kind: kernel.ReplySYNACK, gone: true}
	killed       = expect{gone: true}
	resets       = expect{kind: kernel.ReplyRST, gone: true}
	becomesTW    = expect{kind: kernel.ReplyACK, rearm: true}
	becomesTWts  = expect{kind: kernel.ReplyACK, rearm: true, store: true}
)

// row is a segment relative to the socket: seq = rcv_nxt + seq, TSval =
// ts_recent + ts.
type row struct {
	flags segment.Flags
	seq   uint32
	n     uint32 // payload
	hasTS bool
	ts    uint32
	want  expect
}

// on places a row on the circle.
func (r row) on(rcvNxt, tsRecent uint32) segment.Segment {
	s := segment.Segment{Seq: seq.Of(rcvNxt + r.seq), Ack: seq.Of(rcvNxt ^ 0xdead), Len: r.n, Flags: r.flags}
	if r.hasTS {
		s.Options, s.TSVal = segment.OptTimestamps, seq.Of(tsRecent+r.ts)
	}
	return s
}

const (
	syn = segment.SYN
	ack = segment.ACK
	fin = segment.FIN
	rst = segment.RST
	psh = segment.PSH
)

// minus is n steps back on the circle.
func minus(n uint32) uint32 { return -n }

func trueRows() []row {
	rows := []row{
		// SYN, judged by its sequence number.
		{syn, 0, 0, false, 0, challenge},
		{syn, 1, 0, false, 0, accepted},
		{syn, half, 0, false, 0, accepted},
		{syn, half + 1, 0, false, 0, challenge},
		{syn, minus(1), 0, false, 0, challenge},
		// With the remembered TSval still by its sequence number.
		{syn, 0, 0, true, 0, challenge},
		{syn, 1, 0, true, 0, accepted},
		{syn, half, 0, true, 0, accepted},
		{syn, half + 1, 0, true, 0, challenge},
		{syn, minus(1), 0, true, 0, challenge},
		// Data and other flags of an acceptable SYN do not matter.
		{syn, 1, 100, false, 0, accepted},
		{syn | psh | segment.URG, 1, 0, false, 0, accepted},
		{syn | segment.ECE | segment.CWR | segment.AE, 1, 0, false, 0, accepted},
		// SYN with ACK is no SYN; SYN with RST is a RST.
		{syn | ack, 1, 0, false, 0, rearming},
		{syn | ack, 0, 0, true, 1, rearming},
		{syn | ack, minus(1), 0, true, minus(1), rearming},
		{syn | rst, 0, 0, false, 0, killed},
		{syn | rst, 1, 0, false, 0, silent},
		// Bare segments.
		{ack, 0, 0, false, 0, silentRearm},
		{0, 0, 0, false, 0, silentRearm},
		{ack, 0, 0, true, 0, silentStored},
		{ack, 0, 0, true, 1, silentStored},
		{ack, 0, 0, true, half, silentStored},
		{ack, 0, 0, true, minus(1), rearming},
		{ack, 1, 0, false, 0, rearming},
		{ack, minus(1), 0, false, 0, rearming},
		{ack, half, 0, true, 1, rearming},
		{0, 1, 0, false, 0, challenge},
		// FIN and data: acknowledged, the timestamp not stored.
		{fin | ack, minus(1), 0, true, 1, rearming},
		{fin | ack, 0, 0, false, 0, rearming},
		{fin, minus(1), 0, false, 0, challenge},
		{fin, minus(1), 0, true, minus(1), rearming},
		{psh | ack, 0, 100, true, 1, rearming},
		{psh | ack, minus(100), 100, true, minus(1), rearming},
		{psh, 0, 100, false, 0, challenge},
		// RST: only exactly at rcv_nxt, ACK flag or not, and not if it is too old.
		{rst, 0, 0, false, 0, killed},
		{rst | ack, 0, 0, false, 0, killed},
		{rst, 0, 100, false, 0, killed},
		{rst | ack, 0, 0, true, 0, killed},
		{rst | ack, 0, 0, true, half, killed},
		{rst, 1, 0, false, 0, silent},
		{rst, minus(1), 0, false, 0, silent},
		{rst, half, 0, false, 0, silent},
		{rst | ack, 0, 0, true, minus(1), silent},
		{rst | ack, 0, 0, true, minus(half - 1), silent},
	}
	for _, at := range []uint32{0, 1, half, half + 1, minus(1)} {
		// A newer TSval opens, an older one closes, whatever the sequence number.
		rows = append(rows,
			row{syn, at, 0, true, 1, accepted},
			row{syn, at, 0, true, half, accepted},
			row{syn, at, 0, true, minus(1), rearming},
			row{syn, at, 0, true, minus(half - 1), rearming},
		)
	}
	return rows
}

func orphanRows() []row {
	return []row{
		// F1: too old or outside the window, a RST too.
		{ack, 0, 0, true, minus(1), challenge},
		{fin | ack, 0, 0, true, minus(half - 1), challenge},
		{rst | ack, 0, 0, true, minus(1), challenge},
		{syn, 0, 0, true, minus(1), challenge},
		{syn, minus(1), 0, false, 0, challenge},
		{syn, window, 0, false, 0, challenge},
		{syn, half, 0, true, 1, challenge},
		{rst, minus(1), 0, false, 0, challenge},
		{rst, window + 1, 0, false, 0, challenge},
		{ack, window + 1, 0, false, 0, challenge},
		{psh | ack, minus(100), 100, false, 0, challenge},
		{psh | ack, window, 1, false, 0, challenge},
		// F2: a RST anywhere inside, an empty one on the right edge too.
		{rst, 0, 0, false, 0, killed},
		{rst, 1, 0, false, 0, killed},
		{rst, window, 0, false, 0, killed},
		{rst | ack, window - 1, 0, true, 0, killed},
		{syn | rst, 5, 0, false, 0, killed},
		// F3: a SYN inside.
		{syn, 0, 0, false, 0, resets},
		{syn, window - 1, 0, true, 1, resets},
		{syn | ack, 3, 0, false, 0, resets},
		{syn | fin, 0, 0, false, 0, resets},
		// F4: nothing new.
		{ack, 0, 0, true, 1, silent},
		{ack, window, 0, false, 0, silent},
		{0, 0, 0, false, 0, silent},
		{fin, 0, 0, false, 0, silent},
		{psh, 0, 100, false, 0, silent},
		{syn, minus(1), 9, false, 0, silent}, // it ends inside, but begins before
		// F5: data for an application that is gone.
		{psh | ack, 0, 100, true, 1, resets},
		{psh | ack, minus(50), 100, false, 0, resets},
		{fin | ack, 0, 1, false, 0, resets},
		{fin | ack, 1, 0, false, 0, resets},
		// F6: just the FIN.
		{fin | ack, 0, 0, false, 0, becomesTW},
		{fin | ack, 0, 0, true, 0, becomesTWts},
		{fin | psh | ack, 0, 0, true, half, becomesTWts},
	}
}

var (
	points = []uint32{0x10000, 0, 1, 2, window, half - 1, half, half + 1, 1<<32 - 2, 1<<32 - 1}
	// ts_recent 0 is a case of its own.
	stamps = []uint32{900, 1, half - 1, half, 1<<32 - 1}
)

// everyCase runs f for each kernel, rcv_nxt and ts_recent with a case that has no
// segment yet.
func everyCase(t *testing.T, f func(t *testing.T, k *profile, c timewait.Case, rcvNxt, tsRecent uint32)) {
	for i := range profiles {
		k := &profiles[i]
		t.Run(k.release, func(t *testing.T) {
			for _, r := range points {
				for _, ts := range stamps {
					f(t, k, timewait.Case{
						Socket: timewait.Socket{
							RcvNxt: kernel.Known(seq.Of(r)), SndNxt: kernel.Known(seq.Of(r + sndOff)),
							RcvWnd: kernel.Known(seq.Of(window)), HasTS: kernel.Yes,
							TSRecent: kernel.Known(seq.Of(ts)), TSStored: casefile.Start, Armed: casefile.Start,
						},
						Host: kernel.Host{
							Profile: k.parsed(), Timestamps: kernel.Yes, RFC1337: kernel.No, Listener: kernel.Yes,
							AcceptQueueFull: kernel.No, SynCookies: kernel.No,
							RateLimit: kernel.Duration{Duration: kernel.DefaultRateLimit, Known: true},
						},
						Now: casefile.Start + int64(10*time.Second),
					}, r, ts)
				}
			}
		})
	}
}

// holds decides a case and holds the one outcome against a row's.
func holds(t *testing.T, what string, k *profile, c *timewait.Case, want expect) {
	t.Helper()
	o, ok := timewait.Decide(c).Sure()
	if !ok {
		t.Fatalf("%s: not sure: %+v", what, timewait.Decide(c).Possible)
	}
	if o.Reply.Kind != want.kind || o.Gone != want.gone {
		t.Fatalf("%s: %s: %s, gone %t; want %s, gone %t", what, o.Rule, o.Reply.Kind, o.Gone, want.kind, want.gone)
	}
	if !o.Gone {
		if got := o.After.Armed == c.Now; got != want.rearm {
			t.Fatalf("%s: %s: re-armed %t, want %t", what, o.Rule, got, want.rearm)
		}
		ts := c.TSRecent
		if want.store {
			ts = kernel.Known(c.Segment.TSVal)
		}
		if o.After.TSRecent != ts {
			t.Fatalf("%s: %s: ts_recent %v afterwards, want %v", what, o.Rule, o.After.TSRecent, ts)
		}
	}
	switch want.kind {
	case kernel.ReplyACK:
		ack := kernel.Reply{Kind: kernel.ReplyACK, Seq: c.SndNxt, Ack: o.After.RcvNxt, Window: kernel.Known(seq.Of(window)), TSEcr: o.After.TSRecent}
		if ack.TSEcr.Uint32() == 0 { // which stands for no timestamps
			ack.TSEcr, ack.NoTS = kernel.Num{}, true
		}
		if o.Reply != ack {
			t.Fatalf("%s: %s: %+v, want %+v", what, o.Rule, o.Reply, ack)
		}
	case kernel.ReplySYNACK:
		isn := kernel.Reply{ISN: kernel.ISNFresh}
		if k.keeps4 {
			isn = kernel.Reply{ISN: kernel.ISNInherited, Seq: kernel.Known(c.SndNxt.Add(65537))}
		}
		if o.Reply.ISN != isn.ISN || o.Reply.Seq != isn.Seq || o.Reply.Ack.Num != c.Segment.Seq.Add(1) {
			t.Fatalf("%s: %s: %+v", what, o.Rule, o.Reply)
		}
	case kernel.NoReply, kernel.ReplyRST:
	}
}

func TestFlagsAndEdges(t *testing.T) {
	everyCase(t, func(t *testing.T, k *profile, c timewait.Case, r, ts uint32) {
		for i, row := range trueRows() {
			c.Segment = row.on(r, ts)
			holds(t, fmt.Sprintf("row %d %+v at rcv_nxt %d, ts_recent %d", i, row, r, ts), k, &c, row.want)
		}
	})
}

func TestFinWait2FlagsAndEdges(t *testing.T) {
	everyCase(t, func(t *testing.T, k *profile, c timewait.Case, r, ts uint32) {
		c.Substate = timewait.FinWait2
		for i, row := range orphanRows() {
			c.Segment = row.on(r, ts)
			what := fmt.Sprintf("row %d %+v at rcv_nxt %d, ts_recent %d", i, row, r, ts)
			holds(t, what, k, &c, row.want)
			o, _ := timewait.Decide(&c).Sure()
			if became := row.want == becomesTW || row.want == becomesTWts; !o.Gone && became != (o.After.Substate == timewait.TimeWait) {
				t.Fatalf("%s: substate %d afterwards", what, o.After.Substate)
			} else if became && o.After.RcvNxt.Num != seq.Of(r+1) {
				t.Fatalf("%s: rcv_nxt %s afterwards", what, o.After.RcvNxt)
			}
			if o.Reply.Kind == kernel.ReplyRST {
				checkReset(t, what, &c, o.Reply)
			}
		}
	})
}

// checkReset: a segment with ACK gets its own number back, one without gets
// RST with ACK.
func checkReset(t *testing.T, what string, c *timewait.Case, got kernel.Reply) {
	t.Helper()
	want := kernel.Reply{Kind: kernel.ReplyRST, HasACK: true, Seq: kernel.Known(seq.Of(0)), Ack: kernel.Known(c.Segment.End()), NoTS: true}
	if c.Segment.Flags.Has(ack) {
		want = kernel.Reply{Kind: kernel.ReplyRST, Seq: kernel.Known(c.Segment.Ack), NoTS: true}
	}
	if got != want {
		t.Fatalf("%s: %+v, want %+v", what, got, want)
	}
}

// What differs between the kernels, and what a sysctl or the listener changes.
func TestWhatKernelsDifferIn(t *testing.T) {
	everyCase(t, func(t *testing.T, k *profile, c timewait.Case, r, ts uint32) {
		at := func(row row) *timewait.Case {
			d := c
			d.Segment = row.on(r, ts)
			return &d
		}
		check := func(what string, d *timewait.Case, want expect) {
			t.Helper()
			holds(t, fmt.Sprintf("%s at rcv_nxt %d, ts_recent %d", what, r, ts), k, d, want)
		}
		either := func(b bool, yes, no expect) expect {
			if b {
				return yes
			}
			return no
		}
		check("SYN with FIN", at(row{syn | fin, 1, 0, false, 0, silent}), either(k.dropsSYNFIN, killed, accepted))

		d := at(row{syn, 1, 0, false, 0, silent})
		d.Host.AcceptQueueFull = kernel.Yes
		check("accept queue full", d, either(k.dropsOnFull, killed, accepted))

		d = at(row{syn, 1, 0, false, 0, silent})
		d.Host.Listener, d.LastACK = kernel.No, d.Now-1
		check("nobody listens", d, challenge)

		d = at(row{rst, 0, 0, false, 0, silent})
		d.Host.RFC1337 = kernel.Yes
		check("tcp_rfc1337", d, either(k.rst1337, silentRearm, silent))

		// Within 500 ms a second ACK is not sent, but the 60 s start anew.
		d = at(row{syn, 1, 0, true, minus(1), silent})
		d.LastACK = d.Now - int64(499*time.Millisecond)
		check("second SYN too old", d, either(k.limits, silentRearm, rearming))
		d.LastACK = d.Now - int64(500*time.Millisecond)
		check("after the limit", d, rearming)
		d = at(row{fin | ack, minus(1), 0, false, 0, silent})
		d.LastACK = d.Now - 1
		check("repeated FIN", d, rearming)

		// PAWS is off: the connection had no timestamps, or the sysctl is 0 now.
		for _, seqRow := range []row{{syn, 1, 0, true, minus(1), accepted}, {syn, 0, 0, true, 1, challenge}} {
			d = at(seqRow)
			d.Host.Timestamps = kernel.No
			check("tcp_timestamps off", d, seqRow.want)
		}
		// An old RST counts again 60 s after ts_recent was stored.
		d = at(row{rst | ack, 0, 0, true, minus(1), silent})
		d.Now = d.TSStored + int64(60*time.Second)
		check("old RST after 60 s", d, killed)
		// So does everything once ts_recent has been forgotten.
		d = at(row{syn, 1, 0, true, minus(1), silent})
		d.Now = d.TSStored + k.idle*int64(time.Second)
		check("ts_recent forgotten", d, accepted)
		d.Now -= int64(time.Second)
		check("ts_recent not forgotten yet", d, rearming)
	})
}

// A remembered timestamp of 0 rejects nothing, but for 2.6.32; the ACK then
// carries no timestamps.
func TestZeroTSRecent(t *testing.T) {
	everyCase(t, func(t *testing.T, k *profile, c timewait.Case, r, _ uint32) {
		c.TSRecent = kernel.Known(seq.Of(0))
		for _, row := range []row{{syn, 1, 0, true, minus(1), accepted}, {syn, 0, 0, true, minus(1), challenge}} {
			c.Segment = row.on(r, 0)
			if !k.zeroTSOK {
				row.want = rearming
			}
			holds(t, fmt.Sprintf("%+v at rcv_nxt %d", row, r), k, &c, row.want)
		}
	})
}
