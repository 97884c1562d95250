package lab

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// recipes are all cases that can be recorded, in order: a four-tuple that is opened
// again, by what the old connection left behind; then opening, resets, closing and
// stalls; last the kernel as the client.
func recipes() []recipe {
	var all []recipe
	for _, some := range [][]recipe{timeWaitRecipes(), finWait2Recipes(), pastRecipes(), openingRecipes(), troubleRecipes(), clientRecipes()} {
		all = append(all, some...)
	}
	return all
}

// back is a distance to the left.
func back(n uint32) uint32 { return -n }

const (
	// far is how far before the old connection's end the SYN of an opener lies whose
	// clock says nothing of it.
	far     = 50_000
	moment  = 50 * time.Millisecond
	retry   = time.Second // what an opener waits for before its second SYN
	limited = 600 * time.Millisecond
)

// plainSYN is a SYN without timestamps at a distance from rcv_nxt.
func plainSYN(seq uint32) Step { return Step{Flags: segment.SYN, Seq: seq} }

// stampedSYN is one with a timestamp at a distance from ts_recent.
func stampedSYN(seq, ts uint32) Step {
	return Step{Flags: segment.SYN, Seq: seq, HasTS: true, TSVal: ts}
}

var bareRST = Step{Flags: segment.RST}

// toTimeWait: a connection that the host closed first, and the peer after it.
func toTimeWait(x *stage) {
	x.opened()
	x.do(hostCloses, peerAcks)
	x.pause(moment)
	x.do(peerFinishes)
	x.pause(moment)
}

