package diagnose

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// silent tries every course in which the SYN gets nothing.
func (q *asked) silent() *stories {
	ss := q.e.stories(8)
	for _, h := range q.holds {
		q.limited(ss, h)
		q.dropped(ss, h)
	}
	for _, h := range q.holds {
		q.gated(ss, h)
	}
	further := 0
	for j := range q.rounds {
		if q.rounds[j].kind != kernel.NoReply {
			further = 8
		}
	}
	q.e.noAnswer(ss, q.c, &q.r().syn, q.rest(), further)
	q.queuesBehind(ss)
	if q.holds[0].kind == twTrue {
		if q.server.known() {
			ss.add(ruledOut("time-wait-drops", "The server's kernel was given, and Linux answers here.", note("given: kernel "+q.server.facts.profile.String())))
		} else {
			ss.add(story{cause: "time-wait-drops", stands: report.StaysOpen, assumes: []Assumption{assumeOtherStack}, says: "Another system's TIME_WAIT may drop such a SYN without an answer (FreeBSD, RFC 6191)."})
		}
	}
	return ss
}

// queuesBehind rules the listener's queues out where something stands before it.
func (q *asked) queuesBehind(ss *stories) {
	h := q.holds[0]
	if h.kind != alive {
		return
	}
	for i := range ss.list {
		if c := ss.list[i].cause; c == "accept-queue-full" || c == "syn-queue-full" {
			ss.list[i] = ruledOut(c, "The SYN does not reach the listener: "+h.why+".", noteNo(h.why, h.frames...))
		}
	}
	q.heldBack(ss, h)
}

// heldBack: the live socket met the SYN, and no challenge ACK left: by a kernel
// that sends none, or by the limit of the whole host, which other connections use
// up as well.
func (q *asked) heldBack(ss *stories, h holding) {
	const cause = "live-socket-silent"
	under := func(rule string, set func(*kernel.Host)) (fit []kernel.Profile, against int) {
		return q.server.under(func(p kernel.Profile) bool {
			host := q.server.host(p, q.ipv6)
			set(&host)
			c := live.Case{Socket: q.replay(&h, &host).live, Host: host, Segment: segmentOf(&q.r().syn), Now: q.now()}
			return slices.ContainsFunc(live.Decide(&c).Possible, func(o live.Outcome) bool { return o.Rule == rule })
		})
	}
	s := story{cause: cause, stands: report.StaysOpen, evidence: []report.Evidence{note(h.why, h.frames...)}, verdict: "The live socket met the SYN without answering."}
	silent, against := under("syn-unanswered", func(*kernel.Host) {})
	spent, spentAgainst := under("syn-spent", func(host *kernel.Host) { host.ChallengesSpent = kernel.Yes })
	switch set, setAgainst := under("syn-spent", func(host *kernel.Host) {
		host.ChallengesSpent, host.UsualChallengeLimit = kernel.Yes, false
	}); {
	case len(silent) > 0:
		s.assumes, s.against = []Assumption{assumeSilentKernel}, against
		s.says = "The live socket may have met the SYN without answering: 3.16.0 was seen to do that, and other kernels limit their challenge ACKs."
	case len(spent) > 0:
		s.assumes, s.against, s.kernels = []Assumption{assumeChallengesSpent}, spentAgainst, spent
		s.says = "The live socket may have met the SYN without answering, because the server had sent its challenge ACKs of that second."
	case len(set) > 0:
		s.assumes, s.against, s.kernels = []Assumption{assumeChallengesLimited}, setAgainst, set
		s.says = "The live socket may have met the SYN without answering, if somebody has limited the server's challenge ACKs."
	default:
		ss.add(ruledOut(cause, "The server answers such a SYN, whatever it has sent to others.", noteNo(h.why, h.frames...)))
		return
	}
	ss.add(s)
}

// rest returns the frames of this round behind its SYN, and those of later rounds.
func (q *asked) rest() []flow.Frame { return q.c.Frames[q.r().index+1:] }

// limited: an ACK was due, and the limiter held it back.
func (q *asked) limited(ss *stories, h holding) {
	const cause = "time-wait-ack-rate-limited"
	var x predicted
	var st state
	fit, against := q.server.underEach(func(p kernel.Profile) bool {
		host := q.server.host(p, q.ipv6)
		s := q.replay(&h, &host)
		y, ok := q.predict(&s, &host)
		if !ok || y.reply.Kind != kernel.NoReply || y.rule != "ack-limited" && y.rule != "fw2-ack-limited" && y.rule != "syn-limited" && y.rule != "req-repeat-limited" && y.rule != "req-ack-limited" {
			return false
		}
		if x.rule == "" || y.sure {
			x, st = y, s
		}
		return y.sure
	})
	if len(fit) == 0 {
		if h.kind == twTrue || h.kind == twOrphan {
			ss.add(ruledOut(cause, "No ACK was sent within the 500 ms before: the limiter would have let this one pass.", noteNo(h.why, h.frames...)))
		}
		return
	}
	s := story{cause: cause, stands: report.StaysOpen, kernels: fit, against: against, assumes: h.assumes,
		says:    "The server would have sent an ACK, but had sent one less than 500 ms before (tcp_invalid_ratelimit).",
		verdict: "The server held this answer back: it had acknowledged another SYN of this four-tuple less than 500 ms before, and sends at most one such ACK in that time (tcp_invalid_ratelimit)."}
	s.evidence = []report.Evidence{note(h.why, h.frames...)}
	for _, r := range x.readings {
		s.evidence = append(s.evidence, evidence(r, x.from, q.r().syn.Frame))
	}
	_ = st
	ss.add(s)
}

