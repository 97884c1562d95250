// Package scene makes segments of bytes, for tests and fuzzers: a few four-tuples
// whose ends open, talk, close, repeat themselves and lose the thread, as the
// bytes say. Every string of bytes is a scene. It is no part of the program.
package scene

import (
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Scene is what came of the bytes.
type Scene struct {
	// Segments are in the order of the capture, with addresses, frame numbers from 1, and
	// times, which may go backwards.
	Segments []segment.Segment
	// Marks tells after which index of Segments which two endpoints were spoken of
	// from outside (an ICMP message).
	Marks map[int][2]segment.Endpoint

	lanes [4]lane
	now   int64
	limit int
}

// lane is a four-tuple.
type lane struct {
	ends [2]end // opener, listener
	ts   bool
}

// end is one end of a four-tuple as it sees itself.
type end struct {
	at       segment.Endpoint
	isn      seq.Num
	snd, rcv seq.Num // snd_nxt, rcv_nxt
	old      seq.Num // snd_nxt of the incarnation before
	window   uint16
	ipid     uint16
	tsEcr    seq.Num
	last     segment.Segment
}

// New makes a scene of at most limit segments.
func New(script []byte, limit int) *Scene {
	s := &Scene{Marks: map[int][2]segment.Endpoint{}, now: 1_700_000_000e9, limit: limit}
	ports := [4]uint16{51820, 51821, 700, 2000}
	services := [4]uint16{80, 80, 2049, 2000}
	for i := range s.lanes {
		l := &s.lanes[i]
		l.ts = i%2 == 0
		for e := range l.ends {
			l.ends[e] = end{window: 502, snd: seq.Of(uint32(1000 * (i + e + 1)))}
		}
		l.ends[0].at = segment.Endpoint{Addr: address(uint32(i / 2)), Port: ports[i]}
		l.ends[1].at = segment.Endpoint{Addr: address(100), Port: services[i]}
	}
	s.lanes[3].ends[1].at = s.lanes[3].ends[0].at // to itself
	for len(script) >= 2 && len(s.Segments) < limit {
		used := s.act(script)
		script = script[used:]
	}
	s.Segments = s.Segments[:min(len(s.Segments), limit)]
	for i := range s.Segments {
		x := &s.Segments[i]
		x.Frame, x.SourceFrame = uint64(i+1), uint64(i+1)
	}
	return s
}

func address(n uint32) segment.Addr {
	return segment.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n) + 1})
}

// steps are how much time an act lets pass.
var steps = [16]time.Duration{
	time.Microsecond, 10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond,
	5 * time.Millisecond, 40 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond,
	time.Second, 3 * time.Second, 11 * time.Second, 61 * time.Second,
	241 * time.Second, -time.Millisecond, -time.Second, -300 * time.Second,
}

// act does what the next bytes say, and returns how many they were. The first byte
// names the act, the four-tuple and the end that acts, the second is its measure.
func (s *Scene) act(b []byte) int {
	l := &s.lanes[b[0]>>5&3]
	side := int(b[0] >> 7)
	e, p := &l.ends[side], &l.ends[1-side]
	arg := b[1]
	switch b[0] & 31 {
	case 0, 1:
		s.open(l, e, p, arg)
	case 2:
		s.say(l, e, p, segment.SYN|segment.ACK, 0)
	case 3, 4:
		e.rcv = p.snd
		s.say(l, e, p, segment.ACK, 0)
	case 5, 6:
		e.rcv = p.snd
		s.say(l, e, p, segment.ACK|segment.PSH, uint32(arg)*20+1)
	case 7:
		e.rcv = p.snd
		s.say(l, e, p, segment.ACK|segment.FIN, uint32(arg&1))
	case 8:
		s.reset(l, e, p, arg)
	case 9:
		s.again(e, arg)
	case 10:
		s.put(e, e.last) // seen twice
	case 11:
		e.snd = e.snd.Add(uint32(arg) * 20) // sent, but not seen
	case 12:
		e.window = uint16(arg) >> 6 * 500
		e.rcv = p.snd
		s.say(l, e, p, segment.ACK, 0)
	case 13:
		s.now += int64(steps[arg&15]) + int64(arg>>4)*1000
	case 14:
		s.probe(l, e, p, arg)
	case 15:
		s.late(l, e, p, arg)
	case 16:
		if n := len(s.Segments); n > 0 {
			s.Marks[n-1] = [2]segment.Endpoint{e.at, p.at}
		}
	case 17:
		return s.raw(l, e, p, b)
	case 18:
		s.talk(l, e, p, int(arg))
	case 19:
		s.whole(l, e, p, int(arg))
	case 20:
		l.ends[0].at.Addr = address(uint32(arg) & 15)
		if arg&16 != 0 {
			l.ends[0].at.Addr = address(uint32(len(s.Segments)))
		}
	case 21:
		l.ts = !l.ts
	case 22:
		e.isn, e.snd = e.isn.Add(uint32(arg)), e.isn.Add(uint32(arg)+1)
	default:
		s.waiting(l, e, p, arg)
	}
	s.now += 1e5
	return 2
}

