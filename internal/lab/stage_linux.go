package lab

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// stage is where a case is played and recorded. Its moves do nothing once one of
// them failed: err is what went wrong.
type stage struct {
	ctx   context.Context
	r     *runner
	c     *conn
	rec   *recording
	label *Label
	err   error

	client bool     // the kernel is the client
	old    *Numbers // of the first connection, from the first deciding segment on
	sent   segment.Segment
	last   []segment.Segment // the kernel's answers to it
	marked bool              // the trigger is chosen

	// The peer's timestamps count milliseconds: this one was its clock's at a time.
	clock   seq.Num
	clockAt time.Time
}

const (
	recordPort = 8080  // the host's, where it listens
	peerPort   = 40000 // the peer's
	replyWait  = 60 * time.Millisecond
)

// newStage makes a namespace's host ready: a listener, and a peer's end.
func newStage(ctx context.Context, b *bench, w *wire, story Story, p kernel.Profile, label *Label) (*stage, error) {
	x := &stage{ctx: ctx, rec: newRecording(), label: label, clock: story.TSVal, clockAt: time.Now()}
	x.r = &runner{bench: b, wire: w, profile: p, port: recordPort, conns: map[key]*conn{}}
	if err := x.r.open(); err != nil {
		return nil, err
	}
	w.tap = x.record
	x.c = &conn{story: &story, fd: -1, tsval: story.TSVal}
	x.r.address(x.c, peerPort)
	x.c.n.RcvNxt, x.c.n.TSRecent = story.ISS, story.TSVal
	return x, nil
}

// record is the tap. It notes the first close of the connection at hand.
func (x *stage) record(p []byte, t time.Time) uint64 {
	frame := x.rec.add(p, t)
	ip := 20
	if p[0]>>4 == 6 {
		ip = 40
	}
	from, to := uint16(p[ip])<<8|uint16(p[ip+1]), uint16(p[ip+2])<<8|uint16(p[ip+3])
	ours := from == x.c.host.Port && to == x.c.peer.Port || to == x.c.host.Port && from == x.c.peer.Port
	if f := segment.Flags(p[ip+13]); ours && x.rec.firstClose == 0 && f&(segment.FIN|segment.RST) != 0 && f&segment.SYN == 0 {
		x.rec.firstClose, x.rec.closed, x.rec.byHost = frame, t.UnixNano(), from == x.c.host.Port
	}
	return frame
}

// tick is the peer's timestamp of this moment.
func (x *stage) tick() seq.Num {
	return x.clock.Add(uint32(time.Since(x.clockAt) / time.Millisecond))
}

// now is how far the peer's clock went on since its last timestamp.
func (x *stage) now() uint32 {
	if x.old != nil {
		return x.tick().Ahead(x.old.TSRecent)
	}
	return x.tick().Ahead(x.c.n.TSRecent)
}

// do makes moves of the ends, as the ways into the states have them.
func (x *stage) do(moves ...act) {
	for _, m := range moves {
		x.c.tsval = x.tick()
		if x.err == nil {
			x.err = m(x.r, x.c)
		}
	}
}

// pause lets time go by, in which everything that the kernel sends is recorded.
func (x *stage) pause(d time.Duration) {
	if x.err != nil {
		return
	}
	for until := time.Now().Add(d); x.err == nil && time.Until(until) > 0; {
		s, ok, err := x.r.wire.receive(min(time.Until(until), time.Second))
		if ok {
			x.r.dispatch(s)
		}
		x.err = cmp.Or(err, x.ctx.Err())
	}
}

// sysctl sets one of net.ipv4, which the label then names.
func (x *stage) sysctl(name, value string) {
	if x.err != nil {
		return
	}
	if x.err = sysctl("net/ipv4/"+name, value); x.err == nil {
		x.label.Changed["net.ipv4."+name] = value
	}
}

// open makes a connection of the peer to the host's listener.
func (x *stage) open() {
	x.do(func(r *runner, c *conn) error { return r.send(c, segment.SYN) }, awaits(synAck),
		func(r *runner, c *conn) error { return r.send(c, segment.ACK) }, (*runner).accept)
}

