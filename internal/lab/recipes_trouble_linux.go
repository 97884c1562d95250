package lab

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func troubleRecipes() []recipe {
	return []recipe{
		{Case{"linger0", "linger-zero", "the application closes with SO_LINGER 0: RST in place of FIN", false}, true, false, func(x *stage) {
			x.opened()
			x.linger0()
			x.watch("close", moment, x.closeHost)
		}},
		{Case{"unread", "closed-with-unread-data", "the application closes while data lies unread: RST in place of FIN", false}, true, false, func(x *stage) {
			x.unread()
			x.watch("close", moment, x.closeHost)
		}},
		{Case{"data_after_close", "data-after-close", "data arrives after the application closed: RST", false}, true, false, func(x *stage) {
			x.open()
			x.do(hostCloses)
			x.probe("data", Step{Flags: segment.PSH | segment.ACK, Len: 100, HasTS: true, TSVal: x.now()})
		}},
		{Case{"rst_challenged", "out-of-window-ignored", "a RST in the window, but not at rcv_nxt: a challenge ACK, and the connection lives on", false}, true, true, func(x *stage) {
			x.opened()
			x.probe("rst", Step{Flags: segment.RST, Seq: 100})
			x.hostWrites(50)
			x.do(peerAcks)
			x.pause(moment)
		}},
		{Case{"rst_out_of_window", "out-of-window-ignored", "a RST before the window is ignored", false}, true, false, func(x *stage) {
			x.opened()
			x.probe("rst", Step{Flags: segment.RST, Seq: back(far)})
			x.hostWrites(50)
			x.do(peerAcks)
			x.pause(moment)
		}},
		{Case{"keepalive", "keepalive-given-up", "keep-alive probes (1 s, every 1 s, 3 of them) stay unanswered: RST", false}, true, true, func(x *stage) {
			x.opened()
			x.set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			x.set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1)
			x.set(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1)
			x.set(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3)
			x.watch("silence", 6*time.Second, func() {})
		}},
		{Case{"rto", "rto-given-up", "tcp_retries2=3: data is never acknowledged, and given up without a word; the peer's next segment gets a RST", false}, true, true, func(x *stage) {
			x.sysctl("tcp_retries2", "3")
			x.opened()
			x.watch("data", 8*time.Second, func() { write(x, 100) })
			x.probe("late-ack", Step{Flags: segment.ACK, HasTS: true, TSVal: x.now()})
		}},
		{Case{"user_timeout", "rto-given-up", "TCP_USER_TIMEOUT 1.5 s: data is never acknowledged", false}, true, false, func(x *stage) {
			x.opened()
			x.set(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1500)
			x.watch("data", 4*time.Second, func() { write(x, 100) })
			x.probe("late-ack", Step{Flags: segment.ACK, HasTS: true, TSVal: x.now()})
		}},
		{Case{"zero_window", "zero-window", "the application does not read: the window falls to 0", false}, true, false, func(x *stage) {
			if x.err == nil {
				x.err = unix.SetsockoptInt(x.r.listener(x.c), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
			}
			x.open()
			for range 6 {
				x.watch("data", replyWait, func() {
					if n := min(x.c.n.RcvWnd, 1000); n > 0 {
						x.raw(segment.PSH|segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 4000, n)
					}
				})
				x.c.got = x.last
				x.take()
				x.remark()
			}
			x.probe("window-probe", Step{Flags: segment.ACK, Seq: x.fromOld(back(1)), HasTS: true, TSVal: x.now()})
		}},
		{Case{"zero_window_peer", "zero-window", "the peer announces a window of 0 while the application has more to send: window probes", false}, true, false, func(x *stage) {
			x.opened()
			x.hostWrites(100)
			x.raw(segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 0, 0)
			x.pause(moment)
			x.watch("data", 3*time.Second, func() { write(x, 500) })
		}},
		{Case{"close_wait_leak", "peer-application-never-closed", "the peer closes, the host's application does not: CLOSE_WAIT", false}, true, false, func(x *stage) {
			x.opened()
			x.probe("fin", Step{Flags: segment.FIN | segment.ACK, HasTS: true, TSVal: x.now()})
			x.pause(3 * time.Second)
		}},
		{Case{"half_close", "half-close-on-purpose", "the host's application shuts down one direction, and goes on to receive", false}, true, false, func(x *stage) {
			x.opened()
			x.do(hostShuts, peerAcks)
			for range 3 {
				x.peerSends(500)
				x.pause(300 * time.Millisecond)
			}
			x.do(peerFinishes)
			x.pause(moment)
		}},
		{Case{"simultaneous_close", "simultaneous-close", "both FINs cross", false}, true, true, func(x *stage) {
			x.opened()
			x.do(hostShuts, peerFinishesAlone, peerAcks)
			x.pause(moment)
		}},
		{Case{"fin_lost", "fin-lost", "nobody acknowledges the host's FIN, which it sends again", false}, true, false, func(x *stage) {
			x.opened()
			x.watch("close", 3*time.Second, func() {
				if x.err == nil {
					x.err = unix.Shutdown(x.c.fd, unix.SHUT_WR)
				}
			})
		}},
	}
}

