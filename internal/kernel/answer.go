// Package kernel models what a Linux kernel answers to a TCP segment: rules as
// data, three answers, and a trace of every question that was asked.
//
// A rule holds for a state of a socket; the rules of one state stand in one
// list, in the order in which the kernel tries them (packages timewait, listen,
// live and connect). What changed between versions is a Behaviour. The package
// knows no files, clocks or captures: time and segments are arguments.
package kernel

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Answer is yes, no or unknown. Unknown is the zero value.
type Answer uint8

// The three answers.
const (
	Unknown Answer = iota
	No
	Yes
)

// String prints the answer in lower case.
func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[a] }

// Not turns yes into no and back; unknown stays unknown.
func (a Answer) Not() Answer { return [...]Answer{Unknown, Yes, No}[a] }

// If returns Yes where b holds, else No.
func If(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

// Fact is something about a host that a segment does not show. Its text is the
// name under which a person can give it: "kernel", or the name of a sysctl.
type Fact string

// The facts that a rule may miss.
const (
	FactKernel         Fact = "kernel"
	FactTimestamps     Fact = "net.ipv4.tcp_timestamps"
	FactRFC1337        Fact = "net.ipv4.tcp_rfc1337"
	FactRateLimit      Fact = "net.ipv4.tcp_invalid_ratelimit"
	FactChallengeLimit Fact = "net.ipv4.tcp_challenge_ack_limit"
	FactTWRecycle      Fact = "net.ipv4.tcp_tw_recycle"
	FactTWReuse        Fact = "net.ipv4.tcp_tw_reuse"
	FactFinTimeout     Fact = "net.ipv4.tcp_fin_timeout"
	FactMaxTWBucket    Fact = "net.ipv4.tcp_max_tw_buckets"
	FactSynCookies     Fact = "net.ipv4.tcp_syncookies"
	FactAbort          Fact = "net.ipv4.tcp_abort_on_overflow"
	FactListener       Fact = "whether somebody listens"
	FactAcceptQueue    Fact = "whether the accept queue was full"
	FactRcvNxt         Fact = "rcv_nxt"
	FactSndNxt         Fact = "snd_nxt"
	FactRcvWnd         Fact = "the last advertised window"
	FactTSRecent       Fact = "ts_recent"
	FactLastACK        Fact = "when the last limited ACK was sent"
	FactChallenges     Fact = "how many challenge ACKs the host has sent this second"
	// Of a connection that lives.
	FactSndUna     Fact = "snd_una"
	FactPeerWindow Fact = "the peer's window, and the segment that announced it"
	FactMaxWindow  Fact = "the peer's largest window, and how many bytes it has acknowledged"
	FactRTO        Fact = "the retransmission timeout"
	FactOrphan     Fact = "whether the application has closed the socket"
	FactUnread     Fact = "whether the application has read everything"
	FactAhead      Fact = "what has arrived beyond a hole"
	FactFastPath   Fact = "whether the segment takes the fast path"
	FactSACK       Fact = "whether SACK was negotiated"
)

// Reading is the answer of one clause, with the numbers it used. Where the
// answer is Unknown, Missing names the fact that would decide it.
type Reading struct {
	Answer  Answer
	Missing Fact
	// The words are put together only when somebody reads them: a story asks a
	// hundred clauses and tells three.
	format string
	args   []any
	// What most readings use is kept by itself and needs no memory of its own: a sixth of all the pieces of memory that
	// findings took was for such arguments. profile and behaviour are the words' two arguments where Has made the
	// reading, nums those of a reading by Compare, flags that of one by Flagged.
	profile   *Profile
	behaviour *Behaviour
	kind      wordsKind
	flags     segment.Flags
	nums      [3]seq.Num
}

// wordsKind tells which arguments a reading's words have.
type wordsKind uint8

const (
	wordsOfArgs wordsKind = iota
	wordsOfHas
	wordsOfFlags
	wordsOfNums
)

// Because puts the reading into words.
func (r Reading) Because() string {
	switch r.kind {
	case wordsOfHas:
		return fmt.Sprintf(r.format, r.profile, r.behaviour.Says)
	case wordsOfFlags:
		return fmt.Sprintf(r.format, r.flags)
	case wordsOfNums:
		return r.numberWords()
	case wordsOfArgs:
	}
	if len(r.args) == 0 {
		return r.format
	}
	return fmt.Sprintf(r.format, r.args...)
}

// numberWords is fmt.Sprintf of the reading's numbers, for %s and %[1]s: four times as fast, and of all
// readings that are told most are of this kind.
func (r *Reading) numberWords() string {
	var room [160]byte
	b, rest, next := room[:0], r.format, 0
	for {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return string(append(b, rest...))
		}
		b, rest = append(b, rest[:i]...), rest[i+1:]
		if len(rest) > 2 && rest[0] == '[' {
			next, rest = int(rest[1]-'1'), rest[3:]
		}
		b = strconv.AppendUint(b, uint64(r.nums[next].Uint32()), 10)
		next, rest = next+1, rest[1:] // behind the s
	}
}

// String is Because, so that a reading may stand within the words of another.
func (r Reading) String() string { return r.Because() }

// Read returns a reading with its words, which are formatted only on demand.
// Without args the format stands as it is.
func Read(a Answer, format string, args ...any) Reading {
	return Reading{Answer: a, format: format, args: args}
}

