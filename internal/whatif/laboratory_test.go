package whatif

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// resultsGlob are the last results of the laboratory, one file a kernel and mode
// (internal/lab/kernels/all writes them).
const resultsGlob = "../lab/results/*.json"

// labModes are the modes of which results are kept, in the order of the page.
var labModes = []string{"random", "timewait", "matrix", "isn"}

// labResult is what the page needs of a result of the laboratory.
type labResult struct {
	Kernel, Version string
	Seed            uint64
	Stories, Probes int
	Mismatches      int
	Ledgered        int
	Skipped         int
	Open            map[string]int
	Rules           map[string]int
	Kinds           []struct {
		Key   string
		Count int
	}
	ISNs []struct {
		What       string
		SynCookies int
		Seen       map[string]int
	}
	mode    string // of the file's name
	profile kernel.Profile
}

// readResults reads the results, by version and mode.
func readResults(t *testing.T) []labResult {
	t.Helper()
	names, err := filepath.Glob(resultsGlob)
	if err != nil {
		t.Fatal(err)
	}
	var out []labResult
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r labResult
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		version, mode, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".json"), "-")
		if mode == "mutants" {
			continue // readMutants
		}
		if version != r.Version || !slices.Contains(labModes, mode) {
			t.Errorf("%s: is of kernel %s; want VERSION-MODE.json, MODE one of %v", name, r.Version, labModes)
			continue
		}
		r.mode = mode
		if r.profile, err = kernel.ParseRelease(r.Version); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b labResult) int {
		x, y := a.profile.Version, b.profile.Version
		return cmp.Or(cmp.Compare(x.Major, y.Major), cmp.Compare(x.Minor, y.Minor), cmp.Compare(x.Patch, y.Patch),
			cmp.Compare(slices.Index(labModes, a.mode), slices.Index(labModes, b.mode)))
	})
	return out
}

// mutantsGlob are the results of breaking rules and holding them against the matrix.
const mutantsGlob = "../lab/results/*-mutants.json"

// mutantResult is how many broken rules the whole matrix contradicted on a kernel.
type mutantResult struct {
	Kernel                  string
	Seed                    uint64
	Cells, Clauses, Noticed int
	Unnoticed               []string
}

func readMutants(t *testing.T) (out []mutantResult) {
	t.Helper()
	names, err := filepath.Glob(mutantsGlob)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r mutantResult
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, r)
	}
	return out
}

// writeMutants writes how many broken rules the matrix contradicts.
func writeMutants(b *strings.Builder, all []mutantResult) {
	writeHead(b, []string{"kernel", "cells", "clauses turned round", "noticed", "unnoticed", "seed"})
	for _, r := range all {
		tableRow(b, r.Kernel, fmt.Sprint(r.Cells), fmt.Sprint(r.Clauses), fmt.Sprintf("%d (%.1f %%)", r.Noticed, 100*float64(r.Noticed)/float64(r.Clauses)),
			cmp.Or(strings.Join(r.Unnoticed, "; "), "–"), fmt.Sprint(r.Seed))
	}
}

// The matrix contradicts at least 95 of 100 broken rules.
func TestMatrixNotices(t *testing.T) {
	all := readMutants(t)
	if len(all) == 0 {
		t.Error("there is no result of broken rules")
	}
	for _, r := range all {
		if r.Clauses < 100 || r.Noticed*100 < r.Clauses*95 {
			t.Errorf("%s: %d of %d", r.Kernel, r.Noticed, r.Clauses)
		}
	}
}

// laboratory is what the results say of each kernel that was tried.
type laboratory struct {
	results []labResult
	kernels []labKernel // oldest first
}

type labKernel struct {
	version string
	profile kernel.Profile
	tried   map[string]int // by rule
	differ  map[string]int // stories in which the rule was the last one, by rule
	isns    map[isnRow]map[string]int
}

// isnRow is a row of the table of initial sequence numbers.
type isnRow struct {
	what       string
	synCookies int
}

