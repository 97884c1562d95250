package casefile

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

const two = `# The first case.
host kernel=3.10.65 rfc1337=0 listener=yes timestamps=1 ratelimit=500ms queue_full=no cookies recycle ipv6
socket rcv_nxt=4294967295 wscale=7 last_ack=-0.2s armed=0 orphan
at 12.5s
< S 1001:1001(0) win 64240 <TS val 7 ecr 0>
----
below
  the line

# The second,
# over two lines.
----
`

func TestRead(t *testing.T) {
	cases, err := read("two.txt", two)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 2 || cases[0].Line != 1 || cases[1].Line != 10 {
		t.Fatalf("%+v", cases)
	}
	c := cases[0]
	if c.want != "below\n  the line\n" || c.At != Start+int64(12500*time.Millisecond) {
		t.Errorf("want %q at %d", c.want, c.At-Start)
	}
	if c.Segment.Flags != segment.SYN || c.Segment.TSVal != seq.Of(7) {
		t.Errorf("segment %+v", c.Segment)
	}
	h := c.Host()
	want := kernel.Host{
		Profile: kernel.Profile{Vendor: kernel.Mainline, Version: kernel.V(3, 10, 65), Label: "3.10.65"},
		RFC1337: kernel.No, Listener: kernel.Yes, Timestamps: kernel.Yes, AcceptQueueFull: kernel.No, SynCookies: kernel.Yes, Recycle: kernel.Yes,
		RateLimit: kernel.Duration{Duration: 500 * time.Millisecond, Known: true}, IPv6: true,
	}
	if h != want {
		t.Errorf("host %+v, want %+v", h, want)
	}
	s := c.On("socket")
	if n := s.Num("rcv_nxt"); n != kernel.Known(seq.Of(1<<32-1)) {
		t.Errorf("rcv_nxt %+v", n)
	}
	if n := s.Num("snd_nxt"); n.Known {
		t.Errorf("snd_nxt %+v, which is not set", n)
	}
	if a, b := s.Answer("orphan"), s.Answer("ts"); a != kernel.Yes || b != kernel.Unknown {
		t.Errorf("orphan %s, ts %s", a, b)
	}
	// A time is from the start, or with a minus back from the segment.
	if a, b, n := s.Time("last_ack"), s.Time("armed"), s.Time("ts_stored"); a != c.At-int64(200*time.Millisecond) || b != Start || n != 0 {
		t.Errorf("last_ack %d, armed %d, ts_stored %d", a-c.At, b-Start, n)
	}
	// wscale was not asked for, and no one else will.
	if err := c.wrong(); err == nil || !strings.Contains(err.Error(), "socket has no setting wscale") {
		t.Errorf("a setting that is left over: %v", err)
	}
	if got := string(format(cases)); got != two {
		t.Errorf("written again:\n%s", got)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, where := range map[string]string{
		"":                           "f.txt: no cases",
		"socket rcv_nxt=1\n----\n":   "f.txt:1: ",
		"# A.\nsocket a=1 a=2\n":     "f.txt:2: ",
		"# A.\nat noon\n":            "f.txt:2: ",
		"# A.\n----\n\n# B.\n< X 1:": "f.txt:5: ",
	} {
		if _, err := read("f.txt", text); err == nil || !strings.HasPrefix(err.Error(), where) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, line := range []string{
		"socket num=40088018880", "socket shift=256", "socket answer=perhaps", "socket time=12", "host kernel=new", "host ratelimit=500",
	} {
		cases, err := read("f.txt", "# A.\n"+line+"\n----\n")
		if err != nil {
			t.Fatal(err)
		}
		c := cases[0]
		s := c.On("socket")
		s.Num("num")
		s.Shift("shift")
		s.Answer("answer")
		s.Time("time")
		c.Host()
		if c.wrong() == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

// What a case shows of a rule: that it fires surely, that it is missed, or nothing.
func TestRun(t *testing.T) {
	setting := func(name string) kernel.Clause[Case] {
		return kernel.Clause[Case]{Says: name, Ask: func(c *Case) kernel.Reading {
			return kernel.Setting(c.On("host").Answer(name), "set", "not set", kernel.Fact(name))
		}}
	}
	outcome := func(id string) func(*Case) string { return func(*Case) string { return id } }
	first := &kernel.Rule[Case, string]{ID: "first", When: []kernel.Clause[Case]{setting("a")}, Then: outcome("first")}
	second := &kernel.Rule[Case, string]{ID: "second", When: []kernel.Clause[Case]{setting("b"), setting("c")}, Then: outcome("second")}
	last := &kernel.Rule[Case, string]{ID: "last", Then: outcome("last")}
	rules := []*kernel.Rule[Case, string]{first, second, last}
	state := State[Case, string]{
		Rules: rules, Build: func(c *Case) *Case { return c },
		Show: func(_ *Case, o string) (string, string) { return o, o + " happens" },
	}
	for _, c := range []struct {
		host string
		want [3]seen
		text string
	}{
		{"a", [3]seen{firesSurely, nothing, isMissed}, "yes: first: a (set)\n=> first: first happens\n"},
		{
			"a=no b c", [3]seen{isMissed, firesSurely, isMissed},
			"no: first: a (not set)\nyes: second\n  yes     b (set)\n  yes     c (set)\n=> second: second happens\n",
		},
		{
			"a=no b=no", [3]seen{isMissed, isMissed, firesSurely},
			"no: first: a (not set)\nno: second: b (not set)\nyes: last\n=> last: last happens\n",
		},
		{
			"a=no b", [3]seen{isMissed, isMissed, nothing},
			"no: first: a (not set)\nunknown: second\n  yes     b (set)\n  unknown c (c is not known)\nyes: last\n" +
				"=> second: second happens\n=> last: last happens\nmissing: [c]\n",
		},
	} {
		for i, r := range rules {
			cases, err := read("f.txt", "# A.\nhost "+c.host+"\n----\n")
			if err != nil {
				t.Fatal(err)
			}
			// The settings are taken as the rules ask, after the case was built.
			keep := cases[0].settings
			state.Build = func(*Case) *Case { return &Case{settings: keep} }
			cases[0].settings = nil
			state.Decide = func(c *Case) kernel.Decision[string] { return kernel.Decide(rules, c) }
			text, of, err := state.run(r, cases[0])
			if err != nil || text != c.text || of != c.want[i] {
				t.Errorf("%s of %q: %d, %v\n%s", r.ID, c.host, of, err, text)
			}
		}
	}
	state.Decide = func(*Case) kernel.Decision[string] { return kernel.Decision[string]{} }
	state.Build = func(c *Case) *Case { return c }
	if _, _, err := state.run(first, &Case{}); err == nil {
		t.Error("a case in which no rule speaks passes")
	}
}

func TestReplyInWords(t *testing.T) {
	n := func(v uint32) kernel.Num { return kernel.Known(seq.Of(v)) }
	for want, r := range map[string]kernel.Reply{
		"no answer":                               {},
		"ACK seq 1 ack 2 win 3 ecr 4":             {Kind: kernel.ReplyACK, Seq: n(1), Ack: n(2), Window: n(3), TSEcr: n(4)},
		"ACK seq ? ack ? win ? no TS":             {Kind: kernel.ReplyACK, NoTS: true},
		"SYN-ACK seq 1 (inherited) ack 2":         {Kind: kernel.ReplySYNACK, Seq: n(1), Ack: n(2), ISN: kernel.ISNInherited},
		"SYN-ACK seq ? (origin unknown) ack 2":    {Kind: kernel.ReplySYNACK, Ack: n(2)},
		"RST seq 7 no TS":                         {Kind: kernel.ReplyRST, Seq: n(7), NoTS: true},
		"RST with ACK seq 0 ack 4294967295 ecr ?": {Kind: kernel.ReplyRST, HasACK: true, Seq: n(0), Ack: n(1<<32 - 1)},
	} {
		if got := Reply(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFits(t *testing.T) {
	n := func(v uint32) kernel.Num { return kernel.Known(seq.Of(v)) }
	truth := kernel.Reply{Kind: kernel.ReplyACK, Seq: n(1), Ack: n(2), Window: n(3), TSEcr: n(4)}
	for _, r := range []kernel.Reply{truth, {Kind: kernel.ReplyACK}, {Kind: kernel.ReplyACK, Ack: n(2)}} {
		if !Fits(r, truth) {
			t.Errorf("%+v does not fit", r)
		}
	}
	for _, r := range []kernel.Reply{
		{}, {Kind: kernel.ReplyRST}, {Kind: kernel.ReplyACK, Seq: n(2)}, {Kind: kernel.ReplyACK, NoTS: true},
		{Kind: kernel.ReplyACK, HasACK: true}, {Kind: kernel.ReplyACK, ISN: kernel.ISNFresh},
	} {
		if Fits(r, truth) {
			t.Errorf("%+v fits", r)
		}
	}
}

// Every package with rules breaks each clause of each of its lists of rules on
// purpose, and sees that a case notices.
func TestEveryListOfRulesIsMutated(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	lists := regexp.MustCompile(`(?m)^func (\w*Rules)\(\) (?:\(\w+ )?\[\]\*`)
	source, tests := map[string]string{}, map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		to := source
		if strings.HasSuffix(name, "_test.go") {
			to = tests
		}
		to[filepath.Dir(name)] += string(text)
	}
	found := 0
	for dir, text := range source {
		for _, m := range lists.FindAllStringSubmatch(text, -1) {
			found++
			if !strings.Contains(tests[dir], "casefile.Mutate(") || !strings.Contains(tests[dir], "."+m[1]+"()") {
				t.Errorf("%s: %s: no test breaks their clauses with casefile.Mutate", dir, m[1])
			}
		}
	}
	if found < 7 {
		t.Errorf("only %d lists of rules found", found)
	}
}
