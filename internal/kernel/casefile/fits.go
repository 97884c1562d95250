package casefile

import "github.com/tcpwhy/tcpwhy/internal/kernel"

// Fits tells whether a predicted reply contradicts nothing in the true one: what
// it leaves open fits everything.
func Fits(predicted, truth kernel.Reply) bool {
	p, r := predicted, truth
	return p.Kind == r.Kind && p.HasACK == r.HasACK &&
		FitsNum(p.Seq, r.Seq) && FitsNum(p.Ack, r.Ack) && FitsNum(p.Window, r.Window) && FitsNum(p.TSEcr, r.TSEcr) &&
		(!p.NoTS || r.NoTS) && (p.ISN == kernel.ISNUnknown || p.ISN == r.ISN)
}

// FitsNum tells whether a predicted number is not known, or is the true one.
func FitsNum(predicted, truth kernel.Num) bool { return !predicted.Known || predicted == truth }
