package diagnose

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// attempts collects what a table asks about.
type attempts struct{ asked []*flow.Connection }

func (a *attempts) Asked(c *flow.Connection)  { a.asked = append(a.asked, c) }
func (a *attempts) Troubled(*flow.Connection) {}
func (a *attempts) Ended(*flow.Connection)    {}

// manySYNs is a connection, closed or not, and then attempts of many SYNs each, some of them
// answered, some followed by a RST.
func manySYNs(r *rand.Rand) []segment.Segment {
	client := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 1}), Port: 40000}
	server := segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 2}), Port: 80}
	now := int64(1_700_000_000e9)
	var out []segment.Segment
	put := func(src, dst segment.Endpoint, flags segment.Flags, sq, ack uint32) {
		s := segment.Segment{Src: src, Dst: dst, Flags: flags, Seq: seq.Of(sq), Ack: seq.Of(ack), Window: 64240, TTL: 64}
		s.Time, s.Frame = now, uint64(len(out))+1
		out = append(out, s)
	}
	const ack = segment.ACK
	put(client, server, segment.SYN, 1000, 0)
	put(server, client, segment.SYN|ack, 5000, 1001)
	put(client, server, ack, 1001, 5001)
	if r.IntN(2) == 0 {
		put(server, client, segment.FIN|ack, 5001, 1001)
		put(client, server, segment.FIN|ack, 1001, 5002)
		put(server, client, ack, 5002, 1002)
	}
	now += 1e9
	step := []int64{1e6, 3e8, 6e8, 3e9}[r.IntN(4)]
	for range 3 {
		sq := 1000 + r.Uint32N(20)*5000
		for range 12 {
			put(client, server, segment.SYN, sq, 0)
			now += step
			switch r.IntN(12) {
			case 0:
				put(server, client, ack, 5002, 1002)
			case 1:
				put(client, server, segment.RST, 1001+r.Uint32N(3), 0)
			}
		}
	}
	return out
}

// A replay that goes on from where it was for the SYN before comes to what it comes to from the start,
// and who watches hears of the same behaviours.
func TestResume(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	compared, ended := 0, 0
	for range 60 {
		to := &attempts{}
		table := flow.NewTable(flow.Config{AskedOnly: true}, to)
		table.Add(manySYNs(r))
		table.Close()
		e := New(&Facts{}, table)
		for _, c := range to.asked {
			if c.Previous == nil || !hasPast(c.Previous) {
				continue
			}
			rounds := roundsOf(c)
			for i := range rounds {
				q := e.ask(c, rounds, i)
				if !q.longPast() {
					continue
				}
				for _, h := range q.holds {
					for j := 0; j < len(q.server.suspects); j += 5 {
						var one, two kernel.Watch
						p := q.server.suspects[j].Profile
						want := q.replayFrames(&h, hostOf(q, p.Watched(&one)), q.between(h.from))
						got := q.resume(&h, hostOf(q, p.Watched(&two)))
						if !reflect.DeepEqual(got, want) {
							t.Fatalf("connection %d, SYN %d, kernel %s: got\n%+v\nwant\n%+v", c.ID, i+1, p, got, want)
						}
						for _, x := range one.Asked {
							if !slices.Contains(two.Asked, x) {
								t.Fatalf("connection %d, SYN %d, kernel %s: %v was asked, and nobody heard of it", c.ID, i+1, p, x.Behaviour)
							}
						}
						compared++
						if got.goneBy != nil {
							ended++
						}
					}
				}
			}
		}
	}
	if compared < 5000 || ended < 200 || ended == compared {
		t.Errorf("%d replays were compared, %d of which end what was held", compared, ended)
	}
}

// hostOf is the server under a kernel.
func hostOf(q *asked, p kernel.Profile) *kernel.Host {
	h := q.server.host(p, q.ipv6)
	return &h
}
