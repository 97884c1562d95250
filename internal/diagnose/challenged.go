package diagnose

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// causesChallenged are the causes of an ACK without SYN, in the order of the
// vocabulary.
var causesChallenged = []string{"time-wait-old-sequence", "time-wait-paws", "time-wait-no-listener", "established", "closing-peer",
	"fin-wait2-out-of-window", "fin-wait2-paws", "syn-received"}

// predicted is what a holding answers to the SYN under one kernel.
type predicted struct {
	rule     string
	cause    string
	reply    kernel.Reply
	readings []kernel.Reading
	from     string
	sure     bool
}

// predict asks the model what a holding answers to the round's SYN.
func (q *asked) predict(st *state, host *kernel.Host) (predicted, bool) {
	seg := segmentOf(&q.r().syn)
	switch st.kind {
	case twTrue, twOrphan:
		c := timewait.Case{Socket: st.tw, Host: *host, Segment: seg, Now: q.now()}
		d := timewait.Decide(&c)
		o := d.Possible[0]
		x := predicted{rule: o.Rule, reply: o.Reply, sure: len(d.Possible) == 1}
		x.readings, x.from = deciding(d.Trace, o.Rule)
		x.cause = challengeOf(o.Rule)
		return x, true
	case alive:
		c := live.Case{Socket: st.live, Host: *host, Segment: seg, Now: q.now()}
		d := live.Decide(&c)
		o := d.Possible[0]
		x := predicted{rule: o.Rule, reply: o.Reply, sure: len(d.Possible) == 1}
		x.readings, x.from = deciding(d.Trace, o.Rule)
		x.cause = "established"
		switch st.live.State {
		case live.CloseWait, live.LastAck, live.Closing:
			x.cause = "closing-peer"
		case live.SynRecv:
			x.cause = "syn-received"
		case live.FinWait2:
			x.cause = "fin-wait2-out-of-window"
		case live.Established, live.FinWait1, live.UnknownState:
		}
		if o.Rule == "syn-aborts" {
			x.cause = "established-old-kernel"
		}
		if o.Rule == "req-syn-in-window" {
			x.cause = "syn-received-in-window"
		}
		return x, true
	case nothing:
	}
	return predicted{}, false
}

// challengeOf is the cause that a rule of TIME_WAIT or FIN_WAIT2 stands for, if any.
func challengeOf(rule string) string {
	switch rule {
	case "ack-old-syn", "ack-flag":
		return "time-wait-old-sequence"
	case "ack-paws":
		return "time-wait-paws"
	case "syn-no-listener":
		return "time-wait-no-listener"
	case "fw2-paws":
		return "fin-wait2-paws"
	case "fw2-out-of-window":
		return "fin-wait2-out-of-window"
	case "fw2-syn":
		return "fin-wait2-orphan"
	case "ack-limited", "fw2-ack-limited":
		return "time-wait-ack-rate-limited"
	case "syn-fin":
		return "syn-fin-dropped"
	case "syn-queue-full":
		return "accept-queue-full-after-time-wait"
	}
	return ""
}

// deciding returns the readings that made a rule fire, and those that kept the
// rule for an accepted SYN from firing.
func deciding(trace []kernel.Asked, rule string) ([]kernel.Reading, string) {
	var out []kernel.Reading
	from := ""
	for _, a := range trace {
		if a.Rule == "syn-accepted" || a.Rule == rule {
			for _, r := range a.Readings {
				if r.Because() != "" && !strings.HasPrefix(r.Because(), "flags ") {
					out = append(out, r)
				}
			}
		}
		if a.Rule == rule {
			from = a.From
		}
	}
	return withoutRepeats(out), from
}

// withoutRepeats drops a reading whose words come again later.
func withoutRepeats(in []kernel.Reading) []kernel.Reading {
	var out []kernel.Reading
	for i, r := range in {
		again := false
		for _, later := range in[i+1:] {
			again = again || strings.Contains(later.Because(), strings.TrimPrefix(r.Because(), "the segment has "))
		}
		if !again {
			out = append(out, r)
		}
	}
	return out
}

