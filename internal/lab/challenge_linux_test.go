package lab

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Up to 6.0 there is one tcp_challenge_ack_limit for all namespaces: to try it means
// to change that of the machine for some seconds.
var machineWide = flag.Bool("machine-wide", false, "try tcp_challenge_ack_limit even where it is the machine's, and not the namespace's")

// answered is silence after which nothing more is expected, on a busy machine too.
const answered = 4 * quiet

const challengeLimit = "net/ipv4/tcp_challenge_ack_limit"

// challenges tries the limit of challenge ACKs that all connections share.
type challenges struct {
	*runner
	t    *testing.T
	own  bool // the namespace has its own limit
	sent uint32
}

// tryChallenges runs f in a namespace, whose limit it may set.
func tryChallenges(t *testing.T, f func(*challenges) error) {
	p := here(t)
	was, err := os.ReadFile("/proc/sys/" + challengeLimit)
	if err != nil {
		t.Skipf("this kernel has no limit of challenge ACKs: %v", err)
	}
	err = inNamespace(func(b *bench) error {
		w, err := newWire(b.tun)
		if err != nil {
			return err
		}
		x := &challenges{runner: &runner{bench: b, wire: w, profile: p, port: firstHostPort}, t: t}
		_, err = os.Stat("/proc/sys/" + challengeLimit)
		if x.own = err == nil; !x.own && !*machineWide {
			return os.ErrNotExist
		}
		return f(x)
	})
	switch {
	case errors.Is(err, ErrPrivilege) && os.Geteuid() != 0:
		t.Skip("without root there is no network namespace to try the kernel in")
	case errors.Is(err, os.ErrNotExist) && !*machineWide:
		t.Skip("the limit is that of the whole machine: -machine-wide tries it all the same")
	case err != nil:
		t.Error(err)
	}
	if *machineWide { // from 6.1 on it was never changed
		if err := os.WriteFile("/proc/sys/"+challengeLimit, was, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// limit sets the limit, which counts from the kernel's next second on.
func (x *challenges) limit(n uint32) error {
	if x.own {
		return sysctl(challengeLimit, fmt.Sprint(n))
	}
	done := make(chan error)
	go func() { done <- sysctl(challengeLimit, fmt.Sprint(n)) }() // this thread is not in the namespace
	return <-done
}

// fresh brings new connections to their states and waits for a second in which the
// host has sent no challenge ACK yet.
func (x *challenges) fresh(stories ...Story) ([]*conn, error) {
	x.shut()
	x.port++
	x.conns = map[key]*conn{}
	if err := cmp.Or(x.apply(Settings{}), x.open()); err != nil {
		return nil, err
	}
	var out []*conn
	for i := range stories {
		s := &stories[i]
		s.TS, s.ISS, s.TSVal = true, seqOf(1000*uint32(i)), seqOf(1<<31+uint32(i))
		c := &conn{story: s, fd: -1}
		x.address(c, uint16(firstPeerPort+i))
		if err := x.reach(c); err != nil {
			return out, err
		}
		c.view, c.got = viewOf(s, &c.n, x.profile), nil
		out = append(out, c)
	}
	time.Sleep(1100 * time.Millisecond)
	x.sent = 0
	return out, x.drain(0)
}

// host is what the model is told of the limit, and of what was sent this second.
func (x *challenges) host(limit uint32) kernel.Host {
	h := Settings{}.host(x.profile, false)
	h.ChallengesSpent = kernel.Unknown
	h.ChallengeLimit, h.Challenges = kernel.Count{N: limit, Known: true}, kernel.Count{N: x.sent, Known: true}
	return h
}

// put sends a segment into a connection.
func (x *challenges) put(c *conn, st Step) error {
	c.got, c.sent = nil, st.build(&c.n, c.peer, c.host)
	c.now = time.Now().UnixNano()
	return x.wire.send(&c.sent)
}

// held holds what came against what the model holds possible, of which it takes what
// fits; said is what came.
func (x *challenges) held(c *conn, h kernel.Host) (said string, diffs []Difference) {
	if c.view.at != atLive {
		p := c.view.predict(h, c.sent, c.now)
		return answer(c.got), compare(p.reply, c.got, &c.n, c.now)
	}
	k := live.Case{Socket: c.view.live, Host: h, Segment: c.sent, Now: c.now}
	for _, o := range live.Decide(&k).Possible {
		d := compare(o.Reply, c.got, &c.n, c.now)
		if diffs == nil || len(d) == 0 {
			diffs, c.view = d, view{at: atLive, live: o.After}
		}
		if len(d) == 0 {
			return answer(c.got), nil
		}
	}
	return answer(c.got), diffs
}

// ask sends a segment and holds the answer against the model.
func (x *challenges) ask(c *conn, st Step, h kernel.Host) (said string, diffs []Difference, err error) {
	if err := cmp.Or(x.put(c, st), x.drain(answered)); err != nil {
		return "", nil, err
	}
	said, diffs = x.held(c, h)
	return said, diffs, nil
}

func answer(got []segment.Segment) string {
	if len(got) == 0 {
		return "-"
	}
	return got[0].Flags.String()
}

var intoLive = Step{Flags: segment.SYN, Seq: 77}

// A SYN into each of some live connections within a second: so many are challenged as
// the limit allows.
func TestLabChallengeLimit(t *testing.T) {
	tryChallenges(t, func(x *challenges) error {
		for _, limit := range []uint32{1, 2, 3, 4, 0, 1000, kernel.NoChallengeLimit} {
			if err := x.tries(func() (string, error) { return x.several(limit) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// tries makes up to five attempts: in the middle of one the kernel's second may
// change, by which more is sent than the model says.
func (x *challenges) tries(f func() (wrong string, err error)) error {
	var wrong string
	for range 5 {
		var err error
		if wrong, err = f(); err != nil || wrong == "" {
			return err
		}
	}
	x.t.Error(wrong)
	return nil
}

// several sends a SYN into each of seven connections at once.
func (x *challenges) several(limit uint32) (wrong string, err error) {
	if err := x.limit(limit); err != nil {
		return "", err
	}
	stories := make([]Story, 7)
	for i := range stories {
		stories[i].State = Established
	}
	conns, err := x.fresh(stories...)
	if err != nil {
		return "", err
	}
	for _, c := range conns {
		if err := x.put(c, intoLive); err != nil {
			return "", err
		}
	}
	if err := x.drain(answered); err != nil {
		return "", err
	}
	line := fmt.Sprintf("tcp_challenge_ack_limit = %d:", limit)
	for _, c := range conns {
		said, diffs := x.held(c, x.host(limit))
		line += " " + said
		if said != "-" {
			x.sent++
		}
		if len(diffs) > 0 {
			wrong += fmt.Sprintf("%+v ", diffs)
		}
	}
	x.t.Log(line)
	if limit == 1 && x.sent != 1 || limit >= 1000 && x.sent != 7 {
		wrong += fmt.Sprintf("%d challenge ACKs", x.sent)
	}
	if wrong != "" {
		wrong = line + " " + wrong
	}
	return wrong, nil
}

// spending is a segment that arrives once the host's challenge ACKs are spent.
type spending struct {
	what string
	to   State
	step Step
	held bool // by the limit
}

// What is held back once the host's challenge ACKs are spent, and what is not.
func TestLabChallengesSpent(t *testing.T) {
	p := here(t)
	halfway := Step{Flags: segment.RST, HalfWindows: 1}
	cases := []spending{
		{"a SYN", Established, intoLive, true},
		{"a SYN", CloseWait, Step{Flags: segment.SYN, Seq: 77, HasTS: true, TSVal: 1}, true},
		{"a SYN with an older timestamp", Established, Step{Flags: segment.SYN, Seq: 77, HasTS: true, TSVal: ^uint32(99)}, p.Has(&kernel.ChallengesOldSYN).Answer == kernel.Yes},
		{"a RST in the window", Established, halfway, true},
		{"a RST in the window", CloseWait, halfway, true},
		{"an ACK from far behind", Established, Step{Flags: segment.ACK, Ack: ^uint32(1 << 30), HasTS: true, TSVal: 1}, true},
		{"an ACK of what was never sent", CloseWait, Step{Flags: segment.ACK, Ack: 10, HasTS: true, TSVal: 1}, true},
		{"an ACK outside the window", Established, Step{Flags: segment.ACK, Seq: ^uint32(999), HasTS: true, TSVal: 1}, false},
		{"data with an older timestamp", Established, Step{Flags: segment.ACK | segment.PSH, Len: 3, HasTS: true, TSVal: ^uint32(99)}, false},
		{"a SYN outside the window", SynRecv, Step{Flags: segment.SYN, Seq: 1 << 30, HasTS: true, TSVal: 1}, false},
		{"a SYN that is not newer", TimeWait, Step{Flags: segment.SYN, Seq: ^uint32(9), HasTS: true}, false},
		{"a SYN outside the window", FinWait2Orphan, Step{Flags: segment.SYN, Seq: 1 << 30, HasTS: true, TSVal: 1}, false},
	}
	if p.Has(&kernel.ChallengesRequestRST).Answer == kernel.Yes {
		cases = append(cases, spending{"a RST in the window", SynRecv, halfway, true})
	}
	tryChallenges(t, func(x *challenges) error {
		for _, c := range cases {
			if err := x.tries(func() (string, error) { return x.spent(c) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// spent sends the segment behind another connection's challenge ACK, the only one.
func (x *challenges) spent(c spending) (wrong string, err error) {
	if err := x.limit(1); err != nil {
		return "", err
	}
	conns, err := x.fresh(Story{State: Established}, Story{State: c.to})
	if err != nil {
		return "", err
	}
	if err := cmp.Or(x.put(conns[0], intoLive), x.put(conns[1], c.step), x.drain(answered)); err != nil {
		return "", err
	}
	first, diffs := x.held(conns[0], x.host(1))
	x.sent = 1
	said, more := x.held(conns[1], x.host(1))
	line := fmt.Sprintf("after %s, %s into %s: %s", first, c.what, c.to, said)
	x.t.Log(line)
	if len(diffs)+len(more) > 0 || (said == "-") != c.held {
		return fmt.Sprintf("%s, %+v %+v", line, diffs, more), nil
	}
	if x.own && c.held {
		return x.again(conns[1], c.step)
	}
	return "", nil
}

// again sends what was held back once more, now without a limit: the limiter of the
// socket has started all the same.
func (x *challenges) again(c *conn, st Step) (wrong string, err error) {
	if err := x.limit(kernel.NoChallengeLimit); err != nil {
		return "", err
	}
	for _, after := range []time.Duration{0, forget} {
		time.Sleep(after)
		said, diffs, err := x.ask(c, st, x.host(kernel.NoChallengeLimit))
		if err != nil {
			return "", err
		}
		if len(diffs) > 0 || (said == "-") != (after == 0) {
			wrong += fmt.Sprintf("again after %s: %s, %+v ", after, said, diffs)
		}
	}
	return wrong, nil
}
