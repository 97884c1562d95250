package diagnose

import (
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Cause is an entry of the vocabulary: what a slug means, who is at fault, how
// much it matters, and the command that settles it.
type Cause struct {
	Slug     string
	Means    string
	Fault    report.Fault
	Severity report.Severity
	// Settle is the command on a host that decides whether it is this cause.
	Settle []report.Settle
	Advice []string
}

// Question is a question of the vocabulary and the causes that may answer it.
type Question struct {
	Slug   string
	Asks   string
	Causes []Cause
}

func on(host, command, when, then string) report.Settle {
	return report.Settle{On: host, Command: command, If: when, Then: then}
}

// Vocabulary lists every question that is asked and its causes. The slugs are part
// of the JSON contract.
func Vocabulary() []Question { return slices.Clone(vocabulary) }

var vocabulary = []Question{
	{"reopened-accepted", "A four-tuple with a past is opened again: why was the SYN accepted?", acceptedCauses},
	{"reopened-challenged", "A four-tuple with a past is opened again: why did the SYN get an ACK without SYN?", challengedCauses},
	{"reopened-refused", "A four-tuple with a past is opened again: why did the SYN get a RST?", refusedCauses},
	{"reopened-silent", "A four-tuple with a past is opened again: why did the SYN get nothing?", silentCauses},
	{"port-taken-over", "The opener should itself hold TIME_WAIT on the port: how could it open from it?", takenOverCauses},
	{"connect-stuck", "The SYN-ACK comes again although it was acknowledged: why?", stuckCauses},
	{"connect-silent", "A SYN on a fresh four-tuple got nothing: why?", openingCauses},
	{"connect-refused", "The opening was refused with a RST: why?", refusedOpeningCauses},
	{"connect-slow", "The handshake took long: why?", slowCauses},
	{"connect-odd", "The opening was answered in an unusual way: why?", oddCauses},
	{"reset", "A RST ended the connection, or tried to: why?", resetCauses},
	{"close-unfinished", "One side closed, and the close was never completed: why?", unfinishedCauses},
	{"close-odd", "The close was completed in an unusual way: why?", oddCloseCauses},
	{"stalled", "Data stood still: why?", stalledCauses},
	{"connection", "Is anything wrong with the connection?", connectionCauses},
}

// causeOf finds a cause in a question.
func causeOf(question, slug string) (*Cause, bool) {
	for i := range vocabulary {
		q := &vocabulary[i]
		if q.Slug != question {
			continue
		}
		for j := range q.Causes {
			if c := &q.Causes[j]; c.Slug == slug {
				return c, true
			}
		}
	}
	return nil, false
}

var (
	recycleAdvice = []string{
		"With several hosts behind one address (NAT) tcp_tw_recycle drops their SYNs at random: set net.ipv4.tcp_tw_recycle = 0. The sysctl is gone since Linux 4.12.",
	}
	rescueAdvice = []string{
		"Use timestamps on both sides (net.ipv4.tcp_timestamps = 1): then a client's newer SYN is accepted in TIME_WAIT whatever its sequence number.",
		"Let the client close first, or spread its source ports (net.ipv4.ip_local_port_range), so that a port comes round later than 60 s.",
	}
	filterAdvice = []string{"Capture on both sides of every firewall or NAT between the two hosts at the same time: the frame that is on one side only names the box."}
)

var acceptedCauses = []Cause{
	{"time-wait-sequence", "accepted in TIME_WAIT: the SYN's sequence number is after rcv_nxt", report.Nobody, report.Harmless,
		[]report.Settle{on("server", "uname -r", "a kernel that loses the ISN: LOSING", "time-wait-sequence")}, nil},
	{"time-wait-timestamp", "accepted in TIME_WAIT: the SYN's timestamp is newer than the one remembered", report.Nobody, report.Harmless,
		[]report.Settle{on("server", "uname -r", "a kernel that loses the ISN: LOSING", "time-wait-timestamp")}, nil},
	{"time-wait-expired", "TIME_WAIT had run out", report.Nobody, report.Harmless, nil, nil},
	{"tw-recycle", "tcp_tw_recycle ended TIME_WAIT after 3.5 RTO (Linux up to 4.11)", report.ServerHost, report.Notice,
		[]report.Settle{on("server", "uname -r", "4.11 or older (or .el6, .el7)", "tw-recycle"), on("server", "sysctl net.ipv4.tcp_tw_recycle", "1", "tw-recycle")}, recycleAdvice},
	{"tw-bucket-overflow", "the limit on TIME_WAIT sockets was reached, so none was kept", report.ServerHost, report.Notice,
		[]report.Settle{on("server", "nstat -az TcpExtTCPTimeWaitOverflow; sysctl net.ipv4.tcp_max_tw_buckets", "the counter grows", "tw-bucket-overflow")},
		[]string{"Raise net.ipv4.tcp_max_tw_buckets; a late segment of the old connection could otherwise reach the new one."}},
	{"time-wait-reset", "a RST at exactly rcv_nxt ended TIME_WAIT", report.Nobody, report.Harmless,
		[]report.Settle{on("server", "tcpdump -ni any 'host CLIENT and port PORT and tcp[tcpflags] & tcp-rst != 0'", "a RST whose seq is rcv_nxt arrives after the close", "time-wait-reset")}, nil},
	{"fin-wait2-reset", "a RST ended FIN_WAIT2", report.Nobody, report.Harmless, nil, nil},
	{"no-time-wait", "this end closed second: the other end holds TIME_WAIT", report.Nobody, report.Harmless, nil, nil},
	{"closed-by-reset", "the old connection ended by a RST, which leaves no TIME_WAIT", report.Nobody, report.Harmless, nil, nil},
	{"fin-wait2-timeout", "the peer never closed, and FIN_WAIT2 ran out", report.ClientApplication, report.Notice,
		[]report.Settle{on("server", "sysctl net.ipv4.tcp_fin_timeout", "less than the time that passed", "fin-wait2-timeout")}, nil},
	{"syn-fin-dropped", "an earlier SYN with FIN ended TIME_WAIT", report.ClientHost, report.Notice, nil, nil},
	{"accept-queue-full-after-time-wait", "an earlier SYN ended TIME_WAIT and was dropped by a full accept queue", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "nstat -az TcpExtListenOverflows TcpExtListenDrops", "they grow", "accept-queue-full-after-time-wait")}, nil},
	{"syn-cookie", "the listener answered with a SYN cookie", report.Nobody, report.Notice,
		[]report.Settle{on("server", "nstat -az TcpExtSyncookiesSent", "it grows", "syn-cookie")}, nil},
	{"syn-proxy", "a SYN proxy in front answered", report.Path, report.Notice, nil, nil},
	{"rebooted", "the end restarted and remembers nothing", report.ServerHost, report.Notice,
		[]report.Settle{on("server", "uptime -s", "a start between the two connections", "rebooted")}, nil},
	{"other-host", "another host answers under the same address", report.Path, report.Notice,
		[]report.Settle{on("server", "ip neigh; cat /proc/sys/kernel/random/boot_id", "another machine than before", "other-host")}, nil},
	{"other-stack", "not Linux, or a vendor's kernel with a TIME_WAIT of its own", report.FaultUnknown, report.Notice,
		[]report.Settle{on("server", "uname -a; sysctl -a", "no mainline Linux", "other-stack")}, nil},
	{"tw-reuse", "tcp_tw_reuse: concerns only the side that opens", report.Nobody, report.Harmless, nil, nil},
	{"destroyed", "the socket was destroyed by hand", report.ServerHost, report.Notice,
		[]report.Settle{on("server", "journalctl; the shell history of root", "ss -K, or a namespace removed", "destroyed")}, nil},
	{"fin-wait2-orphan", "an earlier SYN ended the orphan in FIN_WAIT2", report.Nobody, report.Notice, nil, nil},
}

