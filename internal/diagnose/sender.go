package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// forged adds that a box on the path sent the RST in the end's name, with what the frame
// shows of its origin.
func (q *resetCase) forged(ss *stories) {
	ev, alien := q.otherSide()
	if !alien {
		var more []report.Evidence
		more, alien = q.origin()
		ev = append(ev, more...)
		if alien {
			ev = more
		}
	}
	a := assumeBoxInName
	if q.bare && q.silence < 20*time.Second && !q.xFIN && q.opened() && !ss.has("rto-given-up") {
		a.Cost = 9 // an end that still took part a moment before has not forgotten the connection
	}
	verdict := ""
	if alien {
		a.Cost = 0
		verdict = fmt.Sprintf("The RST did not come from the %s: %s.", name(q.x), ev[0].Says)
		for i := range ss.list { // the others need an explanation for what differs
			if s := &ss.list[i]; s.standing() && s.cause != "middlebox-reset" && s.cause != "out-of-window-ignored" {
				s.assumes = append(s.assumes, assumeOtherRoute)
				s.proven = false
			}
		}
	}
	s := story{cause: "middlebox-reset", stands: report.StaysOpen, assumes: []Assumption{a}, evidence: ev, verdict: verdict,
		says: fmt.Sprintf("A box on the path (firewall, balancer, proxy) may have sent the RST in the name of the %s.", name(q.x))}
	if verdict == "" {
		s.verdict = fmt.Sprintf("A box on the path sent the RST in the name of the %s.", name(q.x))
	}
	ss.add(s)
}

// otherSide looks whether the RST passed the box that translates the connection, where
// the capture shows both of its sides: one that is not on the sender's side was made by the box.
func (q *resetCase) otherSide() ([]report.Evidence, bool) {
	x := q.e.sides[q.c.ID]
	if x == nil || q.e.capture.Misses {
		return nil, false
	}
	own := q.c.First.Frame < x.First.Frame // the client's side of the box
	if own == (q.x == flow.Opener) {
		return nil, false // this is the sender's own side
	}
	o, l := &x.Ends[flow.Opener], &x.Ends[flow.Listener]
	if r := x.Ends[q.x].RST; r.Seen() {
		return []report.Evidence{noteNo(fmt.Sprintf("the RST is also on the %s's side of the translation (%s → %s)", name(q.x), o.Endpoint, l.Endpoint), r.Frame, q.r.Frame)}, false
	}
	return []report.Evidence{note(fmt.Sprintf("on the %s's side of the translation (%s → %s) there is no RST", name(q.x), o.Endpoint, l.Endpoint), q.r.Frame, x.LastSeen.Frame)}, true
}

// hardware: the frame of the RST came from another neighbour on the link than that
// end's other frames.
func (q *resetCase) hardware() []report.Evidence {
	r, ok := q.e.notes.wires[q.r.Frame]
	if !ok || r.SrcMAC == (segment.MAC{}) {
		return nil
	}
	for i := range q.frames {
		f := &q.frames[i]
		w, ok := q.e.notes.wires[f.Frame]
		if !ok || f.From != q.x || has(f, segment.RST) || w.SrcMAC == (segment.MAC{}) {
			continue
		}
		if w.SrcMAC == r.SrcMAC {
			return nil
		}
		return []report.Evidence{note(fmt.Sprintf("its frame comes from %s on the link, the %s's other frames from %s", r.SrcMAC, name(q.x), w.SrcMAC), q.r.Frame, f.Frame)}
	}
	return nil
}

// origin compares the RST with that end's other frames: alien tells that it was on another way.
func (q *resetCase) origin() (ev []report.Evidence, alien bool) {
	var other *flow.Frame
	for i := range q.frames {
		f := &q.frames[i]
		if f.From == q.x && !has(f, segment.RST) && f.TTL != 0 {
			other = f
		}
	}
	ttl, frame := q.end(q.x).TTL, q.end(q.x).ISN.Frame
	if other != nil {
		ttl, frame = other.TTL, other.Frame
	}
	if ev := q.hardware(); ev != nil {
		return ev, true
	}
	if ttl == 0 || q.r.TTL == 0 || q.end(q.x).Segments < 2 {
		return nil, false
	}
	if d := int(q.r.TTL) - int(ttl); d != 0 {
		return []report.Evidence{note(fmt.Sprintf("its TTL is %d, the %s's other segments have %d", q.r.TTL, name(q.x), ttl), q.r.Frame, frame)}, true
	}
	return []report.Evidence{noteNo(fmt.Sprintf("the RST has the TTL %d of the %s's other segments", ttl, name(q.x)), q.r.Frame, frame)}, false
}
