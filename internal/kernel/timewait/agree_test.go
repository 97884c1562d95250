package timewait_test

import (
	"fmt"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// agree tells where an outcome contradicts the truth; "" where it does not. A
// number that the outcome leaves unknown contradicts nothing.
func agree(a *answer, o *timewait.Outcome, limits bool) string {
	num := func(what string, n kernel.Num, want uint32) string {
		if n.Known && n.Uint32() != want {
			return fmt.Sprintf("%s %s, the oracle says %d", what, n, want)
		}
		return ""
	}
	var wrong []string
	say := func(s string) {
		if s != "" {
			wrong = append(wrong, s)
		}
	}
	if o.Reply.Kind != a.kind || o.Gone != a.gone || o.Reply.HasACK != a.hasACK {
		say(fmt.Sprintf("%s (ACK flag %t) gone %t, the oracle says %s (%t) gone %t", o.Reply.Kind, o.Reply.HasACK, o.Gone, a.kind, a.hasACK, a.gone))
	}
	if a.kind != kernel.NoReply && !a.unforeseen {
		say(num("seq", o.Reply.Seq, a.seq))
	}
	if a.unforeseen && o.Reply.Seq.Known {
		say("a fresh ISN is foretold")
	}
	if a.kind == kernel.ReplyACK || a.kind == kernel.ReplySYNACK {
		say(num("ack", o.Reply.Ack, a.ack))
	}
	if a.kind == kernel.ReplyACK {
		say(num("window", o.Reply.Window, a.window))
		if o.Reply.NoTS && a.hasTS || o.Reply.TSEcr.Known && !a.hasTS {
			say(fmt.Sprintf("timestamps: without %t, ecr %v; the oracle says with %t", o.Reply.NoTS, o.Reply.TSEcr, a.hasTS))
		}
		say(num("ecr", o.Reply.TSEcr, a.ecr))
	}
	if o.Reply.ISN != kernel.ISNUnknown && o.Reply.ISN != a.isn {
		say(fmt.Sprintf("ISN of kind %d, the oracle says %d", o.Reply.ISN, a.isn))
	}
	if !a.gone && !o.Gone {
		say(agreeAfter(&a.after, &o.After, limits, num))
	}
	return strings.Join(wrong, "; ")
}

func agreeAfter(want *mini, got *timewait.Socket, limits bool, num func(string, kernel.Num, uint32) string) string {
	switch {
	case (got.Substate == timewait.FinWait2) != want.fw2:
		return fmt.Sprintf("FIN_WAIT2 %t afterwards", !want.fw2)
	case got.Armed != 0 && got.Armed != want.armed:
		return fmt.Sprintf("armed at %d, the oracle says %d", got.Armed, want.armed)
	case want.hasTS && got.TSStored != 0 && got.TSStored != want.tsStored:
		return fmt.Sprintf("ts_recent stored at %d, the oracle says %d", got.TSStored, want.tsStored)
	case limits && !got.LastACKUnknown && got.LastACK != want.oow:
		return fmt.Sprintf("last limited ACK at %d, the oracle says %d", got.LastACK, want.oow)
	}
	s := num("rcv_nxt afterwards", got.RcvNxt, want.rcvNxt)
	if want.hasTS && s == "" {
		s = num("ts_recent afterwards", got.TSRecent, want.tsRecent)
	}
	return s
}

// exact tells what a decision with every fact known leaves open.
func exact(a *answer, o *timewait.Outcome) string {
	var open []string
	must := func(what string, ok bool) {
		if !ok {
			open = append(open, what)
		}
	}
	switch a.kind {
	case kernel.NoReply:
	case kernel.ReplyACK:
		must("seq", o.Reply.Seq.Known)
		must("ack", o.Reply.Ack.Known)
		must("window", o.Reply.Window.Known)
		must("timestamps", o.Reply.NoTS || o.Reply.TSEcr.Known)
	case kernel.ReplySYNACK:
		must("ISN", a.isn == o.Reply.ISN)
		must("seq", a.unforeseen || o.Reply.Seq.Known)
		must("ack", o.Reply.Ack.Known)
	case kernel.ReplyRST:
		must("seq", o.Reply.Seq.Known)
		must("ack", !a.hasACK || o.Reply.Ack.Known)
	}
	if !a.gone {
		must("armed", o.After.Armed != 0)
		must("rcv_nxt", o.After.RcvNxt.Known)
		must("ts_recent", !a.after.hasTS || o.After.TSRecent.Known && o.After.TSStored != 0)
	}
	return strings.Join(open, ", ")
}
