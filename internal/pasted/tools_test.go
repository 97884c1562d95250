package pasted_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/pasted"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

var generate = flag.Bool("generate", false, "let tcpdump and tshark print testdata/tools anew")

// What a way of printing leaves out, or tells in a lesser way.
const (
	noTime = 1 << iota
	sinceFirst
	clockOnly
	relativeNumbers
	relativeUnknown // numbers count from an unknown start
	noIP
	scaledWindow
	noLinks
	bareAck      // no seq where there is no payload
	noSACK       // tshark was not asked for the blocks, nor for SACK-permitted
	noOptions    // nor for any option
	noRowNumbers // frames are lines
)

// ways are the ways in which the tools are run; %s is the capture.
var ways = []struct {
	name   string
	args   string
	lacks  int
	limit  int // frames, 0: all; trees are long
	timeNS int64
}{
	{"n", "tcpdump -n -r %s", clockOnly | noIP | bareAck | noRowNumbers, 0, 1000},
	{"nS", "tcpdump -n -S -r %s", clockOnly | noIP | bareAck | noRowNumbers, 0, 1000},
	{"nv", "tcpdump -n -v -r %s", clockOnly | bareAck | noRowNumbers, 0, 1000},
	{"nvvS", "tcpdump -n -vv -S -r %s", clockOnly | bareAck | noRowNumbers, 0, 1000},
	{"ne", "tcpdump -n -e -r %s", clockOnly | noIP | bareAck | noRowNumbers, 0, 1000},
	{"nev", "tcpdump -n -e -v -r %s", clockOnly | bareAck | noRowNumbers, 0, 1000},
	{"ntttt", "tcpdump -n -tttt -r %s", noIP | bareAck | noRowNumbers, 0, 1000},
	{"nttt", "tcpdump -n -ttt -r %s", sinceFirst | noIP | bareAck | noRowNumbers, 0, 1000},
	{"nttttt", "tcpdump -n -ttttt -r %s", sinceFirst | noIP | bareAck | noRowNumbers, 0, 1000},
	{"ntt", "tcpdump -n -tt -r %s", noIP | bareAck | noRowNumbers, 0, 1000},
	{"nt", "tcpdump -n -t -r %s", noTime | noIP | bareAck | noRowNumbers, 0, 0},
	{"nX", "tcpdump -n -X -r %s", clockOnly | noIP | bareAck | noRowNumbers, 6, 1000},
	{"nA", "tcpdump -n -A -r %s", clockOnly | noIP | bareAck | noRowNumbers, 6, 1000},
	{"number", "tcpdump -n -# -r %s", clockOnly | noIP | bareAck, 0, 1000},
	{"nanos", "tcpdump -n --time-stamp-precision=nano -r %s", clockOnly | noIP | bareAck | noRowNumbers, 0, 1},
	{"shark", "tshark -n -r %s", sinceFirst | relativeUnknown | noIP | scaledWindow, 0, 1},
	{"shark-abs", "tshark -n -t ad -o tcp.relative_sequence_numbers:FALSE -r %s", noIP | scaledWindow, 0, 1},
	{"shark-tud", "tshark -n -t ud -r %s", relativeUnknown | noIP | scaledWindow, 0, 1},
	{"shark-te", "tshark -n -t e -r %s", relativeUnknown | noIP | scaledWindow, 0, 1},
	{"shark-td", "tshark -n -t d -r %s", sinceFirst | relativeUnknown | noIP | scaledWindow, 0, 1},
	{"shark-names", "tshark -N mt -r %s", sinceFirst | relativeUnknown | noIP | scaledWindow, 0, 1},
	{"shark-V", "tshark -n -V -r %s", 0, 6, 1},
	{"shark-PV", "tshark -n -P -V -r %s", 0, 6, 1},
	{"shark-Vabs", "tshark -n -V -o tcp.relative_sequence_numbers:FALSE -r %s", 0, 6, 1},
	{"shark-Px", "tshark -n -P -x -r %s", sinceFirst | relativeUnknown | noIP | scaledWindow, 6, 1},
	{"fields", "tshark -n -T fields -E header=y -e frame.number -e frame.time_epoch -e ip.src -e ipv6.src -e tcp.srcport -e ip.dst -e ipv6.dst " +
		"-e tcp.dstport -e tcp.flags -e tcp.seq_raw -e tcp.ack_raw -e tcp.window_size_value -e tcp.len -e tcp.options.mss_val " +
		"-e tcp.options.wscale.shift -e tcp.options.timestamp.tsval -e tcp.options.timestamp.tsecr -e ip.ttl -e ip.id -r %s", noIP | noSACK, 0, 1},
	{"fields-comma", "tshark -n -T fields -E header=y -E separator=, -E quote=d -e frame.number -e frame.time_relative -e ip.dst -e ip.src -e ipv6.dst -e ipv6.src -e tcp.dstport " +
		"-e tcp.srcport -e tcp.flags.str -e tcp.seq -e tcp.ack -e tcp.window_size_value -e tcp.len -r %s", sinceFirst | relativeUnknown | noIP | noSACK | noOptions, 0, 1},
}

