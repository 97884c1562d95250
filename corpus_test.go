package tcpwhy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

const (
	corpusDir = "testdata/corpus/captures"
	// fewestLabels guards against a walk that finds nothing and therefore passes.
	fewestLabels = 205
	// leastRight is the share of the cases with a SYN to explain in which the
	// verdict must name the cause outright, in percent.
	leastRight = 85
)

// row says what may be answered about the SYN that a label asks about.
type row struct {
	// right are the causes that answer it.
	right []string
	// also are causes that are true as well, of another question about the same
	// frames.
	also []string
	// earlier are causes that answer a SYN behind which the scenario has another.
	earlier []string
	// quiet: to find nothing worth asking is right, too.
	quiet bool
	// noSYN: there is no SYN to explain.
	noSYN bool
}

// rows goes by the label's cause, in the words of the laboratory that made it.
var rows = map[string]row{
	"timewait_syn_accepted":              {right: []string{"time-wait-sequence", "time-wait-timestamp"}},
	"timewait_syn_accepted_by_timestamp": {right: []string{"time-wait-timestamp"}},

	"timewait_syn_rejected_seq":          {right: []string{"time-wait-old-sequence"}},
	"timewait_syn_rejected_seq_ack_lost": {right: []string{"time-wait-old-sequence"}},
	"timewait_syn_rejected_seq_rst_lost": {right: []string{"time-wait-old-sequence", "rst-lost"}},
	"timewait_syn_rejected_seq_rfc1337":  {right: []string{"time-wait-old-sequence", "rfc1337"}},
	"timewait_syn_rejected_paws":         {right: []string{"time-wait-paws"}},
	"timewait_syn_rejected_paws_rfc1337": {right: []string{"time-wait-paws", "rfc1337"}},
	"timewait_ack_rate_limited":          {right: []string{"time-wait-old-sequence", "time-wait-ack-rate-limited"}},
	"timewait_survives_rst":              {right: []string{"time-wait-old-sequence", "time-wait-paws", "rfc1337"}},
	"timewait_expired":                   {right: []string{"time-wait-expired"}, earlier: []string{"time-wait-old-sequence"}},
	"timewait_assassinated":              {right: []string{"time-wait-reset"}},
	"timewait_recycled":                  {right: []string{"tw-recycle"}},
	"timewait_syn_dropped_by_listener":   {right: []string{"syn-fin-dropped"}},
	"paws_passive_nat":                   {right: []string{"paws-per-host"}},
	"paws_passive_no_timestamp":          {right: []string{"paws-per-host"}},
	"no_timewait_buckets_full":           {right: []string{"tw-bucket-overflow"}},
	"no_timewait_at_server":              {right: []string{"no-time-wait"}},
	"server_rst_on_close_linger0":        {right: []string{"closed-by-reset"}, also: []string{"linger-zero"}},
	"server_rst_on_close_unread":         {right: []string{"closed-by-reset"}, also: []string{"closed-with-unread-data"}},
	"server_rst_data_after_close":        {right: []string{"closed-by-reset"}, also: []string{"data-after-close"}},
	"client_rst":                         {right: []string{"closed-by-reset"}},
	"old_connection_still_open":          {right: []string{"established", "closing-peer"}},
	"challenge_ack_rate_limited":         {right: []string{"established", "closing-peer"}},
	"finwait2_syn_reset":                 {right: []string{"fin-wait2-orphan"}},
	"finwait2_syn_rejected":              {right: []string{"fin-wait2-out-of-window", "fin-wait2-paws"}},
	"finwait2_expired":                   {right: []string{"fin-wait2-timeout"}, earlier: []string{"fin-wait2-out-of-window"}},
	"finwait2_reset_by_client":           {right: []string{"fin-wait2-reset"}},
	"listener_gone_timewait":             {right: []string{"time-wait-no-listener", "time-wait-old-sequence"}},
	"no_listener":                        {right: []string{"no-listener"}},
	"server_process_killed":              {right: []string{"no-listener"}},
	"syncookies":                         {right: []string{"syn-cookie"}},
	"syn_queue_overflow":                 {right: []string{"syn-queue-full"}},
	"client_timewait_reused":             {right: []string{"tw-reuse", "explicit-bind"}, also: []string{"no-time-wait"}},
	"new_connection":                     {right: []string{"no-time-wait", "nothing-wrong", "syn-received"}, quiet: true},
	"syn_recv_other_syn":                 {right: []string{"no-time-wait", "nothing-wrong", "syn-received"}, quiet: true},
	"syn_recv_rate_limited":              {right: []string{"no-time-wait", "nothing-wrong", "syn-received"}, quiet: true},
	"client_timewait_blocks_port":        {noSYN: true},
	"timewait_segment_acked":             {noSYN: true},
	"timewait_segment_ignored":           {noSYN: true},
	"accept_queue_overflow": {
		right: []string{"accept-queue-full", "accept-queue-full-after-time-wait", "final-ack-ignored", "abort-on-overflow"},
		also:  []string{"time-wait-old-sequence"},
	},
}

