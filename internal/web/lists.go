package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// How many rows a page of a list has where nobody says, and at most.
const (
	defaultRows = 50
	maxRows     = 500
)

// FindingLine is a finding in a list.
type FindingLine struct {
	ID        string           `json:"id"`
	Question  string           `json:"question"`
	Asks      string           `json:"asks"`
	Client    string           `json:"client"`
	Server    string           `json:"server"`
	Frames    []uint64         `json:"frames"`
	Certainty report.Certainty `json:"certainty"`
	Cause     string           `json:"cause"`
	Says      string           `json:"says"`
	Fault     report.Fault     `json:"fault"`
	Severity  report.Severity  `json:"severity"`
}

// FindingList is one page of the findings that were asked for.
type FindingList struct {
	Total    int           `json:"total"` // that fit, on all pages
	From     int           `json:"from"`  // the first row of this page, from 0
	Findings []FindingLine `json:"findings"`
	// Questions are all that the capture raised, in alphabetical order: what can be chosen.
	Questions []string `json:"questions"`
}

// ConnectionList is one page of the connections that were asked for.
type ConnectionList struct {
	Total       int                 `json:"total"`
	From        int                 `json:"from"`
	Connections []report.Connection `json:"connections"`
}

var severities = []report.Severity{report.Problem, report.Notice, report.Harmless}

var certainties = []report.Certainty{report.Certain, report.Likely, report.Open}

// findingOrders are the ways to sort findings; equal ones stay in the order of time.
var findingOrders = map[string]func(a, b FindingLine) int{
	"time": func(FindingLine, FindingLine) int { return 0 },
	"severity": func(a, b FindingLine) int {
		return cmp.Or(rank(severities, a.Severity)-rank(severities, b.Severity), rank(certainties, a.Certainty)-rank(certainties, b.Certainty))
	},
	"certainty": func(a, b FindingLine) int { return rank(certainties, a.Certainty) - rank(certainties, b.Certainty) },
	"question":  func(a, b FindingLine) int { return strings.Compare(a.Question, b.Question) },
	"client":    func(a, b FindingLine) int { return strings.Compare(a.Client, b.Client) },
	"server":    func(a, b FindingLine) int { return strings.Compare(a.Server, b.Server) },
}

// rank is the place in a list; what is not in it comes first, as it may be anything.
func rank[T comparable](list []T, x T) int { return slices.Index(list, x) }

// connectionOrders are the ways to sort connections; equal ones stay in the order in
// which they ended.
var connectionOrders = map[string]func(a, b report.Connection) int{
	"ended":    func(report.Connection, report.Connection) int { return 0 },
	"opened":   func(a, b report.Connection) int { return strings.Compare(a.Opened, b.Opened) },
	"frame":    func(a, b report.Connection) int { return cmp.Compare(a.FirstFrame, b.FirstFrame) },
	"client":   func(a, b report.Connection) int { return strings.Compare(a.Client, b.Client) },
	"server":   func(a, b report.Connection) int { return strings.Compare(a.Server, b.Server) },
	"duration": func(a, b report.Connection) int { return cmp.Compare(a.DurationS, b.DurationS) },
	"packets": func(a, b report.Connection) int {
		return cmp.Compare(a.Packets[0]+a.Packets[1], b.Packets[0]+b.Packets[1])
	},
	"bytes": func(a, b report.Connection) int {
		return cmp.Compare(a.Bytes[0]+a.Bytes[1], b.Bytes[0]+b.Bytes[1])
	},
	"end": func(a, b report.Connection) int { return strings.Compare(a.Ended, b.Ended) },
}

// paging is what the query says of the order and of the page.
type paging struct {
	search      string // in lower case
	sort        string
	desc        bool
	from, limit int
}

