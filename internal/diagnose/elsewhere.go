package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// elsewhere adds the courses in which the memory of the old connection is not in
// the host that answers, or was taken from it by hand. Only where something should
// have been remembered do they explain anything.
func (q *asked) elsewhere(ss *stories) {
	if len(q.holds) == 0 || q.holds[0].kind == nothing {
		return
	}
	h := q.holds[0]
	if q.explained(h) {
		q.otherBoot(ss)
		return
	}
	ss.add(q.sameBoot(story{cause: "destroyed", assumes: q.e.mem.assume(assumeDestroyed), says: "Somebody removed the socket on the server by hand."}))
	if h.kind == twTrue || h.kind == twOrphan {
		ss.add(q.sameBoot(story{cause: "tw-bucket-overflow", assumes: q.e.mem.assume(assumeBuckets),
			says: "The server had reached its limit on TIME_WAIT sockets and kept none.", evidence: []report.Evidence{note(h.why, h.frames...)}}))
		q.otherStack(ss)
		q.answeredInFront(ss)
	}
	q.otherBoot(ss)
}

// explained: a frame in the capture ended what was held, or its time was surely
// over, so that no hand and no limit is needed.
func (q *asked) explained(h holding) bool {
	all := q.server.each(func(p kernel.Profile) bool {
		host := q.server.host(p, q.ipv6)
		st := q.replay(&h, &host)
		return st.kind == nothing || st.kind == twTrue && st.youngest(q.now()) > longest(p)
	})
	return all == q.server.all()
}

// sameBoot finishes a course on the same host and boot, with a fresh ISN.
func (q *asked) sameBoot(s story) story {
	e, p := q.old()
	if s.cause == "tw-bucket-overflow" && e.FINAcked.Seen() && p.FIN.Seen() && e.FINAcked.Frame < p.FIN.Frame && e.RcvNxt.Seen() && e.RcvNxt.Num == p.FIN.Num {
		return ruledOut(s.cause, "The server acknowledged the client's FIN from FIN_WAIT2; over the limit it would have answered with a RST.",
			note("the ACK of the FIN", e.RcvNxt.Frame, p.FIN.Frame))
	}
	for j := range q.i {
		if r := &q.rounds[j]; r.kind == kernel.ReplyACK && s.cause == "tw-bucket-overflow" {
			return ruledOut(s.cause, "An earlier SYN was answered from TIME_WAIT, so there was one.", note("the ACK", r.reply.Frame))
		}
	}
	return q.fresh(s)
}

func (q *asked) otherStack(ss *stories) {
	if q.server.known() {
		ss.add(ruledOut("other-stack", fmt.Sprintf("The server's kernel was given: %s.", q.server.facts.profile), note("given: kernel "+q.server.facts.profile.String())))
		return
	}
	if q.isn.inherits == kernel.Yes {
		ss.add(ruledOut("other-stack", "The inherited ISN is Linux's.", q.inheritedEvidence()))
		return
	}
	s := q.fresh(story{cause: "other-stack", assumes: q.e.mem.assume(assumeOtherStack), says: "The server may not be Linux, or its vendor may have changed the length of TIME_WAIT."})
	ss.add(s)
}

// answeredInFront adds cookies and proxies.
func (q *asked) answeredInFront(ss *stories) {
	x := &q.isn
	for _, c := range []story{
		{cause: "syn-cookie", assumes: q.e.mem.assume(assumeCookie), says: "The listener answered with a SYN cookie, whose ISN is on no line."},
		{cause: "syn-proxy", assumes: q.e.mem.assume(assumeProxy), says: "A SYN proxy answered in the server's place."},
	} {
		switch {
		case x.inherits == kernel.Yes:
			ss.add(ruledOut(c.cause, "The ISN is the inherited one.", q.inheritedEvidence()))
		case x.onLine == kernel.Yes:
			ss.add(ruledOut(c.cause, "The ISN lies on the server's own clock line.", q.lineEvidence()))
		case c.cause == "syn-cookie":
			ss.add(ruledOut(c.cause, "A cookie is sent by the listener, and TIME_WAIT stands before it: that the SYN came so far needs another cause.", q.lineEvidence()))
		default:
			if ev, same, _ := q.timestampClock(c.cause); same {
				ss.add(ruledOut(c.cause, ev.Says+".", ev))
				continue
			}
			c.stands = report.StaysOpen
			c.evidence = append(c.evidence, q.lineEvidence())
			c.assumes = append([]Assumption{}, c.assumes...)
			if says, same := q.sameFirstSegment(); same {
				c.evidence = append(c.evidence, noteNo(says, q.isn.frame))
				c.assumes[0].Cost += margin
			}
			ss.add(c)
		}
	}
}

// sameFirstSegment: the SYN-ACK has window, MSS, scale and TTL of the one before,
// which another sender would have to hit by chance.
func (q *asked) sameFirstSegment() (string, bool) {
	e, _ := q.old()
	l := &q.c.Ends[flow.Listener]
	if !e.ISN.Seen() || e.ISNImplied || !l.ISN.Seen() || l.ISNImplied || q.es != flow.Listener {
		return "", false
	}
	same := e.FirstWindow == l.FirstWindow && e.MSS == l.MSS && e.WScaleOffered == l.WScaleOffered && e.WScale == l.WScale && e.TTL == l.TTL
	return fmt.Sprintf("the SYN-ACK has the same window %d, MSS %d, scale and TTL %d as the one before", l.FirstWindow, l.MSS, l.TTL), same
}

