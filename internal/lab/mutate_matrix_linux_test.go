package lab

import (
	"cmp"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// mutationResult is what the conformance page needs of a run of the whole matrix.
type mutationResult struct {
	Kernel  string `json:"kernel"`
	Version string `json:"version"`
	Mode    string `json:"mode"`
	Seed    uint64 `json:"seed"`
	Cells   int    `json:"cells"`   // of the matrix, that were played as predicted
	Clauses int    `json:"clauses"` // that were turned round, of rules that this kernel comes to
	Noticed int    `json:"noticed"`
	// Unnoticed are RULE: CLAUSE.
	Unnoticed []string `json:"unnoticed"`
}

// partOfMatrix is how much of the matrix is played where not all of it is asked for:
// one cell of so many, beside the narrow ones.
const partOfMatrix = 12

// The matrix alone, without a random walk, contradicts nearly every rule of which one
// clause is turned round. The kernel is asked once; each broken model is then held
// against its answers. LAB_MATRIX=whole in the environment plays all of the matrix
// instead of a part, and LAB_RESULT names a file for the figures.
func TestLabMatrixCatchesBrokenRules(t *testing.T) {
	p, seed := here(t), seedOf(t)
	stories, err := Matrix(nil, false, seed)
	if err != nil {
		t.Fatal(err)
	}
	// The first trails are asked first: all states in turn find a broken rule sooner.
	r := rand.New(rand.NewPCG(seed, 3))
	r.Shuffle(len(stories), func(i, j int) { stories[i], stories[j] = stories[j], stories[i] })
	whole := os.Getenv("LAB_MATRIX") == "whole"
	if !whole {
		stories = part(stories, partOfMatrix)
	}
	out, err := run(t.Context(), stories, p, true)
	if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
		t.Skip("without root there is no network namespace to try the kernel in")
	}
	if err != nil {
		t.Fatal(err)
	}
	m := newMutants(t, p, stories, out)
	if len(m.trails)*20 < len(stories)*19 {
		t.Fatalf("only %d of %d cells were played as predicted", len(m.trails), len(stories))
	}
	m.all()
	res := mutationResult{
		Kernel: p.String(), Version: p.Version.String(), Mode: "mutants", Seed: seed, Cells: len(m.trails),
		Clauses: m.flips, Noticed: m.flips - len(m.survivors), Unnoticed: m.survivors,
	}
	t.Logf("%d cells, %d clauses turned round, %d noticed, unnoticed: %q", res.Cells, res.Clauses, res.Noticed, res.Unnoticed)
	if res.Noticed*100 < res.Clauses*95 {
		t.Error("less than 95 % were noticed")
	}
	if file := os.Getenv("LAB_RESULT"); file != "" {
		b, err := json.MarshalIndent(res, "", "  ")
		if err = cmp.Or(err, os.WriteFile(file, append(b, '\n'), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// part is one cell of n, and all that are narrow: the ACK of a handshake, and what is
// close to the edge of data beyond a hole, which few cells are about.
func part(all []Story, n int) (some []Story) {
	for i := range all {
		first, steps := all[i].Steps[0], len(all[i].Steps)
		if i%n == 0 || all[i].State == SynRecv && first.Flags == segment.ACK || steps == 3 && all[i].Steps[1].Seq-first.Seq-first.Len+1 < 3 {
			some = append(some, all[i])
		}
	}
	return some
}
