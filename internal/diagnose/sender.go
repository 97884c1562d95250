package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// trait is something about a RST that tells whether the end sent it in whose name it comes.
// What Linux puts into one was read in tcp_send_active_reset and tcp_v4_send_reset and held
// against captures of 3.10, 5.10 and 6.18; what others do differs.
type trait struct {
	says   func() string // most are never told
	frames [3]uint64     // 0: none
	// weight is by how many decibans the trait raises the odds that another machine sent the
	// RST; below zero it lowers them.
	weight int
}

// The weights from which a trait is called strong, or fair; and that of one that alone says
// that another machine sent the RST.
const (
	strongTrait = 14
	fairTrait   = 7
	alienTrait  = 32
)

// evidence words the trait with its strength.
func (s *trait) evidence() report.Evidence {
	how := "weak"
	switch w := max(s.weight, -s.weight); {
	case w >= strongTrait:
		how = "strong"
	case w >= fairTrait:
		how = "fair"
	}
	if s.weight < 0 {
		return noteNo(s.says()+": a "+how+" sign that it is the sender's own", s.frames[:]...)
	}
	return note(s.says()+": a "+how+" sign of another sender", s.frames[:]...)
}

// shownIn are the frames that show a trait.
func shownIn(frames ...uint64) (out [3]uint64) {
	copy(out[:], frames)
	return out
}

// own words a trait that shows the RST to be the end's own, for the stories that say so.
func (s *trait) own() report.Evidence {
	ev := s.evidence()
	ev.Answer = "yes"
	return ev
}

// foreign is the weight of traits from which on the verdict says that the RST is another
// machine's.
const foreign = 20

// mostAgainst bounds what traits make the end's own doing cost, and what they make a box cost more.
const mostAgainst = 14

// forged adds that a box on the path sent the RST in the end's name, with what the frame
// shows of its origin.
func (q *resetCase) forged(ss *stories) {
	found := q.traits()
	weight := 0
	for i := range found {
		weight += found[i].weight
	}
	a := assumeBoxInName
	if q.bare && q.silence < 20*time.Second && !q.xFIN && q.opened() && !ss.has("rto-given-up") {
		a.Cost = 9 // an end that still took part a moment before has not forgotten the connection
	}
	if ss.has("keepalive-given-up") || ss.has("probe") || q.end(q.x).Bytes+q.end(q.y).Bytes == 0 && !q.c.MidStream {
		a.Cost += 8 // the moment has its own reason, or there was nothing yet that a box could object to
	}
	left := a.Cost - max(weight, -mostAgainst)
	if weight > 0 {
		a.Why = "its frame differs from that end's own"
	}
	a.Cost = max(left, 0)
	if left < 0 {
		q.oddForOthers(ss, found, min(mostAgainst, -left))
	}
	for i := range found {
		if found[i].weight > -fairTrait {
			continue
		}
		own := found[i].own()
		for j := range ss.list { // what shows that it is the end's own belongs to them all
			if s := &ss.list[j]; s.standing() && s.cause != "middlebox-reset" {
				s.evidence = append(slices.Clip(s.evidence), own)
			}
		}
	}
	ss.add(story{cause: "middlebox-reset", stands: report.StaysOpen, assumes: q.e.mem.assume(a), words: func(s *story) {
		s.says = "A box on the path (firewall, balancer, proxy) may have sent the RST in the name of the " + name(q.x) + "."
		s.verdict = "A box on the path sent the RST in the name of the " + name(q.x) + "."
		if weight >= foreign {
			s.verdict = fmt.Sprintf("The RST did not come from the %s: %s.", name(q.x), found[0].says())
		}
		for i := range found {
			s.evidence = append(s.evidence, found[i].evidence())
		}
	}})
}

// oddForOthers makes the other stories explain what differs about the RST.
func (q *resetCase) oddForOthers(ss *stories, found []trait, cost int) {
	a := assumeOddRST
	if found[0].weight >= alienTrait {
		a = assumeOtherRoute
	}
	a.Cost = cost
	for i := range ss.list {
		if s := &ss.list[i]; s.standing() && s.cause != "middlebox-reset" && s.cause != "out-of-window-ignored" {
			s.assumes = append(s.assumes, a)
			s.proven = false
		}
	}
}