// fromOld makes a distance from what the peer has sent by now one from the old numbers.
func (x *stage) fromOld(n uint32) uint32 {
	if x.old == nil {
		return n
	}
	return n + x.c.n.RcvNxt.Ahead(x.old.RcvNxt)
}

func write(x *stage, n int) {
	if x.err == nil {
		if _, err := unix.Write(x.c.fd, make([]byte, n)); err != nil {
			x.err = fmt.Errorf("write: %w", err)
		}
	}
}

// hostPort is the only one from which the host's own connections may go out.
const hostPort = 50000

// asClient makes the kernel the client: it connects to the peer's port 80.
func (x *stage) asClient() {
	x.client = true
	x.r.shut()
	delete(x.r.conns, key{x.c.story.IPv6, x.c.host.Port, x.c.peer.Port})
	x.r.port = hostPort
	x.r.address(x.c, 80)
	x.sysctl("ip_local_port_range", fmt.Sprintf("%d %d", hostPort, hostPort))
	delete(x.label.Changed, "net.ipv4.ip_local_port_range")
}

// connect starts to connect; with bind the port is asked for.
func (x *stage) connect(bind bool) {
	if x.err != nil {
		return
	}
	family := unix.AF_INET
	if x.c.story.IPv6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		x.err = fmt.Errorf("socket: %w", err)
		return
	}
	x.closeHost()
	x.c.fd = fd
	if bind {
		x.set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err := unix.Bind(fd, sockaddr(x.c.story.IPv6, hostPort)); err != nil {
			x.err = fmt.Errorf("bind: %w", err)
		}
	}
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: 80, Addr: host4.Next().As4()}
	if x.c.story.IPv6 {
		to = &unix.SockaddrInet6{Port: 80, Addr: host6.Next().As16()}
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		x.err = fmt.Errorf("connect: %w", err)
	}
}

// synOf is the SYN that the last moment brought.
func (x *stage) synOf() (s segment.Segment) {
	for i := len(x.last) - 1; i >= 0; i-- {
		if x.last[i].Flags.Has(segment.SYN) {
			return x.last[i]
		}
	}
	if x.err == nil {
		x.err = fmt.Errorf("the kernel sent no SYN")
	}
	return s
}

// answered has the kernel connect, and the peer answer: the connection is there.
func (x *stage) answered() {
	x.accepts(seqOf(2_000_000_000), x.synOf())
	x.pause(replyWait)
	x.c.got = nil
}

// accepts answers a SYN of the kernel with a SYN-ACK of the given ISN.
func (x *stage) accepts(isn seq.Num, syn segment.Segment) {
	c := x.c
	c.n = Numbers{ISN: syn.Seq, ISNTime: syn.Time, ISNAsked: syn.Time, SndNxt: syn.Seq.Add(1), TSEcr: syn.TSVal, WScale: syn.WScale}
	x.raw(synAck, isn, c.n.SndNxt, 4000, 0)
}

