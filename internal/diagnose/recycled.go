package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// recycled adds tw-recycle: TIME_WAIT was gone after 3.5 RTO.
func (q *asked) recycled(ss *stories) {
	const source = "net/ipv4/tcp_minisocks.c tcp_time_wait (recycle_ok)"
	cause := "tw-recycle"
	for _, h := range q.holds {
		if h.kind == twOrphan {
			ss.add(ruledOut(cause, "Recycling shortens TIME_WAIT; this end was still in FIN_WAIT2, whose time it does not shorten.", note(h.why, h.frames...)))
			continue
		}
		if h.kind != twTrue {
			continue
		}
		e, _ := q.old()
		n := q.numbers()
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
	fit, against := q.server.under(func(p kernel.Profile) bool { return recycles(p, q.ipv6) })
	host := q.server.host(q.server.likeliest(fit), q.ipv6)
	st := q.replay(&h, &host)
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
	s.proven = given == kernel.Yes && (!q.ipv6 || q.server.facts.profile.Has(&kernel.GateOnIPv6).Answer == kernel.Yes) && q.server.known() && q.server.facts.profile.Has(&kernel.HasRecycle).Answer == kernel.Yes
	s = q.fresh(s)
	ss.add(s)
}

// recycles: the kernel has tcp_tw_recycle for this family; the oldest remember no
// IPv6 peer, and so never recycle there (tcp_v6_remember_stamp).
func recycles(p kernel.Profile, ipv6 bool) bool {
	return p.Has(&kernel.HasRecycle).Answer != kernel.No && (!ipv6 || p.Has(&kernel.GateOnIPv6).Answer != kernel.No)
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