// challenged tries every course in which the SYN gets an ACK without SYN.
func (q *asked) challenged() *stories {
	ss := q.e.stories(8)
	for _, h := range q.holds {
		for _, listener := range []kernel.Answer{kernel.Yes, kernel.No} {
			for _, sv := range q.survivals(&h) {
				q.tryHolding(ss, h, listener, sv, kernel.ReplyACK)
			}
		}
	}
	q.denyRest(ss, causesChallenged)
	return ss
}

// tryHolding runs one holding under every kernel and adds the cause it comes to.
func (q *asked) tryHolding(ss *stories, h holding, listener kernel.Answer, sv survival, want kernel.ReplyKind) {
	type tried struct {
		predicted
		cmp     comparison
		st      state
		against int
	}
	best := map[string]*tried{}
	fits := map[string][]kernel.Profile{}
	for _, g := range q.server.alike {
		s := q.server.bestOf(g)
		host := q.server.host(s.Profile, q.ipv6)
		host.Listener = listener
		st := q.replayAs(&h, &host, sv)
		if st.kind == twTrue {
			if _, longest := timewait.Lifetime(s.Profile); st.youngest(q.now()) > longest {
				continue
			}
		}
		x, ok := q.predict(&st, &host)
		if !ok || x.cause == "" || x.reply.Kind != want {
			continue
		}
		cmp := compare(x.reply, q.r().reply)
		if b := best[x.cause]; b == nil || cmp.ok() && (!b.cmp.ok() || s.against <= b.against) {
			best[x.cause] = &tried{x, cmp, st, s.against}
		}
		if cmp.ok() {
			for _, i := range g {
				fits[x.cause] = append(fits[x.cause], q.server.suspects[i].Profile)
			}
		}
	}
	for _, cause := range append(append([]string{}, causesChallenged...), causesRefused...) {
		t := best[cause]
		if t == nil {
			continue
		}
		if listener == kernel.No && cause != "time-wait-no-listener" {
			continue
		}
		if !t.cmp.ok() {
			ss.add(ruledOut(cause, fmt.Sprintf("The answer differs: %s.", t.cmp.differs), note(h.why, h.frames...), noteNo(t.cmp.differs, q.r().reply.Frame)))
			continue
		}
		hh := h
		hh.assumes = append(sv.assumes(), h.assumes...)
		q.addHolding(ss, hh, t.st, t.predicted, t.cmp, fits[cause])
	}
}

// addHolding adds a course whose prediction agrees with the answer.
func (q *asked) addHolding(ss *stories, h holding, st state, x predicted, cmp comparison, fit []kernel.Profile) {
	against := q.server.weight(q.server.setOf(fit))
	r := q.r()
	s := story{cause: x.cause, stands: report.StaysOpen, assumes: append([]Assumption{}, h.assumes...), against: against, kernels: fit}
	s.evidence = append(s.evidence, note(h.why, h.frames...))
	e, p := q.old()
	for _, rd := range x.readings {
		if rd.Answer == kernel.Unknown {
			s.assumes = append(s.assumes, Assumption{"a fact that is missing: " + string(rd.Missing), 4, "the model cannot decide without it", false})
		}
		s.evidence = append(s.evidence, evidence(rd, x.from, r.syn.Frame, p.FIN.Frame))
	}
	if r.reply != nil && len(cmp.matches) > 0 {
		s.evidence = append(s.evidence, note(fmt.Sprintf("the %s in frame %d is what is predicted: %s", x.reply.Kind, r.reply.Frame, strings.Join(cmp.matches, ", ")), r.reply.Frame, e.Last.Frame))
	}
	for _, soft := range cmp.soft {
		s.evidence = append(s.evidence, noteNo(soft+" (a window may have been computed anew)", r.reply.Frame))
	}
	if x.cause == "time-wait-no-listener" {
		s.assumes = append(s.assumes, assumeNoListener)
	}
	if st.kind == alive && cmp.ok() && len(cmp.matches) >= 2 {
		// That the socket lives is what the answer itself shows.
		for i := range s.assumes {
			if s.assumes[i].Says == assumeLost.Says {
				s.assumes[i].Cost = 5
			}
		}
	}
	s.proven = cmp.exact() && x.sure && !q.omitted() && provable(x.cause)
	s.says, s.verdict = q.holdingWords(x, st, h)
	ss.add(s)
}

