package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// pairKey is what a SYN-ACK on another four-tuple shares with the SYN that it answers. The
// listener's port may be another: a service's address and port are translated together.
type pairKey struct {
	isn  seq.Num
	port uint16
}

// pairWithin is how long after the last SYN an answer from elsewhere may come.
const pairWithin = 2 * time.Minute

// pair finds connections that belong together though their addresses differ: a SYN
// and the SYN-ACK that comes from another address, or goes to another one.
func (e *Engine) pair() {
	e.lookup = lookup{}
	e.crossed, e.sides = map[uint64]*flow.Connection{}, map[uint64]*flow.Connection{}
	e.strays, e.twins, e.taken = map[uint64][]*flow.Connection{}, map[uint64]*flow.Connection{}, map[uint64]bool{}
	stray := map[pairKey][]*flow.Connection{}
	for _, c := range e.troubled {
		o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
		if c.MidStream && o.ISN.Seen() && o.ISNImplied && l.ISN.Seen() && !l.ISNImplied {
			k := pairKey{o.ISN.Num, o.Port}
			stray[k] = append(stray[k], c)
		}
	}
	e.pairOpenings()
	e.pairSides()
	e.pairRewritten()
	e.pairUntranslated()
	if len(stray) == 0 {
		return
	}
	seen := map[uint64]bool{}
	for _, c := range append(append([]*flow.Connection{}, e.asked...), e.troubled...) {
		o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
		if c.MidStream || !o.ISN.Seen() || l.ISN.Seen() && !l.ISNImplied || seen[c.ID] {
			continue
		}
		seen[c.ID] = true
		for _, s := range stray[pairKey{o.ISN.Num, o.Port}] {
			d := s.First.Since(o.ISN.Point)
			if p := &s.Ends[flow.Listener]; p.Port != l.Port && (p.Addr == l.Addr || s.Ends[flow.Opener].Endpoint != o.Endpoint) {
				continue
			}
			if d < 0 || s.First.Since(c.LastSeen) > pairWithin || s.Ends[flow.Opener].Endpoint == o.Endpoint && s.Ends[flow.Listener].Endpoint == l.Endpoint {
				continue
			}
			switch {
			case s.Ends[flow.Opener].Endpoint == o.Endpoint && l.ISNImplied:
				// The client went on with the address that it asked: a box behind the
				// capture point translates the answer back.
			case s.Ends[flow.Opener].Endpoint == o.Endpoint:
				e.strays[c.ID] = append(e.strays[c.ID], s)
				e.taken[s.ID] = true
			case e.twins[c.ID] == nil:
				e.twins[c.ID] = s
				e.taken[s.ID] = true
			}
		}
	}
}

// pairSides finds connections that are one, seen on both sides of a box that changes
// addresses or ports: the SYN keeps its number and its timestamp.
func (e *Engine) pairSides() {
	type synKey struct {
		isn, tsVal seq.Num
		mss        uint16
	}
	seen := map[synKey]*flow.Connection{}
	for _, c := range e.troubled {
		o := &c.Ends[flow.Opener]
		if c.MidStream || !o.ISN.Seen() || c.Relative {
			continue
		}
		k := synKey{isn: o.ISN.Num}
		if o.TSOffered {
			k.tsVal = o.FirstTSVal
		} else {
			k.mss = o.MSS
		}
		x := seen[k]
		if x == nil {
			seen[k] = c
			continue
		}
		d := c.First.Since(x.First)
		if x.ID == c.ID || d < -time.Second || d > time.Second || e.sides[x.ID] != nil || x.Ends[flow.Opener].Endpoint == o.Endpoint && x.Ends[flow.Listener].Endpoint == c.Ends[flow.Listener].Endpoint {
			continue
		}
		if !o.TSOffered && x.Ends[flow.Opener].Endpoint == o.Endpoint && x.Ends[flow.Listener].Addr == c.Ends[flow.Listener].Addr {
			continue // scanners ask port after port with one number
		}
		e.sides[x.ID], e.sides[c.ID] = c, x
	}
}

