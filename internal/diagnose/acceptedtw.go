package diagnose

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

type seqNum = seq.Num

// acceptance is how a TIME_WAIT answers the SYN under one kernel.
type acceptance struct {
	held     bool // TIME_WAIT is still there
	accepted kernel.Answer
	isnFits  kernel.Answer  // the ISN is what this kernel then sends
	asked    *timewait.Case // what the model was asked; nil where it is gone
	st       state
	// The two tests, read where the course is told of.
	bySeq, byTS kernel.Reading
}

// accept runs one TIME_WAIT under one kernel.
func (q *asked) accept(h *holding, p kernel.Profile, sv survival) acceptance {
	host := q.server.host(p, q.ipv6)
	a := acceptance{st: q.replayAs(h, &host, sv)}
	_, longest := timewait.Lifetime(p)
	a.held = a.st.kind == twTrue && a.st.youngest(q.now()) <= longest
	if !a.held {
		return a
	}
	c := q.e.mem.tws.one()
	*c = timewait.Case{Socket: a.st.tw, Host: host, Segment: segmentOf(&q.r().syn), Now: q.now()}
	a.asked, a.accepted = c, q.acceptedAnswer(c)
	switch keeps := host.KeepsISN().Answer; {
	case keeps == kernel.Yes:
		a.isnFits = q.isn.inherits
	case q.isn.inherits == kernel.Yes && keeps == kernel.No:
		a.isnFits = kernel.No
	case keeps == kernel.No:
		a.isnFits = kernel.Yes
	}
	return a
}

// acceptedAnswer asks the model, and once more with the other ts_recent where the
// capture leaves two.
func (q *asked) acceptedAnswer(c *timewait.Case) kernel.Answer {
	ask := func(c *timewait.Case) kernel.Answer {
		out := timewait.AppendOutcomes(q.e.mem.outcomes[:0], c)
		q.e.mem.outcomes = out
		if len(out) != 1 {
			return kernel.Unknown
		}
		return kernel.If(out[0].Rule == "syn-accepted")
	}
	a := ask(c)
	if other := q.numbers().tsOther; other.Known && other.Num != c.TSRecent.Num {
		d := q.e.mem.tws.one()
		*d = *c
		d.TSRecent = other
		if ask(d) != a {
			return kernel.Unknown
		}
	}
	return a
}

// acceptedInTimeWait adds time-wait-sequence and time-wait-timestamp: the SYN was
// accepted while TIME_WAIT stood.
func (q *asked) acceptedInTimeWait(ss *stories) {
	tried := false
	for _, h := range q.holds {
		if h.kind != twTrue && h.kind != twOrphan {
			continue
		}
		for _, sv := range q.survivals(&h) {
			if q.tryTimeWait(ss, h, sv) {
				tried = true
			}
		}
	}
	if tried {
		return
	}
	why, frames := "The server held no TIME_WAIT: "+q.holds[0].why+".", q.holds[0].frames
	if k := q.holds[0].kind; k == twTrue || k == twOrphan {
		why = "TIME_WAIT was over, or had been ended, when the SYN came."
	}
	for _, cause := range []string{"time-wait-sequence", "time-wait-timestamp"} {
		ss.add(ruledOut(cause, why, noteNo(why, frames...)))
	}
}

// tryTimeWait runs the story over every kernel; false where TIME_WAIT was not there
// under any.
func (q *asked) tryTimeWait(ss *stories, h holding, sv survival) bool {
	var sample acceptance
	held, unsure, wrongISN := false, false, 0
	fit, against := q.server.under(func(p kernel.Profile) bool {
		a := q.accept(&h, p, sv)
		if !a.held {
			return false
		}
		if !held {
			sample, held = a, true
		}
		if a.accepted == kernel.Yes && a.isnFits == kernel.No {
			wrongISN++
		}
		unsure = unsure || a.accepted == kernel.Unknown
		return a.accepted != kernel.No && a.isnFits != kernel.No
	})
	if !held {
		return false
	}
	if len(fit) > 0 {
		sample = q.accept(&h, q.server.likeliest(fit), sv)
	}
	if c := sample.asked; c != nil {
		sample.bySeq, sample.byTS = timewait.SeqAfter(c), timewait.TimestampNewer(c)
	}
	q.addTimeWait(ss, h, &sample, fit, against, unsure, wrongISN, sv)
	return true
}

