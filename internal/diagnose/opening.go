package diagnose

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

var one = seq.Of(1)

// explainOpening answers for a four-tuple without a past: a SYN that nobody
// answers. What the answers of a fresh SYN mean is not asked here.
func (e *Engine) explainOpening(c *flow.Connection) []*finding {
	if f := e.finalACKIgnored(c); f != nil {
		return []*finding{f}
	}
	if f := e.justOpened(c); f != nil {
		return []*finding{f}
	}
	if c.State == flow.SynOnly {
		l := e.newLife(c)
		if f := l.notAccepted(); f != nil {
			return []*finding{f}
		}
		if f := l.toldBy(); f != nil {
			return []*finding{f}
		}
	}
	if c.MidStream || c.State != flow.SynOnly || c.Ends[flow.Listener].Segments > 0 {
		return nil
	}
	syn, repeats := firstSYN(c)
	f := &finding{mem: e.mem, question: "connect-silent", c: c, time: syn.Time, frames: []uint64{syn.Frame}}
	for _, r := range repeats {
		f.frames = append(f.frames, r.Frame)
	}
	f.asks = fmt.Sprintf("Why did nothing answer the SYN in frame %d?", syn.Frame)
	ss := e.stories(8)
	server := e.view("server", c.Ends[flow.Listener].Addr)
	e.gate(ss, server, c, &syn, !c.Ends[flow.Listener].Addr.Is4())
	e.noAnswer(ss, c, &syn, repeats, 0)
	ss.rename("filtered", "syn-lost-or-filtered", "The SYN may have been lost, or a box on the path dropped it.")
	if e.endsTooSoon(&syn, repeats) {
		ss.rename("not-captured", "undecidable", "The capture ends before an answer could come.")
	}
	e.pressed(ss, c, syn.Time)
	e.synLadder(ss, &syn, repeats)
	e.damagedSYN(ss, c, &syn, repeats)
	ss.assumeKernels(server)
	f.verdict = ss.judge()
	if f.verdict.certainty == report.Open {
		ss.trim()
		f.verdict = ss.judge()
	}
	f.stories = ss.list
	q := &asked{e: e, c: c, p: c, server: server, client: e.view("client", c.Ends[flow.Opener].Addr)}
	q.dress(f, "server")
	if f.verdict.certainty == report.Open && len(repeats) > 0 {
		f.openRoles()
	}
	if e.capture.Last-syn.Time < int64(time.Second) {
		f.warnings = append(f.warnings, report.Warning{Code: "capture-ends", Says: "the capture ends less than a second after the SYN: an answer may have come later", Frame: syn.Frame})
	}
	return []*finding{f}
}

// synLadder says by which timer a SYN is repeated.
func (e *Engine) synLadder(ss *stories, syn *flow.Frame, rest []flow.Frame) {
	row := []flow.Frame{*syn}
	for i := range rest {
		if f := &rest[i]; f.From == flow.Opener && isSYN(f) && f.Seq == syn.Seq {
			row = append(row, *f)
		}
	}
	ev, ok := ladderOf(timers.SYN, row)
	for i := range ss.list {
		if s := &ss.list[i]; ok && s.standing() && s.cause == "syn-lost-or-filtered" {
			s.evidence = append(s.evidence, ev)
		}
	}
}

// pressed weighs the listener's queues by what else it does at that time: one that
// answers many SYNs that nobody completes has a full SYN queue rather than a filter before it.
func (e *Engine) pressed(ss *stories, c *flow.Connection, now int64) {
	pending := e.hangingAt(c.Ends[flow.Listener].Endpoint, now)
	if pending < 4 {
		return
	}
	ev := note(fmt.Sprintf("%d other handshakes with this listener hang at that time, answered and not completed", pending))
	for i := range ss.list {
		s := &ss.list[i]
		if !s.standing() {
			continue
		}
		switch s.cause {
		case "syn-queue-full":
			s.assumes = []Assumption{assumeSynQueuePressed}
			s.evidence = append(s.evidence, ev)
		case "syn-lost-or-filtered":
			for j := range s.assumes {
				s.assumes[j].Cost += 6
			}
		}
	}
}

