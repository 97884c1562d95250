package whatif

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

var update = flag.Bool("update", false, "write what is printed now to testdata, and the conformance page")

// foundingSYN is the SYN of the founding story; founding are the numbers that the
// server's TIME_WAIT then holds.
const foundingSYN = "< S 3145977016:3145977016(0) win 29200 <TS val 1500969973 ecr 0>"

func founding(more ...string) []string {
	return slices.Concat([]string{"time-wait", "rcv_nxt=4008801888", "snd_nxt=1082535342"}, more)
}

func parse(t *testing.T, in Input) *Question {
	t.Helper()
	q, err := Parse(in)
	if err != nil {
		t.Fatalf("%q: %v", in.Args, err)
	}
	return q
}

// The texts as people see them.
func TestText(t *testing.T) {
	for name, in := range map[string]Input{
		"founding-3.10":     {Kernel: "3.10", At: 17, Args: founding("ts_recent=1500952968", foundingSYN)},
		"founding-5.10":     {Kernel: "5.10", At: 17, Args: founding("ts_recent=1500952968", foundingSYN)},
		"founding-all":      {Kernel: "all", At: 17, Args: founding("ts_recent=1500952968", foundingSYN)},
		"founding-unknown":  {At: 17, Args: founding(foundingSYN)},
		"founding-no-ts":    {Kernel: "all", At: 17, Args: founding("ts_recent=none", foundingSYN)},
		"recycled":          {Kernel: "4.9", Set: []string{"net.ipv4.tcp_tw_recycle=1"}, At: 17, Args: founding("ts_recent=1500952968", "rto=0.204", foundingSYN)},
		"perhaps-over":      {Kernel: "6.18.44", At: 62, Args: founding("ts_recent=none", "rcv_wnd=65160", "wscale=7", "S 3145977016:3145977016(0) win 29200")},
		"rearmed":           {Kernel: "5.10", At: 17, Args: founding("ts_recent=1500952968", ". 4008801888:4008801888(0) ack 1 win 9 <TS val 1500952969 ecr 0>")},
		"fin-wait2-fin":     {Kernel: "5.10", At: 17, Args: []string{"fin-wait2", "rcv_nxt=1001", "snd_nxt=5001", "rcv_wnd=65160", "ts_recent=none", "F. 1001:1001(0) ack 5001 win 9"}},
		"established-all":   {Kernel: "all", At: 1, Args: []string{"established", "rcv_nxt=1001", "snd_nxt=5001", "rcv_wnd=64240", "ts_recent=none", "S 1500:1500(0) win 64240"}},
		"syn-recv":          {Kernel: "5.10", At: 1, Args: []string{"syn-recv", "isn=5000", "irs=1000", "ts_recent=none", "S 1000:1000(0) win 64240"}},
		"gated":             {Kernel: "3.10.0-1127.el7", Set: []string{"tcp_tw_recycle=1"}, At: 1, Args: []string{"listen", "gate_ts=900", "gate_stored=3", "S 1:1(0) win 9 <TS val 700 ecr 0>"}},
		"nobody":            {At: 1, Args: []string{"none", "S 1:1(0) win 9"}},
		"sequel":            {Kernel: "5.10", PeerKernel: "4.19", At: 17, Args: founding("ts_recent=none", foundingSYN)},
		"sequel-rfc1337":    {Kernel: "all", Set: []string{"tcp_rfc1337=1"}, At: 17, Args: founding("ts_recent=none", foundingSYN)},
		"syn-sent-syn-ack":  {Kernel: "5.10", At: 1, Args: []string{"syn-sent", "iss=1000", "first_tsval=700", "last_tsval=700", "S. 5000:5000(0) ack 1001 win 65160 <mss 1460,TS val 99 ecr 700>"}},
		"syn-sent-syn":      {Kernel: "all", At: 1, Args: []string{"syn-sent", "iss=1000", "S 5000:5000(0) win 65160"}},
		"syn-sent":          {Kernel: "all", At: 1, Args: []string{"syn-sent", "iss=3145977016", ". 1082535342:1082535342(0) ack 4008801888 win 229"}},
		"waits-syn-sent":    {Kernel: "all", Args: []string{"syn-sent"}},
		"waits-established": {Kernel: "5.10", Set: []string{"tcp_retries2=8", "tcp_keepalive_time=600"}, Args: []string{"established", "rto=0.3"}},
		"waits-last-ack":    {Kernel: "6.18.44", Args: []string{"last-ack"}},
		"waits-fin-wait2":   {Kernel: "all", Set: []string{"tcp_fin_timeout=10"}, Args: []string{"fin-wait2"}},
		"waits-time-wait":   {Kernel: "all", Args: []string{"time-wait"}},
		"announces":         {Kernel: "all", Announces: true, Args: []string{"listen", "seen_tsval=900", "seen=2", "seen_on=pair", "S 1:1(0) win 9 <mss 1460,sackOK,TS val 7 ecr 0,wscale 7>"}},
		"announces-cookie":  {Kernel: "6.18.44", Announces: true, Set: []string{"tcp_syncookies=2", "tcp_rmem=4096 16384 65536"}, Args: []string{"listen", "seen_tsval=900", "seen=2", "seen_on=tuple", "S 1:1(0) win 9 <mss 1460,TS val 7 ecr 0,wscale 7>"}},
		"connect":           {Kernel: "6.1", IPv6: true, Set: []string{"tcp_syn_retries=3"}, Args: []string{"connect", "seen_tsval=900", "seen=2", "seen_on=pair"}},
		"take-over":         {Kernel: "6.1", Set: []string{"tcp_tw_reuse=1"}, At: 1.5, Args: []string{"own-time-wait", "snd_nxt=1001", "ts_recent=900", "bound=no"}},
	} {
		t.Run(name, func(t *testing.T) {
			q := parse(t, in)
			var b bytes.Buffer
			var err error
			if q.All {
				all := q.AskAll()
				err = all.Write(&b)
			} else {
				a := q.Ask()
				err = a.Write(&b)
			}
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
		})
	}
}