func (q *asked) addTimeWait(ss *stories, h holding, a *acceptance, fit []kernel.Profile, against int, unsure bool, wrongISN int, sv survival) {
	p := q.p.Ends[q.es.Other()]
	seqFrames := []uint64{q.r().syn.Frame, p.FIN.Frame}
	bySeq := evidence(a.bySeq, "net/ipv4/tcp_minisocks.c tcp_timewait_state_process", seqFrames...)
	byTS := evidence(a.byTS, "net/ipv4/tcp_minisocks.c tcp_timewait_state_process", q.r().syn.Frame, q.numbers().tsFrame)
	age := a.st.heldFor(q.now())
	s := story{assumes: append(sv.assumes(), h.assumes...), against: against, kernels: fit,
		evidence: append(q.e.mem.evidence.take(6), note(h.why, h.frames...), bySeq)}
	s.evidence = append(s.evidence, a.st.perhapsRearmed()...)
	if byTS.Says != "" && q.r().syn.HasTS {
		s.evidence = append(s.evidence, byTS)
	}
	s.evidence = append(s.evidence, q.inheritedEvidence(), q.worth())
	if a.st.sawSYN {
		s.assumes = append([]Assumption{assumeEarlierLost}, s.assumes...)
		q.droppedEarlier(ss, h)
	}
	for _, cause := range []string{"time-wait-sequence", "time-wait-timestamp"} {
		x := s
		x.cause, x.evidence = cause, slices.Clip(s.evidence)
		if bad, ev := q.notThisTest(cause, a, bySeq, byTS); bad != "" {
			ss.add(ruledOut(cause, bad, ev...))
			continue
		}
		if len(fit) == 0 {
			ss.add(ruledOut(cause, q.timeWaitRefuted(wrongISN), q.inheritedEvidence(), q.worth()))
			continue
		}
		x.says, x.verdict = q.timeWaitWords(cause, a, age)
		q.finishTimeWait(ss, x, a, unsure)
	}
}

// droppedEarlier: an earlier SYN that TIME_WAIT would have let in got no answer, so
// that a full accept queue may have swallowed it, and TIME_WAIT with it.
func (q *asked) droppedEarlier(ss *stories, h holding) {
	fit, against := q.server.under(func(p kernel.Profile) bool { return p.Has(&kernel.DropsOnFullQueue).Answer != kernel.No })
	if len(fit) == 0 {
		return
	}
	ss.add(q.fresh(story{cause: "accept-queue-full-after-time-wait", kernels: fit, against: against, assumes: append([]Assumption{assumeQueueFull}, h.assumes...),
		says:    "An earlier SYN ended TIME_WAIT and was dropped by a full accept queue; this one met only the listener.",
		verdict: "An earlier SYN had ended TIME_WAIT and was dropped by the listener's full accept queue; this one met only the listener."}))
}

// finishTimeWait weighs a course in TIME_WAIT by its ISN and adds it.
func (q *asked) finishTimeWait(ss *stories, x story, a *acceptance, unsure bool) {
	x.stands = report.StaysOpen
	x.proven = q.isn.inherits == kernel.Yes && len(x.assumes) == 0 && !unsure && !q.omitted()
	if q.isn.inherits != kernel.Yes {
		x.evidence = append(x.evidence, q.lineEvidence())
		if q.isn.onLine == kernel.No {
			as, ev := q.cookieSign()
			x.assumes = append(as, x.assumes...)
			x.evidence = append(x.evidence, ev...)
		}
		x.assumes = append(x.assumes, q.mismatch(x.kernels)...)
		x = q.sameClock(x)
	}
	if q.behindBox(a) {
		x.assumes = append(x.assumes, assumeNoRewrite)
		x.proven = false
	}
	if unsure {
		x.assumes = append(x.assumes, Assumption{"its numbers are what the story needs", 4, "a frame that shows them is missing", true})
	}
	ss.add(x)
}

// cookieSign tells what an ISN off the clock line must assume: that the SYN-ACK is a cookie, as far
// as its form, its timestamp and the numbers of the one before let it be; else that the clock was
// set.
func (q *asked) cookieSign() ([]Assumption, []report.Evidence) {
	if q.cookie == nil {
		as, ev := q.readCookie()
		q.cookie = &cookieAnswer{slices.Clip(as), slices.Clip(ev)}
	}
	return q.cookie.assumes, q.cookie.evidence
}

// cookieAnswer is what cookieSign found.
type cookieAnswer struct {
	assumes  []Assumption
	evidence []report.Evidence
}

func (q *asked) readCookie() ([]Assumption, []report.Evidence) {
	e, _ := q.old()
	l, o := &q.c.Ends[flow.Listener], &q.c.Ends[flow.Opener]
	if ev, ok := q.sameSecret(); ok {
		return nil, ev
	}
	as := assumeCookie
	if e.WScaleOffered && o.WScaleOffered && l.ISN.Seen() && !l.WScaleOffered && !l.TSOffered {
		as.Cost = 1
		return []Assumption{as}, []report.Evidence{note("the SYN-ACK lacks the window scale that the SYN offered and that this listener granted before, as a cookie does", l.ISN.Frame, e.ISN.Frame)}
	}
	h, ok := q.e.mem.handshakeOf(q.c)
	if !ok {
		return []Assumption{as}, nil
	}
	x := looksLikeCookie(q.server.kernels, &h)
	switch x.may {
	case kernel.No:
		return []Assumption{assumeClockStep}, x.evidence
	case kernel.Yes:
		as.Cost -= cookieBits
	case kernel.Unknown:
	}
	return []Assumption{as}, x.evidence
}

