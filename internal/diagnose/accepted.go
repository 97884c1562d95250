package diagnose

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// accepted tries every course in which the SYN gets a SYN-ACK.
func (q *asked) accepted() *stories {
	ss := q.e.stories(24)
	for _, h := range q.holds {
		q.acceptedHolding(ss, h)
	}
	q.acceptedInTimeWait(ss)
	q.recycled(ss)
	q.elsewhere(ss)
	deny := []string{"no-time-wait", "closed-by-reset", "fin-wait2-reset", "fin-wait2-timeout"}
	if k := q.holds[0].kind; k == nothing || k == alive {
		deny = append(deny, "time-wait-expired", "time-wait-reset", "tw-bucket-overflow")
	}
	q.denyRest(ss, deny)
	if !ss.has("tw-reuse") {
		ss.add(ruledOut("tw-reuse", "tcp_tw_reuse concerns only the side that opens a connection; this end answered one.",
			report.Evidence{Says: "the SYN was sent by the other end", Answer: "yes", Frames: []uint64{q.r().syn.Frame}, Source: "net/ipv4/tcp_ipv4.c tcp_twsk_unique"}))
	}
	return ss
}

// acceptedHolding adds the courses in which what the end held is gone by the
// time of the SYN, so that a listener answers.
func (q *asked) acceptedHolding(ss *stories, h holding) {
	if h.kind == nothing {
		q.nothingHeld(ss, h)
		return
	}
	// Kernels may disagree on what the segments in between did.
	type way struct {
		kind kind
		rule string
	}
	var done []way
	var states []state
	q.server.each(func(p kernel.Profile) bool {
		host := q.server.host(p, q.ipv6)
		st := q.replay(&h, &host)
		if w := (way{st.kind, st.goneRule}); !slices.Contains(done, w) {
			done, states = append(done, w), append(states, st)
		}
		return true
	})
	for _, st := range states {
		switch st.kind {
		case nothing:
			q.killed(ss, h, st)
		case twTrue:
			q.expired(ss, h)
			q.killedUnseen(ss, h, "time-wait-reset")
		case twOrphan:
			q.orphanExpired(ss, h, st)
			q.killedUnseen(ss, h, "fin-wait2-reset")
		case alive:
			q.killedUnseen(ss, h, "closed-by-reset")
		}
	}
}

// endedBy tells the kernels with which the segments in between ended what was held by
// this rule.
func (q *asked) endedBy(h holding, rule string) (fit []kernel.Profile, against int) {
	return q.server.under(func(p kernel.Profile) bool {
		host := q.server.host(p, q.ipv6)
		return q.replay(&h, &host).goneRule == rule
	})
}

// fresh finishes a course that ends at a listener: the ISN must not be the
// inherited one, and should lie on the clock line.
func (q *asked) fresh(s story) story {
	x := &q.isn
	if x.inherits == kernel.Yes && (s.cause == "syn-fin-dropped" || s.cause == "accept-queue-full-after-time-wait") {
		return q.leftOver(s)
	}
	if x.inherits == kernel.Yes {
		return ruledOut(s.cause, "A listener would have drawn a fresh ISN; this one is the old snd_nxt + 65537.", q.inheritedEvidence())
	}
	s.stands = report.StaysOpen
	s.evidence = append(append(q.e.mem.evidence.take(len(s.evidence)+4), s.evidence...), q.lineEvidence()) // with room for what follows
	if x.onLine == kernel.No {
		// A cookie has an ISN of its own; otherwise the clock must have been set.
		as, ev := q.cookieSign()
		s.assumes = slices.Concat(s.assumes, as)
		s.evidence = append(s.evidence, ev...)
		s.proven = false
	}
	switch s.cause {
	case "no-time-wait", "closed-by-reset":
		// These hold on whatever host answers now.
	default:
		s = q.sameClock(s)
	}
	return s
}

