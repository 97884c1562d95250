package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// wellKnown are the idle times of boxes and services that people meet, in seconds.
var wellKnown = []int{60, 75, 100, 120, 180, 240, 300, 350, 600, 900, 1800, 3600, 7200}

// idle adds a box on the path that forgot the connection while it was silent.
func (q *resetCase) idle(ss *stories) {
	const cause = "idle-expired-in-box"
	if q.silence < 10*time.Second {
		ss.add(ruledOut(cause, "The connection was not silent for long before."))
		return
	}
	a := assumeIdleBox
	s := story{cause: cause, stands: report.StaysOpen, says: fmt.Sprintf("A box on the path (NAT, firewall, balancer) may have forgotten the connection while it was silent for %s.", seconds(q.silence)),
		verdict: fmt.Sprintf("A box on the path forgot the connection while it was silent for %s, and reset it.", seconds(q.silence))}
	for _, n := range wellKnown {
		if d := q.silence.Seconds() - float64(n); d > -1 && d < 2+float64(n)/100 {
			a.Cost -= 4
			s.evidence = []report.Evidence{note(fmt.Sprintf("%s of silence is close to %d s, a well-known idle timeout: a hint only", seconds(q.silence), n), q.c.SilenceFrom.Frame, q.c.SilenceTo.Frame)}
		}
	}
	if q.silence < 55*time.Second {
		a.Cost += 6
	}
	s.assumes = []Assumption{a}
	ss.add(s)
}
