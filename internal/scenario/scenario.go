// Package scenario reads whole stories for tests: the packets of a capture as
// text, and below them what is expected to be said about them.
//
//	# One sentence of intent.
//	flow 10.0.0.1:51820 10.0.0.2:80
//	fact server:kernel=3.10
//	ttl client 64
//	0.000  < S 100:100(0) win 64240 <mss 1460>
//	+0.001 > S. 200:200(0) ack 101 win 65160 <mss 1460>
//	----
//	expected text
//
// The first line is the intent; further lines that begin with # are remarks. A
// packet is a time, a direction and the rest in packetdrill's notation. The time
// is in seconds from the start, or after a + from the packet above. As in
// packetdrill, where the kernel under test is the server, < comes from the
// client and > from the server. "flow CLIENT SERVER" names the two from here on
// (the first line of the example is what holds without any), "ttl END N" sets
// the time to live of an end's packets from here on, "id END N" the IPv4 identification
// of its next one (0, as without any, stays; others count up by one from packet to
// packet), and "fact" lines are handed on.
package scenario

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Start is the time 0 of every scenario, 2026-01-01T00:00:00Z, in nanoseconds
// since the Unix epoch.
const Start int64 = 1767225600e9

// Separator is the line between the story and what is expected.
const Separator = "----"

// Scenario is one story.
type Scenario struct {
	// Intent is the sentence of the first line.
	Intent string
	// Facts are the fact lines, as given: WHO:NAME=VALUE.
	Facts []string
	// Segments are the packets, with frame numbers from 1.
	Segments []segment.Segment
	// Want is the text below the separator, with its line ends; empty if there
	// is no separator.
	Want string
}

// Read reads a scenario. Errors begin with name and the number of the line.
func Read(name string, r io.Reader) (*Scenario, error) {
	in := bufio.NewReader(r)
	p := reader{client: end{ttl: 64}, server: end{ttl: 64}}
	p.client.Endpoint, _ = endpoint("10.0.0.1:51820")
	p.server.Endpoint, _ = endpoint("10.0.0.2:80")
	for n := 1; ; n++ {
		text, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		atEnd := err != nil
		text = strings.TrimSpace(text)
		if text == Separator {
			want, err := io.ReadAll(in)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, n, err)
			}
			p.Want = string(want)
			atEnd = true
		} else if err := p.line(text); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if atEnd {
			break
		}
	}
	if p.Intent == "" {
		return nil, fmt.Errorf("%s:1: want a line that says what the scenario is for: # SENTENCE", name)
	}
	if len(p.Segments) == 0 {
		return nil, fmt.Errorf("%s: no packet lines", name)
	}
	return &p.Scenario, nil
}

// WriteCapture writes the story as a pcap file.
func (s *Scenario) WriteCapture(w io.Writer) error {
	out, err := capture.NewWriter(w)
	if err != nil {
		return err
	}
	for i := range s.Segments {
		if err := out.WriteSegment(&s.Segments[i]); err != nil {
			return err
		}
	}
	return nil
}

// reader is a scenario half read, with what holds for the next packet.
type reader struct {
	Scenario
	client, server end
	now            int64 // time of the packet above, in nanoseconds from Start
}

type end struct {
	segment.Endpoint
	ttl uint8
	id  uint16 // of the next packet
}

// line takes one line of the story.
func (p *reader) line(text string) error {
	if text == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(text, "#"); ok {
		if p.Intent == "" {
			p.Intent = strings.TrimSpace(rest)
		}
		return nil
	}
	word, rest := cutWord(text)
	switch word {
	case "flow":
		return p.flow(rest)
	case "fact":
		if rest == "" {
			return errors.New("want fact WHO:NAME=VALUE")
		}
		p.Facts = append(p.Facts, rest)
		return nil
	case "ttl":
		return p.ttl(rest)
	case "id":
		return p.id(rest)
	}
	if c := word[0]; c == '+' || c == '.' || (c >= '0' && c <= '9') {
		return p.packet(word, rest)
	}
	return fmt.Errorf("%q is neither a packet (it begins with a time) nor flow, fact, ttl, id, # or %s", word, Separator)
}

