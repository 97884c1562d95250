package diagnose

// Assumption is something that a story needs and that the capture does not
// show. Cost is in decibans (ten times the decimal logarithm of the odds against
// it): 10 is one in ten. They are judgements, kept as data with their reason, and
// are shown with the story.
type Assumption struct {
	Says string
	Cost int
	Why  string
	// Unseen: it is an event that would have left frames, or a change at a
	// host, and nothing of it is in the capture.
	Unseen bool
}

// margin is how far the best story must stand before the next for "likely": one
// to ten.
const margin = 10

var (
	assumeRecycle         = Assumption{"net.ipv4.tcp_tw_recycle = 1", 5, "off by default, but many guides told people to set it on busy servers", false}
	assumeRFC1337         = Assumption{"net.ipv4.tcp_rfc1337 = 1", 8, "off by default; hardening guides set it", false}
	assumeFinTimeout      = Assumption{"net.ipv4.tcp_fin_timeout is lowered", 8, "60 s by default; tuning guides lower it", false}
	assumeBuckets         = Assumption{"net.ipv4.tcp_max_tw_buckets (or the limit of orphans) was reached", 18, "the default is in the tens of thousands", true}
	assumeBucketsSign     = Assumption{"net.ipv4.tcp_max_tw_buckets was reached (or the limit of orphans)", 2, "nothing else takes an orphan away at once", false}
	assumeNoListener      = Assumption{"nobody listened on the port at that moment", 5, "a server that restarts", false}
	assumeQueueFull       = Assumption{"the listener's accept queue was full", 8, "an application that does not keep up", false}
	assumeSynQueue        = Assumption{"the SYN queue was full and cookies are off", 9, "a flood, or a tiny backlog", false}
	assumeSynQueuePressed = Assumption{"the SYN queue was full and cookies are off", 3, "many handshakes hang at that time", false}
	assumeRSTLost         = Assumption{"the RST in the capture did not reach the server", 12, "loss behind the capture point, or a filter", false}
	assumeFiltered        = Assumption{"a box on the path dropped the SYN or the answer", 6, "stateful filters keep old connections for long", false}
	assumeNotCaptured     = Assumption{"the answer was sent, and the capture does not show it", 9, "captures lose frames or see one direction", true}
	assumeEndsTooSoon     = Assumption{"the answer came after the capture ends", 3, "the capture ends right behind the SYN", true}

	assumeSilentKernel      = Assumption{"the server's kernel does not answer a SYN into a live connection", 8, "3.16.0 was seen to do so, unexplained; else the limit of challenge ACKs was reached", false}
	assumeChallengesSpent   = Assumption{"the server had sent its challenge ACKs of that second, over all its connections (net.ipv4.tcp_challenge_ack_limit)", 15, "up to 5.19 it sends 100, or 500 and more, a second: a flood of segments that do not fit", true}
	assumeChallengesLimited = Assumption{"net.ipv4.tcp_challenge_ack_limit is set, and was reached in that second", 25, "from 6.1 on there is no limit by default, and its documentation advises against one", true}

	assumeRSTUnseen   = Assumption{"a RST killed it that is not in the capture", 16, "a capture at one of the ends seldom misses a frame", true}
	assumeLost        = Assumption{"a frame that the capture shows did not arrive", 12, "loss behind the capture point", true}
	assumeRebooted    = Assumption{"the host restarted in between", 30, "rare within minutes", true}
	assumeOtherHost   = Assumption{"another host answered under the same address", 20, "a failover or a balancer", true}
	assumeOtherStack  = Assumption{"it is not Linux, or a vendor's kernel with rules of its own", 17, "nothing speaks for another system", false}
	assumeDestroyed   = Assumption{"somebody destroyed the socket (ss -K, a namespace that went away)", 28, "done by hand", true}
	assumeCookie      = Assumption{"the listener was sending SYN cookies", 12, "a flood, or tcp_syncookies = 2", false}
	assumeProxy       = Assumption{"a SYN proxy in front answered", 20, "used by some balancers and firewalls", false}
	assumeClockStep   = Assumption{"the server's clock was set in between, so that the ISN left its line", 20, "NTP steps are rare after boot", true}
	assumeTSJump      = Assumption{"the server's timestamp clock jumped, or a box rewrites timestamps", 20, "on one boot the clock of a four-tuple goes on", true}
	assumeRemotely    = Assumption{"the first window was changed by tcp_rmem or tcp_wmem", 3, "people tune buffers", false}
	assumeEarlierLost = Assumption{"the earlier SYN, which TIME_WAIT would have let in too, did not arrive", 8, "loss, or (early 6.12.y, 6.16, early 6.18.y) its ISN was left to this one", false}

	assumeFINUnseen     = Assumption{"a FIN that the capture does not show", 6, "the byte was acknowledged, the frame is missing", true}
	assumeByteUnseen    = Assumption{"the byte that is missing from the capture was data, no FIN", 6, "the byte was acknowledged, the frame is missing", true}
	assumeLastACKUnseen = Assumption{"the ACK of the last FIN came and is not in the capture", 6, "the frame is missing", true}
	assumeFINLost       = Assumption{"the peer's FIN was lost behind the capture point", 4, "no ACK of it is in the capture", false}
	assumeFinalACK      = Assumption{"the last ACK of the handshake was lost, or ignored by a full accept queue", 5, "the listener has sent nothing since", false}
	assumeFinalACKTaken = Assumption{"the last ACK of the handshake was taken", 1, "the listener has sent nothing that shows it", false}
	assumeNoACK         = Assumption{"no ACK of the FIN was sent", 2, "a capture that misses it looks the same", true}
	assumeReplyUnseen   = Assumption{"the ACK of the last FIN was sent and is not in the capture", 2, "the frame is missing", true}
	assumeOrder         = Assumption{"the FINs were first sent in another order than the capture shows", 8, "the first sending of a FIN is missing", true}
	assumeOrderAsSeen   = Assumption{"the FINs were first sent in the order that the capture shows", 2, "the first sending of a FIN may be missing", true}
	assumeHalfClose     = Assumption{"the application closed one direction only and keeps the socket", 10, "shutdown instead of close", false}

	assumeNoRewrite = Assumption{"no box between the capture and the server rewrites sequence numbers", 2, "some firewalls randomise them; this capture was taken at the client's side", false}

	assumeFINBefore = Assumption{"the server's FIN was sent before the capture begins", 5, "the capture begins in the middle", true}

	// Resets.
	assumeForgot       = Assumption{"the host holds the connection no more", 2, "a restart, a dead process, another machine", false}
	assumeEarlierEnd   = Assumption{"it had been ended before, unseen", 11, "a RST or FIN that the capture misses", true}
	assumeIdleBox      = Assumption{"a box on the path forgot the silent connection and resets what comes", 10, "balancers and firewalls do; most drop instead", false}
	assumeBoxInName    = Assumption{"a box on the path sent the RST in that end's name", 18, "nothing about the frame shows it", false}
	assumeBoxSent      = Assumption{"a box on the path made the RST up", 3, "its number is not the socket's", false}
	assumeOtherRoute   = Assumption{"the RST took another way than that end's other segments", 14, "its TTL differs", false}
	assumeOddRST       = Assumption{"what differs about the RST has a reason of its own", 14, "other systems and runtimes send other RSTs", false}
	assumeRepaired     = Assumption{"the checksum was put right, or does not matter, behind the capture point", 9, "cards and virtual links that do not check", false}
	assumeNotTheOpener = Assumption{"the SYN-ACK reached a host that did not send the SYN", 11, "a forged or stale SYN", false}
	assumeGaveUp       = Assumption{"the server ended the attempt itself", 4, "", false}
	assumeUnseenData   = Assumption{"data arrived that the capture does not show", 8, "the frame is missing", true}
	assumeLateSegment  = Assumption{"a last segment met the closed socket", 2, "ordinary at the end of a connection", false}
	assumeLinger       = Assumption{"the application sets SO_LINGER 0", 3, "servers and health checks do", false}
	assumeLingerThen   = Assumption{"the application sets SO_LINGER 0 and closed just as data arrived", 11, "a coincidence", false}
	assumeOtherAbort   = Assumption{"the application aborted in another way (a proxy, a runtime, another system)", 3, "what looks alike on the wire", false}
	assumeAbortThen    = Assumption{"the application aborted in another way just as data arrived", 11, "a coincidence", false}
	assumeUnread       = Assumption{"some of what had arrived was not read", 2, "it was acknowledged, which the kernel does by itself", false}
	assumeSlowProbe    = Assumption{"a health check or a scan that got its answer late", 11, "the opener had waited, or repeated its SYN", false}
	assumePatientProbe = Assumption{"a health check that holds the connection for seconds", 5, "checks end at once", false}
	assumeReaderQuit   = Assumption{"the application ended, or closed, while data was still coming", 2, "it had read on after its FIN", false}
	assumeNoProbe      = Assumption{"it was no health check", 6, "nothing was sent", false}

	// Opening.
	assumeLostOnce    = Assumption{"one frame was lost", 2, "loss happens", false}
	assumeDefers      = Assumption{"the listener sets TCP_DEFER_ACCEPT", 4, "nginx and Apache can", false}
	assumeDefersOne   = Assumption{"the listener sets TCP_DEFER_ACCEPT, to a second", 10, "nginx does, where it is told to", false}
	assumeLostAgain   = Assumption{"frames were lost again and again", 9, "a path that lets some through", false}
	assumeQueueAWhile = Assumption{"the accept queue was full for a while", 6, "an application that does not keep up", false}
	assumeStale       = Assumption{"the listener still holds an older attempt", 2, "it repeats the SYN-ACK of the older one", false}
	assumeCrossTalk   = Assumption{"the SYN-ACK belongs to another host's attempt", 12, "a translation that mixes two", false}
	assumeAbortFull   = Assumption{"net.ipv4.tcp_abort_on_overflow = 1 and a full accept queue", 9, "off by default", false}
	assumeAttemptGone = Assumption{"the listener no longer held the attempt", 6, "a cookie that did not fit, or one that was given up", false}
	assumeFilterRST   = Assumption{"a firewall refuses the port with a RST", 11, "reject rules do (iptables --reject-with tcp-reset)", false}
	assumeUnprovoked  = Assumption{"a box on the path changes handshakes", 4, "SYN proxies and accelerators do", false}

	assumeNotBack    = Assumption{"no box behind the capture point translates the answer back", 5, "the capture does not show how the client takes it", false}
	assumeReplyLost  = Assumption{"the SYN-ACK does not reach the client", 2, "it is never acknowledged", false}
	assumeOpenerGone = Assumption{"the opener does not exist, or no longer wants the connection", 7, "floods and scans do that", false}

	assumeLongAgo  = Assumption{"much time passed between the two connections", 6, "the text tells no times", false}
	assumeOldTimer = Assumption{"the listener's first timeout is 3 s (kernels up to 3.0)", 9, "old", false}

	// Closing.
	assumeNeverClosed = Assumption{"the application has not called close", 2, "the FIN was acknowledged, so its kernel knows", false}
	assumeOnPurpose   = Assumption{"the application wants the other direction open", 8, "shutdown on one side only", false}
	assumeClosesLater = Assumption{"it closes after the capture's end", 4, "the capture ends soon after", true}
	assumeFINUnseen2  = Assumption{"its FIN was sent and is not in the capture", 12, "a capture at one of the ends seldom misses a frame", true}
	assumePeerGone    = Assumption{"the other end, or the path to it, is gone", 2, "nothing comes back", false}
	assumeBoxDrops    = Assumption{"a box on the path drops the FIN", 5, "it may have forgotten the connection", false}
	assumeOneLoss     = Assumption{"the FIN, or its ACK, was lost", 6, "loss", false}
	assumeACKLost     = Assumption{"the last ACK was lost", 3, "its sender has nothing left to repeat", false}

	assumeOneSided = Assumption{"the capture shows one direction only", 2, "nothing of the other end is in it", false}

	// Stalls.
	assumeSilentPath = Assumption{"the peer, or the path to it, is gone", 2, "nothing comes back at all", false}
	assumeMTU        = Assumption{"a link on the path is too narrow for the segment, and says nothing", 2, "a tunnel or a switch with a smaller MTU", false}
	assumeMTUSilent  = Assumption{"only the large segment is lost, and the peer has nothing to say", 6, "nothing comes back either way", false}
	assumeLossy      = Assumption{"the path loses frames", 2, "congestion, or a bad link", false}
	assumeOneDropped = Assumption{"this one segment is dropped again and again", 5, "a filter of content, a bad checksum; or more is lost than this", false}
	assumeWroteThen  = Assumption{"the application wrote the second piece just when the ACK came", 8, "it does not see ACKs: a coincidence", false}
	assumeUpdateLost = Assumption{"the segment that opened the window was lost, or never sent", 5, "its sender does not repeat it", false}
	assumeBusyReader = Assumption{"the application does not read", 1, "its receive buffer is full", false}

	// A past that the capture does not show.
	assumeNeverTold    = Assumption{"the old connection's end never reached the server", 2, "a client that restarted, a box that forgot the connection", false}
	assumeNotClosed    = Assumption{"the server's application has not closed the old connection, or its FIN got no ACK", 4, "a leak, or a loss", false}
	assumeHeldTimeWait = Assumption{"the server closed the old connection first, within the last minute", 2, "ordinary where a port is used again", false}

	assumeReuse    = Assumption{"net.ipv4.tcp_tw_reuse lets the opener take over its own TIME_WAIT", 4, "often set on clients", false}
	assumeBind     = Assumption{"the opener binds its source port by hand (SO_REUSEADDR, bind, connect)", 4, "common where ports are fixed", false}
	assumeNAT      = Assumption{"another host opened from behind the same address", 8, "NAT hands out ports again", false}
	assumeOwnKill  = Assumption{"the opener's own TIME_WAIT was killed", 16, "a RST, or by hand", true}
	assumeNotLinux = Assumption{"the opener is not Linux, or sends its SYNs by itself", 8, "other systems reuse ports by their own rules", false}
)

func cost(as []Assumption) int {
	n := 0
	for i := range as {
		n += as[i].Cost
	}
	return n
}

func unseen(as []Assumption) bool {
	for i := range as {
		if as[i].Unseen {
			return true
		}
	}
	return false
}