// justOpened: the capture ends right behind a handshake, or before its last ACK. That
// is normal; what else it may be no frame can tell.
func (e *Engine) justOpened(c *flow.Connection) *finding {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	if !e.endsAtHandshake(c) {
		return nil
	}
	if e.lastOpened[l.Endpoint] != c.LastSeen.Frame {
		return nil // one for each listener will do: the last
	}
	f := &finding{mem: e.mem, question: "connect-stuck", c: c, time: o.ISN.Time, frames: frameList(o.ISN.Frame, l.ISN.Frame, c.LastSeen.Frame)}
	f.asks = fmt.Sprintf("Was the handshake that began in frame %d taken, before the capture ends?", o.ISN.Frame)
	server := e.view("server", l.Addr, l)
	ss := e.stories(8)
	ss.add(story{cause: "nothing-wrong", stands: report.StaysOpen, says: "Nothing is wrong in these frames: the capture ends before anything could follow.",
		evidence: []report.Evidence{note("the capture ends less than a second later", c.LastSeen.Frame)}})
	ss.add(story{cause: "final-ack-ignored", stands: report.StaysOpen, assumes: []Assumption{assumeQueueFull},
		says: "A listener with a full accept queue would ignore the last ACK, or abort on it; the SYN-ACK would be repeated only later."})
	cookie := assumeCookie
	sign := e.cookieMode(l.Addr, o.ISN.Frame)
	if len(sign.Frames) > 0 {
		cookie.Cost = 2
	}
	ss.add(e.cookieStory(c, &server, cookie, sign))
	f.verdict, f.stories = ss.judge(), nil
	f.stories = ss.list
	q := &asked{e: e, c: c, p: c, server: server, client: e.view("client", o.Addr, o)}
	q.dress(f, "server")
	f.severity, f.fault = report.Harmless, report.Nobody
	f.warnings = append(f.warnings, report.Warning{Code: "capture-ends", Says: "the capture ends less than a second after the handshake", Frame: c.LastSeen.Frame})
	return f
}

// endsAtHandshake: the capture ends less than a second after a handshake that
// nothing followed.
func (e *Engine) endsAtHandshake(c *flow.Connection) bool {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	return c.Previous == nil && !c.MidStream && (c.State == flow.SynAcked || c.State == flow.Established) && o.ISN.Seen() && l.ISN.Seen() &&
		l.Segments == 1 && o.Bytes == 0 && e.capture.Last-c.LastSeen.Time < int64(time.Second)
}

// cookieMode looks for connections that the same listener answered before without
// the options that they offered, as cookies without timestamps do.
func (e *Engine) cookieMode(server segment.Addr, before uint64) report.Evidence {
	frames := e.bareBefore(server, before)
	if len(frames) == 0 {
		return report.Evidence{}
	}
	return note(fmt.Sprintf("the same server answered %d other SYN%s without the options that they offered, as cookies do", len(frames), plural(len(frames))), frames[:min(len(frames), 4)]...)
}

