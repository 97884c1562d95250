package diagnose

import (
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxNotes bounds what is remembered of ICMP errors and of ARP, each.
const maxNotes = 4096

// maxPerTuple is how many ICMP errors about one four-tuple are kept.
const maxPerTuple = 4

// notes is what other frames than TCP's say about connections.
type notes struct {
	icmp  map[tuple][]segment.Note
	asked map[segment.Addr][]segment.Note // who-has, by the address asked for
	isAt  map[segment.Addr]bool
	wires wireList
	count int
}

// forgetNotes makes room among the notes by those before a time, where an engine goes on
// without an end.
func (x *notes) forgetNotes(before int64) {
	old := func(l []segment.Note) bool { return l[len(l)-1].Time < before }
	if x.count >= maxNotes {
		for k, l := range x.icmp {
			if old(l) {
				x.count -= len(l)
				delete(x.icmp, k)
			}
		}
	}
	if len(x.asked) >= maxNotes {
		for k, l := range x.asked {
			if old(l) {
				delete(x.asked, k)
			}
		}
	}
	if len(x.isAt) >= maxNotes {
		clear(x.isAt)
	}
}

// tuple is a four-tuple in the direction of the segment that was quoted.
type tuple struct{ src, dst segment.Endpoint }

// Note takes a frame that is no TCP and yet says something about a connection.
func (e *Engine) Note(n segment.Note) {
	x := &e.notes
	if x.icmp == nil {
		x.icmp, x.asked, x.isAt = map[tuple][]segment.Note{}, map[segment.Addr][]segment.Note{}, map[segment.Addr]bool{}
	}
	if e.settled.used {
		x.forgetNotes(n.Time - int64(remember))
	}
	switch n.Kind {
	case segment.NoteICMP:
		k := tuple{n.Quoted.Src, n.Quoted.Dst}
		if x.count < maxNotes && len(x.icmp[k]) < maxPerTuple {
			x.icmp[k] = append(x.icmp[k], n)
			x.count++
		}
	case segment.NoteWhoHas:
		if l := x.asked[n.Addr]; len(x.asked) < maxNotes && len(l) < maxPerTuple {
			x.asked[n.Addr] = append(l, n)
		}
	case segment.NoteIsAt:
		if len(x.isAt) < maxNotes {
			x.isAt[n.Addr] = true
		}
	case segment.NoteUnknown:
	}
}

// Seen takes what the frame of a SYN, FIN or RST shows of its sender. It reports
// whether more are wanted.
func (e *Engine) Seen(s *segment.Segment, w segment.Wire) bool {
	if e.settled.used {
		e.notes.wires.forget()
	}
	if w.Known && !e.notes.wires.full() {
		e.notes.wires.add(wire{w, s.Frame, s.Src.Addr})
	}
	return !e.notes.wires.full()
}

// icmpAbout returns the errors about what a side sent.
func (l *life) icmpAbout(s flow.Side) []segment.Note {
	return l.e.notes.icmp[tuple{l.end(s).Endpoint, l.end(s.Other()).Endpoint}]
}

// icmpWords names an error, and the cause that it speaks for: rejected-by-filter,
// host-down, large-segments-lost; "" for others.
func icmpWords(n *segment.Note) (says, cause string) {
	if n.From.Is4() {
		return icmp4Words(n)
	}
	return icmp6Words(n)
}

func icmp4Words(n *segment.Note) (says, cause string) {
	switch n.Type {
	case 3:
		switch n.Code {
		case 0, 6, 11:
			return "network unreachable", "host-down"
		case 1, 7, 12:
			return "host unreachable", "host-down"
		case 2:
			return "protocol unreachable", "rejected-by-filter"
		case 3:
			return "port unreachable", "rejected-by-filter"
		case 4:
			return fmt.Sprintf("fragmentation needed, MTU %d", n.MTU), "large-segments-lost"
		case 9, 10, 13:
			return "administratively prohibited", "rejected-by-filter"
		}
		return fmt.Sprintf("unreachable, code %d", n.Code), "host-down"
	case 11:
		return "time to live exceeded (a routing loop, or too long a path)", "host-down"
	}
	return fmt.Sprintf("ICMP type %d, code %d", n.Type, n.Code), ""
}

func icmp6Words(n *segment.Note) (says, cause string) {
	switch n.Type {
	case 1:
		switch n.Code {
		case 0:
			return "no route to destination", "host-down"
		case 1, 5, 6:
			return "administratively prohibited", "rejected-by-filter"
		case 4:
			return "port unreachable", "rejected-by-filter"
		}
		return "address unreachable", "host-down"
	case 2:
		return fmt.Sprintf("packet too big, MTU %d", n.MTU), "large-segments-lost"
	case 3:
		return "hop limit exceeded (a routing loop, or too long a path)", "host-down"
	}
	return fmt.Sprintf("ICMPv6 type %d, code %d", n.Type, n.Code), ""
}

// icmpEvidence words an error as evidence.
func icmpEvidence(n *segment.Note) report.Evidence {
	says, _ := icmpWords(n)
	return note(fmt.Sprintf("%s answers with ICMP: %s; it quotes the segment %s → %s, seq %s", n.From, says, n.Quoted.Src, n.Quoted.Dst, n.Quoted.Seq), n.Frame)
}

// toldBy answers for a SYN about which an ICMP error came, or for whose destination nobody
// answers on the link; nil where there is neither.
func (l *life) toldBy() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	if !o.ISN.Seen() || s.Segments > 0 {
		return nil
	}
	for _, n := range l.icmpAbout(flow.Opener) {
		says, cause := icmpWords(&n)
		if n.Frame < o.ISN.Frame || cause == "" || cause == "large-segments-lost" || n.Quoted.Seq != o.ISN.Num && !l.c.Relative {
			continue
		}
		question := "connect-refused"
		if cause == "host-down" {
			question = "connect-silent"
		}
		f := l.finding(question, flow.Listener, o.ISN.Point, o.ISN.Frame, n.Frame)
		f.asks = fmt.Sprintf("Why was the SYN in frame %d answered with an ICMP error?", o.ISN.Frame)
		who := "a box on the path"
		if n.From == s.Addr {
			who = "the host itself"
		}
		ss := l.e.stories(8)
		st := story{cause: cause, stands: report.StaysOpen, evidence: []report.Evidence{icmpEvidence(&n)}, says: fmt.Sprintf("%s (%s) says: %s.", n.From, who, says)}
		if cause == "host-down" {
			st.verdict = fmt.Sprintf("The SYN cannot be delivered: %s (%s) says in frame %d: %s.", n.From, who, n.Frame, says)
		} else {
			st.verdict = fmt.Sprintf("A filter refuses the connection: %s (%s) says in frame %d: %s. A port without a listener would have been answered with a RST.", n.From, who, n.Frame, says)
		}
		ss.add(st)
		return l.finish(f, ss)
	}
	return l.unansweredARP()
}

// unansweredARP: somebody asks the link for the server's address, and nobody answers.
func (l *life) unansweredARP() *finding {
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	x := &l.e.notes
	asked := x.asked[s.Addr]
	if len(asked) < 2 || x.isAt[s.Addr] {
		return nil
	}
	f := l.finding("connect-silent", flow.Listener, o.ISN.Point, o.ISN.Frame)
	f.asks = fmt.Sprintf("Why did nothing answer the SYN in frame %d?", o.ISN.Frame)
	var frames []uint64
	for _, n := range asked {
		frames = append(frames, n.Frame)
	}
	ss := l.e.stories(8)
	ss.add(story{cause: "host-down", stands: report.StaysOpen, evidence: []report.Evidence{note(fmt.Sprintf("%s is asked for on the link %d times, and nobody answers", s.Addr, len(asked)), frames...)},
		says: "Nobody on the link has the address.", verdict: fmt.Sprintf("The host is not there: nobody on the link answers for %s.", s.Addr)})
	missed := assumeNotCaptured
	missed.Cost += 2 * (len(asked) - 1)
	ss.add(story{cause: "not-captured", stands: report.StaysOpen, assumes: []Assumption{missed}, says: "The answer may be missing from the capture."})
	return l.finish(f, ss)
}