// opened is open with a few bytes each way, as most connections have.
func (x *stage) opened() {
	x.unread()
	x.reads()
}

// unread is opened, but that the application has read nothing.
func (x *stage) unread() {
	x.open()
	x.exchange()
}

// exchange has a few bytes go each way.
func (x *stage) exchange() {
	x.peerSends(100)
	x.hostWrites(200)
	x.do(peerAcks)
}

// used is what a new connection is made for: the application takes it, and a few
// bytes go each way.
func (x *stage) used() {
	x.do((*runner).accept)
	x.exchange()
	x.reads()
}

// reads has the application read what there is.
func (x *stage) reads() {
	if x.err != nil {
		return
	}
	if _, err := unix.Read(x.c.fd, make([]byte, 65536)); err != nil {
		x.err = fmt.Errorf("read: %w", err)
	}
}

func awaits(f segment.Flags) act {
	return func(r *runner, c *conn) error { _, err := r.await(c, f); return err }
}

// raw sends a segment of the peer with numbers of its own choice, and timestamps
// where the connection has them.
func (x *stage) raw(f segment.Flags, num, ack seq.Num, window uint16, n uint32) {
	if x.err != nil {
		return
	}
	s := segment.Segment{Src: x.c.peer, Dst: x.c.host, Flags: f, Seq: num, Window: window, Len: n}
	if f.Has(segment.ACK) {
		s.Ack = ack
	}
	if f.Has(segment.SYN) {
		s.Options, s.MSS, s.WScale = segment.OptMSS|segment.OptWScale, 1400, 7
	}
	if x.c.story.TS && !f.Has(segment.RST) {
		s.Options |= segment.OptTimestamps
		s.TSVal, s.TSEcr = x.tick(), x.c.n.TSEcr
		x.c.n.TSRecent = s.TSVal
	}
	x.c.n.RcvNxt = s.End()
	x.err = x.r.wire.send(&s)
}

// peerSends sends data of the peer, which the host acknowledges at its leisure.
func (x *stage) peerSends(n uint32) {
	x.raw(segment.PSH|segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 4000, n)
	x.pause(replyWait)
	x.take()
}

// take notes what the host's last segments show of its numbers.
func (x *stage) take() {
	for i := range x.c.got {
		if s := &x.c.got[i]; !s.Flags.Has(segment.RST) {
			x.c.n.take(s)
		}
	}
	x.c.got = nil
}

// hostWrites has the application write. The peer does not answer by itself.
func (x *stage) hostWrites(n int) {
	if x.err != nil {
		return
	}
	if _, err := unix.Write(x.c.fd, make([]byte, n)); err != nil {
		x.err = fmt.Errorf("write: %w", err)
		return
	}
	x.pause(replyWait)
	x.take()
}

