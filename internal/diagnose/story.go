package diagnose

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// story is a cause as it came out against the frames.
type story struct {
	cause    string
	stands   report.Stands
	says     string
	assumes  []Assumption
	evidence []report.Evidence
	// against is what the hints say against the kernels under which it fits, in
	// decibans; kernels are those.
	against     int
	kernels     []kernel.Profile
	kernelWords string // what it assumes of the kernel; "" where nothing
	// proven: the frames, or given facts, force this course; nothing is assumed.
	proven bool
	// names are the words for the sentence of the verdict.
	verdict string
	// words, if not nil, adds what is not worded yet; see tell.
	words func(*story)
}

// tell puts into words a story that left it for later: most of what may have been is not told.
func (s *story) tell() {
	if words := s.words; words != nil {
		s.words = nil
		words(s)
	}
}

// cost is how hard the story is to believe, in decibans.
func (s *story) cost() int { return cost(s.assumes) + s.against }

// unseen: it rests on something that would have left a sign, and left none.
func (s *story) unseen() bool { return unseen(s.assumes) }

func (s *story) standing() bool { return s.stands != report.RuledOut }

// ruledOut is a story that differs from the frames, with the reading that says so.
func ruledOut(cause, says string, ev ...report.Evidence) story {
	return story{cause: cause, stands: report.RuledOut, says: says, evidence: ev}
}

// stories makes room for the stories of one question, about so many.
func (e *Engine) stories(about int) *stories {
	ss := e.mem.tales.one()
	ss.list = e.mem.stories.take(about)
	return ss
}

// stories keeps one story a cause: one that stands before one that is ruled out,
// the cheaper before the dearer.
type stories struct{ list []story }

func (ss *stories) add(s story) {
	for i := range ss.list {
		have := &ss.list[i]
		if have.cause != s.cause {
			continue
		}
		if s.standing() && (!have.standing() || s.cost() < have.cost()) {
			*have = s
		}
		return
	}
	ss.list = append(ss.list, s)
}

func (ss *stories) has(cause string) bool {
	for i := range ss.list {
		if ss.list[i].cause == cause {
			return true
		}
	}
	return false
}

// outcome is the verdict before it is put into words.
type outcome struct {
	certainty report.Certainty
	cause     string
	says      string
}

// assumeKernels words the kernels under which each story fits.
func (ss *stories) assumeKernels(v hostView) {
	for i := range ss.list {
		s := &ss.list[i]
		s.kernelWords = v.kernelWords(s.kernels)
		if s.proven && s.kernelWords != "" {
			// Not an assumption but what follows from it.
			s.evidence = append(s.evidence, note("so "+s.kernelWords))
			s.kernelWords = ""
		}
	}
}

// judge orders the stories and says how sure the best one is.
func (ss *stories) judge() outcome {
	certainty, standing := ss.weigh()
	if len(standing) == 0 {
		return outcome{report.Open, "", "No course that is modelled fits these frames."}
	}
	if certainty == report.Open {
		return outcome{report.Open, "", openWords(standing)}
	}
	best := &standing[0]
	best.tell()
	return outcome{certainty, best.cause, best.verdict}
}

// weigh is judge without its words. The stories that stand come first.
func (ss *stories) weigh() (certainty report.Certainty, standing []story) {
	ss.sort()
	n := 0
	for n < len(ss.list) && ss.list[n].standing() {
		n++
	}
	if standing = ss.list[:n]; n == 0 {
		return report.Open, nil
	}
	best := &standing[0]
	certainty = report.Open
	switch {
	case best.proven && len(best.assumes) == 0 && onlyUnseen(standing[1:]):
		certainty = report.Certain
	case best.unseen() && best.cost() >= margin:
		// Nothing speaks for an event that left no sign: it only remains.
	case best.cost() < likelyLimit && (len(standing) == 1 || standing[1].cost()-best.cost() >= margin):
		certainty = report.Likely
	}
	for i := range standing {
		standing[i].stands = report.StaysOpen
	}
	if certainty != report.Open {
		best.stands = report.Fits
	}
	return certainty, standing
}

// sort puts those that stand first, by cost, and else leaves the order. A story is large, a
// list short and nearly in order: an insertion moves least.
func (ss *stories) sort() {
	var room [32]int
	keys := room[:0]
	for i := range ss.list {
		key := math.MaxInt
		if ss.list[i].standing() {
			key = ss.list[i].cost()
		}
		at := len(keys)
		for at > 0 && keys[at-1] > key {
			at--
		}
		keys = slices.Insert(keys, at, key)
		if at < i {
			s := ss.list[i]
			copy(ss.list[at+1:i+1], ss.list[at:i])
			ss.list[at] = s
		}
	}
}

// likelyLimit is what may speak against a story that is still called likely, in
// decibans: standing before worse ones is not enough.
const likelyLimit = 13

