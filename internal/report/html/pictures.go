package html

import (
	"html/template"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
)

const (
	broad = 1000 // pixels
	slim  = 340
	// maxOverview is what the overview may weigh, in bytes.
	maxOverview = 500_000
)

// overview draws the connections over time, where there are several.
func overview(r *report.Report) []picture {
	if len(r.Connections) < 3 {
		return nil
	}
	draw := func(width int, id string) template.HTML {
		return template.HTML(svg.Overview(r, svg.Options{Width: width, ID: id, Embedded: true})) //nolint:gosec // svg escapes
	}
	p := picture{Title: "The connections that are named, over time", SVG: draw(broad, "o-")}
	switch n := len(p.SVG); {
	case n == 0, n > maxOverview:
		return nil
	case n < maxOverview/8:
		p.Slim = draw(slim, "os-")
	}
	return []picture{p}
}

// picturesOf draws what there is to draw of a finding; small wants every picture for a
// telephone too, and not the ladder alone.
func picturesOf(f *report.Finding, anchor string, small bool) []picture {
	var out []picture
	for _, d := range []struct {
		title, id string
		draw      func(*report.Finding, svg.Options) []byte
	}{
		{"The deciding frames, and what each end was", "l", svg.Ladder},
		{"The sequence numbers that decide, on the circle of 2^32", "r", svg.Ring},
		{"Initial sequence numbers and timestamps against the host's clocks", "c", svg.Clock},
		{"Sequence numbers over time", "s", svg.TimeSequence},
	} {
		draw := func(width int, id string) template.HTML {
			return template.HTML(d.draw(f, svg.Options{Width: width, ID: anchor + "-" + id + "-", Embedded: true})) //nolint:gosec // svg escapes
		}
		if p := draw(broad, d.id); p != "" {
			x := picture{Title: d.title, SVG: p}
			if small || d.id == "l" {
				x.Slim = draw(slim, d.id+"s")
			}
			out = append(out, x)
		}
	}
	return out
}
