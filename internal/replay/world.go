package replay

import (
	"fmt"
	"math"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// place is what the end's kernel holds for a four-tuple.
type place uint8

const (
	atNothing place = iota
	// atUnknown: the four-tuple is older than the capture.
	atUnknown
	atSynSent
	// atLive is a request or a socket.
	atLive
	atTimeWait
)

// world is one thing that the end may hold for a four-tuple, and the answers that
// it then owes. It is comparable, so that equal ones fall together.
type world struct {
	at   place
	tw   timewait.Socket
	twm  twMore
	so   socket
	owes [maxOwed]owed
	n    uint8
}

// twMore is what the model's TIME_WAIT does not keep.
type twMore struct {
	// The mini-socket was made between since and entered.
	since, entered int64
	// rtt is the longest round trip seen, which bounds a recycled TIME_WAIT.
	rtt time.Duration
}

// maxOwed bounds the answers that may be owed at once. Beyond it the oldest are
// taken as settled.
const maxOwed = 6

// owed is an answer that must be the next thing that the end sends.
type owed struct {
	reply kernel.Reply
	rule  string
	frame uint64 // of the segment that arrived
	at    int64
	until int64
}

func (o owed) String() string {
	if o.reply.Kind == kernel.NoReply {
		return fmt.Sprintf("%s of frame %d", o.rule, o.frame)
	}
	return fmt.Sprintf("%s by %s to frame %d", o.reply.Kind, o.rule, o.frame)
}

// socket is a request, a socket in SYN_SENT, or one that lives.
type socket struct {
	live.Socket
	// tsStored is when TSRecent was stored.
	tsStored int64
	sndUna   seq.Num
	// sndWnd is the peer's window in bytes; known once a segment without SYN arrived.
	sndWnd kernel.Num
	// first is the window field of the own SYN or SYN-ACK.
	first uint16
	// loose: the window was worked out anew, and not advertised since.
	loose bool
	// edge is the right edge of what was advertised, acked the last ack that was sent (rcv_wup).
	edge, acked seq.Num
	// peerWScale is applied to the peer's windows, -1: the peer offered none.
	peerWScale int8
	// ackDue is until when what arrived must be acknowledged, 0: nothing is; ackFrame
	// is the frame that wants it.
	ackDue   int64
	ackFrame uint64
	finSent  bool
	// inherited: its ISN was chosen by a TIME_WAIT, not by the clock.
	inherited bool
	// served: the application has shown that it accepted the connection.
	served bool
	cookie bool
	// scales: this end's SYN or SYN-ACK offered window scaling.
	scales bool
	// offersSACK: the SYN offered SACK.
	offersSACK bool
	// opened: this end opened it.
	opened bool
	// lastSent is when sequence space was last sent, gap the time between the last
	// two repeats, repeats how many there were since the last progress.
	lastSent  int64
	sentFrame uint64
	gap       time.Duration
	repeats   uint8
	dupACKs   uint8
	// out counts the segments sent since everything was acknowledged.
	out uint8
	// hurry: an ACK that did not fit lets the SYN be repeated at once.
	hurry bool
	rtt   time.Duration
	// halfClosed is when the own FIN was acknowledged.
	halfClosed int64
	asked      int64 // when the oldest byte that is timed left
}

// String says what the world holds, and what it owes.
func (w world) String() string {
	says := "no socket"
	switch w.at {
	case atNothing:
	case atUnknown:
		says = "unknown"
	case atSynSent:
		says = fmt.Sprintf("SYN_SENT snd_nxt %s", w.so.SndNxt.Num)
	case atLive:
		says = fmt.Sprintf("%s snd_una %s snd_nxt %s rcv_nxt %s", w.so.State, w.so.sndUna, w.so.SndNxt.Num, w.so.RcvNxt.Num)
		if w.so.HasTS == kernel.Yes {
			says += fmt.Sprintf(" ts_recent %s", w.so.TSRecent.Num)
		}
	case atTimeWait:
		says = fmt.Sprintf("TIME_WAIT substate %d snd_nxt %s rcv_nxt %s", w.tw.Substate, w.tw.SndNxt.Num, w.tw.RcvNxt.Num)
	}
	for _, o := range w.owes[:w.n] {
		says += ", owes " + o.String()
	}
	return says
}

// owing returns the world with one more answer to give.
func (w world) owing(r kernel.Reply, rule string, s *segment.Segment) world {
	if r.Kind == kernel.NoReply {
		return w
	}
	if w.n == maxOwed {
		copy(w.owes[:], w.owes[1:])
		w.n--
	}
	w.owes[w.n] = owed{reply: r, rule: rule, frame: s.Frame, at: s.Time, until: s.Time + int64(promptly)}
	w.n++
	return w
}

// paid returns the world without its oldest debt.
func (w world) paid() world {
	copy(w.owes[:], w.owes[1:])
	w.n--
	w.owes[w.n] = owed{}
	return w
}

// hold returns a world that holds something else and keeps its debts.
func (w world) hold(at place) world {
	return world{at: at, owes: w.owes, n: w.n}
}

// deadline is by when the world must have sent something.
func (w *world) deadline() int64 {
	d := int64(math.MaxInt64)
	if w.n > 0 {
		d = w.owes[0].until
	}
	if w.at != atLive {
		return d
	}
	if w.so.ackDue != 0 {
		d = min(d, w.so.ackDue)
	}
	if w.so.unacknowledged() {
		d = min(d, w.so.lastSent+int64(w.so.longestRTO()))
	}
	return d
}

// first is what the world must send by its deadline.
func (w *world) first() owed {
	d := w.deadline()
	switch {
	case w.n > 0 && d == w.owes[0].until:
		return w.owes[0]
	case d == w.so.ackDue:
		return owed{reply: kernel.Reply{Kind: kernel.ReplyACK}, rule: "the delayed ACK", frame: w.so.ackFrame}
	}
	return owed{rule: "a retransmission", frame: w.so.sentFrame}
}

// unacknowledged tells whether something was sent that must be repeated.
func (so *socket) unacknowledged() bool {
	switch so.State {
	case live.UnknownState, live.SynRecv:
		return false
	case live.Established, live.FinWait1, live.FinWait2, live.CloseWait, live.Closing, live.LastAck:
	}
	return so.sndUna != so.SndNxt.Num && so.lastSent != 0
}

// mayGiveUp tells whether the socket may have been closed without a word because
// nobody acknowledged anything: when the timer would have expired once more, after
// tcp_retries2 or as soon as the application's TCP_USER_TIMEOUT wanted it
// (tcp_write_timeout, tcp_write_err).
func (so *socket) mayGiveUp(now int64) bool {
	return so.unacknowledged() && so.repeats > 1 && time.Duration(now-so.lastSent) > so.gap*3/2
}

// longestRTO is by when what is not acknowledged must have been repeated. What a
// kernel measures is less than the longest round trip and twice its deviation.
func (so *socket) longestRTO() time.Duration {
	return 3*time.Second + 6*so.rtt + 3*so.gap
}

// aged returns what a world has become when time has passed: timers that end
// something without a frame.
func (r *Replayer) aged(w world, now int64) []world {
	switch w.at {
	case atTimeWait:
		least, most := r.lifetime(&w)
		first, last := w.tw.Armed, w.tw.Armed
		if w.tw.Armed == 0 {
			first, last = w.twm.since, w.twm.entered
			if w.tw.Substate == timewait.TimeWait { // armed anew, or not
				most += most
			}
		}
		switch {
		case time.Duration(now-first) < least:
			return []world{w}
		case time.Duration(now-last) > most:
			return []world{w.hold(atNothing)}
		}
		return []world{w, w.hold(atNothing)}
	case atLive:
		if w.so.mayGiveUp(now) {
			return []world{w, w.hold(atNothing)}
		}
		if w.so.State != live.SynRecv {
			return []world{w}
		}
		// Its listener may have gone, or its time be over.
		if time.Duration(now-w.so.lastSent) > requestLife && w.so.lastSent != 0 {
			return []world{w.hold(atNothing)}
		}
		return []world{w}
	case atNothing, atUnknown, atSynSent:
	}
	return []world{w}
}

// requestLife is longer than any gap between two SYN-ACKs of one request with the
// usual tcp_synack_retries (5): 1, 2, 4, 8, 16, 32 s.
const requestLife = 35 * time.Second

// lifetime bounds how long a TIME_WAIT lasts since it was armed.
func (r *Replayer) lifetime(w *world) (least, most time.Duration) {
	least, most = timewait.Lifetime(r.host.Profile)
	if w.tw.Substate == timewait.FinWait2 {
		shorter := timewait.Length - r.host.FinTimeout.Duration
		if r.host.FinTimeout.Known && shorter > 0 {
			least, most = max(0, least-shorter), most-shorter
		}
		return least, most
	}
	recycles := r.host.Recycle
	if r.host.Profile.Has(&kernel.HasRecycle).Answer == kernel.No {
		recycles = kernel.No
	}
	if recycles != kernel.No && w.tw.HasTS != kernel.No {
		// 3.5 RTO, with an RTO of at least 200 ms; a first sample puts half of
		// itself into the deviation, which counts four times.
		least = 600 * time.Millisecond
		if recycles == kernel.Yes {
			most = 7*(3*w.twm.rtt+200*time.Millisecond)/2 + time.Second
		}
	}
	return least, most
}

// isnLine is the last ISN that was drawn from the clock for a four-tuple.
type isnLine struct {
	isn  seq.Num
	at   int64
	seen bool
}

// fits tells whether a fresh ISN lies on the line through the last one.
func (l *isnLine) fits(r *Replayer, s *segment.Segment) bool {
	if !l.seen || r.host.Profile.Has(&kernel.ClockISN).Answer != kernel.Yes {
		return true
	}
	return listen.OnClockLine(l.isn, s.Seq, time.Duration(s.Time-l.at), 0).On
}

// note remembers an ISN if it was drawn from the clock.
func (l *isnLine) note(s *segment.Segment, worlds []world) {
	for i := range worlds {
		w := &worlds[i]
		if w.at == atUnknown || w.so.inherited || w.so.cookie {
			return
		}
	}
	if !l.seen || l.isn != s.Seq {
		*l = isnLine{isn: s.Seq, at: s.Time, seen: true}
	}
}

// tsClock is the last TSval that the end sent on a four-tuple since its last SYN.
type tsClock struct {
	val  seq.Num
	at   int64
	seen bool
}

const (
	// cookieBits is by how much the TSval of a cookie may lie behind, since its low
	// bits hold options (cookie_init_timestamp).
	cookieBits = 64
	// fastest is the number of ticks a second that no kernel's TSvals exceed,
	// except where a route asks for microseconds (6.7, tcp_usec_ts).
	fastest = 1000
)

// fits tells whether a frame's TSval lies behind the last one by what the clock can have
// made since.
func (c *tsClock) fits(r *Replayer, s *segment.Segment) bool {
	if !c.seen || !s.HasTS() || s.Flags.Has(segment.SYN) {
		return true
	}
	elapsed := time.Duration(s.Time - c.at)
	slack := promptly + elapsed/20
	ticks := int64(s.TSVal.Sub(c.val))
	if ticks < -cookieBits || ticks > int64((elapsed+slack)*fastest/time.Second) {
		return false
	}
	return r.host.Profile.Has(&kernel.MillisecondTimestamps).Answer != kernel.Yes ||
		ticks >= int64((elapsed-slack)*fastest/time.Second)-cookieBits
}

func (c *tsClock) note(s *segment.Segment) {
	if s.HasTS() {
		*c = tsClock{val: s.TSVal, at: s.Time, seen: true}
	}
}
