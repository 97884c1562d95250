package lab

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Case is one of the cases that Record can make.
type Case struct {
	Name  string `json:"case"`
	Cause string `json:"cause"` // what is set up: a label's cause, or a slug of the program
	Says  string `json:"description"`
	Slow  bool   `json:"slow"` // it takes over a minute
}

// Recorded is a case that was recorded.
type Recorded struct {
	Case
	File    string `json:"file"` // of the capture; the label's is beside it
	Frames  int    `json:"frames"`
	Outcome string `json:"outcome"`
}

// Label is what is known of a recorded capture: what was set up, and what the
// kernel itself said meanwhile. testdata/corpus/README.md has the fields.
type Label struct {
	Scenario    string `json:"scenario"`
	Cause       string `json:"cause"`
	Description string `json:"description"`
	Kernel      string `json:"kernel"`
	Environment string `json:"environment"`
	KernelRole  string `json:"kernel_role"` // server, or client
	Server      string `json:"server"`
	Client      string `json:"client"`
	ClosedFirst string `json:"closed_first"` // server, client, or empty: neither did
	ClientKind  string `json:"client_kind"`
	Timestamps  bool   `json:"timestamps_in_first_connection"`
	// What the kernel remembered of the first connection; nil where there was none.
	OldRcvNxt   *uint32 `json:"old_rcv_nxt,omitempty"`
	OldSndNxt   *uint32 `json:"old_snd_nxt,omitempty"`
	OldTSRecent *uint32 `json:"old_ts_recent,omitempty"`
	KeyFrames   struct {
		FirstClose uint64 `json:"first_close,omitempty"`
		Trigger    uint64 `json:"trigger,omitempty"`
		Reply      uint64 `json:"reply,omitempty"`
	} `json:"key_frames"`
	Steps    []LabelStep          `json:"steps"`
	Sysctls  map[string]string    `json:"sysctls"`
	Changed  map[string]string    `json:"sysctls_changed"`
	Counters map[string][2]uint64 `json:"counters_before_after"` // those that moved
	Capture  struct {
		File    string `json:"file"`
		Frames  int    `json:"frames"`
		Link    string `json:"link"`
		Point   string `json:"point"`
		SnapLen int    `json:"snaplen"`
		Tool    string `json:"tool"`
	} `json:"capture"`
	SecondConnection string `json:"second_connection"`
	Outcome          string `json:"outcome"`
}

// LabelStep is a deciding segment: one of the peer's with the kernel's answers, or
// something that the kernel did by itself.
type LabelStep struct {
	Name  string `json:"name"`
	Frame uint64 `json:"frame,omitempty"` // 0: nothing was sent
	// Milliseconds since the frame of the first close; nil where there was none.
	AfterClose   *float64     `json:"ms_after_close,omitempty"`
	Flags        string       `json:"flags,omitempty"`
	Seq          uint32       `json:"seq"`
	SeqMinusOld  *int32       `json:"seq_minus_old_rcv_nxt,omitempty"`
	TSVal        *uint32      `json:"tsval,omitempty"`
	TSMinusOld   *int32       `json:"tsval_minus_old_ts_recent,omitempty"`
	ServerBefore string       `json:"server_state_before,omitempty"`
	ServerAfter  string       `json:"server_state_after,omitempty"`
	ClientBefore string       `json:"client_state_before,omitempty"`
	ClientAfter  string       `json:"client_state_after,omitempty"`
	Replies      []LabelReply `json:"replies"`
	Observed     string       `json:"observed"`
}

// LabelReply is a segment of the kernel.
type LabelReply struct {
	Frame       uint64  `json:"frame"`
	Delay       float64 `json:"delay_ms"`
	Flags       string  `json:"flags"`
	Seq         uint32  `json:"seq"`
	Ack         *uint32 `json:"ack,omitempty"`
	SeqMinusOld *int32  `json:"seq_minus_old_snd_nxt,omitempty"`
	AckMinusOld *int32  `json:"ack_minus_old_rcv_nxt,omitempty"`
	TSVal       *uint32 `json:"tsval,omitempty"`
	TSEcr       *uint32 `json:"tsecr,omitempty"`
}

