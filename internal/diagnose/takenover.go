package diagnose

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// takenOver asks why the opener could open from a port on which it should itself
// hold TIME_WAIT. It is asked once an attempt, where the server's side has no
// riddle of its own; the finding of the server's answer f may then be replaced.
func (q *asked) takenOver(f *finding) *finding {
	if q.i != 0 || q.r().kind != kernel.ReplySYNACK {
		return nil
	}
	own := q.e.mem.holdingsOf(q.p, q.es.Other(), q.firstSYN(), "client")
	if len(own) == 0 || own[0].kind != twTrue && own[0].kind != twOrphan {
		return nil
	}
	h := own[0]
	if age := q.elapsed(h.since); age > 65200*time.Millisecond {
		return nil // its own TIME_WAIT is over: nothing to ask
	}
	ss := q.takeOverStories(h)
	if f.verdict.cause != "no-time-wait" && !ss.takenOver() {
		return nil // the server's answer is the riddle here, and a SYN of any host may meet it
	}
	g := &finding{mem: q.e.mem, question: "port-taken-over", c: q.c, past: q.chain(), time: q.now(), frames: []uint64{q.r().syn.Frame}, q: q}
	g.asks = fmt.Sprintf("Why could the client open from the same port again in frame %d, %s after a close that left it in TIME_WAIT?", q.r().syn.Frame, seconds(q.elapsed(h.since)))
	g.verdict = ss.judge()
	g.stories = ss.list
	q.dress(g, "client")
	if f.verdict.cause == "no-time-wait" && ss.takenOver() {
		// The server's side has no riddle: it is told in this finding.
		f.question = "port-taken-over"
		f.asks, f.verdict, f.stories = g.asks, g.verdict, g.stories
		f.verdict.says += " The server held nothing, so it answered as to any SYN."
		f.settle, f.advice, f.fault, f.severity = g.settle, g.advice, g.fault, g.severity
		return nil
	}
	return g
}

// takenOver: the SYN bears the marks of a TIME_WAIT that was taken over.
func (ss *stories) takenOver() bool {
	for i := range ss.list {
		if s := &ss.list[i]; s.cause == "explicit-bind" {
			return s.standing()
		}
	}
	return false
}

// takeOverStories tries what can put a SYN on a four-tuple in its own TIME_WAIT.
func (q *asked) takeOverStories(h holding) *stories {
	ss := q.e.stories(8)
	syn := &q.r().syn
	tw := h.tw
	want := kernel.InheritedISN(tw.SndNxt)
	match := want.Known && syn.Seq == want.Num
	isnEv := report.Evidence{Says: fmt.Sprintf("the SYN's seq %s is the client's own old snd_nxt %s + 65537", syn.Seq, tw.SndNxt.Num), Answer: "yes", Frames: frameList(syn.Frame, q.p.Ends[q.es.Other()].FIN.Frame), Source: "net/ipv4/tcp_ipv4.c tcp_twsk_unique"}
	if !match {
		isnEv.Answer = "no"
		isnEv.Says = fmt.Sprintf("the SYN's seq %s is not the client's own old snd_nxt %s + 65537 = %s", syn.Seq, tw.SndNxt.Num, want.Num)
	}
	ecrEv := report.Evidence{Says: fmt.Sprintf("the SYN echoes TSecr %s, which a first SYN does only where it inherits a TIME_WAIT", syn.TSEcr), Answer: kernel.If(syn.HasTS && syn.TSEcr.Uint32() != 0).String(), Frames: frameList(syn.Frame), Source: "net/ipv4/tcp_ipv4.c tcp_twsk_unique"}
	if !syn.HasTS || syn.TSEcr.Uint32() == 0 {
		ecrEv.Says = "the SYN echoes no timestamp, as a first SYN that inherits nothing"
	}
	for _, cause := range []string{"tw-reuse", "explicit-bind"} {
		q.tryTakeOver(ss, cause, h, match, isnEv, ecrEv)
	}
	q.otherOpeners(ss, h, match, isnEv)
	return ss
}

// tryTakeOver runs connect() over the kernels for one way of taking over.
func (q *asked) tryTakeOver(ss *stories, cause string, h holding, match bool, isnEv, ecrEv report.Evidence) {
	if !match {
		ss.add(ruledOut(cause, "A TIME_WAIT that is taken over hands its snd_nxt + 65537 on; this SYN does not carry it.", isnEv, ecrEv))
		return
	}
	var trace []kernel.Asked
	doubt := false
	fit, against := q.client.underEach(func(p kernel.Profile) bool {
		c := connect.TakeOver{Own: h.tw, Host: q.client.host(p, q.ipv6), Now: q.now(), Bound: kernel.If(cause == "explicit-bind"), Loopback: q.loopback()}
		if v, ok := q.client.facts.sysctl[kernel.FactTWReuse]; ok {
			c.Reuse = kernel.Known(v)
		} else {
			c.Reuse = kernel.Known(one)
		}
		d := connect.Decide(&c)
		trace = d.Trace
		o, ok := d.Sure()
		doubt = doubt || !ok
		for _, x := range d.Possible {
			if !x.Refused && x.Rule == cause {
				return true
			}
		}
		return ok && !o.Refused && o.Rule == cause
	})
	s := story{cause: cause, stands: report.StaysOpen, against: against, evidence: []report.Evidence{note(h.why, h.frames...), isnEv, ecrEv}}
	if cause == "tw-reuse" {
		if v, ok := q.client.facts.sysctl[kernel.FactTWReuse]; !ok {
			s.assumes = []Assumption{assumeReuse}
		} else if v.Uint32() != 0 {
			s.evidence = append(s.evidence, note(q.client.facts.says(kernel.FactTWReuse)))
		}
		s.says = "The client's connect() took its own TIME_WAIT over: tcp_tw_reuse allows that."
		s.verdict = "The client's connect() took over its own TIME_WAIT (tcp_tw_reuse): the SYN continues the old numbers."
	} else {
		s.assumes = []Assumption{assumeBind}
		s.says = "The client bound its port by hand, and such a socket takes its own TIME_WAIT over whatever tcp_tw_reuse says."
		s.verdict = "The client bound the port by hand and took over its own TIME_WAIT: the SYN continues the old numbers."
	}
	if cause == "tw-reuse" {
		for _, e := range traceEvidence(trace, cause, q.r().syn.Frame) {
			if strings.HasPrefix(e.Says, "ts_recent") {
				s.evidence = append(s.evidence, e) // the sysctl itself is assumed, or given
			}
		}
	}
	if len(fit) == 0 {
		ss.add(ruledOut(cause, "The kernel would not have taken it over: "+lastNo(trace)+".", s.evidence...))
		return
	}
	ss.add(s)
}