// traits lists what the RST shows of its sender, what speaks for another machine first.
func (q *resetCase) traits() []trait {
	out := q.e.mem.traits.take(10)
	for _, look := range []func([]trait) []trait{q.otherSide, q.hardware, q.timeToLive, q.checksum, q.form, q.identification, q.tooSoon, q.goesOn} {
		out = look(out)
	}
	slices.SortStableFunc(out, func(a, b trait) int { return cmp.Compare(b.weight, a.weight) })
	return out
}

// otherSide looks whether the RST passed the box that translates the connection, where
// the capture shows both of its sides: one that is not on the sender's side was made by the box.
func (q *resetCase) otherSide(out []trait) []trait {
	x := q.e.sides[q.c.ID]
	if x == nil || q.e.capture.Misses {
		return out
	}
	own := q.c.First.Frame < x.First.Frame // the client's side of the box
	if own == (q.x == flow.Opener) {
		return out // this is the sender's own side
	}
	o, l := &x.Ends[flow.Opener], &x.Ends[flow.Listener]
	if r := x.Ends[q.x].RST; r.Seen() {
		return append(out, trait{func() string {
			return fmt.Sprintf("the RST is also on the %s's side of the translation (%s → %s)", name(q.x), o.Endpoint, l.Endpoint)
		}, shownIn(r.Frame, q.r.Frame), -fairTrait})
	}
	return append(out, trait{func() string {
		return fmt.Sprintf("on the %s's side of the translation (%s → %s) there is no RST", name(q.x), o.Endpoint, l.Endpoint)
	}, shownIn(q.r.Frame, x.LastSeen.Frame), alienTrait})
}

// beside calls f for each frame of the RST's sender, no RST itself, of which it is known what
// else its frame showed, until f returns true.
func (q *resetCase) beside(f func(fr *flow.Frame, w *wire) bool) {
	for i := range q.frames {
		fr := &q.frames[i]
		w, ok := q.e.notes.wires.of(fr.Frame)
		if ok && fr.From == q.x && !has(fr, segment.RST) && f(fr, &w) {
			return
		}
	}
}

// hardware: the frame of the RST came from another neighbour on the link than that
// end's other frames.
func (q *resetCase) hardware(out []trait) []trait {
	r, ok := q.e.notes.wires.of(q.r.Frame)
	if !ok || r.SrcMAC == (segment.MAC{}) {
		return out
	}
	q.beside(func(f *flow.Frame, w *wire) bool {
		if w.SrcMAC == (segment.MAC{}) {
			return false
		}
		if mac := w.SrcMAC; mac != r.SrcMAC {
			out = append(out, trait{func() string {
				return fmt.Sprintf("its frame comes from %s on the link, the %s's other frames from %s", r.SrcMAC, name(q.x), mac)
			}, shownIn(q.r.Frame, f.Frame), alienTrait})
		}
		return true
	})
	return out
}

// timeToLive compares the RST's TTL with that of the end's other frames.
func (q *resetCase) timeToLive(out []trait) []trait {
	ttl, frame := q.end(q.x).TTL, q.end(q.x).ISN.Frame
	for i := range q.frames {
		if f := &q.frames[i]; f.From == q.x && !has(f, segment.RST) && f.TTL != 0 {
			ttl, frame = f.TTL, f.Frame
		}
	}
	if ttl == 0 || q.r.TTL == 0 || q.end(q.x).Segments < 2 {
		return out
	}
	if own := ttl; q.r.TTL != own {
		return append(out, trait{func() string {
			return fmt.Sprintf("its TTL is %d, the %s's other segments have %d", q.r.TTL, name(q.x), own)
		}, shownIn(q.r.Frame, frame), alienTrait})
	}
	return append(out, trait{func() string {
		return fmt.Sprintf("the RST has the TTL %d of the %s's other segments", q.r.TTL, name(q.x))
	}, shownIn(q.r.Frame, frame), -1})
}

