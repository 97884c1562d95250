package diagnose

// Guide is what a newcomer has to know about a question before the causes: the
// pages in docs/questions are made from it, from the causes, and from real cases.
type Guide struct {
	Title string
	// Looks says how a capture looks that raises the question.
	Looks string
	// Labels says what Wireshark writes on such frames, and why that is no cause.
	Labels string
	// Tells says for a cause of the question what in the frames tells it from the others.
	Tells map[string]string
}

// GuideTo returns the guide to a question; it is empty for one that is not in the vocabulary.
func GuideTo(question string) Guide {
	for _, m := range []map[string]Guide{reusedGuides, openingGuides, lifeGuides} {
		if g, ok := m[question]; ok {
			return g
		}
	}
	return Guide{}
}

const (
	reusedLabel = "`TCP Port numbers reused` (filter `tcp.analysis.reused_ports`) on the SYN. It says that the same addresses and ports were seen before, which is the question and not the answer: ports come round again all the time."
	repeatLabel = "`TCP Retransmission` on the repeats. It says that the same bytes (or the same SYN or FIN) went out again, not why nobody answered."
	noFrames    = "Nothing in the frames shows it: it stays a guess until a host is asked."
)

const queueFullTells = "No answer at all, or only to a later repeat. Other clients of the same port get no answer at the same time, and connections that are open already go on well."