// afterwards are causes that the SYNs behind the one asked about may have, once a
// RST or time has done away with the old connection.
var afterwards = []string{
	"time-wait-reset", "time-wait-sequence", "time-wait-timestamp", "time-wait-expired", "no-time-wait",
	"closed-by-reset", "fin-wait2-reset", "fin-wait2-orphan", "established", "no-listener", "rescued",
}

// label is what is known about a capture.
type label struct {
	Scenario  string `json:"scenario"`
	Cause     string `json:"cause"`
	Kernel    string `json:"kernel"`
	KeyFrames struct {
		Trigger uint64 `json:"trigger"`
	} `json:"key_frames"`
	Steps []struct {
		Frame uint64 `json:"frame"`
		Flags string `json:"flags"`
	} `json:"steps"`

	row    row
	path   string // of the server's capture, without .pcap
	client bool   // there is a capture of the client's side
}

// asked returns the frame of the SYN to explain, 0 if there is none. Where the
// label's trigger is another segment it is the next SYN.
func (l *label) asked() uint64 {
	if l.row.noSYN {
		return 0
	}
	for _, s := range l.Steps {
		if s.Flags == "SYN" && s.Frame >= l.KeyFrames.Trigger {
			return s.Frame
		}
	}
	return l.KeyFrames.Trigger
}

// allows tells whether the cause may be named for the SYN to explain. Where the
// client's own TIME_WAIT was taken over, the question about that has an answer of its own.
func (l *label) allows(cause string) bool {
	if slices.Contains(l.row.right, cause) || slices.Contains(l.row.also, cause) || slices.Contains(l.row.earlier, cause) {
		return true
	}
	return strings.Contains(l.Scenario, "tw_reuse") && slices.Contains(rows["client_timewait_reused"].right, cause)
}

// rights returns the causes that answer the SYN in the given frame.
func (l *label) rights(frame uint64) []string {
	for _, s := range l.Steps {
		if s.Flags == "SYN" && s.Frame > frame {
			return append(slices.Clone(l.row.right), l.row.earlier...)
		}
	}
	return l.row.right
}

func (l *label) String() string { return strings.TrimPrefix(l.path, corpusDir+"/") }

// readLabel reads a label file.
func readLabel(t *testing.T, path string) *label {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := &label{path: strings.TrimSuffix(path, ".json")}
	if err := json.Unmarshal(b, l); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return l
}

// labels reads the corpus.
func labels(t *testing.T) []*label {
	t.Helper()
	paths, err := filepath.Glob(corpusDir + "/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < fewestLabels {
		t.Fatalf("only %d labels found, want at least %d", len(paths), fewestLabels)
	}
	var all []*label
	for _, path := range paths {
		l := readLabel(t, path)
		r, ok := rows[l.Cause]
		if !ok {
			t.Fatalf("%s: cause %q is not in the table", path, l.Cause)
		}
		l.row = r
		_, err := os.Stat(l.path + ".client.pcap")
		l.client = err == nil
		all = append(all, l)
	}
	return all
}

// explain runs the whole program on the bytes of a capture.
func explain(pcap []byte) (*report.Report, error) {
	return tcpwhy.Explain(context.Background(), []string{"-"}, tcpwhy.Options{Stdin: bytes.NewReader(pcap)})
}

// grade is how a verdict came out.
type grade int

const (
	gradeRight   grade = iota // the cause is named
	gradeListed               // the verdict is open, lists the cause, and says what settles it
	gradeUnasked              // no question was raised about the frame
	gradeMissed               // there is a verdict without the cause
	gradeWrong                // another cause is named as certain
	grades
)

// judge grades what the report says about a frame, and tells the worst of it.
func judge(l *label, r *report.Report, frame uint64) (grade, string) {
	g, says := gradeUnasked, "no finding"
	if l.row.quiet {
		g, says = gradeRight, ""
	}
	right := l.rights(frame)
	first := true
	for i := range r.Findings {
		f := &r.Findings[i]
		if !slices.Contains(f.Frames, frame) {
			continue
		}
		v := f.Verdict
		var now grade
		switch {
		case v.Certainty != report.Open && slices.Contains(right, v.Cause):
			now = gradeRight
		case v.Certainty == report.Certain && !l.allows(v.Cause):
			return gradeWrong, fmt.Sprintf("%s: certain of %s: %s", f.Question, v.Cause, v.Says)
		case v.Certainty == report.Open && len(f.Settle) > 0 && lists(f, right):
			now = gradeListed
		default:
			now = gradeMissed
		}
		// Several questions may be asked about one frame: one of them has to
		// bring out the cause.
		if first || now < g {
			g, says = now, fmt.Sprintf("%s: %s %s: %s", f.Question, v.Certainty, v.Cause, v.Says)
			first = false
		}
	}
	return g, says
}