// checksum: the machine that captures leaves the checksums of its own segments to the network
// card, so that a partial one was made there; and one that is wrong no stack makes.
func (q *resetCase) checksum(out []trait) []trait {
	r, ok := q.e.notes.wires.of(q.r.Frame)
	if !ok {
		return out
	}
	if r.TCPCheck == segment.CheckPartial {
		return append(out, trait{func() string {
			return fmt.Sprintf("its checksum was left to the network card: the capture was taken on the %s, and its own TCP made the RST", name(q.x))
		}, shownIn(q.r.Frame), -20})
	}
	before := len(out)
	q.beside(func(f *flow.Frame, w *wire) bool {
		switch {
		case r.TCPCheck == segment.CheckBad && w.TCPCheck == segment.CheckGood:
			out = append(out, trait{func() string {
				return fmt.Sprintf("its checksum is wrong and those of the %s's other segments are right: no end takes it", name(q.x))
			}, shownIn(q.r.Frame, f.Frame), 8})
		case !q.bare && r.TCPCheck == segment.CheckGood && w.TCPCheck == segment.CheckPartial:
			// tcp_transmit_skb leaves it to the card in every segment of a socket.
			out = append(out, trait{func() string {
				return fmt.Sprintf("its checksum is complete, and the %s's own TCP, on the machine of the capture, leaves it to the network card", name(q.x))
			}, shownIn(q.r.Frame, f.Frame), 12})
		}
		return len(out) > before
	})
	return out
}

// linuxWindow tells whether a first window is one of Linux's defaults at an MSS of 1460.
func linuxWindow(w uint16) bool {
	switch w {
	case 64240, 65160, 29200, 28960, 14600, 14480, 5840, 5792:
		return true
	}
	return false
}

// linux tells whether the RST's sender looks like Linux by its first window.
func (q *resetCase) linux() bool {
	x := q.end(q.x)
	return x.ISN.Seen() && !x.ISNImplied && linuxWindow(x.FirstWindow)
}

// form compares what the RST carries with what an end's kernel puts into one. A socket that
// is alive sends it as any segment, with its timestamps and its window (tcp_send_active_reset);
// a host without a socket sends neither (tcp_v4_send_reset).
func (q *resetCase) form(out []trait) []trait {
	x, y, at := q.end(q.x), q.end(q.y), shownIn(q.r.Frame)
	if q.bare {
		switch {
		case q.r.HasTS:
			return append(out, trait{func() string {
				return "it carries no ACK and yet timestamps, which a host without a socket no longer knows"
			}, at, 6})
		case q.r.Window != 0 && !q.r.Doubt.Has(segment.WindowUnsaid):
			return append(out, trait{func() string {
				return fmt.Sprintf("it carries no ACK and a window of %d; a host without a socket sets none", q.r.Window)
			}, at, 8})
		}
		return out
	}
	if !q.opened() || !q.exact || q.r.OptionsCut || x.OptionsCut {
		return out
	}
	both := x.HasTS && y.HasTS && (x.TSOffered && y.TSOffered || q.c.MidStream)
	switch {
	case both && !q.r.HasTS && q.linux():
		out = append(out, trait{func() string {
			return fmt.Sprintf("it carries no timestamp, as all segments of the connection do; the %s looks like Linux, whose sockets put one into a RST too", name(q.x))
		}, at, 10})
	case both && !q.r.HasTS:
		out = append(out, trait{func() string {
			return "it carries no timestamp, as all segments of the connection do (a RST should: RFC 7323 §3.2)"
		}, at, 4})
	case both:
		out = q.clock(out)
	}
	if q.r.Window == 0 && !q.r.Doubt.Has(segment.WindowUnsaid) && q.linux() && (x.LastWindow > 0 || !x.HasLastWindow) {
		out = append(out, trait{func() string {
			return fmt.Sprintf("its window is 0, and the %s's was not; a Linux socket sends the one that it has", name(q.x))
		}, at, 5})
	}
	return out
}

