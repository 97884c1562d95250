package flow

import (
	"cmp"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// forLine is c without what Config.LinesOnly leaves out.
func forLine(c Connection) Connection {
	c.Frames, c.FramesOmitted, c.OmittedAfter, c.Duplicates, c.Previous = nil, 0, 0, 0, nil
	c.Troubles, c.TroublesOmitted, c.SilenceFrom, c.SilenceTo = nil, 0, Point{}, Point{}
	c.Held, c.Pause, c.Superseded = Held{}, Pause{}, false
	for e := range c.Ends {
		v := &c.Ends[e]
		v.RcvNxt, v.TSEcr, v.HasTSEcr, v.FINAcked = Mark{}, Mark{}, false, Point{}
		v.FirstTSVal, v.FirstTSEcr, v.SRTT, v.RTTVar, v.Retransmits = seq.Num{}, seq.Num{}, 0, 0, 0
		v.BeforeEnd, v.LongestAcked, v.IPID = Point{}, 0, 0
		for _, m := range []*Mark{&v.ISN, &v.SndNxt, &v.FIN, &v.FINAck, &v.RST} {
			m.Time = 0
		}
	}
	return c
}

// lines is a Sink that keeps what a line tells, and what is asked.
type lines struct {
	ended []Connection
	asked log
}

func (l *lines) Ended(c *Connection)  { l.ended = append(l.ended, forLine(*c)) }
func (l *lines) Troubled(*Connection) {}

func (l *lines) Asked(c *Connection) { l.asked.Asked(c) }

// Less is kept where less is wanted, and what is wanted stays the same.
func TestPartsEqualTheWhole(t *testing.T) {
	inputs := map[string][]segment.Segment{"short": shortConnections(t, 500, 40), "open": openConnections(t, 100)}
	files, err := filepath.Glob("testdata/story/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(string(b), "----\n")
		inputs[name] = mustStory(t, text)
	}
	r := rand.New(rand.NewSource(3))
	for i := range 300 {
		b := make([]byte, 8+r.Intn(900))
		r.Read(b)
		inputs[fmt.Sprint("random ", i)] = fuzzSegments(b)
	}
	for name, segs := range inputs {
		comparePartsWithWhole(t, name, segs)
	}
}

func comparePartsWithWhole(t *testing.T, name string, segs []segment.Segment) {
	t.Helper()
	var whole, line, asked lines
	for cfg, sink := range map[Config]*lines{{}: &whole, {LinesOnly: true}: &line, {AskedOnly: true}: &asked} {
		feed(NewTable(cfg, sink), segs, 13)
	}
	if len(line.ended) != len(whole.ended) {
		t.Fatalf("%s: %d connections, with lines only %d", name, len(whole.ended), len(line.ended))
	}
	if strings.HasPrefix(name, "random") {
		// Its clock jumps: what ends at one time may then stand in any order.
		for _, l := range []*lines{&whole, &line} {
			slices.SortFunc(l.ended, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) })
		}
	}
	for i := range whole.ended {
		if a, b := &whole.ended[i], &line.ended[i]; !reflect.DeepEqual(a, b) {
			t.Errorf("%s: whole:\n%swith lines only:\n%s", name, describe(a), describe(b))
		}
	}
	if line.asked.b.Len() > 0 || len(asked.ended) > 0 {
		t.Errorf("%s: asked with lines only, or %d ended with asked only", name, len(asked.ended))
	}
	if a, b := whole.asked.b.String(), asked.asked.b.String(); a != b {
		t.Errorf("%s: whole:\n%s\nwith asked only:\n%s", name, a, b)
	}
}

// Lines need no memory for a diagnosis.
func TestLinesTakeLess(t *testing.T) {
	segs := shortConnections(t, 2000, 100)
	table := NewTable(Config{LinesOnly: true}, &nothing{})
	table.Add(segs)
	if table.records.used != 2000 || table.extras.used != 0 || table.deeps.chunks != nil || table.hosts.entries.used != 0 || table.closings.n != 0 {
		t.Errorf("%d records, %d extras, %d hosts, %d closings", table.records.used, table.extras.used, table.hosts.entries.used, table.closings.n)
	}
	table.Close()
}

// A connection that ended goes after KeepEnded, an attempt after Keep.
func TestKeepEnded(t *testing.T) {
	whole := mustStory(t, wholeStory)
	table := NewTable(Config{Keep: 40 * time.Second, KeepEnded: 5 * time.Second}, &nothing{})
	defer table.Close()
	for port := range uint16(1000) {
		table.Add(moved(whole, port+1, time.Duration(port)*time.Millisecond))
		table.Add(moved(whole[:1], port+2000, time.Duration(port)*time.Millisecond))
	}
	table.Add(moved(whole[6:], 1, 4*time.Second)) // holds its record until 9.05 s
	for _, c := range []struct {
		at   time.Duration
		want uint32
	}{{8 * time.Second, 1002}, {39 * time.Second, 1001}, {50 * time.Second, 1}} {
		table.Add(moved(whole[:4], 9999, c.at))
		if n := table.records.used; n != c.want {
			t.Errorf("after %v %d records are in use, want %d", c.at, n, c.want)
		}
	}
}

// What stays open is told in the order of the first frames, whether its records
// lie in that order, in another one, or far between.
func TestRestInOrder(t *testing.T) {
	syn := mustStory(t, wholeStory)[:1]
	whole := mustStory(t, wholeStory)
	for name, story := range map[string]struct{ closed, every int }{"sorted": {0, 1}, "mixed": {100, 2}, "sparse": {3000, 50}} {
		var l lines
		table := NewTable(Config{Keep: time.Hour, KeepEnded: time.Second, LinesOnly: true}, &l)
		at := time.Duration(0)
		for i := range story.closed {
			at += 100 * time.Millisecond
			table.Add(moved(whole, uint16(i+1), at))
			if i%story.every == 0 {
				table.Add(moved(syn, uint16(i+10000), at))
			}
		}
		for i := range 10 {
			table.Add(moved(syn, uint16(i+20000), at+time.Minute))
		}
		ended := len(l.ended)
		table.Close()
		rest := l.ended[ended:]
		if len(rest) < 10 || uint64(len(l.ended)) != table.Connections() {
			t.Errorf("%s: %d rest of %d", name, len(rest), len(l.ended))
		}
		if !slices.IsSortedFunc(rest, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) }) {
			t.Errorf("%s: not in order", name)
		}
	}
}