func timeWaitRecipes() []recipe {
	return []recipe{
		{Case{"tw_syn_newer_seq", "timewait_syn_accepted", "a SYN with a newer sequence number, no timestamps", false}, false, true, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", plainSYN(far))
			x.completes()
		}},
		{Case{"tw_syn_newer_ts", "timewait_syn_accepted_by_timestamp", "a SYN with an older sequence number and a newer timestamp", false}, true, true, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", stampedSYN(back(far), x.now()))
			x.completes()
		}},
		{Case{"tw_syn_newer_both", "timewait_syn_accepted", "a SYN with a newer sequence number and a newer timestamp", false}, true, false, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", stampedSYN(far, x.now()))
			x.completes()
		}},
		{Case{"tw_rescue", "timewait_syn_rejected_seq", "a SYN with an older sequence number: ACK, the opener's RST, and its second SYN finds nothing", false}, false, true, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", plainSYN(back(far)))
			x.probe("rst", bareRST)
			x.pause(retry)
			x.probe("syn-again", plainSYN(back(far)))
			x.completes()
		}},
		{Case{"tw_rescue_ts", "timewait_syn_rejected_seq", "the same with timestamps, the new one equal to the last of the old connection", false}, true, false, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", stampedSYN(back(far), 0))
			x.probe("rst", bareRST)
			x.pause(retry)
			x.probe("syn-again", stampedSYN(back(far), x.now()))
			x.completes()
		}},
		{Case{"tw_rst_lost", "timewait_syn_rejected_seq_rst_lost", "the opener's RST never arrives: each of its SYNs gets the same ACK", false}, false, false, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", plainSYN(back(far)))
			x.pause(retry)
			x.probe("syn-again", plainSYN(back(far)))
		}},
		{Case{"tw_paws", "timewait_syn_rejected_paws", "a SYN with a newer sequence number and an older timestamp", false}, true, true, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", stampedSYN(far, back(5000)))
			x.probe("rst", bareRST)
			x.pause(retry)
			x.probe("syn-again", stampedSYN(far, back(4000)))
			x.completes()
		}},
		{Case{"tw_rate_limited", "timewait_ack_rate_limited", "two SYNs that are not taken within 500 ms: the second gets nothing", false}, false, true, func(x *stage) {
			toTimeWait(x)
			x.probe("syn", plainSYN(back(far)))
			x.remark()
			x.probe("syn-soon", plainSYN(back(far)))
			x.pause(limited)
			x.probe("syn-later", plainSYN(back(far)))
		}},
		{Case{"tw_assassinated", "timewait_assassinated", "a RST at rcv_nxt ends the TIME_WAIT (tcp_rfc1337=0); the next SYN finds nothing", false}, false, true, func(x *stage) {
			toTimeWait(x)
			x.probe("rst", bareRST)
			x.probe("syn", plainSYN(back(far)))
			x.completes()
		}},
		{Case{"tw_rfc1337", "timewait_survives_rst", "with tcp_rfc1337=1 a RST at rcv_nxt is not obeyed", false}, false, false, func(x *stage) {
			x.sysctl("tcp_rfc1337", "1")
			toTimeWait(x)
			x.probe("rst", bareRST)
			x.probe("syn", plainSYN(back(far)))
		}},
		{Case{"tw_rescue_rfc1337", "timewait_syn_rejected_seq_rfc1337", "with tcp_rfc1337=1 the opener's RST does not help: ACK and RST, again and again", false}, false, false, func(x *stage) {
			x.sysctl("tcp_rfc1337", "1")
			toTimeWait(x)
			for _, name := range []string{"syn", "syn-again", "syn-a-third-time"} {
				x.probe(name, plainSYN(back(far)))
				x.probe("rst", bareRST)
				x.pause(retry)
			}
		}},
		{Case{"tw_syn_fin", "timewait_syn_dropped_by_listener", "a SYN with FIN: the TIME_WAIT gives way, the listener drops it", false}, false, false, func(x *stage) {
			toTimeWait(x)
			x.probe("syn-fin", Step{Flags: segment.SYN | segment.FIN, Seq: far})
			x.pause(retry)
			x.probe("syn", plainSYN(far+1000))
			x.completes()
		}},
		{Case{"tw_listener_gone", "listener_gone_timewait", "nobody listens any more, and a SYN that would be accepted gets an ACK", false}, false, true, func(x *stage) {
			toTimeWait(x)
			x.r.shut()
			x.probe("syn", plainSYN(far))
		}},
		{Case{"tw_expired", "timewait_expired", "a SYN 62 s after the TIME_WAIT began", true}, false, true, func(x *stage) {
			toTimeWait(x)
			x.pause(62 * time.Second)
			x.probe("syn", plainSYN(back(far)))
			x.completes()
		}},
		{Case{"tw_expired_while_retrying", "timewait_expired", "an opener whose RSTs are lost retries until the TIME_WAIT is over", true}, false, false, func(x *stage) {
			toTimeWait(x)
			for _, wait := range []time.Duration{0, 1, 2, 4, 8, 16, 32} {
				x.pause(wait * time.Second)
				x.remark()
				x.probe("syn", plainSYN(back(far)))
			}
			x.completes()
		}},
		{Case{"tw_closing", "timewait_syn_accepted", "both closed at once, by way of CLOSING; then a SYN with a newer sequence number", false}, false, false, func(x *stage) {
			x.opened()
			x.do(hostShuts, peerFinishesAlone, peerAcks)
			x.closeHost()
			x.pause(moment)
			x.probe("syn", plainSYN(far))
			x.completes()
		}},
		{Case{"tw_bucket_overflow", "no_timewait_buckets_full", "with tcp_max_tw_buckets=0 the closed connection leaves nothing behind", false}, false, true, func(x *stage) {
			x.sysctl("tcp_max_tw_buckets", "0")
			x.opened()
			x.do(hostCloses, peerAcks)
			x.pause(moment)
			x.raw(segment.FIN|segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 4000, 0)
			x.pause(moment)
			x.probe("syn", plainSYN(back(far)))
			x.completes()
		}},
	}
}