// clock holds the RST's TSval against the one that the end's handshake began with.
func (q *resetCase) clock(out []trait) []trait {
	x := q.end(q.x)
	if !x.TSOffered || x.ISNImplied {
		return out
	}
	elapsed := q.r.Point().Since(x.ISN.Point)
	a, b := flow.TSSample{TSVal: x.FirstTSVal, Point: x.ISN.Point}, flow.TSSample{TSVal: q.r.TSVal, Point: q.r.Point()}
	at := shownIn(q.r.Frame, x.ISN.Frame)
	switch {
	case elapsed < 0 || elapsed > time.Hour:
		return out
	case oneLine(a, b, elapsed):
		w := -5 // a box may copy the last one
		if elapsed > time.Second {
			w = -10
		}
		return append(out, trait{func() string { return fmt.Sprintf("its TSval %s goes on with the %s's clock", q.r.TSVal, name(q.x)) }, at, w})
	}
	return append(out, trait{func() string {
		return fmt.Sprintf("its TSval %s is not on the %s's clock, which began at %s %s before", q.r.TSVal, name(q.x), x.FirstTSVal, seconds(elapsed))
	}, at, 10})
}

// nextIDs is how far an IP identification may have been counted up since the last segment of
// the socket seen: a large segment that the card cuts takes one for each piece.
const nextIDs = 64

// identification compares IPv4's. A Linux socket counts it up by one for each segment, with
// DF; a host without a socket sets 0 (before 4.19 a number of another count), also with DF.
func (q *resetCase) identification(out []trait) []trait {
	x := q.end(q.x)
	if !x.Addr.Is4() || q.r.TTL == 0 || !x.BeforeEnd.Seen() {
		return out // of a text without -v nothing is known
	}
	if r, ok := q.e.notes.wires.of(q.r.Frame); ok && !r.DF {
		q.beside(func(f *flow.Frame, w *wire) bool {
			if w.DF {
				out = append(out, trait{func() string { return fmt.Sprintf("it lacks the DF bit that the %s's other segments carry", name(q.x)) }, shownIn(q.r.Frame, f.Frame), 7})
			}
			return true
		})
	}
	base, frame := x.IPID, x.BeforeEnd.Frame
	for i := range q.frames {
		if f := &q.frames[i]; f.From == q.x && f.IPID == base && !has(f, segment.RST) && !f.Rebuilt {
			frame = f.Frame
		}
	}
	if base == 0 || frame == x.ISN.Frame && q.x == flow.Listener {
		return out // a SYN-ACK has none of the socket's
	}
	at, id := shownIn(q.r.Frame, frame), q.r.IPID
	step := int(int16(id - base))
	switch {
	case step == 0:
		out = append(out, trait{func() string {
			return fmt.Sprintf("it repeats the IP identification %d of another segment, as a box does that copies a header", base)
		}, at, 4})
	case id != 0 && (frame < q.r.Frame && step > 0 || frame > q.r.Frame && step < 0) && max(step, -step) <= nextIDs:
		out = append(out, trait{func() string {
			return fmt.Sprintf("its IP identification %d and that of the %s's segment beside it, %d, are of one count", id, name(q.x), base)
		}, at, -12})
	case q.bare || !q.exact:
	case q.linux():
		out = append(out, trait{func() string {
			return fmt.Sprintf("its IP identification is %d, and that of the %s's segment beside it %d: a Linux socket counts by one", id, name(q.x), base)
		}, at, 8})
	default:
		out = append(out, trait{func() string {
			return fmt.Sprintf("its IP identification is %d, and that of the %s's segment beside it %d", id, name(q.x), base)
		}, at, 3})
	}
	return out
}

// tooSoon: the RST acknowledges data that cannot have been at the end yet.
func (q *resetCase) tooSoon(out []trait) []trait {
	o, l := q.end(flow.Opener), q.end(flow.Listener)
	sent := q.before.Ends[q.y].SndNxt
	if q.x != flow.Listener || q.bare || !o.ISN.Seen() || !l.ISN.Seen() || l.ISNImplied || !sent.Seen() || q.r.Ack != sent.Num || q.e.capture.Timeless {
		return out
	}
	trip, gap := l.ISN.Since(o.ISN.Point), q.r.Point().Since(sent.Point)
	answers := 1
	if s := o.SRTT; s > 0 {
		trip = min(trip, s)
		if (s - 2*o.RTTVar).Abs() > 2*time.Microsecond {
			answers = 2 // with a single sample the deviation is half of it (RFC 6298 §2.2)
		}
	}
	for i := range q.frames {
		if f := &q.frames[i]; isSYN(f) && f.Frame != o.ISN.Frame {
			return out // which SYN the SYN-ACK answered is not sure
		}
	}
	if gap < 0 || trip < 3*time.Millisecond || 3*gap > trip {
		return out
	}
	return append(out, trait{func() string {
		return fmt.Sprintf("it acknowledges data sent only %s before, and the way to the %s and back takes %s", micro(gap), name(q.x), micro(trip))
	}, shownIn(sent.Frame, q.r.Frame, l.ISN.Frame), hasty(gap, trip, answers)})
}

