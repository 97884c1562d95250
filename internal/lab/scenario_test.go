package lab

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// plain drops from a story what makes no difference to what is sent, and puts a
// number in the place of halves of a window.
func plain(s Story, n *Numbers) Story {
	if s.State != TimeWait {
		s.Path = 0
	}
	steps := s.Steps
	s.Steps = nil
	for _, st := range steps {
		if st.FollowUp {
			st = Step{FollowUp: true}
		}
		st.Seq, st.HalfWindows = st.Seq+st.HalfWindows*(n.RcvWnd/2), 0
		if !st.Flags.Has(segment.ACK) {
			st.Ack = 0
		}
		if !st.HasTS {
			st.TSVal = 0
		}
		s.Steps = append(s.Steps, st)
	}
	return s
}

// printed is the story as a run would print it in which the kernel has chosen the
// numbers given, and the numbers that the connection then has.
func printed(s *Story, snd, window uint32) (string, Numbers) {
	sent, fins := s.sent()
	n := Numbers{RcvNxt: s.ISS.Add(1 + fins), SndNxt: seqOf(snd), RcvWnd: window, TSRecent: s.TSVal, TSEcr: seqOf(snd)}
	if s.TS && sent > 0 {
		n.TSRecent = s.TSVal.Add(sent - 1)
	}
	o := Outcome{Numbers: n}
	for i := range s.Steps {
		seg := s.Steps[i].build(&n, segment.Endpoint{}, segment.Endpoint{})
		o.Steps = append(o.Steps, Observed{
			At: int64(i) * 1e9, Sent: text(&seg), FollowUp: s.Steps[i].FollowUp, Rule: "r", Predicted: ". seq 1",
			Got: []string{". 1:1(0) ack 1 win 1"}, Differences: []Difference{{"seq", "1", "2"}},
		})
	}
	return o.Scenario(s), n
}