// leftOver: some kernels leave the ISN that TIME_WAIT chose for a SYN that the
// listener then dropped to the next SYN.
func (q *asked) leftOver(s story) story {
	var fit []kernel.Profile
	for _, p := range s.kernels {
		if p.Has(&kernel.LeavesISN).Answer != kernel.No {
			fit = append(fit, p)
		}
	}
	if len(fit) == 0 {
		return ruledOut(s.cause, "A listener would have drawn a fresh ISN; this one is the old snd_nxt + 65537.", q.inheritedEvidence())
	}
	s.stands, s.kernels, s.proven = report.StaysOpen, fit, false
	s.assumes = append(append([]Assumption{}, s.assumes...), Assumption{"the ISN was left over from that SYN", 8, "seen after SYN+FIN on kernels 6.12.43, 6.12.113, 6.16.12 and 6.18.15", false})
	s.evidence = append(s.evidence, q.inheritedEvidence(), report.Evidence{Says: "such kernels leave the ISN chosen for a dropped SYN to the next one", Answer: "yes", Source: kernel.LeavesISN.From})
	return s
}

// sameClock finishes a course on the host and boot of the old connection: its
// timestamp clock towards this four-tuple must go on.
func (q *asked) sameClock(s story) story {
	ev, goesOn, _ := q.timestampClock(s.cause)
	if ev.Says == "" || goesOn {
		return s
	}
	s.evidence = append(s.evidence, ev)
	s.assumes = append(slices.Clip(s.assumes), assumeTSJump)
	s.proven = false
	return s
}

// nothingHeld: the end held nothing, because it closed second or a RST ended it.
func (q *asked) nothingHeld(ss *stories, h holding) {
	e, p := q.old()
	switch {
	case h.closedSecond:
		ss.add(q.fresh(story{cause: "no-time-wait", assumes: h.assumes, proven: ackedBefore(q.p, q.es) || q.atServer(),
			says:     "The server closed second, so it went from LAST_ACK to CLOSED; TIME_WAIT was on the client's side.",
			evidence: []report.Evidence{note(h.why, h.frames...)},
			verdict:  closedSecondWords(e, p)}))
	case h.reset.Seen():
		q.closedByReset(ss, h)
	default:
		ss.add(q.fresh(story{cause: "no-time-wait", assumes: h.assumes, says: "The server held nothing of an older connection.",
			evidence: []report.Evidence{note(h.why, h.frames...)}, verdict: "The server held nothing of an older connection."}))
	}
}

func closedSecondWords(e, p *flow.End) string {
	if !e.FIN.Seen() || !p.FIN.Seen() {
		return "The server had nothing left of the old connection: the client closed first, so TIME_WAIT was the client's."
	}
	return fmt.Sprintf("The server had nothing left of the old connection: the client closed first (frame %d), the server second (frame %d), so TIME_WAIT was the client's.", p.FIN.Frame, e.FIN.Frame)
}

func (q *asked) closedByReset(ss *stories, h holding) {
	e, _ := q.old()
	rst := q.frameAt(h.reset.Frame)
	if h.byEnd && q.answersFINWithoutSocket(rst) {
		q.orphanWasOver(ss, h)
		buckets := assumeBucketsSign
		if h.reset.Since(e.FINAcked) >= time.Second {
			buckets = assumeBuckets // its time may simply have been over
		}
		ss.add(q.fresh(story{cause: "tw-bucket-overflow", assumes: append([]Assumption{buckets}, h.assumes...),
			says: "The server never entered TIME_WAIT: it answered the client's FIN with a RST, as a host without a socket does.",
			evidence: []report.Evidence{{Says: fmt.Sprintf("the client's FIN was answered by a RST with its ack number %s as seq; an orphan in FIN_WAIT2 would have acknowledged it", rst.Seq),
				Answer: "yes", Frames: frameList(h.reset.Frame, e.FIN.Frame), Source: "net/ipv4/tcp_minisocks.c tcp_time_wait (TCPTimeWaitOverflow)"}},
			verdict: fmt.Sprintf("The server kept no TIME_WAIT: its RST in frame %d shows that the socket was already gone when the client's FIN came, which the limit on TIME_WAIT sockets does.", h.reset.Frame)}))
		ss.add(ruledOut("closed-by-reset", "The RST did not end the connection: it shows that the server's socket was already gone.", note("it answers the client's FIN", h.reset.Frame)))
		return
	}
	who := "client"
	proven := true
	if h.byEnd {
		who = "server"
		// A RST without ACK answers a segment of the peer; what became of the
		// socket before is then not certain.
		proven = rst == nil || rst.Flags.Has(segment.ACK)
	}
	if q.closedBefore(ss, h, !h.byEnd) {
		proven = false
	}
	ss.add(q.fresh(story{cause: "closed-by-reset", assumes: h.assumes, proven: proven,
		says:     "The old connection ended by a RST, after which neither side keeps TIME_WAIT.",
		evidence: []report.Evidence{note(fmt.Sprintf("the %s sent a RST in frame %d", who, h.reset.Frame), h.reset.Frame)},
		verdict:  fmt.Sprintf("The old connection was ended by the %s's RST in frame %d; a RST leaves no TIME_WAIT, so the SYN met only the listener.", who, h.reset.Frame)}))
	if h.byEnd && !proven && e.FIN.Seen() {
		ss.add(q.fresh(story{cause: "tw-bucket-overflow", assumes: append([]Assumption{assumeBuckets}, h.assumes...),
			says: "The limit on TIME_WAIT sockets may have taken the orphan away before; the RST would look the same."}))
	}
}