// captures are what is printed; mixed.pcap is made by mixed.
var captures = map[string]string{
	"founding":  "../../testdata/founding/founding.pcap",
	"challenge": "../../testdata/corpus/captures/linux-6.18.44/est_syn_before.pcap",
	"reuse":     "../../testdata/corpus/captures/linux-3.10.0-1127.el7/real_reuse_ts.pcap",
	"mixed":     "testdata/tools/mixed.pcap",
}

// mixed writes a capture with what the others lack: IPv6, SACK blocks, numbers
// that wrap, urgent data, ECN, a VLAN, several connections at once.
func mixed(t *testing.T, name string) {
	t.Helper()
	var b bytes.Buffer
	w, err := capture.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	now := int64(1_790_000_000_123_456_789)
	write := func(src, dst segment.Endpoint, text string, edit func(*segment.Segment)) {
		s, err := segment.ParsePacketdrill(text)
		if err != nil {
			t.Fatal(err)
		}
		now += 1_234_567 * (1 + now/1000%7)
		s.Src, s.Dst, s.Time, s.IPID = src, dst, now, uint16(now>>20)
		if edit != nil {
			edit(&s)
		}
		if err := w.WriteSegment(&s); err != nil {
			t.Fatal(err)
		}
	}
	end := func(a string, port uint16) segment.Endpoint { return segment.Endpoint{Addr: addr(a), Port: port} }
	c6, s6 := end("2001:db8::1", 50000), end("2001:db8:0:1::80", 443)
	c4, s4 := end("192.0.2.7", 41000), end("198.51.100.9", 25)
	write(c6, s6, "SEW 4294967290:4294967290(0) win 64800 <mss 1440,sackOK,TS val 10 ecr 0,nop,wscale 7>", nil)
	write(c4, s4, "S 100:100(0) win 8192 <mss 1460,nop,wscale 8,nop,nop,sackOK>", func(s *segment.Segment) { s.VLAN = 12 })
	write(s6, c6, "S.E 2500000000:2500000000(0) ack 4294967291 win 64260 <mss 1440,sackOK,TS val 900 ecr 10,nop,wscale 9>", nil)
	write(s4, c4, "S. 3000000000:3000000000(0) ack 101 win 65535 <mss 1380,nop,wscale 2,sackOK,eol>", func(s *segment.Segment) { s.VLAN, s.TTL = 12, 47 })
	write(c6, s6, ". 4294967291:4294967291(0) ack 2500000001 win 507 <nop,nop,TS val 11 ecr 900>", nil)
	write(c6, s6, "P. 4294967291:200(205) ack 2500000001 win 507 <nop,nop,TS val 11 ecr 900>", nil)
	write(s6, c6, ". 2500000001:2500001496(1495) ack 200 win 126 <nop,nop,TS val 901 ecr 11>", nil)
	write(c4, s4, "U. 101:131(30) ack 3000000001 win 1024 urg 30", nil)
	write(s6, c6, "P. 2500002996:2500003296(300) ack 200 win 126 <nop,nop,TS val 902 ecr 11>", nil)
	write(c6, s6, ". 200:200(0) ack 2500001496 win 500 <nop,nop,TS val 12 ecr 901,nop,nop,sack 2500002996:2500003296>", nil)
	write(s4, c4, "F. 3000000001:3000000001(0) ack 131 win 0", nil)
	write(c6, s6, "R. 200:200(0) ack 2500001496 win 0", nil)
	write(c4, s4, "R 131:131(0) win 0", func(s *segment.Segment) { s.TOS = 0x10 })
	write(c4, s4, "S 4026531840:4026531840(0) win 8192 <mss 1460>", nil)
	write(s4, c4, "R. 0:0(0) ack 4026531841 win 0", nil)
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestTools holds what is read from the tools' output against the capture that
// they printed, field by field.
func TestTools(t *testing.T) {
	if *generate {
		mixed(t, captures["mixed"])
	}
	for name, path := range captures {
		want := segments(t, path)
		for _, w := range ways {
			if w.limit > 0 && name != "mixed" && name != "founding" {
				continue
			}
			file := filepath.Join("testdata", "tools", name+"."+w.name+".txt")
			if *generate && wanted(name) {
				produce(t, file, fmt.Sprintf(w.args, path), w.limit)
			}
			t.Run(name+"."+w.name, func(t *testing.T) {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				want := slices.Clone(want)
				if w.limit > 0 {
					want = want[:w.limit]
				}
				compare(t, pasted.Parse(b), want, w.lacks, w.timeNS)
			})
		}
	}
}

// generated tells which captures a run with -generate prints: all, or those named.
var generated = flag.String("captures", "", "those of which -generate prints the output, separated by commas")

func wanted(name string) bool {
	return *generated == "" || slices.Contains(strings.Split(*generated, ","), name)
}

// produce runs a tool.
func produce(t *testing.T, file, command string, limit int) {
	t.Helper()
	args := strings.Fields(command)
	if limit > 0 {
		args = append(args, "-c", fmt.Sprint(limit))
	}
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), "TZ=UTC")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if err := os.WriteFile(file, out, 0o666); err != nil {
		t.Fatal(err)
	}
}

