package lab

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// play sends the steps of all stories in rounds, and compares. The kernel's table
// is read before the follow-ups, which set timers anew.
func (r *runner) play(set Settings, conns []*conn) error {
	rounds := 0
	for _, c := range conns {
		rounds = max(rounds, len(c.story.Steps))
	}
	for range rounds {
		for _, waits := range []bool{false, true} {
			if err := r.round(set, conns, waits, false); err != nil {
				return err
			}
		}
	}
	awaitTick()
	from := time.Now().UnixNano()
	table, err := readTable(r.ipv6)
	if err != nil {
		return err
	}
	to := time.Now().UnixNano()
	tickStood := tickLag() > stall
	for _, c := range conns {
		switch {
		case c.over:
		case tickStood:
			c.over, c.result.Unsure = true, machineStood
		case c.mayHaveRunOut(to):
			c.over, c.result.Unsure = true, ranOut
		default:
			c.checkState(table, from, to)
		}
	}
	return r.round(set, conns, false, true)
}

// round sends the next step of those stories whose step is of the kind asked for:
// whether it waits, whether it is the follow-up.
func (r *runner) round(set Settings, conns []*conn, waits, followUp bool) error {
	var sent []*conn
	for _, c := range conns {
		if c.over || c.step >= len(c.story.Steps) {
			continue
		}
		if st := &c.story.Steps[c.step]; st.Wait != waits || st.FollowUp != followUp {
			continue
		}
		sent = append(sent, c)
	}
	if len(sent) == 0 {
		return nil
	}
	if waits {
		time.Sleep(forget)
		if err := r.drain(0); err != nil {
			return err
		}
	}
	for _, c := range sent {
		c.got = nil
		if err := r.probe(set, c); err != nil {
			return err
		}
	}
	if err := r.drain(quiet); err != nil {
		return err
	}
	if err := r.awaitLate(sent); err != nil {
		return err
	}
	for _, c := range sent {
		c.evaluate()
	}
	return nil
}

// leftOverISN is why nothing is said of a new connection's SYN-ACK where a story
// beside it may have left it the number of a TIME_WAIT, which also keeps it from a
// cookie (TryISN shows when it does).
const leftOverISN = "another connection may have left its ISN behind"

// probe sends the next step of one story.
func (r *runner) probe(set Settings, c *conn) error {
	st := &c.story.Steps[c.step]
	c.settings = set.host(r.profile, c.story.IPv6)
	if st.FollowUp {
		s, ok := c.view.followUp(&c.n, c.peer, c.host)
		if !ok {
			c.pred = prediction{unsure: "no follow-up in this state"}
			return nil
		}
		c.sent = s
	} else {
		c.sent = st.build(&c.n, c.peer, c.host)
	}
	awaitTick()
	c.now = time.Now().UnixNano()
	c.sent.Time = c.now
	c.pred = c.view.predict(c.settings, c.sent, c.now)
	if c.mayHaveRunOut(c.now) {
		c.pred.unsure = ranOut
	}
	fresh := c.pred.reply.ISN == kernel.ISNFresh || c.pred.reply.ISN == kernel.ISNCookie
	if fresh && r.profile.Has(&kernel.LeavesISN).Answer != kernel.No {
		c.pred.unsure = leftOverISN
	}
	if c.pred.unsure != "" {
		return nil
	}
	if err := r.wire.send(&c.sent); err != nil {
		return err
	}
	if time.Since(time.Unix(0, c.now)) > stall || tickLag() > stall {
		c.pred.unsure = machineStood
	}
	return r.drain(0)
}

// awaitLate gives answers that were predicted and are missing some more time.
func (r *runner) awaitLate(sent []*conn) error {
	until := time.Now().Add(late)
	for _, c := range sent {
		for c.pred.unsure == "" && c.pred.reply.Kind != kernel.NoReply && len(c.got) == 0 && time.Now().Before(until) {
			s, ok, err := r.wire.receive(time.Until(until))
			if err != nil {
				return err
			}
			if ok {
				r.dispatch(s)
			}
		}
	}
	return nil
}

