package diagnose

import (
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// cookieSource is where the kernel makes cookies.
const cookieSource = "net/ipv4/syncookies.c"

// handshakeOf rebuilds the SYN and the SYN-ACK of a connection from the marks of its ends. ok is
// false where the capture misses one, or where its numbers have no base.
func (m *scratch) handshakeOf(c *flow.Connection) (h listen.Answered, ok bool) {
	var s [2]*segment.Segment
	for e := range c.Ends {
		x, p := &c.Ends[e], &c.Ends[flow.Side(e).Other()]
		if !x.ISN.Seen() || x.ISNImplied || c.Relative {
			return h, false
		}
		g := m.segments.one()
		*g = segment.Segment{Src: x.Endpoint, Dst: p.Endpoint, Seq: x.ISN.Num, Flags: segment.SYN, MSS: x.MSS, WScale: x.WScale, TSVal: x.FirstTSVal, TSEcr: x.FirstTSEcr}
		g.Frame, g.Time = x.ISN.Frame, x.ISN.Time
		for _, o := range []struct {
			is  bool
			bit segment.Options
		}{{x.MSS != 0, segment.OptMSS}, {x.WScaleOffered, segment.OptWScale}, {x.SACKOffered, segment.OptSACKPermitted}, {x.TSOffered, segment.OptTimestamps}, {x.OptionsCut, segment.OptCut}} {
			if o.is {
				g.Options |= o.bit
			}
		}
		if flow.Side(e) == flow.Listener {
			g.Flags |= segment.ACK
			g.Ack = p.ISN.Num.Add(1)
		}
		s[e] = g
	}
	return listen.Answered{SYN: s[flow.Opener], SYNACK: s[flow.Listener]}, true
}

// cookieLook is what the form of a SYN-ACK says about whether it is a cookie.
type cookieLook struct {
	// may is No where none of the kernels that the server is likely to run sends such a
	// cookie, and Yes where the low bits of its TSval are a cookie's under all of them,
	// which those of one in 64 others are too.
	may      kernel.Answer
	evidence []report.Evidence
}

// looksLikeCookie asks the model about a handshake, under the kernels that the signs like best.
func looksLikeCookie(k *kernels, h *listen.Answered) cookieLook {
	var x cookieLook
	ask := func(p kernel.Profile) kernel.Reading { return listen.MayBeCookie(p, h.SYN, h.SYNACK) }
	var liked set
	for i := range k.suspects {
		if k.suspects[i].against == k.best {
			liked |= 1 << i
		}
	}
	no := k.each(func(p kernel.Profile) bool { return ask(p).Answer == kernel.No })
	bits := k.each(func(p kernel.Profile) bool { return listen.LowBitsTell(p, h.SYN, h.SYNACK) })
	switch {
	case no&liked == liked:
		x.may = kernel.No
	case bits&^no&liked == liked:
		x.may = kernel.Yes
	default:
		return x
	}
	why := ask(k.suspects[liked.first()].Profile)
	ev := evidence(why, cookieSource, h.SYNACK.Frame, h.SYN.Frame)
	ev.Answer = x.may.String()
	x.evidence = []report.Evidence{ev}
	return x
}

// cookieBits is what the low bits of a TSval say for a cookie, in decibans: one in 64 others has
// them, and of the kernel it is only known what is likely.
const cookieBits = 10

// sameSecret tells whether the SYN-ACK and the old connection's are cookies of one secret: then
// the same host answered both, on the same boot, and its listener did. The clock lines of two
// hosts run side by side, so that a server's ISN may go with the client's by that alone: only an
// ISN off the line tells.
func (q *asked) sameSecret() ([]report.Evidence, bool) {
	if q.secret == nil {
		ev, same := q.compareSecrets()
		q.secret = &secretAnswer{slices.Clip(ev), same}
	}
	return q.secret.evidence, q.secret.same
}

// secretAnswer is what sameSecret found.
type secretAnswer struct {
	evidence []report.Evidence
	same     bool
}

func (q *asked) compareSecrets() ([]report.Evidence, bool) {
	if q.es != flow.Listener || q.isn.onLine != kernel.No {
		return nil, false
	}
	a, ok := q.e.mem.handshakeOf(q.whole)
	b, ok2 := q.e.mem.handshakeOf(q.c)
	if !ok || !ok2 {
		return nil, false
	}
	both := func(p kernel.Profile) bool { return listen.BothCookies(p, a, b).Answer == kernel.Yes }
	if q.server.each(both) != q.server.all() {
		return nil, false
	}
	r := listen.BothCookies(q.server.suspects[0].Profile, a, b)
	return []report.Evidence{evidence(r, cookieSource+" secure_tcp_syn_cookie", a.SYNACK.Frame, b.SYNACK.Frame, a.SYN.Frame, b.SYN.Frame)}, true
}

// cookieStory: the SYN-ACK may be a cookie, as far as its form lets it be one.
func (e *Engine) cookieStory(c *flow.Connection, server *hostView, cookie Assumption, sign report.Evidence) story {
	s := story{cause: "syn-cookie", stands: report.StaysOpen, says: "The SYN-ACK may be a cookie: where the SYN queue is full, or tcp_syncookies is 2."}
	if len(sign.Frames) > 0 {
		s.evidence = []report.Evidence{sign}
	}
	if h, ok := e.mem.handshakeOf(c); ok {
		x := looksLikeCookie(server.kernels, &h)
		if x.may == kernel.No {
			return ruledOut(s.cause, "The SYN-ACK cannot be a cookie.", x.evidence...)
		}
		if x.may == kernel.Yes {
			cookie.Cost = max(2, cookie.Cost-cookieBits)
		}
		s.evidence = append(s.evidence, x.evidence...)
	}
	s.assumes = []Assumption{cookie}
	return s
}
