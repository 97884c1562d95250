package live_test

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
)

func TestCasesNoticeBrokenClauses(t *testing.T) {
	casefile.Mutate(t, casefile.State[live.Case, live.Outcome]{
		Rules: allRules(), Build: build, Decide: live.Decide, Show: show,
	})
}
