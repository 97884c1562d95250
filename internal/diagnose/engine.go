// Package diagnose turns the attempts that package flow raises into questions,
// and answers them: each cause is a story that the kernel model is run under, and
// whose prediction is held against the frames. What differs rules a story out;
// what it assumes says how far it is believed.
package diagnose

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Hosts is what package flow remembers of addresses.
type Hosts interface {
	Host(segment.Addr) (flow.Host, bool)
	Closings(server, client segment.Addr) []flow.TimeWait
}

// Capture is what must be known of the capture as a whole.
type Capture struct {
	// Last is the time of its last packet in nanoseconds.
	Last int64
	// SetBack is how far behind a time that it had shown its clock ever was, in nanoseconds.
	SetBack int64
	// Misses: the capture itself reports that it lost frames or was cut.
	Misses bool
	// Timeless: it is a text without times; the order of its frames is all that they tell.
	Timeless bool
	// Connections is how many connections it holds.
	Connections uint64
}

// Engine collects attempts and answers them: at the end (Answer), when all that the
// capture tells of the hosts is known, or as they become sure (Settle).
type Engine struct {
	facts    *Facts
	hosts    Hosts
	capture  Capture
	mem      *scratch
	asked    []*flow.Connection
	troubled []*flow.Connection
	// askedTurns and troubledTurns say of each of those when it may be answered.
	askedTurns, troubledTurns []turn
	settled                   settled
	room                      room
	notes                     notes
	// openingTold are the connections whose opening has its finding, or its own question.
	openingTold map[uint64]bool
	// stuck are the connections whose handshake hangs, asked names for each
	// connection that is the past of an attempt the frame of that attempt's first SYN.
	stuck    map[uint64]bool
	reopened map[uint64]uint64
	// strays are, by connection, the answers to an attempt that come from other addresses,
	// twins the other direction of one, taken the ids of both.
	strays map[uint64][]*flow.Connection
	twins  map[uint64]*flow.Connection
	// sides are, by connection, what the same connection is on the other side of a box that
	// translates it, as far as the capture shows both.
	sides map[uint64]*flow.Connection
	// untranslated are, by a connection that is a few stray segments, the one they belong to.
	untranslated map[uint64]*flow.Connection
	// crossed are, by the first attempt, the attempts of the other end on the same four-tuple.
	crossed  map[uint64]*flow.Connection
	taken    map[uint64]bool
	inherits map[segment.Addr]inheritance
	// lastOpened is, for each listener, the last frame of a handshake behind which the
	// capture ends.
	lastOpened map[segment.Endpoint]uint64
	// candidates are the kernels that an unknown host may run; alike groups those
	// that the model cannot tell apart.
	candidates []kernel.Profile
	alike      [][]int
	// What was worked out once: see suspects.go and dating.go.
	suspects map[signs]*kernels
	answers  map[kernel.Consulted]set
	lists    map[set][]kernel.Profile
	listed   map[*kernel.Profile]set
	keepers  [2]*keepers
	shown    map[segment.Addr]shown
	lookup   lookup
	replays  replays
}

// inheritance is an address that was seen to keep the ISN that TIME_WAIT chose.
type inheritance struct {
	frame uint64
	b     *kernel.Behaviour
}

// New returns an engine that knows the given facts.
func New(facts *Facts, hosts Hosts) *Engine {
	c := kernel.Candidates()
	return &Engine{
		facts: facts, hosts: hosts, mem: &scratch{}, candidates: c, alike: kernel.Alike(c, modelled()),
		inherits: map[segment.Addr]inheritance{}, lastOpened: map[segment.Endpoint]uint64{},
		openingTold: map[uint64]bool{}, stuck: map[uint64]bool{}, reopened: map[uint64]uint64{}, settled: settled{told: map[uint64]bool{}},
	}
}

// Ask takes an attempt that raised a question. It keeps c.
func (e *Engine) Ask(c *flow.Connection) {
	if !e.room.take(c) {
		return
	}
	e.asked, e.askedTurns = append(e.asked, c), append(e.askedTurns, turn{})
	e.follow(c)
}

