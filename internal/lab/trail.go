package lab

import (
	"slices"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// The states of /proc/net/tcp (include/net/tcp_states.h).
const (
	procNone        uint8 = 0
	procEstablished uint8 = 1
	procSynRecv     uint8 = 3
	procFinWait1    uint8 = 4
	procFinWait2    uint8 = 5
	procTimeWait    uint8 = 6
	procCloseWait   uint8 = 8
	procLastAck     uint8 = 9
	procListen      uint8 = 10
	procClosing     uint8 = 11
)

var procNames = [16]string{
	procNone: "no socket", procEstablished: "ESTABLISHED", 2: "SYN_SENT", procSynRecv: "SYN_RECV", procFinWait1: "FIN_WAIT1",
	procFinWait2: "FIN_WAIT2", procTimeWait: "TIME_WAIT", 7: "CLOSE", procCloseWait: "CLOSE_WAIT", procLastAck: "LAST_ACK",
	procListen: "LISTEN", procClosing: "CLOSING", 12: "SYN_RECV", 13: "13", 14: "14", 15: "15",
}

// procState is how the table shows what the model believes.
func (v *view) procState() uint8 {
	switch v.at {
	case atTimeWait:
		if v.tw.Substate == timewait.FinWait2 {
			return procFinWait2
		}
		return procTimeWait
	case atLive:
		return [...]uint8{
			live.SynRecv: procSynRecv, live.Established: procEstablished, live.FinWait1: procFinWait1, live.FinWait2: procFinWait2,
			live.CloseWait: procCloseWait, live.Closing: procClosing, live.LastAck: procLastAck,
		}[v.live.State]
	case atNothing:
	}
	return procNone
}

// rearmTolerance is what jiffies and a busy machine may put between the clock of
// the laboratory and that of the kernel.
const rearmTolerance = 200 * time.Millisecond

// drift is the part of a time by which jiffies may go astray on an emulated
// machine that is busy: 1/20.
const drift = 20

// timerBounds is between what the timer of a TIME_WAIT must show in a table that
// was read between two times; ok is false where the view says nothing of it.
func (v *view) timerBounds(from, to int64) (least, most time.Duration, ok bool) {
	if v.at != atTimeWait || v.tw.Armed == 0 {
		return 0, 0, false
	}
	tolerance := rearmTolerance + time.Duration(to-v.tw.Armed)/drift
	least = timewait.Length - time.Duration(to-v.tw.Armed) - tolerance
	most = timewait.Length - time.Duration(from-v.tw.Armed) + tolerance
	return least, most, true
}

// trail is what was sent in a story and what came, so that another model can be
// held against it without the kernel.
type trail struct {
	start view
	n     Numbers
	steps []exchange
	// After that many steps the table showed state, and left on the timer,
	// between two times; 0: it was not looked at.
	looked   int
	state    uint8
	left     time.Duration
	from, to int64
}

// exchange is one segment and its answers.
type exchange struct {
	host kernel.Host
	sent segment.Segment
	now  int64
	got  []segment.Segment
}

func (t *trail) add(h kernel.Host, s segment.Segment, now int64, got []segment.Segment) {
	t.steps = append(t.steps, exchange{h, s, now, slices.Clone(got)})
}

func (t *trail) look(state uint8, left time.Duration, from, to int64) {
	t.looked, t.state, t.left, t.from, t.to = len(t.steps), state, left, from, to
}

// differs tells whether the rules, as they are now, contradict what was seen.
func (t *trail) differs() bool {
	v := t.start
	for i := range t.steps {
		e := &t.steps[i]
		p := v.predict(e.host, e.sent, e.now)
		if p.unsure != "" {
			return false // nothing is claimed any more
		}
		if len(p.differences(&e.host, e.got, &t.n, e.now)) > 0 {
			return true
		}
		v = p.after
		v.learn(e.got)
		if i+1 != t.looked {
			continue
		}
		least, most, ok := v.timerBounds(t.from, t.to)
		if v.procState() != t.state || ok && (t.left < least || t.left > most) {
			return true
		}
	}
	return false
}