// mismatch turns a sign that speaks against the only kernel left into an
// assumption.
func (q *asked) mismatch(fit []kernel.Profile) []Assumption {
	if !q.server.known() || len(fit) != 1 {
		return nil
	}
	var out []Assumption
	for _, h := range q.server.against(fit[0]) {
		if h.b == &kernel.LargeFirstWindow {
			out = append(out, Assumption{fmt.Sprintf("the first window was changed by a sysctl (tcp_rmem): %s, and the kernel was given as %s", h.says(), fit[0]), assumeRemotely.Cost, assumeRemotely.Why, false})
			continue
		}
		out = append(out, Assumption{fmt.Sprintf("what speaks for another kernel misleads: %s, and the kernel was given as %s", h.says(), fit[0]), 8, "a given fact outweighs a hint", false})
	}
	return out
}

// notThisTest tells why a cause is not the test that let the SYN in.
func (q *asked) notThisTest(cause string, a *acceptance, bySeq, byTS report.Evidence) (string, []report.Evidence) {
	if cause == "time-wait-sequence" {
		if a.bySeq.Answer == kernel.No {
			return "The SYN's sequence number is not after rcv_nxt: " + a.bySeq.Because() + ".", []report.Evidence{bySeq}
		}
		return "", nil
	}
	switch {
	case a.bySeq.Answer == kernel.Yes:
		return "The sequence number alone lets the SYN in; the kernel tests it first.", []report.Evidence{bySeq}
	case a.byTS.Answer == kernel.No:
		return "No newer timestamp: " + a.byTS.Because() + ".", []report.Evidence{byTS}
	}
	return "", nil
}

func (q *asked) timeWaitRefuted(wrongISN int) string {
	if wrongISN > 0 {
		return fmt.Sprintf("A SYN accepted in TIME_WAIT would have been answered with ISN %s on %s; it was %s.", q.isn.want.Num, q.server.words(), q.isn.isn)
	}
	return "The SYN is acceptable to TIME_WAIT by neither test."
}

// words names the kernels that the host may run.
func (v *hostView) words() string {
	if v.known() {
		return "kernel " + v.facts.profile.String()
	}
	return "the kernels that keep it"
}

func (q *asked) timeWaitWords(cause string, a *acceptance, age time.Duration) (says, verdict string) {
	syn := &q.r().syn
	newer := ""
	if a.byTS.Answer == kernel.Yes {
		newer = ", and its TSval is newer too"
	}
	why := "its seq " + syn.Seq.String() + " is after rcv_nxt " + a.st.tw.RcvNxt.String() + newer
	if cause == "time-wait-timestamp" {
		why = "its TSval " + syn.TSVal.String() + " is newer than ts_recent " + a.st.tw.TSRecent.String() + ", though its seq is not after rcv_nxt"
	}
	says = fmt.Sprintf("The server accepted the SYN in TIME_WAIT, %.3f s after it was armed: %s.", age.Seconds(), why)
	proof := "The SYN-ACK's ISN, the old snd_nxt + 65537, proves it."
	if q.isn.inherits != kernel.Yes {
		proof = "Some kernels lose the ISN that would prove it: " + q.losing() + "."
	}
	return says, "The server still held TIME_WAIT and let the SYN replace it: " + why + ". " + proof
}

// worth says what the comparison with snd_nxt + 65537 is worth.
func (q *asked) worth() report.Evidence {
	b := keepsISN(q.ipv6)
	given := kernel.Unknown
	if q.server.known() {
		given = q.server.facts.profile.Has(b).Answer
	}
	ev := report.Evidence{Answer: "yes", Frames: frameList(q.isn.frame), Source: b.From}
	switch {
	case q.isn.inherits == kernel.Yes:
		ev.Says = "only a SYN accepted in TIME_WAIT gets that ISN (by chance 1 in 4294967296)"
	case given == kernel.Yes:
		ev.Says = fmt.Sprintf("kernel %s keeps the ISN that TIME_WAIT chooses: the SYN was not accepted in TIME_WAIT", q.server.facts.profile)
	case given == kernel.No:
		ev.Says = fmt.Sprintf("kernel %s loses the ISN that TIME_WAIT chooses: another ISN proves nothing", q.server.facts.profile)
	case q.server.known():
		ev.Says = fmt.Sprintf("whether kernel %s keeps the ISN that TIME_WAIT chooses is not known: the ISN proves nothing", q.server.facts.profile)
	default:
		ev.Says = q.e.keepersOf(q.ipv6).worth
	}
	return ev
}