var challengedCauses = []Cause{
	{"time-wait-old-sequence", "TIME_WAIT: the SYN is not newer than the old connection", report.ClientHost, report.Notice,
		nil, rescueAdvice},
	{"time-wait-paws", "TIME_WAIT: the SYN's timestamp is older than the one remembered", report.Path, report.Notice,
		nil, []string{"Several hosts behind one address, or a client whose timestamps start anew, do this: give them ports (or addresses) of their own on the NAT."}},
	{"time-wait-no-listener", "TIME_WAIT: acceptable, but nobody listens", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "ss -ltn", "the port is not in the list", "time-wait-no-listener")}, nil},
	{"established", "for the other end the old connection still lives", report.ClientHost, report.Notice,
		[]report.Settle{on("server", "ss -tan", "ESTAB for this four-tuple", "established")}, []string{"The client forgot the connection (crash, restart, timeout of a box in between); keepalive on the server finds such peers."}},
	{"closing-peer", "the other end has not finished closing", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "ss -tanp", "CLOSE-WAIT or LAST-ACK for this four-tuple", "closing-peer")}, []string{"A socket in CLOSE_WAIT waits for its own application to call close()."}},
	{"fin-wait2-out-of-window", "FIN_WAIT2: the SYN lies outside the window", report.ClientHost, report.Notice,
		[]report.Settle{on("server", "ss -tan", "FIN-WAIT-2 for this four-tuple", "fin-wait2-out-of-window")}, nil},
	{"fin-wait2-paws", "FIN_WAIT2: the SYN's timestamp is older than the one remembered", report.Path, report.Notice,
		[]report.Settle{on("server", "ss -tan", "FIN-WAIT-2 for this four-tuple", "fin-wait2-paws")}, nil},
	{"syn-received", "an older SYN is still pending", report.ClientHost, report.Notice,
		[]report.Settle{on("server", "ss -tan state syn-recv", "this four-tuple", "syn-received")}, nil},
	{"ack-coincides", "the ACK happens to acknowledge the new SYN", report.Nobody, report.Problem, nil, nil},
	{"rescued", "the opener's RST cleared the way for its next SYN", report.Nobody, report.Harmless, nil, nil},
	{"rfc1337", "tcp_rfc1337 = 1 made TIME_WAIT ignore the RST", report.ServerHost, report.Problem,
		[]report.Settle{on("server", "sysctl net.ipv4.tcp_rfc1337", "1", "rfc1337")}, nil},
	{"rst-lost", "the opener's RST does not arrive", report.Path, report.Problem,
		[]report.Settle{on("server", "tcpdump -ni any 'tcp[tcpflags] & tcp-rst != 0'", "the client's RST does not arrive", "rst-lost")}, filterAdvice},
	{"expired-while-retrying", "the opener repeated its SYN until TIME_WAIT was over", report.Nobody, report.Notice, nil, nil},
}

