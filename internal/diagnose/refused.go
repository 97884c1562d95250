package diagnose

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// causesRefused are the causes of a RST, in the order of the vocabulary.
var causesRefused = []string{"no-listener", "fin-wait2-orphan", "established-old-kernel", "syn-received-in-window", "middlebox-reset"}

// refused tries every course in which the SYN gets a RST.
func (q *asked) refused() *stories {
	ss := q.e.stories(8)
	for _, h := range q.holds {
		q.tryHolding(ss, h, kernel.Yes, obeyed, kernel.ReplyRST)
		q.noListener(ss, h)
	}
	q.middleboxReset(ss)
	q.denyRest(ss, causesRefused)
	return ss
}

// noListener: nothing of the old connection is left, and nobody listens.
func (q *asked) noListener(ss *stories, h holding) {
	host := q.server.host(q.server.suspects[0].Profile, q.ipv6)
	st := q.replay(&h, &host)
	host.Listener = kernel.No
	c := listen.Case{Host: host, Segment: segmentOf(&q.r().syn), Now: q.now()}
	o, _ := listen.Decide(&c).Sure()
	cmp := compare(o.Reply, q.r().reply)
	if !cmp.ok() {
		ss.add(ruledOut("no-listener", "The RST is not the one that a host without a listener sends: "+cmp.differs+".", noteNo(cmp.differs, q.r().reply.Frame)))
		return
	}
	s := story{cause: "no-listener", stands: report.StaysOpen, assumes: append([]Assumption{}, h.assumes...),
		says:     "Nothing of the old connection was left at the server, and nobody listens on the port.",
		evidence: []report.Evidence{note(h.why, h.frames...), note("the RST is what a host without a socket sends: "+strings.Join(cmp.matches, ", "), q.r().reply.Frame)},
		verdict:  "Nobody listens on the server's port any more, and nothing of the old connection is left there, so the host answered with a RST."}
	switch st.kind {
	case nothing:
		if st.goneBy != nil {
			s.evidence = append(s.evidence, note(fmt.Sprintf("the segment in frame %d ended what was left", st.goneBy.Frame), st.goneBy.Frame))
		}
	case twTrue:
		if st.oldest(q.now()) < 52*time.Second {
			s.assumes = append(s.assumes, assumeRSTUnseen)
		}
	case twOrphan, alive:
		s.assumes = append(s.assumes, assumeRSTUnseen)
	}
	ss.add(s)
}

// middleboxReset: something between the ends sent the RST.
func (q *asked) middleboxReset(ss *stories) {
	e, _ := q.old()
	r := q.r().reply
	a := Assumption{"a box on the path sent the RST in the server's name", 18, "firewalls that reject do that", false}
	s := story{cause: "middlebox-reset", stands: report.StaysOpen, says: "A box on the path may have sent the RST."}
	if e.TTL != 0 && r.TTL != 0 && r.TTL != e.TTL {
		a.Cost = 3
		s.evidence = append(s.evidence, note(fmt.Sprintf("the RST has TTL %d, the server's segments had %d", r.TTL, e.TTL), r.Frame))
		s.verdict = fmt.Sprintf("The RST did not come from the server: its TTL is %d, and the server's segments had %d.", r.TTL, e.TTL)
	} else if e.TTL != 0 {
		s.evidence = append(s.evidence, noteNo(fmt.Sprintf("the RST has the server's TTL %d", r.TTL), r.Frame))
	}
	s.assumes = []Assumption{a}
	if s.verdict == "" {
		s.verdict = "A box on the path sent the RST."
	}
	ss.add(s)
}
