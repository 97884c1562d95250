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
	var shown []int
	var sum report.Summary
	named := map[uint64]bool{}
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
