package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// hint is a sign of a kernel's age. It can be tuned or rewritten, so that it only
// ever speaks for or against, but for what a kernel cannot do at all.
type hint struct {
	sign
	frames [2]uint64 // the second is 0 where one shows it
	// kind says how it is put into words, of window, tsVal and hz what belongs to it.
	kind   hintKind
	window uint16
	tsVal  seq.Num
	hz     uint32
}

// sign is what a hint is worth, whatever shows it.
type sign struct {
	b      *kernel.Behaviour
	want   kernel.Answer // the answer that the sign speaks for
	weight int           // decibans against kernels of the other answer
}

// hintKind is what a hint was read off.
type hintKind uint8

const (
	windowLarge hintKind = iota
	windowSmall
	tsValAtBoot
	tsValsOnLine
	tsValsOffLine
	isnInherited
)

// says puts the hint into words; most are never told.
func (h *hint) says() string {
	switch h.kind {
	case windowLarge:
		return fmt.Sprintf("its first window, %d in frame %d, is the default from 4.20 on", h.window, h.frames[0])
	case windowSmall:
		return fmt.Sprintf("its first window, %d in frame %d, is a default up to 4.19", h.window, h.frames[0])
	case tsValAtBoot:
		return fmt.Sprintf("its TSval, %s in frame %d, is that of a kernel without an offset %d s after boot (HZ %d)", h.tsVal, h.frames[0], h.tsVal.Ahead(jiffiesAtBoot(h.hz))/h.hz, h.hz)
	case tsValsOnLine:
		return fmt.Sprintf("its TSvals towards two peers (frames %d and %d) lie on one line, so there is no offset by peer", h.frames[0], h.frames[1])
	case tsValsOffLine:
		return fmt.Sprintf("its TSvals towards two peers (frames %d and %d) lie on different lines, so there is an offset", h.frames[0], h.frames[1])
	case isnInherited:
		return fmt.Sprintf("elsewhere in the capture it answered a SYN in TIME_WAIT with snd_nxt + 65537 (frame %d)", h.frames[0])
	}
	return ""
}

// maxHints is how many hints a host can give.
const maxHints = 4

// hostView is a host as one finding sees it: what was given, what its frames
// tell of its kernel, and how probable each kernel is by that.
type hostView struct {
	part  string // client or server
	facts hostFacts
	hints []hint
	*kernels
}

// view dates a host.
func (e *Engine) view(part string, addr segment.Addr, ends ...*flow.End) hostView {
	v := hostView{part: part, facts: e.facts.of(part, addr)}
	v.hints = e.hints(addr, ends)
	v.kernels = e.suspected(v.facts.profile, v.hints)
	return v
}

// modelled are the behaviours that stories ask for; kernels that agree in them
// need to be tried once.
func modelled() []*kernel.Behaviour {
	var out []*kernel.Behaviour
	for _, b := range kernel.Behaviours() {
		switch b {
		case &kernel.LargeFirstWindow, &kernel.OffsetsTimestamps, &kernel.OffsetPerTuple, &kernel.MillisecondTimestamps, &kernel.ClockISN:
			// Signs of a kernel's age: they weigh a kernel, the model does not ask them.
		default:
			out = append(out, b)
		}
	}
	return out
}

// known tells whether the kernel was given.
func (v *hostView) known() bool { return v.facts.profile.Known() }

// kernelWords says what a story assumes of the kernel where it fits only some: of
// those the ones that the signs like best.
func (v *hostView) kernelWords(fit []kernel.Profile) string {
	if v.known() || len(fit) == 0 || len(fit) == len(v.suspects) {
		return ""
	}
	w := v.wordsOf(v.setOf(fit))
	words := "the " + v.part + "'s kernel is " + w.words
	if w.against > 0 {
		for _, h := range v.against(w.liked) {
			words += ", though " + h.says()
			break
		}
	}
	return words
}