// dropped: the SYN ended TIME_WAIT, and the listener dropped it.
func (q *asked) dropped(ss *stories, h holding) {
	if h.kind != twTrue && h.kind != twOrphan {
		return
	}
	for _, full := range []kernel.Answer{kernel.No, kernel.Yes} {
		var x predicted
		fit, against := q.server.underEach(func(p kernel.Profile) bool {
			host := q.server.host(p, q.ipv6)
			host.AcceptQueueFull = full
			st := q.replay(&h, &host)
			if st.kind != twTrue || st.youngest(q.now()) > longest(p) {
				return false
			}
			y, ok := q.predict(&st, &host)
			if !ok || y.rule != "syn-fin" && y.rule != "syn-queue-full" {
				return false
			}
			x = y
			return true
		})
		if len(fit) == 0 {
			continue
		}
		s := story{cause: x.cause, stands: report.StaysOpen, kernels: fit, against: against, assumes: append([]Assumption{}, h.assumes...)}
		s.evidence = []report.Evidence{note(h.why, h.frames...)}
		for _, r := range x.readings {
			s.evidence = append(s.evidence, evidence(r, x.from, q.r().syn.Frame))
		}
		if x.rule == "syn-fin" {
			s.says = "The SYN carries FIN as well: it was accepted in TIME_WAIT, which ended that, and the listener then dropped it."
			s.verdict = "The SYN carries FIN as well: TIME_WAIT let it through and ended, and the listener then dropped it without an answer."
		} else {
			s.assumes = append(s.assumes, assumeQueueFull)
			s.says = "The SYN was accepted in TIME_WAIT, which ended that, and the listener with a full accept queue then dropped it."
			s.verdict = "TIME_WAIT let the SYN through and ended, and the listener's full accept queue then dropped it."
		}
		ss.add(s)
	}
}

func longest(p kernel.Profile) time.Duration {
	_, max := timewait.Lifetime(p)
	return max
}

// gated: tcp_tw_recycle's per-host gate. It is only reached where the four-tuple
// itself holds nothing any more.
func (q *asked) gated(ss *stories, h holding) {
	if h.kind == twTrue {
		// Recycled after 3.5 RTO, so that the SYN reaches the listener.
		if q.elapsed(h.since) < 700*time.Millisecond {
			ss.add(ruledOut("paws-per-host", "TIME_WAIT itself would have met the SYN: recycling takes at least 0.7 s.", noteNo(h.why, h.frames...)))
			return
		}
	} else if h.kind != nothing {
		return
	}
	q.e.gate(ss, q.server, q.c, &q.r().syn, q.ipv6)
}

// gate asks the listener's per-host gate.
func (e *Engine) gate(ss *stories, server hostView, c *flow.Connection, syn *flow.Frame, ipv6 bool) {
	const cause = "paws-per-host"
	srv, cli := &c.Ends[flow.Listener], &c.Ends[flow.Opener]
	g, from, ok := e.remembered(srv.Addr, cli.Addr, syn)
	if !ok {
		ss.add(ruledOut(cause, "The capture shows no connection with timestamps from that address that the server closed within 60 s."))
		return
	}
	given := server.facts.answer(kernel.FactTWRecycle)
	if given == kernel.No {
		ss.add(ruledOut(cause, "tcp_tw_recycle is off: "+server.facts.says(kernel.FactTWRecycle)+"."))
		return
	}
	var trace []kernel.Asked
	var rule string
	fit, against := server.underEach(func(p kernel.Profile) bool {
		host := server.host(p, ipv6)
		host.Recycle = kernel.Yes
		x := listen.Case{Host: host, Gate: g, Segment: segmentOf(syn), Now: syn.Time}
		d := listen.Decide(&x)
		if r := d.Possible[0].Rule; r != "gate-older" && r != "gate-no-timestamp" {
			if trace == nil {
				trace = d.Trace
			}
			return false
		}
		trace, rule = d.Trace, d.Possible[0].Rule
		return true
	})
	if len(fit) == 0 {
		ss.add(ruledOut(cause, "The gate of tcp_tw_recycle would have let this SYN pass.", gateEvidence(trace, syn.Frame, from)...))
		return
	}
	s := story{cause: cause, stands: report.StaysOpen, kernels: fit, against: against, evidence: gateEvidence(trace, syn.Frame, from)}
	s.says = "The server runs tcp_tw_recycle and remembers a newer timestamp from this address, so it drops the SYN without a word."
	s.verdict = fmt.Sprintf("The server remembers, per address, the newest timestamp of the connections it closed (TSval %s), and with tcp_tw_recycle it drops this SYN, which is older, without a word: several hosts behind one address.", g.TS.Num)
	if rule == "gate-no-timestamp" {
		s.says = "The server runs tcp_tw_recycle and remembers timestamps from this address, so it drops a SYN without one."
		s.verdict = "With tcp_tw_recycle the server remembers that this address uses timestamps, and drops a SYN without one."
	}
	if given == kernel.Yes {
		s.evidence = append(s.evidence, note(server.facts.says(kernel.FactTWRecycle)))
	} else {
		s.assumes = []Assumption{assumeRecycle}
	}
	ss.add(s)
}