// Trouble takes a connection whose life or end calls for a reason. It keeps c.
func (e *Engine) Trouble(c *flow.Connection) {
	if !e.room.take(c) {
		return
	}
	e.troubled, e.troubledTurns = append(e.troubled, c), append(e.troubledTurns, turn{})
}

// Result is one finding and the connections that it names.
type Result struct {
	Finding     report.Finding
	Connections []*flow.Connection
	// Time is that of the first frame asked about, Connection the one that is asked about:
	// results are sorted by both.
	Time       int64
	Connection uint64
}

// Compare is the order of results.
func (r *Result) Compare(o *Result) int {
	return cmp.Or(cmp.Compare(r.Time, o.Time), cmp.Compare(r.Connection, o.Connection))
}

// Answer answers everything that was asked and not answered by Settle, sorted by the time of
// the first frame asked about, then by connection. It is called once, last.
func (e *Engine) Answer(capture Capture) []Result {
	out := e.answer(capture, math.MaxInt64, !e.settled.used && capture.Connections <= FewConnections)
	e.settled.findings = nil
	return out
}

// answer answers whose turn has come at a time; with each, every connection that was handed over
// gets a word, if only that nothing is wrong with it.
func (e *Engine) answer(capture Capture, now int64, each bool) []Result {
	return e.results(e.find(capture, now, each))
}

// find is answer before its findings are put in order.
func (e *Engine) find(capture Capture, now int64, each bool) []*finding {
	e.prepare(capture)
	a := answering{e: e, now: now, findings: e.settled.findings}
	before := len(a.findings)
	for i := range e.asked {
		a.attempt(i)
	}
	for i := range e.troubled {
		a.life(i)
	}
	if each {
		a.quiet()
	}
	e.settled.findings = a.findings
	return a.findings[before:]
}

// prepare works out what answers need of all connections together.
func (e *Engine) prepare(capture Capture) {
	e.capture = capture
	clear(e.lastOpened)
	clear(e.shown)
	for _, c := range e.asked {
		e.learn(c)
		if at := c.Ends[flow.Listener].Endpoint; e.endsAtHandshake(c) {
			e.lastOpened[at] = max(e.lastOpened[at], c.LastSeen.Frame)
		}
	}
	e.pair()
	e.noteReopened()
}

// answering is one round of answers.
type answering struct {
	e        *Engine
	now      int64
	findings []*finding
	// give, if not nil, takes each finding that no other one changes any more, instead of findings.
	give func(*finding)
}

// add takes what was found about c.
func (a *answering) add(c *flow.Connection, fs []*finding) {
	e := a.e
	for _, f := range fs {
		e.settled.told[c.ID] = true
		if e.sameOnOtherSide(f, a.findings) {
			continue
		}
		for _, p := range f.past {
			e.settled.told[p.ID] = true
		}
		if a.give != nil && e.sides[f.c.ID] == nil {
			a.give(f)
		} else {
			a.findings = append(a.findings, f)
		}
		if f.question == "connect-stuck" {
			e.stuck[c.ID] = true
		}
	}
}

// attempt answers the i-th attempt.
func (a *answering) attempt(i int) {
	e, c := a.e, a.e.asked[i]
	if !e.askedTurns[i].take(a.now) || e.taken[c.ID] {
		return
	}
	if len(e.strays[c.ID]) > 0 || e.crossed[c.ID] != nil {
		a.add(c, e.explainLife(c))
		return
	}
	fs := e.explain(c)
	if len(fs) > 0 || c.Previous != nil && hasPast(c.Previous) {
		e.openingTold[c.ID] = true
	}
	a.add(c, fs)
}

// life answers for the life of the i-th connection that shows trouble.
func (a *answering) life(i int) {
	e, c := a.e, a.e.troubled[i]
	if e.troubledTurns[i].take(a.now) && !e.taken[c.ID] && (len(e.strays[c.ID]) == 0 && e.crossed[c.ID] == nil || !e.settled.told[c.ID]) {
		a.add(c, e.explainLife(c))
	}
}

