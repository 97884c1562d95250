package diagnose

import "github.com/tcpwhy/tcpwhy/internal/report"

// The causes of what a connection does while it is opened for the first time, lives, and
// ends. "The actor" is the end whose doing is asked about (who sent the RST, the FIN,
// the data), "the other" its peer.

var counters = "nstat -az TcpExtListenOverflows TcpExtListenDrops"

var checksumAdvice = []string{"Capture on both sides of each box on the way, and find where the checksum goes wrong; switch a card's offloads off to try (ethtool -K DEV tx off rx off)."}

var refusedOpeningCauses = []Cause{
	{"no-listener", "nobody listens on the port", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "ss -ltn", "the port is not in the list", "no-listener")}, []string{"Start the service, or correct address and port; a service that listens on 127.0.0.1 only is not reached from elsewhere."}},
	{"rejected-by-filter", "a firewall refuses the port with a RST or an ICMP error", report.Path, report.Problem,
		[]report.Settle{on("server", "nft list ruleset; iptables -S | grep -i reject", "a rule rejects the port", "rejected-by-filter")}, filterAdvice},
	{"abort-on-overflow", "the accept queue is full, and tcp_abort_on_overflow refuses the last ACK", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "sysctl net.ipv4.tcp_abort_on_overflow; "+counters, "1, and the counters grow", "abort-on-overflow")}, nil},
	{"attempt-forgotten", "the listener no longer held the attempt when the last ACK came", report.ServerHost, report.Problem,
		[]report.Settle{on("server", "nstat -az TcpExtSyncookiesFailed", "it grows", "attempt-forgotten")}, nil},
}

var slowCauses = []Cause{
	{"syn-lost-once", "a SYN was lost, and the timer repeated it", report.Path, report.Notice,
		[]report.Settle{on("server", "tcpdump -ni any 'tcp[tcpflags] & tcp-syn != 0 and host CLIENT'", "the first SYN does not arrive", "syn-lost-once")}, nil},
	{"synack-lost-once", "the SYN-ACK was lost, or came later than the client's timer", report.Path, report.Notice, nil, nil},
	{"accept-queue-full-for-a-while", "the listener dropped SYNs while its accept queue was full", report.ServerApplication, report.Problem,
		[]report.Settle{on("server", "ss -ltn; "+counters, "Recv-Q above Send-Q, or the counters grow", "accept-queue-full-for-a-while")}, nil},
	{"slow-path", "a long round trip or a slow host; nothing was lost", report.Nobody, report.Notice, nil, nil},
}

var oddCauses = []Cause{
	{"reply-from-other-address", "the SYN-ACK comes from another address than the SYN went to", report.Path, report.Problem, nil,
		[]string{"Look for the translation (NAT, balancer, kube-proxy, CNI) that the answer has to pass on its way back: route and rules must send it through the same box (conntrack -L; ipvsadm -Lnc; ip rule)."}},
	{"syn-proxy", "a SYN proxy answers in the server's place", report.Path, report.Notice, nil,
		[]string{"What client and server see of each other (window, MSS, timestamps) then comes from the proxy: compare both sides' handshakes."}},
	{"handshake-rewritten", "a box on the path changes the handshake", report.Path, report.Notice, nil,
		[]string{"Compare MSS, window scale, timestamps and ISN on both sides of the box; what it changes must be changed consistently in every later segment."}},
	{"two-answers", "two machines answered the same SYN", report.Path, report.Problem, nil, nil},
	{"simultaneous-open", "both ends sent a SYN at the same time", report.Nobody, report.Harmless, nil, nil},
	{"fast-open", "TCP Fast Open: data before the handshake is complete", report.Nobody, report.Harmless, nil, nil},
}