// otherOpeners adds what else lets a SYN leave from that port.
func (q *asked) otherOpeners(ss *stories, h holding, match bool, isnEv report.Evidence) {
	if match {
		for _, c := range []string{"nat-port-reuse", "own-time-wait-expired", "own-time-wait-killed", "other-stack"} {
			ss.add(ruledOut(c, "The SYN continues the old connection's numbers, which only its own TIME_WAIT hands on.", isnEv))
		}
		return
	}
	age := q.elapsed(h.since)
	switch {
	case age < 52400*time.Millisecond:
		ss.add(ruledOut("own-time-wait-expired", fmt.Sprintf("Only %.1f s have passed.", age.Seconds()), note(h.why, h.frames...)))
	default:
		ss.add(story{cause: "own-time-wait-expired", stands: report.StaysOpen, assumes: []Assumption{{"the client's timer ended early enough", 3, "52.5 to 65 s by kernel", false}},
			says: "The client's own TIME_WAIT may have run out.", verdict: fmt.Sprintf("The client's own TIME_WAIT had run out after %.1f s.", age.Seconds()), evidence: []report.Evidence{note(h.why, h.frames...)}})
	}
	nat := story{cause: "nat-port-reuse", stands: report.StaysOpen, assumes: []Assumption{assumeNAT}, says: "Another host behind the same address opened from that port."}
	nat.verdict = "Another host behind the client's address opened from the same port."
	notLinux := assumeNotLinux
	if ev, ok := q.otherClient(); ok {
		nat.assumes = []Assumption{{assumeNAT.Says, 1, assumeNAT.Why, false}}
		nat.evidence = append(nat.evidence, ev)
		notLinux.Cost += 4
	}
	ss.add(nat)
	ss.add(story{cause: "own-time-wait-killed", stands: report.StaysOpen, assumes: []Assumption{assumeOwnKill}, says: "The client's own TIME_WAIT may have been killed.", verdict: "The client's own TIME_WAIT was killed."})
	if q.client.known() {
		ss.add(ruledOut("other-stack", "The client's kernel was given.", note("given: kernel "+q.client.facts.profile.String())))
	} else {
		ss.add(story{cause: "other-stack", stands: report.StaysOpen, assumes: []Assumption{notLinux}, says: "The client may not be Linux, or sends its SYNs by itself.", verdict: "The client is not Linux."})
	}
}

// otherClient looks for signs that the SYN comes from another host.
func (q *asked) otherClient() (report.Evidence, bool) {
	_, p := q.old()
	syn := &q.r().syn
	if p.TTL != 0 && syn.TTL != 0 && p.TTL != syn.TTL {
		return note(fmt.Sprintf("the SYN has TTL %d, the old connection's segments had %d", syn.TTL, p.TTL), syn.Frame), true
	}
	if p.HasTS && syn.HasTS && p.Last.Seen() {
		a := flow.TSSample{TSVal: p.TSVal, Point: p.Last.Point}
		b := flow.TSSample{TSVal: syn.TSVal, Point: syn.Point()}
		if el := b.Since(a.Point); el > 0 && el < 10*time.Minute && !oneLine(a, b, el) {
			return note(fmt.Sprintf("its TSval %s does not go on from %s", syn.TSVal, p.TSVal), syn.Frame, p.Last.Frame), true
		}
	}
	return report.Evidence{}, false
}

func (q *asked) loopback() bool {
	for _, e := range q.c.Ends {
		a := e.Addr.Netip()
		if a.IsLoopback() {
			return true
		}
	}
	return false
}

func traceEvidence(trace []kernel.Asked, rule string, frame uint64) []report.Evidence {
	var out []report.Evidence
	for _, a := range trace {
		if a.Rule == rule {
			for _, r := range a.Readings {
				out = append(out, evidence(r, a.From, frame))
			}
		}
	}
	return out
}

// lastNo words the reading that kept the last rules from firing.
func lastNo(trace []kernel.Asked) string {
	out := "no rule lets it"
	for _, a := range trace {
		for _, r := range a.Readings {
			if r.Answer == kernel.No && a.Rule == "tw-reuse" || r.Answer == kernel.Yes && a.Rule == "no-timestamps" {
				out = r.Because()
			}
		}
	}
	return out
}