// cutWord cuts text behind its first word.
func cutWord(text string) (word, rest string) {
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i], strings.TrimSpace(text[i:])
	}
	return text, ""
}

func (p *reader) flow(rest string) error {
	f := strings.Fields(rest)
	if len(f) != 2 {
		return errors.New("want flow CLIENT SERVER, each ADDRESS:PORT")
	}
	client, err := endpoint(f[0])
	if err != nil {
		return err
	}
	server, err := endpoint(f[1])
	if err != nil {
		return err
	}
	if client.Addr.Is4() != server.Addr.Is4() {
		return fmt.Errorf("%s and %s are not of one family", f[0], f[1])
	}
	p.client.Endpoint, p.server.Endpoint = client, server
	return nil
}

func endpoint(text string) (segment.Endpoint, error) {
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		return segment.Endpoint{}, fmt.Errorf("%q is not ADDRESS:PORT or [ADDRESS]:PORT", text)
	}
	if ap.Addr().Zone() != "" {
		return segment.Endpoint{}, fmt.Errorf("%q has a zone, which packets do not carry", text)
	}
	return segment.Endpoint{Addr: segment.AddrFromNetip(ap.Addr()), Port: ap.Port()}, nil
}

func (p *reader) ttl(rest string) error {
	who, value := cutWord(rest)
	n, err := strconv.ParseUint(value, 10, 8)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is no time to live: want ttl client|server 1 to 255", value)
	}
	switch who {
	case "client":
		p.client.ttl = uint8(n)
	case "server":
		p.server.ttl = uint8(n)
	default:
		return fmt.Errorf("%q is neither client nor server", who)
	}
	return nil
}

// id sets the IPv4 identification of an end's next packet.
func (p *reader) id(rest string) error {
	who, value := cutWord(rest)
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return fmt.Errorf("%q is no identification: want id client|server 0 to 65535", value)
	}
	switch who {
	case "client":
		p.client.id = uint16(n)
	case "server":
		p.server.id = uint16(n)
	default:
		return fmt.Errorf("%q is neither client nor server", who)
	}
	return nil
}

// packet takes a packet line, cut behind its time.
func (p *reader) packet(when, rest string) error {
	text, relative := strings.CutPrefix(when, "+")
	t, err := seconds(text)
	if err != nil {
		return err
	}
	if relative {
		t += p.now
	}
	if t < p.now {
		return fmt.Errorf("time %s is before the packet above", when)
	}
	if t > maxTime {
		return fmt.Errorf("time %s: a scenario lasts at most ten years", when)
	}
	arrow, line := cutWord(rest)
	from, to := &p.client, &p.server
	switch arrow {
	case "<":
	case ">":
		from, to = to, from
	default:
		return fmt.Errorf("want < (from the client) or > (from the server) after the time, got %q", arrow)
	}
	s, err := segment.ParsePacketdrill(line)
	if err != nil {
		return fmt.Errorf("behind %s: %w", arrow, err)
	}
	p.now = t
	s.Frame = uint64(len(p.Segments)) + 1
	s.SourceFrame = s.Frame
	s.Time = Start + t
	s.Src, s.Dst = from.Endpoint, to.Endpoint
	s.TTL, s.IPID = from.ttl, from.id
	if from.id != 0 {
		from.id = max(from.id+1, 1)
	}
	p.Segments = append(p.Segments, s)
	return nil
}

// maxTime keeps sums of times far from overflow.
const maxTime = 10 * 366 * 24 * 3600e9

// seconds reads a decimal number of seconds as nanoseconds, exactly.
func seconds(text string) (int64, error) {
	whole, frac, _ := strings.Cut(text, ".")
	if whole == "" && frac == "" || len(frac) > 9 || strings.Trim(whole+frac, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a time: want seconds with at most nine decimals", text)
	}
	n, err := strconv.ParseInt("0"+whole+frac+"000000000"[len(frac):], 10, 64)
	if err != nil || n > maxTime {
		return 0, fmt.Errorf("time %q: a scenario lasts at most ten years", text)
	}
	return n, nil
}