// linger0 makes the next close an abort.
func (x *stage) linger0() {
	if x.err == nil {
		x.err = unix.SetsockoptLinger(x.c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

// set sets an option of the connection's socket.
func (x *stage) set(level, option, value int) {
	if x.err == nil {
		x.err = unix.SetsockoptInt(x.c.fd, level, option, value)
	}
}

// closeHost closes the socket, whatever that sends.
func (x *stage) closeHost() {
	if x.err == nil && x.c.fd >= 0 {
		x.err = unix.Close(x.c.fd)
		x.c.fd = -1
	}
}

// state is what the kernel's table shows of the connection.
func (x *stage) state() string {
	if x.err != nil {
		return ""
	}
	t, err := readTable(x.r.ipv6)
	if err != nil {
		x.err = err
		return ""
	}
	e, ok := t[key{x.c.story.IPv6, x.c.host.Port, x.c.peer.Port}]
	if !ok {
		return "none"
	}
	return procNames[e.state]
}

// begin is what a deciding segment, or event, starts with: from the first one on the
// old connection's numbers stand still.
func (x *stage) begin(name string) *LabelStep {
	if x.old == nil && x.c.n.ISNTime != 0 {
		x.old = ptr(x.c.n)
	}
	s := &LabelStep{Name: name, Replies: []LabelReply{}}
	if x.client {
		s.ClientBefore = x.state()
	} else {
		s.ServerBefore = x.state()
	}
	x.c.got = nil
	return s
}

// end is what it ends with.
func (x *stage) end(s *LabelStep, sent int64) {
	if x.client {
		s.ClientAfter = x.state()
	} else {
		s.ServerAfter = x.state()
	}
	x.last, x.c.got = x.c.got, nil
	for i := range x.last {
		s.Replies = append(s.Replies, reply(&x.last[i], sent, x.old))
	}
	s.Observed = observed(x.last, x.old)
	if !x.marked {
		x.label.KeyFrames.Trigger, x.label.KeyFrames.Reply = s.Frame, 0
		if len(x.last) > 0 && x.last[0].Frame != s.Frame {
			x.label.KeyFrames.Reply = x.last[0].Frame
		}
		x.marked = s.Frame != 0
	}
	x.label.Steps = append(x.label.Steps, *s)
}

// remark makes the next deciding segment the one to be explained.
func (x *stage) remark() { x.marked = false }

// probe sends a deciding segment, whose numbers are distances from the old
// connection's, and takes the answers.
func (x *stage) probe(name string, st Step) { x.probeFor(name, st, replyWait) }

func (x *stage) probeFor(name string, st Step, wait time.Duration) {
	if x.err != nil {
		return
	}
	ls := x.begin(name)
	base := x.c.n
	if x.old != nil {
		base = *x.old
	}
	x.sent = st.build(&base, x.c.peer, x.c.host)
	s := &x.sent
	if s.Flags.Has(segment.SYN) {
		s.Options |= segment.OptWScale
		s.WScale = 7
	}
	now := time.Now().UnixNano()
	s.Time = now
	if x.err = cmp.Or(x.err, x.r.wire.send(s)); x.err != nil {
		return
	}
	ls.Frame, ls.Flags, ls.Seq = s.Frame, labelFlags(s.Flags), s.Seq.Uint32()
	ls.SeqMinusOld = minus(s.Seq, base.RcvNxt, x.old != nil)
	if x.rec.firstClose != 0 {
		ls.AfterClose = ptr(milliseconds(now - x.rec.closed))
	}
	if s.HasTS() {
		ls.TSVal, ls.TSMinusOld = ptr(s.TSVal.Uint32()), minus(s.TSVal, base.TSRecent, x.old != nil && x.c.story.TS)
	}
	x.pause(wait)
	x.end(ls, now)
}

// watch is a deciding moment in which the kernel does something by itself: f causes
// it, and everything of the time after is taken. The step's frame is the last of
// those that it sent.
func (x *stage) watch(name string, d time.Duration, f func()) {
	if x.err != nil {
		return
	}
	ls := x.begin(name)
	now := time.Now().UnixNano()
	f()
	x.pause(d)
	if n := len(x.c.got); n > 0 {
		s := &x.c.got[n-1]
		ls.Frame, ls.Flags, ls.Seq = s.Frame, labelFlags(s.Flags), s.Seq.Uint32()
	}
	x.end(ls, now)
}

// completes acknowledges the SYN-ACK that the last SYN got: the new connection is
// there, and the moves go on in it.
func (x *stage) completes() {
	if x.err != nil {
		return
	}
	if len(x.last) == 0 || !x.last[0].Flags.Has(synAck) {
		x.err = fmt.Errorf("no SYN-ACK came for %s", text(&x.sent))
		return
	}
	c := x.c
	c.n = Numbers{RcvNxt: x.sent.Seq.Add(1)}
	c.n.take(&x.last[0])
	if x.sent.HasTS() { // it may be another host's clock
		x.clock, x.clockAt = x.sent.TSVal, time.Unix(0, x.sent.Time)
	}
	ts := c.story.TS
	c.story.TS = x.sent.HasTS() && x.last[0].HasTS()
	x.raw(segment.ACK, c.n.RcvNxt, c.n.SndNxt, 4000, 0)
	c.story.TS = ts
	x.pause(replyWait)
}
