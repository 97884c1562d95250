package tcpwhy_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

var (
	perturbRuns = flag.Int("perturb", 1500, "how many captures to perturb")
	perturbCase = flag.Int("perturb-case", -1, "perturb this one only, of the given seed")
	perturbKeep = flag.String("perturb-keep", "", "a directory for the perturbed captures with a wrong verdict")
)

// original is a labelled capture, and what is said of it when it is whole.
type original struct {
	l     *label
	name  string
	asked uint64
	trace *trace
	grade grade
	// told are the causes that the whole capture fits, by the two ends and the cause.
	told map[string]bool
}

// originals reads every labelled capture, on both sides of the wire where there are two.
func originals(t *testing.T) []*original {
	t.Helper()
	recordings, _ := recorded(t)
	all := append(labels(t), recordings...)
	var out []*original
	var mu sync.Mutex
	each(all, func(l *label) {
		server, err := os.ReadFile(l.path + ".pcap")
		if err != nil {
			t.Error(err)
			return
		}
		got := []*original{originalOf(t, l, ".pcap", server, l.asked())}
		if l.client {
			pcap, err := os.ReadFile(l.path + ".client.pcap")
			if err != nil {
				t.Error(err)
				return
			}
			asked, err := sameSYN(server, l.asked(), pcap)
			if err != nil {
				t.Errorf("%s: %v", l, err)
				return
			}
			got = append(got, originalOf(t, l, ".client.pcap", pcap, asked))
		}
		mu.Lock()
		defer mu.Unlock()
		out = append(out, got...)
	})
	slices.SortFunc(out, func(a, b *original) int { return strings.Compare(a.name, b.name) })
	if t.Failed() {
		t.FailNow()
	}
	return out
}

func originalOf(t *testing.T, l *label, suffix string, pcap []byte, asked uint64) *original {
	t.Helper()
	o := &original{l: l, name: l.path + suffix, asked: asked, told: map[string]bool{}}
	port, err := serverPort(l)
	if err != nil {
		t.Errorf("%s: %v", l, err)
		return o
	}
	if o.trace, err = newTrace(pcap, func(e segment.Endpoint) bool { return e.Port == port }); err != nil {
		t.Errorf("%s: %v", o.name, err)
		return o
	}
	r, err := explain(pcap)
	if err != nil {
		t.Errorf("%s: %v", o.name, err)
		return o
	}
	o.grade, _ = judge(l, r, asked)
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Verdict.Certainty != report.Open {
			o.told[flowOf(f)+f.Verdict.Cause] = true
		}
	}
	return o
}

