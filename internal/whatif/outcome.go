package whatif

import (
	"fmt"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// Reply is what is sent back, to the field; a number that is absent is not
// predicted.
type Reply struct {
	Kind   string  `json:"kind"`            // ACK, SYN-ACK, RST, no answer
	Flags  string  `json:"flags,omitempty"` // as packetdrill writes them
	Seq    *uint32 `json:"seq,omitempty"`
	Ack    *uint32 `json:"ack,omitempty"`
	Window *uint32 `json:"window,omitempty"` // the header's field, not scaled
	TSEcr  *uint32 `json:"ts_ecr,omitempty"`
	// Timestamps: no means that it must not carry the option.
	Timestamps string `json:"timestamps,omitempty"`
	// ISN is where the sequence number of a SYN-ACK comes from.
	ISN string `json:"isn,omitempty"`
}

// isnWords say where the ISN of a SYN-ACK comes from.
var isnWords = [...]string{
	kernel.ISNUnknown:   "its origin is not known",
	kernel.ISNInherited: "snd_nxt + 65537",
	kernel.ISNFresh:     "from the clock line",
	kernel.ISNCookie:    "a cookie",
	kernel.ISNLeftOver:  "left over from a SYN that was dropped",
}

func replyOf(r kernel.Reply) *Reply {
	out := &Reply{Kind: r.Kind.String(), Seq: pointer(r.Seq), Ack: pointer(r.Ack), Window: pointer(r.Window), TSEcr: pointer(r.TSEcr)}
	switch r.Kind {
	case kernel.ReplyACK:
		out.Flags = "."
	case kernel.ReplySYNACK:
		out.Flags = "S."
		if r.ISN != kernel.ISNUnknown || !r.Seq.Known {
			out.ISN = isnWords[r.ISN]
		}
	case kernel.ReplyRST:
		out.Flags = "R"
		if r.HasACK {
			out.Flags = "R."
		}
	case kernel.NoReply:
	}
	if r.NoTS {
		out.Timestamps = kernel.No.String()
	}
	return out
}

func pointer(n kernel.Num) *uint32 {
	if !n.Known {
		return nil
	}
	v := n.Uint32()
	return &v
}

// words tell a reply to the field, ? for a number that is not predicted.
func words(r kernel.Reply) string {
	switch r.Kind {
	case kernel.NoReply:
		return r.Kind.String()
	case kernel.ReplySYNACK:
		if r.ISN == kernel.ISNUnknown && r.Seq.Known { // one that was sent before
			return fmt.Sprintf("%s seq %s ack %s", r.Kind, num(r.Seq), num(r.Ack))
		}
		return fmt.Sprintf("%s seq %s (%s) ack %s", r.Kind, num(r.Seq), isnWords[r.ISN], num(r.Ack))
	case kernel.ReplyRST:
		if !r.HasACK {
			return fmt.Sprintf("%s seq %s", r.Kind, num(r.Seq))
		}
		return fmt.Sprintf("%s with ACK, seq %s ack %s", r.Kind, num(r.Seq), num(r.Ack))
	case kernel.ReplyACK:
	}
	s := fmt.Sprintf("%s seq %s ack %s win %s", r.Kind, num(r.Seq), num(r.Ack), num(r.Window))
	if r.NoTS {
		return s + " without timestamps"
	}
	return s + " ecr " + num(r.TSEcr)
}

func num(n kernel.Num) string {
	if !n.Known {
		return "?"
	}
	return n.String()
}

var substates = [...]string{timewait.TimeWait: "TIME_WAIT", timewait.FinWait2: "FIN_WAIT2"}

func timeWaitOutcome(c *timewait.Case, o timewait.Outcome) Outcome {
	out := Outcome{Rule: o.Rule, Reply: replyOf(o.Reply), Gone: o.Gone, missing: unsaid(o.Reply, true)}
	if o.Reply.Kind == kernel.ReplySYNACK {
		out.isn(o.Reply, c.Host.KeepsISN())
	}
	if o.Gone {
		out.Says = words(o.Reply) + "; " + substates[c.Substate] + " is gone"
		return out
	}
	a := o.After
	out.After = map[string]string{"state": substates[a.Substate], "rcv_nxt": num(a.RcvNxt), "ts_recent": num(a.TSRecent)}
	out.Says = words(o.Reply) + "; "
	if a.Substate != c.Substate {
		span := [...]string{kernel.Unknown: "60 s or 3.5 RTO", kernel.No: "60 s", kernel.Yes: "3.5 RTO"}[a.Short]
		out.Says += "it becomes TIME_WAIT for " + span + ", rcv_nxt " + num(a.RcvNxt)
		out.After["rearmed"] = kernel.Yes.String()
	} else {
		out.Says += substates[a.Substate] + " stays" + out.rearmed(c, a)
	}
	switch {
	case a.HasTS == kernel.No:
		out.After["ts_recent"] = "none"
	case a.TSStored == c.Now && c.TSStored != c.Now, a.TSRecent.Known && a.TSRecent != c.TSRecent:
		out.Says += ", ts_recent " + num(a.TSRecent) + " from now on"
	case c.TSRecent.Known && !a.TSRecent.Known:
		out.Says += ", ts_recent perhaps another one"
	}
	if a.LastACK == c.Now && c.LastACK != c.Now {
		out.After["limiter"] = "starts"
	}
	return out
}

// rearmed tells what becomes of the timer. That of FIN_WAIT2 is never touched
// but by the FIN.
func (o *Outcome) rearmed(c *timewait.Case, a timewait.Socket) string {
	if c.Substate == timewait.FinWait2 {
		return ""
	}
	switch a.Armed {
	case c.Now:
		o.After["rearmed"] = kernel.Yes.String()
		return ", its 60 s start anew"
	case c.Armed:
		o.After["rearmed"] = kernel.No.String()
		return ", its 60 s run on"
	}
	o.After["rearmed"] = kernel.Unknown.String()
	o.missing = append(o.missing, kernel.FactKernel)
	return ", its 60 s perhaps start anew"
}

// unsaid lists the facts without which the fields of an ACK are not predicted,
// or the number of a SYN-ACK that was sent before. The window of a pending
// request never is.
func unsaid(r kernel.Reply, window bool) (out []kernel.Fact) {
	switch r.Kind {
	case kernel.NoReply, kernel.ReplyRST:
		return nil
	case kernel.ReplySYNACK:
		if !r.Seq.Known && !window {
			out = append(out, kernel.FactSndNxt)
		}
		return out
	case kernel.ReplyACK:
	}
	for _, f := range []struct {
		known bool
		fact  kernel.Fact
	}{
		{r.Seq.Known, kernel.FactSndNxt}, {r.Ack.Known, kernel.FactRcvNxt},
		{r.Window.Known || !window, kernel.FactRcvWnd}, {r.TSEcr.Known || r.NoTS, kernel.FactTSRecent},
	} {
		if !f.known {
			out = append(out, f.fact)
		}
	}
	return out
}

// isn tells why the number of a SYN-ACK is the one it is.
func (o *Outcome) isn(r kernel.Reply, keeps kernel.Reading) {
	o.Because = append(o.Because, keeps.Because())
	switch {
	case keeps.Answer == kernel.Unknown:
		o.missing = append(o.missing, keeps.Missing)
	case r.ISN == kernel.ISNUnknown:
		o.missing = append(o.missing, kernel.FactSynCookies)
	case r.ISN == kernel.ISNInherited && !r.Seq.Known:
		o.missing = append(o.missing, kernel.FactSndNxt)
	}
}

func liveOutcome(c *live.Case, o live.Outcome) Outcome {
	out := Outcome{Rule: o.Rule, Reply: replyOf(o.Reply), Gone: o.Gone, Says: words(o.Reply), missing: unsaid(o.Reply, c.State != live.SynRecv)}
	if c.RcvWnd.Known { // what data leaves of it is not predicted
		out.missing = slices.DeleteFunc(out.missing, func(f kernel.Fact) bool { return f == kernel.FactRcvWnd })
	}
	switch {
	case o.Rule == "fin-acked-last":
		out.Says += "; " + c.State.String() + " is over, the connection closed"
		return out
	case o.Gone:
		out.Says += "; " + c.State.String() + " is aborted"
		return out
	case o.Shrinks:
		t := o.Small
		out.After = map[string]string{"state": substates[t.Substate], "rcv_nxt": num(t.RcvNxt), "ts_recent": num(t.TSRecent)}
		if t.HasTS == kernel.No {
			out.After["ts_recent"] = "none"
		}
		out.Says += "; it becomes " + substates[t.Substate] + ", rcv_nxt " + num(t.RcvNxt)
		return out
	}
	a := o.After
	out.After = map[string]string{"state": a.State.String(), "rcv_nxt": num(a.RcvNxt), "ts_recent": num(a.TSRecent)}
	if a.HasTS == kernel.No {
		out.After["ts_recent"] = "none"
	}
	if a.LastACK == c.Now && c.LastACK != c.Now {
		out.After["limiter"] = "starts"
	}
	if a.State == c.State {
		out.Says += "; " + a.State.String() + " stays"
	} else {
		out.Says += "; it becomes " + a.State.String()
	}
	if a.RcvNxt != c.RcvNxt {
		out.Says += ", rcv_nxt " + num(a.RcvNxt) + " from now on"
	}
	switch {
	case a.TSRecent.Known && a.TSRecent != c.TSRecent:
		out.Says += ", ts_recent " + num(a.TSRecent) + " from now on"
	case c.TSRecent.Known && !a.TSRecent.Known:
		out.Says += ", ts_recent perhaps another one"
	}
	if o.Rule == "otherwise" {
		// The rules end here: what the connection itself does is not theirs.
		out.Reply, out.Says = nil, "no rule: it is handled as a segment of the connection; "+a.State.String()+" stays for now"
	}
	return out
}

func listenOutcome(o listen.Outcome) Outcome {
	return Outcome{Rule: o.Rule, Reply: replyOf(o.Reply), Says: words(o.Reply)}
}

// factRepeated is whether the SYN was repeated before the segment came.
const factRepeated kernel.Fact = "whether the SYN was repeated before"

func reactionOutcome(h *kernel.Host, o connect.Reaction) Outcome {
	out := Outcome{Rule: o.Rule, Reply: replyOf(o.Reply), missing: unsaid(o.Reply, false)}
	out.Says = words(o.Reply) + "; "
	switch o.After {
	case connect.Closed:
		out.Says += "connect() fails with ECONNREFUSED"
		out.Gone = true
		return out
	case connect.Established, connect.SynRecv, connect.AnyState:
		out.After = map[string]string{"state": o.After.String()}
		out.Says += "it becomes " + o.After.String()
		return out
	case connect.StaysSynSent:
	}
	out.After = map[string]string{"state": o.After.String(), "resends_at_once": o.Resends.String()}
	if o.Again.Nominal > 0 {
		out.After["again_s"] = fmt.Sprintf("%g", o.Again.Nominal.Seconds())
	}
	if o.Next.Nominal > 0 {
		out.After["then_s"] = fmt.Sprintf("%g", o.Next.Nominal.Seconds())
	}
	out.Says += "SYN_SENT stays, "
	switch {
	case o.Resends == kernel.Yes:
		out.Says += "the first SYN is repeated two jiffies later"
	case o.Resends == kernel.Unknown:
		out.Says += "the first SYN is perhaps repeated two jiffies later"
		out.Because = []string{h.Profile.Has(&kernel.ResendsAtOnce).Because()}
		f := kernel.FactKernel
		if h.Profile.Has(&kernel.ResendsAtOnce).Answer == kernel.Yes {
			f = factRepeated
		}
		out.missing = append(out.missing, f)
	case o.Again.Nominal > 0:
		out.Says += fmt.Sprintf("the SYN is repeated %g s after the first", o.Again.Nominal.Seconds())
	default:
		out.Says += "the SYN is repeated by its timer"
	}
	return out
}

func openingOutcome(o connect.Opening) Outcome {
	if o.Refused {
		return Outcome{Rule: o.Rule, Says: "no SYN leaves from this port; TIME_WAIT stays", After: map[string]string{"state": "TIME_WAIT"}}
	}
	out := Outcome{Rule: o.Rule, Gone: true, Says: fmt.Sprintf("SYN seq %s (snd_nxt + 65537) ecr %s; TIME_WAIT is gone", num(o.ISN), num(o.TSEcr))}
	if !o.ISN.Known {
		out.missing = append(out.missing, kernel.FactSndNxt)
	}
	return out
}