func clientRecipes() []recipe {
	// A connection of the kernel, closed by it first: it holds TIME_WAIT.
	ownTimeWait := func(x *stage, bind bool) {
		x.asClient()
		x.watch("connect", replyWait, func() { x.connect(bind) })
		x.answered()
		x.hostWrites(100)
		x.do(peerAcks, hostCloses, peerAcks)
		x.pause(moment)
		x.do(peerFinishes)
		x.pause(1200 * time.Millisecond)
		x.old = ptr(x.c.n)
		x.remark()
	}
	return []recipe{
		{Case{"connect", "nothing-wrong", "the kernel connects, and all goes well", false}, true, true, func(x *stage) {
			x.asClient()
			x.watch("connect", replyWait, func() { x.connect(false) })
			x.answered()
			x.hostWrites(100)
			x.do(peerAcks, hostCloses, peerAcks, peerFinishes)
			x.pause(moment)
		}},
		{Case{"connect_silent", "syn-lost-or-filtered", "the kernel connects, and nothing ever answers", false}, true, true, func(x *stage) {
			x.asClient()
			x.sysctl("tcp_syn_retries", "2")
			x.watch("connect", 8*time.Second, func() { x.connect(false) })
		}},
		{Case{"connect_syn_lost_once", "syn-lost-once", "the kernel's first SYN gets no answer, its second does", false}, true, false, func(x *stage) {
			x.asClient()
			x.watch("connect", 1300*time.Millisecond, func() { x.connect(false) })
			x.answered()
			x.hostWrites(100)
			x.do(peerAcks)
			x.pause(moment)
		}},
		{Case{"connect_refused", "no-listener", "the kernel connects, and gets a RST", false}, true, true, func(x *stage) {
			x.asClient()
			x.watch("connect", replyWait, func() { x.connect(false) })
			s := x.synOf()
			x.raw(segment.RST|segment.ACK, seqOf(0), s.Seq.Add(1), 0, 0)
			x.pause(moment)
		}},
		{Case{"connect_bad_ack", "bad-ack-in-syn-sent", "the kernel's SYN gets an ACK that does not fit: RST, and the SYN again", false}, true, true, func(x *stage) {
			x.asClient()
			x.watch("connect", replyWait, func() { x.connect(false) })
			s := x.synOf()
			x.watch("bad-ack", 1500*time.Millisecond, func() { x.raw(segment.ACK, seqOf(77_777), s.Seq.Add(back(5000)), 100, 0) })
			x.answered()
		}},
		{Case{"simultaneous_open", "simultaneous-open", "both SYNs cross", false}, true, true, func(x *stage) {
			x.asClient()
			x.watch("connect", replyWait, func() { x.connect(false) })
			s := x.synOf()
			x.c.n = Numbers{ISN: s.Seq, ISNTime: s.Time, SndNxt: s.Seq.Add(1), TSEcr: s.TSVal, WScale: s.WScale}
			x.watch("peer-syn", replyWait, func() { x.raw(segment.SYN, seqOf(2_000_000_000), seqOf(0), 4000, 0) })
			x.raw(segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 4000, 0)
			x.pause(moment)
		}},
		{Case{"tw_reuse", "client_timewait_reused", "tcp_tw_reuse=1: the kernel's second connection takes over the TIME_WAIT of its first", false}, true, true, func(x *stage) {
			x.sysctl("tcp_tw_reuse", "1")
			ownTimeWait(x, false)
			x.watch("connect", replyWait, func() { x.connect(false) })
			x.accepts(seqOf(2_100_000_000), x.synOf())
			x.pause(moment)
		}},
		{Case{"bind_reuse", "client_timewait_reused", "the application binds the port (SO_REUSEADDR) whose TIME_WAIT the kernel holds", false}, true, true, func(x *stage) {
			ownTimeWait(x, true)
			x.watch("connect", replyWait, func() { x.connect(true) })
			x.accepts(seqOf(2_100_000_000), x.synOf())
			x.pause(moment)
		}},
	}
}