// What is printed of a story is the story.
func TestScenarioComesBack(t *testing.T) {
	stories := Random(3000, 11)
	matrix, err := Matrix([]string{"timewait", "nosocket"}, false, 12)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(matrix); i += 17 {
		stories = append(stories, matrix[i])
	}
	for i := range stories {
		s := &stories[i]
		out, n := printed(s, uint32(i)*977, 64000)
		got, err := ParseScenarios("f", out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if want := plain(*s, &n); len(got) != 1 || !reflect.DeepEqual(got[0].Story, want) {
			t.Fatalf("got  %+v\nwant %+v\n%s", got, want, out)
		}
	}
}

func TestParseScenarios(t *testing.T) {
	got, err := ParseScenarios("f", `
# A comment.
state TIME_WAIT by way of CLOSING   # and another
family IPv6
settings tcp_rfc1337=1, no listener
numbers rcv_nxt=4294967295 snd_nxt=7 rcv_wnd=1 wscale=2 ts_recent=90
0.3 < S 4:4(0) win 4000 <mss 1400,TS val 80 ecr 0>
0.3 > . 7:7(0) ack 4294967295 win 5
+0.7 < R. rcv_nxt-1(2) ack snd_nxt+3
wait
< . rcv_nxt+rcv_wnd/2-1(0) ack snd_nxt+2^31-1 <nop,nop,TS val ts_recent-1 ecr 0>
follow-up 0.9 < whatever stood here
state ESTABLISHED
numbers ts_recent=none tsval=4
< SF rcv_nxt+rcv_wnd+1(0) <TS val 5 ecr 0>
< P rcv_nxt+3*rcv_wnd/2(10)
state NO_SOCKET
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Scenario{
		{"f", 3, Story{
			State: TimeWait, Path: ByClosing, IPv6: true, TS: true, ISS: seqOf(1<<32 - 3), TSVal: seqOf(87),
			Settings: Settings{RFC1337: true, NoListener: true},
			Steps: []Step{
				{Flags: segment.SYN, Seq: 5, HasTS: true, TSVal: 1<<32 - 10},
				{Flags: segment.RST | segment.ACK, Wait: true, Seq: 1<<32 - 1, Ack: 3, Len: 2},
				{Flags: segment.ACK, Wait: true, Seq: 1<<32 - 1, HalfWindows: 1, Ack: 1<<31 - 1, HasTS: true, TSVal: 1<<32 - 1},
				{FollowUp: true},
			},
		}},
		{"f", 13, Story{
			State: Established, ISS: seqOf(usualRcvNxt - 1), TSVal: seqOf(4),
			Steps: []Step{
				{Flags: segment.SYN | segment.FIN, Seq: 1, HalfWindows: 2, HasTS: true, TSVal: 1},
				{Flags: segment.PSH, HalfWindows: 3, Len: 10},
			},
		}},
		{"f", 17, Story{State: NoSocket, TS: true, ISS: seqOf(usualRcvNxt - 1), TSVal: seqOf(usualTSRecent)}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Errors name file and line, and what would be right.
func TestParseScenariosErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "f: there is no story"},
		{"# nothing\n\n", "f: there is no story"},
		{"\n< S 1:1(0)", "f:2: \"<\" stands before"},
		{"state", "f:1: there is no state \"\""},
		{"state TIMEWAIT", "NO_SOCKET"},
		{"state LAST_ACK by way of CLOSING", "no way into a state"},
		{"state TIME_WAIT somehow", "by way of CLOSING"},
		{"state CLOSING\nfamily IPv5", "f:2: family is IPv4 or IPv6"},
		{"state CLOSING\nsettings tcp_timestamps=2", "there is no setting \"tcp_timestamps=2\" (there are defaults, tcp_timestamps=0"},
		{"state CLOSING\nnumbers rcv_nxt=x", "rcv_nxt wants a number"},
		{"state CLOSING\nnumbers rcv_nxt=4294967296", "rcv_nxt wants a number"},
		{"state CLOSING\nnumbers rcv=1", "no number \"rcv\""},
		{"state CLOSING\n< S 1:1(0)\nfamily IPv6", "f:3: \"family\" stands behind the first step"},
		{"state CLOSING\nwait long", "nothing follows"},
		{"state CLOSING\nwait", "f:2: no step follows"},
		{"state CLOSING\nwait\nstate CLOSING", "no step follows"},
		{"state CLOSING\nSYN", "neither a segment"},
		{"state CLOSING\nsoon < S 1:1(0)", "no time in seconds"},
		{"state CLOSING\n-1 < S 1:1(0)", "no time in seconds"},
		{"state CLOSING\n+0.1 < S 1:1(0)", "+0.7 seconds"},
		{"state CLOSING\n+60 < S 1:1(0)", "+0.7 seconds"},
		{"state CLOSING\n< S 1:2(0)", "does not fit"},
		{"state CLOSING\n< S snd_wnd(0)", "column"},
		{"state CLOSING\n< . rcv_nxt(0) ack snd_nxt+rcv_wnd", "only to rcv_nxt"},
		{"state CLOSING\n< S rcv_nxt-rcv_wnd(0)", "only be added"},
		{"state CLOSING\n< S rcv_nxt+2^32(0)", "power of two"},
		{"state CLOSING\n< S rcv_nxt+4294967296(0)", "32 bits"},
		{"state CLOSING\n< S rcv_nxt+2rcv_wnd(0)", "number of windows"},
		{"state CLOSING\n< . rcv_nxt(0)", "needs an acknowledgement"},
		{"state CLOSING\n< S rcv_nxt(0) win 5", "window is always 4000"},
		{"state CLOSING\n< S rcv_nxt(0) <mss 536>", "mss 1400"},
		{"state CLOSING\n< R rcv_nxt(0) <mss 1400>", "mss 1400"},
		{"state CLOSING\n< R rcv_nxt(0) <sackOK>", "only mss and TS"},
		{"state CLOSING\n< PU rcv_nxt(1) urg 1", "urgent"},
		{"state CLOSING\n< P rcv_nxt(1401)", "at most 1400"},
	} {
		got, err := ParseScenarios("f", c.text)
		if err == nil || !strings.HasPrefix(err.Error(), "f:") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %+v, %v, want an error with %q", c.text, got, err, c.want)
		}
	}
}

// Whatever a file says: an error, or a story that comes back from its own text.
func FuzzParseScenarios(f *testing.F) {
	f.Add("state TIME_WAIT by way of CLOSING\nsettings no listener\nnumbers rcv_nxt=1 ts_recent=none\nwait\n< S rcv_nxt+rcv_wnd/2(0)\nfollow-up\n")
	f.Add("state NO_SOCKET\nfamily IPv6\n0.1 < - 5:9(4) <TS val ts_recent+2^31 ecr 0>\n0.2 > R. 0:0(0) ack 1 win 0\n+0.7 < R 1:1(0)")
	f.Fuzz(func(t *testing.T, in string) {
		all, err := ParseScenarios("f", in)
		if err != nil {
			return
		}
		for _, x := range all {
			out, n := printed(&x.Story, 9, 64000)
			again, err := ParseScenarios("f", out)
			if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0].Story, plain(x.Story, &n)) {
				t.Fatalf("%v\ngot  %+v\nwant %+v\n%s", err, again, x.Story, out)
			}
		}
	})
}
