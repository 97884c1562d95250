package lab

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Scenario is a story with the place where it is written.
type Scenario struct {
	File  string
	Line  int // of its "state", counted from 1
	Story Story
}

// The numbers of a scenario that names none of its own.
const (
	usualRcvNxt   = 1000
	usualSndNxt   = 5000
	usualTSRecent = 700
)

// mostData is the longest data that a step may carry: a TUN device takes packets
// of 1500 bytes.
const mostData = 1400

// ParseScenarios reads the stories of a file, whose name is for the errors: each
// says file and line. The notation is the one that Outcome.Scenario writes, a
// line a thing; what stands behind # and the kernel's own segments (>) are for the
// reader alone.
//
//	state TIME_WAIT by way of FIN_WAIT2     begins a story
//	family IPv6                             IPv4 where it is left out
//	settings tcp_rfc1337=1, no listener     as Settings.String has them
//	numbers rcv_nxt=1000 snd_nxt=5000 ts_recent=700
//	wait                                    the limiter of ACKs has forgotten before the next step
//	0.301 < S 1001:1001(0) win 4000         a step in packetdrill's notation
//	+0.7 < S rcv_nxt+1(0)                   one that waits, with a relative number
//	follow-up                               a look at the state after
//
// Numbers of a step are absolute, in terms of those of the line numbers, or
// relative to rcv_nxt, snd_nxt and ts_recent: rcv_nxt-1, rcv_nxt+rcv_wnd/2,
// ts_recent+2^31. ts_recent=none makes a connection without timestamps; tsval is
// then the number that the timestamps of a step count from. A time of its own
// (0.301) says when a step was sent once, and means nothing.
func ParseScenarios(file, text string) ([]Scenario, error) {
	p := scenarioParser{file: file}
	for line := range strings.Lines(text) {
		p.line++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := p.take(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
		}
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	if len(p.all) == 0 {
		return nil, fmt.Errorf("%s: there is no story in it: a line \"state TIME_WAIT\" would begin one", file)
	}
	return p.all, nil
}

// scenarioParser holds the story that is being read.
type scenarioParser struct {
	file string
	line int
	all  []Scenario
	open bool
	wait bool // before the next step
	n    base
}

func (p *scenarioParser) story() *Story { return &p.all[len(p.all)-1].Story }

func (p *scenarioParser) take(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if word == "state" {
		return p.begin(rest)
	}
	if !p.open {
		return fmt.Errorf("%q stands before the story's state: begin with a line like \"state TIME_WAIT\"", word)
	}
	switch word {
	case "family", "settings", "numbers":
		if len(p.story().Steps) > 0 {
			return fmt.Errorf("%q stands behind the first step: what it says holds for the whole story", word)
		}
	}
	switch word {
	case "family":
		switch rest {
		case "IPv4", "IPv6":
			p.story().IPv6 = rest == "IPv6"
			return nil
		}
		return fmt.Errorf("family is IPv4 or IPv6, not %q", rest)
	case "settings":
		return p.story().Settings.parse(rest)
	case "numbers":
		return p.numbers(rest)
	case "wait":
		p.wait = true
		if rest != "" {
			return errors.New("nothing follows \"wait\" on its line")
		}
		return nil
	case "follow-up":
		p.story().Steps = append(p.story().Steps, Step{FollowUp: true})
		return nil
	}
	return p.segment(line)
}

// begin reads what follows "state".
func (p *scenarioParser) begin(rest string) error {
	if err := p.finish(); err != nil {
		return err
	}
	name, way, _ := strings.Cut(rest, " ")
	at := slices.Index(stateNames[:], name)
	if at < 0 || name == "" {
		return fmt.Errorf("there is no state %q (there are %s)", name, strings.Join(stateNames[:], ", "))
	}
	s := Story{State: State(at), TS: true}
	if way != "" {
		ways := []Path{ByOrphan, ByFull, ByClosing}
		i := slices.IndexFunc(ways, func(w Path) bool { return w.String() == way })
		if i < 0 || s.State != TimeWait {
			return fmt.Errorf("%s %q is no way into a state (%s: %s, %s, %s)", name, way, TimeWait, ByOrphan, ByFull, ByClosing)
		}
		s.Path = ways[i]
	}
	p.all = append(p.all, Scenario{File: p.file, Line: p.line, Story: s})
	p.open, p.wait = true, false
	p.n = base{rcvNxt: seqOf(usualRcvNxt), sndNxt: seqOf(usualSndNxt), ts: seqOf(usualTSRecent)}
	return nil
}

// finish ends the story that is open.
func (p *scenarioParser) finish() error {
	switch {
	case !p.open:
		return nil
	case p.wait:
		return fmt.Errorf("%s:%d: no step follows the last \"wait\"", p.file, p.line)
	}
	s := p.story()
	sent, fins := s.sent()
	s.ISS = p.n.rcvNxt.Add(-(1 + fins))
	s.TSVal = p.n.ts
	if s.TS && sent > 0 {
		s.TSVal = p.n.ts.Add(-(sent - 1))
	}
	return nil
}

// sent returns how many segments the peer sends until the state is reached, and
// how many of them are FINs.
func (s *Story) sent() (segments, fins uint32) {
	switch s.State {
	case NoSocket:
	case SynRecv:
		return 1, 0
	case Established, FinWait1, FinWait1Orphan:
		return 2, 0
	case FinWait2, FinWait2Orphan:
		return 3, 0
	case CloseWait, Closing, LastAck, ClosingOrphan, LastAckOrphan:
		return 3, 1
	case TimeWait:
		return 4, 1
	}
	return 0, 0
}

// numbers reads NAME=NUMBER, several.
func (p *scenarioParser) numbers(rest string) error {
	for _, f := range strings.Fields(rest) {
		name, value, _ := strings.Cut(f, "=")
		if name == "ts_recent" && value == "none" {
			p.story().TS = false
			continue
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%s wants a number of 32 bits, not %q", name, value)
		}
		switch v := seqOf(uint32(n)); name {
		case "rcv_nxt":
			p.n.rcvNxt = v
		case "snd_nxt":
			p.n.sndNxt = v
		case "ts_recent", "tsval":
			p.n.ts = v
		case "rcv_wnd", "wscale": // the kernel's choice
		default:
			return fmt.Errorf("there is no number %q (rcv_nxt, snd_nxt, ts_recent, tsval)", name)
		}
	}
	return nil
}

// segment reads a step, or a segment of the kernel, which is only looked at.
func (p *scenarioParser) segment(line string) error {
	at := strings.IndexAny(line, "<>")
	if at < 0 {
		return fmt.Errorf("%q is neither a segment (< S 1:1(0)) nor one of state, family, settings, numbers, wait, follow-up", line)
	}
	wait, err := readTime(strings.TrimSpace(line[:at]))
	if err != nil || line[at] == '>' {
		return err
	}
	text, half, err := p.n.absolute(line[at+1:])
	if err != nil {
		return err
	}
	s, err := segment.ParsePacketdrill(text)
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	if err := sendable(&s); err != nil {
		return err
	}
	st := Step{Wait: wait || p.wait, Flags: s.Flags, Seq: s.Seq.Ahead(p.n.rcvNxt), HalfWindows: half, Len: s.Len}
	if s.Flags.Has(segment.ACK) {
		st.Ack = s.Ack.Ahead(p.n.sndNxt)
	}
	if s.HasTS() {
		st.HasTS, st.TSVal = true, s.TSVal.Ahead(p.n.ts)
	}
	p.wait = false
	p.story().Steps = append(p.story().Steps, st)
	return nil
}

// readTime reads what stands before < or >. Only a relative time says something:
// the laboratory waits until the limiter has forgotten, or not at all.
func readTime(text string) (wait bool, err error) {
	if text == "" {
		return false, nil
	}
	t, err := strconv.ParseFloat(text, 64)
	switch relative := text[0] == '+'; {
	case err != nil || t < 0:
		return false, fmt.Errorf("%q is no time in seconds", text)
	case relative && t > 0 && (t < 0.6 || t > 1):
		return false, fmt.Errorf("the laboratory waits +0.7 seconds, in which the limiter of ACKs forgets, or not at all: not %s", text)
	default:
		return relative && t > 0, nil
	}
}

// sendable tells whether the laboratory can send a segment as it is written; what
// the way to a state settles (window, MSS, TSecr) need not be.
func sendable(s *segment.Segment) error {
	switch {
	case s.Options&^(segment.OptMSS|segment.OptTimestamps) != 0:
		return errors.New("of the options only mss and TS can be sent")
	case s.Options.Has(segment.OptMSS) && (s.MSS != 1400 || !s.Flags.Has(segment.SYN)):
		return errors.New("a SYN has mss 1400, and nothing else has one")
	case s.Window != 0 && s.Window != 4000:
		return fmt.Errorf("the window is always 4000, not %d", s.Window)
	case s.Urgent != 0:
		return errors.New("there is no urgent pointer to send")
	case s.Len > mostData:
		return fmt.Errorf("%d bytes are more than fit the device: at most %d", s.Len, mostData)
	}
	return nil
}

// base is what the numbers of a story's steps count from.
type base struct{ rcvNxt, sndNxt, ts seq.Num }

var (
	namedNumber = onUse(`(rcv_nxt|snd_nxt|ts_recent)((?:[+-][0-9a-z_^/*]+)*)`)
	term        = onUse(`[+-][0-9a-z_^/*]+`)
	shortSeq    = onUse(`^(\s*\S+\s+)(\d+)\((\d+)\)`)
)

// absolute puts numbers in the place of names, and writes the end of a segment that
// has only its start. half is how many halves of the receive window are to be
// added to the sequence number, once it is known.
func (b *base) absolute(text string) (out string, half uint32, err error) {
	out = namedNumber().ReplaceAllStringFunc(text, func(m string) string {
		at := strings.IndexAny(m+"+", "+-")
		n := map[string]seq.Num{"rcv_nxt": b.rcvNxt, "snd_nxt": b.sndNxt, "ts_recent": b.ts}[m[:at]]
		for _, t := range term().FindAllString(m[at:], -1) {
			add, halves, e := readTerm(t[1:])
			if e == nil && halves > 0 && (m[:at] != "rcv_nxt" || t[0] == '-') {
				e = fmt.Errorf("rcv_wnd can only be added, and only to rcv_nxt, not in %q", m)
			}
			err = cmp.Or(err, e)
			if t[0] == '-' {
				add = -add
			}
			n, half = n.Add(add), half+halves
		}
		return n.String()
	})
	if m := shortSeq().FindStringSubmatchIndex(out); err == nil && m != nil {
		start, e1 := strconv.ParseUint(out[m[4]:m[5]], 10, 32)
		length, e2 := strconv.ParseUint(out[m[6]:m[7]], 10, 32)
		if err = cmp.Or(e1, e2); err == nil {
			end := seqOf(uint32(start)).Add(uint32(length))
			out = fmt.Sprintf("%s:%s%s", out[:m[5]], end, out[m[5]:])
		}
	}
	return out, half, err
}

// readTerm reads 5, 2^31, rcv_wnd, rcv_wnd/2 or 3*rcv_wnd/2.
func readTerm(t string) (add, halves uint32, err error) {
	if window, ok := strings.CutSuffix(t, "rcv_wnd/2"); ok || strings.HasSuffix(t, "rcv_wnd") {
		halves = 1
		if !ok {
			window, halves = strings.TrimSuffix(t, "rcv_wnd"), 2
		}
		if window == "" {
			return 0, halves, nil
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(window, "*"), 10, 8)
		if err != nil || !strings.HasSuffix(window, "*") {
			return 0, 0, fmt.Errorf("%q is no number of windows", t)
		}
		return 0, uint32(n) * halves, nil
	}
	if power, ok := strings.CutPrefix(t, "2^"); ok {
		n, err := strconv.ParseUint(power, 10, 8)
		if err != nil || n > 31 {
			return 0, 0, fmt.Errorf("%q is no power of two below 2^32", t)
		}
		return 1 << n, 0, nil
	}
	n, err := strconv.ParseUint(t, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no number of 32 bits", t)
	}
	return uint32(n), 0, nil
}

// head writes the lines with which a story begins, with the numbers that the
// connection has.
func (s *Story) head(n *Numbers) string {
	family, way := "IPv4", ""
	if s.IPv6 {
		family = "IPv6"
	}
	if s.State == TimeWait {
		way = " " + s.Path.String()
	}
	stamps := fmt.Sprintf("ts_recent=%s", n.TSRecent)
	if !s.TS {
		stamps = fmt.Sprintf("ts_recent=none tsval=%s", n.TSRecent)
	}
	return fmt.Sprintf("state %s%s\nfamily %s\nsettings %s\nnumbers rcv_nxt=%s snd_nxt=%s rcv_wnd=%d wscale=%d %s\n",
		s.State, way, family, s.Settings, n.RcvNxt, n.SndNxt, n.RcvWnd, n.WScale, stamps)
}