// open sends a SYN: the same again, or a new one at some distance from the last.
func (s *Scene) open(l *lane, e, p *end, arg byte) {
	if arg&3 != 0 {
		e.old, p.old = e.snd, p.snd
		e.isn = e.snd.Add([...]uint32{0, 64000, 1 << 31, ^uint32(9)}[arg&3] + uint32(arg))
		p.isn = p.snd.Add(uint32(arg) << 20)
		e.tsEcr, p.tsEcr = seq.Num{}, seq.Num{}
		p.snd = p.isn
	}
	e.snd, e.rcv = e.isn, seq.Num{}
	s.say(l, e, p, segment.SYN, 0)
}

// say sends a segment from e as it sees itself.
func (s *Scene) say(l *lane, e, p *end, flags segment.Flags, length uint32) {
	x := segment.Segment{Src: e.at, Dst: p.at, Seq: e.snd, Flags: flags, Len: length, Window: e.window, TTL: 64}
	if flags&segment.SYN != 0 {
		if flags&segment.ACK != 0 {
			x.Seq, e.rcv = e.isn, p.snd
		}
		x.Options = segment.OptMSS | segment.OptWScale | segment.OptSACKPermitted
		x.MSS, x.WScale, x.Window = 1460, 7, 64240
		e.snd = x.Seq.Add(1)
	}
	if flags&segment.ACK != 0 {
		x.Ack = e.rcv
	}
	if l.ts {
		x.Options |= segment.OptTimestamps
		x.TSVal, x.TSEcr = seq.Of(uint32(s.now/1e6)), e.tsEcr
		p.tsEcr = x.TSVal
	}
	e.ipid++
	x.IPID = e.ipid
	if flags&segment.SYN == 0 {
		e.snd = x.End()
	}
	s.put(e, x)
}

// put adds a segment to the capture at this moment.
func (s *Scene) put(e *end, x segment.Segment) {
	if !x.Src.Addr.Is4() {
		return // nothing was said yet
	}
	x.Time = s.now
	e.last = x
	s.Segments = append(s.Segments, x)
}

// reset sends a RST: with the number that the peer takes, one nearby, that of an
// answer to nothing, or an old one.
func (s *Scene) reset(l *lane, e, p *end, arg byte) {
	x := segment.Segment{Src: e.at, Dst: p.at, Seq: e.snd, Flags: segment.RST, TTL: 64}
	switch arg & 7 {
	case 0:
		x.Seq, x.Ack, x.Flags = seq.Num{}, p.snd, segment.RST|segment.ACK
	case 1:
		x.Seq = p.rcv
	case 2:
		x.Seq = e.snd.Add(uint32(arg) << 4)
	case 3:
		x.Seq = e.old
	case 4:
		x.Ack, x.Flags = e.rcv, segment.RST|segment.ACK
	}
	if l.ts && arg&8 != 0 {
		x.Options, x.TSVal = segment.OptTimestamps, seq.Of(uint32(s.now/1e6))
	}
	s.put(e, x)
}

// again repeats the last segment of an end, all of it or its end, as a new packet.
func (s *Scene) again(e *end, arg byte) {
	x := e.last
	if arg&1 != 0 && x.Len > 1 {
		x.Seq, x.Len = x.Seq.Add(x.Len/2), x.Len-x.Len/2
	}
	if arg&2 != 0 {
		x.Seq, x.Len = x.Seq.Add(^uint32(0)), x.Len+2 // and a byte on both sides
	}
	if arg&4 == 0 {
		e.ipid++
		x.IPID = e.ipid
	}
	s.put(e, x)
}

// probe sends a keep-alive, or acknowledges what was not seen.
func (s *Scene) probe(l *lane, e, p *end, arg byte) {
	snd, rcv := e.snd, e.rcv
	if arg&1 != 0 {
		e.snd = e.snd.Add(^uint32(0))
	} else {
		e.rcv = p.snd.Add(uint32(arg) * 10)
	}
	s.say(l, e, p, segment.ACK, 0)
	e.snd, e.rcv = snd, rcv
}

