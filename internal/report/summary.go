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

// Summarize groups findings by what they say, the worst first: by severity, then by
// certainty, then by number; what is equal in all stays in the order of the findings.
// It is never nil.
func Summarize(fs []Finding) []Group {
	out := []Group{}
	at := map[Says]int{}
	named := map[Says]map[string]bool{}
	for i := range fs {
		k := fs[i].Says()
		if _, ok := at[k]; !ok {
			at[k] = len(out)
			named[k] = map[string]bool{}
			out = append(out, Group{Question: k.Question, Cause: k.Cause, Certainty: k.Certainty, Fault: k.Fault, Severity: k.Severity, First: fs[i].ID})
		}
		g := &out[at[k]]
		g.Findings++
		for _, id := range fs[i].ConnectionIDs {
			named[k][id] = true
		}
		g.Connections = len(named[k])
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

// Quiet counts the connections, of all that a capture holds, that no finding above
// harmless names.
func Quiet(connections uint64, fs []Finding) uint64 {
	named := map[string]bool{}
	for i := range fs {
		if fs[i].Matters() {
			for _, id := range fs[i].ConnectionIDs {
				named[id] = true
			}
		}
	}
	return connections - min(connections, uint64(len(named)))
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