// finalACKIgnored: the SYN-ACK comes again although the opener acknowledged it.
func (e *Engine) finalACKIgnored(c *flow.Connection) *finding {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	if c.MidStream || !o.ISN.Seen() || !l.ISN.Seen() || l.ISNImplied {
		return nil
	}
	var ack, again *flow.Frame
	var repeats []uint64
	for i := range c.Frames {
		f := &c.Frames[i]
		switch {
		case f.From == flow.Opener && f.Flags.Has(segment.ACK) && f.Ack == l.ISN.Num.Add(1) && ack == nil:
			ack = f
		case f.From == flow.Listener && f.Flags.Has(segment.SYN) && f.Point().Since(l.ISN.Point) > 500*time.Millisecond:
			again = f
			repeats = append(repeats, f.Frame)
		}
	}
	if again == nil || !o.RcvNxt.Seen() || o.RcvNxt.Num.Before(l.ISN.Num.Add(1)) || o.RcvNxt.Time > again.Time {
		return nil
	}
	f := &finding{mem: e.mem, question: "connect-stuck", c: c, time: o.ISN.Time, frames: append([]uint64{o.ISN.Frame, l.ISN.Frame, o.RcvNxt.Frame}, repeats...)}
	f.asks = fmt.Sprintf("Why did the SYN-ACK come again in frame %d, though frame %d acknowledges it?", repeats[0], o.RcvNxt.Frame)
	ss := e.stories(8)
	server := e.view("server", l.Addr, l)
	ignored := e.deferred(ss, c, repeats, server)
	ss.add(story{cause: "final-ack-ignored", stands: report.StaysOpen, assumes: ignored,
		says:     "The server ignored the client's last ACK: its accept queue is full, so it repeats the SYN-ACK and waits for room.",
		verdict:  fmt.Sprintf("The server ignored the ACK in frame %d and repeated its SYN-ACK: its accept queue is full, because the application does not accept connections fast enough. The client believes that it is connected.", o.RcvNxt.Frame),
		evidence: []report.Evidence{{Says: fmt.Sprintf("the client acknowledged %s, and the SYN-ACK with ISN %s came again", o.RcvNxt.Num, l.ISN.Num), Answer: "yes", Frames: frameList(append([]uint64{o.RcvNxt.Frame}, repeats...)...), Source: "net/ipv4/tcp_ipv4.c tcp_v4_syn_recv_sock (ListenOverflows)"}}})
	lost := assumeLost
	lost.Cost += 4 * (len(repeats) - 1)
	ss.add(story{cause: "final-ack-lost", stands: report.StaysOpen, assumes: append([]Assumption{lost}, ignored...), says: "The client's ACK was lost behind the capture point.", verdict: "The client's ACK was lost behind the capture point."})
	f.verdict, f.stories = ss.judge(), nil
	f.stories = ss.list
	q := &asked{e: e, c: c, p: c, server: server, client: e.view("client", o.Addr, o)}
	q.dress(f, "server")
	return f
}

// deferred tries TCP_DEFER_ACCEPT: the listener has taken the ACK and repeats its SYN-ACK only once, when
// its time is over, as a last chance; an ACK of that it takes. One that ignores ACKs repeats it by its
// first timeout, again and again. It returns what that then assumes.
func (e *Engine) deferred(ss *stories, c *flow.Connection, repeats []uint64, server hostView) []Assumption {
	const cause = "defer-accept"
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	waited := pointOf(c, repeats[0]).Since(l.ISN.Point)
	when := noteNo(fmt.Sprintf("the first repeat comes %s after the SYN-ACK", seconds(waited)), repeats[0])
	acks := o.Segments // all but its SYNs
	for i := range c.Frames {
		if f := &c.Frames[i]; f.From == flow.Opener && f.Flags.Has(segment.SYN) {
			acks--
		}
	}
	if !slices.ContainsFunc(c.Frames, func(f flow.Frame) bool { return f.Frame == o.ISN.Frame }) {
		acks--
	}
	var lost []Assumption
	if n := len(repeats); n > 1 {
		lost = []Assumption{assumeLost} // the ACK of the repeat
		lost[0].Cost += 4 * (n - 2)
	}
	switch {
	case o.Bytes > 0:
		ss.add(ruledOut(cause, "The client has sent data: a listener that waits for it (TCP_DEFER_ACCEPT) would have taken it.", when))
	case len(repeats) > 1 && acks > uint64(len(repeats)):
		ss.add(ruledOut(cause, "A listener that waits for data (TCP_DEFER_ACCEPT) repeats its SYN-ACK once, and takes the ACK of that: here it comes again after that too.",
			noteNo(fmt.Sprintf("the SYN-ACK was repeated %d times and acknowledged %d times", len(repeats), acks), repeats...)))
	case !deferTime(waited):
		ss.add(ruledOut(cause, "A listener that waits for data (TCP_DEFER_ACCEPT) repeats its SYN-ACK 1, 3, 7, 15, 31 or 63 s after the first.", when))
	case waited > 2500*time.Millisecond:
		ss.add(story{cause: cause, stands: report.StaysOpen, assumes: lost,
			says:    "The listener waits for data (TCP_DEFER_ACCEPT): a bare ACK does not open the connection for it, and it asks once more when its time is over.",
			verdict: "The listener uses TCP_DEFER_ACCEPT: it took the bare ACK, waits for the client's first data, and repeats its SYN-ACK once when its time is over. The client sent nothing; its ACK of that repeat opens the connection.",
			evidence: []report.Evidence{{Says: fmt.Sprintf("the first repeat comes %s after the SYN-ACK, and the client sent no data (a listener that defers repeats it 1, 3, 7, 15, 31 or 63 s after: measured on 6.18)", seconds(waited)),
				Answer: "yes", Frames: frameList(l.ISN.Frame, repeats[0]), Source: "net/ipv4/inet_connection_sock.c syn_ack_recalc"}}})
		return notDeferred(waited, server)
	default:
		ss.add(story{cause: cause, stands: report.StaysOpen, assumes: append([]Assumption{assumeDefersOne}, lost...),
			says: "The listener may wait for data (TCP_DEFER_ACCEPT): set to one second, it repeats its SYN-ACK once, at its first timeout."})
	}
	return nil
}

