package diagnose

import (
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// scratch is memory for what lives as long as one answer: where results are not kept (Worker.Answer)
// it is used again for the next one. A finding takes some 25 KB in 250 pieces; to collect that as
// garbage, and to touch fresh memory for it, took as long as to find it out. What outlives an answer (what the
// engine remembers, Result.Connections, ids) must not be put here. The zero value is ready.
type scratch struct {
	conns    slab[flow.Connection]
	frames   slab[flow.Frame]
	holdings slab[holding]
	stories  slab[story]
	causes   slab[report.Cause]
	tws      slab[timewait.Case]
	lives    slab[live.Case]
	segments slab[segment.Segment]
	askeds   slab[asked]
	findings slab[finding]
	lifes    slab[life]
	resets   slab[resetCase]
	tales    slab[stories]
	assumed  slab[Assumption]
	evidence slab[report.Evidence]
	hints    slab[hint]
	nums     slab[uint64]
	settles  slab[report.Settle]
	strings  slab[string]
	rungs    slab[rung]
	steps    slab[report.Step]
	fields   slab[fieldsRoom]
	spans    slab[report.Span]
	lanes    slab[report.Lane]
	traits   slab[trait]
	rings    slab[ringRoom]
	points   slab[report.ClockPoint]
	texts    slab[byte]
	outcomes []timewait.Outcome // of the decision that is read at the moment
	samples  []flow.TSSample    // of the clock that is drawn at the moment
	// What stays.
	dates dateCache
	whys  map[[2]string]string // see named
}

// reset forgets everything.
func (m *scratch) reset() {
	m.conns.reset()
	m.frames.reset()
	m.holdings.reset()
	m.stories.reset()
	m.causes.reset()
	m.tws.reset()
	m.lives.reset()
	m.segments.reset()
	m.askeds.reset()
	m.findings.reset()
	m.lifes.reset()
	m.resets.reset()
	m.tales.reset()
	m.assumed.reset()
	m.evidence.reset()
	m.hints.reset()
	m.nums.reset()
	m.settles.reset()
	m.strings.reset()
	m.rungs.reset()
	m.steps.reset()
	m.fields.reset()
	m.spans.reset()
	m.lanes.reset()
	m.traits.reset()
	m.rings.reset()
	m.points.reset()
	m.texts.reset()
}

// text keeps a copy of b as a string.
func (m *scratch) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	t := append(m.texts.take(len(b)), b...)
	return unsafe.String(&t[0], len(t))
}

// time is report.FormatTime.
func (m *scratch) time(ns int64) string {
	var room [32]byte
	return m.text(m.dates.append(room[:0], ns))
}

// assume makes a list of assumptions, without room for more.
func (m *scratch) assume(as ...Assumption) []Assumption {
	return append(m.assumed.take(len(as)), as...)
}

// proof makes a list of evidence, without room for more.
func (m *scratch) proof(ev ...report.Evidence) []report.Evidence {
	return append(m.evidence.take(len(ev)), ev...)
}

// slab hands out pieces of one list.
type slab[T any] struct {
	room []T
	used int
}

// take returns an empty list with room for n. Appending more than that moves it elsewhere.
func (s *slab[T]) take(n int) []T {
	if s.used+n > len(s.room) {
		// Who has a piece of the old list keeps it.
		s.room, s.used = make([]T, max(n, min(2*len(s.room), s.fits(slabMost)), s.fits(slabLeast))), 0
	}
	out := s.room[s.used : s.used : s.used+n]
	s.used += n
	return out
}

// one returns a value that is zero.
func (s *slab[T]) one() *T { return &s.take(1)[:1][0] }

// The sizes of lists, in bytes: the first one's, and what they double up to.
const slabLeast, slabMost = 1536, 128 << 10

// fits is how many lie in so many bytes.
func (s *slab[T]) fits(bytes uintptr) int {
	var x T
	return max(1, int(bytes/unsafe.Sizeof(x)))
}

func (s *slab[T]) reset() {
	clear(s.room[:s.used])
	s.used = 0
}