// reusedGuides are about ports that come round again.
var reusedGuides = map[string]Guide{
	"reopened-accepted": {
		"A closed connection is opened again, and that works", "A connection ends with FINs or a RST. Later a SYN comes from the same address and port to the same address and port, and the answer is a SYN-ACK. " +
			"Linux keeps a closed connection for 60 s in TIME_WAIT, at the end that closed first. So an early SYN-ACK looks wrong. Mostly it is not: a SYN that is clearly newer than the old connection is let in.",
		reusedLabel, map[string]string{
			"time-wait-sequence":                "The SYN's sequence number is after rcv_nxt, the last number that the old connection waited for. The ISN of the SYN-ACK is the old snd_nxt + 65537, except on kernels that lose it.",
			"time-wait-timestamp":               "The SYN's TSval is newer than the last one of the old connection; the sequence number alone would not do. The ISN of the SYN-ACK is the old snd_nxt + 65537 here too, except on kernels that lose it.",
			"time-wait-expired":                 "60 s have passed since the last segment that (re)started TIME_WAIT.",
			"tw-recycle":                        "The kernel is 4.11 or older, both ends use timestamps, and the ISN is not the old snd_nxt + 65537. At least 3.5 RTO have passed, which is often less than a second.",
			"tw-bucket-overflow":                "The ISN is not the old snd_nxt + 65537 on a kernel that would keep it, and the time is too short for an expiry. Late segments of the old connection get a RST.",
			"time-wait-reset":                   "Between the close and the SYN there is a RST whose sequence number is exactly rcv_nxt.",
			"fin-wait2-reset":                   "Only one end had closed, and then a RST came from the other.",
			"no-time-wait":                      "The first FIN came from the opener's side, so the end that answers has closed second and holds nothing.",
			"closed-by-reset":                   "The old connection ends with a RST instead of two FINs.",
			"fin-wait2-timeout":                 "This end closed, the peer's FIN never came, and more time has passed than tcp_fin_timeout (60 s).",
			"syn-fin-dropped":                   "A SYN with the FIN flag came before, and got no answer.",
			"accept-queue-full-after-time-wait": "A SYN that should have been accepted got no answer, and its repeat got a SYN-ACK with a fresh ISN.",
			"syn-cookie":                        "The ISN can be a cookie: it fits neither the old snd_nxt + 65537 nor the clock of ISNs. Cookies come when many SYNs come at once.",
			"syn-proxy":                         "The SYN-ACK differs from the server's other segments (TTL, window, options): somebody else made it.",
			"rebooted":                          "The clock of ISNs or of timestamps does not go on where the old connection left it.",
			"other-host":                        "TTL, MAC address, first window or options are not those of the host that answered before.",
			"other-stack":                       "Window, options or numbers are not those of a mainline Linux.",
			"tw-reuse":                          "It is in the list to be refuted: only an end that opens asks this sysctl, never one that answers.",
			"destroyed":                         noFrames,
			"fin-wait2-orphan":                  "Only one end had closed; an earlier SYN within the window got a RST, and this one finds no socket any more.",
		},
	},
	"reopened-challenged": {
		"A closed connection is opened again, and the answer is an ACK", "The SYN on known ports gets an ACK without SYN. Its numbers belong to the old connection. The client cannot use it and sends a RST; " +
			"then, after its timer, it often repeats the SYN, which works. The user sees a delay (1 s, 3 s), or a connection that never opens.",
		reusedLabel + " On the ACK: `TCP ACKed unseen segment` or `TCP Dup ACK`, since Wireshark counts it to the new connection. Nothing is missing from the capture: the ACK is from the old one.", map[string]string{
			"time-wait-old-sequence":  "The SYN's number is not after rcv_nxt, and there is no newer timestamp. The ACK's numbers are the last ones of the old connection.",
			"time-wait-paws":          "The SYN's TSval is older than the last one of the old connection. Its sequence number may be fine.",
			"time-wait-no-listener":   "The SYN is new enough to be accepted, and still there is only the ACK. A later SYN gets a RST.",
			"established":             "The old connection was never closed in the capture. The ACK carries its current numbers.",
			"closing-peer":            "The client had closed, and the server's own FIN is missing (CLOSE_WAIT) or was not acknowledged (LAST_ACK).",
			"fin-wait2-out-of-window": "The server had closed, the client had not. The SYN's number is outside the server's window.",
			"fin-wait2-paws":          "The server had closed, the client had not. The SYN's TSval is older than the last one of the old connection.",
			"syn-received":            "Before it there is another SYN, whose handshake was not completed. The ACK carries its ISN + 1.",
			"ack-coincides":           "The number in the ACK is just the SYN's number + 1, so the client takes it for an answer.",
			"rescued":                 "The client sends a RST with the number that the ACK asked for, and its next SYN gets a SYN-ACK.",
			"rfc1337":                 "The client's RST has the right number, and the next SYN gets the same ACK again.",
			"rst-lost":                "The client's RST is missing (in a capture at the server), or leaves (in one at the client) without effect.",
			"expired-while-retrying":  "Several SYNs get the ACK; the one that comes more than 60 s after the close gets a SYN-ACK.",
		},
	},
	"reopened-refused": {
		"A closed connection is opened again, and the answer is a RST", "The SYN on known ports gets a RST. To the program it is \"connection refused\", although the same service answered a moment ago.",
		reusedLabel + " The RST itself has no label but its colour.", map[string]string{
			"no-listener":            "The RST has sequence number 0 and acknowledges the SYN + 1. Every SYN to the port gets one, from any client.",
			"fin-wait2-orphan":       "The server had closed, the client had not, and the SYN lies in the server's window. The next SYN works.",
			"established-old-kernel": "The old connection still lived, and the SYN lies in its window. Kernels since 3.6 answer with an ACK instead.",
			"syn-received-in-window": "Another SYN waits for the end of its handshake, and this one lies in its window. The RST has the number of that handshake.",
			"middlebox-reset":        "TTL, IP id, window or MAC address of the RST are not those of the server's other segments.",
		},
	},
	"reopened-silent": {
		"A closed connection is opened again, and nobody answers", "The SYN on known ports gets no answer. The client repeats it after 1, 3, 7, 15 s … (since Linux 6.5 each second at first). To the user it is a delay, or a timeout.",
		reusedLabel + " " + repeatLabel, map[string]string{
			"time-wait-ack-rate-limited":        "Less than 500 ms before, TIME_WAIT has sent an ACK to another SYN. The repeat after 1 s gets an answer.",
			"syn-fin-dropped":                   "The SYN has the FIN flag too.",
			"accept-queue-full-after-time-wait": "The SYN is new enough to be accepted. " + queueFullTells,
			"paws-per-host":                     "The SYN's TSval is older than one that the same address has shown on any connection in the last minute. Other hosts behind the address have no trouble. Kernel 4.11 or older.",
			"time-wait-drops":                   "The answering host shows signs of another system than Linux, which would answer with an ACK.",
			"filtered":                          "No kind of answer comes, also not later, and other connections between the hosts work.",
			"not-captured":                      "Other frames of the server are missing too: bytes are acknowledged that the capture never shows.",
			"live-socket-silent":                "The old connection was not closed. The ACK that is due is held back by a limit (or by Linux 3.16).",
			"accept-queue-full":                 queueFullTells,
			"syn-queue-full":                    "Many handshakes to the same port are unfinished at the same time, and no cookies are sent.",
		},
	},
	"port-taken-over": {
		"A client opens from a port that it should still hold", "The client closed first, so it is the client that keeps TIME_WAIT for 60 s. Before that time it opens a connection from the same port to the same server.",
		reusedLabel, map[string]string{
			"tw-reuse":              "At least 1 s has passed, timestamps are in use, and the SYN's number is the old snd_nxt + 65537 where the kernel keeps it. The SYN echoes a timestamp (TSecr is not 0), as no other first SYN does.",
			"explicit-bind":         "As tw-reuse, but it also happens within the first second, and where the sysctl forbids it: the program chose the port with bind.",
			"own-time-wait-expired": "60 s have passed.",
			"no-own-time-wait":      "The first FIN came from the server.",
			"nat-port-reuse":        "The new SYN comes from another host: its timestamps, TTL, options or first window differ.",
			"own-time-wait-killed":  "A RST with the right number reached the client after the close.",
			"other-stack":           "Options and numbers of the SYN are not those of Linux.",
		},
	},
}

