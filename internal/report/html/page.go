package html

import (
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// page is what the template shows. Every string of it is text but for those of the
// types of html/template.
type page struct {
	CSP, Generator             string
	Title, Heading             string
	Style                      template.CSS
	Script, Data               template.JS
	DataType                   string
	Sources                    []string
	Numbers, Totals            string
	Warnings                   []report.Warning
	Overview                   []picture
	Groups                     []group
	Rows                       []row
	Findings                   []template.HTML
	Note                       string
	Connections                []connection
	MoreConnections            string
	MadeBy, RenderedBy, Schema string

	anchors []string       // of the findings, as the report has them
	byID    map[string]int // 1 + index of the finding
}

// badge is a word with a mark that is told apart without colour.
type badge struct{ Class, Mark, Word string }

type group struct {
	report.Group
	Cause, Fault, Anchor string
	Severity, Certainty  badge
}

// row is a finding in the list.
type row struct {
	ID, Anchor, Asks, Says, Client, Server string
	Severity, Certainty                    badge
	Full                                   bool // it is told in full below
}

type connection struct {
	*report.Connection
	Anchor, Duration string
}

type picture struct {
	Title string
	// SVG is drawn for a wide page, Slim for a telephone; empty where one does for both.
	SVG, Slim template.HTML
}

func newPage(r *report.Report, o Options) *page {
	p := &page{
		CSP: csp(), Generator: generator(r, o), Title: title(r), Heading: "Why TCP did what it did", Style: template.CSS(sheet()), Script: template.JS(script), //nolint:gosec // our own files
		Sources: r.Capture.Sources, Numbers: text.Numbers(&r.Capture), Totals: text.Totals(r), Warnings: r.Capture.Warnings, Overview: overview(r),
		MadeBy: r.MadeBy, Schema: r.Schema, byID: map[string]int{},
	}
	if o.RenderedBy != r.MadeBy {
		p.RenderedBy = o.RenderedBy
	}
	taken := map[string]bool{}
	for i := range r.Findings {
		id := r.Findings[i].ID
		p.anchors = append(p.anchors, anchor(id, "f", i, taken))
		if _, ok := p.byID[id]; !ok {
			p.byID[id] = i + 1
		}
	}
	for i := range r.Summary {
		g := &r.Summary[i]
		p.Groups = append(p.Groups, group{Group: *g, Cause: causeWord(g.Cause), Fault: text.FaultWords(g.Fault), Severity: severityBadge(g.Severity), Certainty: certaintyBadge(g.Certainty)})
	}
	for i := range r.Connections[:min(len(r.Connections), maxLines)] {
		c := &r.Connections[i]
		p.Connections = append(p.Connections, connection{c, anchor(c.ID, "c", i, taken), text.Seconds(c.DurationS)})
	}
	if n := len(r.Connections) - maxLines; n > 0 {
		p.MoreConnections = strconv.Itoa(n) + " more are in the report that this file carries."
	}
	return p
}

func generator(r *report.Report, o Options) string {
	if o.RenderedBy != "" {
		return o.RenderedBy
	}
	if r.MadeBy != "" {
		return r.MadeBy
	}
	return "tcpwhy"
}

// title is the question where there is one only.
func title(r *report.Report) string {
	if len(r.Findings) == 1 && r.Findings[0].Asks != "" {
		return r.Findings[0].Asks
	}
	if len(r.Findings) == 0 {
		return "TCP connections: no findings"
	}
	return "TCP connections: " + strconv.Itoa(len(r.Findings)) + " findings"
}

// plainID tells whether an id is a letter and up to 18 digits.
func plainID(id string) bool {
	if len(id) < 2 || len(id) > 19 || id[0] < 'a' || id[0] > 'z' {
		return false
	}
	return strings.Trim(id[1:], "0123456789") == ""
}

// anchor returns an id for an element: that of the report where it is of the usual form
// and not taken, else one by number.
func anchor(id, kind string, i int, taken map[string]bool) string {
	if !plainID(id) || !strings.HasPrefix(id, kind) || taken[id] {
		id = kind + "-" + strconv.Itoa(i+1)
	}
	taken[id] = true
	return id
}

// worstFirst orders the findings by how much they matter, then by how sure they are;
// equal ones stay in their order. It returns their indices.
func worstFirst(r *report.Report) []int {
	var order []int
	for i := range r.Findings {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return report.Worse(&r.Findings[a].Verdict, &r.Findings[b].Verdict) })
	return order
}

func (p *page) row(f *report.Finding, anchor string) row {
	return row{
		ID: f.ID, Anchor: anchor, Asks: f.Asks, Says: f.Verdict.Says, Client: f.Flow.Client, Server: f.Flow.Server,
		Severity: severityBadge(f.Verdict.Severity), Certainty: certaintyBadge(f.Verdict.Certainty),
	}
}

// listed tells whether the finding of that anchor has a row.
func (p *page) listed(anchor string) bool {
	return slices.ContainsFunc(p.Rows, func(r row) bool { return r.Anchor == anchor })
}

func causeWord(c string) string {
	if c == "" {
		return "open"
	}
	return c
}

func severityBadge(s report.Severity) badge {
	switch s {
	case report.Problem:
		return badge{"problem", "▲", text.SeverityWords(s)}
	case report.Notice:
		return badge{"notice", "◆", text.SeverityWords(s)}
	case report.Harmless:
		return badge{"harmless", "✓", text.SeverityWords(s)}
	}
	return badge{"none", "?", string(s)}
}

func certaintyBadge(c report.Certainty) badge {
	switch c {
	case report.Certain:
		return badge{"none certain", "●", "certain"}
	case report.Likely:
		return badge{"none likely", "◐", "likely"}
	case report.Open:
		return badge{"none open", "○", "open"}
	}
	return badge{"none", "?", string(c)}
}
