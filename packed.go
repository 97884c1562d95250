package tcpwhy

import (
	"slices"
	"strconv"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// packed is a finding while its place among the others is not known.
type packed struct {
	diagnose.Result     // its Finding is what the store left of it
	number          int // in the store; -1: it is not wanted
}

// pack does what findings does, but puts the findings into o.Store as they are found.
func (s *sink) pack(out *Report, r *capture.Reader, sel *selection, first int64, c diagnose.Capture) error {
	w, err := sel.window(first)
	if err != nil {
		return err
	}
	var all []*packed
	s.engine.AnswerEach(c, func(res *diagnose.Result) {
		p := &packed{number: -1}
		if sel.wants(res, w, s.names.name) {
			if len(out.Capture.Sources) > 1 {
				addRefs(r, out.Capture.Sources, &res.Finding)
			}
			p.number = s.o.Store.Pack(&res.Finding)
		}
		p.Result = *res
		all = append(all, p)
	})
	slices.SortStableFunc(all, func(a, b *packed) int { return a.Compare(&b.Result) })
	named := map[uint64]bool{}
	for _, p := range all {
		for _, c := range p.Connections {
			named[c.ID] = true
		}
	}
	out.Findings, out.Connections = make([]report.Finding, 0, len(all)), make([]report.Connection, 0, len(named))
	clear(named)
	shown := make([]int, 0, len(all))
	var sum report.Summary
	for i, p := range all {
		p.Finding.ID = "f" + strconv.Itoa(i+1)
		if p.number < 0 {
			sum.Hide(&p.Finding)
			out.HiddenFindings++
			continue
		}
		sum.Add(&p.Finding)
		shown = append(shown, p.number)
		out.Findings = append(out.Findings, p.Finding)
		s.name(out, p.Connections, named)
	}
	s.o.Store.Arrange(shown)
	out.Summary, out.QuietConnections = sum.Groups(), sum.Quiet(out.Capture.Connections)
	return nil
}
