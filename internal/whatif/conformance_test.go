package whatif

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

const conformancePath = "../../docs/conformance.md"

// ruleRow is a rule of a state as the page shows it.
type ruleRow struct {
	id, says, from string
	thisKernel     bool // one of its clauses names a behaviour
	asks           []*kernel.Behaviour
}

// TestConformancePage holds docs/conformance.md against the rules; with -update
// it writes it. Which behaviours a rule asks is found by trying: the kernel is
// made to behave so and not so, and the rule is asked about a grid of cases.
func TestConformancePage(t *testing.T) {
	tables := []struct {
		title  string
		prefix string // of these rules in the laboratory's results
		rows   []ruleRow
	}{
		{"TIME_WAIT", "", rows(timewait.Rules(), timeWaitCases(timewait.TimeWait))},
		{"FIN_WAIT2 without a process", "", rows(timewait.FinWait2Rules(), timeWaitCases(timewait.FinWait2))},
		{"ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, CLOSING, LAST_ACK", "", rows(live.Rules(), liveCases(live.Established, live.CloseWait, live.LastAck))},
		{"SYN_RECV", "", rows(live.SynRecvRules(), liveCases(live.SynRecv))},
		{"No socket, or a listener", "listen-", rows(listen.Rules(), listenCases())},
		{"SYN_SENT", "", rows(connect.ReactionRules(), synSentCases())},
		{"connect() onto the own TIME_WAIT", "", rows(connect.Rules(), takeOverCases())},
	}
	var b strings.Builder
	lab := newLaboratory(readResults(t))
	b.WriteString(conformanceHead)
	lab.writeRuns(&b)
	b.WriteString(mutantsHead)
	writeMutants(&b, readMutants(t))
	b.WriteString(isnHead)
	lab.writeISNs(&b)
	asked := map[*kernel.Behaviour]bool{}
	for _, tb := range tables {
		writeTable(&b, tb.title, tb.rows)
		lab.writeKnown(&b, tb.prefix, tb.rows)
		for _, r := range tb.rows {
			for _, x := range r.asks {
				asked[x] = true
			}
			if r.thisKernel && len(r.asks) == 0 {
				t.Errorf("%s names a behaviour, but the grid does not show that it asks one", r.id)
			}
		}
	}
	var idle []string
	for _, x := range kernel.Behaviours() {
		if !asked[x] {
			idle = append(idle, x.ID)
		}
	}
	// A behaviour that is new here is asked by no rule, or the grid has no case for it.
	if want := []string{
		"wheel-timer", "coarse-timer", "clock-isn", "offsets-timestamps",
		"offset-per-tuple", "millisecond-timestamps", "large-first-window", "repeats-syn-six-times",
	}; !slices.Equal(idle, want) {
		t.Errorf("no rule asks %q, expected %q", idle, want)
	}
	fmt.Fprintf(&b, "\n## Asked by no rule\n\nThese date a kernel, end a timer, or show in what a SYN or SYN-ACK announces (`tcpwhy whatif --announces`): `%s`.\n", strings.Join(idle, "`, `"))
	if *update {
		if err := os.WriteFile(conformancePath, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(conformancePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("docs/conformance.md is stale: go test ./internal/whatif -run TestConformancePage -update")
	}
}

const conformanceHead = "# Rules and kernels\n\nWritten by `go test ./internal/whatif -run TestConformancePage -update` from the rules in internal/kernel.\n" + `
Each state has its rules in the order in which a kernel tries them; the first that holds decides. A rule that the second table
of its state does not name is the same in every version that was read, from 2.6.32 on. The others ask something that not all
kernels do alike. The versions here are stretches, and each stretch answers as one version of it that was read; the exact
versions on both sides of a change stand in [kernels.md](kernels.md). "Not known" are versions between two that answer
otherwise, and distribution kernels that were not read: there the model names every outcome that is possible.

The last table of a state says how it is known what a kernel does. A number: so often the laboratory tried the rule on that
very kernel, and the kernel did as the rule says but for those that "differ". "run": something that the rule asks of the kernel
was tried there by hand. "read": in the source of a version in this stretch. "?" and "not known": between two versions that answer
otherwise, or not read; what is only remembered counts as not known. The cases beside each rule are tried by the tests too: each
clause of each rule is turned round and left out, and a case must notice.

## The laboratory's last runs

` + "`bash internal/lab/kernels/all`" + ` makes them on Debian's kernels under emulation, ` + "`bash internal/lab/kernels/all here`" + ` (as root) on
the kernel that runs there. A probe is a segment whose answer was compared, field by field. "random": walks of several segments
into one connection; "timewait": the matrix's TIME_WAIT; "matrix": all of it, with all pairs of settings in TIME_WAIT; "isn":
the next table. A connection is skipped where the machine was too slow to say when the kernel did what.
`

const mutantsHead = `
## Broken rules

Each clause of each rule is turned round in turn, and the broken model held against what the kernel answered to the cells of the
matrix, without any random walk: the whole matrix, but for the pairs of settings. Rules that this kernel never comes to are left
out. ` + "`bash internal/lab/kernels/all -m mutants here`" + ` makes the figures; the tests try a part of it.

`

const isnHead = `
## Where the number of a SYN-ACK comes from

Both families, and with two clients each pair of families. "inherited" is snd_nxt + 65537 of the TIME_WAIT that accepted the SYN;
"left over" is that number of a TIME_WAIT on another four-tuple; "clock line" is where the four-tuple's own clock stands; a
"cookie" leaves no request behind; "fresh" is none of these on a four-tuple that was not answered before.

`

func writeTable(b *strings.Builder, title string, rows []ruleRow) {
	fmt.Fprintf(b, "\n## %s\n\n| rule | what it says | where the kernel does it |\n|---|---|---|\n", title)
	asks := false
	for _, r := range rows {
		tableRow(b, "`"+r.id+"`", r.says, r.from)
		asks = asks || len(r.asks) > 0
	}
	if !asks {
		return
	}
	b.WriteString("\n| a kernel … | asked by | yes | no | not known | how it is known |\n|---|---|---|---|---|---|\n")
	for _, x := range kernel.Behaviours() {
		var by []string
		for _, r := range rows {
			if slices.Contains(r.asks, x) {
				by = append(by, "`"+r.id+"`")
			}
		}
		if len(by) == 0 {
			continue
		}
		var sets [3][]kernel.Profile
		for _, p := range kernel.Candidates() {
			a := p.Has(x).Answer
			sets[a] = append(sets[a], p)
		}
		tableRow(b, x.Says, strings.Join(by, ", "), versions(sets[kernel.Yes]), versions(sets[kernel.No]), versions(sets[kernel.Unknown]), x.From)
	}
}

func versions(set []kernel.Profile) string {
	if len(set) == 0 {
		return "–"
	}
	return kernel.Words(set)
}

func tableRow(b *strings.Builder, cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// variant is a case and a way to change its kernel.
type variant[C any] struct {
	c       *C
	profile *kernel.Profile // within c
}

// rows finds what each rule asks of the kernel.
func rows[C any, O comparable](rules []*kernel.Rule[C, O], cases []variant[C]) []ruleRow {
	var out []ruleRow
	for _, r := range rules {
		row := ruleRow{id: r.ID, says: r.Says, from: r.From}
		for _, cl := range r.When {
			row.thisKernel = row.thisKernel || strings.HasPrefix(cl.Says, "this kernel ")
		}
		var depends []variant[C]
		for _, v := range cases {
			known := *v.profile
			with := kernel.Decide([]*kernel.Rule[C, O]{r}, v.c)
			*v.profile = kernel.Profile{}
			without := kernel.Decide([]*kernel.Rule[C, O]{r}, v.c)
			*v.profile = known
			if !same(with, without) {
				depends = append(depends, v)
			}
		}
		for _, b := range kernel.Behaviours() {
			if slices.ContainsFunc(depends, func(v variant[C]) bool { return depend(r, v.c, b) }) {
				row.asks = append(row.asks, b)
			}
		}
		out = append(out, row)
	}
	return out
}

// depend tells whether the rule says something else of the case where the
// behaviour is the other one.
func depend[C any, O comparable](r *kernel.Rule[C, O], c *C, b *kernel.Behaviour) bool {
	saved := *b
	defer func() { *b = saved }()
	b.First, b.Changes = kernel.Yes, nil
	yes := kernel.Decide([]*kernel.Rule[C, O]{r}, c)
	b.First = kernel.No
	return !same(yes, kernel.Decide([]*kernel.Rule[C, O]{r}, c))
}

func same[O comparable](a, b kernel.Decision[O]) bool {
	return slices.Equal(a.Possible, b.Possible) &&
		slices.EqualFunc(a.Trace[0].Readings, b.Trace[0].Readings, func(x, y kernel.Reading) bool { return x.Answer == y.Answer })
}
