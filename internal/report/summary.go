package report

import (
	"cmp"
	"slices"
)

// Group is findings that say the same: one line of the summary.
type Group struct {
	Question string `json:"question"`
	// Cause is empty where the verdict is open, as in Verdict.
	Cause     string    `json:"cause"`
	Certainty Certainty `json:"certainty"`
	Fault     Fault     `json:"fault"`
	Severity  Severity  `json:"severity"`
	// Findings is how many there are, Connections how many connections they name.
	Findings    int `json:"findings"`
	Connections int `json:"connections"`
	// First is the id of the first of them.
	First string `json:"first"`
}

// Says is what the findings of one group have in common.
type Says struct {
	Question  string
	Cause     string
	Certainty Certainty
	Fault     Fault
	Severity  Severity
}

// Says returns what a finding says, short of whom it says it.
func (f *Finding) Says() Says {
	v := &f.Verdict
	return Says{f.Question, v.Cause, v.Certainty, v.Fault, v.Severity}
}

// Matters tells whether a finding is more than harmless. One that does not say how
// much it matters does.
func (f *Finding) Matters() bool { return f.Verdict.Severity != Harmless }

// Summary counts findings one by one. The zero value is empty and ready.
type Summary struct {
	groups []*counted
	loud   idSet // connections that a finding above harmless names
}

// counted is a group with the connections that its findings name.
type counted struct {
	Group
	says  Says
	named idSet
}

// Add counts a finding that is shown.
func (s *Summary) Add(f *Finding) {
	g := s.group(f)
	g.Findings++
	for _, id := range f.ConnectionIDs {
		g.named.add(id)
	}
	g.Connections = g.named.n
	s.Hide(f)
}

// group returns the group of a finding. There are as many as there are things to say: a search
// through all takes less than to hash five strings.
func (s *Summary) group(f *Finding) *counted {
	k := f.Says()
	for _, g := range s.groups {
		if g.says == k {
			return g
		}
	}
	g := &counted{Group: Group{Question: k.Question, Cause: k.Cause, Certainty: k.Certainty, Fault: k.Fault, Severity: k.Severity, First: f.ID}, says: k}
	s.groups = append(s.groups, g)
	return g
}

// Hide counts a finding that is not shown: for Quiet alone.
func (s *Summary) Hide(f *Finding) {
	if !f.Matters() {
		return
	}
	for _, id := range f.ConnectionIDs {
		s.loud.add(id)
	}
}

// Groups returns the findings grouped by what they say, the worst first: by severity, then by
// certainty, then by number; what is equal in all stays in the order of the findings.
// It is never nil.
func (s *Summary) Groups() []Group {
	out := make([]Group, len(s.groups))
	for i, g := range s.groups {
		out[i] = g.Group
	}
	slices.SortStableFunc(out, func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(severityRank(a.Severity), severityRank(b.Severity)),
			cmp.Compare(certaintyRank(a.Certainty), certaintyRank(b.Certainty)),
			cmp.Compare(b.Findings, a.Findings),
		)
	})
	return out
}

// Quiet returns how many, of all connections that a capture holds, no finding above harmless names.
func (s *Summary) Quiet(connections uint64) uint64 {
	return connections - min(connections, uint64(s.loud.n))
}

// Summarize groups findings as Summary.Groups does.
func Summarize(fs []Finding) []Group {
	var s Summary
	for i := range fs {
		s.Add(&fs[i])
	}
	return s.Groups()
}

// Quiet counts the connections, of all that a capture holds, that no finding above
// harmless names.
func Quiet(connections uint64, fs []Finding) uint64 {
	var s Summary
	for i := range fs {
		s.Hide(&fs[i])
	}
	return s.Quiet(connections)
}

// severityRank orders severities, the worst first; what is not known stands between.
func severityRank(s Severity) int {
	switch s {
	case Problem:
		return 0
	case Notice:
		return 1
	case Harmless:
		return 3
	}
	return 2
}

// certaintyRank orders certainties, the surest first.
func certaintyRank(c Certainty) int {
	switch c {
	case Certain:
		return 0
	case Likely:
		return 1
	case Open:
		return 2
	}
	return 3
}

// Worse compares two verdicts, the worse one first: by severity, then by certainty.
func Worse(a, b *Verdict) int {
	return cmp.Or(cmp.Compare(severityRank(a.Severity), severityRank(b.Severity)), cmp.Compare(certaintyRank(a.Certainty), certaintyRank(b.Certainty)))
}