var resetCauses = []Cause{
	{"aborted-by-application", "the application ended the connection abruptly", actorApplication, report.Problem,
		[]report.Settle{on("actor", "the application's log at that second", "it gave the connection up", "aborted-by-application")}, nil},
	{"closed-with-unread-data", "the application closed while data was unread", actorApplication, report.Notice,
		[]report.Settle{on("actor", "nstat -az TcpExtTCPAbortOnClose", "it grows", "closed-with-unread-data")}, []string{"Let the application read to the end (until read returns 0) before it closes."}},
	{"linger-zero", "the application closes with SO_LINGER 0", actorApplication, report.Notice,
		[]report.Settle{on("actor", "nstat -az TcpExtTCPAbortOnData", "it grows", "linger-zero")}, nil},
	{"data-after-close", "data met a socket whose application was gone", otherApplication, report.Notice,
		[]report.Settle{on("actor", "nstat -az TcpExtTCPAbortOnData", "it grows", "data-after-close")}, []string{"The sender had been told (FIN): it should stop sending when read returns 0."}},
	{"half-open", "the end forgot the connection: restart, dead process, another machine", actorHost, report.Problem,
		[]report.Settle{on("actor", "uptime -s; systemctl show -p ActiveEnterTimestamp SERVICE", "a start after the connection was opened", "half-open")}, []string{"Keep-alives (SO_KEEPALIVE, or the application's own) find a dead peer before the next request does."}},
	{"no-such-connection", "the end never knew the connection, or no longer does", actorHost, report.Notice,
		[]report.Settle{on("actor", "ss -tan", "no socket for this four-tuple", "no-such-connection")}, nil},
	{"reply-from-other-address", "a segment passed by the box that translates it, and met a client that knows no such connection", report.Path, report.Problem, nil,
		[]string{"Look at the box that translates (conntrack, kube-proxy, balancer): segments that it calls invalid must be dropped, not passed on (nf_conntrack_tcp_be_liberal, or a rule that drops INVALID)."}},
	{"checksum-wrong", "the RST's checksum is wrong, and it is dropped unread", report.Path, report.Notice,
		[]report.Settle{on("other", "nstat -az TcpInCsumErrors TcpInErrs", "they grow", "checksum-wrong")}, checksumAdvice},
	{"bad-ack-in-syn-sent", "an ACK of an older connection reached an opener", report.Nobody, report.Notice, nil, nil},
	{"fin-wait2-orphan-data", "data met an orphan in FIN_WAIT2", otherApplication, report.Notice, nil, nil},
	{"rto-given-up", "repeats had no answer, and the connection was given up", report.Path, report.Problem, nil, filterAdvice},
	{"keepalive-given-up", "keep-alive probes had no answer", report.Path, report.Problem, nil, filterAdvice},
	{"idle-expired-in-box", "a box on the path forgot the silent connection", report.Path, report.Problem,
		[]report.Settle{on("actor", "tcpdump -ni any host CLIENT and port PORT", "the RST does not leave this host", "idle-expired-in-box")}, []string{"Send keep-alives more often than the shortest idle timeout on the path."}},
	{"middlebox-reset", "the RST did not come from that end", report.Path, report.Problem,
		[]report.Settle{on("actor", "tcpdump -ni any host CLIENT and port PORT", "the RST does not leave this host", "middlebox-reset")}, filterAdvice},
	{"probe", "a health check or a scan", report.Nobody, report.Harmless, nil, nil},
	{"crossing", "the RST belongs to a close: it crossed what the peer sent", report.Nobody, report.Harmless, nil,
		[]string{"Where requests fail by this, let the side that closes idle connections wait longer than the side that reuses them (keep-alive timeouts)."}},
	{"out-of-window-ignored", "the RST had no effect", report.Path, report.Problem, nil,
		[]string{"A box that sends or forwards a RST must give it the number that the receiver waits for (a SYN proxy must translate it)."}},
}

var unfinishedCauses = []Cause{
	{"peer-application-never-closed", "the other application has not closed: CLOSE_WAIT", otherApplication, report.Problem,
		[]report.Settle{on("other", "ss -tanp state close-wait", "this four-tuple, and the process that holds it", "peer-application-never-closed")}, []string{"CLOSE_WAIT ends only when that process calls close: look for a descriptor leak, or a thread that hangs."}},
	{"half-close-on-purpose", "one direction was closed, the other is still in use", report.Nobody, report.Harmless, nil, nil},
	{"fin-lost", "a FIN, or its ACK, was lost", report.Path, report.Notice, nil, filterAdvice},
	{"peer-gone", "the other end, or the path to it, is gone", report.Path, report.Problem,
		[]report.Settle{on("other", "tcpdump -ni any host CLIENT and port PORT", "the FIN does not arrive", "peer-gone")}, nil},
	{"fin-blocked-by-box", "a box on the path drops the FIN", report.Path, report.Problem,
		[]report.Settle{on("other", "tcpdump -ni any host CLIENT and port PORT", "the FIN does not arrive, or arrives with another address", "fin-blocked-by-box")}, []string{"Let the box translate or drop what it takes for invalid, rather than forward it untranslated (nft: ct state invalid drop)."}},
	{"nothing-wrong", "the capture ends while the connection is being closed", report.Nobody, report.Harmless, nil, nil},
	{"last-ack-lost", "the last ACK of the close is missing", report.Nobody, report.Notice, nil, nil},
	{"fin-wait2-timeout", "the end that closed had forgotten the connection: FIN_WAIT2 had run out", otherApplication, report.Notice,
		[]report.Settle{on("actor", "sysctl net.ipv4.tcp_fin_timeout", "less than the time that passed", "fin-wait2-timeout")}, []string{"Close a connection soon after its peer has (read returns 0), and send nothing on one that the peer has closed."}},
	{"tw-bucket-overflow", "the limit on TIME_WAIT sockets, or on orphans, took it away before", actorHost, report.Notice,
		[]report.Settle{on("actor", "nstat -az TcpExtTCPTimeWaitOverflow TcpExtTCPAbortOnMemory", "a counter grows", "tw-bucket-overflow")}, nil},
	{"middlebox-reset", "the RST did not come from that end", report.Path, report.Problem,
		[]report.Settle{on("actor", "tcpdump -ni any host CLIENT and port PORT", "the RST does not leave this host", "middlebox-reset")}, filterAdvice},
	{"capture-incomplete", "the capture shows one direction only", report.FaultUnknown, report.Notice,
		[]report.Settle{on("other", "tcpdump -ni any host CLIENT and port PORT", "answers leave", "capture-incomplete")}, nil},
}

