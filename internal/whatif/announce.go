package whatif

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Announced is what a SYN or SYN-ACK says of its sender beside sequence numbers. What is
// absent is not predicted.
type Announced struct {
	Window *uint32 `json:"window,omitempty"` // the header's field, never scaled here
	// Options are those that it carries, in their order on the wire; fillers aside.
	Options []string `json:"options,omitempty"`
	MSS     *uint32  `json:"mss,omitempty"`
	WScale  *uint32  `json:"wscale,omitempty"`
	TSEcr   *uint32  `json:"ts_ecr,omitempty"`
	// Its own number lies between these two, where it is drawn from the clock line.
	SeqFrom *uint32 `json:"seq_from,omitempty"`
	SeqTo   *uint32 `json:"seq_to,omitempty"`
	// Its TSval lies between these two.
	TSValFrom *uint32 `json:"ts_val_from,omitempty"`
	TSValTo   *uint32 `json:"ts_val_to,omitempty"`
	// TSTick and TSOffset are how the TSvals of this kernel run.
	TSTick   string   `json:"ts_tick,omitempty"`
	TSOffset string   `json:"ts_offset,omitempty"`
	Because  []string `json:"because,omitempty"`
}

// announceKeys are the settings that matter only to what is announced.
var announceKeys = []string{"mss", "seen_isn", "seen_tsval", "seen", "seen_on"}

// offering is what the host makes its offer from.
func (q *Question) offering() listen.Offering {
	return listen.Offering{Host: q.host, MSS: uint16(q.values.num("mss").Uint32()), Rmem: q.rmem, RmemMax: q.rmemMax, Roomy: q.values.answer("roomy")}
}

// announceAnswer adds what the SYN-ACK announces that answers the segment.
func (q *Question) announceAnswer(out *Outcome, r kernel.Reply) {
	o := q.offering()
	o.SYN = &q.segment
	switch r.ISN {
	case kernel.ISNCookie:
		o.Cookie = kernel.Yes
	case kernel.ISNUnknown:
	case kernel.ISNInherited, kernel.ISNFresh, kernel.ISNLeftOver:
		o.Cookie = kernel.No
	}
	q.announce(out, o, r.ISN == kernel.ISNFresh)
}

// announce adds what a SYN-ACK, or a SYN, announces to an outcome; fresh: its number is
// drawn from the clock line.
func (q *Question) announce(out *Outcome, o listen.Offering, fresh bool) {
	if !q.announces && q.state.name != "connect" {
		return
	}
	f := o.Offer()
	a := &Announced{Window: pointer(f.Window), MSS: pointer(f.MSS), WScale: pointer(f.WScale), TSEcr: pointer(f.TSEcr)}
	if f.Options != nil {
		a.Options = []string{}
	}
	for _, x := range f.Options {
		a.Options = append(a.Options, optionWords[x])
	}
	for _, r := range f.Reads {
		if r.Missing == listen.FactRmem && !slices.Contains(f.Options, segment.OptWScale) {
			continue // it offers none
		}
		a.Because = append(a.Because, r.Because())
		if r.Answer == kernel.Unknown {
			out.missing = append(out.missing, r.Missing)
		}
	}
	switch {
	case !slices.Contains(f.Options, segment.OptMSS):
	case !f.MSS.Known:
		out.missing = append(out.missing, factMSS)
	}
	if !slices.Contains(f.Options, segment.OptWScale) {
		a.WScale = nil
	}
	if slices.Contains(f.Options, segment.OptTimestamps) {
		q.stamps(out, a, o.Cookie != kernel.No && o.SYN != nil)
	}
	if fresh {
		q.number(out, a)
	}
	out.Announces = a
	out.Says += "; announces " + a.words()
}

// factMSS is what the MSS that is announced depends on.
const factMSS kernel.Fact = "the MTU of the device"