// golden holds a text against the one in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// Every outcome of a kernel stands in the line of its kernels, and no kernel is
// left out or stands twice.
func TestAllIsEveryKernel(t *testing.T) {
	for _, in := range []Input{
		{Kernel: "all", At: 17, Args: founding("ts_recent=1500952968", foundingSYN)},
		{Kernel: "all", IPv6: true, At: 62, Args: founding("ts_recent=1500952968", foundingSYN)},
		{Kernel: "all", Set: []string{"tcp_tw_recycle=1"}, At: 3, Args: founding("ts_recent=1500952968", foundingSYN)},
		{Kernel: "all", At: 1, Args: []string{"established", "rcv_nxt=1001", "R 1500:1500(0) win 0"}},
	} {
		q := parse(t, in)
		all := q.AskAll()
		n := 0
		for _, b := range all.Behaviours {
			n += len(b.set)
			for _, p := range b.set {
				one := *q
				one.host.Profile = p
				if got := outcomesOf(one.stages()); got != b.says {
					t.Errorf("%v on %s: %s, its line says %s", in.Args, p, got, b.says)
				}
			}
		}
		if n != len(kernel.Candidates()) || len(all.Behaviours) < 2 {
			t.Errorf("%v: %d kernels in %d lines", in.Args, n, len(all.Behaviours))
		}
	}
}

