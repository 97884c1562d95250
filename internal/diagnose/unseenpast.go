package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// strangeACK is an ACK that a listener sent to a SYN and that does not acknowledge it, with
// what followed.
type strangeACK struct {
	syn, ack *flow.Frame
	acks     []uint64    // all of them
	rst      *flow.Frame // the opener's answer to the first; nil if there is none
	next     *flow.Frame // the SYN behind that
}

// strangeACK looks for one before the connection was opened.
func (l *life) strangeACK() *strangeACK {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	var x strangeACK
	for i := range l.frames {
		f := &l.frames[i]
		opening := !s.ISN.Seen() || s.ISNImplied || f.Frame < s.ISN.Frame
		switch {
		case f.From == flow.Opener && isSYN(f) && x.ack == nil:
			x.syn = f
		case f.From == flow.Opener && isSYN(f) && x.rst != nil && x.next == nil:
			x.next = f
		case f.From == flow.Listener && opening && has(f, segment.ACK) && f.Flags&(segment.SYN|segment.RST|segment.FIN) == 0 && f.Len == 0 && f.Ack != o.ISN.Num.Add(1) && x.syn != nil:
			if x.ack == nil {
				x.ack = f
			}
			x.acks = append(x.acks, f.Frame)
		case f.From == flow.Opener && has(f, segment.RST) && x.ack != nil && x.rst == nil && f.Seq == x.ack.Ack:
			x.rst = f
		}
	}
	if x.ack == nil || x.rst == nil && len(x.acks) < 2 {
		return nil
	}
	return &x
}

// challengedUnseen: a SYN got an ACK of an older connection of which the capture shows nothing.
// What the server holds can only be read off that ACK: it tells rcv_nxt, snd_nxt and ts_recent.
func (l *life) challengedUnseen() *finding {
	o := l.end(flow.Opener)
	if l.c.MidStream || !o.ISN.Seen() || o.ISNImplied || l.c.Previous != nil {
		return nil
	}
	x := l.strangeACK()
	if x == nil || l.c.Relative && (x.rst == nil || x.rst.Doubt.Has(segment.SeqRelative) || x.ack.Doubt.Has(segment.AckRelative)) {
		return nil // of a text: numbers that count from an unknown base say nothing
	}
	l.e.openingTold[l.c.ID] = true
	f := l.finding("reopened-challenged", flow.Listener, x.syn.Point(), append([]uint64{x.syn.Frame}, x.acks...)...)
	if x.rst != nil {
		f.frames = append(f.frames, x.rst.Frame)
	}
	f.asks = fmt.Sprintf("Why was the SYN in frame %d answered by an ACK without SYN, on a four-tuple whose past the capture does not show?", x.syn.Frame)
	ss := l.e.stories(8)
	form := []report.Evidence{note(fmt.Sprintf("ack %s is not the SYN's number + 1 = %s: the ACK carries the numbers of an older connection", x.ack.Ack, x.syn.Seq.Add(1)), x.syn.Frame, x.ack.Frame)}
	if x.rst != nil {
		form = append(form, note(fmt.Sprintf("the client's RST has seq %s, that number, as an opener's answer has (RFC 9293 §3.10.7.3)", x.rst.Seq), x.rst.Frame))
	}
	l.heldTimeWait(ss, x, form)
	ss.add(story{cause: "established", stands: report.StaysOpen, assumes: []Assumption{assumeNeverTold}, evidence: form,
		says: "For the server an older connection on this four-tuple still lives: it never saw its end."})
	ss.add(story{cause: "closing-peer", stands: report.StaysOpen, assumes: []Assumption{assumeNotClosed}, evidence: form,
		says: "The server has not finished closing an older connection on this four-tuple (CLOSE_WAIT, LAST_ACK)."})
	f.aftermath = l.cleared(x)
	f.warnings = append(f.warnings, report.Warning{Code: "past-not-captured", Frame: x.ack.Frame, Says: "the capture begins after the old connection: what the server holds of it is read off its ACK alone"})
	return l.finish(f, ss)
}

