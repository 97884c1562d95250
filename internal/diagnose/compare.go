package diagnose

import (
	"fmt"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// comparison is a predicted reply against the frame that came, field by field.
type comparison struct {
	// differs names the first field in which they differ, and both values.
	differs string
	matches []string // "seq 5001", …
	// soft are fields that differ but that do not refute (the window: what a
	// socket last advertised is seen, what it last computed is not).
	soft []string
	// unchecked are fields that could not be predicted.
	unchecked []string
}

// ok tells whether nothing that counts differs.
func (x *comparison) ok() bool { return x.differs == "" }

// exact tells whether every field was predicted and matched.
func (x *comparison) exact() bool {
	return x.differs == "" && len(x.soft) == 0 && len(x.unchecked) == 0
}

// compare holds a predicted reply against a frame; nil is no answer.
func compare(want kernel.Reply, got *flow.Frame) comparison {
	var x comparison
	kind := kindOf(got)
	if kind != want.Kind {
		x.differs = fmt.Sprintf("%s is predicted, %s came", article(want.Kind), article(kind))
		return x
	}
	if got == nil {
		return x
	}
	if got.Doubt&(segment.SeqRelative|segment.SeqUnsaid) != 0 {
		want.Seq = kernel.Num{} // the text does not tell it
	}
	x.number("seq", want.Seq, got.Seq.Uint32(), true)
	if got.Flags.Has(segment.ACK) {
		if got.Doubt.Has(segment.AckUnsaid) {
			want.Ack = kernel.Num{}
		}
		x.number("ack", want.Ack, got.Ack.Uint32(), true)
	}
	if want.Kind == kernel.ReplyACK {
		if got.Doubt.Has(segment.WindowUnsaid) {
			want.Window = kernel.Num{}
		}
		x.number("window", want.Window, uint32(got.Window), false)
		x.timestamps(want, got)
	}
	return x
}

func (x *comparison) number(name string, want kernel.Num, got uint32, hard bool) {
	switch {
	case !want.Known:
		x.unchecked = append(x.unchecked, name)
	case want.Uint32() == got:
		x.matches = append(x.matches, fmt.Sprintf("%s %d", name, got))
	case hard:
		if x.differs == "" {
			x.differs = fmt.Sprintf("%s %d is predicted, %d came", name, want.Uint32(), got)
		}
	default:
		x.soft = append(x.soft, fmt.Sprintf("%s %d is predicted, %d came", name, want.Uint32(), got))
	}
}

func (x *comparison) timestamps(want kernel.Reply, got *flow.Frame) {
	switch {
	case got.OptionsCut && !got.HasTS:
		x.unchecked = append(x.unchecked, "timestamps")
	case want.NoTS:
		if got.HasTS && x.differs == "" {
			x.differs = "no timestamp is predicted, one came"
		} else if !got.HasTS {
			x.matches = append(x.matches, "no timestamp")
		}
	case want.TSEcr.Known:
		if !got.HasTS {
			if x.differs == "" {
				x.differs = "a timestamp is predicted, none came"
			}
			return
		}
		x.number("TSecr", want.TSEcr, got.TSEcr.Uint32(), true)
	default:
		x.unchecked = append(x.unchecked, "timestamps")
	}
}

// kindOf classifies a frame as a reply.
func kindOf(f *flow.Frame) kernel.ReplyKind {
	switch {
	case f == nil:
		return kernel.NoReply
	case f.Flags.Has(segment.RST):
		return kernel.ReplyRST
	case f.Flags.Has(segment.SYN | segment.ACK):
		return kernel.ReplySYNACK
	case f.Flags.Has(segment.ACK):
		return kernel.ReplyACK
	}
	return kernel.NoReply
}

func article(k kernel.ReplyKind) string {
	switch k {
	case kernel.ReplyACK:
		return "an ACK without SYN"
	case kernel.ReplySYNACK:
		return "a SYN-ACK"
	case kernel.ReplyRST:
		return "a RST"
	case kernel.NoReply:
	}
	return "no answer"
}
