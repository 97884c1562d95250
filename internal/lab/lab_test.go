package lab

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

func TestProfileOf(t *testing.T) {
	for _, c := range []struct {
		release, version string
		want             kernel.Version
		backports        bool
	}{
		{"6.1.0-50-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-01)", kernel.V(6, 1, 176), false},
		{"6.18.44", "#1 SMP PREEMPT_DYNAMIC @0", kernel.V(6, 18, 44), false},
		{"6.18.44-fc", "#1 SMP", kernel.V(6, 18, 44), true},
	} {
		p, err := profileOf(c.release, c.version)
		if err != nil || p.Version != c.want || p.Backports != c.backports || !strings.Contains(p.String(), c.release) {
			t.Errorf("%s, %s: got %+v, %v", c.release, c.version, p, err)
		}
	}
	if _, err := profileOf("unknown", ""); err == nil {
		t.Error("no error for a release that is none")
	}
}

// Each field of a prediction is held against what came.
func TestCompare(t *testing.T) {
	n := Numbers{ISN: seq.Of(1000), ISNAsked: 1e9, ISNTime: 1e9 + 1e6}
	known := func(v uint32) kernel.Num { return kernel.Known(seq.Of(v)) }
	ack := kernel.Reply{Kind: kernel.ReplyACK, Seq: known(5), Ack: known(7), Window: known(9), TSEcr: known(11)}
	ackSeen := "5:5(0) ack 7 win 9 <nop,nop,TS val 1 ecr 11>"
	bare := kernel.Reply{Kind: kernel.ReplyACK, Seq: known(5), NoTS: true}
	synAck := func(k kernel.ISNKind) kernel.Reply { return kernel.Reply{Kind: kernel.ReplySYNACK, ISN: k} }
	const sent = int64(2e9)                  // a second after the first SYN
	const onLine = "S. 15626000:15626000(0)" // 1000 + 1 s / 64 ns
	for _, c := range []struct {
		r      kernel.Reply
		got    []string
		fields string
	}{
		{kernel.Reply{}, nil, ""},
		{kernel.Reply{}, []string{". 5:5(0) ack 7 win 9"}, "reply"},
		{ack, nil, "reply"},
		{ack, []string{". " + ackSeen}, ""},
		{ack, []string{"R. " + ackSeen}, "flags"},
		{ack, []string{"P. 6:7(1) ack 8 win 10"}, "flags"},
		{ack, []string{". 6:6(0) ack 8 win 10 <nop,nop,TS val 1 ecr 12>"}, "seq ack window tsecr"},
		{ack, []string{". 5:5(0) ack 7 win 9"}, "timestamps"},
		{ack, []string{". " + ackSeen, ". " + ackSeen}, "replies"},
		{bare, []string{". 5:5(0) ack 99 win 99"}, ""}, // what is not known is not compared
		{bare, []string{". 5:5(0) ack 99 win 99 <nop,nop,TS val 1 ecr 0>"}, "timestamps"},
		{bare, []string{". 5:8(3) ack 99 win 99"}, "len"},
		{kernel.Reply{Kind: kernel.ReplyRST, Seq: known(5)}, []string{"R 5:5(0) win 0"}, ""},
		{kernel.Reply{Kind: kernel.ReplyRST, Seq: known(5)}, []string{"R. 5:5(0) ack 1 win 0"}, "flags"},
		{kernel.Reply{Kind: kernel.ReplyRST, HasACK: true}, []string{"R. 0:0(0) ack 1 win 0"}, ""},
		{synAck(kernel.ISNFresh), []string{onLine + " ack 1 win 9"}, ""},
		{synAck(kernel.ISNFresh), []string{"SE. 15626000:15626000(0) ack 1 win 9"}, ""},
		{synAck(kernel.ISNFresh), []string{"S. 99999999:99999999(0) ack 1 win 9"}, "isn"},
		{synAck(kernel.ISNCookie), []string{"S. 99999999:99999999(0) ack 1 win 9"}, ""},
		{synAck(kernel.ISNUnknown), []string{onLine + " ack 1 win 9"}, ""},
	} {
		var got []segment.Segment
		for _, text := range c.got {
			s, err := segment.ParsePacketdrill(text)
			if err != nil {
				t.Fatal(err)
			}
			s.Time = sent + 1e6
			got = append(got, s)
		}
		var fields []string
		for _, d := range compare(c.r, got, &n, sent) {
			fields = append(fields, d.Field)
			if d.Predicted == d.Observed {
				t.Errorf("%+v, %q: %+v is no difference", c.r, c.got, d)
			}
		}
		if f := strings.Join(fields, " "); f != c.fields {
			t.Errorf("%+v, %q: got %q, want %q", c.r, c.got, f, c.fields)
		}
	}
}

