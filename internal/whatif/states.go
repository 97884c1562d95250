package whatif

import (
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/connect"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// state is one that can be asked about.
type state struct {
	name, says string
	keys       []string // its settings
	// takes tells for which segments the state has rules, and only says so in
	// words; nil: no segment arrives, a connect() is asked about.
	takes func(segment.Flags) bool
	only  string
	// tsKeys are the settings that stand for kernel.FactTSRecent.
	tsKeys string
	// timed: a socket waits there, whose timers can be asked about.
	timed  bool
	decide func(*Question) []Stage
}

// StateHelp describes a state to a person.
type StateHelp struct {
	Name, Says string
	Keys       []string
}

const deciding = segment.SYN | segment.ACK | segment.RST

func every(segment.Flags) bool     { return true }
func bareSYN(f segment.Flags) bool { return f&deciding == segment.SYN }

const onlyBareSYN = "a SYN without ACK and RST"

var (
	liveKeys     = []string{"rcv_nxt", "snd_nxt", "rcv_wnd", "wscale", "ts_recent", "last_ack"}
	timeWaitKeys = slices.Concat(liveKeys, []string{"ts_stored", "rto"}, announceKeys)
	finWait2Keys = append(slices.Clone(liveKeys), "ts_stored", "rto")
	connKeys     = append(slices.Clone(liveKeys), "snd_una", "snd_wl1", "peer_wnd", "max_window", "bytes_acked", "rto", "orphan", "unread", "sack", "memory", "ahead", "ahead_end", "challenges")
	synRecvKeys  = append(slices.Clone(liveKeys), "isn", "irs", "first_tsval", "last_tsval", "challenges")
	listenKeys   = slices.Concat([]string{"gate_ts", "gate_stored", "gate_other", "left_isn"}, announceKeys)
	ownKeys      = slices.Concat([]string{"snd_nxt", "ts_recent", "ts_stored", "bound", "loopback", "fin_wait2"}, announceKeys)
	synSentKeys  = []string{"iss", "first_tsval", "last_tsval", "repeated", "data", "inherits", "ts_recent"}
)

// states is every state, in the order in which people meet them. It is a
// function because the states ask each other.
func states() []*state {
	const tsRecent = "ts_recent=NUMBER (or none), ts_stored=SECONDS ago"
	return []*state{
		{name: "time-wait", says: "TIME_WAIT", keys: timeWaitKeys, takes: every, tsKeys: tsRecent, timed: true, decide: (*Question).timeWait},
		{name: "fin-wait2", says: "FIN_WAIT2 without a process (an orphan)", keys: finWait2Keys, takes: every, tsKeys: tsRecent, timed: true, decide: (*Question).finWait2},
		liveState("established", live.Established),
		liveState("fin-wait1", live.FinWait1),
		liveState("fin-wait2-full", live.FinWait2),
		liveState("close-wait", live.CloseWait),
		liveState("closing", live.Closing),
		liveState("last-ack", live.LastAck),
		{
			name: "syn-recv", says: "SYN_RECV", keys: synRecvKeys, takes: every, timed: true,
			tsKeys: "ts_recent=NUMBER (or none), first_tsval=NUMBER and last_tsval=NUMBER of the SYN-ACKs",
			decide: func(q *Question) []Stage { return q.live(live.SynRecv) },
		},
		{
			name: "listen", says: "no socket on the four-tuple, but a listener", keys: listenKeys, takes: bareSYN, only: onlyBareSYN,
			tsKeys: "gate_ts=NUMBER, gate_stored=SECONDS ago", decide: func(q *Question) []Stage { return []Stage{q.listener(q.gate())} },
		},
		{name: "none", says: "no socket, and nobody listens", takes: bareSYN, only: onlyBareSYN, decide: (*Question).nobody},
		{name: "connect", says: "no socket, and the host calls connect(): its SYN, and when it repeats it", keys: announceKeys, decide: (*Question).opens},
		{
			name: "syn-sent", says: "SYN_SENT", keys: synSentKeys, takes: every, timed: true,
			tsKeys: "first_tsval=NUMBER, last_tsval=NUMBER, ts_recent=NUMBER", decide: (*Question).synSent,
		},
		{name: "own-time-wait", says: "the host's own TIME_WAIT, onto which it calls connect()", keys: ownKeys, tsKeys: tsRecent, decide: (*Question).ownTimeWait},
	}
}

func liveState(name string, s live.State) *state {
	return &state{
		name: name, says: s.String(), keys: connKeys, takes: every, tsKeys: "ts_recent=NUMBER (or none)", timed: true,
		decide: func(q *Question) []Stage { return q.live(s) },
	}
}

// States returns every state that can be asked about.
func States() []StateHelp {
	var out []StateHelp
	for _, s := range states() {
		out = append(out, StateHelp{s.name, s.says, s.keys})
	}
	return out
}

func stateNames() []string {
	var out []string
	for _, s := range states() {
		out = append(out, s.name)
	}
	return out
}

// stateOf returns the state of that name, nil where there is none.
func stateOf(name string) *state {
	for _, s := range states() {
		if s.name == name {
			return s
		}
	}
	return nil
}

// limiterUnknown tells whether the state's rules take it for unknown when the
// last limited ACK was sent; the others then take it that there was none.
func (s *state) limiterUnknown() bool { return slices.Contains(s.keys, "ts_stored") }

// giving says how to give a fact that the rules of the state missed.
func (s *state) giving(f kernel.Fact) string {
	switch f {
	case kernel.FactKernel:
		return "--kernel RELEASE (what uname -r prints, or all)"
	case kernel.FactListener:
		return "--listener yes or no"
	case kernel.FactAcceptQueue:
		return "--queue-full yes or no"
	case kernel.FactRcvNxt:
		return "rcv_nxt=NUMBER"
	case kernel.FactSndNxt:
		return "snd_nxt=NUMBER"
	case kernel.FactRcvWnd:
		return "rcv_wnd=BYTES"
	case kernel.FactTSRecent:
		return s.tsKeys
	case kernel.FactLastACK:
		return "last_ack=SECONDS ago"
	case factRTO, kernel.FactRTO:
		return "rto=SECONDS"
	case kernel.FactTimestamps, kernel.FactRFC1337, kernel.FactRateLimit, kernel.FactTWRecycle, kernel.FactTWReuse,
		kernel.FactFinTimeout, kernel.FactMaxTWBucket, kernel.FactSynCookies, kernel.FactAbort, kernel.FactChallengeLimit:
		return "--set " + string(f) + "=VALUE"
	case connect.FactInherits:
		return "inherits=yes or no"
	case factRepeated:
		return "repeated=yes or no"
	case kernel.FactSndUna:
		return "snd_una=NUMBER"
	case kernel.FactPeerWindow:
		return "snd_wl1=NUMBER, peer_wnd=NUMBER as in the header"
	case kernel.FactMaxWindow:
		return "max_window=BYTES, bytes_acked=BYTES"
	case kernel.FactOrphan:
		return "orphan=yes or no"
	case kernel.FactUnread:
		return "unread=yes or no"
	case kernel.FactSACK:
		return "sack=yes or no"
	case kernel.FactFastPath:
		return "memory=yes or no"
	case kernel.FactChallenges:
		return "challenges=NUMBER, counted over all connections of the host"
	case factMSS:
		return "mss=BYTES (the MTU less 40, with IPv6 less 60)"
	case listen.FactRmem:
		return "--set 'tcp_rmem=LEAST USUAL MOST'"
	case "whether the client binds its port":
		return "bound=yes or no"
	}
	return "in the segment"
}

// timeWaitSocket is what the settings say of a TIME_WAIT.
func (q *Question) timeWaitSocket(sub timewait.Substate) timewait.Socket {
	v := q.values
	s := timewait.Socket{
		Substate: sub, RcvNxt: v.num("rcv_nxt"), SndNxt: v.num("snd_nxt"), RcvWnd: v.num("rcv_wnd"), WScale: v.shift("wscale"),
		HasTS: v.hasTS(), TSRecent: v.num("ts_recent"), LastACK: q.when("last_ack"), Armed: start - 1, // never the time of the segment
	}
	if s.HasTS != kernel.No {
		s.TSStored = q.when("ts_stored")
	}
	s.LastACKUnknown = s.LastACK == 0 && !v["last_ack"].never
	return s
}

func (q *Question) timeWait() []Stage {
	return q.orGone(q.timeWaitStage(timewait.TimeWait), func() Stage {
		if !bareSYN(q.segment.Flags) {
			return Stage{Outcomes: []Outcome{}}
		}
		// What tcp_tw_recycle then remembers of the address is this connection.
		g := listen.Gate{}
		if s := q.timeWaitSocket(timewait.TimeWait); s.TSStored != 0 {
			g = listen.Gate{TS: s.TSRecent, Stored: s.TSStored}
		}
		return q.listener(g)
	})
}

func (q *Question) finWait2() []Stage { return []Stage{q.timeWaitStage(timewait.FinWait2)} }

func (q *Question) timeWaitCase(sub timewait.Substate) *timewait.Case {
	return &timewait.Case{Socket: q.timeWaitSocket(sub), Host: q.host, Segment: q.segment, Now: q.now()}
}

func (q *Question) timeWaitStage(sub timewait.Substate) Stage {
	c := q.timeWaitCase(sub)
	return stageOf(timewait.Decide(c), func(o timewait.Outcome) Outcome {
		out := timeWaitOutcome(c, o)
		if o.Reply.Kind == kernel.ReplySYNACK {
			q.announceAnswer(&out, o.Reply)
		}
		return out
	})
}

func (q *Question) live(st live.State) []Stage {
	v := q.values
	c := &live.Case{
		Socket: live.Socket{
			State: st, RcvNxt: v.first("rcv_nxt", "irs"), SndNxt: v.first("snd_nxt", "isn"), RcvWnd: v.num("rcv_wnd"), WScale: v.shift("wscale"),
			HasTS: v.hasTS(), TSRecent: v.num("ts_recent"), LastACK: q.when("last_ack"),
			SynAckTS: v.num("first_tsval"), LastSynAckTS: v.num("last_tsval"),
			Peer: live.Peer{
				SndUna: v.num("snd_una"), SndWL1: v.num("snd_wl1"), PeerWnd: v.num("peer_wnd"), MaxWindow: v.num("max_window"),
				BytesAcked: v.num("bytes_acked"), Memory: v.answer("memory"),
			},
			Orphan: v.answer("orphan"), Unread: v.answer("unread"), SACK: v.answer("sack"),
		},
		Host: q.challenging(), Segment: q.segment, Now: q.now(),
	}
	if left, right := v.num("ahead"), v.num("ahead_end"); left.Known && right.Known {
		c.Ahead.Ahead[0], c.AheadN = live.Block{Left: left.Num, Right: right.Num}, 1
	}
	if rto := v["rto"]; rto.set && !rto.never {
		c.RTO = kernel.Duration{Duration: rto.ago, Known: true}
	}
	return []Stage{stageOf(live.Decide(c), func(o live.Outcome) Outcome { return liveOutcome(c, o) })}
}

// gate is what tcp_tw_recycle remembers of the peer's address.
func (q *Question) gate() listen.Gate {
	return listen.Gate{TS: q.values.num("gate_ts"), Stored: q.when("gate_stored"), OtherAddress: q.values.answer("gate_other") == kernel.Yes}
}

func (q *Question) listener(g listen.Gate) Stage {
	if g.Stored == 0 {
		g = listen.Gate{} // a timestamp without its time says nothing
	}
	c := &listen.Case{Host: q.host, Gate: g, LeftISN: q.values.num("left_isn"), Segment: q.segment, Now: q.now()}
	return stageOf(listen.Decide(c), func(o listen.Outcome) Outcome {
		out := listenOutcome(o)
		if o.Reply.Kind == kernel.ReplySYNACK {
			q.announceAnswer(&out, o.Reply)
		}
		return out
	})
}

func (q *Question) nobody() []Stage {
	other := *q
	other.host.Listener = kernel.No
	return []Stage{other.listener(listen.Gate{})}
}

func (q *Question) synSent() []Stage {
	v := q.values
	if !v.num("iss").Known {
		return []Stage{{When: "the opener's own number is not known: give iss=NUMBER", Outcomes: []Outcome{}}}
	}
	c := &connect.SynSent{
		ISS: v.num("iss").Num, Host: q.host, Segment: q.segment, FirstTSVal: v.num("first_tsval"), LastTSVal: v.num("last_tsval"),
		Repeated: v.answer("repeated"), Data: v.num("data").Uint32(), Inherits: v.answer("inherits"), TSRecent: v.num("ts_recent"),
	}
	return []Stage{stageOf(connect.React(c), func(o connect.Reaction) Outcome { return reactionOutcome(&q.host, o) })}
}

func (q *Question) ownTimeWait() []Stage {
	v := q.values
	sub := timewait.TimeWait
	if v.answer("fin_wait2") == kernel.Yes {
		sub = timewait.FinWait2
	}
	c := &connect.TakeOver{
		Own: q.timeWaitSocket(sub), Host: q.host, Reuse: q.reuse, Delay: q.reuseDelay, Entered: start, Bound: v.answer("bound"), Loopback: v.answer("loopback") == kernel.Yes, Now: q.now(),
	}
	s := stageOf(connect.Decide(c), func(o connect.Opening) Outcome {
		out := openingOutcome(o)
		if !o.Refused {
			f := q.offering()
			f.TakesOver, f.TSRecent = true, o.TSEcr
			q.announce(&out, f, false)
		}
		return out
	})
	if sub == timewait.FinWait2 {
		return []Stage{s}
	}
	return q.orGone(s, func() Stage { return Stage{Outcomes: []Outcome{}} })
}

// stageOf takes a decision over: its trace as it is, its outcomes in words.
func stageOf[O any](d kernel.Decision[O], tell func(O) Outcome) Stage {
	s := Stage{Rules: []Rule{}, Outcomes: []Outcome{}, missing: d.Missing()}
	for _, a := range d.Trace {
		r := Rule{Rule: a.Rule, Says: a.Says, Source: a.From, Answer: a.Answer.String(), Clauses: []Clause{}}
		for i, rd := range a.Readings {
			r.Clauses = append(r.Clauses, Clause{Says: a.Clauses[i], Answer: rd.Answer.String(), Because: rd.Because()})
		}
		s.Rules = append(s.Rules, r)
	}
	for _, o := range d.Possible {
		told := tell(o)
		s.missing = append(s.missing, told.missing...)
		if !slices.ContainsFunc(s.Outcomes, func(p Outcome) bool { return p.Rule == told.Rule }) {
			s.Outcomes = append(s.Outcomes, told)
		}
	}
	return s
}
