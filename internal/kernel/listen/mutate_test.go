package listen_test

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
)

func TestCasesNoticeBrokenClauses(t *testing.T) {
	casefile.Mutate(t, casefile.State[listen.Case, listen.Outcome]{
		Rules: listen.Rules(), Build: build, Decide: listen.Decide, Show: show,
	},
		// Every kernel that drops a SYN without a timestamp has the gate for IPv6 too.
		"gate-no-timestamp: the gate exists for this family",
	)
}
