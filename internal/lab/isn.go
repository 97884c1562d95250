package lab

import (
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// Origin is where the number of a SYN-ACK came from, as it was seen.
type Origin uint8

// The origins that can be told apart from outside. Elsewhere is a number of a
// pending request that is none of the others.
const (
	NoSYNACK  Origin = iota
	Inherited        // snd_nxt + 65537 of the TIME_WAIT that accepted the SYN
	LeftOver         // the same number, of a TIME_WAIT on another four-tuple
	ClockLine        // on the clock line of its four-tuple
	Cookie           // neither inherited nor left over, and no request stands behind it
	Fresh            // none of these, where the four-tuple has no clock line yet
	Elsewhere        // none of these, where it has one
)

var originNames = [...]string{
	NoSYNACK: "no SYN-ACK", Inherited: "inherited", LeftOver: "left over", ClockLine: "clock line", Cookie: "cookie",
	Fresh: "fresh", Elsewhere: "elsewhere",
}

// String names the origin as the results do.
func (o Origin) String() string { return originNames[o] }

// ISNCell is one row of what was tried about initial sequence numbers.
type ISNCell struct {
	// What arrived: "SYN into TIME_WAIT", "another client's SYN after SYN+FIN into
	// TIME_WAIT", "the next client's SYN".
	What       string `json:"what"`
	Family     string `json:"family"`     // "IPv4"; with two clients "IPv4, then IPv6"
	SynCookies int    `json:"syncookies"` // net.ipv4.tcp_syncookies
	// Predicted is the origin that the model names; empty where it names none.
	Predicted string         `json:"predicted"`
	Seen      map[string]int `json:"seen"` // SYN-ACKs by Origin
}

// Mismatches is how many SYN-ACKs had another origin than the model said.
func (c *ISNCell) Mismatches() int {
	n := 0
	for origin, count := range c.Seen {
		if c.Predicted != "" && origin != c.Predicted {
			n += count
		}
	}
	return n
}

// what arrives in the cells.
const (
	intoTimeWait = "SYN into TIME_WAIT"
	afterSYNFIN  = "another client's SYN after SYN+FIN into TIME_WAIT"
	afterThat    = "the next client's SYN"
)

// originOf is what a predicted reply means for the cell of a four-tuple that was
// answered before.
func originOf(r kernel.Reply) string {
	if r.Kind != kernel.ReplySYNACK {
		return NoSYNACK.String()
	}
	return [...]string{
		kernel.ISNUnknown: "", kernel.ISNInherited: Inherited.String(), kernel.ISNFresh: ClockLine.String(), kernel.ISNCookie: Cookie.String(),
		kernel.ISNLeftOver: LeftOver.String(),
	}[r.ISN]
}

// leftOverPrediction is what the model says of the SYN of another client after a
// SYN+FIN that TIME_WAIT accepted and the listener dropped.
func leftOverPrediction(p *kernel.Profile, cookies int) string {
	switch p.Has(&kernel.LeavesISN).Answer {
	case kernel.Yes:
		return LeftOver.String()
	case kernel.No:
		return freshPrediction(cookies)
	case kernel.Unknown:
	}
	return ""
}

// freshPrediction is what a client gets to which nothing was left.
func freshPrediction(cookies int) string {
	if cookies == 2 {
		return Cookie.String()
	}
	return Fresh.String()
}

// addISN adds a cell to the result, and its differences.
func (r *Result) addISN(c ISNCell, rule string) {
	r.ISNs = append(r.ISNs, c)
	for _, n := range c.Seen {
		r.Probes += n
		r.Rules[rule] += n
	}
	if c.Predicted == "" {
		for _, n := range c.Seen {
			r.Open["the model leaves it open: "+string(kernel.FactKernel)] += n
		}
	}
	n := c.Mismatches()
	if n == 0 {
		return
	}
	r.Mismatches += n
	r.Kinds = append(r.Kinds, Mismatch{
		Key: "TIME_WAIT " + rule + " isn", Count: n,
		Scenario: fmt.Sprintf("# %s, %s, tcp_syncookies=%d\n#   isn: predicted %s, observed %v\n", c.What, c.Family, c.SynCookies, c.Predicted, c.Seen),
	})
}
