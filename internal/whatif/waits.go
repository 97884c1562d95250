package whatif

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
)

// Wait is what a socket does by its timers while nothing arrives.
type Wait struct {
	// While says what it waits for.
	While string `json:"while"`
	// What it sends; empty where it sends nothing, and is only over at some time.
	What string `json:"what,omitempty"`
	// AtS are the times of the sendings, in seconds from the first one, which is 0;
	// of keep-alives from the last segment that arrived.
	AtS []float64 `json:"at_s,omitempty"`
	// GiveUpS is when it gives up, at the earliest; 0: never while it is answered.
	GiveUpS float64 `json:"give_up_s,omitempty"`
	// OverS bounds when a socket is over that sends nothing: from, to.
	OverS []float64 `json:"over_s,omitempty"`
	// Because names the behaviours of the kernel that this depends on.
	Because []string `json:"because,omitempty"`
	Source  string   `json:"source"`

	missing []kernel.Fact
}

// waiting are the settings that ladders depend on.
type waiting struct {
	timers.Settings
	idle, interval time.Duration // 0: the default
	probes         int           // the same
	finTimeout     kernel.Duration
}

// waits is what the socket of the state does by its timers.
func (q *Question) waits() []Wait {
	p := q.host.Profile
	switch q.state.name {
	case "connect", "syn-sent":
		return ladders("nothing answers", p, timers.SYNs(p, q.waiting.Settings), &kernel.FirstRTOIsASecond, &kernel.RepeatsSYNSixTimes, &kernel.RepeatsSYNLinearly)
	case "syn-recv":
		return ladders("the ACK of the handshake is missing, and the SYN queue is not half full", p, timers.SYNACKs(p, q.waiting.Settings), &kernel.FirstRTOIsASecond)
	case "time-wait":
		l := q.lifetime()
		w := Wait{While: "nothing arrives: " + l.says, OverS: []float64{l.min.Seconds(), l.max.Seconds()}, Source: "net/ipv4/inet_timewait_sock.c inet_twsk_schedule"}
		if l.max == 0 {
			w.OverS = nil
		}
		if l.missing != "" {
			w.missing = append(w.missing, l.missing)
		}
		return []Wait{w}
	case "fin-wait2":
		return []Wait{q.finWait2Over()}
	}
	return q.connectionWaits()
}

// connectionWaits are the timers of a connection: what it repeats, and what it asks
// while it is idle.
func (q *Question) connectionWaits() []Wait {
	rto := q.values["rto"].ago // 0: the least
	data := ladders("data or a FIN is not acknowledged, and the application holds the socket", q.host.Profile, []timers.Ladder{timers.DataOf(rto, q.waiting.Settings)})
	orphan := ladders("data or a FIN is not acknowledged, and the application has closed the socket", q.host.Profile, []timers.Ladder{timers.OrphanOf(rto, q.waiting.Settings)})
	probes := ladders("there is data to send, and the peer's window is 0", q.host.Profile, []timers.Ladder{timers.WindowProbes(rto)})
	if !q.values["rto"].set {
		for _, w := range [][]Wait{data, orphan, probes} {
			w[0].AtS, w[0].missing = nil, append(w[0].missing, kernel.FactRTO)
		}
	}
	alive := ladders("nothing is to be sent, with SO_KEEPALIVE; counted from the peer's last segment", q.host.Profile,
		[]timers.Ladder{timers.KeepAlives(q.waiting.idle, q.waiting.interval, q.waiting.probes)})
	switch q.state.name {
	case "fin-wait2-full":
		return alive // its FIN is acknowledged
	case "established", "close-wait":
		return slices.Concat(data, probes, alive)
	}
	switch q.values.answer("orphan") { // fin-wait1, closing, last-ack
	case kernel.Yes:
		return orphan
	case kernel.No:
		return data
	case kernel.Unknown:
	}
	for _, w := range [][]Wait{data, orphan} {
		w[0].missing = append(w[0].missing, kernel.FactOrphan)
	}
	return slices.Concat(data, orphan)
}

func (q *Question) finWait2Over() Wait {
	d := q.waiting.finTimeout
	if !d.Known {
		d.Duration = 60 * time.Second
	}
	from, to := timers.FinWait2(q.host.Profile, d.Duration, q.values["rto"].ago)
	w := Wait{While: "the peer's FIN is missing", OverS: []float64{from.Seconds(), to.Seconds()}, Source: "net/ipv4/tcp.c tcp_close, inet_twsk_schedule"}
	w.depends(q.host.Profile, &kernel.WheelTimer, &kernel.CoarseTimer)
	return w
}

// ladders puts ladders into a form for people; there is more than one where the kernel
// is not known.
func ladders(while string, p kernel.Profile, all []timers.Ladder, by ...*kernel.Behaviour) []Wait {
	var out []Wait
	for _, l := range all {
		w := Wait{While: while, What: l.Kind.String(), GiveUpS: l.GiveUp.Seconds(), Source: l.From}
		at := l.Times()
		if l.Kind == timers.KeepAlive {
			at = at[1:] // at 0 the peer's last segment arrived
		}
		for _, t := range at {
			w.AtS = append(w.AtS, t.Seconds())
		}
		w.depends(p, by...)
		out = append(out, w)
	}
	return out
}

// depends notes the behaviours, and the kernel as missing where it is not known how it behaves.
func (w *Wait) depends(p kernel.Profile, by ...*kernel.Behaviour) {
	for _, b := range by {
		r := p.Has(b)
		w.Because = append(w.Because, r.Because())
		if r.Answer == kernel.Unknown && !slices.Contains(w.missing, kernel.FactKernel) {
			w.missing = append(w.missing, kernel.FactKernel)
		}
	}
}

// mostTold is how many sendings of a ladder are told in words.
const mostTold = 12

// words tell a wait in one line.
func (w *Wait) words() string {
	switch {
	case w.What == "" && w.OverS == nil:
		return "no end is known"
	case w.What == "":
		return fmt.Sprintf("over after %.1f to %.1f s", w.OverS[0], w.OverS[1])
	}
	var at []string
	for i, t := range w.AtS {
		if i == mostTold && len(w.AtS) > mostTold+1 {
			at = append(at, fmt.Sprintf("… (%d in all), %g", len(w.AtS), w.AtS[len(w.AtS)-1]))
			break
		}
		at = append(at, fmt.Sprintf("%g", t))
	}
	says := fmt.Sprintf("%s at %s s", w.What, strings.Join(at, ", "))
	if w.AtS == nil {
		says = w.What + " from the retransmission timeout on, each gap twice the one before up to 120 s"
	}
	if w.GiveUpS == 0 {
		return says + ", and so on while they are answered"
	}
	return says + fmt.Sprintf("; given up after %g s", w.GiveUpS)
}