// against returns the hints that speak against a profile.
func (v *hostView) against(p kernel.Profile) []hint {
	var out []hint
	for _, h := range v.hints {
		if h.against(&p) > 0 {
			out = append(out, h)
		}
	}
	return out
}

// against is what the sign says against a profile, in decibans.
func (s *sign) against(p *kernel.Profile) int {
	if a := p.Has(s.b).Answer; a != kernel.Unknown && a != s.want {
		return s.weight
	}
	return 0
}

// host returns the settings under which the model is asked: what was given, else
// the defaults that a story may change.
func (v *hostView) host(p kernel.Profile, ipv6 bool) kernel.Host {
	h := kernel.Host{
		Profile: p, IPv6: ipv6,
		Timestamps: v.facts.answer(kernel.FactTimestamps),
		RFC1337:    v.facts.answer(kernel.FactRFC1337),
		RateLimit:  v.facts.millis(kernel.FactRateLimit, kernel.DefaultRateLimit),
		Recycle:    v.facts.answer(kernel.FactTWRecycle),
		Listener:   kernel.Yes, AcceptQueueFull: kernel.No, SynCookies: kernel.No,
		AbortOnOverflow: v.facts.answer(kernel.FactAbort), // it counts only where the queue is full
		// An answer that came was not held back; where none came a story says so.
		ChallengeLimit: v.facts.count(kernel.FactChallengeLimit), UsualChallengeLimit: true, ChallengesSpent: kernel.No,
	}
	if h.Timestamps == kernel.Unknown {
		h.Timestamps = kernel.Yes // the old connection used them, or they do not matter
	}
	if h.RFC1337 == kernel.Unknown {
		h.RFC1337 = kernel.No
	}
	if h.Recycle == kernel.Unknown {
		h.Recycle = kernel.No
	}
	return h
}

// hints reads the signs of age off what a host showed anywhere in the capture, above all
// in these ends.
func (e *Engine) hints(addr segment.Addr, ends []*flow.End) []hint {
	out := e.mem.hints.take(maxHints)
	shown := e.showed(addr)
	if h, ok := firstWindow(ends); ok {
		out = append(out, h)
	} else if shown.window.b != nil {
		out = append(out, shown.window)
	}
	first, ok := firstSample(ends)
	if !ok && shown.tsVal.Seen() {
		first, ok = shown.tsVal, true
	}
	if ok {
		if h, near := atBoot(first); near {
			out = append(out, h)
		}
		if shown.peers.b != nil {
			out = append(out, shown.peers)
		}
	}
	if k, ok := e.inherits[addr]; ok {
		out = append(out, hint{sign: sign{k.b, kernel.Yes, 60}, kind: isnInherited, frames: [2]uint64{k.frame}})
	}
	return out
}

// shown is what a host shows of its kernel's age in all of the capture.
type shown struct {
	window hint // of its first windows the first that tells; b is nil where none does
	peers  hint // the same of its TSvals
	tsVal  flow.TSSample
}

// showed looks a host up, once a host: servers are asked about again and again.
func (e *Engine) showed(addr segment.Addr) shown {
	if s, ok := e.shown[addr]; ok {
		return s
	}
	h, ok := e.hosts.Host(addr)
	if !ok {
		return shown{}
	}
	var s shown
	for _, w := range h.Windows {
		if x, ok := windowHint(w.Window, w.MSS, w.Frame); ok {
			s.window = x
			break
		}
	}
	if len(h.TSVals) > 0 {
		s.tsVal = h.TSVals[0]
		s.peers, _ = peersHint(&h)
	}
	if e.shown == nil {
		e.shown = map[segment.Addr]shown{}
	}
	e.shown[addr] = s
	return s
}