// evaluate compares what came with what was predicted, and moves the view on.
func (c *conn) evaluate() {
	st := &c.story.Steps[c.step]
	c.step++
	if c.pred.unsure != "" {
		if !st.FollowUp || c.pred.unsure == machineStood || c.pred.unsure == ranOut {
			c.over, c.result.Unsure = true, c.pred.unsure
		}
		return
	}
	got := c.answers()
	if c.result.trail != nil {
		c.result.trail.add(c.settings, c.sent, c.now, got)
	}
	o := Observed{Sent: text(&c.sent), Rule: c.pred.rule, FollowUp: st.FollowUp, At: c.now - c.n.Reached}
	for i := range got {
		o.Got = append(o.Got, text(&got[i]))
	}
	o.Predicted = c.pred.replyWords()
	o.Differences = c.pred.differences(&c.settings, got, &c.n, c.now)
	c.result.Steps = append(c.result.Steps, o)
	if len(o.Differences) > 0 {
		c.result.Numbers, c.over = c.n, true
		return
	}
	c.view = c.pred.after
	c.view.learn(got)
}

// answers leaves out what the kernel only sends again: its FIN, and the SYN-ACK
// of a request.
func (c *conn) answers() []segment.Segment {
	out := c.got[:0]
	for _, s := range c.got {
		repeatsFIN := s.Flags.Has(segment.FIN) && c.view.at == atLive
		repeatsSYNACK := s.Flags.Has(synAck) && c.pred.reply.Kind != kernel.ReplySYNACK && c.view.at == atLive &&
			c.view.live.State == live.SynRecv && c.view.live.SndNxt.Num == s.Seq.Add(1)
		// A second after a SYN-ACK the next one is a repetition; that of a request
		// which was there before may come at any moment.
		if n := len(out); n > 0 && s.Flags.Has(synAck) && s.Seq == out[n-1].Seq &&
			(c.view.at == atLive || s.Time-out[n-1].Time > int64(time.Second)/2) {
			continue
		}
		if !repeatsFIN && !repeatsSYNACK {
			out = append(out, s)
		}
	}
	return out
}

// checkState compares the state that /proc/net/tcp shows with the model's; the
// table was read between the two times.
func (c *conn) checkState(t table, from, to int64) {
	e, there := t[key{c.story.IPv6, c.host.Port, c.peer.Port}]
	want := c.view.procState()
	got := procNone
	if there {
		got = e.state
	}
	if c.result.trail != nil {
		c.result.trail.look(got, e.left, from, to)
	}
	var diffs []Difference
	if want != got {
		diffs = append(diffs, Difference{"state", procNames[want], procNames[got]})
	}
	if least, most, ok := c.view.timerBounds(from, to); ok && want == got && (e.left < least || e.left > most) {
		diffs = append(diffs, Difference{"timer", least.Round(time.Millisecond).String() + " to " + most.Round(time.Millisecond).String(), e.left.String()})
	}
	if len(diffs) > 0 {
		c.result.Numbers = c.n
		rule := "start"
		if n := len(c.result.Steps); n > 0 {
			rule = c.result.Steps[n-1].Rule
		}
		c.result.Steps = append(c.result.Steps, Observed{Rule: rule, State: true, Differences: diffs})
		c.over = true
	}
}

// stall is how long handing a segment to the kernel may take before it is not
// known any more when the kernel saw it.
const stall = 20 * time.Millisecond

// tickLag is how far the kernel's jiffies are behind its clock: both coarse clock and
// jiffies move on with the tick, whose interrupt comes late on an emulated machine that
// is busy. Timers count from jiffies.
func tickLag() time.Duration {
	var tick, now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &tick) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano() - tick.Nano())
}

// awaitTick gives a late tick the time to come.
func awaitTick() {
	for range 100 {
		if tickLag() <= stall {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// fullQueueRequest is how long a request lives for certain: where the accept queue has
// no room and there are several requests the kernel gives each only two repeats of its
// SYN-ACK, and drops it after 7 s (reqsk_timer_handler).
const fullQueueRequest = 6 * time.Second

// closed is how long TIME_WAIT and FIN_WAIT2 without a process are there for certain, and
// requests where the queue has room: their timers run for 60 s and 63 s, and a batch on a
// slow machine takes its time between a state and the note of when it was reached.
const closed = 50 * time.Second

// mayHaveRunOut tells whether the connection is a request, or one that its timer ends,
// that may be gone by a time.
func (c *conn) mayHaveRunOut(now int64) bool {
	began, lasts := c.n.Reached, closed
	switch {
	case c.view.at == atTimeWait:
		began = max(began, c.view.tw.Armed) // armed anew by a segment
	case c.view.at != atLive || c.view.live.State != live.SynRecv:
		return false
	case c.story.Settings.QueueFull:
		lasts = fullQueueRequest
	}
	return time.Duration(now-began) > lasts
}