// remembered returns what the gate would hold at the time of the SYN.
func (e *Engine) remembered(server, client segment.Addr, syn *flow.Frame) (listen.Gate, uint64, bool) {
	var g listen.Gate
	var from uint64
	for _, c := range e.hosts.Closings(server, client) {
		if c.At.Time > syn.Time || syn.Time-c.At.Time > int64(listen.GateLength) {
			continue
		}
		if !g.TS.Known || c.TSVal.After(g.TS.Num) {
			g, from = listen.Gate{TS: kernel.Known(c.TSVal), Stored: c.At.Time}, c.At.Frame
		}
	}
	return g, from, g.TS.Known
}

func gateEvidence(trace []kernel.Asked, frames ...uint64) []report.Evidence {
	var out []report.Evidence
	for _, a := range trace {
		if a.Rule != "gate-older" && a.Rule != "gate-no-timestamp" {
			continue
		}
		for i, r := range a.Readings {
			if i >= 2 { // the sysctl and the family are assumptions, not evidence
				out = append(out, evidence(r, a.From, frames...))
			}
		}
	}
	return out
}

// repeatsOf counts how often a SYN was repeated by a timer.
func repeatsOf(syn *flow.Frame, rest []flow.Frame) int {
	n := 0
	for i := range rest {
		if f := &rest[i]; f.From == flow.Opener && isSYN(f) && f.Seq == syn.Seq && f.Time-syn.Time > int64(800*time.Millisecond) {
			n++
		}
	}
	return n
}

// endsTooSoon: the capture ends before an answer to the SYN could come.
func (e *Engine) endsTooSoon(syn *flow.Frame, rest []flow.Frame) bool {
	for i := range rest {
		if rest[i].From == flow.Opener {
			return false
		}
	}
	return e.capture.Last-syn.Time < int64(time.Second)
}

// noAnswer adds what can swallow any SYN, or hide its answer.
// further is what each of them costs beyond its own weight: other SYNs of the same
// four-tuple were answered, or something stands before the listener.
func (e *Engine) noAnswer(ss *stories, c *flow.Connection, syn *flow.Frame, rest []flow.Frame, further int) {
	missing := assumeNotCaptured
	dearer := func(a Assumption) []Assumption {
		a.Cost += further
		return []Assumption{a}
	}
	ev := []report.Evidence{}
	for i := range rest {
		f := &rest[i]
		if f.From == flow.Opener && f.Flags.Has(segment.RST) && !f.Flags.Has(segment.ACK) {
			missing.Cost, missing.Says = 0, "the answer is not in the capture"
			ev = append(ev, report.Evidence{Says: fmt.Sprintf("the client sent a RST with seq %s, as an opener does when an ACK with that number reaches it", f.Seq), Answer: "yes", Frames: frameList(f.Frame), Source: "net/ipv4/tcp_input.c tcp_rcv_synsent_state_process"})
			break
		}
		if f.From == flow.Opener && isSYN(f) {
			break
		}
	}
	if e.endsTooSoon(syn, rest) {
		missing = assumeEndsTooSoon
	} else if e.capture.Misses && missing.Cost > 4 {
		missing.Cost = 4
	}
	if n := repeatsOf(syn, rest); n > 0 && missing.Cost > 0 {
		ss.add(ruledOut("not-captured", "The client repeats its SYN: had an answer come, captured or not, it would not.", noteNo(fmt.Sprintf("the SYN comes again %s", times(n)), syn.Frame)))
	} else {
		ss.add(story{cause: "not-captured", stands: report.StaysOpen, assumes: []Assumption{missing}, evidence: ev,
			says: "The answer may have been sent without being captured.", verdict: "The answer is not in the capture."})
	}
	ss.add(story{cause: "filtered", stands: report.StaysOpen, assumes: dearer(assumeFiltered), says: "A box on the path may have dropped the SYN, or its answer.", verdict: "A box on the path dropped the SYN or its answer."})
	ss.add(story{cause: "accept-queue-full", stands: report.StaysOpen, assumes: dearer(assumeQueueFull), says: "The listener's accept queue may be full: its application does not take connections fast enough.", verdict: "The listener's accept queue is full."})
	ss.add(story{cause: "syn-queue-full", stands: report.StaysOpen, assumes: dearer(assumeSynQueue), says: "The listener's SYN queue may be full with cookies off.", verdict: "The listener's SYN queue is full and cookies are off."})
}