// windowHint compares a first window with the defaults: 64240 (65160 with
// timestamps) since 4.20, 29200 (28960), 14600 (14480) and 5840 (5792) before, at an
// MSS of 1460.
func windowHint(window, mss uint16, frame uint64) (hint, bool) {
	if mss != 1460 {
		return hint{}, false
	}
	h := hint{frames: [2]uint64{frame}, window: window, sign: sign{b: &kernel.LargeFirstWindow, weight: 10}}
	switch window {
	case 64240, 65160:
		h.want, h.kind = kernel.Yes, windowLarge
	case 29200, 28960, 14600, 14480, 5840, 5792:
		h.want, h.kind = kernel.No, windowSmall
	default:
		return hint{}, false
	}
	return h, true
}

// firstWindow looks at the first windows of some ends.
func firstWindow(ends []*flow.End) (hint, bool) {
	for _, end := range ends {
		if end.ISN.Seen() && !end.ISNImplied {
			if h, ok := windowHint(end.FirstWindow, end.MSS, end.ISN.Frame); ok {
				return h, true
			}
		}
	}
	return hint{}, false
}

// firstSample is the TSval of the first handshake of some ends that had one.
func firstSample(ends []*flow.End) (flow.TSSample, bool) {
	for _, end := range ends {
		if end.TSOffered && end.ISN.Seen() && !end.ISNImplied {
			return flow.TSSample{Port: end.Port, TSVal: end.FirstTSVal, Point: end.ISN.Point}, true
		}
	}
	return flow.TSSample{}, false
}

// jiffiesAtBoot is where a kernel without an offset starts its TSvals: 5 minutes
// before zero, in ticks of the HZ that the kernel was built for (INITIAL_JIFFIES).
func jiffiesAtBoot(hz uint32) seq.Num { return seq.Of(0 - 300*hz) }

// atBoot looks whether a TSval is near the value at boot: then there is no offset.
func atBoot(first flow.TSSample) (hint, bool) {
	for _, hz := range [...]uint32{1000, 250, 100} {
		// Within an hour of boot: by chance of one in a thousand.
		if up := first.TSVal.Ahead(jiffiesAtBoot(hz)); up < 3600*hz {
			return hint{sign: sign{&kernel.OffsetsTimestamps, kernel.No, 20}, kind: tsValAtBoot, frames: [2]uint64{first.Frame}, tsVal: first.TSVal, hz: hz}, true
		}
	}
	return hint{}, false
}

// peersHint compares the TSvals that a host sent to two peers: on one line there is no
// offset, on different lines there is one.
func peersHint(h *flow.Host) (hint, bool) {
	if len(h.TSVals) < 2 {
		return hint{}, false
	}
	a := h.TSVals[0]
	for _, b := range h.TSVals[1:] {
		elapsed := b.Since(a.Point)
		if b.Peer.Addr == a.Peer.Addr || elapsed < 0 || elapsed > 10*time.Minute {
			continue
		}
		out := hint{sign: sign{&kernel.OffsetsTimestamps, kernel.Yes, 20}, kind: tsValsOffLine, frames: [2]uint64{a.Frame, b.Frame}}
		if oneLine(a, b, elapsed) {
			out.want, out.kind = kernel.No, tsValsOnLine
		}
		return out, true
	}
	return hint{}, false
}

// tickRates are the ticks a second that TSvals count.
var tickRates = [...]int64{1000, 300, 250, 100, 1000000}

// oneLine tells whether two TSvals may come from one clock without an offset.
func oneLine(a, b flow.TSSample, elapsed time.Duration) bool {
	for _, hz := range tickRates {
		if oneLineAt(a, b, elapsed, hz) {
			return true
		}
	}
	return false
}

func oneLineAt(a, b flow.TSSample, elapsed time.Duration, hz int64) bool {
	want := elapsed.Nanoseconds() * hz / 1e9
	slack := 20*hz/1000 + 2 + want/1000
	d := int64(b.TSVal.Sub(a.TSVal)) - want
	return d >= -slack && d <= slack
}