// toOrphan: the host closed, the peer acknowledged that, and closes not.
func toOrphan(x *stage) {
	x.opened()
	x.do(hostCloses, peerAcks)
	x.pause(moment)
}

func finWait2Recipes() []recipe {
	return []recipe{
		{Case{"fw2_syn_in_window", "finwait2_syn_reset", "a SYN in the window of an orphan in FIN_WAIT2: RST, and it is gone", false}, false, true, func(x *stage) {
			toOrphan(x)
			x.probe("syn", plainSYN(1000))
			x.pause(retry)
			x.probe("syn-again", plainSYN(1000))
			x.completes()
		}},
		{Case{"fw2_syn_out_of_window", "finwait2_syn_rejected", "a SYN before the window of an orphan in FIN_WAIT2: an ACK", false}, false, true, func(x *stage) {
			toOrphan(x)
			x.probe("syn", plainSYN(back(far)))
		}},
		{Case{"fw2_paws", "finwait2_syn_rejected", "a SYN with an older timestamp into an orphan in FIN_WAIT2: an ACK", false}, true, false, func(x *stage) {
			toOrphan(x)
			x.probe("syn", stampedSYN(1000, back(5000)))
		}},
		{Case{"fw2_rst", "finwait2_reset_by_client", "a RST in its window kills an orphan in FIN_WAIT2; the next SYN finds nothing", false}, false, true, func(x *stage) {
			toOrphan(x)
			x.probe("rst", Step{Flags: segment.RST, Seq: 100})
			x.probe("syn", plainSYN(back(far)))
			x.completes()
		}},
		{Case{"fw2_data", "fin-wait2-orphan-data", "data for an application that has closed: RST", false}, true, true, func(x *stage) {
			toOrphan(x)
			x.probe("data", Step{Flags: segment.PSH | segment.ACK, Len: 100, HasTS: true, TSVal: x.now()})
		}},
		{Case{"fw2_timeout", "finwait2_expired", "tcp_fin_timeout=2, and the peer does not close: 3 s later nothing is left", false}, false, true, func(x *stage) {
			x.sysctl("tcp_fin_timeout", "2")
			toOrphan(x)
			x.pause(3 * time.Second)
			x.probe("syn", plainSYN(back(far)))
			x.completes()
		}},
	}
}

// clientCloses: the peer closes first, and the host after it.
func clientCloses(x *stage) {
	x.opened()
	x.do(peerFinishes)
	x.pause(moment)
	x.do(hostCloses, peerAcks)
	x.pause(moment)
}