func newLaboratory(results []labResult) *laboratory {
	l := &laboratory{results: results}
	for _, r := range results {
		i := slices.IndexFunc(l.kernels, func(k labKernel) bool { return k.version == r.Version })
		if i < 0 {
			i = len(l.kernels)
			l.kernels = append(l.kernels, labKernel{r.Version, r.profile, map[string]int{}, map[string]int{}, map[isnRow]map[string]int{}})
		}
		k := &l.kernels[i]
		for rule, n := range r.Rules {
			k.tried[rule] += n
		}
		for _, m := range r.Kinds {
			if f := strings.Fields(m.Key); len(f) == 3 { // STATE RULE FIELD
				k.differ[f[1]] += m.Count
			}
		}
		for _, c := range r.ISNs {
			row := isnRow{c.What, c.SynCookies}
			if k.isns[row] == nil {
				k.isns[row] = map[string]int{}
			}
			for origin, n := range c.Seen {
				k.isns[row][origin] += n
			}
		}
	}
	return l
}

// writeRuns writes the table of runs.
func (l *laboratory) writeRuns(b *strings.Builder) {
	b.WriteString("\n| kernel | run | connections | probes | mismatches | in the ledger | skipped | left open by the model | seed |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range l.results {
		open := 0
		for _, n := range r.Open {
			open += n
		}
		tableRow(b, r.Kernel, r.mode, fmt.Sprint(r.Stories), fmt.Sprint(r.Probes), fmt.Sprint(r.Mismatches), fmt.Sprint(r.Ledgered),
			fmt.Sprint(r.Skipped), fmt.Sprint(open), fmt.Sprint(r.Seed))
	}
}

// writeISNs writes where the numbers of SYN-ACKs were seen to come from.
func (l *laboratory) writeISNs(b *strings.Builder) {
	var order []isnRow
	for _, r := range l.results {
		for _, c := range r.ISNs {
			if row := (isnRow{c.What, c.SynCookies}); !slices.Contains(order, row) {
				order = append(order, row)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b isnRow) int {
		return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.synCookies, b.synCookies))
	})
	head := []string{"what arrives", "tcp_syncookies"}
	head = append(head, l.versions()...)
	writeHead(b, head)
	for _, row := range order {
		cells := []string{row.what, fmt.Sprint(row.synCookies)}
		for _, k := range l.kernels {
			var words []string
			for _, origin := range slices.Sorted(maps.Keys(k.isns[row])) {
				words = append(words, fmt.Sprintf("%s %d", origin, k.isns[row][origin]))
			}
			cells = append(cells, cmp.Or(strings.Join(words, ", "), "–"))
		}
		tableRow(b, cells...)
	}
}

func (l *laboratory) versions() (out []string) {
	for _, k := range l.kernels {
		out = append(out, k.version)
	}
	return out
}

// writeKnown writes, for each rule and kernel, how it is known what the kernel does.
// prefix is what the laboratory puts before the names of these rules.
func (l *laboratory) writeKnown(b *strings.Builder, prefix string, rows []ruleRow) {
	b.WriteString("\n")
	head := append([]string{"how it is known"}, l.versions()...)
	writeHead(b, append(head, "run by hand", "read", "not known"))
	for _, r := range rows {
		cells := []string{"`" + r.id + "`"}
		for _, k := range l.kernels {
			cell := howKnown(k.profile, r.asks)
			if n := k.tried[prefix+r.id]; n > 0 {
				cell = fmt.Sprint(n)
				if d := k.differ[prefix+r.id]; d > 0 {
					cell += fmt.Sprintf(", %d differ", d)
				}
			}
			cells = append(cells, cell)
		}
		sets := map[string][]kernel.Profile{}
		for _, p := range kernel.Candidates() {
			how := howKnown(p, r.asks)
			sets[how] = append(sets[how], p)
		}
		tableRow(b, append(cells, versions(sets[byHand]), versions(sets[bySource]), versions(sets[notKnown]))...)
	}
}

const (
	byHand   = "run"
	bySource = "read"
	notKnown = "?"
)

// howKnown tells how it is known what a kernel answers to all that a rule asks of it.
func howKnown(p kernel.Profile, asks []*kernel.Behaviour) string {
	how := bySource
	for _, x := range asks {
		if p.Has(x).Answer == kernel.Unknown {
			return notKnown
		}
		if ranOn(x.From, p) {
			how = byHand
		}
	}
	return how
}

