package diagnose

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// suspect is a kernel that a host may run, and what speaks against it in
// decibans.
type suspect struct {
	kernel.Profile
	against int
}

// hint is a sign of a kernel's age. It can be tuned or rewritten, so that it only
// ever speaks for or against, but for what a kernel cannot do at all.
type hint struct {
	says   string
	frames []uint64
	b      *kernel.Behaviour
	want   kernel.Answer // the answer that the sign speaks for
	weight int           // decibans against kernels of the other answer
}

// hostView is a host as one finding sees it: what was given, what its frames
// tell of its kernel, and how probable each kernel is by that.
type hostView struct {
	part     string // client or server
	facts    hostFacts
	suspects []suspect
	// alike groups the suspects by their index that the model cannot tell apart.
	alike [][]int
	hints []hint
}

// view dates a host.
func (e *Engine) view(part string, addr segment.Addr, ends ...*flow.End) hostView {
	v := hostView{part: part, facts: e.facts.of(part, addr)}
	v.hints = e.hints(addr, ends...)
	profiles := e.candidates
	v.alike = e.alike
	if v.facts.profile.Known() {
		profiles = []kernel.Profile{v.facts.profile}
		v.alike = [][]int{{0}}
	}
	for _, p := range profiles {
		s := suspect{Profile: p}
		for _, h := range v.hints {
			if a := p.Has(h.b).Answer; a != kernel.Unknown && a != h.want {
				s.against += h.weight
			}
		}
		v.suspects = append(v.suspects, s)
	}
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
	in := map[kernel.Profile]bool{}
	for _, p := range fit {
		in[p] = true
	}
	best := -1
	for _, s := range v.suspects {
		if in[s.Profile] && (best < 0 || s.against < best) {
			best = s.against
		}
	}
	var liked []kernel.Profile
	for _, s := range v.suspects {
		if in[s.Profile] && s.against == best {
			liked = append(liked, s.Profile)
		}
	}
	words := "the " + v.part + "'s kernel is " + kernel.Words(liked)
	if len(liked) < len(fit) {
		words += " (by the signs of its age in the capture; else " + kernel.Words(fit) + ")"
	}
	if best > 0 {
		for _, h := range v.against(liked[0]) {
			words += ", though " + h.says
			break
		}
	}
	return words
}

// best returns the suspect of a group that the signs like best, the newest of equals.
func (v *hostView) best(group []int) suspect {
	out := v.suspects[group[0]]
	for _, i := range group[1:] {
		if v.suspects[i].against <= out.against {
			out = v.suspects[i]
		}
	}
	return out
}