// deferredOnce tries TCP_DEFER_ACCEPT where a SYN-ACK came again and the handshake was completed in the
// end; the opener's ACKs are not kept. It returns what the other causes then assume.
func (l *life) deferredOnce(ss *stories, synacks []uint64, waited time.Duration, ev []report.Evidence) []Assumption {
	s := story{cause: "defer-accept", stands: report.StaysOpen, evidence: ev,
		says: "The listener waits for data (TCP_DEFER_ACCEPT, as nginx's \"deferred\"): a bare ACK does not open the connection for it. It asks once more when its time is over, and takes the ACK of that, or the first data.",
		verdict: fmt.Sprintf("The listener uses TCP_DEFER_ACCEPT: a bare ACK does not open the connection for it, the client's first data does. When its time was over it asked once more (frame %d, %s after the SYN-ACK), and the answer to that opened the connection.",
			synacks[0], seconds(waited))}
	late := waited > 2500*time.Millisecond
	switch {
	case !deferTime(waited):
		ss.add(ruledOut(s.cause, "A listener that waits for data (TCP_DEFER_ACCEPT) repeats its SYN-ACK 1, 3, 7, 15, 31 or 63 s after the first.", noteNo(fmt.Sprintf("the first repeat comes %s after the SYN-ACK", seconds(waited)), synacks[0])))
		return nil
	case late:
	case l.end(flow.Opener).Bytes > 0:
		s.assumes = []Assumption{assumeDefers}
	default:
		s.assumes = []Assumption{assumeDefersOne}
	}
	if len(synacks) > 1 {
		s.assumes = append(s.assumes, assumeLost) // it takes the ACK of the first repeat
	}
	ss.add(s)
	if !late {
		return nil
	}
	c := l.end(flow.Listener)
	return notDeferred(waited, l.e.view("server", c.Addr, c))
}

// notDeferred is what a listener that does not defer accepting must assume where its first repeat comes
// later than its timer.
func notDeferred(waited time.Duration, server hostView) []Assumption {
	if waited > 4*time.Second {
		return []Assumption{assumeRepeatsUnseen}
	}
	old := assumeOldTimer
	_, against := server.under(func(p kernel.Profile) bool { return p.Has(&kernel.FirstRTOIsASecond).Answer != kernel.Yes })
	old.Cost += against
	return []Assumption{old}
}

// assumeRepeatsUnseen: no kernel's first timeout is longer than 3 s.
var assumeRepeatsUnseen = Assumption{"the server's earlier repeats are not in the capture", 15, "its first timeout is 1 s (3 s in kernels up to 3.0)", true}

// deferTime tells whether a listener that defers accepting may repeat its SYN-ACK so long after the
// first: the setting is rounded up to a number of timeouts (secs_to_retrans), of 1, 2, 4 … s.
// The timers run a little late: 64.8 s were measured for 63.
func deferTime(waited time.Duration) bool {
	for n := 2; n <= 64; n *= 2 {
		if t := time.Duration(n-1) * time.Second; waited >= t-t/50 && waited <= t+t/16+200*time.Millisecond {
			return true
		}
	}
	return false
}

