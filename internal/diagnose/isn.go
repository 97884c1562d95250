package diagnose

import (
	"fmt"
	"math"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

const (
	rstFlag = segment.RST
	synFlag = segment.SYN
)

// isnReading is what the sequence number of a SYN-ACK tells.
type isnReading struct {
	isn   seq.Num
	frame uint64
	// inherits: it is the old snd_nxt + 65537. want is that number.
	inherits kernel.Answer
	sndNxt   kernel.Num
	want     kernel.Num
	sndFrame uint64
	// line compares it with the clock line through an older ISN of the same end.
	onLine kernel.Answer
	line   listen.Line
	base   flow.Mark
}

// readISN reads the ISN of the SYN-ACK that the round got.
func (q *asked) readISN() isnReading {
	r := q.r()
	e, _ := q.old()
	if q.p.Relative {
		return isnReading{} // a text with relative numbers does not tell it
	}
	n := q.numbers()
	x := isnReading{sndNxt: n.sndNxt, want: kernel.InheritedISN(n.sndNxt)}
	at := r.reply
	if at != nil {
		x.isn, x.frame = at.Seq, at.Frame
	} else {
		at = r.implied
		x.isn, x.frame = at.Ack.Add(^uint32(0)), at.Frame
	}
	x.sndFrame = e.SndNxt.Frame
	if e.FIN.Seen() {
		x.sndFrame = e.FIN.Frame
	}
	if x.want.Known {
		x.inherits = kernel.If(x.isn == x.want.Num)
	}
	if x.inherits == kernel.No && q.sndNxtDoubtful() {
		// Bytes that the capture misses would move snd_nxt.
		if ahead := x.isn.Sub(x.want.Num); ahead > 0 && ahead < 1<<22 {
			x.inherits = kernel.Unknown
		}
	}
	q.readLine(&x, at)
	return x
}

// sndNxtDoubtful: the end may have sent more than the capture shows.
func (q *asked) sndNxtDoubtful() bool {
	e, p := q.old()
	return beyond(p, e) || !e.FIN.Seen() || q.p.MidStream
}

// worstChance is how probable it may be that an unrelated number lies on the clock
// line, for the line still to count.
const worstChance = 0.01

// readLine looks for the clock line, through the old connection's ISN or through
// an older one that was not itself inherited: a chain of inherited ISNs lags the
// clock, and the debt is carried.
func (q *asked) readLine(x *isnReading, at *flow.Frame) {
	if p := q.server.facts.profile; q.server.known() && p.Has(&kernel.ClockISN).Answer == kernel.No {
		return // such a kernel leaves the line every 300 s
	}
	who := q.c.Ends[flow.Listener].Endpoint
	for p := q.p; p != nil; p = p.Previous {
		e := &p.Ends[sideOf(p, who)]
		if !e.ISN.Seen() || e.ISNImplied && e.SndNxt.Seen() && e.ISN.Num == e.SndNxt.Num {
			continue
		}
		slack := at.Point().Since(q.r().syn.Point()).Abs()
		if o := &p.Ends[sideOf(p, who).Other()]; o.ISN.Seen() {
			slack += e.ISN.Since(o.ISN.Point).Abs()
		}
		l := listen.OnClockLine(e.ISN.Num, x.isn, at.Point().Since(e.ISN.Point), slack)
		if l.Chance > worstChance {
			continue // over so long a time any number would lie on it
		}
		if x.onLine == kernel.Unknown || l.On {
			x.onLine, x.line, x.base = kernel.If(l.On), l, e.ISN
		}
		if l.On {
			return
		}
	}
}

// inheritedEvidence words the comparison with snd_nxt + 65537.
func (q *asked) inheritedEvidence() report.Evidence {
	if q.inherited.Says == "" {
		q.inherited = q.isn.inheritedEvidence()
	}
	return q.inherited
}

func (x *isnReading) inheritedEvidence() report.Evidence {
	ev := report.Evidence{Answer: x.inherits.String(), Frames: frameList(x.frame, x.sndFrame), Source: "net/ipv4/tcp_minisocks.c tcp_timewait_state_process"}
	switch x.inherits {
	case kernel.Yes:
		ev.Says = fmt.Sprintf("the SYN-ACK's ISN %s is the old snd_nxt %s + 65537", x.isn, x.sndNxt.Num)
	case kernel.No:
		ev.Says = "the SYN-ACK's ISN " + x.isn.String() + " is not the old snd_nxt " + x.sndNxt.Num.String() + " + 65537 = " + x.want.Num.String()
	case kernel.Unknown:
		ev.Says = fmt.Sprintf("whether the ISN %s is the old snd_nxt + 65537 cannot be told: the capture does not show the last byte that the server sent", x.isn)
	}
	return ev
}

// lineEvidence words the comparison with the clock line.
func (q *asked) lineEvidence() report.Evidence {
	if q.line.Says == "" {
		q.line = q.isn.lineEvidence()
	}
	return q.line
}

func (x *isnReading) lineEvidence() report.Evidence {
	ev := report.Evidence{Answer: x.onLine.String(), Frames: frameList(x.frame, x.base.Frame), Source: "net/core/secure_seq.c seq_scale (RFC 6528)"}
	switch x.onLine {
	case kernel.Unknown:
		ev.Says = "the capture shows no older ISN of this end, so the clock line cannot be drawn"
		ev.Frames = frameList(x.frame)
	case kernel.Yes:
		ev.Says = fmt.Sprintf("the ISN %s lies on the clock line of the same boot: %s (frame %d) + elapsed / 64 ns = %s, %.1f ms of clock away; by chance 1 in %.0f",
			x.isn, x.base.Num, x.base.Frame, x.line.Predicted, math.Abs(float64(x.line.Off))*64e-6, 1/x.line.Chance)
	case kernel.No:
		ev.Says = fmt.Sprintf("the ISN %s lies off the clock line: %s (frame %d) + elapsed / 64 ns = %s", x.isn, x.base.Num, x.base.Frame, x.line.Predicted)
	}
	return ev
}

// frameList drops zeros and repeats; order as given.
func frameList(frames ...uint64) []uint64 {
	out := make([]uint64, 0, len(frames))
	for _, f := range frames {
		if f == 0 {
			continue
		}
		dup := false
		for _, g := range out {
			dup = dup || g == f
		}
		if !dup {
			out = append(out, f)
		}
	}
	return out
}
