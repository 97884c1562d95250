package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

type seqNum = seq.Num

// under asks of every suspected kernel whether a story fits with it. It returns
// those with which it does, and what the hints say against the best of them in
// comparison with the best kernel of all.
func (v *hostView) under(fits func(kernel.Profile) bool) (fit []kernel.Profile, against int) {
	best, bestFit := -1, -1
	in := make([]bool, len(v.suspects))
	for _, g := range v.alike {
		ok := fits(v.suspects[g[0]].Profile)
		for _, i := range g {
			in[i] = ok
		}
	}
	for i, s := range v.suspects {
		if best < 0 || s.against < best {
			best = s.against
		}
		if !in[i] {
			continue
		}
		fit = append(fit, s.Profile)
		if bestFit < 0 || s.against < bestFit {
			bestFit = s.against
		}
	}
	return fit, max(bestFit-best, 0)
}

// likeliest returns the profile of a set that the hints like best.
func (v *hostView) likeliest(set []kernel.Profile) kernel.Profile {
	var out kernel.Profile
	best := -1
	for _, s := range v.suspects {
		for _, p := range set {
			if p == s.Profile && (best < 0 || s.against < best) {
				best, out = s.against, p
			}
		}
	}
	return out
}

// acceptance is how a TIME_WAIT answers the SYN under one kernel.
type acceptance struct {
	held     bool // TIME_WAIT is still there
	accepted kernel.Answer
	isnFits  kernel.Answer // the ISN is what this kernel then sends
	isn      kernel.ISNKind
	bySeq    kernel.Reading
	byTS     kernel.Reading
	st       state
}

// accept runs one TIME_WAIT under one kernel.
func (q *asked) accept(h holding, p kernel.Profile, rfc1337 kernel.Answer) acceptance {
	host := q.server.host(p, q.ipv6)
	if host.RFC1337 = q.server.facts.answer(kernel.FactRFC1337); host.RFC1337 == kernel.Unknown {
		host.RFC1337 = rfc1337
	}
	a := acceptance{st: q.replay(h, host)}
	_, longest := timewait.Lifetime(p)
	a.held = a.st.kind == twTrue && time.Duration(q.now()-a.st.tw.Armed) <= longest
	if !a.held {
		return a
	}
	c := timewait.Case{Socket: a.st.tw, Host: host, Segment: segmentOf(&q.r().syn), Now: q.now()}
	a.bySeq, a.byTS = timewait.SeqAfter(&c), timewait.TimestampNewer(&c)
	a.accepted = q.acceptedAnswer(&c)
	if o, ok := timewait.Decide(&c).Sure(); ok {
		a.isn = o.Reply.ISN
	}
	switch {
	case host.KeepsISN().Answer == kernel.Yes:
		a.isnFits = q.isn.inherits
	case q.isn.inherits == kernel.Yes && host.KeepsISN().Answer == kernel.No:
		a.isnFits = kernel.No
	case host.KeepsISN().Answer == kernel.No:
		a.isnFits = kernel.Yes
	}
	return a
}

