package lab

import (
	"slices"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

func TestLabelFlags(t *testing.T) {
	for f, want := range map[segment.Flags]string{
		0: "none", segment.URG: "none", segment.SYN: "SYN", segment.SYN | segment.ACK | segment.ECE: "SYN-ACK", segment.FIN | segment.ACK: "FIN-ACK",
		segment.RST | segment.ACK: "RST-ACK", segment.PSH | segment.ACK: "PSH-ACK", segment.SYN | segment.FIN: "SYN-FIN",
	} {
		if got := labelFlags(f); got != want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
}

func TestObserved(t *testing.T) {
	old := &Numbers{RcvNxt: seqOf(100), SndNxt: seqOf(1<<32 - 1)}
	for _, c := range []struct {
		text string
		old  *Numbers
		want string
	}{
		{"S. 65536:65536(0) ack 9", old, "SYN-ACK isn=old_snd_nxt+65537"},
		{"S. 65536:65536(0) ack 9", nil, "SYN-ACK fresh-isn"},
		{"S. 65537:65537(0) ack 9", old, "SYN-ACK fresh-isn"},
		{". 4294967295:4294967295(0) ack 100", old, "ACK of-old-connection"},
		{". 4294967295:4294967295(0) ack 100", nil, "ACK"},
		{". 4294967295:4294967295(0) ack 101", old, "ACK"},
		{"R. 0:0(0) ack 9", old, "RST-ACK"},
		{"R 4294967295:4294967295(0)", old, "RST"},
	} {
		s, err := segment.ParsePacketdrill(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := observed([]segment.Segment{s}, c.old); got != c.want {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
	if got := observed(nil, old); got != "nothing" {
		t.Errorf("no answer: got %q", got)
	}
}

func TestConclude(t *testing.T) {
	syn := func(observed string) LabelStep { return LabelStep{Name: "syn", Flags: "SYN", Observed: observed} }
	for _, c := range []struct {
		steps []LabelStep
		want  string
	}{
		{nil, "no_syn_sent"},
		{[]LabelStep{{Name: "rst", Flags: "RST", Observed: "nothing"}}, "no_syn_sent"},
		{[]LabelStep{syn("SYN-ACK fresh-isn")}, "accepted_at_once"},
		{[]LabelStep{{Flags: "RST", Observed: "nothing"}, syn("SYN-ACK fresh-isn")}, "accepted_at_once"},
		{[]LabelStep{syn("ACK of-old-connection"), syn("SYN-ACK fresh-isn"), syn("nothing")}, "accepted_after_retry"},
		{[]LabelStep{syn("nothing"), syn("RST-ACK")}, "refused_with_rst"},
		{[]LabelStep{syn("nothing"), syn("ACK")}, "answered_with_ack_only"},
		{[]LabelStep{syn("nothing")}, "no_answer"},
	} {
		l := Label{Steps: c.steps}
		if l.conclude(); l.SecondConnection != c.want {
			t.Errorf("%+v: got %q, want %q", c.steps, l.SecondConnection, c.want)
		}
	}
	l := Label{Steps: []LabelStep{syn("nothing"), {Name: "rst", Observed: "ACK"}}}
	if l.conclude(); l.Outcome != "syn: nothing; rst: ACK" {
		t.Errorf("outcome %q", l.Outcome)
	}
}

func TestChoose(t *testing.T) {
	all := []Case{{Name: "a"}, {Name: "b", Slow: true}, {Name: "c"}}
	for _, c := range []struct {
		names []string
		slow  bool
		want  []string
	}{
		{nil, false, []string{"a", "c"}},
		{nil, true, []string{"a", "b", "c"}},
		{[]string{"c", "b"}, false, []string{"b", "c"}},
	} {
		got, err := choose(all, c.names, c.slow)
		var names []string
		for _, x := range got {
			names = append(names, x.Name)
		}
		if err != nil || !slices.Equal(names, c.want) {
			t.Errorf("%v, %v: got %v, %v", c.names, c.slow, names, err)
		}
	}
	if _, err := choose(all, []string{"a", "d"}, false); err == nil {
		t.Error("no error for a case that there is not")
	}
}
