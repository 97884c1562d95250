// Package flow splits the segments of a capture into four-tuples, and each
// four-tuple into connections, one per incarnation: what each end's kernel must
// remember, as far as the capture shows it.
//
// It is the hot path: nothing is allocated per segment, and a connection is a
// packed record outside the Go heap (record.go) which becomes a Connection only
// when it is handed out (view.go); an ordinary one is not even that (brief.go).
package flow

import (
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Config is how a Table works.
type Config struct {
	// Keep is how long an attempt, or a four-tuple that has closed, is remembered after its last
	// segment; 0 means 240 s: four times Linux's TIME_WAIT, and RFC 9293's 2 MSL.
	Keep time.Duration
	// KeepEnded is how long a connection is remembered that both ends have
	// closed, or that was reset; 0 means Keep.
	KeepEnded time.Duration
	// LinesOnly: only lines about connections are wanted. Asked and Troubled are never called,
	// and Host and Closings know nothing. What Ended gets has no Frames, no
	// Duplicates, no Troubles, no Silence, and in its Ends no BeforeEnd, LongestAcked, RcvNxt, TSEcr, FINAcked, FirstTSVal, FirstTSEcr,
	// round trips or Retransmits, and no times in ISN, SndNxt, FIN and FINAck.
	LinesOnly bool
	// AskedOnly: Ended is never called.
	AskedOnly bool
	// TellFirst: Troubled is called for this many of the first connections, whatever they show.
	TellFirst uint64
	// MaxBytes bounds the memory that the table takes, 0: no bound. Beyond it, what was
	// silent longest is forgotten: see Forgotten. Less than 8 MiB counts as that.
	MaxBytes int64
}

const defaultKeep = 240 * time.Second

// Sink takes what a Table finds out.
type Sink interface {
	// Ended is called once for each connection, in the order in which they end;
	// those still alive at the end of the capture come last, in the order of
	// their first frame. It is called when a late packet can hardly come any
	// more: Config.KeepEnded after the end. c is valid during the call only. Its Previous is nil.
	Ended(c *Connection)
	// Asked is called for each attempt that raises a question, once it is
	// settled. c and its Previous chain are copies that the callee may keep.
	Asked(c *Connection)
	// Troubled is called for each connection whose life or end calls for a reason,
	// once it is over or forgotten: resets, a close that never completed, repeats that
	// came late, closed windows, a handshake that had to be repeated. c is a copy that
	// the callee may keep; its Previous is nil.
	Troubled(c *Connection)
}

// Table holds the connections of a capture. It is not safe for concurrent use.
// Close must be called to give its memory back.
type Table struct {
	sink                 Sink
	keep, keepEnded      int64
	linesOnly, askedOnly bool
	tellFirst            uint64
	seed                 [3]uint64

	mem     *arena // given back by Close
	lasting *arena // what is remembered of hosts: given back with the Table
	index   index
	records slab[record]
	deeps   slab[deep] // of the records, by their numbers
	extras  slab[extra]
	rares   slab[rare]
	blocks  slab[frameBlock]
	queue   queue

	// Connections that are not worth a record yet: see brief.go.
	briefly      bool  // there may be new ones
	reliving     bool  // segments of a brief are read back
	relivingAt   int64 // the time at which they are
	places       []place
	place        uint16 // the one that was asked for last
	here         place  // the same
	neverRecords uint64 // connections that are, or were up to their end, briefs
	briefs       slab[brief]
	shortNotes   slab[shortNotes]
	longNotes    slab[longNotes]
	cold         coldLog
	past         index     // of the cold ones: those that are open have an index that stays small
	fresh        [16]fresh // what past lacks still: the first nFresh
	nFresh       int

	now   int64  // time of the segment in work
	frame uint64 // highest frame number so far
	due   int64  // when the queue must be looked at

	connections uint64
	refused     uint64
	orphans     int
	hosts       hosts
	closings    closings
	closed      bool

	observed Observed

	forgotten Forgotten
	working   key                            // the four-tuple of the segment in work, where there is a bound
	hand      struct{ brief, record uint32 } // where the search for silent ones goes on

	probes  [batchSize]probe
	lines   [3 * batchSize]uintptr // cache lines to be asked for
	syns    [batchSize]uint8       // which segments of the batch are SYNs or SYN-ACKs: nSyns of them
	nSyns   int
	scratch Connection // for Ended
	nowhere deep       // with linesOnly, every record's
}

// Overflow counts what was left out because a bound or the memory was reached.
type Overflow struct {
	// Segments could not be entered for lack of memory.
	Segments uint64
	// Hosts are SYNs and SYN-ACKs of addresses that were not taken in because
	// there are too many.
	Hosts uint64
}

// NewTable returns an empty table that reports to sink.
func NewTable(cfg Config, sink Sink) *Table {
	t := &Table{sink: sink, keep: int64(cfg.Keep), keepEnded: int64(cfg.KeepEnded), linesOnly: cfg.LinesOnly, askedOnly: cfg.AskedOnly, tellFirst: cfg.TellFirst, due: math.MaxInt64}
	if t.keep <= 0 {
		t.keep = int64(defaultKeep)
	}
	if t.keepEnded <= 0 {
		t.keepEnded = t.keep
	}
	for i := range t.seed {
		t.seed[i] = rand.Uint64() | 1
	}
	t.mem, t.lasting = new(arena), new(arena)
	runtime.AddCleanup(t, (*arena).drop, t.mem)
	runtime.AddCleanup(t, (*arena).drop, t.lasting)
	t.hosts.entries.mem, t.hosts.shown.mem, t.closings.mem = t.lasting, t.lasting, t.lasting
	t.records.mem, t.deeps.mem, t.extras.mem, t.rares.mem, t.blocks.mem, t.queue.blocks.mem = t.mem, t.mem, t.mem, t.mem, t.mem, t.mem
	t.briefs.mem, t.shortNotes.mem, t.longNotes.mem, t.cold.mem = t.mem, t.mem, t.mem, t.mem
	t.briefly = cfg.AskedOnly && !cfg.LinesOnly
	t.bound(cfg.MaxBytes)
	t.index.init()
	t.past.init()
	t.past.mem = t.mem // the cold ones, which it grows with, can use it
	t.hosts.index.heap = true
	t.hosts.index.init()
	t.hosts.seed, t.closings.seed = t.seed[0], t.seed[1]
	return t
}

// Connections returns how many connections were seen so far.
func (t *Table) Connections() uint64 { return t.connections }

// Overflow returns what had to be left out so far.
func (t *Table) Overflow() Overflow {
	return Overflow{t.refused, t.hosts.refused}
}

// Observed is what a table saw of the capture as a whole.
type Observed struct {
	// Copies counts frames that were seen twice and folded. FirstCopy is the first of them.
	Copies, FirstCopy uint64
	// OneSided counts connections of more than two segments of which only one end was seen,
	// Unseen those of which an end acknowledges bytes that were never seen; both count
	// a connection when it is over or forgotten. FirstUnseen is the last frame of the first.
	OneSided, Unseen, FirstUnseen uint64
	// MidStream counts connections that were established before the capture shows them.
	MidStream uint64
	// Longest is the longest payload of a segment in bytes.
	Longest uint32
}

// copied counts a copy.
func (o *Observed) copied(frame uint64) {
	if o.Copies++; o.Copies == 1 {
		o.FirstCopy = frame
	}
}

// Observed returns what was seen so far.
func (t *Table) Observed() Observed { return t.observed }

// observe counts a connection that is over.
func (t *Table) observe(r *record) {
	if r.bits&(bitMidStream|bitNeverAsked) == bitMidStream|bitNeverAsked {
		t.observed.MidStream++
	}
	o, l := r.hasAny(Opener), r.hasAny(Listener)
	if o != l && r.hot[Opener].segs+r.hot[Listener].segs > 2 && r.state >= Established {
		t.observed.OneSided++
	}
	if r.bits&bitMidStream == 0 && o && l && (r.hot[Opener].bits|r.hot[Listener].bits)&endUnseen != 0 {
		if t.observed.Unseen++; t.observed.Unseen == 1 {
			t.observed.FirstUnseen = t.widen(r.seenFrame)
		}
	}
}

// Host returns what an address showed of its kernel so far.
func (t *Table) Host(a segment.Addr) (Host, bool) { return t.hosts.get(a) }

// Closings returns the last connections with timestamps between two addresses
// that server closed first, the most recent last: its TIME_WAIT entries towards
// client. There are at most four. Once the table is closed, several may ask at the same time; so may they Host.
func (t *Table) Closings(server, client segment.Addr) []TimeWait {
	if t.nFresh > 0 {
		t.enterPast()
	}
	return t.closings.get(server, client)
}

// Add takes in the next segments of the capture, in its order.
func (t *Table) Add(batch []segment.Segment) {
	if t.closed {
		t.refused += uint64(len(batch))
		return
	}
	for len(batch) > 0 {
		n := min(len(batch), batchSize)
		t.addBatch(batch[:n])
		batch = batch[n:]
	}
}

// add takes in a segment that does not belong to a brief that was guessed, or is not ordinary.
func (t *Table) add(s *segment.Segment, p *probe) {
	guess, n := p.guess, t.lookup(p)
	if n == 0 {
		if !t.briefly || !t.openBrief(s, p) {
			t.open(s, p, 0)
		}
		return
	}
	if n&isBrief != 0 {
		if p.guess = n; n != guess && n&kindBits == isBrief && t.briefly && t.ordinary(t.briefs.at(n&maxKind), s, p) {
			return
		}
		if n = t.unfold(n, p.hash); n == 0 {
			t.refused++
			return
		}
	}
	t.enter(n, s, p)
}

// maxDisorder is how far the clock of a capture may step back between frames, as where they
// come from several queues, before the order in which they came is not that of time any more.
const maxDisorder = int64(time.Second)

// enter takes a segment into the four-tuple of record n.
func (t *Table) enter(n uint32, s *segment.Segment, p *probe) {
	r := t.records.at(n)
	if r.plain(s) {
		t.plain(n, r, s, r.side(p.fromHigh))
		return
	}
	member := n
	if opensConnection(s.Flags) {
		if member = t.routeSYN(n, r, s, p.fromHigh); member == 0 {
			t.open(s, p, n)
			return
		}
	} else if r.ambiguous(s) && !r.firstAnswer(s, p.fromHigh) {
		fresh := false
		if member, fresh = t.route(n, r, s, p.fromHigh); fresh {
			t.open(s, p, n)
			return
		}
	}
	t.take(n, member, s, p.fromHigh)
}

func opensConnection(f segment.Flags) bool {
	return f&(segment.SYN|segment.ACK|segment.RST) == segment.SYN
}

// plain is the short way of take and absorb for what most segments are.
func (t *Table) plain(n uint32, r *record, s *segment.Segment, e Side) {
	print := fingerprint(s)
	if !t.steady(n, r, s, e, print) {
		t.unsteady(n, r, s, e, print)
	}
}

// unsteady is plain for what is not steady, but would do for any.
func (t *Table) unsteady(n uint32, r *record, s *segment.Segment, e Side, print uint32) {
	if r.duplicate(s, e, print) {
		t.countCopy(r, s)
		return
	}
	if s.Time-r.seenTime > waitFrom || r.hot[e].bits&endWatched != 0 {
		t.noteGap(n, r, s, e)
	}
	r.count(s, e)
	if !r.near(s, e) {
		t.keepFrame(r, s, e)
		return
	}
	t.update(n, r, s, e, print)
}

// countCopy counts the second copy of a frame.
func (t *Table) countCopy(r *record, s *segment.Segment) {
	t.observed.copied(s.Frame)
	if !t.linesOnly {
		if x := t.rareFor(r); x != nil {
			x.dups++
		}
	}
	r.seenFrame, r.seenTime = uint32(s.Frame), s.Time
}

// take enters a segment into the record of its incarnation, member, and keeps it
// as a frame of the current one, n, where that calls for it.
func (t *Table) take(n, member uint32, s *segment.Segment, fromHigh bool) {
	r := t.records.at(n)
	m := t.records.at(member)
	e := m.side(fromHigh)
	print := fingerprint(s)
	if m.duplicate(s, e, print) {
		t.countCopy(m, s)
		return
	}
	if s.Time-m.seenTime > waitFrom || m.hot[e].bits&endWatched != 0 {
		t.noteGap(member, m, s, e)
	}
	if s.Flags&(segment.FIN|segment.RST) != 0 && m.bits&bitEnding == 0 {
		t.noteEnding(m)
	}
	opening := r.bits&bitEstablished == 0
	// The RST of an opener that was answered with the old incarnation's numbers
	// kills the old incarnation only if it arrives: that is for the reader of
	// the frames to say.
	inert := member != n && opening && r.side(fromHigh) == Opener
	notable := t.absorb(member, m, s, e, print, inert)
	if member == n {
		if s.Flags&(segment.FIN|segment.RST) != 0 {
			r.bits |= bitEnding
		}
	} else {
		notable = false
	}
	past := r.bits&bitPast != 0
	if notable || r.bits&bitEnding != 0 || past && (opening || r.after < framesAfter) {
		t.keepFrame(r, s, r.side(fromHigh))
	}
	if !past {
		return
	}
	if !opening && r.after < framesAfter {
		r.after++
	}
	if r.bits&(bitAsked|bitNeverAsked) == 0 && (r.over() || r.after >= askedAfter) {
		t.ask(n, r)
	}
}

const (
	// framesAfter is how many frames after the handshake a connection with a past keeps.
	framesAfter = 6
	// askedAfter is how many frames after the handshake show that it holds.
	askedAfter = 4
)

// open enters a new connection that begins with segment s; prev is the record
// that its four-tuple has so far.
func (t *Table) open(s *segment.Segment, p *probe, prev uint32) {
	n, r := t.newRecord()
	if r == nil || prev == 0 && !t.index.insert(p.hash, n) {
		if r != nil {
			t.records.release(n)
		}
		t.refused++
		return
	}
	t.connections++
	k := p.key()
	r.lo, r.hi, r.loPort, r.hiPort = k.lo, k.hi, k.loPort, k.hiPort
	r.bits = bitLive
	r.id, r.firstFrame, r.firstTime = t.connections, s.Frame, s.Time
	if prev != 0 {
		t.supersede(prev)
		r.bits |= bitPast
		r.prev = prev
		t.index.replace(p.hash, prev, n)
		t.limitChain(r)
	}
	t.begin(n, r, s, p.fromHigh)
}

// nfs is the service whose clients open from ports below its own (bindresvport).
const nfs = 2049

// reservedOpener tells whether the lower of two ports is rather the opener's.
func reservedOpener(a, b uint16) bool {
	return a == nfs && b < 1024 || b == nfs && a < 1024
}

// begin sets a new record up by its first segment.
func (t *Table) begin(n uint32, r *record, s *segment.Segment, fromHigh bool) {
	openerHigh := fromHigh
	switch {
	case opensConnection(s.Flags):
	case s.Flags&(segment.SYN|segment.RST) == segment.SYN:
		r.bits |= bitMidStream
		openerHigh = !fromHigh
	default:
		r.bits |= bitMidStream | bitNeverAsked
		if r.loPort != r.hiPort {
			openerHigh = (r.hiPort > r.loPort) != reservedOpener(r.loPort, r.hiPort)
		}
	}
	if openerHigh {
		r.bits |= bitSwap
	}
	e := r.side(fromHigh)
	r.count(s, e)
	switch {
	case r.bits&bitMidStream == 0:
		r.state = SynOnly
		t.noteStart(n, r, s, e)
		t.noteHost(s)
		t.enqueue(n, r, 0)
	case r.bits&bitNeverAsked == 0:
		r.state = SynAcked
		t.implyISN(n, r, s, e.Other())
		t.noteStart(n, r, s, e)
		t.noteHost(s)
		t.enqueue(n, r, 0)
	default:
		t.establish(n, r)
	}
	if s.Flags&segment.RST != 0 {
		t.noteRST(r, s, e)
	}
	t.update(n, r, s, e, fingerprint(s))
	t.advance(n, r, s, e, false)
	if s.Flags&(segment.FIN|segment.RST) != 0 && !opensConnection(s.Flags) {
		r.bits |= bitEnding
	}
	if r.bits&(bitPast|bitEnding) != 0 {
		t.keepFrame(r, s, e)
	}
}