// late sends what an end might have sent before: data that was passed over, or a
// segment of the incarnation before.
func (s *Scene) late(l *lane, e, p *end, arg byte) {
	snd, rcv := e.snd, e.rcv
	if arg&1 != 0 {
		e.snd, e.rcv = e.old.Add(^uint32(arg)), p.old
	} else {
		e.snd = e.snd.Add(-uint32(arg) * 20)
	}
	flags := segment.ACK
	if arg&2 != 0 {
		flags |= segment.FIN
	}
	s.say(l, e, p, flags, uint32(arg>>2)*20)
	e.snd, e.rcv = snd, rcv
	if arg&4 != 0 {
		e.ipid -= 2
	}
}

// raw sends any segment: nine bytes.
func (s *Scene) raw(l *lane, e, p *end, b []byte) int {
	if len(b) < 9 {
		return len(b)
	}
	x := segment.Segment{Src: e.at, Dst: p.at, Flags: (segment.Flags(b[1]) | segment.Flags(b[2])<<8) & 0x1ff, TTL: 63, IPID: uint16(b[8] & 3)}
	bases := [8]seq.Num{e.snd, e.rcv, p.snd, p.rcv, e.old, p.old, e.isn, {}}
	x.Seq, x.Ack = bases[b[3]>>5].Add(uint32(b[3]&31)-8), bases[b[4]>>5].Add(uint32(b[4]&31)-8)
	x.Len, x.Window = uint32(b[5]), uint16(b[6])*40
	x.Options = segment.Options(b[7])
	if b[8]&4 != 0 {
		x.Options |= segment.OptCut
	}
	if b[8]&8 != 0 {
		x.Doubt = segment.Doubt(b[6]) << 1
	}
	if b[8]&16 != 0 {
		x.Len <<= 17 // a text says anything
	}
	x.Options &^= segment.OptSACK
	x.MSS, x.WScale = 1400+uint16(b[8]), b[8]
	if l.ts || x.HasTS() {
		x.TSVal, x.TSEcr = seq.Of(uint32(s.now/1e6)), e.tsEcr
	}
	s.put(e, x)
	return 9
}

// talk exchanges segments, as many as n says, some of them lost or repeated.
func (s *Scene) talk(l *lane, e, p *end, n int) {
	for i := range n & 63 {
		a, b := e, p
		if i%3 == 0 {
			a, b = p, e
		}
		a.rcv = b.snd
		length := uint32(i%4) * 300
		s.say(l, a, b, segment.ACK, length)
		s.now += int64(i%5) * 1e6
		switch {
		case n&64 != 0 && i%7 == 0:
			s.again(a, byte(i))
		case n&128 != 0 && i%9 == 0:
			s.now += 1e9
			s.again(a, 0)
		}
	}
}

// whole opens, talks and closes, as many times as n says, each time from a new number.
func (s *Scene) whole(l *lane, e, p *end, n int) {
	for i := range 1 + n&15 {
		s.open(l, e, p, 1)
		s.say(l, p, e, segment.SYN|segment.ACK, 0)
		e.rcv = p.snd
		s.say(l, e, p, segment.ACK, 0)
		s.say(l, e, p, segment.ACK, 10)
		p.rcv = e.snd
		s.say(l, p, e, segment.ACK|segment.FIN, 0)
		if n&16 != 0 && i%2 == 0 {
			continue
		}
		e.rcv = p.snd
		s.say(l, e, p, segment.ACK|segment.FIN, 0)
		p.rcv = e.snd
		s.say(l, p, e, segment.ACK, 0)
		s.now += int64(steps[n>>5&7+3])
	}
}

// waiting holds a small segment back until a late ACK comes.
func (s *Scene) waiting(l *lane, e, p *end, arg byte) {
	for range 1 + arg>>6 {
		s.say(l, e, p, segment.ACK, 20)
		s.now += int64(35+int(arg&63)*4) * int64(time.Millisecond)
		p.rcv = e.snd
		s.say(l, p, e, segment.ACK, 0)
		s.say(l, e, p, segment.ACK, 20)
		p.rcv = e.snd
		if arg&32 != 0 {
			s.say(l, p, e, segment.ACK, 0)
		}
		s.say(l, p, e, segment.ACK, 100)
		e.rcv = p.snd
	}
}