// YesIf returns a reading that is yes or no.
func YesIf(b bool, format string, args ...any) Reading { return Read(If(b), format, args...) }

// Compare is YesIf for words about two or three numbers, which the format names by %s or %[1]s.
func Compare(b bool, format string, nums ...seq.Num) Reading {
	r := Reading{Answer: If(b), format: format, kind: wordsOfNums}
	copy(r.nums[:], nums)
	return r
}

// Undecided is Missing for words about numbers, as Compare has them.
func Undecided(f Fact, format string, nums ...seq.Num) Reading {
	r := Compare(false, format, nums...)
	r.Answer, r.Missing = Unknown, f
	return r
}

// Flagged is YesIf for words that name the flags which decide.
func Flagged(b bool, f segment.Flags) Reading {
	return Reading{Answer: If(b), format: "flags %s", kind: wordsOfFlags, flags: f}
}

// Missing returns an unknown reading and the fact that would decide it.
func Missing(f Fact, format string, args ...any) Reading {
	r := Read(Unknown, format, args...)
	r.Missing = f
	return r
}

// Not turns a reading round; its words stay.
func (r Reading) Not() Reading {
	r.Answer = r.Answer.Not()
	return r
}

// Not turns a condition round; its words stay.
func Not[C any](says string, ask func(*C) Reading) Clause[C] {
	return Clause[C]{Says: says, Ask: func(c *C) Reading {
		r := ask(c)
		r.Answer = r.Answer.Not()
		return r
	}}
}

// Num is a wrapping number that a model may not know. The zero value is unknown.
type Num struct {
	seq.Num
	Known bool
}

// Known returns a known number.
func Known(n seq.Num) Num { return Num{n, true} }

// Rule is what a kernel does with a case of type C, if all its clauses hold; O
// is what then follows. Rules are values: their explanation is never written a
// second time.
type Rule[C, O any] struct {
	ID   string // kebab-case, unique within its state
	Says string // one sentence
	From string // the kernel function it mirrors, or the RFC
	When []Clause[C]
	Then func(*C) O
}

// Clause is one condition of a rule.
type Clause[C any] struct {
	Says string
	Ask  func(*C) Reading
}

// Asked is one rule of a trace: what was asked and what each clause said.
// Clauses after the first "no" are not asked, as in the kernel.
type Asked struct {
	Rule     string
	Says     string
	From     string
	Answer   Answer
	Clauses  []string
	Readings []Reading
}

// Decision is what a list of rules says of a case. With every fact known
// Possible holds exactly one outcome; each fact that is missing may add others.
type Decision[O any] struct {
	Possible []O
	Trace    []Asked
}

// Sure returns the only possible outcome; ok is false where a missing fact
// leaves several, or where no rule speaks.
func (d Decision[O]) Sure() (o O, ok bool) {
	if len(d.Possible) == 1 {
		return d.Possible[0], true
	}
	return o, false
}

// Missing lists the facts that the trace missed, each once, in order.
func (d Decision[O]) Missing() []Fact {
	var out []Fact
	seen := map[Fact]bool{}
	for _, a := range d.Trace {
		for _, r := range a.Readings {
			if r.Answer == Unknown && r.Missing != "" && !seen[r.Missing] {
				seen[r.Missing] = true
				out = append(out, r.Missing)
			}
		}
	}
	return out
}

// Decide asks the rules in order and stops at the first that surely fires. A
// rule that may fire adds its outcome and the next one is asked.
func Decide[C, O any](rules []*Rule[C, O], c *C) Decision[O] {
	var d Decision[O]
	for _, r := range rules {
		a := r.ask(c)
		d.Trace = append(d.Trace, a)
		if a.Answer == No {
			continue
		}
		d.Possible = append(d.Possible, r.Then(c))
		if a.Answer == Yes {
			break
		}
	}
	return d
}

// AppendOutcomes is Decide without the trace: what is possible, for who asks a hundred kernels and
// tells of one. The trace is nine tenths of what a decision costs.
func AppendOutcomes[C, O any](out []O, rules []*Rule[C, O], c *C) []O {
	for _, r := range rules {
		a := r.answer(c)
		if a == No {
			continue
		}
		out = append(out, r.Then(c))
		if a == Yes {
			break
		}
	}
	return out
}

// answer is ask without the trace.
func (r *Rule[C, O]) answer(c *C) Answer {
	a := Yes
	for i := range r.When {
		switch r.When[i].Ask(c).Answer {
		case No:
			return No
		case Unknown:
			a = Unknown
		case Yes:
		}
	}
	return a
}

// ask asks the clauses until one says no. Yes only if all do.
func (r *Rule[C, O]) ask(c *C) Asked {
	a := Asked{Rule: r.ID, Says: r.Says, From: r.From, Answer: Yes,
		Clauses: make([]string, 0, len(r.When)), Readings: make([]Reading, 0, len(r.When))}
	for _, cl := range r.When {
		rd := cl.Ask(c)
		a.Clauses = append(a.Clauses, cl.Says)
		a.Readings = append(a.Readings, rd)
		switch rd.Answer {
		case No:
			a.Answer = No
			return a
		case Unknown:
			a.Answer = Unknown
		case Yes:
		}
	}
	return a
}
