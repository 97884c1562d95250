package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// life is one connection whose life or end calls for a reason: how it was opened,
// where it stood still, how it ended.
type life struct {
	e *Engine
	c *flow.Connection
	// frames is all that was kept of it, in capture order, with the handshake.
	frames []flow.Frame
	// twin is the other half of a connection whose two directions the capture shows
	// under different addresses; nil where there is none.
	twin *flow.Connection
}

func (e *Engine) newLife(c *flow.Connection) *life {
	l := e.mem.lifes.one()
	*l = life{e: e, c: c, frames: e.mem.frames.take(2 + len(c.Troubles) + len(c.Frames))}
	for _, s := range []flow.Side{flow.Opener, flow.Listener} {
		if at := &c.Ends[s]; at.ISN.Seen() && !at.ISNImplied {
			f := handshakeFrame(c, s)
			f.Frame, f.Time = at.ISN.Frame, at.ISN.Time
			l.frames = append(l.frames, f)
		}
	}
	l.frames = append(l.frames, c.Troubles...)
	l.frames = append(l.frames, c.Frames...) // of a frame that stands in several lists the fullest is the last
	slices.SortStableFunc(l.frames, func(a, b flow.Frame) int { return cmp.Compare(a.Frame, b.Frame) })
	out := l.frames[:0]
	for _, f := range l.frames {
		if n := len(out); n > 0 && out[n-1].Frame == f.Frame {
			out[n-1] = f
			continue
		}
		out = append(out, f)
	}
	l.frames = out
	return l
}

// explainLife answers what a connection's life and end ask, the earliest first. A finding explains
// its consequences: what follows from it is not asked again.
func (e *Engine) explainLife(c *flow.Connection) []*finding {
	twin := e.twins[c.ID]
	if twin != nil {
		c = joined(c, twin)
	}
	l := e.newLife(c)
	l.twin = twin
	if e.stuck[c.ID] {
		return nil // what follows is what a stuck handshake leads to
	}
	var out []*finding
	for _, ask := range []func() *finding{l.challengedUnseen, l.refused, l.odd, l.slow} {
		if e.openingTold[c.ID] {
			break // the opening is asked about elsewhere
		}
		if f := ask(); f != nil {
			out = append(out, f)
			break
		}
	}
	if len(out) > 0 && out[0].question != "connect-slow" && out[0].question != "connect-stuck" && out[0].question != "reopened-challenged" {
		return out
	}
	stalled := l.stalled()
	if stalled != nil {
		out = append(out, stalled)
		if stalled.explainsEnd {
			return out
		}
	}
	for _, ask := range []func() *finding{l.forgotten, l.reset, l.unfinished, l.oddClose} {
		if f := ask(); f != nil {
			return append(out, f)
		}
	}
	return out
}

// end returns what was seen of a side.
func (l *life) end(s flow.Side) *flow.End { return &l.c.Ends[s] }

// name words a side.
func name(s flow.Side) string {
	if s == flow.Opener {
		return "client"
	}
	return "server"
}

// opened tells whether the handshake was completed, or the capture starts later.
func (l *life) opened() bool {
	if l.c.MidStream {
		return l.c.State >= flow.Established
	}
	o, s := l.end(flow.Opener), l.end(flow.Listener)
	return o.ISN.Seen() && s.ISN.Seen() && o.RcvNxt.Seen() && o.RcvNxt.Num.After(s.ISN.Num)
}

// oneSided names the side that the capture shows nothing of; ok is false where it
// shows both.
func (l *life) oneSided() (missing flow.Side, ok bool) {
	for _, s := range []flow.Side{flow.Opener, flow.Listener} {
		if l.end(s).Segments == 0 {
			return s, true
		}
	}
	return 0, false
}

// lastBefore returns the last kept frame of a side before a frame, nil if there is none.
func (l *life) lastBefore(s flow.Side, before uint64) *flow.Frame {
	for i := len(l.frames) - 1; i >= 0; i-- {
		if f := &l.frames[i]; f.From == s && f.Frame < before {
			return f
		}
	}
	return nil
}

// after lists the kept frames of a side behind a frame.
func (l *life) after(s flow.Side, frame uint64) []*flow.Frame {
	var out []*flow.Frame
	for i := range l.frames {
		if f := &l.frames[i]; f.From == s && f.Frame > frame {
			out = append(out, f)
		}
	}
	return out
}

// left is how much of the capture is left behind a point.
func (l *life) left(p flow.Point) time.Duration { return time.Duration(l.e.capture.Last - p.Time) }