var optionWords = map[segment.Options]string{
	segment.OptMSS: "mss", segment.OptSACKPermitted: "sackOK", segment.OptTimestamps: "TS", segment.OptWScale: "wscale",
}

// number bounds the number of a new connection where another of the same four-tuple is
// known, by the clock that draws both.
func (q *Question) number(out *Outcome, a *Announced) {
	seen := q.values["seen"]
	if !q.values.num("seen_isn").Known || !seen.set || q.values["seen_on"].sharing != listen.SameTuple {
		return
	}
	r := q.host.Profile.Has(&kernel.ClockISN)
	a.Because = append(a.Because, r.Because())
	switch r.Answer {
	case kernel.Yes:
		l := listen.OnClockLine(q.values.num("seen_isn").Num, q.values.num("seen_isn").Num, seen.ago, 0)
		a.SeqFrom, a.SeqTo = pointer(kernel.Known(l.Predicted.Add(-l.Tolerance))), pointer(kernel.Known(l.Predicted.Add(l.Tolerance)))
	case kernel.Unknown:
		out.missing = append(out.missing, r.Missing)
	case kernel.No:
	}
}

// stamps says how TSvals run, and bounds this one where another of the host is known.
func (q *Question) stamps(out *Outcome, a *Announced, cookie bool) {
	c := listen.ClocksOf(q.host.Profile)
	a.TSTick, a.TSOffset = "1 ms", c.Offset.String()
	if c.MaxTick > c.MinTick {
		a.TSTick = "1 to 10 ms (a jiffy)"
	}
	for _, b := range []*kernel.Behaviour{&kernel.MillisecondTimestamps, &kernel.OffsetsTimestamps, &kernel.OffsetPerTuple} {
		if r := q.host.Profile.Has(b); r.Answer == kernel.Unknown {
			out.missing = append(out.missing, kernel.FactKernel)
			a.Because = append(a.Because, r.Because())
		}
	}
	seen := q.values["seen"]
	if !q.values.num("seen_tsval").Known || !seen.set {
		return
	}
	if c.OneLine(q.values["seen_on"].sharing) != kernel.Yes {
		a.Because = append(a.Because, "its TSval is not known to lie on the line of the one that was seen")
		return
	}
	from, to := c.TSVal(q.values.num("seen_tsval").Num, seen.ago)
	if cookie { // which may put its options into the six low bits
		from = from.Add(^uint32(63) + 1)
	}
	a.TSValFrom, a.TSValTo = pointer(kernel.Known(from)), pointer(kernel.Known(to))
}

// words tell it as packetdrill would, ? for what is not predicted.
func (a *Announced) words() string {
	say := func(n *uint32) string {
		if n == nil {
			return "?"
		}
		return fmt.Sprint(*n)
	}
	s := "win " + say(a.Window)
	if a.SeqFrom != nil {
		s = "seq " + say(a.SeqFrom) + ".." + say(a.SeqTo) + " " + s
	}
	if a.Options == nil {
		return s + " <?>"
	}
	var options []string
	for _, o := range a.Options {
		switch o {
		case "mss":
			o += " " + say(a.MSS)
		case "wscale":
			o += " " + say(a.WScale)
		case "TS":
			val := say(a.TSValFrom)
			if a.TSValTo != nil {
				val += ".." + say(a.TSValTo)
			}
			o = "TS val " + val + " ecr " + say(a.TSEcr)
		}
		options = append(options, o)
	}
	s += " <" + strings.Join(options, ",") + ">"
	if a.TSTick != "" {
		s += fmt.Sprintf(", TSval tick %s, offset %s", a.TSTick, a.TSOffset)
	}
	return s
}

// opens is the SYN of a host that calls connect() where nothing is left of an older
// connection.
func (q *Question) opens() []Stage {
	out := Outcome{Rule: "opens", Says: "SYN"}
	q.announce(&out, q.offering(), true)
	return []Stage{{Rules: []Rule{}, Outcomes: []Outcome{out}, missing: out.missing}}
}