// forgetTimes takes back what only times prove or rule out.
func (ss *stories) forgetTimes() {
	for i := range ss.list {
		s := &ss.list[i]
		s.proven = false
		switch s.cause {
		case "time-wait-expired", "own-time-wait-expired":
			if !s.standing() {
				*s = story{cause: s.cause, stands: report.StaysOpen, assumes: []Assumption{assumeLongAgo}, says: "Enough time may have passed: the text does not tell.",
					verdict: "TIME_WAIT was over, it seems: the text tells no times, and nothing else in it explains what happened."}
			}
		}
	}
}

// pointOf returns when a kept frame was seen.
func pointOf(c *flow.Connection, frame uint64) flow.Point {
	for i := range c.Frames {
		if c.Frames[i].Frame == frame {
			return c.Frames[i].Point()
		}
	}
	return flow.Point{}
}

func (ss *stories) rename(from, to, says string) {
	for i := range ss.list {
		if ss.list[i].cause == from {
			ss.list[i].cause, ss.list[i].says = to, says
		}
	}
}

// firstSYN rebuilds the first SYN from the opener's marks, and lists its repeats.
func firstSYN(c *flow.Connection) (flow.Frame, []flow.Frame) {
	o := &c.Ends[flow.Opener]
	syn := flow.Frame{From: flow.Opener, Seq: o.ISN.Num, Flags: segment.SYN, Window: o.FirstWindow, HasTS: o.TSOffered, TSVal: o.FirstTSVal, TSEcr: o.FirstTSEcr, TTL: o.TTL, HasOptions: true}
	syn.Ref.Frame, syn.Time = o.ISN.Frame, o.ISN.Time
	var repeats []flow.Frame
	for _, f := range c.Frames {
		if f.Frame == o.ISN.Frame {
			syn = f
			continue
		}
		repeats = append(repeats, f)
	}
	return syn, repeats
}

// answer asks the question that the round's reply raises.
func (q *asked) answer() *finding {
	r := q.r()
	f := q.e.mem.findings.one()
	*f = finding{mem: q.e.mem, c: q.c, past: q.chain(), time: q.now(), frames: r.frames()}
	var ss *stories
	switch r.kind {
	case kernel.ReplySYNACK:
		f.question, ss = "reopened-accepted", q.accepted()
		f.asks = fmt.Sprintf("Why was the SYN in frame %d accepted, %s?", r.syn.Frame, q.sinceWords())
		if r.implied != nil {
			f.warnings = append(f.warnings, report.Warning{Code: "answer-not-captured", Says: fmt.Sprintf("the SYN-ACK is not in the capture; its ISN is read off the ACK in frame %d", r.implied.Frame), Frame: r.implied.Frame})
		}
	case kernel.ReplyACK:
		f.question, ss = "reopened-challenged", q.challenged()
		f.asks = fmt.Sprintf("Why was the SYN in frame %d answered by an ACK without SYN, %s?", r.syn.Frame, q.sinceWords())
	case kernel.ReplyRST:
		f.question, ss = "reopened-refused", q.refused()
		f.asks = fmt.Sprintf("Why was the SYN in frame %d refused with a RST, %s?", r.syn.Frame, q.sinceWords())
	case kernel.NoReply:
		f.question, ss = "reopened-silent", q.silent()
		f.asks = fmt.Sprintf("Why did nothing answer the SYN in frame %d, %s?", r.syn.Frame, q.sinceWords())
		if q.e.capture.Last-r.syn.Time < int64(time.Second) {
			f.warnings = append(f.warnings, report.Warning{Code: "capture-ends", Says: "the capture ends less than a second after the SYN: an answer may have come later", Frame: r.syn.Frame})
		}
	}
	ss.assumeKernels(q.server)
	if q.e.capture.Timeless {
		ss.forgetTimes()
		f.warnings = append(f.warnings, report.Warning{Code: "times-missing", Says: "the text tells no times: how long the old connection had been over is not known (tcpdump -tttt; Wireshark: a Time column)"})
	}
	f.verdict = ss.judge()
	f.stories = ss.list
	q.aftermath(f)
	q.warn(f)
	q.dress(f, "server")
	return f
}

