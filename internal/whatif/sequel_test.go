package whatif

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// The founding story, a row for each thing that kernels do with it.

// Accepted by timestamp on every kernel that has the TIME_WAIT; the ISN is the
// inherited one where the kernel keeps it, and one of the clock line where not.
func TestFoundingIsAcceptedByTimestamp(t *testing.T) {
	isn := map[kernel.Answer]string{
		kernel.Yes:     "SYN-ACK seq 1082600879 (snd_nxt + 65537) ack 3145977017; TIME_WAIT is gone",
		kernel.No:      "SYN-ACK seq ? (from the clock line) ack 3145977017; TIME_WAIT is gone",
		kernel.Unknown: "SYN-ACK seq ? (its origin is not known) ack 3145977017; TIME_WAIT is gone",
	}
	seen := map[kernel.Answer]int{}
	for _, p := range kernel.Candidates() {
		q := parse(t, Input{At: 17, Args: founding("ts_recent=1500952968", foundingSYN)})
		q.host.Profile = p
		a := q.Ask()
		keeps := p.Has(&kernel.KeepsISN).Answer
		seen[keeps]++
		if len(a.Stages) != 1 || len(a.Stages[0].Outcomes) != 1 || a.Stages[0].Outcomes[0].Rule != "syn-accepted" || a.Stages[0].Outcomes[0].Says != isn[keeps] {
			t.Errorf("%s: %+v, want %s", p, a.Stages[0].Outcomes, isn[keeps])
		}
		if a.Sequel != nil {
			t.Errorf("%s: nothing follows a SYN-ACK here: %+v", p, a.Sequel)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%v kernels keep, lose, or are not known", seen)
	}
}

// With tcp_tw_recycle TIME_WAIT is gone after 3.5 RTO, on kernels that have it.
func TestFoundingIsGoneWithRecycle(t *testing.T) {
	for _, c := range []struct {
		kernel string
		at     float64
		rule   string
	}{
		{"2.6.32", 17, "accept"},
		{"3.10.65", 17, "accept"},
		{"4.9.229", 17, "accept"},
		{"4.11", 17, "accept"},
		{"rhel7", 17, "accept"},
		{"4.9.229", 0.5, "syn-accepted"}, // 3.5 RTO are 0.714 s
		{"4.9.229", 1, "accept"},
		{"4.12", 17, "syn-accepted"},
		{"rhel8", 17, "syn-accepted"},
		{"6.18.44", 17, "syn-accepted"},
	} {
		a := parse(t, Input{Kernel: c.kernel, Set: []string{"tcp_tw_recycle=1"}, At: c.at, Args: founding("ts_recent=1500952968", "rto=0.204", foundingSYN)}).Ask()
		if len(a.Stages) != 1 || len(a.Stages[0].Outcomes) != 1 || a.Stages[0].Outcomes[0].Rule != c.rule {
			t.Errorf("%+v: %+v", c, a.Stages)
		}
	}
}

// Without timestamps it is challenged, not reset; then come the opener's RST, and
// its second SYN after 3 s, 1 s, or two jiffies.
func TestFoundingIsChallenged(t *testing.T) {
	for _, p := range kernel.Candidates() {
		q := parse(t, Input{At: 17, Args: founding("ts_recent=none", foundingSYN)})
		q.host.Profile = p
		a := q.Ask()
		if o := a.Stages[0].Outcomes; len(a.Stages) != 1 || len(o) != 1 || o[0].Rule != "ack-old-syn" || !strings.HasPrefix(o[0].Says, "ACK seq 1082535342 ack 4008801888") {
			t.Errorf("%s: %+v", p, a.Stages)
		}
		if a.Sequel == nil {
			t.Fatalf("%s: nothing follows", p)
		}
		for _, o := range a.Sequel.Openers {
			if !strings.HasPrefix(o.Says, "RST seq 4008801888; ") || o.Rule != "bad-ack" {
				t.Errorf("%s: the opener on %s: %s", p, o.Kernels, o.Says)
			}
		}
		for _, h := range a.Sequel.There {
			if h.RST != "no answer; TIME_WAIT is gone [rst-kills]" || h.SYN != "SYN-ACK seq ? (from the clock line) ack 3145977017 [accept]" {
				t.Errorf("%s: %+v", p, h)
			}
		}
	}
}

func TestFoundingSecondSYN(t *testing.T) {
	for _, c := range []struct{ opener, again string }{
		{"2.6.32", "3 s after the first"},
		{"3.0.27", "3 s after the first"},
		{"3.1.3", "1 s after the first"},
		{"4.19.108", "1 s after the first"},
		{"5.4.120", "1 s after the first"},
		{"rhel6", "1 s after the first"},
		{"rhel7", "1 s after the first"},
		{"rhel8", "1 s after the first"},
		{"5.6", "perhaps repeated two jiffies later"}, // between those that were read
		{"5.7.14", "repeated two jiffies later"},
		{"5.10.223", "repeated two jiffies later"},
		{"6.18.44", "repeated two jiffies later"},
	} {
		for _, server := range []string{"4.9.229", "5.10.223", "6.18.44"} {
			a := parse(t, Input{Kernel: server, PeerKernel: c.opener, At: 17, Args: founding("ts_recent=none", foundingSYN)}).Ask()
			if a.Sequel == nil || len(a.Sequel.Openers) != 1 || !strings.HasSuffix(a.Sequel.Openers[0].Says, c.again) {
				t.Errorf("%s: %+v, want %s", c.opener, a.Sequel, c.again)
			}
		}
	}
}

// With tcp_rfc1337=1 the RST is ignored, and an early second SYN falls into the limiter.
func TestFoundingWithRFC1337(t *testing.T) {
	for _, c := range []struct{ host, opener, syn string }{
		{"6.18.44", "6.18.44", "ack-limited"},
		{"6.18.44", "4.19.108", "ack-old-syn"},
		{"3.16.0", "6.18.44", "ack-old-syn"}, // has no limiter
	} {
		a := parse(t, Input{Kernel: c.host, PeerKernel: c.opener, Set: []string{"tcp_rfc1337=1"}, At: 17, Args: founding("ts_recent=none", foundingSYN)}).Ask()
		if a.Sequel == nil || len(a.Sequel.There) != 1 || !strings.HasSuffix(a.Sequel.There[0].RST, "[rst-ignored-rfc1337]") || !strings.HasSuffix(a.Sequel.There[0].SYN, "["+c.syn+"]") {
			t.Errorf("%+v: %+v", c, a.Sequel)
		}
	}
}

// Every kernel here and every opener stands in the sequel, each pair once.
func TestSequelIsWhole(t *testing.T) {
	for _, set := range [][]string{nil, {"tcp_rfc1337=1"}} {
		all := parse(t, Input{Kernel: "all", Set: set, At: 17, Args: founding("ts_recent=none", foundingSYN)})
		s := all.sequel(kernel.Candidates())
		openers := 0
		for _, o := range s.Openers {
			openers += len(o.set)
		}
		if n := len(kernel.Candidates()); openers != n {
			t.Errorf("%d of %d openers", openers, n)
		}
		pairs := map[string]int{}
		for _, h := range s.There {
			for _, p := range h.set {
				for _, o := range h.openers {
					pairs[fmt.Sprint(p, " ", o)]++
				}
			}
		}
		for _, p := range kernel.Candidates() {
			for _, o := range kernel.Candidates() {
				if n := pairs[fmt.Sprint(p, " ", o)]; n != 1 {
					t.Errorf("%v: %s with an opener on %s stands %d times", set, p, o, n)
				}
			}
		}
	}
	if s := parse(t, Input{At: 17, Args: founding("ts_recent=none", ". 1:1(0) ack 2 win 0")}).Ask().Sequel; s != nil {
		t.Errorf("nothing of the kind follows an ACK: %+v", s)
	}
	if slices.Contains(stateOf("established").keys, "peer") {
		t.Error("--peer-kernel is no key")
	}
}

// tcp_abort_on_overflow is asked by a pending request whose queue is full.
func TestAbortOnOverflow(t *testing.T) {
	args := []string{"syn-recv", "isn=5000", "irs=1000", "ts_recent=none", ". 1001:1001(0) ack 5001 win 9"}
	for _, c := range []struct{ set, rule string }{
		{"tcp_abort_on_overflow=0", "req-queue-full"}, {"tcp_abort_on_overflow=1", "req-aborts"}, {"tcp_abort_on_overflow=unknown", "req-aborts"},
	} {
		a := parse(t, Input{Kernel: "6.18.44", QueueFull: "yes", Set: []string{c.set}, Args: args}).Ask()
		if a.Stages[0].Outcomes[0].Rule != c.rule {
			t.Errorf("%+v: %+v", c, a.Stages[0].Outcomes)
		}
		if strings.HasSuffix(c.set, "unknown") && (len(a.Missing) != 1 || a.Missing[0].Give != "--set net.ipv4.tcp_abort_on_overflow=VALUE") {
			t.Errorf("missing %+v", a.Missing)
		}
	}
}

// The FIN of an orphan's peer: 3.5 RTO where TIME_WAIT is recycled.
func TestFinWait2Recycled(t *testing.T) {
	args := []string{"fin-wait2", "rcv_nxt=1001", "snd_nxt=5001", "rcv_wnd=65160", "ts_recent=900", "F. 1001:1001(0) ack 5001 win 9 <TS val 901 ecr 0>"}
	for _, c := range []struct{ kernel, set, span string }{
		{"4.9", "tcp_tw_recycle=1", "3.5 RTO"}, {"4.9", "tcp_tw_recycle=0", "60 s"},
		{"4.9", "tcp_tw_recycle=unknown", "60 s or 3.5 RTO"}, {"4.12", "tcp_tw_recycle=1", "60 s"},
	} {
		a := parse(t, Input{Kernel: c.kernel, Set: []string{c.set}, Args: args}).Ask()
		if got := a.Stages[0].Outcomes[0].Says; !strings.Contains(got, "it becomes TIME_WAIT for "+c.span+", rcv_nxt 1002") {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