var oddCloseCauses = []Cause{
	{"simultaneous-close", "both FINs crossed", report.Nobody, report.Harmless, nil, nil},
	{"half-close-on-purpose", "one direction was closed before the other", report.Nobody, report.Harmless, nil, nil},
	{"fin-retransmitted", "the FIN was repeated before its ACK came", report.Nobody, report.Harmless, nil, nil},
	{"three-segment-close", "the second FIN carries the ACK of the first", report.Nobody, report.Harmless, nil, nil},
	{"fin-with-data", "the last data carries the FIN", report.Nobody, report.Harmless, nil, nil},
}

var stalledCauses = []Cause{
	{"zero-window", "the receiver's application does not read", otherApplication, report.Problem,
		[]report.Settle{on("other", "ss -tanm", "a full receive buffer (Recv-Q) on this four-tuple", "zero-window")}, []string{"Find out what that application waits for while its receive buffer is full (a stack trace of it, its own downstream)."}},
	{"peer-gone", "the peer, or the path to it, is gone", report.Path, report.Problem,
		[]report.Settle{on("other", "tcpdump -ni any host CLIENT and port PORT", "the repeats do not arrive", "peer-gone")}, filterAdvice},
	{"half-open", "the peer restarted or was replaced, and knows nothing of the connection", otherHost, report.Problem,
		[]report.Settle{on("other", "uptime -s", "a start after the connection was opened", "half-open")}, []string{"How soon the sender notices is set by its timer: TCP_USER_TIMEOUT and keep-alives shorten it (tcp_retries2 only where neither is set)."}},
	{"large-segments-lost", "large segments vanish while small ones pass (MTU)", report.Path, report.Problem,
		[]report.Settle{on("actor", "ping -M do -s 1472 PEER; tracepath PEER", "a smaller MTU on the path, or no answer", "large-segments-lost")}, []string{"Set the same MTU on every link of the path, let ICMP \"fragmentation needed\" through, or clamp the MSS (and see net.ipv4.tcp_mtu_probing)."}},
	{"segment-dropped", "one segment is dropped each time it is sent", report.Path, report.Problem, nil, filterAdvice},
	{"direction-dead", "one direction no longer arrives", report.Path, report.Problem, nil, filterAdvice},
	{"loss-recovery", "frames were lost and repeated until they arrived", report.Path, report.Notice, nil, nil},
	{"tail-loss", "the last segment was lost, which only a timer notices", report.Path, report.Notice, nil, nil},
	{"persist-probing", "the window was open again, and only a probe found that out", report.Path, report.Notice,
		[]report.Settle{on("other", "tcpdump -ni any host CLIENT and port PORT", "the segment that opens the window leaves before the probe comes", "persist-probing")}, nil},
	{"delayed-ack-nagle", "small writes wait for an ACK that the peer delays (Nagle's algorithm)", actorApplication, report.Notice,
		[]report.Settle{on("actor", "strace -f -tt -e trace=write,writev,sendto,sendmsg,setsockopt -p PID", "two writes for one message, and no TCP_NODELAY", "delayed-ack-nagle")},
		[]string{"Write a message with one call (a buffer, writev, TCP_CORK), or set TCP_NODELAY on the end that writes; a shorter delay at the peer (TCP_QUICKACK) only hides it."}},
	{"application-idle", "the network is idle: it is an application that has not written", otherApplication, report.Notice,
		[]report.Settle{on("other", "strace -f -tt -e trace=network,read,write -p PID", "the request is read at once, and the answer written late", "application-idle")},
		[]string{"Look into the application's log (and what it waits for itself) between the two frames."}},
	{"capture-incomplete", "the capture shows one direction only", report.FaultUnknown, report.Notice,
		[]report.Settle{on("other", "tcpdump -ni any host CLIENT and port PORT", "answers leave", "capture-incomplete")}, nil},
}

var connectionCauses = []Cause{
	{"nothing-wrong", "the frames show nothing out of the ordinary", report.Nobody, report.Harmless, nil, nil},
	{"capture-incomplete", "the capture shows too little of it", report.FaultUnknown, report.Notice,
		[]report.Settle{on("server", "tcpdump -ni any -s 128 -w FILE host CLIENT and port PORT", "both directions, from the SYN on", "capture-incomplete")}, nil},
	{"undecidable", "what decides is not in the capture", report.FaultUnknown, report.Notice, nil, nil},
}