func pastRecipes() []recipe {
	return []recipe{
		{Case{"client_closed_first", "no_timewait_at_server", "the client closed first: the server holds no TIME_WAIT", false}, true, true, func(x *stage) {
			clientCloses(x)
			x.probe("syn", stampedSYN(back(far), x.now()))
			x.completes()
		}},
		{Case{"listener_gone", "no_listener", "the client closed first, the listener is gone since: RST", false}, false, true, func(x *stage) {
			clientCloses(x)
			x.r.shut()
			x.probe("syn", plainSYN(far))
		}},
		{Case{"est_syn", "old_connection_still_open", "the server never saw the old connection's end: a challenge ACK, and a RST that ends it", false}, true, true, func(x *stage) {
			x.opened()
			x.pause(moment)
			x.probe("syn", stampedSYN(far, x.now()))
			x.probe("rst", bareRST)
			x.pause(retry)
			x.probe("syn-again", stampedSYN(far, x.now()))
			x.completes()
		}},
		{Case{"close_wait_syn", "old_connection_still_open", "the server's application has not closed: CLOSE_WAIT answers with a challenge ACK", false}, false, false, func(x *stage) {
			x.opened()
			x.do(peerFinishes)
			x.pause(moment)
			x.probe("syn", plainSYN(far))
		}},
		{Case{"last_ack_syn", "old_connection_still_open", "the ACK of the server's FIN was lost: LAST_ACK answers with a challenge ACK", false}, false, false, func(x *stage) {
			x.opened()
			x.do(peerFinishes)
			x.pause(moment)
			x.do(hostCloses)
			x.pause(moment)
			x.probe("syn", plainSYN(far))
		}},
		{Case{"linger0_syn", "server_rst_on_close_linger0", "the server closes with SO_LINGER 0: RST, no TIME_WAIT", false}, true, true, func(x *stage) {
			x.opened()
			x.linger0()
			x.closeHost()
			x.pause(moment)
			x.probe("syn", stampedSYN(back(far), x.now()))
			x.completes()
		}},
		{Case{"unread_syn", "server_rst_on_close_unread", "the server closes with unread data: RST, no TIME_WAIT", false}, false, true, func(x *stage) {
			x.unread()
			x.closeHost()
			x.pause(moment)
			x.probe("syn", plainSYN(back(far)))
			x.completes()
		}},
		{Case{"data_after_close_syn", "server_rst_data_after_close", "data that arrives after the server closed: RST, no TIME_WAIT", false}, false, false, func(x *stage) {
			x.open()
			x.do(hostCloses, peerAcks)
			x.pause(moment)
			x.raw(segment.PSH|segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 4000, 100)
			x.pause(moment)
			x.probe("syn", plainSYN(back(far)))
			x.completes()
		}},
		{Case{"client_rst_syn", "client_rst", "the client resets the connection, and opens another", false}, true, true, func(x *stage) {
			x.opened()
			x.raw(segment.RST|segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 0, 0)
			x.pause(moment)
			x.probe("syn", stampedSYN(back(far), x.now()))
			x.completes()
		}},
	}
}

// pending opens a request: a SYN that is answered, and no more.
func pending(x *stage) {
	x.probe("syn", plainSYN(0))
	if x.err == nil && len(x.last) > 0 {
		x.c.n.RcvNxt = x.sent.Seq.Add(1)
		x.c.n.take(&x.last[0])
	}
}

// fillQueue cuts the accept queue to nothing and has a stranger's connection wait in it.
func fillQueue(x *stage) {
	if x.err == nil {
		x.err = x.r.fill(x.c.story.IPv6, peerPort+1)
	}
	x.pause(moment)
}

// accept takes a stranger's connection out of the queue.
func accept(x *stage) {
	if x.err != nil {
		return
	}
	fd, _, err := unix.Accept4(x.r.listener(x.c), unix.SOCK_CLOEXEC)
	if x.err = err; err == nil {
		x.err = unix.Close(fd)
	}
}

// flood sends SYNs of so many strangers.
func flood(x *stage, n uint16) {
	for i := range n {
		c := &conn{story: &Story{IPv6: x.c.story.IPv6}, fd: -1}
		x.r.address(c, peerPort+100+i)
		c.n.RcvNxt = seqOf(uint32(i) * 977)
		if x.err == nil {
			x.err = x.r.send(c, segment.SYN)
		}
	}
	x.pause(moment)
}

// backlog is the longest that the listener's queues may get.
func backlog(x *stage, n int) {
	if x.err == nil {
		x.err = unix.Listen(x.r.listener(x.c), n)
	}
}

