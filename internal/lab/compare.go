package lab

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func seqOf(n uint32) seq.Num { return seq.Of(n) }

// Difference is a field in which the kernel did other than the model said.
type Difference struct {
	Field     string `json:"field"`
	Predicted string `json:"predicted"`
	Observed  string `json:"observed"`
}

// flagsOf returns the flags of a reply.
func flagsOf(r kernel.Reply) segment.Flags {
	switch r.Kind {
	case kernel.ReplyACK:
		return segment.ACK
	case kernel.ReplySYNACK:
		return segment.SYN | segment.ACK
	case kernel.ReplyRST:
		if r.HasACK {
			return segment.RST | segment.ACK
		}
		return segment.RST
	case kernel.NoReply:
	}
	return 0
}

// compare holds the answers of the kernel, to a segment sent at a time, against
// the reply predicted.
func compare(r kernel.Reply, got []segment.Segment, n *Numbers, sent int64) (diffs []Difference) {
	if r.Kind == kernel.NoReply {
		if len(got) > 0 {
			return []Difference{{"reply", "none", text(&got[0])}}
		}
		return nil
	}
	if len(got) == 0 {
		return []Difference{{"reply", r.Kind.String(), "none"}}
	}
	s := &got[0]
	// A SYN with ECE and CWR is answered with ECE, whatever else is.
	if f := s.Flags &^ segment.ECE; f != flagsOf(r) {
		return []Difference{{"flags", flagsOf(r).String(), s.Flags.String()}}
	}
	add := func(field string, want kernel.Num, got seq.Num) {
		if want.Known && want.Num != got {
			diffs = append(diffs, Difference{field, want.String(), got.String()})
		}
	}
	add("seq", r.Seq, s.Seq)
	add("ack", r.Ack, s.Ack)
	add("window", r.Window, seqOf(uint32(s.Window)))
	switch {
	case r.NoTS && s.HasTS():
		diffs = append(diffs, Difference{"timestamps", "none", "TSecr " + s.TSEcr.String()})
	case r.TSEcr.Known && !s.HasTS():
		diffs = append(diffs, Difference{"timestamps", "TSecr " + r.TSEcr.String(), "none"})
	case r.TSEcr.Known:
		add("tsecr", r.TSEcr, s.TSEcr)
	}
	if s.Len != 0 {
		diffs = append(diffs, Difference{"len", "0", fmt.Sprint(s.Len)})
	}
	if len(got) > 1 {
		diffs = append(diffs, Difference{"replies", "1", fmt.Sprint(len(got))})
	}
	if d, ok := compareISN(r, s, n, sent); !ok {
		diffs = append(diffs, d)
	}
	return diffs
}

// isnTolerance is how far from the clock line a fresh ISN may lie beyond what
// the times of the segments leave open, in steps of 64 ns.
const isnTolerance = int64(20 * time.Millisecond / 64)

// compareISN holds a fresh ISN against the clock line of its four-tuple, which is
// known where that was answered before; the kernel drew each of the two between a
// SYN and its answer. An inherited ISN has its number, and a cookie shows in that
// no request is left behind.
func compareISN(r kernel.Reply, s *segment.Segment, n *Numbers, sent int64) (Difference, bool) {
	if r.Kind != kernel.ReplySYNACK || r.ISN != kernel.ISNFresh || n.ISNTime == 0 {
		return Difference{}, true
	}
	least, most := (sent-n.ISNTime)/64-isnTolerance, (s.Time-n.ISNAsked)/64+isnTolerance
	line := n.ISN.Add(uint32(least))
	if int64(s.Seq.Ahead(line)) > most-least {
		return Difference{"isn", "on the clock line from " + line.String(), s.Seq.String()}, false
	}
	return Difference{}, true
}

func text(s *segment.Segment) string { return string(segment.AppendPacketdrill(nil, s)) }