// sinceWords says how long ago the old connection ended, or that it did not.
func (q *asked) sinceWords() string {
	e, p := q.old()
	switch {
	case q.e.capture.Timeless && (e.FIN.Seen() || p.FIN.Seen() || q.p.EndedAt.Seen()):
		return "some time after the old connection's end"
	case q.p.State == flow.Reset && q.p.EndedAt.Seen():
		return fmt.Sprintf("%s after a reset", seconds(q.elapsed(q.p.EndedAt)))
	case e.FIN.Seen() && p.FIN.Seen():
		return fmt.Sprintf("%s after the close", seconds(q.elapsed(later(e.FIN.Point, p.FIN.Point))))
	case e.FIN.Seen():
		return fmt.Sprintf("%s after the server's FIN", seconds(q.elapsed(e.FIN.Point)))
	case p.FIN.Seen():
		return fmt.Sprintf("%s after the client's FIN", seconds(q.elapsed(p.FIN.Point)))
	case q.p.State == flow.SynAcked:
		return "while another SYN was pending"
	}
	return "while the old connection was not closed"
}

// seconds words a duration as people read captures: "17.0 s", "0.123 s".
func seconds(d time.Duration) string {
	digits := 3
	if d >= 10*time.Second || d <= -10*time.Second {
		digits = 1
	}
	var room [32]byte
	return string(append(strconv.AppendFloat(room[:0], d.Seconds(), 'f', digits, 64), " s"...))
}

// chain lists the connections before the attempt, oldest first, from the one that
// is the past.
func (q *asked) chain() []*flow.Connection {
	var out []*flow.Connection
	for x := q.c.Previous; x != nil; x = x.Previous {
		out = append([]*flow.Connection{x}, out...)
		if x == q.whole {
			break
		}
	}
	return out
}

// warn adds doubts that touch what the finding rests on.
func (q *asked) warn(f *finding) {
	syn := &q.r().syn
	_, p := q.old()
	if q.p.Relative {
		f.warnings = append(f.warnings, report.Warning{Code: "relative-numbers", Says: "the text gives relative sequence numbers: the two connections cannot be compared by them; print absolute ones (tcpdump -S; Wireshark: Relative sequence numbers off)"})
	}
	if q.e.capture.Misses {
		f.warnings = append(f.warnings, report.Warning{Code: "capture-incomplete", Says: "the capture lost frames or was cut: what is not in it may have happened all the same"})
	}
	if q.omitted() {
		f.warnings = append(f.warnings, report.Warning{Code: "frames-omitted", Says: "of a long story only the beginning and the end were kept"})
	}
	if w, ok := q.openerLine(syn, p); ok {
		f.warnings = append(f.warnings, w)
	}
	for _, h := range q.server.hints {
		if q.server.known() && len(q.server.against(q.server.facts.profile)) > 0 {
			for _, a := range q.server.against(q.server.facts.profile) {
				if a.says() == h.says() {
					f.warnings = append(f.warnings, report.Warning{Code: "kernel-mismatch", Says: fmt.Sprintf("%s, but the kernel was given as %s; a sysctl may explain that", h.says(), q.server.facts.profile), Frame: h.frames[0]})
				}
			}
		}
	}
}

// openerLine looks whether the opener's two ISNs lie on one clock line.
func (q *asked) openerLine(syn *flow.Frame, p *flow.End) (report.Warning, bool) {
	if !p.ISN.Seen() || p.ISNImplied || q.p.Relative {
		return report.Warning{}, false
	}
	if syn.HasTS && syn.TSEcr.Uint32() != 0 {
		return report.Warning{}, false // it inherited a TIME_WAIT
	}
	l := onOpenerLine(p.ISN, syn)
	if l.On {
		return report.Warning{}, false
	}
	return report.Warning{Code: "opener-isn-off-line", Frame: syn.Frame,
		Says: "the client's ISNs " + p.ISN.Num.String() + " (frame " + decimal(p.ISN.Frame) + ") and " + syn.Seq.String() + " (frame " + decimal(syn.Frame) +
			") do not lie on one clock line of 15.625 million a second: another opener, a rewritten number, or about 2 GB sent that the capture does not show"}, true
}
