package flow

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

var update = flag.Bool("update", false, "rewrite what the stories in testdata expect")

var (
	client = segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 1}), Port: 51820}
	server = segment.Endpoint{Addr: segment.AddrFrom4([4]byte{10, 0, 0, 2}), Port: 80}
)

// parseStory reads lines such as
//
//	0.001 < S 100:100(0) win 64240
//
// "<" comes from the client and ">" from the server; "*5" before the time
// repeats a line, each copy a second later. Time is in seconds, frames count from 1.
func parseStory(text string) ([]segment.Segment, error) {
	var out []segment.Segment
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		times := 1
		if strings.HasPrefix(f[0], "*") {
			times, _ = strconv.Atoi(f[0][1:])
			f = f[1:]
		}
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil || len(f) < 3 {
			return nil, fmt.Errorf("line %d: %q", i+1, line)
		}
		id := 0
		if v, ok := strings.CutPrefix(f[len(f)-1], "id="); ok {
			id, _ = strconv.Atoi(v)
			f = f[:len(f)-1]
		}
		s, err := segment.ParsePacketdrill(strings.Join(f[2:], " "))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		s.Src, s.Dst, s.TTL, s.IPID = client, server, 64, uint16(id)
		if f[1] == ">" {
			s.Src, s.Dst = server, client
		}
		for k := range times {
			s.Frame = uint64(len(out) + 1)
			s.SourceFrame = s.Frame
			s.Time = int64((at+float64(k))*1e9 + .5)
			out = append(out, s)
		}
	}
	return out, nil
}

// log is a Sink that writes everything down.
type log struct{ b strings.Builder }

func (l *log) Ended(c *Connection) { l.b.WriteString("ended " + describe(c)) }

func (l *log) Troubled(*Connection) {}

func (l *log) Asked(c *Connection) {
	l.b.WriteString("asked " + describe(c))
	for p := c.Previous; p != nil; p = p.Previous {
		fmt.Fprintf(&l.b, "  previous %d %v, frames %s\n", p.ID, p.State, frameNumbers(p))
	}
}

func describe(c *Connection) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v", c.ID, c.State)
	if c.MidStream {
		b.WriteString(" midstream")
	}
	fmt.Fprintf(&b, ", first %d, last %d", c.First.Frame, c.LastSeen.Frame)
	if c.EndedAt.Seen() {
		fmt.Fprintf(&b, ", over %d", c.EndedAt.Frame)
	}
	if c.Duplicates > 0 {
		fmt.Fprintf(&b, ", duplicates %d", c.Duplicates)
	}
	if len(c.Frames) > 0 {
		fmt.Fprintf(&b, ", frames %s", frameNumbers(c))
	}
	b.WriteByte('\n')
	for e := range c.Ends {
		b.WriteString("  " + describeEnd(&c.Ends[e], e) + "\n")
	}
	return b.String()
}

func frameNumbers(c *Connection) string {
	var s []string
	for i := range c.Frames {
		s = append(s, fmt.Sprint(c.Frames[i].Frame))
		if c.FramesOmitted > 0 && i == c.OmittedAfter {
			s = append(s, fmt.Sprintf("(%d omitted)", c.FramesOmitted))
		}
	}
	return strings.Join(s, " ")
}

func describeEnd(e *End, side int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s port %d:", [2]string{"opener", "listener"}[side], e.Port)
	mark := func(name string, m Mark) {
		if m.Seen() {
			fmt.Fprintf(&b, " %s %v@%d", name, m.Num, m.Frame)
		}
	}
	mark("isn", e.ISN)
	if e.ISNImplied {
		b.WriteString("(implied)")
	}
	mark("snd", e.SndNxt)
	mark("rcv", e.RcvNxt)
	mark("last", e.Last)
	mark("fin", e.FIN)
	mark("finack", e.FINAck)
	if e.FINAcked.Seen() {
		fmt.Fprintf(&b, " finacked @%d", e.FINAcked.Frame)
	}
	mark("rst", e.RST)
	if e.HasTS {
		fmt.Fprintf(&b, " tsval %v", e.TSVal)
	}
	mark("tsecr", e.TSEcr)
	if e.Segments > 0 {
		fmt.Fprintf(&b, " segs %d bytes %d", e.Segments, e.Bytes)
	}
	if e.SRTT > 0 {
		fmt.Fprintf(&b, " srtt %v", e.SRTT)
	}
	for _, f := range []struct {
		name string
		on   bool
	}{{"unseen", e.Unseen}, {"holes", e.Holes}} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	if e.Retransmits > 0 {
		fmt.Fprintf(&b, " retransmits %d", e.Retransmits)
	}
	return b.String()
}

// run feeds segments to a new table in batches of a size and closes it.
func run(segs []segment.Segment, sink Sink, batch int) *Table {
	t := NewTable(Config{}, sink)
	feed(t, segs, batch)
	return t
}

// feed gives segments to a table in batches of a size and closes it.
func feed(t *Table, segs []segment.Segment, batch int) {
	for len(segs) > 0 {
		n := min(batch, len(segs))
		t.Add(segs[:n])
		segs = segs[n:]
	}
	t.Close()
}

// TestStories compares what comes of each story in testdata/story with what
// stands below its "----". After -update read the difference: it is the test.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/story/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d stories, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text, want, _ := strings.Cut(string(b), "----\n")
			segs, err := parseStory(text)
			if err != nil {
				t.Fatal(err)
			}
			var l log
			run(segs, &l, 7)
			if got := l.b.String(); got != want {
				if *update {
					if err := os.WriteFile(name, []byte(text+"----\n"+got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			var one log
			run(segs, &one, 1)
			if one.b.String() != l.b.String() {
				t.Errorf("the size of the batches changes the result:\n%s\n%s", one.b.String(), l.b.String())
			}
		})
	}
}