// heldTimeWait asks the model whether a TIME_WAIT with the numbers of the ACK answers the SYN by it.
func (l *life) heldTimeWait(ss *stories, x *strangeACK, form []report.Evidence) {
	srv := l.end(flow.Listener)
	server := l.e.view("server", srv.Addr)
	host := server.host(server.suspects[0].Profile, !srv.Addr.Is4())
	if s := srv.ISN; s.Seen() && !srv.ISNImplied {
		host.Listener = kernel.Yes // the next SYN was accepted
	}
	c := timewait.Case{Host: host, Segment: segmentOf(x.syn), Now: x.syn.Time, Socket: timewait.Socket{
		Substate: timewait.TimeWait, RcvNxt: kernel.Known(x.ack.Ack), SndNxt: kernel.Known(x.ack.Seq), HasTS: kernel.If(x.ack.HasTS)}}
	if x.ack.HasTS {
		c.TSRecent, c.TSStored = kernel.Known(x.ack.TSEcr), x.ack.Time-int64(time.Second) // when is not known; within 24 days it makes no difference
	}
	if x.ack.Doubt.Has(segment.SeqUnsaid) {
		c.SndNxt = kernel.Num{}
	}
	causes := map[string]string{"ack-old-syn": "time-wait-old-sequence", "ack-paws": "time-wait-paws", "syn-no-listener": "time-wait-no-listener"}
	d := timewait.Decide(&c)
	found := false
	for _, o := range d.Possible {
		cause := causes[o.Rule]
		if cause == "" {
			continue
		}
		readings, from := deciding(d.Trace, o.Rule)
		s := story{cause: cause, stands: report.StaysOpen, assumes: []Assumption{assumeHeldTimeWait}, evidence: append([]report.Evidence{}, form...),
			says: "The server holds an older connection in TIME_WAIT, which refuses this SYN."}
		if cause == "time-wait-no-listener" {
			s.assumes = append(s.assumes, assumeNoListener)
		}
		for _, r := range readings {
			s.evidence = append(s.evidence, evidence(r, from, x.syn.Frame, x.ack.Frame))
		}
		found = true
		ss.add(s)
	}
	if found {
		return
	}
	ss.add(ruledOut("time-wait-old-sequence", "A TIME_WAIT with the numbers of this ACK would have let the SYN in.",
		noteNo(fmt.Sprintf("seq %s of the SYN is after rcv_nxt, which the ACK tells: %s", x.syn.Seq, x.ack.Ack), x.syn.Frame, x.ack.Frame)))
}

// cleared says what became of the client's RST.
func (l *life) cleared(x *strangeACK) []story {
	s := l.end(flow.Listener)
	switch {
	case x.rst == nil || x.next == nil:
		return nil
	case s.ISN.Seen() && !s.ISNImplied:
		return []story{{cause: "rescued", stands: report.Fits,
			says:     fmt.Sprintf("The client's RST (frame %d) ended it, and the next SYN (frame %d, %s later) was accepted.", x.rst.Frame, x.next.Frame, seconds(x.next.Point().Since(x.syn.Point()))),
			verdict:  fmt.Sprintf("The client answered with a RST (frame %d), which cleared the way for its next SYN (frame %d, %s later).", x.rst.Frame, x.next.Frame, seconds(x.next.Point().Since(x.syn.Point()))),
			evidence: []report.Evidence{note("the SYN-ACK answers the SYN behind the RST", x.rst.Frame, x.next.Frame, s.ISN.Frame)}}}
	case len(x.acks) > 1:
		return []story{{cause: "rst-lost", stands: report.StaysOpen, assumes: []Assumption{assumeLost},
			says:     "The client's RST carries the number that ends whatever the server holds, and yet it answers the next SYN in the same way: the RST does not reach it (a filter, a stateful box), or it ignores RSTs (tcp_rfc1337, in TIME_WAIT only).",
			verdict:  fmt.Sprintf("The client's RST (frame %d) carries the right number and changes nothing: it does not reach the server, or is ignored there.", x.rst.Frame),
			evidence: []report.Evidence{note("the server answers by the same ACK again", x.acks...)}}}
	}
	return nil
}