// serverPort reads the port that the label says is the server's.
func serverPort(l *label) (uint16, error) {
	b, err := os.ReadFile(l.path + ".json")
	if err != nil {
		return 0, err
	}
	var d struct {
		Server string `json:"server"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return 0, err
	}
	at, err := netip.ParseAddrPort(d.Server)
	return at.Port(), err
}

// flowOf names the two ends of a finding, in one order.
func flowOf(f *report.Finding) string {
	a, b := f.Flow.Client, f.Flow.Server
	return min(a, b) + " " + max(a, b) + " "
}

// wrong returns the verdicts that are certain of what is not so. What is certain of the
// SYN that the label explains must be allowed by the label; anything else must be what the
// whole capture is said to show, too, or what may follow.
func (o *original) wrong(r *report.Report, tr *trace) (all []string) {
	now := tr.now(o.asked)
	for i := range r.Findings {
		f := &r.Findings[i]
		v := f.Verdict
		if v.Certainty != report.Certain || o.l.allows(v.Cause) {
			continue
		}
		about := slices.ContainsFunc(now, func(n uint64) bool { return slices.Contains(f.Frames, n) })
		switch {
		case o.told[flowOf(f)+v.Cause]:
		case !about && slices.Contains(afterwards, v.Cause):
		default:
			all = append(all, fmt.Sprintf("%s: certain of %s: frames %d: %s", f.Question, v.Cause, f.Frames, v.Says))
		}
	}
	return all
}

// spoilt is one perturbed capture.
type spoilt struct {
	n     int
	o     *original
	kinds []string
	trace *trace
}

// spoil makes the n-th perturbation of the seed: all captures in turn with each kind, and
// every third round two kinds on top of each other.
func spoil(all []*original, seed uint64, n int) *spoilt {
	rnd := rand.New(rand.NewPCG(seed, uint64(n)))
	p := &spoilt{n: n, o: all[n%len(all)]}
	p.trace = p.o.trace.clone()
	// Neighbouring captures get other kinds, so that few runs show all of both.
	k := kinds[(n+n/len(all))%len(kinds)]
	p.kinds = []string{k.name}
	k.do(p.trace, rnd)
	if n/len(all)%3 == 2 || rnd.IntN(4) == 0 {
		second := kinds[rnd.IntN(len(kinds))]
		p.kinds = append(p.kinds, second.name)
		second.do(p.trace, rnd)
	}
	return p
}

// tally counts how the SYN that is asked about came out, under one kind.
type tally struct {
	runs   int
	wrong  int
	asked  int // the SYN is still there, and the whole capture's verdict is right
	right  int
	listed int
}

func (c *tally) add(o *original, g grade, there bool, wrong int) {
	c.runs++
	if wrong > 0 {
		c.wrong++
	}
	if !there || o.grade != gradeRight {
		return
	}
	c.asked++
	switch g {
	case gradeRight:
		c.right++
	case gradeListed:
		c.listed++
	case gradeUnasked, gradeMissed, gradeWrong, grades:
	}
}

// TestPerturbed spoils the labelled captures in the ways in which captures are spoilt:
// less may be said of them, but nothing wrong as certain. It prints the share that stays
// right. With the seed that a run printed it does the same again.
func TestPerturbed(t *testing.T) {
	seed := *tcpwhy.Seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	runs := *perturbRuns
	if testing.Short() {
		runs = min(runs, 400)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as for TestCorpusWithoutAFrame
	all := originals(t)
	t.Logf("go test . -run TestPerturbed -perturb %d -seed %d", runs, seed)
	work := make(chan int)
	go func() {
		defer close(work)
		for n := range runs {
			if *perturbCase < 0 || n == *perturbCase {
				work <- n
			}
		}
	}()
	var mu sync.Mutex
	counts := map[string]*tally{}
	var total tally
	parallel(func() {
		for n := range work {
			p := spoil(all, seed, n)
			r, err := explain(p.trace.bytes())
			if err != nil {
				if len(p.trace.records) > 0 {
					t.Errorf("case %d of seed %d, %s, %s: %v", n, seed, p.o.name, p.kinds, err)
				}
				continue
			}
			wrong := p.o.wrong(r, p.trace)
			g, there := p.o.regraded(r, p.trace)
			mu.Lock()
			for _, k := range append(slices.Clone(p.kinds), "two kinds")[:min(3, len(p.kinds)*2-1)] {
				if counts[k] == nil {
					counts[k] = new(tally)
				}
				counts[k].add(p.o, g, there, len(wrong))
			}
			total.add(p.o, g, there, len(wrong))
			for _, w := range wrong {
				t.Errorf("%s (%s): -seed %d -perturb-case %d, %s: %s", p.o.name, p.o.l.Cause, seed, n, strings.Join(p.kinds, " + "), w)
			}
			mu.Unlock()
			if len(wrong) > 0 {
				p.keep(t, wrong)
			}
		}
	})
	t.Log(share(counts, total))
}

// regraded judges what is said about the SYN asked about, wherever it now is; there is
// false where it is gone.
func (o *original) regraded(r *report.Report, tr *trace) (best grade, there bool) {
	best = grades
	for _, n := range tr.now(o.asked) {
		// The label's steps count the frames of the whole capture: the causes that
		// answer the SYN are those of its place there.
		l := *o.l
		l.row.right, l.Steps = o.l.rights(o.asked), nil
		g, _ := judge(&l, r, n)
		best, there = min(best, g), true
	}
	return best, there
}

// keep writes the capture to the directory that was asked for.
func (p *spoilt) keep(t *testing.T, wrong []string) {
	t.Helper()
	if *perturbKeep == "" {
		return
	}
	name := fmt.Sprintf("%s-%d", strings.TrimSuffix(filepath.Base(p.o.name), ".pcap"), p.n)
	text := fmt.Sprintf("%s (%s) %s\n%s\n", p.o.name, p.o.l.Cause, strings.Join(p.kinds, " + "), strings.Join(wrong, "\n"))
	for i, r := range p.trace.records {
		text += fmt.Sprintf("frame %d was %d\n", i+1, r.was)
	}
	for file, b := range map[string][]byte{name + ".pcap": p.trace.bytes(), name + ".txt": []byte(text)} {
		if err := os.WriteFile(filepath.Join(*perturbKeep, file), b, 0o644); err != nil {
			t.Error(err)
		}
	}
}

func share(counts map[string]*tally, total tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-24s %7s %7s %7s %14s %14s\n", "perturbation", "runs", "wrong", "asked", "stays right", "left open")
	line := func(name string, c *tally) {
		n := max(1, c.asked)
		fmt.Fprintf(&b, "%-24s %7d %7d %7d %7d %4d %% %7d %4d %%\n", name, c.runs, c.wrong, c.asked,
			c.right, c.right*100/n, c.listed, c.listed*100/n)
	}
	names := []string{"two kinds"}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	for _, name := range names {
		if c := counts[name]; c != nil {
			line(name, c)
		}
	}
	line("all", &total)
	return b.String()
}

// parallel runs do on all processors.
func parallel(do func()) {
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(do)
	}
	wg.Wait()
}