// acceptedAnswer asks the model, and once more with the other ts_recent where the
// capture leaves two.
func (q *asked) acceptedAnswer(c *timewait.Case) kernel.Answer {
	ask := func(c *timewait.Case) kernel.Answer {
		o, ok := timewait.Decide(c).Sure()
		if !ok {
			return kernel.Unknown
		}
		return kernel.If(o.Rule == "syn-accepted")
	}
	a := ask(c)
	if other := numbersOf(q.p, q.es, q.firstSYN()).tsOther; other.Known && other.Num != c.TSRecent.Num {
		d := *c
		d.TSRecent = other
		if ask(&d) != a {
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
		for _, rfc := range []kernel.Answer{kernel.No, kernel.Yes} {
			if q.tryTimeWait(ss, h, rfc) {
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
func (q *asked) tryTimeWait(ss *stories, h holding, rfc1337 kernel.Answer) bool {
	var sample acceptance
	held, unsure, wrongISN := false, false, 0
	fit, against := q.server.under(func(p kernel.Profile) bool {
		a := q.accept(h, p, rfc1337)
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
		sample = q.accept(h, q.server.likeliest(fit), rfc1337)
	}
	if rfc1337 == kernel.Yes && !q.survivesOnly1337(h) {
		return true // no RST came by: the same as with tcp_rfc1337 = 0
	}
	q.addTimeWait(ss, h, sample, fit, against, unsure, wrongISN, rfc1337)
	return true
}

// survivesOnly1337: TIME_WAIT is there only because a RST was ignored.
func (q *asked) survivesOnly1337(h holding) bool {
	host := q.server.host(q.server.suspects[0].Profile, q.ipv6)
	if q.server.facts.answer(kernel.FactRFC1337) != kernel.Unknown {
		return false
	}
	return q.replay(h, host).kind == nothing
}

func (q *asked) addTimeWait(ss *stories, h holding, a acceptance, fit []kernel.Profile, against int, unsure bool, wrongISN int, rfc1337 kernel.Answer) {
	p := q.p.Ends[q.es.Other()]
	seqFrames := []uint64{q.r().syn.Frame, p.FIN.Frame}
	bySeq := evidence(a.bySeq, "net/ipv4/tcp_minisocks.c tcp_timewait_state_process", seqFrames...)
	byTS := evidence(a.byTS, "net/ipv4/tcp_minisocks.c tcp_timewait_state_process", q.r().syn.Frame, numbersOf(q.p, q.es, q.firstSYN()).tsFrame)
	age := time.Duration(q.now() - a.st.tw.Armed)
	s := story{assumes: h.assumes, against: against, kernels: fit,
		evidence: []report.Evidence{note(h.why, h.frames...), bySeq}}
	if a.byTS.Because() != "" && q.r().syn.HasTS {
		s.evidence = append(s.evidence, byTS)
	}
	s.evidence = append(s.evidence, q.inheritedEvidence(), q.worth())
	if rfc1337 == kernel.Yes {
		s.assumes = append([]Assumption{assumeRFC1337}, s.assumes...)
	}
	if a.st.sawSYN {
		s.assumes = append([]Assumption{assumeEarlierLost}, s.assumes...)
		q.droppedEarlier(ss, h)
	}
	for _, cause := range []string{"time-wait-sequence", "time-wait-timestamp"} {
		x := s
		x.cause = cause
		x.says, x.verdict = q.timeWaitWords(cause, a, age)
		if bad, ev := q.notThisTest(cause, a, bySeq, byTS); bad != "" {
			ss.add(ruledOut(cause, bad, ev...))
			continue
		}
		if len(fit) == 0 {
			ss.add(ruledOut(cause, q.timeWaitRefuted(wrongISN), q.inheritedEvidence(), q.worth()))
			continue
		}
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
func (q *asked) finishTimeWait(ss *stories, x story, a acceptance, unsure bool) {
	x.stands = report.StaysOpen
	x.proven = q.isn.inherits == kernel.Yes && len(x.assumes) == 0 && !unsure && !q.omitted()
	if q.isn.inherits != kernel.Yes {
		x.evidence = append(x.evidence, q.lineEvidence())
		if q.isn.onLine == kernel.No {
			as, ev := q.cookieSign()
			x.assumes = append([]Assumption{as}, x.assumes...)
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

// behindBox: which of the two tests let the SYN in depends on its numbers as the
// server saw them. A capture taken at the client's side cannot know them where a
// box in between may rewrite sequence numbers and either test would do with others.
func (q *asked) behindBox(a acceptance) bool {
	return a.byTS.Answer == kernel.Yes && q.atClient()
}

// atClient tells whether the capture was taken nearer to the client: the client
// answers much faster than the server, in the quickest of what was seen of both.
func (q *asked) atClient() bool {
	var server, client time.Duration
	quicker := func(have *time.Duration, d time.Duration) {
		if d > 0 && (*have == 0 || d < *have) {
			*have = d
		}
	}
	var syn, synack *flow.Frame
	for i := range q.c.Frames {
		f := &q.c.Frames[i]
		switch {
		case f.From == flow.Opener && isSYN(f):
			syn, synack = f, nil
		case f.From == flow.Listener && f.Flags.Has(synFlag) && syn != nil && synack == nil:
			synack = f
			quicker(&server, f.Point().Since(syn.Point()))
		case f.From == flow.Opener && synack != nil:
			quicker(&client, f.Point().Since(synack.Point()))
		}
	}
	for x := q.p; x != nil; x = x.Previous {
		o, l := &x.Ends[flow.Opener], &x.Ends[flow.Listener]
		if o.Endpoint != q.c.Ends[flow.Opener].Endpoint {
			continue
		}
		quicker(&client, l.SRTT)
		if o.ISN.Seen() && l.ISN.Seen() && !o.ISNImplied && !l.ISNImplied {
			quicker(&server, l.ISN.Since(o.ISN.Point))
		}
	}
	return server != 0 && client != 0 && 2*client < server
}

// cookieSign looks whether the SYN-ACK lacks options that the SYN offered and that
// the same listener granted before: a cookie without timestamps cannot keep them.
func (q *asked) cookieSign() (Assumption, []report.Evidence) {
	e, _ := q.old()
	l, o := &q.c.Ends[flow.Listener], &q.c.Ends[flow.Opener]
	if e.WScaleOffered && o.WScaleOffered && l.ISN.Seen() && !l.WScaleOffered && !l.TSOffered {
		as := assumeCookie
		as.Cost = 1
		return as, []report.Evidence{note("the SYN-ACK lacks the window scale that the SYN offered and that this listener granted before, as a cookie does", l.ISN.Frame, e.ISN.Frame)}
	}
	return assumeCookie, nil
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
			out = append(out, Assumption{fmt.Sprintf("the first window was changed by a sysctl (tcp_rmem): %s, and the kernel was given as %s", h.says, fit[0]), assumeRemotely.Cost, assumeRemotely.Why, false})
			continue
		}
		out = append(out, Assumption{fmt.Sprintf("what speaks for another kernel misleads: %s, and the kernel was given as %s", h.says, fit[0]), 8, "a given fact outweighs a hint", false})
	}
	return out
}

// notThisTest tells why a cause is not the test that let the SYN in.
func (q *asked) notThisTest(cause string, a acceptance, bySeq, byTS report.Evidence) (string, []report.Evidence) {
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

func (q *asked) timeWaitWords(cause string, a acceptance, age time.Duration) (says, verdict string) {
	syn := &q.r().syn
	why := fmt.Sprintf("its seq %s is after rcv_nxt %s", syn.Seq, a.st.tw.RcvNxt.Num)
	if cause == "time-wait-timestamp" {
		why = fmt.Sprintf("its TSval %s is newer than ts_recent %s, though its seq is not after rcv_nxt", syn.TSVal, a.st.tw.TSRecent.Num)
	} else if a.byTS.Answer == kernel.Yes {
		why += ", and its TSval is newer too"
	}
	says = fmt.Sprintf("The server accepted the SYN in TIME_WAIT, %.3f s after it was armed: %s.", age.Seconds(), why)
	verdict = "The server still held TIME_WAIT and let the SYN replace it: " + why + "."
	if q.isn.inherits == kernel.Yes {
		verdict += " The SYN-ACK's ISN, the old snd_nxt + 65537, proves it."
	} else {
		verdict += " Kernels from late 4.14.y to 6.6 lose the ISN that would prove it."
	}
	return says, verdict
}

// worth says what the comparison with snd_nxt + 65537 is worth.
func (q *asked) worth() report.Evidence {
	b := &kernel.KeepsISN
	if q.ipv6 {
		b = &kernel.KeepsISN6
	}
	var keep, lose []kernel.Profile
	for _, s := range q.server.suspects {
		switch s.Has(b).Answer {
		case kernel.Yes:
			keep = append(keep, s.Profile)
		case kernel.No:
			lose = append(lose, s.Profile)
		case kernel.Unknown:
		}
	}
	ev := report.Evidence{Answer: "yes", Frames: frameList(q.isn.frame), Source: b.From}
	switch {
	case q.isn.inherits == kernel.Yes:
		ev.Says = "only a SYN accepted in TIME_WAIT gets that ISN (by chance 1 in 4294967296)"
	case q.server.known() && len(keep) > 0:
		ev.Says = fmt.Sprintf("kernel %s keeps the ISN that TIME_WAIT chooses: the SYN was not accepted in TIME_WAIT", q.server.facts.profile)
	case q.server.known() && len(lose) > 0:
		ev.Says = fmt.Sprintf("kernel %s loses the ISN that TIME_WAIT chooses: another ISN proves nothing", q.server.facts.profile)
	case q.server.known():
		ev.Says = fmt.Sprintf("whether kernel %s keeps the ISN that TIME_WAIT chooses is not known: the ISN proves nothing", q.server.facts.profile)
	default:
		ev.Says = fmt.Sprintf("on kernels that keep the ISN (%s) the SYN was not accepted in TIME_WAIT; on those that lose it (%s) the ISN proves nothing; of the versions between it is not known", kernel.Words(keep), kernel.Words(lose))
	}
	return ev
}

// recycled adds tw-recycle: TIME_WAIT was gone after 3.5 RTO.
func (q *asked) recycled(ss *stories) {
	const source = "net/ipv4/tcp_minisocks.c tcp_time_wait (recycle_ok)"
	cause := "tw-recycle"
	for _, h := range q.holds {
		if h.kind != twTrue && h.kind != twOrphan {
			continue
		}
		e, _ := q.old()
		n := numbersOf(q.p, q.es, q.firstSYN())
		if n.hasTS == kernel.No {
			ss.add(ruledOut(cause, "Recycling needs timestamps, and the old connection had none.", report.Evidence{Says: "the old connection had no timestamps", Answer: "yes", Frames: frameList(e.ISN.Frame, q.p.First.Frame), Source: source}))
			continue
		}
		q.tryRecycle(ss, h, source)
	}
	if !ss.has(cause) {
		ss.add(ruledOut(cause, "There was no TIME_WAIT to recycle on the server's side.", noteNo(q.holds[0].why, q.holds[0].frames...)))
	}
}

func (q *asked) tryRecycle(ss *stories, h holding, source string) {
	cause := "tw-recycle"
	e, _ := q.old()
	fit, against := q.server.under(func(p kernel.Profile) bool { return p.Has(&kernel.HasRecycle).Answer != kernel.No })
	st := q.replay(h, q.server.host(q.server.likeliest(orAny(fit, q.server)), q.ipv6))
	age := q.elapsed(flow.Point{Frame: 1, Time: st.tw.Armed})
	rto, known := e.RTO()
	if !known {
		rto = time.Second
	}
	least, enough := 700*time.Millisecond, rto*7/2+200*time.Millisecond
	if rto*7/2 > 4*time.Second {
		enough = rto*7/2 + 7500*time.Millisecond // the 7.5 s slots of the old timer
	}
	timeEv := report.Evidence{Says: fmt.Sprintf("%.3f s passed; recycled after 3.5 RTO, about %.1f s here", age.Seconds(), (rto * 7 / 2).Seconds()), Answer: kernel.If(age > enough).String(), Frames: frameList(q.r().syn.Frame, h.since.Frame), Source: source}
	given := q.server.facts.answer(kernel.FactTWRecycle)
	switch {
	case given == kernel.No:
		ss.add(ruledOut(cause, "tcp_tw_recycle is off: "+q.server.facts.says(kernel.FactTWRecycle)+".", note(q.server.facts.says(kernel.FactTWRecycle))))
		return
	case len(fit) == 0:
		ss.add(ruledOut(cause, fmt.Sprintf("Kernel %s has no tcp_tw_recycle: it is gone since 4.12.", q.server.facts.profile), evidence(q.server.facts.profile.Has(&kernel.HasRecycle), kernel.HasRecycle.From)))
		return
	case st.kind == nothing:
		ss.add(ruledOut(cause, fmt.Sprintf("The RST in frame %d had already ended TIME_WAIT.", st.goneBy.Frame), note("it ended TIME_WAIT", st.goneBy.Frame)))
		return
	case len(st.rearmed) > 0:
		ss.add(ruledOut(cause, fmt.Sprintf("The segment in frame %d set TIME_WAIT back to the full 60 s.", st.rearmed[len(st.rearmed)-1]), note("it re-armed TIME_WAIT", st.rearmed...)))
		return
	case age < least:
		ss.add(ruledOut(cause, fmt.Sprintf("Only %.3f s passed, and recycling takes at least 3.5 times the smallest RTO, 0.7 s.", age.Seconds()), timeEv))
		return
	case q.stillThere(h):
		ss.add(ruledOut(cause, "TIME_WAIT still answered in this attempt, after more than 3.5 RTO.", timeEv))
		return
	}
	s := story{cause: cause, kernels: fit, against: against, assumes: h.assumes,
		says:     fmt.Sprintf("The server ran tcp_tw_recycle, so that TIME_WAIT was gone after 3.5 RTO, about %.1f s, and the SYN %.1f s after the close met only the listener.", (rto * 7 / 2).Seconds(), age.Seconds()),
		evidence: []report.Evidence{note(h.why, h.frames...), timeEv, q.inheritedEvidence()},
		verdict: fmt.Sprintf("The server had left TIME_WAIT early: with tcp_tw_recycle it is gone after 3.5 RTO (about %.1f s), and the SYN came %.1f s after the close.",
			(rto * 7 / 2).Seconds(), age.Seconds())}
	if age < enough {
		s.assumes = append([]Assumption{{"the RTO was short enough", 4, "the capture shows it only roughly", false}}, s.assumes...)
	}
	if given == kernel.Unknown {
		s.assumes = append([]Assumption{assumeRecycle}, s.assumes...)
	} else {
		s.evidence = append(s.evidence, note(q.server.facts.says(kernel.FactTWRecycle)))
	}
	s.assumes = append(s.assumes, q.mismatch(fit)...)
	s.proven = given == kernel.Yes && q.server.known() && q.server.facts.profile.Has(&kernel.HasRecycle).Answer == kernel.Yes
	s = q.fresh(s)
	ss.add(s)
}

// orAny returns the set, or every suspect where it is empty.
func orAny(set []kernel.Profile, v hostView) []kernel.Profile {
	if len(set) > 0 {
		return set
	}
	for _, s := range v.suspects {
		set = append(set, s.Profile)
	}
	return set
}

// stillThere: an earlier SYN of this attempt was answered by TIME_WAIT after
// recycling would have taken it away.
func (q *asked) stillThere(h holding) bool {
	for j := range q.i {
		r := &q.rounds[j]
		if r.kind == kernel.ReplyACK && r.syn.Point().Since(h.since) > 3500*time.Millisecond {
			return true
		}
	}
	return false
}