// closedBefore: the capture begins in the middle, and the server's FIN may lie before
// it: then a RST of the client met TIME_WAIT rather than a live socket.
func (q *asked) closedBefore(ss *stories, h holding, byClient bool) bool {
	e, p := q.old()
	if !q.p.MidStream || e.FIN.Seen() {
		return false
	}
	if byClient {
		before := assumeFINBefore
		if !p.FIN.Seen() {
			before.Cost += 6
		}
		ss.add(q.fresh(story{cause: "time-wait-reset", assumes: append([]Assumption{before}, h.assumes...),
			says: "The server may have closed before the capture begins: the RST then ended its TIME_WAIT."}))
	}
	return true
}

// orphanWasOver: the orphan in FIN_WAIT2 may have run out before the client's FIN.
func (q *asked) orphanWasOver(ss *stories, h holding) {
	e, _ := q.old()
	waited := h.reset.Since(e.FINAcked)
	s := story{cause: "fin-wait2-timeout", assumes: append([]Assumption{}, h.assumes...),
		says:     fmt.Sprintf("The server's orphan in FIN_WAIT2 had run out: the client's FIN came only %s after the server's had been acknowledged.", seconds(waited)),
		evidence: []report.Evidence{note(fmt.Sprintf("%s passed in FIN_WAIT2; tcp_fin_timeout is 60 s by default", seconds(waited)), e.FINAcked.Frame, h.reset.Frame)}}
	s.verdict = s.says + " Nothing was left for the SYN to meet."
	switch {
	case waited < time.Second:
		ss.add(ruledOut(s.cause, fmt.Sprintf("Only %s passed in FIN_WAIT2, and tcp_fin_timeout counts whole seconds.", seconds(waited)), s.evidence[0]))
		return
	case waited < q.server.orphanBounds()[0]:
		s.assumes = append(s.assumes, assumeFinTimeout)
	}
	ss.add(q.fresh(s))
}

// answersFINWithoutSocket: a RST without ACK whose seq is the ack of the peer's
// pure FIN just before, though the end waited for just that FIN in FIN_WAIT2.
func (q *asked) answersFINWithoutSocket(rst *flow.Frame) bool {
	e, p := q.old()
	if rst == nil || rst.Flags.Has(segment.ACK) || !e.FIN.Seen() || !p.FIN.Seen() || !e.FINAcked.Seen() {
		return false
	}
	for i := range q.p.Frames {
		f := &q.p.Frames[i]
		if f.Frame >= rst.Frame || f.From == q.es || !f.Flags.Has(segment.FIN) || f.Frame <= e.FINAcked.Frame {
			continue
		}
		if f.Len == 0 && f.Ack == rst.Seq && e.RcvNxt.Seen() && f.Seq == e.RcvNxt.Num {
			return true
		}
	}
	return false
}

// frameAt finds a kept frame of the old connection or the attempt.
func (q *asked) frameAt(n uint64) *flow.Frame {
	for x := q.c; x != nil; x = x.Previous {
		for i := range x.Frames {
			if x.Frames[i].Frame == n {
				return &x.Frames[i]
			}
		}
	}
	return nil
}