// provable: for these causes an exact answer leaves no other course. An orphan in
// FIN_WAIT2 cannot be told from one whose application closed one direction only.
func provable(cause string) bool {
	switch cause {
	case "time-wait-old-sequence", "time-wait-paws", "established", "closing-peer", "syn-received":
		return true
	}
	return false
}

func (q *asked) holdingWords(x predicted, st state, h holding) (says, verdict string) {
	syn := &q.r().syn
	answer := "answered with an ACK that carries the old connection's numbers"
	switch x.cause {
	case "time-wait-old-sequence":
		age := st.heldFor(q.now())
		says = fmt.Sprintf("The server held TIME_WAIT, armed %.3f s before, and the SYN is not newer: seq %s is not after rcv_nxt %s.", age.Seconds(), syn.Seq, st.tw.RcvNxt.Num)
		verdict = fmt.Sprintf("The server still held TIME_WAIT, and the SYN is not newer than the old connection (seq %s is not after rcv_nxt %s%s), so the kernel %s.", syn.Seq, st.tw.RcvNxt.Num, q.tsWords(st), answer)
	case "time-wait-paws":
		says = fmt.Sprintf("The server held TIME_WAIT, and the SYN's TSval %s is older than ts_recent %s.", syn.TSVal, st.tw.TSRecent.Num)
		verdict = fmt.Sprintf("The server still held TIME_WAIT, and the SYN's timestamp is older than the one it remembers (TSval %s, ts_recent %s), so the kernel %s, and started the 60 s anew.", syn.TSVal, st.tw.TSRecent.Num, answer)
	case "time-wait-no-listener":
		says = "The SYN is acceptable to TIME_WAIT, but nobody listens on the port any more."
		verdict = "The server still held TIME_WAIT; the SYN would have been accepted, but nobody listens on the port any more, and TIME_WAIT then answers with an ACK instead of a RST."
	case "established":
		says = fmt.Sprintf("The old connection is still alive at the server (%s).", st.live.State)
		verdict = fmt.Sprintf("For the server the old connection still lives (%s): it never saw its end, so it %s, a challenge ACK.", st.live.State, answer)
	case "closing-peer":
		says = fmt.Sprintf("The server has not finished closing the old connection (%s).", st.live.State)
		verdict = fmt.Sprintf("The server is still in %s: %s. It answered the SYN with an ACK that carries the old connection's numbers, a challenge ACK.", st.live.State, map[bool]string{true: "its application has not closed the socket", false: "nothing acknowledged its FIN"}[st.live.State == live.CloseWait])
	case "fin-wait2-out-of-window":
		says = fmt.Sprintf("The server waits in FIN_WAIT2 for the client's FIN, and the SYN's seq %s lies outside its window.", syn.Seq)
		verdict = fmt.Sprintf("The server closed first and still waits in FIN_WAIT2; the SYN's seq %s lies outside the window, so it %s.", syn.Seq, answer)
	case "fin-wait2-paws":
		says = "The server waits in FIN_WAIT2, and the SYN's timestamp is older than the one it remembers."
		verdict = fmt.Sprintf("The server closed first and still waits in FIN_WAIT2; the SYN's timestamp is older than the one it remembers, so it %s.", answer)
	case "syn-received":
		says = "An older SYN of this four-tuple is still pending at the server."
		verdict = "An older SYN of this four-tuple is still pending at the server (SYN_RECV); the new one does not fit it, and the pending request answers with an ACK."
	case "fin-wait2-orphan":
		says = "The server's orphan in FIN_WAIT2 met a SYN within its window."
		verdict = fmt.Sprintf("The server closed first and its orphan waits in FIN_WAIT2; a SYN within the window (seq %s, rcv_nxt %s) is answered with a RST and ends it.", syn.Seq, st.tw.RcvNxt.Num)
	case "established-old-kernel":
		says = "The old connection is still alive at the server, whose kernel predates RFC 5961."
		verdict = "For the server the old connection still lives, and its kernel is older than RFC 5961 in Linux (3.6): a SYN within the window aborts it with a RST."
	case "syn-received-in-window":
		says = "An older SYN is pending, and this one lies within its window."
		verdict = "An older SYN of this four-tuple is still pending at the server; another SYN within its window is answered with a RST and drops the request."
	}
	return says, verdict
}

