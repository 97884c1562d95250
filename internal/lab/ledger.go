package lab

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

//go:embed ledger.txt
var ledgerText string

// Entry is a difference between the model and a kernel that is known and left:
// a line "KEY | KERNEL | REASON" of ledger.txt.
type Entry struct {
	Key    string // as Outcome.Key gives it
	Kernel string // the series it was seen on, "6.1"
	Reason string
}

// Ledger returns the entries of ledger.txt in order. An error names the line.
func Ledger() ([]Entry, error) { return parseLedger(ledgerText) }

func parseLedger(text string) ([]Entry, error) {
	var out []Entry
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "|")
		if len(f) != 3 {
			return nil, fmt.Errorf("ledger.txt line %d: want KEY | KERNEL | REASON, got %q", n, line)
		}
		e := Entry{strings.TrimSpace(f[0]), strings.TrimSpace(f[1]), strings.TrimSpace(f[2])}
		if e.Key == "" || e.Kernel == "" || e.Reason == "" {
			return nil, fmt.Errorf("ledger.txt line %d: a part is empty", n)
		}
		out = append(out, e)
	}
	return out, nil
}

// Of tells whether the entry is about this kernel.
func (e *Entry) Of(p kernel.Profile) bool {
	return fmt.Sprintf("%d.%d", p.Version.Major, p.Version.Minor) == e.Kernel
}

// known returns the ledger's reason for a kind of difference, empty where it has
// none.
func known(key string, p kernel.Profile) string {
	all, err := Ledger()
	if err != nil {
		return "" // a test reads the file; here it must not hide a difference
	}
	for _, e := range all {
		if e.Key == key && e.Of(p) {
			return e.Reason
		}
	}
	return ""
}
