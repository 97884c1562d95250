package tcpwhy

import (
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// shareKept is the part of Options.MaxMemory that connections may take which wait for an answer.
const shareKept = 8

// forgetful is a table of connections that has a bound.
type forgetful interface{ Forgotten() flow.Forgotten }

// forgets tells whether a table had to forget something.
func forgets(t table) bool {
	f, ok := t.(forgetful)
	return ok && f.Forgotten().Since != 0
}

// forgotten words what had to be forgotten for lack of room; not ok where nothing was.
func (s *sink) forgotten(t table) (ws []report.Warning, ok bool) {
	if f, bounded := t.(forgetful); bounded {
		if x := f.Forgotten(); x.Since != 0 {
			says := fmt.Sprintf("from frame %d on, memory was short: %d connections were forgotten before their time, those first that had been silent longest", x.Since, x.Connections)
			if x.Frames > 0 {
				says += fmt.Sprintf(", and %d frames of others", x.Frames)
			}
			ws = append(ws, report.Warning{Code: "forgotten", Frame: x.Since, Says: says + "; that something was not seen proves nothing from there on (--max-memory)"})
		}
	}
	if n, frame := s.engine.Refused(); n > 0 {
		ws = append(ws, report.Warning{Code: "not-answered", Frame: frame,
			Says: fmt.Sprintf("from frame %d on, memory was short for questions: %d connections that call for a reason are not told of (--max-memory)", frame, n)})
	}
	return ws, len(ws) > 0
}
