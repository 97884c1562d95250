package tcpwhy_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/replay"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// end is one end of a capture that is a Linux kernel.
type end struct {
	name  string // of the capture, and which end
	host  replay.Host
	parts [][]segment.Segment
}

// labCorpusDir has the captures that the laboratory recorded itself.
const labCorpusDir = "testdata/corpus/lab"

// kernelEnds returns every kernel end of the corpus.
func kernelEnds(t *testing.T) (all []end) {
	t.Helper()
	for _, dir := range []string{corpusDir, labCorpusDir} {
		paths, err := filepath.Glob(dir + "/*/*.json")
		if err != nil || len(paths) < 50 {
			t.Fatalf("%s: %d labels, %v", dir, len(paths), err)
		}
		for _, p := range paths {
			all = append(all, ends(t, dir, strings.TrimSuffix(p, ".json"))...)
		}
	}
	return all
}

// ends returns the kernel ends of a label: the one that its capture belongs to, and
// the client in its own capture where it is a kernel too.
func ends(t *testing.T, dir, path string) []end {
	t.Helper()
	l := strings.TrimPrefix(path, dir+"/")
	b, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Kernel  string            `json:"kernel"`
		Role    string            `json:"kernel_role"`
		Server  string            `json:"server"`
		Sysctls map[string]string `json:"sysctls"`
		Notes   []string          `json:"notes"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	server, err := netip.ParseAddrPort(d.Server)
	if err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	h, err := replayHost(d.Kernel, d.Sysctls)
	if err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	isServer := func(a segment.Addr) bool { return a == segment.AddrFromNetip(server.Addr()) }
	isClient := func(a segment.Addr) bool { return !isServer(a) }
	cut := cutBehind(d.Notes)
	h.Owns = isServer
	if d.Role == "client" {
		h.Owns = isClient
	}
	out := []end{{l + " " + d.Role, h, parts(segmentsOf(t, path+".pcap"), cut)}}
	if _, err := os.Stat(path + ".client.pcap"); err == nil {
		h.Owns = isClient
		out = append(out, end{l + " client", h, parts(segmentsOf(t, path+".client.pcap"), cut)})
	}
	return out
}

// cutBehind returns the frame behind which the label's notes say that frames were
// taken out, 0 where none were.
func cutBehind(notes []string) (frame uint64) {
	for _, n := range notes {
		var count int
		if _, err := fmt.Sscanf(n, "the capture is cut: %d frames between frame %d and", &count, &frame); err == nil {
			return frame
		}
	}
	return 0
}

// parts splits a capture behind a frame: each part is replayed by itself.
func parts(all []segment.Segment, cut uint64) [][]segment.Segment {
	i := slices.IndexFunc(all, func(s segment.Segment) bool { return s.Frame > cut })
	if cut == 0 || i < 0 {
		return [][]segment.Segment{all}
	}
	return [][]segment.Segment{all[:i], all[i:]}
}

// replayHost is what a label says of a host.
func replayHost(release string, sysctls map[string]string) (replay.Host, error) {
	p, err := kernel.ParseRelease(release)
	if err != nil {
		return replay.Host{}, err
	}
	h := replay.Host{Host: kernel.Host{Profile: p}}
	for name, value := range sysctls {
		err := h.Set(name, value)
		if asked := (*replay.NotAsked)(nil); err != nil && !errors.As(err, &asked) {
			return h, err
		}
	}
	return h, nil
}

func segmentsOf(t *testing.T, path string) []segment.Segment {
	t.Helper()
	pcap, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []segment.Segment
	if err := eachSegment(pcap, func(s segment.Segment) {
		s.RawOptions = nil // the reader's, gone with its next Read
		all = append(all, s)
	}); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return all
}

const replayLedgerFile = "internal/replay/ledger.txt"

// replayLedger reads what is known to be unexplained, with the reason.
func replayLedger(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(replayLedgerFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, reason, ok := strings.Cut(line, "|")
		k, reason = strings.TrimSpace(k), strings.TrimSpace(reason)
		if !ok || k == "" || reason == "" || out[k] != "" {
			t.Fatalf("%s line %d: want KEY | REASON, each key once, got %q", replayLedgerFile, i+1, line)
		}
		out[k] = reason
	}
	return out
}

// TestReplay: the model explains every frame that a kernel of the corpus sent, and
// every answer that it predicts for sure came.
func TestReplay(t *testing.T) {
	ledger := replayLedger(t)
	var by [replay.Ways]int
	count, arrived, sent, unexplained := 0, 0, 0, 0
	for _, e := range kernelEnds(t) {
		count++
		for _, part := range e.parts {
			res := replay.Replay(&e.host, part)
			arrived += res.Arrived
			sent += res.Sent
			for i, n := range res.By {
				by[i] += n
			}
			if u := res.Unexplained; u != nil {
				unexplained++
				k := fmt.Sprintf("%s frame %d", e.name, u.Frame)
				if _, ok := ledger[k]; !ok {
					t.Errorf("%s: %s", e.name, u)
				}
				delete(ledger, k)
			}
		}
	}
	for k := range ledger {
		t.Errorf("the ledger's %q is explained, or does not exist: take it out", k)
	}
	var b strings.Builder
	for w, n := range by {
		fmt.Fprintf(&b, ", %d by %s", n, replay.Way(w))
	}
	t.Logf("%d kernel ends, %d segments arrived, %d frames sent%s; %d ends unexplained", count, arrived, sent, b.String(), unexplained)
}

// perturbation changes one frame that a kernel sent, so that a kernel cannot have
// sent it, or at least not then.
type perturbation struct {
	name string
	// do returns what stands in the frame's place; ok is false where it does not
	// apply.
	do func(s segment.Segment) (out []segment.Segment, ok bool)
	// least is the share that must be noticed, in percent.
	least int
}

func changed(name string, least int, applies func(*segment.Segment) bool, change func(*segment.Segment)) perturbation {
	return perturbation{name, func(s segment.Segment) ([]segment.Segment, bool) {
		if !applies(&s) {
			return nil, false
		}
		change(&s)
		return []segment.Segment{s}, true
	}, least}
}

func always(*segment.Segment) bool { return true }
func hasFlag(f segment.Flags) func(*segment.Segment) bool {
	return func(s *segment.Segment) bool { return s.Flags.Has(f) }
}

// perturbations are tried on the frames of every capture.
var perturbations = []perturbation{
	changed("seq + 1", 90, always, func(s *segment.Segment) { s.Seq = s.Seq.Add(1) }),
	changed("ack + 1", 99, hasFlag(segment.ACK), func(s *segment.Segment) { s.Ack = s.Ack.Add(1) }),
	changed("ISN elsewhere", 75, hasFlag(segment.SYN), func(s *segment.Segment) { s.Seq = s.Seq.Add(0x12345678) }),
	changed("RST for ACK", 99, func(s *segment.Segment) bool { return s.Flags == segment.ACK && s.Len == 0 }, func(s *segment.Segment) { s.Flags = segment.RST }),
	changed("ACK for RST", 99, hasFlag(segment.RST), func(s *segment.Segment) { s.Flags = segment.ACK }),
	changed("ACK for SYN-ACK", 99, hasFlag(segment.SYN|segment.ACK), func(s *segment.Segment) { s.Flags = segment.ACK }),
	changed("FIN left out", 95, hasFlag(segment.FIN), func(s *segment.Segment) { s.Flags &^= segment.FIN }),
	changed("TSecr + 1", 99, func(s *segment.Segment) bool { return s.HasTS() }, func(s *segment.Segment) { s.TSEcr = s.TSEcr.Add(1) }),
	changed("timestamps left out", 97, func(s *segment.Segment) bool { return s.HasTS() }, func(s *segment.Segment) { s.Options &^= segment.OptTimestamps }),
	changed("TSval - 1000", 97, func(s *segment.Segment) bool { return s.HasTS() && !s.Flags.Has(segment.SYN) }, func(s *segment.Segment) { s.TSVal = s.TSVal.Add(^uint32(999)) }),
	changed("window halved", 65, func(s *segment.Segment) bool { return s.Window > 1 }, func(s *segment.Segment) { s.Window /= 2 }),
	{"left out", func(segment.Segment) ([]segment.Segment, bool) { return nil, true }, 70},
	{"sent twice, 37 ms apart", func(s segment.Segment) ([]segment.Segment, bool) {
		d := s
		d.Time += int64(37 * time.Millisecond)
		return []segment.Segment{s, d}, true
	}, 97},
}

// tooLate is how long before the end of a capture a frame must lie to be changed:
// what follows from a change shows only afterwards.
const tooLate = int64(200 * time.Millisecond)

// leastNoticed is the share of all changes that must be noticed, in percent. The
// others are such as a kernel can have made: the first ISN of a four-tuple, a first
// window, an ACK that was delayed until there were data to send with it.
const leastNoticed = 90

// TestReplayNoticesPerturbations: a replay that explains everything would explain
// a capture that no kernel can have made.
func TestReplayNoticesPerturbations(t *testing.T) {
	var mu sync.Mutex
	tried, noticed := make([]int, len(perturbations)), make([]int, len(perturbations))
	all := kernelEnds(t)
	work := make(chan *end)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for e := range work {
				tr, no := perturb(t, e)
				mu.Lock()
				for i := range tr {
					tried[i] += tr[i]
					noticed[i] += no[i]
				}
				mu.Unlock()
			}
		})
	}
	for i := range all {
		work <- &all[i]
	}
	close(work)
	wg.Wait()
	sum, found := 0, 0
	for i, p := range perturbations {
		t.Logf("%-24s %5d of %5d noticed", p.name, noticed[i], tried[i])
		if noticed[i]*100 < p.least*tried[i] {
			t.Errorf("%s: %d of %d noticed, want %d %%", p.name, noticed[i], tried[i], p.least)
		}
		sum += tried[i]
		found += noticed[i]
	}
	if found*100 < leastNoticed*sum || sum < 900 {
		t.Errorf("%d of %d noticed, want %d %%", found, sum, leastNoticed)
	}
	t.Logf("%d of %d noticed, %.1f %%", found, sum, 100*float64(found)/float64(sum))
}

// perturb changes each frame that the end sent in each way, and counts what was
// tried and what the replay noticed.
func perturb(t *testing.T, e *end) (tried, noticed []int) {
	tried, noticed = make([]int, len(perturbations)), make([]int, len(perturbations))
	for _, part := range e.parts {
		for i := range part {
			if !e.host.Owns(part[i].Src.Addr) || part[len(part)-1].Time-part[i].Time < tooLate {
				continue
			}
			for j := range perturbations {
				out, ok := perturbations[j].do(part[i])
				if !ok {
					continue
				}
				all := slices.Concat(part[:i], out, part[i+1:])
				slices.SortStableFunc(all, func(a, b segment.Segment) int { return cmp.Compare(a.Time, b.Time) })
				tried[j]++
				if res := replay.Replay(&e.host, all); res.Unexplained != nil {
					noticed[j]++
				} else if testing.Verbose() && perturbations[j].least >= 95 {
					t.Logf("%s: %s: frame %d is not noticed: %s", e.name, perturbations[j].name, part[i].Frame, segment.AppendPacketdrill(nil, &part[i]))
				}
			}
		}
	}
	return tried, noticed
}

// TestReplayTellsKernelsApart: what one kernel did is not what the model of another
// version explains, at least where the two differ on the wire. Each pair has the
// number of ends that must contradict.
func TestReplayTellsKernelsApart(t *testing.T) {
	all := kernelEnds(t)
	for _, tt := range []struct {
		of, as string
		least  int
	}{
		{"linux-6.18.44/", "5.10.223", 10}, // keeps the ISN that 5.10 loses
		{"linux-5.10.223-debian/", "6.18.44", 10},
		{"linux-3.10.0-1127.el7/", "5.10.223", 10},
		{"linux-6.18.44/", "2.6.32", 10}, // no challenge ACKs, no limits
	} {
		p, err := kernel.ParseRelease(tt.as)
		if err != nil {
			t.Fatal(err)
		}
		ends, contradict := 0, 0
		for _, e := range all {
			if !strings.HasPrefix(e.name, tt.of) {
				continue
			}
			e.host.Profile = p
			ends++
			for _, part := range e.parts {
				if replay.Replay(&e.host, part).Unexplained != nil {
					contradict++
					break
				}
			}
		}
		t.Logf("%s as %s: %d of %d ends contradict", tt.of, tt.as, contradict, ends)
		if contradict < tt.least {
			t.Errorf("%s as %s: %d of %d ends contradict, want at least %d", tt.of, tt.as, contradict, ends, tt.least)
		}
	}
}
