package html

import (
	"html/template"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
)

const (
	broad = 1000 // pixels
	slim  = 340
)

// picturesOf draws what there is to draw of a finding.
func picturesOf(f *report.Finding, anchor string) []picture {
	var out []picture
	for _, d := range []struct {
		title, id string
		draw      func(*report.Finding, svg.Options) []byte
	}{
		{"The deciding frames, and what each end was", "l", svg.Ladder},
		{"The sequence numbers that decide, on the circle of 2^32", "r", svg.Ring},
	} {
		draw := func(width int, id string) template.HTML {
			return template.HTML(d.draw(f, svg.Options{Width: width, ID: anchor + "-" + id + "-", Embedded: true})) //nolint:gosec // svg escapes
		}
		if p := draw(broad, d.id); p != "" {
			out = append(out, picture{d.title, p, draw(slim, d.id+"s")})
		}
	}
	return out
}
