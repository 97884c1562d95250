package diagnose

import (
	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// state is a holding brought forward to the moment of the SYN.
type state struct {
	holding
	// goneBy is the frame that ended it and the rule by which it did.
	goneBy   *flow.Frame
	goneRule string
	// rearmed are the frames that started the 60 s anew.
	rearmed []uint64
	// sawSYN: an earlier SYN that the model would have accepted stayed
	// without an answer (its ISN may have been left to the next one).
	sawSYN bool
}

// replay runs the model over what reached the end since the holding began.
func (q *asked) replay(h holding, host kernel.Host) state {
	s := state{holding: h}
	for _, f := range q.between(h.since) {
		f := f
		switch s.kind {
		case twTrue, twOrphan:
			s.timeWait(&f, host)
		case alive:
			s.alive(&f, host)
		case nothing:
			return s
		}
	}
	return s
}

func (s *state) timeWait(f *flow.Frame, host kernel.Host) {
	c := timewait.Case{Socket: s.tw, Host: host, Segment: segmentOf(f), Now: f.Time}
	d := timewait.Decide(&c)
	o := d.Possible[0]
	if len(d.Possible) > 1 { // the last is what happens if nothing special does
		o = d.Possible[len(d.Possible)-1]
	}
	if isSYN(f) && (o.Rule == "syn-accepted" || o.Rule == "syn-fin" || o.Rule == "syn-queue-full") {
		s.sawSYN = true
		if o.Rule == "syn-accepted" {
			// The capture shows that it was not answered with a SYN-ACK, or
			// there would be a later connection: leave it where it is.
			return
		}
	}
	if o.Gone {
		s.kind, s.goneBy, s.goneRule = nothing, f, o.Rule
		s.since = f.Point()
		return
	}
	if o.After.Armed != s.tw.Armed && o.After.Armed != 0 {
		s.rearmed = append(s.rearmed, f.Frame)
	}
	s.tw = o.After
	if s.kind == twOrphan && s.tw.Substate == timewait.TimeWait {
		s.kind, s.since = twTrue, f.Point()
	}
}

func (s *state) alive(f *flow.Frame, host kernel.Host) {
	c := live.Case{Socket: s.live, Host: host, Segment: segmentOf(f), Now: f.Time}
	if c.Segment.Flags&(rstFlag|synFlag) == 0 {
		return // it belongs to the connection; the marks have it
	}
	d := live.Decide(&c)
	o := d.Possible[0]
	if o.Gone {
		s.kind, s.goneBy, s.goneRule = nothing, f, o.Rule
		s.since = f.Point()
		return
	}
	s.live = o.After
}
