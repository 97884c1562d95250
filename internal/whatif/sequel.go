package whatif

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Sequel is what follows where TIME_WAIT answered a SYN with an ACK: what the
// opener makes of that ACK, what its RST does here, and what the repeated SYN then
// meets, if nothing is lost.
type Sequel struct {
	Openers []OpenerSays `json:"openers"`
	There   []ThereSays  `json:"there"`
}

// OpenerSays is a set of openers' kernels that react alike.
type OpenerSays struct {
	Kernels string `json:"kernels"`
	Rule    string `json:"rule"`
	Says    string `json:"says"`
	// AgainS is when the SYN is repeated: seconds after the first, or after the ACK
	// where AtOnce is yes. 0: not predicted.
	AgainS float64 `json:"again_s,omitempty"`
	AtOnce string  `json:"at_once"`

	profile  kernel.Profile // one of them
	set      []kernel.Profile
	reaction connect.Reaction
}

// ThereSays is what becomes of the opener's RST and of its second SYN, for a set of
// kernels here and a set of openers.
type ThereSays struct {
	Kernels string `json:"kernels"`
	Openers string `json:"openers"`
	RST     string `json:"rst"`
	// SYN is what the repeated SYN gets; empty where it is not known when it leaves.
	SYN string `json:"syn,omitempty"`

	set, openers []kernel.Profile
}

// sequel works out what follows on the given kernels; nil where nothing of the kind does.
func (q *Question) sequel(hosts []kernel.Profile) *Sequel {
	if q.state.name != "time-wait" || !bareSYN(q.segment.Flags) {
		return nil
	}
	out := &Sequel{}
	alike := map[string][]kernel.Profile{} // hosts, by all that they do with every opener
	var order []string
	rows := map[string][]ThereSays{}
	for _, p := range hosts {
		one := *q
		one.host.Profile = p
		mine := one.there(out)
		if mine == nil {
			continue
		}
		var key strings.Builder
		for _, t := range mine {
			fmt.Fprintf(&key, "%s; %s; %v\n", t.RST, t.SYN, t.openers)
		}
		if _, ok := rows[key.String()]; !ok {
			order, rows[key.String()] = append(order, key.String()), mine
		}
		alike[key.String()] = append(alike[key.String()], p)
	}
	if out.Openers == nil {
		return nil
	}
	for _, k := range order {
		for _, t := range rows[k] {
			t.set = alike[k]
			t.Kernels, t.Openers = kernelWords(t.set), kernelWords(t.openers)
			out.There = append(out.There, t)
		}
	}
	return out
}

// there follows every opener on one kernel; openers that meet the same stand together.
func (q *Question) there(s *Sequel) (out []ThereSays) {
	// Only the socket in TIME_WAIT is followed, not what stands for its absence.
	for _, o := range timewait.Decide(q.timeWaitCase(timewait.TimeWait)).Possible {
		if o.Reply.Kind != kernel.ReplyACK || !o.Reply.Ack.Known {
			continue
		}
		if s.Openers == nil {
			s.Openers = q.openers(o.Reply)
		}
		for i := range s.Openers {
			row := q.meets(o, &s.Openers[i])
			j := slices.IndexFunc(out, func(t ThereSays) bool { return t.RST == row.RST && t.SYN == row.SYN })
			if j < 0 {
				j, out = len(out), append(out, row)
			}
			for _, p := range s.Openers[i].set {
				if !slices.Contains(out[j].openers, p) {
					out[j].openers = append(out[j].openers, p)
				}
			}
		}
	}
	return out
}

func kernelWords(set []kernel.Profile) string {
	if len(set) == 1 && !set[0].Known() {
		return set[0].String()
	}
	return kernel.Words(set)
}

// openers groups the kernels that the opener may run by how they react to the ACK.
func (q *Question) openers(ack kernel.Reply) (out []OpenerSays) {
	profiles := []kernel.Profile{q.peer}
	if !q.peer.Known() {
		profiles = kernel.Candidates()
	}
	for _, p := range profiles {
		c := &connect.SynSent{
			ISS: q.segment.Seq, Data: q.segment.Len, Repeated: kernel.No, Inherits: kernel.No, Segment: ackSegment(ack),
			Host: kernel.Host{Profile: p, Timestamps: kernel.If(q.segment.HasTS())},
		}
		if q.segment.HasTS() {
			c.FirstTSVal, c.LastTSVal = kernel.Known(q.segment.TSVal), kernel.Known(q.segment.TSVal)
		}
		for _, o := range connect.React(c).Possible {
			says := reactionOutcome(&c.Host, o).Says
			i := slices.IndexFunc(out, func(s OpenerSays) bool { return s.Says == says && s.Rule == o.Rule })
			if i < 0 {
				i = len(out)
				out = append(out, OpenerSays{Rule: o.Rule, Says: says, AgainS: o.Again.Nominal.Seconds(), AtOnce: o.Resends.String(), profile: p, reaction: o})
			}
			out[i].set = append(out[i].set, p)
		}
	}
	for i := range out {
		out[i].Kernels = kernelWords(out[i].set)
	}
	return out
}

// ackSegment is the ACK as it arrives.
func ackSegment(r kernel.Reply) segment.Segment {
	s := segment.Segment{Flags: segment.ACK, Seq: r.Seq.Num, Ack: r.Ack.Num, Window: uint16(r.Window.Uint32())}
	if r.TSEcr.Known {
		s.Options, s.TSEcr = segment.OptTimestamps, r.TSEcr.Num
	}
	return s
}

// meets follows one opener's RST and second SYN through what the TIME_WAIT is after o.
func (q *Question) meets(o timewait.Outcome, by *OpenerSays) ThereSays {
	c := q.timeWaitCase(timewait.TimeWait)
	c.Socket = o.After
	var rst, syn []string
	add := func(to *[]string, says, rule string) {
		if text := says + " [" + rule + "]"; !slices.Contains(*to, text) {
			*to = append(*to, text)
		}
	}
	after := []timewait.Outcome{o}
	if by.reaction.Reply.Kind == kernel.ReplyRST {
		c.Segment = segment.Segment{Flags: segment.RST, Seq: by.reaction.Reply.Seq.Num}
		after = timewait.Decide(c).Possible
		for _, x := range after {
			add(&rst, timeWaitOutcome(c, x).Says, x.Rule)
		}
	}
	if again := by.reaction.Again.Nominal; again > 0 {
		for _, x := range after {
			q.secondSYN(x, by.profile, again, func(says, rule string) { add(&syn, says, rule) })
		}
	}
	return ThereSays{RST: strings.Join(rst, ", or "), SYN: strings.Join(syn, ", or ")}
}

// secondSYN asks what the repeated SYN meets after x.
func (q *Question) secondSYN(x timewait.Outcome, opener kernel.Profile, again time.Duration, tell func(says, rule string)) {
	later := *q
	later.at += again
	if q.segment.HasTS() && opener.Has(&kernel.MillisecondTimestamps).Answer == kernel.Yes {
		later.segment.TSVal = seq.Of(q.segment.TSVal.Uint32() + uint32(again/time.Millisecond))
	}
	if x.Gone {
		for _, o := range later.listener(listen.Gate{}).Outcomes {
			tell(o.Says, o.Rule)
		}
		return
	}
	c := later.timeWaitCase(timewait.TimeWait)
	c.Socket = x.After
	for _, o := range timewait.Decide(c).Possible {
		tell(timeWaitOutcome(c, o).Says, o.Rule)
	}
}