func TestStepsAreDistances(t *testing.T) {
	n := Numbers{RcvNxt: seq.Of(0xfffffff0), SndNxt: seq.Of(1), RcvWnd: 1000, TSRecent: seq.Of(7), TSEcr: seq.Of(55)}
	st := Step{Flags: segment.SYN | segment.ACK, Seq: 1, HalfWindows: 2, Ack: ^uint32(0), Len: 3, HasTS: true, TSVal: ^uint32(9)}
	s := st.build(&n, segment.Endpoint{Port: 1}, segment.Endpoint{Port: 2})
	if got, want := text(&s), "S. 985:988(3) ack 0 win 4000 <mss 1400,nop,nop,TS val 4294967293 ecr 55>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	st = Step{Flags: segment.RST}
	s = st.build(&n, segment.Endpoint{}, segment.Endpoint{})
	if got, want := text(&s), "R 4294967280:4294967280(0) win 4000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRandomIsDrawnFromItsSeed(t *testing.T) {
	a, b, c := Random(500, 7), Random(500, 7), Random(500, 8)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed, two results")
	}
	if reflect.DeepEqual(a, c) {
		t.Error("two seeds, one result")
	}
	steps := 0
	for _, s := range a {
		n := len(s.Steps) - 1
		if n < 1 || n > maxWalk || !s.Steps[n].FollowUp {
			t.Fatalf("%+v", s)
		}
		steps += n
	}
	if steps < 500 || steps > 500+maxWalk {
		t.Errorf("%d steps, want 500", steps)
	}
}

func TestMatrixParts(t *testing.T) {
	total := 0
	for _, p := range Parts {
		s, err := Matrix([]string{p}, false, 1)
		if err != nil || len(s) < 1000 {
			t.Errorf("%s: %d stories, %v", p, len(s), err)
		}
		total += len(s)
	}
	all, err := Matrix(nil, false, 1)
	if err != nil || len(all) != total {
		t.Errorf("the whole has %d stories, its parts %d: %v", len(all), total, err)
	}
	pairs, err := Matrix([]string{"timewait"}, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Settings]bool{}
	for _, s := range pairs {
		seen[s.Settings] = true
	}
	if n := len(probeSettings); len(seen) < n+(n-2)*(n-3)/2 {
		t.Errorf("%d settings, want the defaults, each other one, and their pairs", len(seen))
	}
	if _, err := Matrix([]string{"time-wait"}, false, 1); err == nil {
		t.Error("no error for a part that does not exist")
	}
}

func TestLedgerLines(t *testing.T) {
	if _, err := Ledger(); err != nil {
		t.Error(err)
	}
	got, err := parseLedger("# comment\n\nTIME_WAIT syn-accepted seq | 6.1 | the reason\n")
	if want := (Entry{"TIME_WAIT syn-accepted seq", "6.1", "the reason"}); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v", got, err)
	}
	p, err := kernel.ParseRelease("6.1.190")
	if err != nil {
		t.Fatal(err)
	}
	if !got[0].Of(p) {
		t.Error("6.1.190 is of 6.1")
	}
	for _, bad := range []string{"a | b", "a | | c", "a | b | c | d"} {
		if _, err := parseLedger("\n" + bad); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestResultText(t *testing.T) {
	r := Result{
		Kernel: "6.18.44", Mode: "random", Seed: 7, Stories: 3, Probes: 9, FollowUps: 2, Mismatches: 1, Ledgered: 1,
		Open:  map[string]int{"b": 1, "a": 2},
		Rules: map[string]int{"syn-accepted": 9},
		Kinds: []Mismatch{{Key: "TIME_WAIT syn-accepted seq", Count: 1, Known: "so it is", Scenario: "# a story\n"}},
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	const want = `# TIME_WAIT syn-accepted seq: 1
# known: so it is
# a story

# kernel 6.18.44, random, seed 7
# 3 connections, 9 probes, 2 looks at the state after
# 2 not predicted: a
# 1 not predicted: b
# 1 rules tried, 1 mismatches, 1 more that the ledger lists
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

func TestScenario(t *testing.T) {
	s := Story{State: TimeWait, Path: ByClosing, TS: true, Settings: Settings{RFC1337: true, NoListener: true}}
	o := Outcome{
		Numbers: Numbers{RcvNxt: seq.Of(1), SndNxt: seq.Of(2), RcvWnd: 3, TSRecent: seq.Of(5)},
		Steps: []Observed{
			{At: 1.5e9, Sent: "S 1:1(0) win 4000", Rule: "ack-old-syn", Predicted: ". seq 2", Got: []string{". 2:2(0) ack 1 win 3"}},
			{Rule: "ack-old-syn", State: true, Differences: []Difference{{"state", "TIME_WAIT", "no socket"}}},
		},
	}
	const want = `state TIME_WAIT by way of CLOSING
family IPv4
settings tcp_rfc1337=1, no listener
numbers rcv_nxt=1 snd_nxt=2 rcv_wnd=3 wscale=0 ts_recent=5
1.500 < S 1:1(0) win 4000
#   predicted by ack-old-syn: . seq 2
1.500 > . 2:2(0) ack 1 win 3
# then the kernel's table:
#   state: predicted TIME_WAIT, observed no socket
`
	if got := o.Scenario(&s); got != want {
		t.Errorf("got\n%s", got)
	}
	if got, want := o.Key(&s), "TIME_WAIT ack-old-syn state"; got != want {
		t.Errorf("key %q, want %q", got, want)
	}
}