var refusedCauses = []Cause{
	{"no-listener", "nobody listens on the port", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "ss -ltn", "the port is not in the list", "no-listener")}, nil},
	{"fin-wait2-orphan", "an orphan in FIN_WAIT2 met a SYN within its window", report.Nobody, report.Notice,
		[]report.Settle{on("server", "ss -tano", "FIN-WAIT-2 for this four-tuple, before the SYN comes", "fin-wait2-orphan")}, []string{"Let the client close its side too: a connection that is closed on one side only stays in FIN_WAIT2."}},
	{"established-old-kernel", "a kernel before 3.6 aborts a live connection on a SYN in the window", report.ServerHost, report.Notice,
		[]report.Settle{on("server", "uname -r", "older than 3.6", "established-old-kernel")}, nil},
	{"syn-received-in-window", "another SYN is pending, and this one lies in its window", report.ClientHost, report.Notice,
		[]report.Settle{on("server", "nstat -az TcpExtEmbryonicRsts", "it grows", "syn-received-in-window")}, nil},
	{"middlebox-reset", "a box on the path sent the RST", report.Path, report.Problem,
		[]report.Settle{on("server", "tcpdump -ni any host CLIENT and port PORT", "the RST does not leave the server", "middlebox-reset")}, filterAdvice},
}