// labelFlags writes flags as the labels have them: SYN-ACK, RST, none.
func labelFlags(f segment.Flags) string {
	var out []string
	for _, x := range []struct {
		f    segment.Flags
		name string
	}{
		{segment.SYN, "SYN"}, {segment.FIN, "FIN"}, {segment.RST, "RST"}, {segment.PSH, "PSH"}, {segment.ACK, "ACK"},
	} {
		if f.Has(x.f) {
			out = append(out, x.name)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "-")
}

func ptr[T any](v T) *T { return &v }

// minus is a - b where there was something to subtract from.
func minus(a, b seq.Num, known bool) *int32 {
	if !known {
		return nil
	}
	return ptr(a.Sub(b))
}

// reply describes a segment of the kernel that came after one of a given time. old
// is nil where there was no connection before.
func reply(s *segment.Segment, sent int64, old *Numbers) LabelReply {
	r := LabelReply{
		Frame: s.Frame, Delay: milliseconds(s.Time - sent), Flags: labelFlags(s.Flags), Seq: s.Seq.Uint32(),
	}
	if old != nil {
		r.SeqMinusOld = ptr(s.Seq.Sub(old.SndNxt))
	}
	if s.Flags.Has(segment.ACK) {
		r.Ack = ptr(s.Ack.Uint32())
		if old != nil {
			r.AckMinusOld = ptr(s.Ack.Sub(old.RcvNxt))
		}
	}
	if s.HasTS() {
		r.TSVal, r.TSEcr = ptr(s.TSVal.Uint32()), ptr(s.TSEcr.Uint32())
	}
	return r
}

func milliseconds(ns int64) float64 {
	return float64(time.Duration(ns).Round(time.Microsecond)) / float64(time.Millisecond)
}

// timeWaitISNOffset is what tcp_timewait_state_process adds to snd_nxt for the ISN
// of a connection that it lets in.
const timeWaitISNOffset = 65535 + 2

// observed names the first answer as the labels do.
func observed(got []segment.Segment, old *Numbers) string {
	if len(got) == 0 {
		return "nothing"
	}
	s := &got[0]
	name := labelFlags(s.Flags)
	switch {
	case s.Flags.Has(segment.SYN | segment.ACK):
		if old != nil && s.Seq == old.SndNxt.Add(timeWaitISNOffset) {
			return name + " isn=old_snd_nxt+65537"
		}
		return name + " fresh-isn"
	case old != nil && s.Flags == segment.ACK && s.Seq == old.SndNxt && s.Ack == old.RcvNxt:
		return name + " of-old-connection"
	}
	return name
}

// conclude fills in what follows from the steps.
func (l *Label) conclude() {
	var out []string
	syns, accepted := 0, -1
	last := ""
	for _, s := range l.Steps {
		out = append(out, s.Name+": "+s.Observed)
		if s.Flags != "SYN" {
			continue
		}
		last = s.Observed
		if strings.HasPrefix(s.Observed, "SYN-ACK") && accepted < 0 {
			accepted = syns
		}
		syns++
	}
	l.Outcome = strings.Join(out, "; ")
	switch {
	case syns == 0:
		l.SecondConnection = "no_syn_sent"
	case accepted == 0:
		l.SecondConnection = "accepted_at_once"
	case accepted > 0:
		l.SecondConnection = "accepted_after_retry"
	case strings.HasPrefix(last, "RST"):
		l.SecondConnection = "refused_with_rst"
	case strings.HasPrefix(last, "ACK"):
		l.SecondConnection = "answered_with_ack_only"
	default:
		l.SecondConnection = "no_answer"
	}
}

// marshal writes the label as it is stored.
func (l *Label) marshal() ([]byte, error) {
	b, err := json.MarshalIndent(l, "", " ")
	if err != nil {
		return nil, fmt.Errorf("label %s: %w", l.Scenario, err)
	}
	return append(b, '\n'), nil
}

// choose returns the cases that are asked for, all where no name is given; slow ones
// only if they are named or slow is true.
func choose(all []Case, names []string, slow bool) ([]Case, error) {
	var out []Case
	for _, n := range names {
		if !slices.ContainsFunc(all, func(c Case) bool { return c.Name == n }) {
			return nil, fmt.Errorf("there is no case %q", n)
		}
	}
	for _, c := range all {
		if slices.Contains(names, c.Name) || len(names) == 0 && (slow || !c.Slow) {
			out = append(out, c)
		}
	}
	return out, nil
}