// openingGuides are about connections that are opened for the first time.
var openingGuides = map[string]Guide{
	"connect-stuck": {
		"The SYN-ACK comes again and again", "SYN, SYN-ACK, ACK: the client takes the connection for open, and may send its request. But the server repeats the SYN-ACK (after 1, 3, 7 s …) as if the ACK had not come.",
		"`TCP Retransmission` on the SYN-ACK and on the client's data; `TCP Dup ACK` on the client's repeated ACK. The client does answer: the question is why the server does not count it.", map[string]string{
			"final-ack-ignored":   "The ACK has the right numbers and arrives. The client's data gets no ACK either. More than one connection of the same port suffers.",
			"nothing-wrong":       "There is no repeat and no data yet: the capture just ends here.",
			"syn-cookie":          "The ISN can be a cookie. The server has forgotten the SYN and therefore repeats nothing by itself.",
			"synack-not-accepted": "The SYN-ACK acknowledges another number than the SYN's + 1. The client answers with a RST, or with an ACK of something else.",
			"other-host":          "The SYN-ACK's number, TTL or options do not belong to the server that the client asked.",
			"defer-accept":        "The SYN-ACK comes again once: 1, 3, 7, 15, 31 or 63 s after the first, by the setting, if the client has sent no data by then. Its ACK of that opens the connection, as its first data would have done.",
			"final-ack-lost":      "In a capture at the server, the client's ACK is missing; in one at the client, it leaves.",
		},
	},
	"connect-silent": {
		"A SYN gets no answer", "A first SYN, then the same SYN again after 1, 3, 7, 15, 31, 63 s (since Linux 6.5 each second at first), and nothing from the other side. The program waits a minute or two, and reports a timeout.",
		repeatLabel, map[string]string{
			"syn-lost-or-filtered": "In a capture at the client the SYN leaves and nothing comes; in one at the server it would be missing.",
			"accept-queue-full":    queueFullTells,
			"syn-queue-full":       "Many handshakes to the same port are unfinished at the same time, and no cookies are sent.",
			"paws-per-host":        "The SYN's TSval is older than one that the same address has shown on another connection in the last minute. Kernel 4.11 or older.",
			"not-captured":         "Other frames of the server are missing too.",
			"undecidable":          "The SYN is among the last frames of the capture.",
			"reply-lost":           "In a capture at the server the SYN-ACK leaves, also on every repeat, and nothing comes back.",
			"opener-gave-up":       "The SYN-ACK gets a RST, or the SYN is never repeated: the client has given up, or somebody else used its address.",
			"checksum-wrong":       "The SYN's TCP checksum is wrong, and that of the client's other segments is right (Wireshark: tcp.check_checksum). Where all of a sender's are wrong, the card fills them in behind the capture.",
			"host-down":            "An ICMP error quotes the SYN, or ARP requests for the server (or the router) have no answer.",
		},
	},
	"connect-refused": {
		"A SYN is refused", "The SYN gets a RST, at once. To the program it is \"connection refused\".",
		"The RST is red, and has no label. Red means only that the RST flag is set.", map[string]string{
			"no-listener":        "The RST has sequence number 0 and acknowledges the SYN + 1. TTL and MAC address are those of the host's other segments. An ICMP error does not come.",
			"rejected-by-filter": "An ICMP error (port unreachable, administratively prohibited) quotes the SYN, or TTL and IP id of the RST are not those of the host.",
			"abort-on-overflow":  "SYN, SYN-ACK and ACK are there, and only the ACK gets the RST. Other connections of the port suffer too.",
			"attempt-forgotten":  "As with abort-on-overflow it is the ACK that gets the RST, but it comes late (more than a minute), or what it acknowledges was never (or no longer) offered.",
		},
	},
	"connect-slow": {
		"The handshake takes long", "The handshake is complete, but took 1 s, 3 s, 7 s or more. These numbers are the client's timer: it doubles after each SYN without answer.",
		repeatLabel, map[string]string{
			"syn-lost-once":                 "The first SYN gets nothing and its repeat is answered at once. At the server, the first SYN is missing.",
			"synack-lost-once":              "The server answered in time, as the capture shows, and the client repeats its SYN all the same.",
			"accept-queue-full-for-a-while": "In a capture at the server the first SYN arrives and is not answered. " + queueFullTells,
			"slow-path":                     "No repeat at all: the answer just came late, and later round trips are as long.",
		},
	},
	"connect-odd": {
		"The handshake looks unusual", "There is an answer to the SYN, but not the plain SYN-ACK of the asked host: it comes from another address, twice, changed, with data, or is a SYN itself.",
		"`TCP Retransmission`, `TCP Out-Of-Order` or `TCP ACKed unseen segment`, because Wireshark's rules expect SYN, SYN-ACK, ACK between two addresses. They say that the frames do not fit this pattern.", map[string]string{
			"reply-from-other-address": "The SYN-ACK acknowledges exactly this SYN, but its source is not the address that the SYN went to. The client answers it with a RST, as it knows no such connection.",
			"syn-proxy":                "The handshake with the client is complete before the server gets a SYN; MSS, window or options are the proxy's.",
			"handshake-rewritten":      "The same segment on both sides of a box has another MSS, ISN, window scale or no timestamps.",
			"two-answers":              "Two SYN-ACKs with different ISNs for one SYN, or with different TTLs.",
			"simultaneous-open":        "A SYN from each side crosses the other; both are then acknowledged with a SYN-ACK.",
			"fast-open":                "There is data in the SYN, or the server sends data before the client's ACK.",
		},
	},
}