func (q *asked) tsWords(st state) string {
	syn := &q.r().syn
	switch {
	case !syn.HasTS && !syn.OptionsCut && st.tw.HasTS == kernel.Yes:
		return ", and it has no timestamp"
	case syn.HasTS && st.tw.HasTS == kernel.Yes && st.tw.TSRecent.Known && syn.TSVal == st.tw.TSRecent.Num:
		return ", and its TSval equals ts_recent"
	case syn.HasTS && st.tw.HasTS == kernel.No:
		return "; the old connection had no timestamps to compare"
	}
	return ""
}

// denyRest rules the remaining causes out by what the end held instead.
func (q *asked) denyRest(ss *stories, causes []string) {
	why := "the capture shows no older connection that could answer"
	var frames []uint64
	if len(q.holds) > 0 {
		why, frames = q.holds[0].why, q.holds[0].frames
	}
	says, no := "Not by what the server held: "+why+".", q.e.mem.proof(noteNo(why, frames...))
	for _, c := range causes {
		if ss.has(c) {
			continue
		}
		if text := q.denial(ss, c); text != "" {
			ss.add(ruledOut(c, text, note(why, frames...)))
			continue
		}
		ss.add(ruledOut(c, says, no...))
	}
}

// denial words why the other test of the same state did not decide.
func (q *asked) denial(ss *stories, cause string) string {
	syn := &q.r().syn
	switch cause {
	case "time-wait-paws":
		if ss.has("time-wait-old-sequence") && !syn.HasTS && !syn.OptionsCut {
			return "The SYN has no timestamp to be older."
		} else if ss.has("time-wait-old-sequence") {
			return "The SYN's timestamp is not older than ts_recent, or is not looked at."
		}
	case "time-wait-old-sequence":
		if ss.has("time-wait-paws") {
			return "The older timestamp decides before the sequence number is looked at."
		}
	case "time-wait-no-listener":
		if ss.has("time-wait-old-sequence") || ss.has("time-wait-paws") {
			return "TIME_WAIT refuses this SYN whether somebody listens or not."
		}
	}
	return ""
}

// aftermath says what came of a challenge: the opener's RST and what it did.
func (q *asked) aftermath(f *finding) {
	r := q.r()
	if r.kind != kernel.ReplyACK {
		return
	}
	last := q.i == len(q.rounds)-1
	coincides := r.reply.Ack == r.syn.Seq.Add(1)
	switch {
	case coincides:
		f.aftermath = append(f.aftermath, story{cause: "ack-coincides", stands: report.Fits,
			says:     "The ACK happens to acknowledge the new SYN, so the opener drops it without a word.",
			evidence: q.reaction(), verdict: "By coincidence the ACK acknowledges the new SYN, so the client drops it silently and only repeats its SYN."})
	case r.openerRST != nil && !last && q.rounds[q.i+1].kind == kernel.ReplySYNACK:
		next := &q.rounds[q.i+1]
		gap := next.syn.Point().Since(r.syn.Point())
		f.aftermath = append(f.aftermath, story{cause: "rescued", stands: report.Fits,
			says: fmt.Sprintf("The client's RST (frame %d) ended it, and the next SYN (frame %d, %.3f s later) was accepted.", r.openerRST.Frame, next.syn.Frame, gap.Seconds()),
			evidence: append(q.reaction(), report.Evidence{Says: fmt.Sprintf("the RST has seq %s, the ACK's number", r.openerRST.Seq), Answer: "yes", Frames: frameList(r.openerRST.Frame, r.reply.Frame), Source: "net/ipv4/tcp_input.c tcp_rcv_synsent_state_process"},
				report.Evidence{Says: resendWords(gap), Answer: "yes", Frames: frameList(r.syn.Frame, next.syn.Frame), Source: kernel.ResendsAtOnce.From}),
			verdict: fmt.Sprintf("The client answered with a RST (frame %d), which cleared the way for its next SYN (frame %d, %.3f s later).", r.openerRST.Frame, next.syn.Frame, gap.Seconds())})
	case r.openerRST != nil && !last && (q.rounds[q.i+1].kind == kernel.ReplyACK || q.rounds[q.i+1].kind == kernel.NoReply):
		f.aftermath = append(f.aftermath, q.rstDidNothing(r)...)
	case r.openerRST == nil && !last && q.rounds[q.i+1].kind != kernel.ReplySYNACK:
		f.aftermath = append(f.aftermath, story{cause: "rst-lost", stands: report.Fits, assumes: []Assumption{{"the opener never got the ACK, or its RST does not reach the server", 3, "every TCP answers the ACK with a RST", true}},
			says:    "No RST of the client follows: a filter drops the ACK or the RST, and the SYNs keep failing until TIME_WAIT runs out.",
			verdict: "No RST of the client follows in this capture, so nothing clears the way: a filter may drop the ACK on its way, or the RST."})
	case r.openerRST == nil && !last:
		f.aftermath = append(f.aftermath, q.clearedWithoutRST(r)...)
	}
}

