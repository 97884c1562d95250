package diagnose

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// behindBox: which of the two tests let the SYN in depends on its numbers as the
// server saw them. A capture taken at the client's side cannot know them where a
// box in between may rewrite sequence numbers and either test would do with others.
func (q *asked) behindBox(a *acceptance) bool {
	return a.byTS.Answer == kernel.Yes && q.atClient()
}

// atClient tells whether the capture was taken nearer to the client: on its own machine, or
// the client answers much faster than the server, in the quickest of what was seen of both.
func (q *asked) atClient() bool {
	if a, ok := q.capturedOn(); ok {
		return a == q.c.Ends[flow.Opener].Addr
	}
	server, client := q.quickest()
	return server != 0 && client != 0 && 2*client < server
}

// atServer is the same for the server's side. Often neither can be told.
func (q *asked) atServer() bool {
	if a, ok := q.capturedOn(); ok {
		return a == q.c.Ends[flow.Listener].Addr
	}
	server, client := q.quickest()
	return server != 0 && client != 0 && 2*server < client
}

// capturedOn names the end on whose machine the capture was taken: a machine leaves the
// checksums of the segments that it sends to the network card, and only there can they be seen
// so (CHECKSUM_PARTIAL). ok is false where no end does, or both, as on a machine of containers.
func (q *asked) capturedOn() (a segment.Addr, ok bool) {
	for c := q.c; c != nil; c = c.Previous {
		for s := range c.Ends {
			x := &c.Ends[s]
			for _, at := range []flow.Point{x.ISN.Point, x.FIN.Point, x.RST.Point} {
				w, seen := q.e.notes.wires.of(at.Frame)
				if !seen || w.TCPCheck != segment.CheckPartial || at == x.ISN.Point && x.ISNImplied {
					continue
				}
				if ok && a != x.Addr {
					return segment.Addr{}, false
				}
				a, ok = x.Addr, true
			}
		}
	}
	return a, ok
}

// quickest returns how fast each end was seen to answer; 0 where it was not.
func (q *asked) quickest() (server, client time.Duration) {
	quicker := func(have *time.Duration, d time.Duration) {
		if d > 0 && (*have == 0 || d < *have) {
			*have = d
		}
	}
	var syn, synack *flow.Frame
	for i := range q.c.Frames {
		f := &q.c.Frames[i]
		switch {
		case f.From == flow.Opener && isSYN(f):
			syn, synack = f, nil
		case f.From == flow.Listener && f.Flags.Has(synFlag) && syn != nil && synack == nil:
			synack = f
			quicker(&server, f.Point().Since(syn.Point()))
		case f.From == flow.Opener && synack != nil:
			quicker(&client, f.Point().Since(synack.Point()))
		}
	}
	for x := q.p; x != nil; x = x.Previous {
		o, l := &x.Ends[flow.Opener], &x.Ends[flow.Listener]
		if o.Endpoint != q.c.Ends[flow.Opener].Endpoint {
			continue
		}
		quicker(&client, l.SRTT)
		if o.ISN.Seen() && l.ISN.Seen() && !o.ISNImplied && !l.ISNImplied {
			quicker(&server, l.ISN.Since(o.ISN.Point))
		}
	}
	return server, client
}