var silentCauses = []Cause{
	{"time-wait-ack-rate-limited", "an ACK was due and held back: one per 500 ms", report.Nobody, report.Harmless,
		[]report.Settle{on("server", "nstat -az TcpExtTCPACKSkippedTimeWait", "it grows", "time-wait-ack-rate-limited")}, nil},
	{"syn-fin-dropped", "a SYN with FIN ended TIME_WAIT and was dropped", report.ClientHost, report.Notice, nil, nil},
	{"accept-queue-full-after-time-wait", "accepted in TIME_WAIT, then dropped by a full accept queue", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "nstat -az TcpExtListenOverflows TcpExtListenDrops", "they grow", "accept-queue-full-after-time-wait")}, nil},
	{"paws-per-host", "tcp_tw_recycle: the address has shown a newer timestamp", report.ServerHost, report.Problem,
		[]report.Settle{on("server", "nstat -az TcpExtPAWSPassive; sysctl net.ipv4.tcp_tw_recycle", "the counter grows, the sysctl is 1", "paws-per-host")}, recycleAdvice},
	{"time-wait-drops", "another system's TIME_WAIT drops the SYN", report.ServerHost, report.Notice,
		[]report.Settle{on("server", "uname -a", "no Linux", "time-wait-drops")}, nil},
	{"filtered", "a box on the path dropped the SYN or the answer", report.Path, report.Problem,
		[]report.Settle{on("server", "tcpdump -ni any host CLIENT and port PORT", "the SYN does not arrive, or the answer leaves", "filtered")}, filterAdvice},
	{"not-captured", "the answer is not in the capture", report.FaultUnknown, report.Notice,
		[]report.Settle{on("server", "tcpdump -ni any -s 128 host CLIENT and port PORT", "an answer leaves", "not-captured")}, nil},
	{"live-socket-silent", "a live socket met the SYN and did not answer", report.ServerHost, report.Notice,
		[]report.Settle{on("server", "nstat -az TcpExtTCPSYNChallenge TcpExtTCPACKSkippedChallenge; uname -r", "a counter grows, or 3.16", "live-socket-silent")}, nil},
	{"accept-queue-full", "the listener's accept queue is full", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "ss -ltn; nstat -az TcpExtListenOverflows TcpExtListenDrops", "Recv-Q above Send-Q, or the counters grow", "accept-queue-full")}, nil},
	{"syn-queue-full", "the SYN queue is full and cookies are off", report.ServerHost, report.Problem,
		[]report.Settle{on("server", "nstat -az TcpExtTCPReqQFullDrop; sysctl net.ipv4.tcp_syncookies", "the counter grows", "syn-queue-full")}, nil},
}

var takenOverCauses = []Cause{
	{"tw-reuse", "tcp_tw_reuse let the opener take its own TIME_WAIT over", report.Nobody, report.Harmless,
		[]report.Settle{on("client", "sysctl net.ipv4.tcp_tw_reuse", "0 (or 2, for addresses other than loopback)", "explicit-bind")}, nil},
	{"explicit-bind", "a socket bound to the port took its own TIME_WAIT over", report.Nobody, report.Harmless,
		[]report.Settle{on("client", "strace -f -e trace=bind,connect", "bind before connect", "explicit-bind"), on("client", "sysctl net.ipv4.tcp_tw_reuse", "1, and no bind in the client", "tw-reuse")}, nil},
	{"own-time-wait-expired", "the opener's own TIME_WAIT was over", report.Nobody, report.Harmless, nil, nil},
	{"no-own-time-wait", "the opener closed second: it held no TIME_WAIT", report.Nobody, report.Harmless, nil, nil},
	{"nat-port-reuse", "another host behind the address used the port", report.Path, report.Notice,
		[]report.Settle{on("client", "conntrack -L -p tcp   (on the box that translates)", "it maps two hosts to this port in turn", "nat-port-reuse")}, nil},
	{"own-time-wait-killed", "the opener's own TIME_WAIT was killed", report.ClientHost, report.Notice, nil, nil},
	{"other-stack", "the opener is not Linux, or sends its SYNs by itself", report.FaultUnknown, report.Notice,
		[]report.Settle{on("client", "uname -a", "no Linux", "other-stack")}, nil},
}