// otherBoot adds a restart and another host: both know nothing of the old
// connection, and have another secret for their ISNs.
func (q *asked) otherBoot(ss *stories) {
	x := &q.isn
	for _, c := range []story{
		{cause: "rebooted", assumes: q.e.mem.assume(assumeRebooted), says: "The server restarted and remembers nothing.",
			verdict: "The server restarted in between: it remembers nothing of the old connection, and neither its ISN nor its clock goes on."},
		{cause: "other-host", assumes: q.e.mem.assume(assumeOtherHost), says: "Another host answered under the server's address.",
			verdict: "Another host answered under the server's address: the SYN-ACK does not continue what the old one showed of itself."},
	} {
		switch {
		case x.inherits == kernel.Yes:
			ss.add(ruledOut(c.cause, "Only a host that knows the old snd_nxt sends this ISN.", q.inheritedEvidence()))
			continue
		case x.onLine == kernel.Yes:
			ss.add(ruledOut(c.cause, "The ISN continues the old one's clock line: the same host on the same boot.", q.lineEvidence()))
			continue
		}
		if ev, same := q.sameSecret(); same {
			ss.add(ruledOut(c.cause, "Both SYN-ACKs are cookies of one secret: the same host on the same boot.", ev...))
			continue
		}
		ev, against, cheaper := q.timestampClock(c.cause)
		if against {
			ss.add(ruledOut(c.cause, ev.Says+".", ev))
			continue
		}
		if ev.Says != "" {
			c.evidence = append(c.evidence, ev)
		}
		if cheaper > 0 {
			c.assumes = []Assumption{{c.assumes[0].Says, c.assumes[0].Cost - cheaper, c.assumes[0].Why, c.assumes[0].Unseen}}
		}
		if r := q.r().reply; r != nil && c.cause == "other-host" {
			if e, _ := q.old(); e.TTL != 0 && r.TTL != 0 && e.TTL != r.TTL {
				c.evidence = append(c.evidence, note(fmt.Sprintf("TTL %d, before it was %d", r.TTL, e.TTL), r.Frame))
				c.assumes = []Assumption{{c.assumes[0].Says, max(c.assumes[0].Cost-10, 2), c.assumes[0].Why, c.assumes[0].Unseen}}
			} else if says, same := q.sameFirstSegment(); same {
				c.evidence = append(c.evidence, noteNo(says, r.Frame))
				c.assumes = []Assumption{{c.assumes[0].Says, c.assumes[0].Cost + 10, c.assumes[0].Why, c.assumes[0].Unseen}}
			}
		}
		c.stands = report.StaysOpen
		c.evidence = append(c.evidence, q.lineEvidence())
		ss.add(c)
	}
}

// lastTSVal is the last timestamp that an end sent before a frame.
func lastTSVal(c *flow.Connection, s flow.Side, before uint64) (flow.TSSample, bool) {
	for i := len(c.Frames) - 1; i >= 0; i-- {
		if f := &c.Frames[i]; f.From == s && f.HasTS && f.Frame < before {
			return flow.TSSample{TSVal: f.TSVal, Point: f.Point()}, true
		}
	}
	e := &c.Ends[s]
	switch {
	case e.HasTSEcr && e.TSEcr.Frame < before:
		return flow.TSSample{TSVal: e.TSVal, Point: e.TSEcr.Point}, true
	case e.TSOffered && e.ISN.Seen():
		return flow.TSSample{TSVal: e.FirstTSVal, Point: e.ISN.Point}, true
	}
	return flow.TSSample{}, false
}

// timestampClock compares the SYN-ACK's TSval with the old connection's: a clock
// that goes on is the same host on the same boot.
func (q *asked) timestampClock(cause string) (ev report.Evidence, against bool, cheaper int) {
	if q.clock == nil {
		q.clock = q.readClock()
	}
	x := q.clock
	switch {
	case x.ev.Says == "" || x.goesOn:
		return x.ev, x.goesOn, 0
	case cause == "other-host" || x.back:
		return x.ev, false, 15
	}
	return x.ev, false, 5
}

// clockReading is what the SYN-ACK's TSval tells; its evidence is empty where it tells nothing.
type clockReading struct {
	ev           report.Evidence
	goesOn, back bool // back: it is before the old connection's
}

func (q *asked) readClock() *clockReading {
	r := q.r().reply
	a, ok := lastTSVal(q.p, q.es, q.firstSYN())
	if r == nil || !r.HasTS || !ok {
		return &clockReading{}
	}
	b := flow.TSSample{TSVal: r.TSVal, Point: r.Point()}
	elapsed := b.Since(a.Point)
	if elapsed < 0 || elapsed > time.Hour {
		return &clockReading{}
	}
	x := &clockReading{goesOn: oneLine(a, b, elapsed), back: r.TSVal.Before(a.TSVal)}
	format := "the server's TSval jumps from %s to %s in %.1f s"
	if x.goesOn {
		format = "the server's TSval goes on from %s to %s in %.1f s: the same clock"
	}
	x.ev = report.Evidence{Says: fmt.Sprintf(format, a.TSVal, r.TSVal, elapsed.Seconds()), Answer: "yes", Frames: frameList(a.Frame, r.Frame)}
	return x
}
