package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// passWithin is how long a box takes at most to pass a SYN on. No opener asks again so soon.
const passWithin = 200 * time.Millisecond

// rewroteSYN returns the attempt that c is too, as it was before a box gave its SYN another
// number: one four-tuple, seen on two interfaces of the box. nil if there is none.
func rewroteSYN(c *flow.Connection) *flow.Connection {
	p := c.Previous
	if p == nil || c.MidStream || p.MidStream || !c.SameOpener() || c.Relative != p.Relative {
		return nil
	}
	if answer := p.Ends[flow.Listener].ISN; answer.Seen() && answer.Frame < c.First.Frame {
		return nil
	}
	before, after := &p.Ends[flow.Opener], &c.Ends[flow.Opener]
	if d := after.ISN.Since(before.ISN.Point); !before.ISN.Seen() || !after.ISN.Seen() || d < 0 || d > passWithin || before.ISN.Num == after.ISN.Num || p.Ends[flow.Listener].RST.Seen() || before.RST.Seen() {
		return nil
	}
	same := before.TSOffered && after.TSOffered && before.FirstTSVal == after.FirstTSVal &&
		before.FirstWindow == after.FirstWindow && before.WScaleOffered == after.WScaleOffered && before.WScale == after.WScale
	if !same {
		return nil
	}
	return p
}

// pairRewritten takes the attempts whose SYN goes on under another number.
func (e *Engine) pairRewritten() {
	for _, c := range e.asked {
		if p := rewroteSYN(c); p != nil {
			e.taken[p.ID] = true
		}
	}
}

// rewrittenNumbers: the SYN is seen again at once on the same four-tuple with another number, and
// all else of it is the same.
func (e *Engine) rewrittenNumbers(c *flow.Connection) *finding {
	p := rewroteSYN(c)
	if p == nil {
		return nil
	}
	l := e.newLife(c)
	before, after := &p.Ends[flow.Opener], &c.Ends[flow.Opener]
	f := l.finding("connect-odd", flow.Listener, before.ISN.Point, before.ISN.Frame, after.ISN.Frame)
	f.past = append(f.past, p)
	f.asks = fmt.Sprintf("Why is the SYN of frame %d seen again in frame %d with another number?", before.ISN.Frame, after.ISN.Frame)
	what := fmt.Sprintf("ISN: %s, then %s", before.ISN.Num, after.ISN.Num)
	if before.MSS != after.MSS && before.MSS != 0 && after.MSS != 0 {
		what += fmt.Sprintf("; MSS: %d, then %d", before.MSS, after.MSS)
	}
	ev := []report.Evidence{
		note(fmt.Sprintf("the SYN is seen twice within %s, with another %s", micro(after.ISN.Since(before.ISN.Point)), what), before.ISN.Frame, after.ISN.Frame),
		note(fmt.Sprintf("both carry TSval %s, window and scale: one SYN, passed on", before.FirstTSVal), before.ISN.Frame, after.ISN.Frame)}
	for i := range c.Frames {
		if s := &c.Frames[i]; s.From == flow.Listener && has(s, segment.SYN|segment.ACK) && s.Ack == before.ISN.Num.Add(1) {
			ev = append(ev, note(fmt.Sprintf("the SYN-ACK is seen with the first number too: the box puts it back (ack %s)", s.Ack), c.Ends[flow.Listener].ISN.Frame, s.Frame))
			f.frames = append(f.frames, s.Frame)
			break
		}
	}
	proxy := assumeUnprovoked
	proxy.Cost += margin // a proxy opens a connection of its own, with its own clock
	ss := l.e.stories(8)
	ss.add(story{cause: "handshake-rewritten", stands: report.StaysOpen, evidence: ev,
		says:    "A box that the capture shows from both sides changes the numbers of the connection.",
		verdict: fmt.Sprintf("A box, which the capture shows from both sides, changes the handshake (%s). That is harmless as long as it changes every later segment alike, SACK blocks and RSTs too.", what)})
	ss.add(story{cause: "syn-proxy", stands: report.StaysOpen, assumes: []Assumption{proxy}, says: "A SYN proxy opens a connection of its own to the server."})
	return l.finish(f, ss)
}

// pairUntranslated finds the connections that are a few segments which a box let through without
// translating them: they carry the numbers of a connection that the client has with another
// address, and all that the client says is a RST.
func (e *Engine) pairUntranslated() {
	e.untranslated = nil
	var strays []*flow.Connection
	for _, c := range e.troubled {
		o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
		if c.MidStream && !c.Relative && o.RST.Seen() && !o.RcvNxt.Seen() && o.Bytes == 0 && l.SndNxt.Seen() && l.SndNxt.Frame < o.RST.Frame {
			strays = append(strays, c)
		}
	}
	if len(strays) == 0 {
		return
	}
	of := map[segment.Endpoint][]*flow.Connection{}
	for _, list := range [][]*flow.Connection{e.asked, e.troubled} {
		for _, c := range list {
			if o := &c.Ends[flow.Opener]; !c.Relative && o.SndNxt.Seen() && o.RcvNxt.Seen() && !o.RST.Seen() {
				of[o.Endpoint] = append(of[o.Endpoint], c)
			}
		}
	}
	e.untranslated = map[uint64]*flow.Connection{}
	for _, c := range strays {
		o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
		for _, x := range of[o.Endpoint] {
			xo, xl := &x.Ends[flow.Opener], &x.Ends[flow.Listener]
			ahead := l.SndNxt.Num.Sub(xl.SndNxt.Num)
			if xl.Endpoint != l.Endpoint && xl.SndNxt.Seen() && o.RST.Num == xo.SndNxt.Num && ahead > -(1<<20) && ahead < 1<<20 &&
				c.First.Since(x.First) > 0 && c.First.Since(x.LastSeen) < pairWithin {
				e.untranslated[c.ID] = x
				break
			}
		}
	}
}

// bypassed: what drew the RST belongs to a connection with another address.
func (q *resetCase) bypassed(ss *stories) bool {
	x := q.e.untranslated[q.c.ID]
	if x == nil || q.x != flow.Opener {
		return false
	}
	own, stray := x.Ends[flow.Listener], q.end(q.y)
	ss.add(story{cause: "reply-from-other-address", stands: report.StaysOpen,
		says: "A segment of the client's connection with another address reached it untranslated; the client knows of no connection with the sender.",
		verdict: fmt.Sprintf("The segment in frame %d from %s belongs to the client's connection with %s: it passed by the box that translates the answers (conntrack that calls it invalid, another way back). The client knows of no connection with that address, and its kernel answered with a RST.",
			stray.SndNxt.Frame, stray.Endpoint, own.Endpoint),
		evidence: []report.Evidence{
			note(fmt.Sprintf("its data ends at %s, and the connection with %s stands at %s", stray.SndNxt.Num, own.Endpoint, own.SndNxt.Num), stray.SndNxt.Frame, own.SndNxt.Frame),
			note(fmt.Sprintf("it acknowledges %s, where the client's numbers in that connection stand", q.r.Seq), q.r.Frame, x.Ends[flow.Opener].SndNxt.Frame)}})
	return true
}