// clearedWithoutRST: the next SYN was accepted though no RST is in the capture.
func (q *asked) clearedWithoutRST(r *round) []story {
	next := &q.rounds[q.i+1]
	gap := next.syn.Point().Since(r.syn.Point())
	if gap < 30*time.Second {
		return nil
	}
	return []story{{cause: "expired-while-retrying", stands: report.Fits,
		says:    fmt.Sprintf("The client repeated its SYN until the server's TIME_WAIT had run out (frame %d).", next.syn.Frame),
		verdict: fmt.Sprintf("The client repeated its SYN until the server let go (frame %d, %.1f s later).", next.syn.Frame, gap.Seconds())}}
}

// rstDidNothing: the opener's RST did not clear the way.
func (q *asked) rstDidNothing(r *round) []story {
	h := q.holds[0]
	if h.kind != twTrue {
		return nil
	}
	exact := r.openerRST.Seq == h.tw.RcvNxt.Num
	if !exact {
		return []story{{cause: "rst-lost", stands: report.Fits, evidence: []report.Evidence{noteNo(fmt.Sprintf("the RST's seq %s is not rcv_nxt %s", r.openerRST.Seq, h.tw.RcvNxt.Num), r.openerRST.Frame)},
			says: "The client's RST does not carry rcv_nxt, so TIME_WAIT ignores it.", verdict: fmt.Sprintf("The client's RST (frame %d) does not carry rcv_nxt, so TIME_WAIT ignored it.", r.openerRST.Frame)}}
	}
	next := &q.rounds[q.i+1]
	says := fmt.Sprintf("TIME_WAIT survived the exact RST in frame %d: tcp_rfc1337 is 1 on the server, or the RST did not arrive.", r.openerRST.Frame)
	return []story{
		{cause: "rfc1337", stands: report.StaysOpen, assumes: []Assumption{assumeRFC1337}, says: says, verdict: says + " Until it runs out the client can only repeat its SYN.",
			evidence: []report.Evidence{note(fmt.Sprintf("the RST's seq %s is rcv_nxt", r.openerRST.Seq), r.openerRST.Frame), note("the next SYN was not accepted", next.syn.Frame)}},
		{cause: "rst-lost", stands: report.StaysOpen, assumes: []Assumption{assumeLost}, says: "The RST in the capture may not have reached the server."},
	}
}

// reaction asks the model what an opener does with the ACK.
func (q *asked) reaction() []report.Evidence {
	r := q.r()
	seg := segmentOf(r.reply)
	c := connect.SynSent{ISS: r.syn.Seq, Segment: seg}
	if r.syn.HasTS {
		c.FirstTSVal, c.LastTSVal = kernel.Known(r.syn.TSVal), kernel.Known(r.syn.TSVal)
	}
	d := connect.React(&c)
	var out []report.Evidence
	for _, a := range d.Trace {
		for _, rd := range a.Readings {
			out = append(out, evidence(rd, a.From, r.reply.Frame, r.syn.Frame))
		}
		if a.Answer == kernel.Yes {
			break
		}
	}
	return out
}

func resendWords(gap time.Duration) string {
	if gap < 200*time.Millisecond {
		return fmt.Sprintf("the SYN was repeated %.1f ms after the first: kernels from 5.7 on do that after a bad ACK", float64(gap.Microseconds())/1000)
	}
	return fmt.Sprintf("the SYN was repeated %.3f s after the first, at the pace of the retransmission timer", gap.Seconds())
}