// sameOnOtherSide tells whether a finding says what one about the other side of a
// translation says already, and notes there that both show it.
func (e *Engine) sameOnOtherSide(f *finding, before []*finding) bool {
	x := e.sides[f.c.ID]
	if x == nil {
		return false
	}
	for _, g := range e.lookup.findingsOf(x.ID, before) {
		if g.question != f.question || g.verdict.cause != f.verdict.cause {
			continue
		}
		o, l := &f.c.Ends[flow.Opener], &f.c.Ends[flow.Listener]
		g.warnings = append(g.warnings, report.Warning{Code: "translated", Frame: f.c.First.Frame,
			Says: fmt.Sprintf("the capture shows the connection on both sides of a box that translates it: it is also %s → %s, from frame %d on, and shows the same there", o.Endpoint, l.Endpoint, f.c.First.Frame)})
		g.past = append(g.past, f.c)
		return true
	}
	return false
}

// pairOpenings finds four-tuples on which both ends sent a SYN at the same time.
func (e *Engine) pairOpenings() {
	first := map[tuple]*flow.Connection{}
	for _, c := range e.asked {
		if c.State == flow.SynOnly && !c.MidStream {
			first[tuple{c.Ends[flow.Opener].Endpoint, c.Ends[flow.Listener].Endpoint}] = c
		}
	}
	for _, c := range append(append([]*flow.Connection{}, e.asked...), e.troubled...) {
		o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
		x := first[tuple{l.Endpoint, o.Endpoint}]
		if x != nil && x.ID != c.ID && l.ISN.Seen() && l.ISN.Num == x.Ends[flow.Opener].ISN.Num && c.First.Since(x.First) >= 0 {
			e.crossed[x.ID] = c
			e.taken[c.ID] = true
		}
	}
}

// bothOpened: both ends sent a SYN, and each SYN-ACK repeats the own SYN's number.
func (l *life) bothOpened() *finding {
	x := l.e.crossed[l.c.ID]
	if x == nil {
		return nil
	}
	o := l.end(flow.Opener)
	f := l.finding("connect-odd", flow.Opener, o.ISN.Point, o.ISN.Frame, x.First.Frame)
	f.past = append(f.past, x)
	f.asks = fmt.Sprintf("Why do both ends send a SYN (frames %d and %d)?", o.ISN.Frame, x.First.Frame)
	ss := l.e.stories(8)
	ss.add(story{cause: "simultaneous-open", stands: report.StaysOpen, says: "Both ends opened the connection at the same time (RFC 9293 §3.5).",
		verdict:  fmt.Sprintf("Both ends opened the connection at the same time: their SYNs (frames %d and %d) crossed, and each answered the other's with a SYN-ACK that keeps its own number. One connection comes of it; that is allowed, if rare.", o.ISN.Frame, x.First.Frame),
		evidence: []report.Evidence{note(fmt.Sprintf("the SYN-ACK in frame %d carries the ISN %s of the SYN in frame %d", x.Ends[flow.Listener].ISN.Frame, o.ISN.Num, o.ISN.Frame), o.ISN.Frame, x.Ends[flow.Listener].ISN.Frame)}})
	return l.finish(f, ss)
}

// joined puts the two halves of a connection together whose directions the capture
// shows under different addresses.
func joined(c, answers *flow.Connection) *flow.Connection {
	out := *c
	out.Ends[flow.Listener] = answers.Ends[flow.Listener]
	out.Ends[flow.Listener].Endpoint = c.Ends[flow.Listener].Endpoint
	out.Frames = mergeFrames(c.Frames, answers.Frames)
	out.Troubles = mergeFrames(c.Troubles, answers.Troubles)
	if answers.LastSeen.Frame > out.LastSeen.Frame {
		out.LastSeen = answers.LastSeen
	}
	if answers.State == flow.Reset || answers.Ends[flow.Listener].RST.Seen() {
		out.State, out.EndedAt = flow.Reset, answers.Ends[flow.Listener].RST.Point
	} else {
		out.State = max(out.State, answers.State)
	}
	out.SilenceFrom, out.SilenceTo = flow.Point{}, flow.Point{} // each half was silent while the other spoke
	return &out
}

