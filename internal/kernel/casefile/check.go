package casefile

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

var update = flag.Bool("update", false, "write below the four dashes of case files what the rules say now")

const folder = "testdata"

// State is how a package's cases are made, decided and shown. C is its case, O
// its outcome.
type State[C, O any] struct {
	Rules  []*kernel.Rule[C, O]
	Build  func(*Case) *C
	Decide func(*C) kernel.Decision[O]
	// Show returns the rule whose outcome it is, and the outcome in words.
	Show func(*C, O) (rule, says string)
}

// Check walks the rules: each must have a file, in which every case says what is
// written below it, in which the rule once is the one sure outcome, and once is
// missed by a little.
func Check[C, O any](t *testing.T, s State[C, O]) {
	for _, r := range s.Rules {
		t.Run(r.ID, func(t *testing.T) {
			name := filepath.Join(folder, r.ID+".txt")
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatalf("a rule needs its cases: %v", err)
			}
			cases, err := read(name, string(text))
			if err != nil {
				t.Fatal(err)
			}
			fires, misses := false, false
			for _, c := range cases {
				got, seen, err := s.run(r, c)
				if err != nil {
					t.Errorf("%s:%d: %v", name, c.Line, err)
				}
				fires, misses = fires || seen == firesSurely, misses || seen == isMissed
				if got != c.want && !*update {
					t.Errorf("%s:%d: got\n%s\nwant\n%s", name, c.Line, got, c.want)
				}
				c.want = got
			}
			if !fires {
				t.Errorf("%s: in no case the rule is the one sure outcome", name)
			}
			if !misses {
				t.Errorf("%s: no case in which the rule is asked and does not surely hold", name)
			}
			if *update && !t.Failed() {
				if err := os.WriteFile(name, format(cases), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// NoStrays fails for a case file that belongs to none of the rules.
func NoStrays(t *testing.T, ids ...string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(ids, strings.TrimSuffix(filepath.Base(f), ".txt")) {
			t.Errorf("%s belongs to no rule", f)
		}
	}
}

// seen is what a case shows of a rule.
type seen int

const (
	nothing seen = iota
	firesSurely
	isMissed // it answers no or unknown; a rule without clauses: it is not reached
)

// run decides one case, and tells what the case shows of the rule.
func (s State[C, O]) run(r *kernel.Rule[C, O], c *Case) (text string, of seen, err error) {
	made := s.Build(c)
	if err := c.wrong(); err != nil {
		return "", nothing, err
	}
	d := s.Decide(made)
	if len(d.Possible) == 0 {
		return "", nothing, errors.New("no rule speaks")
	}
	var b strings.Builder
	writeTrace(&b, d.Trace)
	for _, o := range d.Possible {
		rule, says := s.Show(made, o)
		fmt.Fprintf(&b, "=> %s: %s\n", rule, says)
	}
	if missing := d.Missing(); len(missing) > 0 {
		b.WriteString("missing:")
		for _, f := range missing {
			fmt.Fprintf(&b, " [%s]", f)
		}
		b.WriteByte('\n')
	}
	if o, ok := d.Sure(); ok {
		if rule, _ := s.Show(made, o); rule == r.ID {
			return b.String(), firesSurely, nil
		}
	}
	return b.String(), missed(r.ID, len(r.When) == 0, d.Trace), nil
}

// missed tells whether a trace is a near miss of the rule.
func missed(id string, always bool, trace []kernel.Asked) seen {
	at := slices.IndexFunc(trace, func(a kernel.Asked) bool { return a.Rule == id })
	switch {
	case at < 0 && always, at >= 0 && trace[at].Answer != kernel.Yes:
		return isMissed
	}
	return nothing
}

// writeTrace writes the rules that were asked, with their clauses, in order.
func writeTrace(b *strings.Builder, trace []kernel.Asked) {
	for _, a := range trace {
		if len(a.Readings) == 1 { // most are turned away by their first clause
			fmt.Fprintf(b, "%s: %s: %s (%s)\n", a.Answer, a.Rule, a.Clauses[0], a.Readings[0].Because())
			continue
		}
		fmt.Fprintf(b, "%s: %s\n", a.Answer, a.Rule)
		for i, r := range a.Readings {
			fmt.Fprintf(b, "  %-7s %s (%s)\n", r.Answer, a.Clauses[i], r.Because())
		}
	}
}

// Reply puts a reply in words, "?" for each number that is not predicted.
func Reply(r kernel.Reply) string {
	switch r.Kind {
	case kernel.NoReply:
		return r.Kind.String()
	case kernel.ReplySYNACK:
		from := [...]string{"origin unknown", "inherited", "clock line", "cookie", "left over"}[r.ISN]
		return fmt.Sprintf("%s seq %s (%s) ack %s", r.Kind, Num(r.Seq), from, Num(r.Ack))
	case kernel.ReplyRST:
		if !r.HasACK {
			return fmt.Sprintf("%s seq %s%s", r.Kind, Num(r.Seq), timestamps(r))
		}
		return fmt.Sprintf("%s with ACK seq %s ack %s%s", r.Kind, Num(r.Seq), Num(r.Ack), timestamps(r))
	case kernel.ReplyACK:
	}
	return fmt.Sprintf("%s seq %s ack %s win %s%s", r.Kind, Num(r.Seq), Num(r.Ack), Num(r.Window), timestamps(r))
}

func timestamps(r kernel.Reply) string {
	if r.NoTS {
		return " no TS"
	}
	return " ecr " + Num(r.TSEcr)
}

// Num prints a number, or "?" if it is not known.
func Num(n kernel.Num) string {
	if !n.Known {
		return "?"
	}
	return n.String()
}

// format writes the cases of a file.
func format(cases []*Case) []byte {
	var b strings.Builder
	for i, c := range cases {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n%s\n%s", strings.Join(c.above, "\n"), separator, c.want)
	}
	return []byte(b.String())
}
