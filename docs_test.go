package tcpwhy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// TestGeneratedDocs holds the pages that are made from the program's own tables
// against those tables; with -update it writes them.
func TestGeneratedDocs(t *testing.T) {
	type generated struct{ path, want string }
	pages := []generated{{"docs/causes.md", causesPage()}, {"docs/kernels.md", kernelsPage()}}
	for path, want := range questionPages(t) {
		pages = append(pages, generated{path, want})
	}
	for _, page := range pages {
		if *update {
			if err := os.MkdirAll(filepath.Dir(page.path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(page.path, []byte(page.want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(page.path)
		if err != nil {
			t.Error(err)
			continue
		}
		if string(got) != page.want {
			t.Errorf("%s is stale: go test . -run TestGeneratedDocs -update", page.path)
		}
	}
}

// causesPage is the vocabulary of questions and causes.
func causesPage() string {
	var b strings.Builder
	b.WriteString(`# Questions and causes

Written by ` + "`go test . -run TestGeneratedDocs -update`" + ` from internal/diagnose/causes.go. The slugs are part of the JSON contract.

In the commands CLIENT and PORT stand for the client's address and the server's port; a report fills them in. Where
nothing is said about settling a cause, the capture decides it or nothing does. Fault is the side whose doing it is;
how much it matters is harmless, notice or problem. Where a question is about what one end did (sent a RST, a FIN, data that
stood still), that is "the end that acted", and its peer "the other end"; a report says which of them is the client, which the server.
[A page for each question](questions/README.md) says what it looks like, and what tells the causes apart.
`)
	for _, q := range diagnose.Vocabulary() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| cause | what it means | fault | matters | what settles it |\n|---|---|---|---|---|\n", q.Slug, q.Asks)
		for _, c := range q.Causes {
			tableRow(&b, code(c.Slug), c.Means, faultWords(c.Fault), string(c.Severity), settles(&c))
		}
	}
	return b.String()
}

func settles(c *diagnose.Cause) string {
	var out []string
	for _, s := range c.Settle {
		text := fmt.Sprintf("on %s: %s: %s", hostWords(s.On), code(s.Command), conditionOf(s.If, ""))
		if s.Then != c.Slug {
			text += " → " + s.Then
		}
		out = append(out, text)
	}
	return strings.Join(out, "<br>")
}

// kernelsPage is what differs between kernels.
func kernelsPage() string {
	var b strings.Builder
	b.WriteString(`# What differs between kernels

Written by ` + "`go test . -run TestGeneratedDocs -update`" + ` from internal/kernel/behaviours.go.

The versions are those of source trees that were read, or of kernels that were run. Between two of them with different
answers the answer is unknown, and no verdict uses a boundary that is only remembered. "y" is the last patch level of a
series. The kernels of Red Hat 6, 7 and 8 were read by themselves; an empty field was not read.

| a kernel … | mainline and stable | rhel6 | rhel7 | rhel8 | how it is known |
|---|---|---|---|---|---|
`)
	for _, x := range kernel.Behaviours() {
		tableRow(&b, x.Says+" ("+code(x.ID)+")", strings.Join(stretches(x), "<br>"), answer(x.RHEL6), answer(x.RHEL7), answer(x.RHEL8), x.From)
	}
	return b.String()
}

// stretches words the versions over which a behaviour does not change.
func stretches(b *kernel.Behaviour) []string {
	var out []string
	from, a := "2.6.32", b.First
	for _, c := range b.Changes {
		text := a.String() + ": " + from
		if to := series(c.Before); to != from {
			text += " to " + to
		}
		out = append(out, text)
		from, a = c.After.String(), c.To
	}
	return append(out, fmt.Sprintf("%s: from %s on", a, from))
}

// series names the last version of a series with a y.
func series(v kernel.Version) string {
	if s := v.String(); strings.Count(s, ".") > 1 {
		return s
	}
	return v.String() + ".y"
}

func answer(a kernel.Answer) string {
	if a == kernel.Unknown {
		return ""
	}
	return a.String()
}

func tableRow(b *strings.Builder, cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func code(s string) string { return "`" + s + "`" }

// TestVocabulary: every cause can be told and settled, and a slug means one thing
// within its question.
func TestVocabulary(t *testing.T) {
	questions := diagnose.Vocabulary()
	if len(questions) < 5 {
		t.Fatalf("only %d questions", len(questions))
	}
	faults := []report.Fault{
		report.ClientHost, report.ServerHost, report.ClientApplication, report.ServerApplication,
		report.Path, report.Nobody, report.FaultUnknown,
		"actor-host", "actor-application", "other-host", "other-application",
	}
	seen := map[string]bool{}
	for _, q := range questions {
		if seen[q.Slug] || q.Slug == "" || q.Asks == "" {
			t.Errorf("question %q: it is there twice, or does not say what it asks", q.Slug)
		}
		seen[q.Slug] = true
		causes := map[string]bool{}
		for _, c := range q.Causes {
			name := q.Slug + "/" + c.Slug
			if causes[c.Slug] || c.Slug == "" || c.Means == "" {
				t.Errorf("%s: it is there twice, or does not say what it means", name)
			}
			causes[c.Slug] = true
			if !slices.Contains(faults, c.Fault) {
				t.Errorf("%s: fault %q", name, c.Fault)
			}
			if !slices.Contains([]report.Severity{report.Harmless, report.Notice, report.Problem}, c.Severity) {
				t.Errorf("%s: severity %q", name, c.Severity)
			}
		}
		for _, c := range q.Causes {
			for _, s := range c.Settle {
				if !slices.Contains([]string{"client", "server", "actor", "other"}, s.On) || s.Command == "" || s.If == "" || !causes[s.Then] {
					t.Errorf("%s/%s: %+v does not say where, what and which cause of the question", q.Slug, c.Slug, s)
				}
			}
		}
	}
}

// TestStretches: versions that were not seen are not in any stretch.
func TestStretches(t *testing.T) {
	got := stretches(&kernel.Behaviour{First: kernel.No, Changes: []kernel.Change{
		{Before: kernel.V(4, 14, 5), After: kernel.V(4, 14, 277), To: kernel.Yes},
		{Before: kernel.V(6, 6, 1<<20), After: kernel.V(6, 12, 43), To: kernel.No},
		{Before: kernel.V(6, 12, 43), After: kernel.V(6, 18, 0), To: kernel.Yes},
	}})
	want := []string{"no: 2.6.32 to 4.14.5", "yes: 4.14.277 to 6.6.y", "no: 6.12.43", "yes: from 6.18.0 on"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
