package diagnose

import (
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// kind is what an end may still hold of a connection.
type kind uint8

const (
	nothing  kind = iota // the socket is gone
	twTrue               // TIME_WAIT
	twOrphan             // the mini-socket of an orphan in FIN_WAIT2
	alive                // a socket in a state of package live
)

// holding is one thing that an end may hold of the old connection by what the
// capture shows. Where frames may be missing there are several, each with what
// it assumes.
type holding struct {
	kind  kind
	tw    timewait.Socket // twTrue, twOrphan
	live  live.Socket     // alive
	since flow.Point      // the frame from which on it holds
	// from is where the replay starts, if not at since: a RST may follow the FIN
	// before the capture shows the ACK of it.
	from    flow.Point
	why     string // how the capture shows it, one sentence
	frames  []uint64
	assumes []Assumption
	// reset: it is nothing because of this RST; byEnd tells that the end itself sent it.
	reset flow.Mark
	byEnd bool
	// closedSecond: it is nothing because this end closed second.
	closedSecond bool
}

// numbers gathers what an end must remember of a connection.
type numbers struct {
	sndNxt, rcvNxt kernel.Num
	rcvWnd         kernel.Num
	wscale         uint8
	hasTS          kernel.Answer
	tsRecent       kernel.Num
	tsStored       int64
	// tsOther is a second candidate for ts_recent where the end's last ACK is not
	// in the capture.
	tsOther kernel.Num
	tsFrame uint64 // the frame that shows ts_recent
}

// storeNewer follows ts_recent through the frames that the peer sent after the end's
// last echo: a segment that begins at or before what was acknowledged is stored
// (tcp_replace_ts_recent: seq not after rcv_wup, TSval not older).
func (n *numbers) storeNewer(c *flow.Connection, s flow.Side, after, before uint64) {
	if !n.tsRecent.Known || !n.rcvNxt.Known {
		return
	}
	for i := range c.Frames {
		f := &c.Frames[i]
		if p := &c.Ends[s.Other()]; p.FIN.Seen() && f.Frame > p.FIN.Frame {
			return // from the FIN on TIME_WAIT stores by rules of its own
		}
		if f.From == s || f.Frame <= after || f.Frame >= before || !f.HasTS || f.Flags.Has(segment.RST) || f.Flags.Has(segment.SYN) {
			continue
		}
		if !f.Seq.After(n.rcvNxt.Num) && n.tsRecent.Sub(f.TSVal) <= 0 {
			n.tsRecent, n.tsStored, n.tsFrame = kernel.Known(f.TSVal), f.Time, f.Frame
		}
	}
}

// lastEcho is the timestamp that an end echoed last before a frame: its ts_recent
// at that moment.
func lastEcho(c *flow.Connection, s flow.Side, before uint64) flow.Mark {
	e := &c.Ends[s]
	if e.HasTSEcr && e.TSEcr.Frame < before {
		return e.TSEcr
	}
	for i := len(c.Frames) - 1; i >= 0; i-- {
		f := &c.Frames[i]
		if f.From == s && f.Frame < before && f.HasTS && f.Flags.Has(segment.ACK) {
			return flow.Mark{Num: f.TSEcr, Point: f.Point()}
		}
	}
	return flow.Mark{}
}

// numbersOf reads an end's variables off the marks of both ends, as they stood
// before a frame: the answer that is to be judged must not explain itself.
func numbersOf(c *flow.Connection, s flow.Side, before uint64) numbers {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	n := numbers{sndNxt: highest(e.SndNxt, p.RcvNxt), rcvNxt: highest(e.RcvNxt, flow.Mark{})}
	if w, ok := c.ScaledWindow(s); ok {
		n.rcvWnd = kernel.Known(seq.Of(w))
		if e.WScaleOffered && p.WScaleOffered {
			n.wscale = min(e.WScale, 14)
		}
	}
	switch {
	case e.HasTS && p.HasTS, e.HasTSEcr:
		n.hasTS = kernel.Yes
	case e.OptionsCut || p.OptionsCut: // not seen is not absent
	case e.Segments > 0 && !e.HasTS, p.Segments > 0 && !p.HasTS:
		n.hasTS = kernel.No
	}
	if n.hasTS == kernel.Yes {
		echo := lastEcho(c, s, before)
		if echo.Seen() {
			n.tsRecent, n.tsStored, n.tsFrame = kernel.Known(echo.Num), echo.Time, echo.Frame
		}
		n.storeNewer(c, s, echo.Frame, before)
		// After that the peer may have sent a newer one, which may have been
		// stored or not.
		if p.HasTS && p.Last.Frame > n.tsFrame && p.Last.Frame < before && p.TSVal != n.tsRecent.Num {
			n.tsOther = kernel.Known(p.TSVal)
			if !n.tsRecent.Known {
				n.tsRecent, n.tsStored, n.tsFrame, n.tsOther = n.tsOther, p.Last.Time, p.Last.Frame, kernel.Num{}
			}
		}
	}
	if c.Relative {
		n.sndNxt, n.rcvNxt = kernel.Num{}, kernel.Num{} // they mean nothing beside another connection's
	}
	return n
}

// highest returns the mark that is further on.
func highest(a, b flow.Mark) kernel.Num {
	switch {
	case a.Seen() && (!b.Seen() || !b.Num.After(a.Num)):
		return kernel.Known(a.Num)
	case b.Seen():
		return kernel.Known(b.Num)
	}
	return kernel.Num{}
}

func (n numbers) timeWait(sub timewait.Substate) timewait.Socket {
	return timewait.Socket{Substate: sub, RcvNxt: n.rcvNxt, SndNxt: n.sndNxt, RcvWnd: n.rcvWnd, WScale: n.wscale,
		HasTS: n.hasTS, TSRecent: n.tsRecent, TSStored: n.tsStored}
}

func (n numbers) socket(s live.State) live.Socket {
	return live.Socket{State: s, RcvNxt: n.rcvNxt, SndNxt: n.sndNxt, RcvWnd: n.rcvWnd, WScale: n.wscale, HasTS: n.hasTS, TSRecent: n.tsRecent}
}

// holdingsOf lists what end s of a connection may hold after the last frame that
// belongs to it and before a later one, the likeliest first.
func (m *scratch) holdingsOf(c *flow.Connection, s flow.Side, before uint64, who string) []holding {
	out := m.holdingsAt(c, s, before)
	for i := range out {
		out[i].why = m.named(out[i].why, who)
	}
	return out
}

// named is the function of that name, once for each of the few dozen sentences there are.
func (m *scratch) named(why, who string) string {
	key := [2]string{why, who}
	s, ok := m.whys[key]
	if !ok {
		if m.whys == nil {
			m.whys = map[[2]string]string{}
		}
		s = named(why, who)
		m.whys[key] = s
	}
	return s
}

// named puts the two ends' parts into a sentence that speaks of "it", "this end"
// and "the peer".
func named(why, who string) string {
	if rest, ok := strings.CutPrefix(why, "it "); ok {
		why = "this end " + rest
	}
	if who == "client" {
		return ofClient.Replace(why)
	}
	return ofServer.Replace(why)
}

var (
	ofClient = strings.NewReplacer("this end", "the client", "the peer", "the server")
	ofServer = strings.NewReplacer("this end", "the server", "the peer", "the client")
)

// holdingsAt speaks of the end as "it" or "this end".
func (m *scratch) holdingsAt(c *flow.Connection, s flow.Side, before uint64) []holding {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	h := reader{m: m, c: c, s: s, e: e, p: p, n: numbersOf(c, s, before)}
	switch {
	case c.State == flow.Reset && e.RST.Seen() && c.EndedAt.Frame == e.RST.Frame && e.SndNxt.Frame <= e.RST.Frame:
		return h.list(holding{kind: nothing, reset: e.RST, byEnd: true, since: e.RST.Point,
			why: "this end sent a RST: nothing of the connection is left at it", frames: h.nums(e.RST.Point)})
	case c.State == flow.SynOnly || c.State == flow.SynAcked:
		return h.opening()
	case e.FIN.Seen() && p.FIN.Seen():
		return h.bothClosed()
	case e.FIN.Seen():
		return h.closedFirst()
	case p.FIN.Seen():
		return h.peerClosed()
	}
	return h.open()
}

// reader works the holdings of one end out.
type reader struct {
	m    *scratch
	c    *flow.Connection
	s    flow.Side
	e, p *flow.End
	n    numbers
}

// list makes a list of holdings, with room for another one or two.
func (h *reader) list(all ...holding) []holding {
	return append(h.m.holdings.take(len(all)+2), all...)
}

func (h *reader) alive(st live.State, since flow.Point, why string, frames []uint64, as ...Assumption) holding {
	return holding{kind: alive, live: h.n.socket(st), since: since, from: since, why: why, frames: frames, assumes: as}
}

func (h *reader) timeWait(sub timewait.Substate, since flow.Point, why string, frames []uint64, as ...Assumption) holding {
	k := twTrue
	n := h.n
	if sub == timewait.FinWait2 {
		k = twOrphan
	} else if h.p.FIN.Seen() {
		n.rcvNxt = kernel.Known(h.p.FIN.Num)
	}
	tw := n.timeWait(sub)
	tw.Armed = since.Time
	out := holding{kind: k, tw: tw, since: since, from: since, why: why, frames: frames, assumes: as}
	if k == twTrue && h.p.FIN.Seen() && h.p.FIN.Frame < since.Frame {
		out.from = h.p.FIN.Point
	}
	return out
}

func later(a, b flow.Point) flow.Point {
	if b.Frame > a.Frame {
		return b
	}
	return a
}

// nums are the frames of those points that were seen.
func (h *reader) nums(points ...flow.Point) []uint64 {
	out := h.m.nums.take(len(points))
	for _, p := range points {
		if p.Seen() {
			out = append(out, p.Frame)
		}
	}
	return out
}

// onlySYNACK: the listener has sent nothing but its SYN-ACK.
func (h *reader) onlySYNACK() bool {
	return h.e.ISN.Seen() && !h.e.ISNImplied && h.p.ISN.Seen() && h.e.SndNxt.Seen() && h.e.SndNxt.Num == h.e.ISN.Num.Add(1) &&
		h.e.RcvNxt.Seen() && h.e.RcvNxt.Num == h.p.ISN.Num.Add(1)
}

// opening: the handshake was never completed.
func (h *reader) opening() []holding {
	if h.s == flow.Listener && (h.c.State == flow.SynAcked || h.onlySYNACK()) {
		k := h.alive(live.SynRecv, h.e.ISN.Point, "it answered a SYN that was never completed", h.nums(h.p.ISN.Point, h.e.ISN.Point))
		k.live.SndNxt = kernel.Known(h.e.ISN.Num.Add(1))
		k.live.RcvNxt = kernel.Known(h.p.ISN.Num.Add(1))
		k.live.RcvWnd = kernel.Known(seq.Of(uint32(h.e.FirstWindow)))
		return h.list(k)
	}
	return h.list(holding{kind: nothing, since: h.c.LastSeen, why: "no connection was ever opened", frames: h.nums(h.c.First)})
}

// orderUnsure: the first sending of a FIN may be missing, so that what this end had
// received when it closed is not known.
func orderUnsure(e *flow.End) bool {
	return e.FIN.Seen() && e.FIN.Frame > e.SndNxt.Frame
}

// carriesData: the end's FIN rides on data. Such a FIN may have been due long
// before: a socket that was closed with data queued is in FIN_WAIT1 already.
func carriesData(c *flow.Connection, s flow.Side) bool {
	for i := range c.Frames {
		if f := &c.Frames[i]; f.Frame == c.Ends[s].FIN.Frame {
			return f.Len > 0
		}
	}
	return false
}

// ackedBefore: the end acknowledged the peer's FIN in a segment that lies before its
// own FIN, which proves that it closed second.
func ackedBefore(c *flow.Connection, s flow.Side) bool {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	for i := range c.Frames {
		f := &c.Frames[i]
		if f.From == s && f.Frame < e.FIN.Frame && p.FIN.Seen() && !f.Ack.Before(p.FIN.Num) && f.End().Before(e.FIN.Num) {
			return true
		}
	}
	return false
}

// gaps: the capture misses sequence numbers of end e, among which its FIN may be.
func gaps(e, peer *flow.End) bool { return e.Unseen || e.Holes || beyond(peer, e) }

// beyond: end a acknowledged more than the capture shows of end b.
func beyond(a, b *flow.End) bool {
	return a.RcvNxt.Seen() && (!b.SndNxt.Seen() || a.RcvNxt.Num.After(b.SndNxt.Num))
}

// bothClosed: both FINs are in the capture.
func (h *reader) bothClosed() []holding {
	e, p := h.e, h.p
	acked := e.RcvNxt.Seen() && !e.RcvNxt.Num.Before(p.FIN.Num)
	first := e.FINAck.Num.Before(p.FIN.Num)
	unsure := orderUnsure(e) || orderUnsure(p) || carriesData(h.c, h.s) || carriesData(h.c, h.s.Other())
	out := h.list()
	since := p.FIN.Point
	if acked && e.RcvNxt.Num == p.FIN.Num {
		since = e.RcvNxt.Point
	}
	since = later(since, e.FINAcked)
	frames := h.nums(e.FIN.Point, p.FIN.Point, since)
	tw := func(as ...Assumption) holding {
		return h.timeWait(timewait.TimeWait, since, "it sent its FIN before it had the peer's, so TIME_WAIT is on its side", frames, as...)
	}
	closed := func(as ...Assumption) []holding {
		k := holding{kind: nothing, closedSecond: true, since: later(e.FIN.Point, e.FINAcked), frames: h.nums(p.FIN.Point, e.FIN.Point, e.FINAcked),
			why: "it closed second: its FIN acknowledges the peer's, so it goes from LAST_ACK to CLOSED and the peer holds TIME_WAIT", assumes: as}
		last := h.alive(live.LastAck, e.FIN.Point, "it closed second, and nothing acknowledged its FIN", h.nums(p.FIN.Point, e.FIN.Point))
		if e.FINAcked.Seen() {
			last.assumes = append(last.assumes, assumeLost)
			last.why = "it closed second, and the last ACK did not reach it"
			return h.list(k, last)
		}
		k.assumes = append(k.assumes, assumeLastACKUnseen)
		return h.list(last, k)
	}
	switch {
	case first && acked && !e.FINAcked.Seen():
		out = append(out, tw(assumeLastACKUnseen),
			h.alive(live.Closing, later(p.FIN.Point, e.RcvNxt.Point), "both sides closed at once, and the capture shows no ACK of this end's FIN (CLOSING)", h.nums(e.FIN.Point, p.FIN.Point), assumeNoACK))
	case first && (acked || unsure):
		out = append(out, tw())
	case first:
		out = append(out, tw(assumeReplyUnseen),
			h.timeWait(timewait.FinWait2, later(e.FIN.Point, e.FINAcked), "the peer's FIN did not reach it, so it waits in FIN_WAIT2", h.nums(e.FIN.Point, e.FINAcked), assumeLost))
	default:
		out = append(out, closed()...)
	}
	if unsure && first {
		out = append(out, closed(assumeOrder)...)
	} else if unsure {
		out = append(out, tw(assumeOrder))
	}
	if unsure {
		out[0].assumes = append(out[0].assumes, assumeOrderAsSeen)
	}
	return out
}

// closedFirst: only this end's FIN is in the capture.
func (h *reader) closedFirst() []holding {
	e := h.e
	since := later(e.FIN.Point, e.FINAcked)
	out := h.m.holdings.take(4)
	if gaps(h.p, e) { // it acknowledged something of the peer that is not in the capture
		out = append(out, h.timeWait(timewait.TimeWait, later(since, e.RcvNxt.Point),
			"it closed first and acknowledged a byte of the peer that the capture does not show, which may be the FIN", h.nums(e.FIN.Point, e.RcvNxt.Point), assumeFINUnseen),
			holding{kind: nothing, closedSecond: true, since: since, frames: h.nums(e.FIN.Point, e.FINAcked), assumes: []Assumption{assumeFINUnseen, assumeOrder},
				why: "the peer's FIN is not in the capture and may have come first"})
	}
	if !e.FINAcked.Seen() {
		return append(out, h.alive(live.FinWait1, e.FIN.Point, "it closed first, and the capture shows no ACK of its FIN", h.nums(e.FIN.Point), assumeNoACK),
			h.timeWait(timewait.FinWait2, e.FIN.Point, "it closed first, and the ACK of its FIN is not in the capture: an orphan in FIN_WAIT2", h.nums(e.FIN.Point), assumeLastACKUnseen))
	}
	orphan := h.timeWait(timewait.FinWait2, since, "it closed first, its FIN was acknowledged, the peer did not close: an orphan in FIN_WAIT2", h.nums(e.FIN.Point, e.FINAcked))
	full := h.alive(live.FinWait2, since, "it closed one direction only (shutdown), and its application still holds the socket in FIN_WAIT2", h.nums(e.FIN.Point, e.FINAcked), assumeHalfClose)
	if len(out) > 0 {
		orphan.assumes = append(orphan.assumes, assumeByteUnseen)
		full.assumes = append(full.assumes, assumeByteUnseen)
	}
	return append(out, orphan, full)
}

// peerClosed: only the peer's FIN is in the capture.
func (h *reader) peerClosed() []holding {
	if !h.e.RcvNxt.Seen() || h.e.RcvNxt.Num.Before(h.p.FIN.Num) {
		// Nothing shows that the FIN arrived; the answer will.
		got := h.alive(live.CloseWait, h.p.FIN.Point, "the peer closed, and this end's ACK of the FIN is not in the capture (CLOSE_WAIT)", h.nums(h.p.FIN.Point), assumeReplyUnseen)
		got.live.RcvNxt = kernel.Known(h.p.FIN.Num)
		lost := h.alive(live.Established, h.p.FIN.Point, "the peer's FIN did not reach this end, for which the connection still lives", h.nums(h.p.FIN.Point), assumeFINLost)
		return h.list(lost, got)
	}
	wait := h.alive(live.CloseWait, later(h.p.FIN.Point, h.e.RcvNxt.Point), "the peer closed; this end's application did not (CLOSE_WAIT)", h.nums(h.p.FIN.Point))
	if !gaps(h.e, h.p) {
		return h.list(wait)
	}
	frames := h.nums(h.p.FIN.Point, h.p.RcvNxt.Point)
	tw := h.timeWait(timewait.TimeWait, later(h.p.FIN.Point, h.e.RcvNxt.Point), "the peer acknowledged a byte of this end that the capture does not show, which may be its FIN", frames, assumeFINUnseen)
	gone := holding{kind: nothing, closedSecond: true, since: h.p.RcvNxt.Point, frames: frames, assumes: []Assumption{assumeFINUnseen},
		why: "the peer acknowledged a byte of this end that the capture does not show, which may be its FIN"}
	wait.assumes = append(wait.assumes, assumeByteUnseen)
	return h.list(tw, gone, wait)
}

// open: no FIN and no RST in the capture.
func (h *reader) open() []holding {
	est := h.alive(live.Established, h.c.First, "the capture shows no close: the connection is ESTABLISHED here", h.nums(h.e.Last.Point, h.p.Last.Point))
	out := h.list(est)
	if h.s == flow.Listener && h.onlySYNACK() {
		pending := h.opening()
		pending[0].why = "this end has shown nothing behind its SYN-ACK, so that the request may still wait for the last ACK (SYN_RECV)"
		pending[0].assumes = []Assumption{assumeFinalACK}
		out[0].assumes = append(out[0].assumes, assumeFinalACKTaken)
		out = append(out, pending...)
	}
	if gaps(h.e, h.p) || gaps(h.p, h.e) || h.c.MidStream && (h.e.Segments == 0 || h.p.Segments == 0) {
		out[0].assumes = append(out[0].assumes, assumeByteUnseen)
		out = append(out, h.timeWait(timewait.TimeWait, h.c.LastSeen, "its close is not in the capture", h.nums(h.c.LastSeen), assumeFINUnseen))
	}
	if h.s == flow.Opener || h.e.Segments > 0 {
		return out
	}
	return append(out, holding{kind: nothing, since: h.c.LastSeen, why: "nothing of this end is in the capture", frames: h.nums(h.c.LastSeen), assumes: []Assumption{assumeFINUnseen}})
}

// segmentOf turns a kept frame back into a segment for the model.
func segmentOf(f *flow.Frame) segment.Segment {
	s := segment.Segment{Ref: f.Ref, Seq: f.Seq, Ack: f.Ack, Flags: f.Flags, Window: f.Window, Len: f.Len, TTL: f.TTL, IPID: f.IPID}
	if f.HasTS {
		s.Options, s.TSVal, s.TSEcr = segment.OptTimestamps, f.TSVal, f.TSEcr
	}
	if f.OptionsCut {
		s.Options |= segment.OptCut
	}
	return s
}