// What is said to rest on an assumption comes out otherwise without it, and what
// is not said does not.
func TestAssumptionsMatter(t *testing.T) {
	says := func(in Input) (rests []string) {
		for _, a := range parse(t, in).Ask().Assumes {
			rests = append(rests, a.Says)
		}
		return rests
	}
	in := Input{Kernel: "3.10", At: 0.1, Args: founding("ts_recent=1500952968", foundingSYN)}
	if got, want := says(in), []string{"somebody listens", "tcp_timestamps = 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	in.Listener, in.Set = "yes", []string{"tcp_timestamps=1"}
	if got := says(in); len(got) != 0 {
		t.Errorf("everything that matters was given, but %q", got)
	}
	in.Kernel = "6.18.44"
	if got, want := says(in), []string{"the accept queue has room"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	live := Input{Kernel: "6.18.44", Args: []string{"established", "rcv_nxt=1001", "snd_nxt=5001", "ts_recent=none", "S 1500:1500(0) win 0"}}
	if got, want := says(live), []string{"no limited ACK was sent yet"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A value given as unknown is unknown, though there would be a usual one.
func TestUnknownTakesTheUsualAway(t *testing.T) {
	for fact, in := range map[string]Input{
		"net.ipv4.tcp_timestamps":            {Set: []string{"tcp_timestamps=unknown"}},
		"whether somebody listens":           {Listener: "unknown"},
		"whether the accept queue was full":  {QueueFull: "unknown"},
		"when the last limited ACK was sent": {Args: founding("ts_recent=none", "last_ack=unknown", foundingSYN)},
		"net.ipv4.tcp_syncookies":            {Kernel: "5.10", Set: []string{"tcp_syncookies=unknown"}},
		"ts_recent":                          {Args: founding("ts_recent=unknown", foundingSYN)},
		"rcv_nxt":                            {Args: []string{"time-wait", "rcv_nxt=unknown", "snd_nxt=7", "ts_recent=none", foundingSYN}},
		"the last advertised window":         {Args: founding("ts_recent=none", foundingSYN)},
		"snd_nxt":                            {Args: []string{"time-wait", "rcv_nxt=7", "ts_recent=none", foundingSYN}},
		string(factRTO):                      {Kernel: "4.9", Set: []string{"tcp_tw_recycle=1"}, At: 3},
		"net.ipv4.tcp_tw_recycle":            {Kernel: "4.9", Set: []string{"tcp_tw_recycle=unknown"}, At: 3},
		"net.ipv4.tcp_tw_reuse":              {Args: []string{"own-time-wait", "ts_recent=7", "snd_nxt=9", "bound=no"}},
		"whether the client binds its port":  {Args: []string{"own-time-wait", "ts_recent=7", "snd_nxt=9"}},
		"net.ipv4.tcp_invalid_ratelimit":     {Set: []string{"tcp_invalid_ratelimit=unknown"}, Args: founding("ts_recent=none", "last_ack=0.1", foundingSYN)},
		"net.ipv4.tcp_rfc1337":               {Set: []string{"tcp_rfc1337=unknown"}, Args: founding("ts_recent=none", "R 4008801888:4008801888(0) win 0")},
	} {
		if in.Kernel == "" {
			in.Kernel = "6.18.44"
		}
		if in.Args == nil {
			in.Args = founding("ts_recent=1500952968", foundingSYN)
		}
		a := parse(t, in).Ask()
		i := slices.IndexFunc(a.Missing, func(m Missing) bool { return m.Fact == fact })
		if i < 0 {
			t.Errorf("%+v: missing %q, want %q", in, a.Missing, fact)
		} else if a.Missing[i].Give == "" || a.Missing[i].Give == "in the segment" {
			t.Errorf("%+v: %q cannot be given", in, fact)
		}
	}
}

// TIME_WAIT is surely there, perhaps, and surely over.
func TestTimeWaitEnds(t *testing.T) {
	for _, c := range []struct {
		want   string // rules of the outcomes
		kernel string
		at     float64
		more   []string
		set    string
	}{
		{"syn-accepted", "5.10", 59.8, nil, ""},
		{"syn-accepted accept", "5.10", 60, nil, ""},
		{"syn-accepted accept", "5.10", 65.1, nil, ""},
		{"accept", "5.10", 65.3, nil, ""},
		{"syn-accepted", "3.10", 52.3, nil, ""},
		{"syn-accepted accept", "3.10", 52.5, nil, ""},
		{"accept", "3.10", 61.1, nil, ""},
		{"syn-accepted accept", "", 64, nil, ""},
		{"syn-accepted", "4.9", 0.5, nil, "1"},
		{"syn-accepted accept", "4.9", 0.7, nil, "1"}, // the RTO is not known
		{"syn-accepted accept", "4.9", 300, nil, "1"},
		{"accept", "4.9", 1, []string{"rto=0.2"}, "1"},
		{"syn-accepted", "4.9", 1, []string{"rto=1"}, "1"},
		{"accept", "4.9", 3.8, []string{"rto=1"}, "1"},
		{"syn-accepted accept", "4.9", 12, []string{"rto=1.5"}, "1"}, // slots of 7.5 s
		{"syn-accepted", "4.12", 1, []string{"rto=0.2"}, "1"},        // gone since 4.12
		{"syn-accepted accept", "", 1, []string{"rto=0.2"}, "1"},
		{"syn-accepted accept", "4.9", 1, []string{"rto=0.2"}, "unknown"},
	} {
		in := Input{Kernel: c.kernel, At: c.at, Args: founding(append(c.more, "ts_recent=1500952968", foundingSYN)...)}
		if c.set != "" {
			in.Set = []string{"tcp_tw_recycle=" + c.set}
		}
		var got []string
		for _, s := range parse(t, in).Ask().Stages {
			for _, o := range s.Outcomes {
				got = append(got, o.Rule)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	// Without timestamps nothing is recycled.
	in := Input{Kernel: "4.9", At: 3, Set: []string{"tcp_tw_recycle=1"}, Args: founding("ts_recent=none", "rto=0.2", foundingSYN)}
	if s := parse(t, in).Ask().Stages; len(s) != 1 || s[0].Outcomes[0].Rule != "ack-old-syn" {
		t.Errorf("%+v", s)
	}
}

// Each state answers, in all its fields.
func TestStatesAnswer(t *testing.T) {
	for _, s := range States() {
		st := stateOf(s.Name)
		args := []string{s.Name}
		for _, k := range s.Keys {
			v := map[kind]string{number: "1001", stamp: "900", shift: "7", ago: "1.5", timeout: "0.2", yesNo: "no", size: "10", shares: "pair"}[kinds[k]]
			if k != "isn" && k != "irs" { // they stand for others
				args = append(args, k+"="+v)
			}
		}
		switch {
		case st.takes == nil:
		case st.takes(0):
			args = append(args, "R 1001:1001(0) win 0")
		case st.only == onlyBareSYN:
			args = append(args, "S 1:1(0) win 0")
		default:
			args = append(args, ". 1:1(0) ack 7 win 0")
		}
		for _, kernel := range []string{"", "2.6.32", "5.10", "rhel7"} {
			a := parse(t, Input{Kernel: kernel, Args: args, At: 3, Announces: true}).Ask()
			if len(a.Stages) == 0 || len(a.Stages[0].Outcomes) == 0 || len(a.Stages[0].Rules) == 0 && s.Name != "connect" {
				t.Errorf("%v on %q: %+v", args, kernel, a)
			}
			if _, err := json.Marshal(a); err != nil {
				t.Error(err)
			}
		}
	}
}

// Without a segment the timers of every socket that has some are told, by the sysctls
// that they depend on; each sysctl of a timer changes one.
func TestWaits(t *testing.T) {
	says := func(set []string, args ...string) string {
		q := parse(t, Input{Kernel: "6.18.44", Set: set, Args: args})
		a := q.Ask()
		if len(a.Waits) == 0 || len(a.Stages) > 0 || a.Segment != "" {
			t.Errorf("%q: %+v", args, a)
		}
		return q.says()
	}
	for _, s := range states() {
		if s.timed {
			says(nil, s.name)
		}
	}
	for set, state := range map[string]string{
		"tcp_syn_retries=2": "syn-sent", "tcp_syn_linear_timeouts=0": "syn-sent", "tcp_synack_retries=2": "syn-recv",
		"tcp_retries2=5": "established", "tcp_orphan_retries=3": "fin-wait1", "tcp_keepalive_time=60": "fin-wait2-full",
		"tcp_keepalive_intvl=5": "close-wait", "tcp_keepalive_probes=3": "established", "tcp_fin_timeout=5": "fin-wait2",
	} {
		if says([]string{set}, state) == says(nil, state) {
			t.Errorf("%s makes no difference to %s", set, state)
		}
	}
	if got, want := says([]string{"tcp_syn_retries=1"}, "syn-sent"), "SYN at 0, 1, 2, 3, 4, 5 s; given up after 7 s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// 0 is not the default: 3.5 RTO are left.
	if got, want := says([]string{"tcp_fin_timeout=0"}, "fin-wait2"), "over after 0.6 to 1.8 s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// orphan=yes or no leaves one of two, and a longer timeout begins later.
	if got, want := says(nil, "last-ack", "orphan=yes", "rto=1"), "data of an orphan at 0, 1, 3, 7, 15, 31, 63 s; given up after 102.2 s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := says(nil, "last-ack", "orphan=no", "rto=unknown"); !strings.HasPrefix(got, "data from the retransmission timeout on") {
		t.Errorf("got %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	syn := "S 1:1(0) win 1"
	for want, in := range map[string]Input{
		"no state given":        {},
		`there is no state "x"`: {Args: []string{"x"}},
		"no segment given":      {Args: []string{"listen"}},
		"mss=1460: it matters only to what is announced": {Args: []string{"listen", "mss=1460", syn}},
		"seen_on=other: ": {Announces: true, Args: []string{"listen", "seen_on=other", syn}},
		"--set tcp_syn_retries=128: expected 1 to 127":         {Set: []string{"tcp_syn_retries=128"}, Args: []string{"syn-sent"}},
		"--set tcp_keepalive_probes=0: expected 1 to 127":      {Set: []string{"tcp_keepalive_probes=0"}, Args: []string{"established"}},
		"--set 'tcp_rmem=1 2': expected three numbers":         {Set: []string{"tcp_rmem=1 2"}, Args: []string{"connect"}},
		"--set 'tcp_rmem=1 2 3 4': expected three numbers":     {Set: []string{"tcp_rmem=1 2 3 4"}, Args: []string{"connect"}},
		"--set 'tcp_rmem=1 2 2147483648': expected three":      {Set: []string{"tcp_rmem=1 2 2147483648"}, Args: []string{"connect"}},
		`"a" is not KEY=VALUE`:                                 {Args: []string{"time-wait", "a", syn}},
		"state time-wait has no a":                             {Args: []string{"time-wait", "a=1", syn}},
		"rcv_nxt is given twice":                               {Args: []string{"time-wait", "rcv_nxt=1", "rcv_nxt=1", syn}},
		"rcv_nxt=40088018880: 40088018880 is no 32-bit number": {Args: []string{"time-wait", "rcv_nxt=40088018880", syn}},
		"ts_recent=none1: ":                                    {Args: []string{"time-wait", "ts_recent=none1", syn}},
		"rcv_nxt=none: ":                                       {Args: []string{"time-wait", "rcv_nxt=none", syn}},
		"wscale=15: ":                                          {Args: []string{"time-wait", "wscale=15", syn}},
		"last_ack=-1: ":                                        {Args: []string{"time-wait", "last_ack=-1", syn}},
		"rto=121: ":                                            {Args: []string{"time-wait", "rto=121", syn}},
		"last_ack=NaN: ":                                       {Args: []string{"time-wait", "last_ack=NaN", syn}},
		"last_ack=unknown: the rules of state":                 {Args: []string{"established", "last_ack=unknown", syn}},
		"bound=perhaps: ":                                      {Args: []string{"own-time-wait", "bound=perhaps"}},
		"is not KEY=VALUE; the segment":                        {Args: []string{"own-time-wait", syn}},
		"snd_nxt and isn say the same":                         {Args: []string{"syn-recv", "snd_nxt=1", "isn=0", syn}},
		"column 3: 40088018880 is no 32-bit":                   {Args: []string{"time-wait", "S 40088018880:40088018880(0)"}},
		"in state listen the rules speak of a SYN":             {Args: []string{"listen", ". 1:1(0) ack 1 win 0"}},
		"in state none the rules speak of a SYN":               {Args: []string{"none", "S. 1:1(0) ack 1 win 0"}},
		"data=65536: ":                                         {Args: []string{"syn-sent", "data=65536", syn}},
		"--peer-kernel: \"new\" is not":                        {PeerKernel: "new", Args: []string{"time-wait", syn}},
		"is followed from time-wait alone":                     {PeerKernel: "5.10", Args: []string{"established", syn}},
		"--at -1":                                              {At: -1, Args: []string{"time-wait", syn}},
		"--kernel: ":                                           {Kernel: "new", Args: []string{"time-wait", syn}},
		`--listener "maybe": `:                                 {Listener: "maybe", Args: []string{"time-wait", syn}},
		`--queue-full "1": `:                                   {QueueFull: "1", Args: []string{"time-wait", syn}},
		"--set a: expected NAME=VALUE":                         {Set: []string{"a"}, Args: []string{"time-wait", syn}},
		"--set a=1: no rule asks for a":                        {Set: []string{"a=1"}, Args: []string{"time-wait", syn}},
		"--set tcp_rfc1337=on: ":                               {Set: []string{"tcp_rfc1337=on"}, Args: []string{"time-wait", syn}},
		"tcp_rfc1337 is set twice":                             {Set: []string{"net/ipv4/tcp_rfc1337=1", "tcp_rfc1337=1"}, Args: []string{"time-wait", syn}},
	} {
		if q, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %v; want %s", in, q, err, want)
		}
	}
}

// Whatever is typed is answered or refused.
func FuzzParse(f *testing.F) {
	f.Add("time-wait rcv_nxt=4008801888 snd_nxt=1082535342 ts_recent=1500952968", foundingSYN, "3.10", "tcp_tw_recycle=1", 17.0)
	f.Add("fin-wait2 rcv_nxt=1 last_ack=0.1 ts_stored=3000000", "F. 1:1(0) ack 1 win 0", "all", "tcp_rfc1337=unknown", 1.0)
	f.Add("established rcv_nxt=4294967295 wscale=14", "R 5:5(0)", "rhel7", "tcp_invalid_ratelimit=0", 0.0)
	f.Add("own-time-wait bound=yes fin_wait2=yes", "", "6.1.141", "tcp_tw_reuse=2", 1e9)
	f.Add("syn-sent iss=1 first_tsval=1", ". 1:1(0) ack 2 <TS val 1 ecr 1>", "", "tcp_syncookies=1", 2.0)
	f.Add("established rto=0.3", "", "all", "tcp_retries2=255 tcp_keepalive_probes=127", 1.0)
	f.Add("syn-sent", "", "6.4", "tcp_syn_retries=127 tcp_syn_linear_timeouts=127", 1.0)
	f.Add("fin-wait2 rto=120", "", "4.0", "tcp_fin_timeout=32767", 1.0)
	f.Add("connect mss=1 seen_isn=1 seen_tsval=4294967295 seen=3153600000 seen_on=tuple", "", "all", "tcp_timestamps=0", 1.5)
	f.Add("listen mss=65535 seen_tsval=1 seen=0 seen_on=peer", "SEW 1:1(0) <mss 1,sackOK,TS val 1 ecr 0,wscale 14>", "4.19", "tcp_syncookies=2", 1.5)
	f.Fuzz(func(t *testing.T, args, segment, release, set string, at float64) {
		in := Input{Kernel: release, Set: strings.Fields(set), At: at, Args: strings.Fields(args), Announces: at == 1.5}
		if segment != "" {
			in.Args = append(in.Args, segment)
		}
		q, err := Parse(in)
		if err != nil {
			return
		}
		var b bytes.Buffer
		a := q.Ask()
		if err := a.Write(&b); err != nil {
			t.Fatal(err)
		}
		if len(a.Stages) == 0 && len(a.Waits) == 0 {
			t.Errorf("%+v: nothing is said", in)
		}
		if q.All {
			all := q.AskAll()
			if err := all.Write(&b); err != nil {
				t.Fatal(err)
			}
		}
	})
}