// hasty weighs an answer that comes sooner than an end is known to answer, by how many answers that
// is known. The first packet of all is often slow by itself: an address to be resolved, a switch
// that learns the flow, a radio that wakes up.
func hasty(gap, trip time.Duration, answers int) int {
	switch {
	case answers < 2:
		return fairTrait
	case 10*gap < trip && trip-gap > 10*time.Millisecond:
		return 24
	}
	return strongTrait
}

// goesOn: the end sends more behind the number at which the RST ended it.
func (q *resetCase) goesOn(out []trait) []trait {
	for _, f := range q.after(q.x, q.r.Frame) {
		if has(f, segment.RST) || has(f, segment.SYN) || f.Rebuilt || !f.End().After(q.r.Seq) || !q.exact {
			continue
		}
		if q.bare && f.Point().Since(q.r.Point()) < 50*time.Millisecond {
			continue // it may have been under way
		}
		return append(out, trait{func() string {
			return fmt.Sprintf("the %s goes on behind the RST's number: a socket that was reset does not", name(q.x))
		}, shownIn(q.r.Frame, f.Frame), strongTrait})
	}
	return out
}

// hostTraits compares a RST that refuses a SYN with what else the capture shows of the host: its
// TTL, its neighbour on the link, and how fast it answers.
func (e *Engine) hostTraits(a segment.Addr, syn, r *flow.Frame) []trait {
	var out []trait
	own, told := e.notes.wires.of(r.Frame)
	ttl, mac := false, !told || own.SrcMAC == (segment.MAC{})
	var quickest time.Duration
	var at uint64
	seen, answers := 0, 0
	for _, h := range e.startsOf(a) {
		x := &h.c.Ends[h.side]
		if x.ISN.Frame == r.Frame {
			continue
		}
		seen++
		if !ttl && x.TTL != 0 && r.TTL != 0 {
			ttl = true
			t := trait{func() string { return fmt.Sprintf("it has the TTL %d of other segments of %s", r.TTL, a) }, shownIn(r.Frame, x.ISN.Frame), -1}
			if x.TTL != r.TTL {
				t = trait{func() string { return fmt.Sprintf("its TTL is %d, other segments of %s have %d", r.TTL, a, x.TTL) }, shownIn(r.Frame, x.ISN.Frame), alienTrait}
			}
			out = append(out, t)
		}
		if w, ok := e.notes.wires.of(x.ISN.Frame); ok && !mac && w.SrcMAC != (segment.MAC{}) {
			if mac = true; w.SrcMAC != own.SrcMAC {
				out = append(out, trait{func() string {
					return fmt.Sprintf("its frame comes from %s on the link, other frames of %s from %s", own.SrcMAC, a, w.SrcMAC)
				}, shownIn(r.Frame, x.ISN.Frame), alienTrait})
			}
		}
		if o := &h.c.Ends[flow.Opener]; h.side == flow.Listener && o.ISN.Seen() && !o.ISNImplied && o.Retransmits == 0 {
			answers++
			if d := x.ISN.Since(o.ISN.Point); d > 0 && (quickest == 0 || d < quickest) {
				quickest, at = d, x.ISN.Frame
			}
		}
		if seen >= hostSample {
			break
		}
	}
	if d := r.Point().Since(syn.Point()); d >= 0 && quickest > 3*time.Millisecond && 3*d < quickest && !e.capture.Timeless {
		out = append(out, trait{func() string {
			return fmt.Sprintf("it comes %s after the SYN, and %s took %s at the least to answer another", micro(d), a, micro(quickest))
		}, shownIn(syn.Frame, r.Frame, at), hasty(d, quickest, answers)})
	}
	slices.SortStableFunc(out, func(a, b trait) int { return cmp.Compare(b.weight, a.weight) })
	return out
}

// hostSample is how many handshakes of a host a RST is compared with.
const hostSample = 16
