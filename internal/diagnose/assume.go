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
	assumeRecycle     = Assumption{"net.ipv4.tcp_tw_recycle = 1", 5, "off by default, but many guides told people to set it on busy servers", false}
	assumeRFC1337     = Assumption{"net.ipv4.tcp_rfc1337 = 1", 8, "off by default; hardening guides set it", false}
	assumeFinTimeout  = Assumption{"net.ipv4.tcp_fin_timeout is lowered", 8, "60 s by default; tuning guides lower it", false}
	assumeBuckets     = Assumption{"net.ipv4.tcp_max_tw_buckets (or the limit of orphans) was reached", 18, "the default is in the tens of thousands", true}
	assumeBucketsSign = Assumption{"net.ipv4.tcp_max_tw_buckets was reached (or the limit of orphans)", 2, "nothing else takes an orphan away at once", false}
	assumeNoListener  = Assumption{"nobody listened on the port at that moment", 5, "a server that restarts", false}
	assumeQueueFull   = Assumption{"the listener's accept queue was full", 8, "an application that does not keep up", false}
	assumeSynQueue    = Assumption{"the SYN queue was full and cookies are off", 9, "a flood, or a tiny backlog", false}
	assumeRSTLost     = Assumption{"the RST in the capture did not reach the server", 12, "loss behind the capture point, or a filter", false}
	assumeFiltered    = Assumption{"a box on the path dropped the SYN or the answer", 6, "stateful filters keep old connections for long", false}
	assumeNotCaptured = Assumption{"the answer was sent, and the capture does not show it", 9, "captures lose frames or see one direction", true}
	assumeEndsTooSoon = Assumption{"the answer came after the capture ends", 3, "the capture ends right behind the SYN", true}

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
	assumeEarlierLost = Assumption{"the earlier SYN, which TIME_WAIT would have let in too, did not arrive", 8, "loss, or (kernels 6.10 to 6.18.33 and 7.0.10) its ISN was left to this one", false}

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

	assumeReuse    = Assumption{"net.ipv4.tcp_tw_reuse lets the opener take over its own TIME_WAIT", 4, "often set on clients", false}
	assumeBind     = Assumption{"the opener binds its source port by hand (SO_REUSEADDR, bind, connect)", 4, "common where ports are fixed", false}
	assumeNAT      = Assumption{"another host opened from behind the same address", 8, "NAT hands out ports again", false}
	assumeOwnKill  = Assumption{"the opener's own TIME_WAIT was killed", 16, "a RST, or by hand", true}
	assumeNotLinux = Assumption{"the opener is not Linux, or sends its SYNs by itself", 8, "other systems reuse ports by their own rules", false}
)

func cost(as []Assumption) int {
	n := 0
	for _, a := range as {
		n += a.Cost
	}
	return n
}

func says(as []Assumption) []string {
	out := make([]string, 0, len(as))
	for _, a := range as {
		out = append(out, a.Says)
	}
	return out
}

func unseen(as []Assumption) bool {
	for _, a := range as {
		if a.Unseen {
			return true
		}
	}
	return false
}