// pagingOf reads the query; sort is the order where it names none.
func pagingOf[T any](q url.Values, orders map[string]T, sort string) (paging, error) {
	p := paging{search: strings.ToLower(strings.TrimSpace(q.Get("search"))), sort: cmp.Or(q.Get("sort"), sort), limit: defaultRows}
	if _, ok := orders[p.sort]; !ok {
		return p, fmt.Errorf("sort=%s: there is no such order", p.sort)
	}
	switch q.Get("order") {
	case "", "asc":
	case "desc":
		p.desc = true
	default:
		return p, fmt.Errorf("order=%s: it is asc or desc", q.Get("order"))
	}
	for name, at := range map[string]*int{"from": &p.from, "limit": &p.limit} {
		s := q.Get(name)
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return p, fmt.Errorf("%s=%s: expected a number from 0", name, s)
		}
		*at = n
	}
	p.limit = min(p.limit, maxRows)
	return p, nil
}

// cut sorts the rows, and returns the page that is asked for and where it starts.
func cut[T any](p paging, rows []T, order func(a, b T) int) ([]T, int) {
	slices.SortStableFunc(rows, func(a, b T) int {
		if p.desc {
			return order(b, a)
		}
		return order(a, b)
	})
	from := min(p.from, len(rows))
	return rows[from:min(from+p.limit, len(rows))], from
}

// has tells whether one of the texts contains what is searched for.
func (p paging) has(texts ...string) bool {
	return p.search == "" || slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), p.search) })
}

func (s *Server) findings(w http.ResponseWriter, r *http.Request, c *read) {
	q := r.URL.Query()
	p, err := pagingOf(q, findingOrders, "time")
	if err != nil {
		fail(w, http.StatusBadRequest, "%v", err)
		return
	}
	rows := []FindingLine{}
	out := FindingList{Questions: []string{}}
	for i := range c.report.Findings {
		f := &c.report.Findings[i]
		out.Questions = append(out.Questions, f.Question)
		v := &f.Verdict
		if !chosen(q, "severity", string(v.Severity)) || !chosen(q, "question", f.Question) || !chosen(q, "certainty", string(v.Certainty)) ||
			!p.has(f.ID, f.Asks, v.Says, v.Cause, f.Question, f.Flow.Client, f.Flow.Server) {
			continue
		}
		rows = append(rows, FindingLine{
			ID: f.ID, Question: f.Question, Asks: f.Asks, Client: f.Flow.Client, Server: f.Flow.Server, Frames: f.Frames,
			Certainty: v.Certainty, Cause: v.Cause, Says: v.Says, Fault: v.Fault, Severity: v.Severity,
		})
	}
	slices.Sort(out.Questions)
	out.Questions = slices.Compact(out.Questions)
	out.Total = len(rows)
	out.Findings, out.From = cut(p, rows, findingOrders[p.sort])
	answer(w, http.StatusOK, out)
}

// chosen tells whether the query's values of that name have the value, or there are none.
func chosen(q url.Values, name, value string) bool {
	want := slices.DeleteFunc(slices.Clone(q[name]), func(s string) bool { return s == "" })
	return len(want) == 0 || slices.Contains(want, value)
}

func (s *Server) finding(w http.ResponseWriter, r *http.Request, c *read) {
	f := findingOf(c.report, r.PathValue("finding"))
	if f == nil {
		fail(w, http.StatusNotFound, "there is no finding %q in %s", r.PathValue("finding"), c.ID)
		return
	}
	answer(w, http.StatusOK, f)
}

// findingOf returns the finding of that id, nil where there is none.
func findingOf(r *report.Report, id string) *report.Finding {
	i := slices.IndexFunc(r.Findings, func(f report.Finding) bool { return f.ID == id })
	if i < 0 {
		return nil
	}
	return &r.Findings[i]
}

func (s *Server) connections(w http.ResponseWriter, r *http.Request, c *read) {
	p, err := pagingOf(r.URL.Query(), connectionOrders, "opened")
	if err != nil {
		fail(w, http.StatusBadRequest, "%v", err)
		return
	}
	rows := []report.Connection{}
	for i := range c.connections {
		if x := &c.connections[i]; p.has(x.ID, x.Client, x.Server, x.State, x.Ended, x.History) {
			rows = append(rows, *x)
		}
	}
	out := ConnectionList{Total: len(rows)}
	out.Connections, out.From = cut(p, rows, connectionOrders[p.sort])
	answer(w, http.StatusOK, out)
}