// lists tells whether one of the causes is among those that the finding leaves open.
func lists(f *report.Finding, causes []string) bool {
	return slices.ContainsFunc(f.Causes, func(c report.Cause) bool {
		return c.Stands != report.RuledOut && slices.Contains(causes, c.Cause)
	})
}

// each calls do for all labels, on all processors.
func each(ls []*label, do func(*label)) {
	work := make(chan *label)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for l := range work {
				do(l)
			}
		})
	}
	for _, l := range ls {
		work <- l
	}
	close(work)
	wg.Wait()
}

// TestCorpus holds the verdicts against what real kernels are known to have done.
func TestCorpus(t *testing.T) {
	var mu sync.Mutex
	counts := map[string]*[grades]int{}
	var total [grades]int
	each(labels(t), func(l *label) {
		pcap, err := os.ReadFile(l.path + ".pcap")
		if err != nil {
			t.Error(err)
			return
		}
		r, err := explain(pcap)
		if err != nil {
			t.Errorf("%s: %v", l, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if l.row.noSYN {
			for _, f := range r.Findings {
				if f.Verdict.Certainty == report.Certain {
					t.Errorf("%s (%s): nothing was reopened, yet it is certain of %s: %s", l, l.Cause, f.Verdict.Cause, f.Verdict.Says)
				}
			}
			return
		}
		g, says := judge(l, r, l.asked())
		if counts[l.Cause] == nil {
			counts[l.Cause] = new([grades]int)
		}
		counts[l.Cause][g]++
		total[g]++
		switch {
		case g == gradeRight:
		case g == gradeListed:
			t.Logf("%s (%s), frame %d, is left open: %s", l, l.Cause, l.asked(), says)
		default:
			t.Errorf("%s (%s), frame %d: %s", l, l.Cause, l.asked(), says)
		}
	})
	t.Log(table(counts, total))
	n := 0
	for _, c := range total {
		n += c
	}
	if total[gradeRight]*100 < leastRight*n {
		t.Errorf("%d of %d are right, want %d %%", total[gradeRight], n, leastRight)
	}
}

func table(counts map[string]*[grades]int, total [grades]int) string {
	var b strings.Builder
	line := func(name string, c [grades]int) {
		n := 0
		for _, k := range c {
			n += k
		}
		fmt.Fprintf(&b, "%-36s %5d %6d %6d %8d %7d %6d\n", name, n,
			c[gradeRight], c[gradeListed], c[gradeUnasked], c[gradeMissed], c[gradeWrong])
	}
	fmt.Fprintf(&b, "\n%-36s %5s %6s %6s %8s %7s %6s\n", "label", "cases", "right", "open", "unasked", "missed", "wrong")
	for _, cause := range slices.Sorted(maps.Keys(counts)) {
		line(cause, *counts[cause])
	}
	line("all", total)
	return b.String()
}

func TestJudge(t *testing.T) {
	l := &label{row: rows["timewait_expired"]}
	finding := func(frame uint64, c report.Certainty, cause string, open ...string) report.Finding {
		f := report.Finding{Frames: []uint64{frame}, Verdict: report.Verdict{Certainty: c, Cause: cause}}
		for _, o := range open {
			f.Causes = append(f.Causes, report.Cause{Cause: o, Stands: report.StaysOpen})
			f.Settle = []report.Settle{{Then: o}}
		}
		return f
	}
	for _, tt := range []struct {
		findings []report.Finding
		want     grade
	}{
		{nil, gradeUnasked},
		{[]report.Finding{finding(8, report.Certain, "time-wait-expired")}, gradeUnasked},
		{[]report.Finding{finding(9, report.Certain, "time-wait-expired")}, gradeRight},
		{[]report.Finding{finding(9, report.Likely, "time-wait-expired")}, gradeRight},
		{[]report.Finding{finding(9, report.Likely, "rebooted")}, gradeMissed},
		{[]report.Finding{finding(9, report.Certain, "rebooted")}, gradeWrong},
		{[]report.Finding{finding(9, report.Certain, "time-wait-old-sequence")}, gradeMissed},
		{[]report.Finding{finding(9, report.Open, "", "rebooted", "time-wait-expired")}, gradeListed},
		{[]report.Finding{finding(9, report.Open, "", "rebooted")}, gradeMissed},
		{[]report.Finding{finding(9, report.Open, "")}, gradeMissed},
		{[]report.Finding{finding(9, report.Open, "", "rebooted"), finding(9, report.Likely, "time-wait-expired")}, gradeRight},
		{[]report.Finding{finding(9, report.Likely, "time-wait-expired"), finding(9, report.Certain, "rebooted")}, gradeWrong},
	} {
		if got, says := judge(l, &report.Report{Findings: tt.findings}, 9); got != tt.want {
			t.Errorf("%+v: got %d (%s), want %d", tt.findings, got, says, tt.want)
		}
	}
	if got, _ := judge(&label{row: rows["new_connection"]}, &report.Report{}, 9); got != gradeRight {
		t.Errorf("nothing found where nothing is wrong: got %d", got)
	}
}
