package connect_test

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel/casefile"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
)

func TestCasesNoticeBrokenClauses(t *testing.T) {
	casefile.Mutate(t, casefile.State[connect.TakeOver, connect.Opening]{
		Rules: connect.Rules(), Build: buildTakeOver, Decide: connect.Decide, Show: showOpening,
	})
	casefile.Mutate(t, casefile.State[connect.SynSent, connect.Reaction]{
		Rules: connect.ReactionRules(), Build: buildSynSent, Decide: connect.React, Show: showReaction,
	})
}