// quiet tells that nothing is wrong with those of which nothing else is told.
func (a *answering) quiet() {
	for _, c := range a.e.troubled {
		if !a.e.settled.told[c.ID] && !a.e.taken[c.ID] {
			a.add(c, []*finding{a.e.newLife(c).plain()})
		}
	}
}

// results puts findings in order and gives them ids, which go on from those given before.
func (e *Engine) results(findings []*finding) []Result {
	order := slices.Clone(findings)
	slices.SortStableFunc(order, func(a, b *finding) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.c.ID, b.c.ID))
	})
	out := make([]Result, len(order))
	for i, f := range order {
		out[i] = f.result(f.c)
		e.settled.given++
		out[i].Finding.ID = "f" + strconv.FormatUint(e.settled.given, 10)
	}
	return out
}

// explains tells whether a RST belongs to what another finding explains: it came
// to what an old connection left, when the four-tuple was opened again or both ends
// had closed.
func (e *Engine) explains(c *flow.Connection, q *resetCase) bool {
	at, ok := e.reopened[c.ID]
	return ok && (q.r.Frame >= at || q.xFIN && q.yFIN)
}

// learn notes hosts that answer a SYN in TIME_WAIT with the inherited ISN: that
// dates their kernel for every other finding.
func (e *Engine) learn(c *flow.Connection) {
	if c.Previous == nil || !c.Ends[flow.Listener].ISN.Seen() || c.Relative || c.Previous.Relative {
		return
	}
	s := sideOf(c.Previous, c.Ends[flow.Listener].Endpoint)
	var was flow.Connection
	asOfInto(&was, c.Previous, c.First.Frame)
	n := numbersOf(&was, s, c.First.Frame)
	if want := kernel.InheritedISN(n.sndNxt); !want.Known || want.Num != c.Ends[flow.Listener].ISN.Num {
		return
	}
	b := &kernel.KeepsISN
	a := c.Ends[flow.Listener].Addr
	if !a.Is4() {
		b = &kernel.KeepsISN6
	}
	if _, ok := e.inherits[a]; !ok {
		e.inherits[a] = inheritance{c.Ends[flow.Listener].ISN.Frame, b}
	}
}

// sideOf returns which side of c an endpoint is.
func sideOf(c *flow.Connection, e segment.Endpoint) flow.Side {
	if c.Ends[flow.Opener].Endpoint == e {
		return flow.Opener
	}
	return flow.Listener
}

// explain answers one attempt: a finding for each kind of answer that its SYNs
// got.
func (e *Engine) explain(c *flow.Connection) []*finding {
	if f := e.rewrittenNumbers(c); f != nil {
		return []*finding{f}
	}
	if c.Previous == nil || !hasPast(c.Previous) {
		return e.explainOpening(c)
	}
	rounds := roundsOf(c)
	var out []*finding
	for i := range rounds {
		if i > 0 && rounds[i].repeats(&rounds[i-1]) {
			continue
		}
		q := e.ask(c, rounds, i)
		f := q.answer()
		if f == nil {
			continue
		}
		f.q = q
		if same := findSame(out, f); same != nil {
			same.merge(f)
			continue
		}
		out = append(out, f)
		if t := q.takenOver(f); t != nil {
			out = append(out, t)
		}
	}
	return out
}

// hasPast: an attempt that got no answer at all leaves nothing at the listener.
func hasPast(p *flow.Connection) bool {
	return !leftNothing(p) || p.Previous != nil && hasPast(p.Previous)
}

func findSame(fs []*finding, f *finding) *finding {
	for _, g := range fs {
		if g.question == f.question && g.verdict.cause == f.verdict.cause && g.verdict.certainty == f.verdict.certainty {
			return g
		}
	}
	return nil
}

// endpoints words the two ends of an attempt.
func (m *scratch) endpoints(c *flow.Connection) report.Flow {
	word := func(s flow.Side) string {
		var room [64]byte
		return m.text(appendEndpoint(room[:0], c.Ends[s].Endpoint))
	}
	return report.Flow{Client: word(flow.Opener), Server: word(flow.Listener)}
}

func connID(c *flow.Connection) string { return "c" + strconv.FormatUint(c.ID, 10) }