// killed: a segment that is in the capture ended what was held.
func (q *asked) killed(ss *stories, h holding, st state) {
	f := st.goneBy
	cause, what := "closed-by-reset", "the connection"
	switch {
	case st.goneRule == "rst-kills":
		cause, what = "time-wait-reset", "TIME_WAIT"
	case st.goneRule == "fw2-rst":
		cause, what = "fin-wait2-reset", "FIN_WAIT2"
	case h.kind == alive && h.live.State == live.FinWait2:
		cause, what = "fin-wait2-reset", "FIN_WAIT2"
	case h.kind == alive && h.live.State == live.SynRecv:
		what = "the pending request"
	case st.goneRule == "syn-fin":
		cause, what = "syn-fin-dropped", "TIME_WAIT"
	case st.goneRule == "fw2-syn":
		cause, what = "fin-wait2-orphan", "FIN_WAIT2"
	case st.goneRule == "syn-queue-full":
		cause, what = "accept-queue-full-after-time-wait", "TIME_WAIT"
	}
	rst := f.Flags.Has(segment.RST)
	s := story{cause: cause, assumes: h.assumes, proven: rst && f.Seq == h.expected() && !q.atClient()}
	s.kernels, s.against = q.endedBy(h, st.goneRule)
	s.says = fmt.Sprintf("The segment in frame %d ended %s, so the SYN met only the listener.", f.Frame, what)
	s.evidence = []report.Evidence{note(h.why, h.frames...)}
	if rst {
		s.evidence = append(s.evidence, report.Evidence{Says: fmt.Sprintf("the RST in frame %d has seq %s, and rcv_nxt is %s", f.Frame, f.Seq, h.expected()), Answer: "yes", Frames: []uint64{f.Frame}, Source: "net/ipv4/tcp_minisocks.c tcp_timewait_state_process"})
		s.verdict = fmt.Sprintf("The client's RST in frame %d ended %s (its seq %s is rcv_nxt), so the SYN met only the listener.", f.Frame, what, f.Seq)
		if f.Seq != h.expected() {
			s.verdict = fmt.Sprintf("The client's RST in frame %d, seq %s within the window at %s, ended %s, so the SYN met only the listener.", f.Frame, f.Seq, h.expected(), what)
		}
		if cause == "time-wait-reset" && q.rescued(f) {
			s.verdict = fmt.Sprintf("The client's RST in frame %d answered the server's ACK and ended TIME_WAIT (its seq %s is rcv_nxt; tcp_rfc1337 is 0), so that this SYN met only the listener: the rescue dance SYN, ACK, RST, SYN.", f.Frame, f.Seq)
		}
	} else {
		s.verdict = fmt.Sprintf("The segment in frame %d (%s) had ended %s, so this SYN met only the listener.", f.Frame, f.Flags, what)
	}
	if rst {
		s.says = s.verdict
	}
	if cause == "closed-by-reset" && q.closedBefore(ss, h, rst) {
		s.proven = false
	}
	// With tcp_rfc1337 = 1 TIME_WAIT would have survived; that is tried in
	// acceptedInTimeWait.
	ss.add(q.fresh(s))
	if rst && cause == "fin-wait2-reset" {
		h.assumes = append([]Assumption{{"FIN_WAIT2 was over before that RST", 6, "the RST would then have met nothing", false}}, h.assumes...)
		q.orphanExpired(ss, h, st)
	}
}

// rescued: the RST is the opener's answer to a challenge in this attempt.
func (q *asked) rescued(rst *flow.Frame) bool {
	for i := range q.c.Frames {
		if q.c.Frames[i].Frame == rst.Frame {
			return true
		}
	}
	return false
}

// expected returns the rcv_nxt that a RST must carry.
func (h *holding) expected() seqNum {
	if h.kind == alive {
		return h.live.RcvNxt.Num
	}
	return h.tw.RcvNxt.Num
}

// killedUnseen: a RST ended it that is not in the capture.
func (q *asked) killedUnseen(ss *stories, h holding, cause string) {
	if cost(h.assumes) >= margin {
		return // two things that the capture does not show: not worth telling
	}
	as := append([]Assumption{assumeRSTUnseen}, h.assumes...)
	if f := q.r().openerRST; q.i > 0 && f == nil {
		// A SYN that was challenged is normally followed by the opener's RST.
		if prev := &q.rounds[q.i-1]; prev.kind == kernel.ReplyACK {
			as[0] = Assumption{"the RST by which the opener answers the ACK was sent and is not in the capture", 6, "every TCP sends it", true}
		}
	}
	ss.add(q.fresh(story{cause: cause, assumes: as,
		says:     "A RST may have ended what the server held; the capture shows none.",
		evidence: []report.Evidence{note(h.why, h.frames...), noteNo("no such RST is in the capture")},
		verdict:  "A RST that the capture does not show must have ended what the server held."}))
}