// handRun are the series on which behaviours were tried by hand; "4.9 and later" is
// those of them from 4.9 on.
var handRun = []string{"3.16", "4.9", "4.19", "5.10", "6.1", "6.12", "6.18", "7.2"}

var ranVersion = regexp.MustCompile(`\d+\.\d+(\.el7|\.\d+)?( and later)?`)

// ranOn tells whether the origin of a behaviour names a kernel of the stretch as one on
// which it was run.
func ranOn(from string, p kernel.Profile) bool {
	_, runs, ok := strings.Cut(from, "run on ")
	if !ok {
		return false
	}
	series := fmt.Sprintf("%d.%d", p.Version.Major, p.Version.Minor)
	for _, v := range ranVersion.FindAllString(runs, -1) {
		v, later := strings.CutSuffix(v, " and later")
		v, rhel := strings.CutSuffix(v, ".el7")
		named := strings.Join(strings.SplitN(v, ".", 3)[:2], ".")
		switch {
		case rhel:
			if p.Vendor == kernel.RHEL7 {
				return true
			}
		case p.Vendor != kernel.Mainline:
		case named == series && (strings.Count(v, ".") < 2 || !splitSeries(series) || v == p.Version.String()):
			return true
		case later:
			i, j := slices.Index(handRun, named), slices.Index(handRun, series)
			if i >= 0 && j > i {
				return true
			}
		}
	}
	return false
}

// splitSeries tells whether a series counts as more than one stretch.
func splitSeries(series string) bool {
	n := 0
	for _, p := range kernel.Candidates() {
		if p.Vendor == kernel.Mainline && series == fmt.Sprintf("%d.%d", p.Version.Major, p.Version.Minor) {
			n++
		}
	}
	return n > 1
}

func writeHead(b *strings.Builder, cells []string) {
	tableRow(b, cells...)
	b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
}

func TestRanOn(t *testing.T) {
	for _, c := range []struct {
		from, release string
		want          bool
	}{
		{"tcp_paws_check", "4.9.229", false},
		{"x; run on 3.16 (no), 3.10.el7, 4.9 and later (yes)", "3.16.0", true},
		{"x; run on 3.16 (no), 3.10.el7, 4.9 and later (yes)", "3.10.0-1127.el7.x86_64", true},
		{"x; run on 3.16 (no), 3.10.el7, 4.9 and later (yes)", "3.10.65", false},
		{"x; run on 3.16 (no), 3.10.el7, 4.9 and later (yes)", "4.4.155", false},
		{"x; run on 3.16 (no), 3.10.el7, 4.9 and later (yes)", "4.14.5", false}, // nothing was run there
		{"x; run on 3.16 (no), 3.10.el7, 4.9 and later (yes)", "6.18.44", true},
		{"run on 6.12.43 (yes), 6.12.117, 6.18.44, 7.2.13 (no)", "6.12.43", true},
		{"run on 6.12.117, 6.18.44, 7.2.13 (no)", "6.12.43", false},
	} {
		p, err := kernel.ParseRelease(c.release)
		if err != nil {
			t.Fatal(err)
		}
		if got := ranOn(c.from, p); got != c.want {
			t.Errorf("%q on %s: %v", c.from, c.release, got)
		}
	}
}

// The results that are kept are of a model that agrees with every kernel, or whose
// differences the ledger lists.
func TestLaboratoryResults(t *testing.T) {
	results := readResults(t)
	series := map[string]bool{}
	for _, r := range results {
		if r.Mismatches != 0 {
			t.Errorf("%s %s: %d mismatches: %+v", r.Version, r.mode, r.Mismatches, r.Kinds)
		}
		if 50*r.Skipped > r.Stories {
			t.Errorf("%s %s: %d of %d connections were skipped", r.Version, r.mode, r.Skipped, r.Stories)
		}
		if r.mode == "random" && r.Probes >= 3000 {
			series[strings.Join(strings.SplitN(r.Version, ".", 3)[:2], ".")] = true
		}
	}
	for _, s := range []string{"5.10", "6.1", "6.12", "7.2"} {
		if !series[s] {
			t.Errorf("there is no result of 3000 random probes on %s", s)
		}
	}
}
