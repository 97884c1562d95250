// Package casefile is test support: it reads the case files that stand beside
// the rules of a kernel state, and holds what the rules say against them.
//
// A file has the name of its rule and cases with an empty line between them:
//
//	# One sentence: what the case shows.
//	host kernel=3.10.65 listener=yes
//	socket rcv_nxt=1001 ts_recent=900 last_ack=-200ms
//	at 12.5s
//	< S 1001:1001(0) win 64240 <TS val 7 ecr 0>
//	----
//	the trace, and the outcomes
//
// A line names what it sets and then NAME=VALUE, or NAME alone for yes; what is
// not set is unknown. Times count from the start of the case, or with a minus
// back from the segment. A file is written by hand down to the four dashes; the
// rest is written by "go test -update" and then read by a person.
package casefile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Start is the time 0 of every case in nanoseconds since the Unix epoch: long
// after 0, which stands for "not known".
const Start int64 = 1767225600e9

const separator = "----"

// Case is one case of a file, before a package has made its own kind of case of it.
type Case struct {
	// Line is the number of the case's first line in its file.
	Line int
	// At is when the segment arrives, in nanoseconds since the epoch; Start if
	// the case has no "at".
	At int64
	// Segment is what arrives; zero in a case without a segment.
	Segment segment.Segment

	above    []string // the lines above the separator
	settings map[string]map[string]string
	want     string
	err      error
}

// read cuts a file into its cases. Errors begin with name and line.
func read(name, text string) ([]*Case, error) {
	var cases []*Case
	var c *Case
	below := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		switch {
		case line == "":
			c, below = nil, false
			continue
		case c == nil:
			if !strings.HasPrefix(line, "# ") {
				return nil, fmt.Errorf("%s:%d: a case begins with # and a sentence", name, i+1)
			}
			c = &Case{Line: i + 1, At: Start, settings: map[string]map[string]string{}}
			cases = append(cases, c)
		}
		if below {
			c.want += line + "\n"
			continue
		}
		if line == separator {
			below = true
			continue
		}
		c.above = append(c.above, line)
		if err := c.set(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s: no cases", name)
	}
	return cases, nil
}

// set takes one line above the separator.
func (c *Case) set(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "#":
		return nil
	case "at":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		c.At = Start + int64(d)
		return nil
	case "<":
		s, err := segment.ParsePacketdrill(rest)
		c.Segment = s
		return err
	}
	if c.settings[word] == nil {
		c.settings[word] = map[string]string{}
	}
	for _, f := range strings.Fields(rest) {
		name, value, ok := strings.Cut(f, "=")
		if !ok {
			value = "yes"
		}
		if _, twice := c.settings[word][name]; twice {
			return fmt.Errorf("%s is set twice", name)
		}
		c.settings[word][name] = value
	}
	return nil
}

// Settings are those of one line of a case. A value that cannot be read, and a
// setting that nobody asks for, fail the case in the end.
type Settings struct {
	c    *Case
	line string
}

// On returns the settings of the line that begins with the word.
func (c *Case) On(word string) Settings { return Settings{c, word} }

// Has tells whether the case has a line that begins with the word.
func (c *Case) Has(word string) bool { return c.settings[word] != nil }

// Word returns a setting as it stands; ok is false where it is not set.
func (s Settings) Word(name string) (value string, ok bool) {
	value, ok = s.c.settings[s.line][name]
	delete(s.c.settings[s.line], name)
	return value, ok
}

func (s Settings) fail(name string, err error) {
	if err != nil {
		s.c.err = errors.Join(s.c.err, fmt.Errorf("%s %s: %w", s.line, name, err))
	}
}

// Num returns a number that wraps.
func (s Settings) Num(name string) kernel.Num {
	v, ok := s.Word(name)
	if !ok {
		return kernel.Num{}
	}
	n, err := seq.Parse(v)
	s.fail(name, err)
	return kernel.Known(n)
}

// Count returns a number of things, which is not known where it is not set.
func (s Settings) Count(name string) kernel.Count {
	v, ok := s.Word(name)
	if !ok {
		return kernel.Count{}
	}
	n, err := strconv.ParseUint(v, 10, 32)
	s.fail(name, err)
	return kernel.Count{N: uint32(n), Known: err == nil}
}

// Shift returns a window scale, 0 where it is not set.
func (s Settings) Shift(name string) uint8 {
	v, ok := s.Word(name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 8)
	s.fail(name, err)
	return uint8(n)
}

// Answer returns yes (yes, 1, or the name alone), no (no, 0) or unknown.
func (s Settings) Answer(name string) kernel.Answer {
	v, ok := s.Word(name)
	switch {
	case !ok:
		return kernel.Unknown
	case v == "yes" || v == "1":
		return kernel.Yes
	case v != "no" && v != "0":
		s.fail(name, fmt.Errorf("%q is neither yes nor no", v))
	}
	return kernel.No
}

// Time returns a time in nanoseconds since the epoch, 0 where it is not set.
func (s Settings) Time(name string) int64 {
	v, ok := s.Word(name)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(v)
	s.fail(name, err)
	if d < 0 {
		return s.c.At + int64(d)
	}
	return Start + int64(d)
}

// Span returns a span of time, which is not known where it is not set.
func (s Settings) Span(name string) (d kernel.Duration) {
	v, ok := s.Word(name)
	if !ok {
		return d
	}
	span, err := time.ParseDuration(v)
	s.fail(name, err)
	return kernel.Duration{Duration: span, Known: err == nil}
}

// Host returns what the line "host" says.
func (c *Case) Host() kernel.Host {
	s := c.On("host")
	h := kernel.Host{
		Timestamps:      s.Answer("timestamps"),
		RFC1337:         s.Answer("rfc1337"),
		Recycle:         s.Answer("recycle"),
		Listener:        s.Answer("listener"),
		AcceptQueueFull: s.Answer("queue_full"),
		AbortOnOverflow: s.Answer("abort_on_overflow"),
		SynCookies:      s.Answer("cookies"),
		ChallengesSpent: s.Answer("spent"),
		ChallengeLimit:  s.Count("challenge_limit"),
		Challenges:      s.Count("challenges"),

		UsualChallengeLimit: s.Answer("usual_limit") == kernel.Yes,

		IPv6: s.Answer("ipv6") == kernel.Yes,
	}
	if v, ok := s.Word("kernel"); ok {
		p, err := kernel.ParseRelease(v)
		s.fail("kernel", err)
		h.Profile = p
	}
	h.RateLimit = s.Span("ratelimit")
	return h
}

// wrong returns what could not be read, and what nobody asked for.
func (c *Case) wrong() error {
	err := c.err
	for _, line := range slices.Sorted(maps.Keys(c.settings)) {
		for _, name := range slices.Sorted(maps.Keys(c.settings[line])) {
			err = errors.Join(err, fmt.Errorf("%s has no setting %s", line, name))
		}
	}
	return err
}