// segments reads a capture.
func segments(t *testing.T, path string) []segment.Segment {
	t.Helper()
	r, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []segment.Segment
	batch := make([]segment.Segment, 64)
	for {
		n, err := r.Read(batch)
		for _, s := range batch[:n] {
			s.RawOptions = nil
			all = append(all, s)
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// life names a direction of a connection: its relative numbers have one start.
type life struct {
	src, dst segment.Endpoint
	n        int
}

// compare holds packets against the segments that were printed.
func compare(t *testing.T, got *pasted.Text, want []segment.Segment, lacks int, unit int64) {
	t.Helper()
	if len(got.NotUnderstood) > 0 {
		t.Errorf("lines %v were not understood", got.NotUnderstood)
	}
	want = withNumbers(t, got, want)
	if len(got.Packets) != len(want) {
		t.Fatalf("%d packets, want %d", len(got.Packets), len(want))
	}
	lives := map[[2]segment.Endpoint]int{}
	starts := map[life]seq.Num{}
	for i := range want {
		g, w := &got.Packets[i].Segment, &want[i]
		there, back := [2]segment.Endpoint{w.Src, w.Dst}, [2]segment.Endpoint{w.Dst, w.Src}
		if w.Flags&(segment.SYN|segment.ACK) == segment.SYN && (i == 0 || w.Seq != lastSYN(want[:i], w)) {
			lives[there]++
			lives[back]++
		}
		if w.Flags.Has(segment.SYN | segment.ACK) {
			lives[there]++ // Wireshark counts anew
		}
		compareFields(t, got.Packets[i].Line, g, w, lacks)
		sameStart(t, w.Frame, "seq", starts, life{w.Src, w.Dst, lives[there]}, g.Seq, w.Seq, g.Doubt.Has(segment.SeqRelative), lacks&relativeUnknown != 0)
		if w.Flags.Has(segment.ACK) {
			sameStart(t, w.Frame, "ack", starts, life{w.Dst, w.Src, lives[back]}, g.Ack, w.Ack, g.Doubt.Has(segment.AckRelative), lacks&relativeUnknown != 0)
		}
		checkTime(t, got, want, i, lacks, unit)
	}
}

// compareFields compares all but numbers and time.
func compareFields(t *testing.T, line int, g, w *segment.Segment, lacks int) {
	t.Helper()
	frame := w.Frame
	fail := func(lack int, what string, g, w any) {
		if g != w && lacks&lack == 0 {
			t.Errorf("frame %d (line %d): %s is %v, want %v", frame, line, what, g, w)
		}
	}
	worked := g.Doubt.Has(segment.FlagsUnsaid) // the row of an application
	if worked {
		w.Flags &= segment.ACK
		w.Options, w.TSVal, w.TSEcr, w.Window = segment.OptCut, g.TSVal, g.TSEcr, g.Window
	}
	fail(0, "source", g.Src, w.Src)
	fail(0, "destination", g.Dst, w.Dst)
	fail(0, "length", g.Len, w.Len)
	fail(0, "flags", g.Flags, w.Flags)
	fail(noOptions, "MSS", g.MSS, w.MSS)
	fail(noOptions, "scale", g.WScale, w.WScale)
	fail(noOptions, "TSval", g.TSVal, w.TSVal)
	fail(noOptions, "TSecr", g.TSEcr, w.TSEcr)
	fail(noSACK, "options", g.Options, w.Options)
	fail(noSACK, "blocks", g.NSACK, w.NSACK)
	fail(noSACK, "urgent pointer", g.Urgent, w.Urgent)
	fail(noRowNumbers, "frame", g.Frame, w.Frame)
	fail(noIP, "TTL", g.TTL, w.TTL)
	fail(noIP, "TOS", g.TOS, w.TOS)
	fail(noIP, "IP id", g.IPID, w.IPID)
	if !g.Doubt.Has(segment.WindowUnsaid) {
		fail(0, "window", g.Window, w.Window)
	} else if !worked {
		fail(scaledWindow, "doubt of the window", true, false)
	}
	if g.Doubt.Has(segment.SeqUnsaid) && !worked && (lacks&bareAck == 0 || w.Len > 0 || w.Flags != segment.ACK) {
		t.Errorf("frame %d: seq is in doubt", w.Frame)
	}
	for j := range int(min(g.NSACK, w.NSACK)) {
		off := uint32(g.Ack.Sub(w.Ack))
		fail(0, "block", g.SACK[j].Left, w.SACK[j].Left.Add(off))
		fail(0, "block", g.SACK[j].Right, w.SACK[j].Right.Add(off))
	}
}

// withNumbers leaves out the rows of application protocols that found no place.
func withNumbers(t *testing.T, got *pasted.Text, want []segment.Segment) []segment.Segment {
	t.Helper()
	for i := range got.Opaque {
		if f := got.Opaque[i].Frame; f == 0 || f > uint64(len(want)) || want[f-1].Len == 0 {
			t.Errorf("frame %d: no TCP numbers were found", f)
		}
	}
	if len(got.Opaque) == 0 {
		return want
	}
	var rest []segment.Segment
	for i := range want {
		if !slices.ContainsFunc(got.Opaque, func(o pasted.Opaque) bool { return o.Frame == want[i].Frame }) {
			rest = append(rest, want[i])
		}
	}
	return rest
}

// lastSYN returns the number of the last bare SYN of the same end.
func lastSYN(before []segment.Segment, w *segment.Segment) seq.Num {
	for i := len(before) - 1; i >= 0; i-- {
		b := &before[i]
		if b.Src == w.Src && b.Dst == w.Dst && b.Flags&(segment.SYN|segment.ACK) == segment.SYN {
			return b.Seq
		}
	}
	return seq.Of(w.Seq.Uint32() + 1)
}

// sameStart checks a number: equal, or, where the start of the counting is not
// known, as far from the true one as every number of its end in this connection.
func sameStart(t *testing.T, frame uint64, what string, starts map[life]seq.Num, k life, got, want seq.Num, relative, may bool) {
	t.Helper()
	if relative != may {
		t.Errorf("frame %d: %s has an invented start: %v, want %v", frame, what, relative, may)
		return
	}
	off := seq.Of(got.Uint32() - want.Uint32())
	if !relative {
		if got != want {
			t.Errorf("frame %d: %s is %v, want %v", frame, what, got, want)
		}
		return
	}
	if s, ok := starts[k]; ok && s != off {
		t.Errorf("frame %d: %s is off by %v, and by %v before", frame, what, off, s)
	}
	starts[k] = off
}

// checkTime checks the time of a packet to the precision of the text.
func checkTime(t *testing.T, got *pasted.Text, want []segment.Segment, i, lacks int, unit int64) {
	t.Helper()
	g, w := got.Packets[i].Time, want[i].Time
	if lacks&noTime != 0 {
		if !got.Packets[i].Doubt.Has(segment.TimeUnsaid) || i > 0 && g <= got.Packets[i-1].Time {
			t.Errorf("frame %d: the time is %d", i+1, g)
		}
		return
	}
	slack := unit
	switch {
	case lacks&sinceFirst != 0:
		g, w = g-got.Packets[0].Time, w-want[0].Time
		slack *= int64(i + 2)
	case lacks&clockOnly != 0:
		const day = 86_400_000_000_000
		g, w = g%day, w%day
		slack--
	default:
		slack--
	}
	if d := g - w; d > slack || d < -slack {
		t.Errorf("frame %d: the time is off by %d ns", i+1, d)
	}
}
