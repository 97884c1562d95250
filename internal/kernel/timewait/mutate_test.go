package timewait_test

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

func TestCasesNoticeBrokenClauses(t *testing.T) {
	casefile.Mutate(t, casefile.State[timewait.Case, timewait.Outcome]{
		Rules: allRules(), Build: build, Decide: timewait.Decide, Show: show,
	})
}
