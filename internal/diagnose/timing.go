package diagnose

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// gapsOf returns the times between the sendings of one thing.
func gapsOf(frames []flow.Frame) []time.Duration {
	var out []time.Duration
	for i := 1; i < len(frames); i++ {
		out = append(out, frames[i].Point().Since(frames[i-1].Point()))
	}
	return out
}

// gapWords prints gaps in seconds, the middle of a long row left out.
func gapWords(gaps []time.Duration) string {
	var out []string
	for i, g := range gaps {
		if len(gaps) > 9 && i > 4 && i < len(gaps)-3 {
			if i == 5 {
				out = append(out, "…")
			}
			continue
		}
		out = append(out, fmt.Sprintf("%.1f", g.Seconds()))
	}
	return strings.Join(out, ", ") + " s"
}

// ladderOf names the timer whose ladder the gaps fit.
func ladderOf(kind timers.Kind, frames []flow.Frame) (report.Evidence, bool) {
	gaps := gapsOf(frames)
	var numbers []uint64
	for i := range frames {
		if len(frames) <= 12 || i < 8 || i >= len(frames)-2 {
			numbers = append(numbers, frames[i].Frame)
		}
	}
	if len(gaps) == 0 {
		return report.Evidence{}, false
	}
	fits := timers.Match(kind, gaps)
	what := kind.String() + "s"
	if kind == timers.Data {
		what = "sendings"
	}
	ev := note(fmt.Sprintf("the pauses between the %s are %s", what, gapWords(gaps)), numbers...)
	if len(fits) == 0 {
		if kind == timers.SYN && len(gaps) > 1 {
			ev.Says += ": no Linux timer with its default settings repeats so (another system, a program that sets its own timeout, or SYNs of several sockets)"
			ev.Answer = kernel.No.String()
		}
		return ev, true
	}
	best := &fits[0]
	for i := range fits {
		if fits[i].Default() {
			best = &fits[i]
			break
		}
	}
	ev.Source = best.Ladder.From
	switch {
	case kind == timers.SYN && !best.Default():
		ev.Says += fmt.Sprintf(": the SYN timer with a first timeout of %.0f s, which no kernel has by default: a program, a route's rto_min or a BPF hook set it", best.Ladder.RTO.Seconds())
	case kind == timers.SYN && best.Kernels != nil:
		ev.Says += ": the SYN timer of Linux " + kernel.Words(best.Kernels)
		if best.Ladder.RTO > 2*time.Second {
			ev.Says += ", or a first timeout that somebody set (a program, a route, a BPF hook)"
		}
	case kind == timers.KeepAlive:
		ev.Says += ": keep-alive probes"
	case len(gaps) == 1:
	default:
		ev.Says += ": the retransmission timer, which doubles (RFC 6298 §5.5)"
	}
	return ev, true
}
