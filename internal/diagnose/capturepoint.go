package diagnose

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// behindBox: which of the two tests let the SYN in depends on its numbers as the
// server saw them. A capture taken at the client's side cannot know them where a
// box in between may rewrite sequence numbers and either test would do with others.
func (q *asked) behindBox(a acceptance) bool {
	return a.byTS.Answer == kernel.Yes && q.atClient()
}

// atClient tells whether the capture was taken nearer to the client: the client
// answers much faster than the server, in the quickest of what was seen of both.
func (q *asked) atClient() bool {
	server, client := q.quickest()
	return server != 0 && client != 0 && 2*client < server
}

// atServer is the same for the server's side. Often neither can be told.
func (q *asked) atServer() bool {
	server, client := q.quickest()
	return server != 0 && client != 0 && 2*server < client
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