func mergeFrames(a, b []flow.Frame) []flow.Frame {
	out := make([]flow.Frame, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Frame <= b[0].Frame {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// odd asks about an opening that is answered in an unusual way.
func (l *life) odd() *finding {
	if f := l.fromElsewhere(); f != nil {
		return f
	}
	if f := l.bothOpened(); f != nil {
		return f
	}
	if l.c.MidStream {
		return nil
	}
	if f := l.rewritten(); f != nil {
		return f
	}
	return l.fastOpen()
}

// fromElsewhere: the SYN-ACK comes from another address than the SYN went to.
func (l *life) fromElsewhere() *finding {
	found := l.e.strays[l.c.ID]
	if len(found) == 0 {
		return nil
	}
	o, s := l.end(flow.Opener), found[0]
	f := l.finding("connect-odd", flow.Listener, o.ISN.Point, o.ISN.Frame)
	at := s.Ends[flow.Listener].Endpoint
	f.asks = fmt.Sprintf("Why does the SYN in frame %d to %s get its answer from %s?", o.ISN.Frame, l.end(flow.Listener).Endpoint, at)
	ev := []report.Evidence{}
	rst := ""
	for _, x := range found {
		x := x
		f.frames = append(f.frames, x.Ends[flow.Listener].ISN.Frame)
		f.past = append(f.past, x)
		ev = append(ev, note(fmt.Sprintf("the SYN-ACK from %s to the same client port acknowledges %s, this SYN's ISN + 1", x.Ends[flow.Listener].Endpoint, o.ISN.Num.Add(1)), o.ISN.Frame, x.Ends[flow.Listener].ISN.Frame))
		if r := x.Ends[flow.Opener].RST; r.Seen() && rst == "" {
			rst = fmt.Sprintf(" The client knows of no connection with that address and resets it (frame %d).", r.Frame)
			ev = append(ev, note("the client's RST goes to the address that answered", r.Frame))
		}
	}
	ss := l.e.stories(8)
	// Without a sign that the client did not take it, a box further on may translate it back.
	refused := rst != "" || l.c.LastSeen.Frame > s.First.Frame
	var assumes []Assumption
	if !refused {
		assumes = []Assumption{assumeNotBack}
	}
	ss.add(story{cause: "reply-from-other-address", stands: report.StaysOpen, proven: refused, assumes: assumes, evidence: ev,
		says:    "The answer comes from an address that the client never asked: a translation is missing, or wrong, on the way back.",
		verdict: fmt.Sprintf("The SYN to %s is answered from %s: the way back passes by the box that translates (NAT, balancer), or it translates to the wrong address.%s", l.end(flow.Listener).Endpoint, at, rst)})
	return l.finish(f, ss)
}

// rewritten: one SYN is seen with different options or numbers, or has two answers.
func (l *life) rewritten() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	if !o.ISN.Seen() {
		return nil
	}
	first := handshakeFrame(l.c, flow.Opener)
	first.MSS = o.MSS
	var ev []report.Evidence
	var frames []uint64
	var answer *flow.Frame
	for i := range l.frames {
		f := &l.frames[i]
		switch {
		case f.From == flow.Opener && isSYN(f) && f.Seq == o.ISN.Num && f.Frame != o.ISN.Frame:
			if what := differs(&first, f); what != "" {
				ev = append(ev, note("the same SYN is seen again with another "+what, o.ISN.Frame, f.Frame))
				frames = append(frames, f.Frame)
			}
		case f.From == flow.Listener && has(f, segment.SYN|segment.ACK) && s.ISN.Seen() && !s.ISNImplied && f.Seq != s.ISN.Num && f.Ack == o.ISN.Num.Add(1) && answer == nil:
			answer = f
			ev = append(ev, note(fmt.Sprintf("two SYN-ACKs answer it, with ISN %s and %s", s.ISN.Num, f.Seq), s.ISN.Frame, f.Frame))
			frames = append(frames, f.Frame)
		}
	}
	if len(ev) == 0 {
		return nil
	}
	f := l.finding("connect-odd", flow.Listener, o.ISN.Point, append([]uint64{o.ISN.Frame}, frames...)...)
	f.asks = fmt.Sprintf("Why is the handshake that begins in frame %d seen in two forms?", o.ISN.Frame)
	ss := l.e.stories(8)
	proxy := []Assumption{}
	if answer == nil {
		proxy = []Assumption{assumeUnprovoked}
	}
	if len(ev) > 1 || answer == nil {
		ss.add(story{cause: "handshake-rewritten", stands: report.StaysOpen, evidence: ev, assumes: []Assumption{assumeUnprovoked},
			says:    "A box between the two capture points changes the handshake.",
			verdict: "A box between the capture points changes the handshake: " + ev[0].Says + "."})
	}
	ss.add(story{cause: "syn-proxy", stands: report.StaysOpen, evidence: ev, assumes: proxy,
		says:    "A SYN proxy answers in the server's place, and opens a connection of its own behind.",
		verdict: "A SYN proxy answers the client in the server's place and opens the connection to the server itself: " + ev[0].Says + "."})
	if answer != nil {
		ss.add(story{cause: "two-answers", stands: report.StaysOpen, evidence: ev, assumes: []Assumption{assumeUnprovoked}, says: "Two machines, or a balancer that changed its mind, answered the same SYN."})
	}
	return l.finish(f, ss)
}

// differs names what two copies of a SYN do not share, and both values.
func differs(a, b *flow.Frame) string {
	switch {
	case a.MSS != b.MSS && b.MSS != 0 && a.MSS != 0:
		return fmt.Sprintf("MSS: %d, then %d", a.MSS, b.MSS)
	case a.HasTS && b.HasTS && a.TSEcr != b.TSEcr:
		return fmt.Sprintf("TSecr: %s, then %s", a.TSEcr, b.TSEcr)
	case a.Window != b.Window:
		return fmt.Sprintf("window: %d, then %d", a.Window, b.Window)
	}
	return ""
}

// fastOpen: TCP Fast Open explains data before the handshake is complete.
func (l *life) fastOpen() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	var syn, data *flow.Frame
	for i := range l.frames {
		f := &l.frames[i]
		switch {
		case f.From == flow.Opener && isSYN(f) && (f.FastOpen || f.Len > 0 || o.FastOpen):
			syn = f
		case f.From == flow.Listener && f.Len > 0 && f.Flags&(segment.SYN|segment.RST) == 0 && data == nil && (!o.HasLastWindow || f.Frame < o.RcvNxt.Frame):
			data = f
		}
	}
	if data == nil || !s.ISN.Seen() || syn == nil {
		return nil
	}
	f := l.finding("connect-odd", flow.Listener, o.ISN.Point, o.ISN.Frame, data.Frame)
	f.asks = fmt.Sprintf("Why does the server send data in frame %d before the client's first ACK?", data.Frame)
	ss := l.e.stories(8)
	ss.add(story{cause: "fast-open", stands: report.StaysOpen, says: "TCP Fast Open lets the server send before the handshake is complete (RFC 7413).",
		verdict:  "TCP Fast Open: the SYN carries its option, so the server may send data before the client's first ACK. Boxes that do not know it may take the numbers for wrong.",
		evidence: []report.Evidence{note("the SYN carries the option, or data", o.ISN.Frame), note("data before the client's ACK", data.Frame)}})
	return l.finish(f, ss)
}