// onlyUnseen: every rival adds an unseen event to a course that is already forced.
func onlyUnseen(rivals []story) bool {
	for i := range rivals {
		if !rivals[i].unseen() {
			return false
		}
	}
	return true
}

// openWords names those that stay close together.
func openWords(standing []story) string {
	best := standing[0].cost()
	var room [4]string
	names := room[:0]
	for i := range standing {
		if s := &standing[i]; s.cost()-best < margin && len(names) < len(room) {
			names = append(names, s.cause)
		}
	}
	if len(names) == 1 {
		return "Nothing in the capture explains it; what remains needs something that the capture does not show, " + names[0] + " first."
	}
	var text [160]byte
	b := append(text[:0], "It stays open between "...)
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			b = append(b, " and "...)
		default:
			b = append(b, ", "...)
		}
		b = append(b, name...)
	}
	return string(append(b, '.'))
}

// finding is a question with its answer, before it becomes part of a report.
type finding struct {
	mem      *scratch
	question string
	asks     string
	c        *flow.Connection
	past     []*flow.Connection
	time     int64
	frames   []uint64
	verdict  outcome
	stories  []story
	fault    report.Fault
	severity report.Severity
	settle   []report.Settle
	advice   []string
	warnings []report.Warning
	more     int // further SYNs with the same answer
	// actor is the side whose doing is asked about, for questions that may be about either.
	actor flow.Side
	// explainsEnd: how the connection ended follows from it.
	explainsEnd bool
	aftermath   []story
	// q is the question of a SYN on a four-tuple with a past; nil for any other.
	q *asked
}

// merge takes another SYN with the same answer into the finding.
func (f *finding) merge(g *finding) {
	f.more++
	f.frames = append(f.frames, g.frames...)
	for _, s := range g.aftermath {
		if !slices.ContainsFunc(f.aftermath, func(t story) bool { return t.cause == s.cause }) {
			f.aftermath = append(f.aftermath, s)
		}
	}
}

// result puts the finding into the report's terms.
func (f *finding) result(c *flow.Connection) Result {
	says := f.verdict.says
	if f.more > 0 {
		says += fmt.Sprintf(" The same goes for %d further SYN%s of this attempt.", f.more, plural(f.more))
	}
	for _, s := range f.aftermath {
		says += " " + s.verdict
	}
	out := report.Finding{
		Question: f.question, Asks: f.asks, Flow: f.mem.endpoints(c), Frames: f.frames,
		Verdict: report.Verdict{Certainty: f.verdict.certainty, Cause: f.verdict.cause, Says: says, Fault: f.fault, Severity: f.severity},
		Causes:  f.mem.causes.take(len(f.stories) + len(f.aftermath)), Settle: f.settle, Advice: f.advice, Warnings: f.warnings, Ladder: []report.Step{},
	}
	if out.Settle == nil {
		out.Settle = []report.Settle{}
	}
	if out.Advice == nil {
		out.Advice = []string{}
	}
	for _, list := range [][]story{f.stories, f.aftermath} {
		for i := range list {
			out.Causes = append(out.Causes, list[i].report(f.mem))
		}
	}
	conns := append(append(make([]*flow.Connection, 0, len(f.past)+1), f.past...), c)
	out.ConnectionIDs = make([]string, 0, len(conns))
	for _, x := range conns {
		out.ConnectionIDs = append(out.ConnectionIDs, connID(x))
	}
	f.draw(&out, conns)
	return Result{Finding: out, Connections: conns, Time: f.time, Connection: f.c.ID}
}

func (s *story) report(m *scratch) report.Cause {
	out := report.Cause{Cause: s.cause, Stands: s.stands, Says: s.says, Assumes: m.strings.take(len(s.assumes) + 1), Evidence: s.evidence}
	for _, a := range s.assumes {
		out.Assumes = append(out.Assumes, a.Says)
	}
	if s.standing() {
		out.AgainstDB = s.cost()
	}
	if s.standing() && s.kernelWords != "" {
		out.Assumes = append(out.Assumes, s.kernelWords)
	}
	if out.Evidence == nil {
		out.Evidence = []report.Evidence{}
	}
	for i := range out.Evidence {
		if out.Evidence[i].Frames == nil {
			out.Evidence[i].Frames = []uint64{}
		}
	}
	return out
}

// decimal writes a number, such as that of a frame.
func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// evidence words a reading of the model with the frames it rests on.
func evidence(r kernel.Reading, source string, frames ...uint64) report.Evidence {
	return report.Evidence{Says: r.Because(), Answer: r.Answer.String(), Frames: frameList(frames...), Source: source}
}

// note is evidence that is a plain observation.
func note(says string, frames ...uint64) report.Evidence {
	return report.Evidence{Says: says, Answer: kernel.Yes.String(), Frames: frameList(frames...)}
}

// noteNo is an observation that speaks against.
func noteNo(says string, frames ...uint64) report.Evidence {
	return report.Evidence{Says: says, Answer: kernel.No.String(), Frames: frameList(frames...)}
}