func openingRecipes() []recipe {
	return []recipe{
		{Case{"normal", "new_connection", "a connection that is opened, used and closed as it should be", false}, true, true, func(x *stage) {
			x.probe("syn", stampedSYN(0, 0))
			x.completes()
			x.used()
			x.do(peerFinishes)
			x.pause(moment)
			x.do(hostCloses, peerAcks)
			x.pause(moment)
		}},
		{Case{"no_listener", "no-listener", "a first SYN to a port on which nobody listens: RST", false}, false, true, func(x *stage) {
			x.r.shut()
			x.probe("syn", plainSYN(0))
		}},
		{Case{"queue_full", "accept_queue_overflow", "the accept queue is full: a SYN gets nothing, the one a second later neither", false}, false, true, func(x *stage) {
			fillQueue(x)
			x.probe("syn", plainSYN(0))
			x.pause(retry)
			x.probe("syn-again", plainSYN(0))
		}},
		{Case{"queue_full_tw", "accept_queue_overflow", "a SYN that the TIME_WAIT lets through finds the accept queue full: nothing, and the TIME_WAIT is gone", false}, false, false, func(x *stage) {
			toTimeWait(x)
			fillQueue(x)
			x.probe("syn", plainSYN(far))
			x.pause(retry)
			x.probe("syn-again", plainSYN(far))
		}},
		{Case{"queue_full_for_a_while", "accept-queue-full-for-a-while", "the accept queue is full when the first SYN arrives, and has room when the second does", false}, false, false, func(x *stage) {
			fillQueue(x)
			x.probe("syn", plainSYN(0))
			x.pause(retry / 2)
			accept(x)
			x.pause(retry / 2)
			x.remark()
			x.probe("syn-again", plainSYN(0))
			x.completes()
			x.used()
		}},
		{Case{"probe", "probe", "a health check: SYN, SYN-ACK, RST", false}, false, false, func(x *stage) {
			pending(x)
			x.remark()
			x.probe("rst", bareRST)
		}},
		{Case{"final_ack_ignored", "accept_queue_overflow", "the accept queue fills up during a handshake: its last ACK is ignored, the SYN-ACK comes again", false}, false, true, func(x *stage) {
			pending(x)
			fillQueue(x)
			x.raw(segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 4000, 0)
			x.pause(4 * time.Second)
		}},
		{Case{"abort_on_overflow", "abort-on-overflow", "the same with tcp_abort_on_overflow=1: RST", false}, false, true, func(x *stage) {
			x.sysctl("tcp_abort_on_overflow", "1")
			pending(x)
			fillQueue(x)
			x.raw(segment.ACK, x.c.n.RcvNxt, x.c.n.SndNxt, 4000, 0)
			x.pause(moment)
		}},
		{Case{"cookie", "no_timewait_at_server", "the client closed first; tcp_syncookies=2, so that the next SYN is answered with a cookie", false}, true, true, func(x *stage) {
			clientCloses(x)
			x.sysctl("tcp_syncookies", "2")
			x.probe("syn", stampedSYN(far, x.now()))
			x.completes()
			x.used()
		}},
		{Case{"cookie_flood", "syncookies", "a flood fills the queue of requests: the next SYN is answered with a cookie", false}, true, false, func(x *stage) {
			backlog(x, 8)
			flood(x, 24)
			x.probe("syn", stampedSYN(0, 0))
			x.completes()
		}},
		{Case{"syn_queue_full", "syn_queue_overflow", "tcp_syncookies=0, and a flood fills the queue of requests: the next SYN gets nothing", false}, false, true, func(x *stage) {
			x.sysctl("tcp_syncookies", "0")
			backlog(x, 8)
			flood(x, 12)
			x.probe("syn", plainSYN(0))
			x.pause(retry)
			x.probe("syn-again", plainSYN(0))
		}},
		{Case{"syn_recv_same", "new_connection", "the same SYN once more while the request is pending: the same SYN-ACK", false}, false, true, func(x *stage) {
			pending(x)
			x.probe("syn-again", plainSYN(back(1)))
		}},
		{Case{"syn_recv_old", "syn_recv_other_syn", "an older SYN while another one's request is pending: an ACK", false}, false, false, func(x *stage) {
			pending(x)
			x.remark()
			x.probe("syn-old", plainSYN(back(far)))
		}},
		{Case{"syn_recv_in_window", "syn-received-in-window", "another SYN in the window of a pending request: RST", false}, false, true, func(x *stage) {
			pending(x)
			x.remark()
			x.probe("syn-in-window", plainSYN(1000))
		}},
	}
}
