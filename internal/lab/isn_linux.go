package lab

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

const (
	isnPerCell      = 20 // connections of a cell
	leftOverPerCell = 5  // pairs of clients of a cell
)

// TryISN tries where the numbers of SYN-ACKs come from: that of a SYN acceptable
// to TIME_WAIT, by family and tcp_syncookies, and that of another client's SYN
// after a SYN+FIN which TIME_WAIT accepted and the listener dropped. What a SYN
// leaves behind lies with one processor, so that everything is sent from one.
func TryISN(ctx context.Context, seed uint64, p kernel.Profile) (*Result, error) {
	r := newResult("isn", seed, p)
	err := inNamespace(func(b *bench) error {
		if err := stayHere(); err != nil {
			return err
		}
		w, err := newWire(b.tun)
		if err != nil {
			return err
		}
		t := isnTrial{runner: &runner{bench: b, wire: w, profile: p, port: firstHostPort}, result: r, iss: seq.Of(uint32(seed))}
		families := []bool{false}
		if b.ipv6 {
			families = append(families, true)
		}
		for _, cookies := range []int{0, 1, 2} {
			for _, ipv6 := range families {
				if err := t.intoTimeWait(ctx, ipv6, cookies); err != nil {
					return err
				}
				for _, other := range families {
					if err := t.leftOver(ctx, ipv6, other, cookies); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// stayHere binds the thread to a processor that it may use.
func stayHere() error {
	var may, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return fmt.Errorf("processors: %w", err)
	}
	for i := range 8 * len(may) * strconv.IntSize / 8 {
		if may.IsSet(i) {
			one.Set(i)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("processors: %w", err)
	}
	runtime.Gosched()
	return nil
}

// isnTrial plays the cells in one namespace.
type isnTrial struct {
	*runner
	result *Result
	iss    seq.Num // of the next client
}

// fresh begins a cell: a listener on a new port, under the defaults.
func (t *isnTrial) fresh(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.port++
	t.conns = map[key]*conn{}
	if err := t.apply(Settings{}); err != nil {
		return err
	}
	return t.open()
}

// client returns a new client of the cell; ts is whether it has timestamps.
func (t *isnTrial) client(ipv6, ts bool) *conn {
	t.iss = t.iss.Add(0x10203041)
	c := &conn{story: &Story{State: TimeWait, IPv6: ipv6, TS: ts, ISS: t.iss, TSVal: t.iss.Add(77)}, fd: -1}
	t.address(c, uint16(firstPeerPort+len(t.conns)))
	c.n.RcvNxt, c.tsval, c.n.TSRecent = c.story.ISS, c.story.TSVal, c.story.TSVal
	return c
}

// intoTimeWait brings connections to TIME_WAIT and sends each a SYN that it
// accepts: by its sequence number, or by its timestamp alone.
func (t *isnTrial) intoTimeWait(ctx context.Context, ipv6 bool, cookies int) error {
	if err := t.fresh(ctx); err != nil {
		return err
	}
	defer t.shut()
	var conns []*conn
	for i := range isnPerCell {
		c := t.client(ipv6, i%2 == 0)
		if err := t.reach(c); err != nil {
			return fmt.Errorf("tcp_syncookies=%d: %w", cookies, err)
		}
		conns = append(conns, c)
	}
	if err := t.setCookies(cookies); err != nil {
		return err
	}
	cell := ISNCell{What: intoTimeWait, Family: familyName(ipv6), SynCookies: cookies, Seen: map[string]int{}}
	rule := ""
	for i, c := range conns {
		st := Step{Flags: segment.SYN, Seq: uint32(i), HasTS: c.story.TS, TSVal: 5}
		if !c.story.TS {
			st.Seq++
		}
		s := st.build(&c.n, c.peer, c.host)
		now := time.Now().UnixNano()
		v := viewOf(c.story, &c.n, t.profile)
		pred := v.predict(Settings{Cookies: cookies == 2}.host(t.profile, ipv6), s, now)
		if pred.unsure == "" {
			rule, cell.Predicted = pred.rule, originOf(pred.reply)
		}
		got, ok, err := t.ask(c, &s)
		if err != nil {
			return err
		}
		origin, err := t.origin(c, &c.n, got, ok, now)
		if err != nil {
			return err
		}
		cell.Seen[origin.String()]++
	}
	t.result.Stories += len(conns)
	t.result.addISN(cell, rule)
	return nil
}

// leftOver lets TIME_WAIT accept a SYN+FIN, which the listener drops, and then
// two other clients come.
func (t *isnTrial) leftOver(ctx context.Context, ipv6, other bool, cookies int) error {
	if err := t.fresh(ctx); err != nil {
		return err
	}
	defer t.shut()
	families := familyName(ipv6) + ", then " + familyName(other)
	second := ISNCell{What: afterSYNFIN, Family: families, SynCookies: cookies, Predicted: leftOverPrediction(&t.profile, cookies), Seen: map[string]int{}}
	third := ISNCell{What: afterThat, Family: families, SynCookies: cookies, Predicted: freshPrediction(cookies), Seen: map[string]int{}}
	var old []*conn
	for range leftOverPerCell {
		c := t.client(ipv6, true)
		if err := t.reach(c); err != nil {
			return fmt.Errorf("tcp_syncookies=%d: %w", cookies, err)
		}
		old = append(old, c)
	}
	if err := t.setCookies(cookies); err != nil {
		return err
	}
	for _, c := range old {
		st := Step{Flags: segment.SYN | segment.FIN, Seq: 1, HasTS: true, TSVal: 5}
		s := st.build(&c.n, c.peer, c.host)
		if err := t.wire.send(&s); err != nil {
			return err
		}
		for _, cell := range []*ISNCell{&second, &third} {
			d := t.client(other, true)
			s := segment.Segment{Src: d.peer, Dst: d.host, Flags: segment.SYN, Seq: d.n.RcvNxt, Window: 4000, Options: segment.OptMSS, MSS: 1400}
			got, ok, err := t.ask(d, &s)
			if err != nil {
				return err
			}
			origin, err := t.origin(d, &c.n, got, ok, 0)
			if err != nil {
				return err
			}
			cell.Seen[origin.String()]++
		}
	}
	t.result.Stories += 3 * len(old)
	t.result.addISN(second, "left-over-isn")
	t.result.addISN(third, "listen-accept")
	return nil
}

// setCookies sets the sysctl once the connections of a cell are made.
func (t *isnTrial) setCookies(n int) error {
	if err := sysctl("net/ipv4/tcp_syncookies", strconv.Itoa(n)); err != nil {
		return err
	}
	return t.drain(quiet)
}

// ask sends a SYN and returns its answer; ok is false where none came.
func (t *isnTrial) ask(c *conn, s *segment.Segment) (got segment.Segment, ok bool, err error) {
	c.got = nil
	if err := t.wire.send(s); err != nil {
		return got, false, err
	}
	until := time.Now().Add(late)
	for len(c.got) == 0 && time.Now().Before(until) {
		s, ok, err := t.wire.receive(time.Until(until))
		if err != nil {
			return got, false, err
		}
		if ok {
			t.dispatch(s)
		}
	}
	if len(c.got) == 0 {
		return got, false, nil
	}
	return c.got[0], true, nil
}

// origin tells where the number of an answer came from. tw are the numbers of the
// TIME_WAIT from which it may have it; sent is when the SYN was sent, 0 where its
// four-tuple was not answered before.
func (t *isnTrial) origin(c *conn, tw *Numbers, got segment.Segment, ok bool, sent int64) (Origin, error) {
	switch {
	case !ok || !got.Flags.Has(synAck):
		return NoSYNACK, nil
	case got.Seq == kernel.InheritedISN(kernel.Known(tw.SndNxt)).Num:
		if sent == 0 {
			return LeftOver, nil
		}
		return Inherited, nil
	}
	all, err := readTable(t.ipv6)
	if err != nil {
		return NoSYNACK, err
	}
	if e := all[key{c.story.IPv6, c.host.Port, c.peer.Port}]; e.state != procSynRecv && e.state != procNewSynRecv {
		return Cookie, nil
	}
	if sent == 0 {
		return Fresh, nil
	}
	if _, on := compareISN(kernel.Reply{Kind: kernel.ReplySYNACK, ISN: kernel.ISNFresh}, &got, &c.n, sent); !on {
		return Elsewhere, nil
	}
	return ClockLine, nil
}

// procNewSynRecv is TCP_NEW_SYN_RECV, under which some kernels show a request.
const procNewSynRecv uint8 = 12

func familyName(ipv6 bool) string {
	if ipv6 {
		return "IPv6"
	}
	return "IPv4"
}