// finding begins a finding of this connection; actor is the side whose doing is asked
// about.
func (l *life) finding(question string, actor flow.Side, at flow.Point, frames ...uint64) *finding {
	f := l.e.mem.findings.one()
	*f = finding{mem: l.e.mem, question: question, c: l.c, actor: actor, time: at.Time, frames: frameList(frames...)}
	return f
}

// finish judges the stories and dresses the finding.
func (l *life) finish(f *finding, ss *stories) *finding {
	if certainty, _ := ss.weigh(); certainty == report.Open {
		ss.trim()
	}
	f.verdict = ss.judge() // its sentence names what is left
	for i := range ss.list {
		ss.list[i].tell()
	}
	f.stories = ss.list
	q := l.e.mem.askeds.one()
	q.e, q.c, q.p = l.e, l.c, l.c
	q.dress(f, name(f.actor))
	f.settleRoles()
	if f.verdict.certainty == report.Open {
		f.openRoles()
	}
	if l.twin != nil {
		f.past = append(f.past, l.twin)
		f.warnings = append(f.warnings, report.Warning{Code: "two-halves", Frame: l.twin.First.Frame,
			Says: fmt.Sprintf("the answers of %s go to %s: a translation between the two directions; taken as one connection because ports and numbers fit",
				l.twin.Ends[flow.Listener].Endpoint, l.twin.Ends[flow.Opener].Endpoint)})
	}
	if l.e.capture.Misses && f.question != "connection" {
		f.warnings = append(f.warnings, report.Warning{Code: "capture-incomplete", Says: "the capture lost frames or was cut: what is not in it may have happened all the same"})
	}
	if s, ok := l.oneSided(); ok && f.question != "connection" && l.c.State != flow.SynOnly {
		f.warnings = append(f.warnings, report.Warning{Code: "one-sided", Says: fmt.Sprintf("the capture shows nothing of the %s: what it sent is known only by what the %s acknowledges", name(s), name(s.Other()))})
	}
	return f
}

// openAtMost is how many causes of an open verdict are named, if the rest stands well behind.
const openAtMost = 3

// trim leaves out of an open verdict what stands well behind the first.
func (ss *stories) trim() {
	best, standing := 0, 0
	ss.list = slices.DeleteFunc(ss.list, func(s story) bool {
		if !s.standing() {
			return false
		}
		if standing++; standing == 1 {
			best = s.cost()
		}
		return standing > openAtMost && s.cost()-best >= margin/2
	})
}

// The faults of a vocabulary entry that depend on who did what is asked about.
const (
	actorHost        report.Fault = "actor-host"
	actorApplication report.Fault = "actor-application"
	otherHost        report.Fault = "other-host"
	otherApplication report.Fault = "other-application"
)

// role resolves a fault that depends on who acted.
func role(f report.Fault, actor flow.Side) report.Fault {
	host := [2]report.Fault{flow.Opener: report.ClientHost, flow.Listener: report.ServerHost}
	app := [2]report.Fault{flow.Opener: report.ClientApplication, flow.Listener: report.ServerApplication}
	switch f {
	case actorHost:
		return host[actor]
	case actorApplication:
		return app[actor]
	case otherHost:
		return host[actor.Other()]
	case otherApplication:
		return app[actor.Other()]
	}
	return f
}

// settleRoles puts the ends' names where the vocabulary names roles.
func (f *finding) settleRoles() {
	f.fault = role(f.fault, f.actor)
	for i := range f.settle {
		switch f.settle[i].On {
		case "actor":
			f.settle[i].On = name(f.actor)
		case "other":
			f.settle[i].On = name(f.actor.Other())
		}
	}
}

// openRoles tells of an open verdict what all causes agree on that are close
// together: whose doing it is, and how much it matters.
func (f *finding) openRoles() {
	first := true
	best := 0
	for i := range f.stories {
		s := &f.stories[i]
		if !s.standing() {
			continue
		}
		if first {
			best = s.cost()
		}
		c, ok := causeOf(f.question, s.cause)
		if !ok || s.cost()-best >= margin {
			continue
		}
		fault := role(c.Fault, f.actor)
		if first {
			f.fault, f.severity, first = fault, c.Severity, false
			continue
		}
		if fault != f.fault {
			f.fault = report.FaultUnknown
		}
		f.severity = worse(f.severity, c.Severity)
	}
}

func worse(a, b report.Severity) report.Severity {
	order := []report.Severity{report.Harmless, report.Notice, report.Problem}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// has tells whether a frame carries all of the flags.
func has(f *flow.Frame, x segment.Flags) bool { return f.Flags.Has(x) }
