package scenario

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

const story = `# A client comes back.
# A remark.

flow [2001:db8::1]:51820 [2001:db8::2]:443
fact server:kernel=3.10
fact client:sysctl.net.ipv4.tcp_tw_reuse=1
ttl server 63
0.000      < S 100:100(0) win 64240 <mss 1460,sackOK,TS val 900 ecr 0,nop,wscale 7>
+0.001     > S. 200:200(0) ack 101 win 65160 <mss 1460>
flow 10.0.0.1:1 10.0.0.2:2
ttl client 1
+.25	<	. 101:101(0) ack 201 win 502
17.000000001 < P. 101:111(10) ack 201 win 502
----
what is said

 and how
`

func TestRead(t *testing.T) {
	s, err := Read("x.txt", strings.NewReader(story))
	if err != nil {
		t.Fatal(err)
	}
	if s.Intent != "A client comes back." {
		t.Errorf("intent %q", s.Intent)
	}
	if want := []string{"server:kernel=3.10", "client:sysctl.net.ipv4.tcp_tw_reuse=1"}; !reflect.DeepEqual(s.Facts, want) {
		t.Errorf("facts %q", s.Facts)
	}
	if want := "what is said\n\n and how\n"; s.Want != want {
		t.Errorf("want %q", s.Want)
	}
	var got []string
	for i, p := range s.Segments {
		if p.Frame != uint64(i+1) || p.SourceFrame != uint64(i+1) {
			t.Errorf("segment %d is frame %d of its file, %d in all", i, p.SourceFrame, p.Frame)
		}
		at := time.Unix(0, p.Time).UTC().Format(time.RFC3339Nano)
		got = append(got, at+" "+p.Src.String()+" "+p.Dst.String()+" ttl "+string('0'+rune(p.TTL/10))+string('0'+rune(p.TTL%10))+
			" "+string(segment.AppendPacketdrill(nil, &p)))
	}
	want := []string{
		"2026-01-01T00:00:00Z [2001:db8::1]:51820 [2001:db8::2]:443 ttl 64 S 100:100(0) win 64240 <mss 1460,sackOK,TS val 900 ecr 0,nop,wscale 7>",
		"2026-01-01T00:00:00.001Z [2001:db8::2]:443 [2001:db8::1]:51820 ttl 63 S. 200:200(0) ack 101 win 65160 <mss 1460>",
		"2026-01-01T00:00:00.251Z 10.0.0.1:1 10.0.0.2:2 ttl 01 . 101:101(0) ack 201 win 502",
		"2026-01-01T00:00:17.000000001Z 10.0.0.1:1 10.0.0.2:2 ttl 01 P. 101:111(10) ack 201 win 502",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReadDefaults(t *testing.T) {
	s, err := Read("x.txt", strings.NewReader("# Short.\n1 > R 1:1(0)"))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Segments[0]
	if p.Src.String() != "10.0.0.2:80" || p.Dst.String() != "10.0.0.1:51820" || p.TTL != 64 || s.Want != "" {
		t.Errorf("got %+v", s)
	}
}

func TestReadErrors(t *testing.T) {
	const head = "# Intent.\n"
	tests := []struct{ text, want string }{
		{"", "x.txt:1: want a line that says what"},
		{"#\n0 < S 1:1(0)", "x.txt:1: want a line that says what"},
		{head + "----\n", "x.txt: no packet lines"},
		{head + "hello", `x.txt:2: "hello" is neither a packet`},
		{head + "< S 1:1(0)", `x.txt:2: "<" is neither a packet`},
		{head + "\n0.0 S 1:1(0)", `x.txt:3: want < (from the client) or > (from the server) after the time, got "S"`},
		{head + "0.0 < S 40088018880:40088018880(0)", "x.txt:2: behind <: column 3: 40088018880 is no 32-bit number"},
		{head + "0.0 <", "x.txt:2: behind <: column 1: want the flags"},
		{head + "1.0 < S 1:1(0)\n0.9 < S 1:1(0)", "x.txt:3: time 0.9 is before the packet above"},
		{head + "0.0000000001 < S 1:1(0)", `x.txt:2: "0.0000000001" is not a time`},
		{head + "1,5 < S 1:1(0)", `x.txt:2: "1,5" is not a time`},
		{head + ". < S 1:1(0)", `x.txt:2: "." is not a time`},
		{head + "+ < S 1:1(0)", `x.txt:2: "" is not a time`},
		{head + "99999999999 < S 1:1(0)", "x.txt:2: time \"99999999999\": a scenario lasts"},
		{head + "316224000 < S 1:1(0)\n+1 < S 1:1(0)", "x.txt:3: time +1: a scenario lasts"},
		{head + "flow 10.0.0.1:1", "x.txt:2: want flow CLIENT SERVER"},
		{head + "flow 10.0.0.1:1 10.0.0.2", `x.txt:2: "10.0.0.2" is not ADDRESS:PORT`},
		{head + "flow 10.0.0.1 10.0.0.2:1", `x.txt:2: "10.0.0.1" is not ADDRESS:PORT`},
		{head + "flow 10.0.0.1:1 [::1]:1", "x.txt:2: 10.0.0.1:1 and [::1]:1 are not of one family"},
		{head + "flow [fe80::1%eth0]:1 [fe80::2]:1", "has a zone"},
		{head + "fact", "x.txt:2: want fact WHO:NAME=VALUE"},
		{head + "id client", `x.txt:2: "" is no identification`},
		{head + "id server 65536", `x.txt:2: "65536" is no identification`},
		{head + "id both 1", `x.txt:2: "both" is neither client nor server`},
		{head + "ttl client", `x.txt:2: "" is no time to live`},
		{head + "ttl client 256", `x.txt:2: "256" is no time to live`},
		{head + "ttl client 0", `x.txt:2: "0" is no time to live`},
		{head + "ttl router 3", `x.txt:2: "router" is neither client nor server`},
	}
	for _, tt := range tests {
		s, err := Read("x.txt", strings.NewReader(tt.text))
		if err == nil {
			t.Errorf("%q is read as %+v, want error %s", tt.text, s, tt.want)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\ngot  %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

func TestReadPassesOnFailures(t *testing.T) {
	broken := errors.New("broken")
	for _, text := range []string{"# Intent.\n0 < S 1:1(0)", "# Intent.\n0 < S 1:1(0)\n----\nabc"} {
		_, err := Read("x.txt", io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestWriteCapture(t *testing.T) {
	s, err := Read("x.txt", strings.NewReader(story))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.WriteCapture(&b); err != nil {
		t.Fatal(err)
	}
	full := b.Len()
	r, err := capture.Open([]string{"-"}, capture.Options{Stdin: &b})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]segment.Segment, len(s.Segments)+1)
	n, err := r.Read(got)
	if err != nil || n != len(s.Segments) {
		t.Fatalf("%d segments come back, want %d; error %v", n, len(s.Segments), err)
	}
	for i, want := range s.Segments {
		if len(got[i].RawOptions) == 0 {
			got[i].RawOptions = nil
		}
		got[i].Raw = segment.Raw{} // a scenario has no frames
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("frame %d:\ngot  %+v\nwant %+v", i+1, got[i], want)
		}
	}
	for n := range full {
		if err := s.WriteCapture(&shortWriter{left: n}); err == nil {
			t.Fatalf("no error although only %d of %d bytes were taken", n, full)
		}
	}
}

// shortWriter fails once left bytes are used up.
type shortWriter struct{ left int }

func (w *shortWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return w.left, io.ErrShortWrite
	}
	w.left -= len(b)
	return len(b), nil
}

func FuzzRead(f *testing.F) {
	f.Add(story)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Read("x.txt", strings.NewReader(text))
		if err == nil && (s.Intent == "" || len(s.Segments) == 0) {
			t.Errorf("%q is read as an empty scenario", text)
		}
	})
}

func TestIdentifications(t *testing.T) {
	s, err := Read("x.txt", strings.NewReader("# a story\nid server 65535\n0 < S 1:1(0) win 1\n0 > S. 1:1(0) ack 2 win 1\n0 > . 2:2(0) ack 2 win 1\nid server 0\n0 > . 2:2(0) ack 2 win 1\n0 > . 2:2(0) ack 2 win 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint16{0, 65535, 1, 0, 0} {
		if got := s.Segments[i].IPID; got != want {
			t.Errorf("packet %d has identification %d, want %d", i+1, got, want)
		}
	}
}