// against returns the hints that speak against a profile.
func (v *hostView) against(p kernel.Profile) []hint {
	var out []hint
	for _, h := range v.hints {
		if a := p.Has(h.b).Answer; a != kernel.Unknown && a != h.want {
			out = append(out, h)
		}
	}
	return out
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

// hints reads the signs of age off what a host showed anywhere in the capture.
func (e *Engine) hints(addr segment.Addr, ends ...*flow.End) []hint {
	var out []hint
	if h, ok := e.firstWindow(addr, ends); ok {
		out = append(out, h)
	}
	out = append(out, e.clockHints(addr, ends)...)
	if k, ok := e.inherits[addr]; ok {
		out = append(out, hint{fmt.Sprintf("elsewhere in the capture it answered a SYN in TIME_WAIT with snd_nxt + 65537 (frame %d)", k.frame),
			[]uint64{k.frame}, k.b, kernel.Yes, 60})
	}
	return out
}

// firstWindow compares the first window with the defaults: 64240 (65160 with
// timestamps) since 4.20, 29200 (28960), 14600 (14480) and 5840 (5792) before, at an
// MSS of 1460.
func (e *Engine) firstWindow(addr segment.Addr, ends []*flow.End) (hint, bool) {
	try := func(window, mss uint16, frame uint64) (hint, bool) {
		if mss != 1460 {
			return hint{}, false
		}
		h := hint{frames: []uint64{frame}, b: &kernel.LargeFirstWindow, weight: 10}
		switch window {
		case 64240, 65160:
			h.want = kernel.Yes
			h.says = fmt.Sprintf("its first window, %d in frame %d, is the default from 4.20 on", window, frame)
		case 29200, 28960, 14600, 14480, 5840, 5792:
			h.want = kernel.No
			h.says = fmt.Sprintf("its first window, %d in frame %d, is a default up to 4.19", window, frame)
		default:
			return hint{}, false
		}
		return h, true
	}
	for _, end := range ends {
		if end.ISN.Seen() && !end.ISNImplied {
			if h, ok := try(end.FirstWindow, end.MSS, end.ISN.Frame); ok {
				return h, true
			}
		}
	}
	if host, ok := e.hosts.Host(addr); ok {
		for _, w := range host.Windows {
			if h, ok := try(w.Window, w.MSS, w.Frame); ok {
				return h, true
			}
		}
	}
	return hint{}, false
}

// jiffiesAtBoot is where a kernel without an offset starts its TSvals: 5 minutes
// before zero, in ticks of the HZ that the kernel was built for (INITIAL_JIFFIES).
func jiffiesAtBoot(hz uint32) seq.Num { return seq.Of(0 - 300*hz) }

// clockHints looks at TSvals: near the value at boot, or of several peers on one
// line, there is no offset; of several peers on different lines there is one.
func (e *Engine) clockHints(addr segment.Addr, ends []*flow.End) []hint {
	samples := e.samples(addr, ends)
	if len(samples) == 0 {
		return nil
	}
	var out []hint
	first := samples[0]
	for _, hz := range []uint32{1000, 250, 100} {
		// Within an hour of boot: by chance of one in a thousand.
		if up := first.TSVal.Ahead(jiffiesAtBoot(hz)); up < 3600*hz {
			out = append(out, hint{fmt.Sprintf("its TSval, %s in frame %d, is that of a kernel without an offset %d s after boot (HZ %d)", first.TSVal, first.Frame, up/hz, hz),
				[]uint64{first.Frame}, &kernel.OffsetsTimestamps, kernel.No, 20})
			break
		}
	}
	return append(out, e.peersHint(addr)...)
}

// peersHint compares the TSvals that a host sent to two peers.
func (e *Engine) peersHint(addr segment.Addr) []hint {
	h, ok := e.hosts.Host(addr)
	if !ok || len(h.TSVals) < 2 {
		return nil
	}
	a := h.TSVals[0]
	for _, b := range h.TSVals[1:] {
		elapsed := b.Since(a.Point)
		if b.Peer.Addr == a.Peer.Addr || elapsed < 0 || elapsed > 10*time.Minute {
			continue
		}
		frames := []uint64{a.Frame, b.Frame}
		if oneLine(a, b, elapsed) {
			return []hint{{fmt.Sprintf("its TSvals towards two peers (frames %d and %d) lie on one line, so there is no offset by peer", a.Frame, b.Frame), frames, &kernel.OffsetsTimestamps, kernel.No, 20}}
		}
		return []hint{{fmt.Sprintf("its TSvals towards two peers (frames %d and %d) lie on different lines, so there is an offset", a.Frame, b.Frame), frames, &kernel.OffsetsTimestamps, kernel.Yes, 20}}
	}
	return nil
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

func (e *Engine) samples(addr segment.Addr, ends []*flow.End) []flow.TSSample {
	var out []flow.TSSample
	for _, end := range ends {
		if end.TSOffered && end.ISN.Seen() && !end.ISNImplied {
			out = append(out, flow.TSSample{Port: end.Port, TSVal: end.FirstTSVal, Point: end.ISN.Point})
			break
		}
	}
	if h, ok := e.hosts.Host(addr); ok {
		for _, s := range h.TSVals {
			if len(out) > 0 && s.Frame == out[0].Frame {
				continue
			}
			out = append(out, s)
		}
	}
	return out
}