// expired: the 60 s were over.
func (q *asked) expired(ss *stories, h holding) {
	s := story{cause: "time-wait-expired", assumes: h.assumes, verdict: ""}
	var st state
	sure := true
	var lo, hi time.Duration
	fit, against := q.server.under(func(p kernel.Profile) bool {
		host := q.server.host(p, q.ipv6)
		x := q.replay(&h, &host)
		if x.kind != twTrue {
			return false
		}
		min, max := timewait.Lifetime(p)
		if st.kind != twTrue {
			st = x
		}
		lo, hi = minDuration(lo, min), max2(hi, max)
		if x.oldest(q.now()) < min {
			return false
		}
		sure = sure && x.youngest(q.now()) > max
		return true
	})
	if st.kind != twTrue {
		return
	}
	age := st.oldest(q.now())
	ev := report.Evidence{Says: fmt.Sprintf("%.1f s since TIME_WAIT was last armed; it lasts %s", age.Seconds(), span(lo, hi)), Frames: frameList(append([]uint64{q.r().syn.Frame, h.since.Frame}, st.rearmed...)...), Source: "net/ipv4/inet_timewait_sock.c"}
	if len(fit) == 0 {
		ev.Answer = "no"
		ss.add(ruledOut(s.cause, fmt.Sprintf("Only %.1f s have passed, and TIME_WAIT lasts at least %.1f s.", age.Seconds(), lo.Seconds()+0.1), ev))
		return
	}
	ev.Answer = "yes"
	if !sure {
		ev.Answer = "unknown"
		s.assumes = append([]Assumption{{"the timer ended early enough", 3, "the length depends on kernel and HZ", false}}, s.assumes...)
	}
	// That nothing armed it anew is an absence, which counts only where the capture
	// misses nothing.
	s.kernels, s.against, s.proven = fit, against, sure && !q.e.capture.Misses && !q.omitted()
	s.says = fmt.Sprintf("TIME_WAIT was over: %.1f s had passed since it was last armed.", age.Seconds())
	s.verdict = fmt.Sprintf("TIME_WAIT had run out: %.1f s since it was last armed, and it lasts %s; the SYN met only the listener.", age.Seconds(), span(lo, hi))
	s.evidence = append([]report.Evidence{note(h.why, h.frames...), ev}, st.perhapsRearmed()...)
	ss.add(q.fresh(s))
}

func span(lo, hi time.Duration) string {
	return fmt.Sprintf("%.1f to %.1f s by kernel", lo.Seconds()+0.1, hi.Seconds())
}

func minDuration(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

func max2(a, b time.Duration) time.Duration {
	if b > a {
		return b
	}
	return a
}

// orphanExpired: FIN_WAIT2 ran out (tcp_fin_timeout, 60 s by default).
func (q *asked) orphanExpired(ss *stories, h holding, st state) {
	timeout, given := q.server.finTimeout()
	b := q.server.orphanBounds()
	age := q.elapsed(h.since)
	s := story{cause: "fin-wait2-timeout", assumes: h.assumes,
		says:     fmt.Sprintf("The client never closed, and the server's orphan in FIN_WAIT2 ran out: it had begun %.1f s before the SYN.", age.Seconds()),
		evidence: []report.Evidence{note(h.why, h.frames...), note(fmt.Sprintf("%.1f s passed in FIN_WAIT2; tcp_fin_timeout is %.0f s%s", age.Seconds(), timeout.Seconds(), map[bool]string{true: " (given)", false: " by default"}[given]), q.r().syn.Frame, h.since.Frame)},
		verdict:  fmt.Sprintf("The server's FIN_WAIT2 had run out: the client never sent its FIN, and %.1f s had passed.", age.Seconds())}
	switch {
	case age > b[1]:
		s.proven = given
	case age > b[0]:
		s.assumes = append(s.assumes, Assumption{"the timer ended early enough", 3, "the length depends on kernel and HZ", false})
	case given:
		ss.add(ruledOut(s.cause, fmt.Sprintf("Only %.1f s have passed of tcp_fin_timeout = %.0f s (given).", age.Seconds(), timeout.Seconds()), s.evidence[1]))
		return
	case age < time.Second:
		ss.add(ruledOut(s.cause, fmt.Sprintf("Only %.3f s have passed; tcp_fin_timeout counts whole seconds.", age.Seconds()), s.evidence[1]))
		return
	default:
		s.assumes = append(s.assumes, assumeFinTimeout)
	}
	ss.add(q.fresh(s))
}