var stuckCauses = []Cause{
	{"final-ack-ignored", "the accept queue is full: the last ACK of the handshake is ignored", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "ss -ltn; nstat -az TcpExtListenOverflows TcpExtListenDrops", "Recv-Q above Send-Q, or the counters grow", "final-ack-ignored")},
		[]string{"Let the application accept faster, or raise its backlog and net.core.somaxconn."}},
	{"defer-accept", "the listener waits for data before it accepts (TCP_DEFER_ACCEPT)", report.Nobody, report.Notice,
		[]report.Settle{on("server", "strace -f -e trace=setsockopt -p PID   (or the listener's configuration)", "TCP_DEFER_ACCEPT is set", "defer-accept")}, nil},
	{"nothing-wrong", "the capture ends before anything could follow", report.Nobody, report.Harmless,
		[]report.Settle{on("server", "ss -tn", "ESTAB for this four-tuple", "nothing-wrong")}, nil},
	{"syn-cookie", "the SYN-ACK was a cookie", report.Nobody, report.Harmless,
		[]report.Settle{on("server", "nstat -az TcpExtSyncookiesSent TcpExtSyncookiesRecv", "they grow", "syn-cookie")}, nil},
	{"synack-not-accepted", "the SYN-ACK answers an older attempt", report.ServerHost, report.Problem,
		[]report.Settle{on("server", "ss -tan state syn-recv", "this four-tuple", "synack-not-accepted")}, []string{"The client's RST clears the old attempt if it arrives: no box may drop it, or the SYN-ACK before it, as invalid."}},
	{"other-host", "a translation hands over another host's SYN-ACK", report.Path, report.Notice, nil, nil},
	{"final-ack-lost", "the last ACK of the handshake was lost", report.Path, report.Notice,
		[]report.Settle{on("server", "tcpdump -ni any host CLIENT and port PORT", "the ACK does not arrive", "final-ack-lost")}, filterAdvice},
}

var openingCauses = []Cause{
	{"syn-lost-or-filtered", "the SYN was lost, or a box on the path dropped it", report.Path, report.Problem,
		[]report.Settle{on("server", "tcpdump -ni any host CLIENT and port PORT", "the SYN does not arrive", "syn-lost-or-filtered")}, filterAdvice},
	silentCauses[8], silentCauses[9], silentCauses[3], silentCauses[6],
	{"undecidable", "the capture ends before an answer could come", report.FaultUnknown, report.Notice,
		[]report.Settle{on("client", "ss -tn state syn-sent", "this four-tuple is still there", "undecidable")}, nil},
	{"reply-lost", "the SYN-ACK goes out and never reaches the client", report.Path, report.Problem,
		[]report.Settle{on("client", "tcpdump -ni any host CLIENT and port PORT", "the SYN-ACK does not arrive", "reply-lost")}, filterAdvice},
	{"opener-gave-up", "whoever sent the SYN does not want the answer", report.Nobody, report.Notice,
		[]report.Settle{on("client", "ss -tn state syn-sent", "nothing on this four-tuple", "opener-gave-up")}, nil},
	{"checksum-wrong", "the segment's checksum is wrong, and is dropped unread", report.Path, report.Problem,
		[]report.Settle{on("server", "nstat -az TcpInCsumErrors TcpInErrs", "they grow", "checksum-wrong")}, checksumAdvice},
	{"host-down", "the host, or the way to it, is not there: an ICMP error or unanswered ARP says so", report.Path, report.Problem,
		[]report.Settle{on("client", "ip neigh; ip route get SERVER", "FAILED, or no route", "host-down")}, nil},
}
