package diagnose

import (
	"fmt"
	"math"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timers"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// shutWindow is a time in which a receiver's window was closed.
type shutWindow struct {
	// shut is the first segment with a window of 0, open the one that opened it; nil: none
	// did before until.
	shut, open *flow.Frame
	until      flow.Point
	// probes are what its peer sent in between: those of the persist timer, mostly.
	probes []flow.Frame
}

func (w *shutWindow) span() time.Duration { return w.until.Since(w.shut.Point()) }

// longestShut finds the longest time in which a window was closed, and how often one
// was; nil where it was never.
func (l *life) longestShut() (longest *shutWindow, times int) {
	var now *shutWindow
	flush := func(open *flow.Frame, until flow.Point) {
		now.open, now.until = open, until
		if longest == nil || now.span() > longest.span() {
			longest = now
		}
		now = nil
	}
	for i := range l.frames {
		f := &l.frames[i]
		switch {
		case f.Flags&(segment.SYN|segment.RST) != 0 || !has(f, segment.ACK):
		case now == nil && f.Window == 0 && (has(f, segment.FIN) || l.tookFIN(f)):
			// Some stacks close with a window of 0: nothing waits for it to open.
		case now == nil && f.Window == 0:
			now = &shutWindow{shut: f}
			times++
		case now != nil && f.From == now.shut.From && f.Window != 0:
			flush(f, f.Point())
		case now != nil && f.From != now.shut.From:
			now.probes = append(now.probes, *f)
		}
	}
	if now == nil {
		return longest, times
	}
	end := flow.Point{Frame: l.c.LastSeen.Frame, Time: l.e.capture.Last}
	if l.c.EndedAt.Seen() {
		end = l.c.EndedAt
	}
	flush(nil, end)
	return longest, times
}

// tookFIN: the frame acknowledges the peer's FIN, behind which no data can come.
func (l *life) tookFIN(f *flow.Frame) bool {
	fin := l.end(f.From.Other()).FIN
	return fin.Seen() && f.Ack == fin.Num
}

// zeroWindow asks why a receiver closed its window.
func (l *life) zeroWindow() *finding {
	w, times := l.longestShut()
	if w == nil || w.open != nil && w.span() < 200*time.Millisecond {
		return nil
	}
	y := w.shut.From
	x := y.Other()
	var numbers []uint64
	for i := range w.probes {
		numbers = append(numbers, w.probes[i].Frame)
	}
	f := l.finding("stalled", x, w.shut.Point(), append([]uint64{w.shut.Frame}, numbers...)...)
	f.asks = fmt.Sprintf("Why did the %s's data stand still from frame %d on?", name(x), w.shut.Frame)
	ev := []report.Evidence{note("the window in this ACK is 0: nothing may be sent, whatever the scale", w.shut.Frame)}
	how := "and did not open it again in the " + seconds(w.span()) + " that follow"
	if w.open != nil {
		how = fmt.Sprintf("for %s, until frame %d", seconds(w.span()), w.open.Frame)
		ev = append(ev, note("the window opens again", w.open.Frame))
	}
	if len(w.probes) > 0 {
		ev = append(ev, l.probeEvidence(w))
	}
	busy := assumeBusyReader
	ss := l.e.stories(8)
	switch {
	case w.silent(l.end(y)):
		l.goneBehindWindow(ss, w, ev)
		busy.Cost += 12
		busy.Why = "but a host that is there answers probes"
	case w.openedByProbe() > 0:
		l.updateLost(ss, w, ev)
		busy.Cost += w.openedByProbe()
		busy.Why = "and it read again just when a probe came: a coincidence"
	}
	ss.add(story{cause: "zero-window", stands: report.StaysOpen, assumes: []Assumption{busy}, evidence: ev,
		says:    fmt.Sprintf("The %s's application does not read: its receive buffer is full.", name(y)),
		verdict: fmt.Sprintf("The %s's application does not read: its receive buffer is full, so it closed its window (frame %d) %s.", name(y), w.shut.Frame, how)})
	f.explainsEnd = w.open == nil
	l.finish(f, ss)
	l.weighWindow(f, w, times)
	return f
}

// weighWindow tells what came of a closed window, and how much it matters.
func (l *life) weighWindow(f *finding, w *shutWindow, times int) {
	if times > 1 {
		f.verdict.says += fmt.Sprintf(" It closed its window %d times.", times)
	}
	if w.open != nil && w.span() < time.Second || len(w.probes) == 0 {
		f.severity = report.Notice // nobody is seen to wait for it
	}
	if w.open == nil && l.c.State == flow.Reset {
		f.verdict.says += fmt.Sprintf(" In the end the connection was reset (frame %d).", l.c.EndedAt.Frame)
	}
}

// probeEvidence tells of the probes of a closed window, and of their timer.
func (l *life) probeEvidence(w *shutWindow) report.Evidence {
	x := name(w.shut.From.Other())
	says := fmt.Sprintf("the %s asks with probes whether it is open again (persist timer)", x)
	var numbers []uint64
	for i := range w.probes {
		if len(w.probes) <= 12 || i < 8 || i >= len(w.probes)-2 {
			numbers = append(numbers, w.probes[i].Frame)
		}
	}
	ev := note(says, numbers...)
	if n := len(w.unanswered(l.end(w.shut.From))); n > 0 && n == len(w.probes) {
		ev.Says += fmt.Sprintf("; none of the %d has an answer", n)
	}
	if gaps := gapsOf(w.probes); len(gaps) >= 2 {
		ev.Says += fmt.Sprintf("; the pauses between them are %s", gapWords(gaps))
		if len(timers.Match(timers.WindowProbe, gaps)) > 0 {
			ev.Says += ", each about twice the one before"
			ev.Source = "RFC 9293 §3.8.6.1, net/ipv4/tcp_timer.c tcp_probe_timer"
		}
	}
	return ev
}

// unanswered lists the last probes that nothing from the receiver came after.
func (w *shutWindow) unanswered(y *flow.End) []flow.Frame {
	for i := range w.probes {
		if w.probes[i].Frame > y.Last.Frame {
			return w.probes[i:]
		}
	}
	return nil
}

// silent tells whether so many probes have no answer that the receiver is hardly there: fewer
// where it had answered some.
func (w *shutWindow) silent(y *flow.End) bool {
	n := len(w.unanswered(y))
	return n >= 5 || n >= 3 && n < len(w.probes)
}

// goneBehindWindow: the probes of a closed window have no answer any more.
func (l *life) goneBehindWindow(ss *stories, w *shutWindow, ev []report.Evidence) {
	y := w.shut.From
	silent := w.unanswered(l.end(y))
	ev = append(ev, note(fmt.Sprintf("the last %d probes have no answer; the last that came from the %s is frame %d", len(silent), name(y), l.end(y).Last.Frame), silent[0].Frame, silent[len(silent)-1].Frame))
	ss.add(story{cause: "peer-gone", stands: report.StaysOpen, assumes: []Assumption{assumeSilentPath}, evidence: ev,
		says: fmt.Sprintf("The %s, or the path to it, is gone: it does not even answer probes.", name(y)),
		verdict: fmt.Sprintf("The %s had closed its window (frame %d), and then it, or the path to it, was gone: the last %d probes have no answer, though a host answers them whatever its application does.",
			name(y), w.shut.Frame, len(silent))})
}

// openedByProbe tells how hard it is to believe, in decibans, that the window opened by
// itself just after a probe; 0 where it did not open then. The chance is that of the answer's
// time in the time between probes.
func (w *shutWindow) openedByProbe() int {
	n := len(w.probes)
	if w.open == nil || n < 2 {
		return 0
	}
	last := w.probes[n-1].Point()
	after, between := w.open.Point().Since(last), last.Since(w.probes[n-2].Point())
	if after <= 0 || between < 150*time.Millisecond || after > between/20 {
		return 0
	}
	return int(min(10*math.Log10(float64(between)/float64(after)), 30))
}

// updateLost: the window had been opened before, and only a probe found that out.
func (l *life) updateLost(ss *stories, w *shutWindow, ev []report.Evidence) {
	y, n := name(w.shut.From), len(w.probes)
	x := name(w.shut.From.Other())
	probe, before := &w.probes[n-1], &w.probes[n-2]
	ev = append(ev, note(fmt.Sprintf("it opens %s behind the probe in frame %d, which came %s after the one before: as its answer, not by itself", micro(w.open.Point().Since(probe.Point())), probe.Frame, seconds(probe.Point().Since(before.Point()))), before.Frame, probe.Frame, w.open.Frame))
	ss.add(story{cause: "persist-probing", stands: report.StaysOpen, assumes: []Assumption{assumeUpdateLost}, evidence: ev,
		says: fmt.Sprintf("The window was open before: the segment that said so was lost (or never sent), and the %s learned it only from its next probe.", x),
		verdict: fmt.Sprintf("The %s had closed its window (frame %d) because its application did not read; when it read again, the segment that opened the window was lost, or never sent: the %s learned it only from the answer to its probe in frame %d. Up to %s of the %s were spent waiting for the persist timer.",
			y, w.shut.Frame, x, probe.Frame, seconds(probe.Point().Since(before.Point())), seconds(w.span()))})
}