// lifeGuides are about connections that live, and how they end.
var lifeGuides = map[string]Guide{
	"reset": {
		"A RST ends the connection", "One frame with the RST flag, and then nothing more (or more RSTs). The program reports \"connection reset by peer\" or \"broken pipe\". \"The end that acted\" is the one whose address the RST carries.",
		"The RST is red, and has no label of its own. On the frames around it there may be `TCP ACKed unseen segment` or `TCP Previous segment not captured`; these speak of the capture, not of the reason.", map[string]string{
			"aborted-by-application":   "A RST with an ACK in the middle of a connection in order, at the number that comes next, from the host itself. Nothing else explains it.",
			"closed-with-unread-data":  "Shortly before it, data reached the end that resets, which had no time to read it: it is acknowledged by the kernel, and the RST comes without a FIN.",
			"linger-zero":              "The RST stands where a FIN would: all data is sent and acknowledged, nothing is unread, and many connections of the program end so.",
			"data-after-close":         "The end that resets had sent a FIN before. Data came after it, and the RST carries the number that this data acknowledged.",
			"half-open":                "After a silence, a segment of a connection in order gets a RST whose number is just what that segment acknowledged: that end holds no socket.",
			"reply-from-other-address": "The segment that drew the RST comes from an address the client never asked, and carries the numbers of a connection that it has with another.",
			"checksum-wrong":           "The RST's TCP checksum is wrong, that of the sender's other segments is right, and the receiver goes on.",
			"no-such-connection":       "As half-open, but the capture does not show the opening. The RST has no ACK flag if the segment had one.",
			"bad-ack-in-syn-sent":      "A SYN got an ACK with a wrong number, and the opener's RST carries that number. It is the normal way to clear an old connection away.",
			"fin-wait2-orphan-data":    "One end closed altogether; the data that the other still sent gets a RST.",
			"rto-given-up":             "Before it the same data was repeated with growing pauses, and not acknowledged.",
			"keepalive-given-up":       "Before it there are several probes of one number too low, at equal distances, without answer.",
			"idle-expired-in-box":      "There was a long silence, near a known timer (60 s, 300 s, 350 s, 3600 s …), and the RST meets the first segment after it. A hint, no proof.",
			"middlebox-reset":          "TTL, IP id, MAC address or DF bit are not those of that end's other frames; a RST with ACK lacks the timestamps or the window that a Linux socket puts into it; it comes sooner than that end can answer; or that end goes on as if it had sent no RST.",
			"probe":                    "Opened, and reset at once without data, perhaps again and again at equal distances.",
			"crossing":                 "Both ends were closing already; the RST answers what was on its way.",
			"out-of-window-ignored":    "After the RST the receiver goes on: it sends data, or an ACK (a challenge) with the number it expects. The RST's number is another.",
		},
	},
	"close-unfinished": {
		"One end closes, the other does not", "A FIN, perhaps its ACK, and then nothing; or the same FIN again and again. On the hosts: sockets in CLOSE_WAIT, FIN_WAIT1, FIN_WAIT2 or LAST_ACK. \"The end that acted\" sent the FIN, \"the other end\" should answer.",
		"`TCP Retransmission` or `TCP Spurious Retransmission` on a repeated FIN. It does not say whether the FIN, or its ACK, or the peer is missing.", map[string]string{
			"peer-application-never-closed": "The FIN is acknowledged by the other end's kernel, but no FIN comes back for a long time, and no data.",
			"half-close-on-purpose":         "The FIN is acknowledged, and data still flows the other way.",
			"fin-lost":                      "The FIN (or the other FIN) is repeated, and the repeat is answered.",
			"peer-gone":                     "The FIN is repeated with growing pauses and is never acknowledged; nothing else comes from the other end either.",
			"fin-blocked-by-box":            "As peer-gone, but other frames of the same connection or host still pass, or the FIN leaves a box with an untranslated address.",
			"nothing-wrong":                 "The capture ends shortly after the FIN.",
			"last-ack-lost":                 "Both FINs are there, only the ACK of the second is missing.",
			"fin-wait2-timeout":             "The FIN was acknowledged, more than tcp_fin_timeout (60 s) passed without the other FIN, and the late segment gets a RST without ACK whose number is what that segment acknowledged.",
			"tw-bucket-overflow":            "As fin-wait2-timeout, but too soon for it: the late FIN gets a RST within the first seconds. Nothing in the frames tells a full table from a short tcp_fin_timeout.",
			"middlebox-reset":               "TTL, IP id, window or MAC address of the RST are not those of that end's other frames.",
			"capture-incomplete":            "There is no frame of the other end in the capture at all.",
		},
	},
	"close-odd": {
		"A close in an unusual order", "Both ends have closed and all is acknowledged, but not as in the textbook (FIN, ACK, FIN, ACK). Nearly always harmless.",
		"`TCP Retransmission`, `TCP Spurious Retransmission` or `TCP Out-Of-Order` on a FIN. They describe the order of frames, and are no fault.", map[string]string{
			"simultaneous-close":    "Both FINs leave before the other has arrived: neither acknowledges the other.",
			"half-close-on-purpose": "After the first FIN the other direction still carries data, and ends with its own FIN.",
			"fin-retransmitted":     "The same FIN is there twice, and the connection ends after it.",
			"three-segment-close":   "FIN, FIN with ACK, ACK: the second FIN is also the ACK of the first. It is the commonest close of all.",
			"fin-with-data":         "A segment has the FIN flag and a length above 0. Its ACK is the number of the segment plus the length plus 1.",
		},
	},
	"stalled": {
		"Data stands still", "The connection is open, and for seconds or minutes nothing moves: the same bytes are repeated, or only probes are sent. \"The end that acted\" wants to send, \"the other end\" should receive.",
		"`TCP ZeroWindow`, `TCP Window Full`, `TCP Keep-Alive`, `TCP Retransmission`, `TCP Dup ACK`. ZeroWindow is close to a cause; the others tell that it stood still, and not why. Wireshark also writes `TCP Keep-Alive` on probes of a closed window.", map[string]string{
			"zero-window":         "The receiver's ACKs have window 0, and probes follow. It ends with a larger window from the receiver.",
			"peer-gone":           "The sender repeats with growing pauses, and no frame at all comes from the other end.",
			"half-open":           "Repeats have no answer for a while, then a RST comes, or a fresh SYN from the same host.",
			"large-segments-lost": "Only full segments are repeated; small ones, before and between, are acknowledged. An ICMP \"fragmentation needed\" may name the MTU.",
			"segment-dropped":     "One segment comes again and again, later ones are acknowledged (SACK) or were never tried.",
			"direction-dead":      "The other end still sends, even repeats, but does not acknowledge anything new: it hears nothing.",
			"loss-recovery":       "Duplicate ACKs, often with SACK, then a repeat, then all goes on. A stop of a few round trips.",
			"tail-loss":           "The last segment of a burst is repeated after a timer, without duplicate ACKs, and then acknowledged.",
			"persist-probing":     "As zero-window, but the ACK that opens the window comes right behind a probe, as its answer, though the pauses between probes are much longer than a round trip.",
			"delayed-ack-nagle":   "No repeat. A small segment, then 40 ms (200 ms with other systems) of nothing, then an ACK without data, and at once the next small segment of the same side; the answer follows at once. It comes again with each request.",
			"application-idle":    "No repeat, no closed window, and everything is acknowledged at once: the two kernels have nothing to do. It ends when an application writes.",
			"capture-incomplete":  "There are no frames of one direction, while the numbers show that both talk.",
		},
	},
	"connection": {
		"Is anything wrong?", "A short capture, and no frame in it raises any other question. The answer tells what can be said at all.",
		"Labels such as `TCP Previous segment not captured` or `TCP ACKed unseen segment` are about what the capture lacks.", map[string]string{
			"nothing-wrong":      "Handshake, data and close (as far as they are there) are in order; repeats, if any, were answered.",
			"capture-incomplete": "One direction, or the beginning, is missing; numbers are acknowledged that were never seen.",
			"undecidable":        "The frames fit several causes alike, and none of the fields that would tell them apart is there.",
		},
	},
}
