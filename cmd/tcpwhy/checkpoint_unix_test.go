//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// manyStories is a pcap in which, every 30 s, a client opens a four-tuple again that its
// server has closed, and gets an ACK for it; n times, with ports of its own each time.
func manyStories(t testing.TB, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := capture.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	addr := func(last uint64) segment.Addr { return segment.Addr{Lo: 0xffff0a000000 | last} }
	for i := range n {
		c := segment.Endpoint{Addr: addr(1), Port: uint16(10000 + i)}
		s := segment.Endpoint{Addr: addr(2), Port: 80}
		start := int64(1_700_000_000+30*i) * int64(time.Second)
		for _, p := range []struct {
			after time.Duration
			back  bool
			seq   uint32
			ack   uint32
			flags segment.Flags
		}{
			{0, false, 1000, 0, segment.SYN},
			{1e6, true, 5000, 1001, segment.SYN | segment.ACK},
			{2e6, false, 1001, 5001, segment.ACK},
			{3e6, true, 5001, 1001, segment.FIN | segment.ACK},
			{4e6, false, 1001, 5002, segment.FIN | segment.ACK},
			{5e6, true, 5002, 1002, segment.ACK},
			{3e9, false, 900, 0, segment.SYN},
			{3e9 + 1e6, true, 5002, 1002, segment.ACK},
			{3e9 + 2e6, false, 1002, 0, segment.RST},
			{4e9, false, 900, 0, segment.SYN},
			{4e9 + 1e6, true, 90000, 901, segment.SYN | segment.ACK},
			{4e9 + 2e6, false, 901, 90001, segment.ACK},
			{5e9, true, 90001, 901, segment.RST | segment.ACK},
		} {
			x := segment.Segment{Src: c, Dst: s, Seq: seq.Of(p.seq), Ack: seq.Of(p.ack), Flags: p.flags, Window: 64240, TTL: 64}
			if p.back {
				x.Src, x.Dst = s, c
			}
			x.Time = start + int64(p.after)
			if err := w.WriteSegment(&x); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.Bytes()
}

// following is a run of the real program.
type following struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

func startFollowing(t *testing.T, args ...string) *following {
	t.Helper()
	f := &following{t: t, cmd: exec.Command("tcpwhy", args...)}
	f.cmd.Stderr = &f.stderr
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return f
}

// end sends a signal and waits for the end.
func (f *following) end(s os.Signal) {
	f.t.Helper()
	if err := f.cmd.Process.Signal(s); err != nil {
		f.t.Fatal(err, f.stderr.String())
	}
	err := f.cmd.Wait()
	if s == syscall.SIGINT && err != nil || strings.Contains(f.stderr.String(), "error") {
		f.t.Fatalf("%v: %s", err, f.stderr.String())
	}
}

// until waits until the checkpoint speaks of all of the input.
func (f *following) until(state string, frames uint64) {
	f.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var c checkpoint
		data, err := os.ReadFile(state)
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		if err == nil && c.Frame >= frames {
			return
		}
		if time.Now().After(end) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.t.Fatalf("no checkpoint at frame %d: %+v, %v, %s", frames, c, err, f.stderr.String())
		}
	}
}

// Killed at any moment while its capture grows, a run goes on after a restart as if nothing had
// happened: each finding is there once, with the id that it had.
func TestKilledAndRestarted(t *testing.T) {
	const stories = 250
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	input := manyStories(t, stories)
	for format, kills := range map[string]int{"jsonl": 20, "text": 5} {
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		run := func(name string) *following {
			return startFollowing(t, "--follow", "--format", format, "-o", path(name), "--checkpoint", path(name+".state"), path("in.pcap"))
		}
		if err := os.WriteFile(path("in.pcap"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := os.OpenFile(path("in.pcap"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		fed := 0
		feed := func(to int) {
			if _, err := in.Write(input[fed:to]); err != nil {
				t.Fatal(err)
			}
			fed = to
		}
		f := run("killed")
		for k := range kills {
			// Some time, in which the capture grows, at any byte.
			end := fed + rnd.IntN(2*(len(input)-fed)/(kills-k)+1)
			for end = min(end, len(input)); fed < end; {
				feed(min(end, fed+1+rnd.IntN(20000)))
				time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
			}
			time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
			f.end(syscall.SIGKILL)
			f = run("killed")
		}
		feed(len(input))
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		const last = 13 * (stories - 20)
		f.until(path("killed.state"), last)
		time.Sleep(3 * checkpointEvery)
		f.end(syscall.SIGINT)
		began := time.Now()
		whole := run("whole")
		whole.until(path("whole.state"), last)
		time.Sleep(3 * checkpointEvery)
		took := time.Since(began)
		whole.end(syscall.SIGINT)
		got, want := readFile(t, path("killed")), readFile(t, path("whole"))
		if got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Fatalf("seed %d, %s: %d bytes, want %d; they part at %d: %.200q", seed, format, len(got), len(want), i, got[i:])
		}
		if format == "jsonl" {
			checkLines(t, want, stories)
		}
		// Ended and started again, it takes the end back and comes to it once more.
		again := run("killed")
		time.Sleep(2 * took)
		again.end(syscall.SIGINT)
		if readFile(t, path("killed")) != want {
			t.Errorf("%s: started once more it writes something else", format)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkLines checks that each line is an object, that no id comes twice, and that there is a
// finding for each story.
func checkLines(t *testing.T, lines string, stories int) {
	t.Helper()
	all := strings.Split(strings.TrimSuffix(lines, "\n"), "\n")
	ids := map[string]bool{}
	for _, l := range all[:len(all)-1] {
		var f report.FindingLine
		if err := json.Unmarshal([]byte(l), &f); err != nil || f.Finding == nil || ids[f.Finding.ID] {
			t.Fatalf("%v in %.100s", err, l)
		}
		ids[f.Finding.ID] = true
	}
	var e report.EndLine
	if err := json.Unmarshal([]byte(all[len(all)-1]), &e); err != nil || e.Schema != report.LinesSchema || e.Capture.Packets != uint64(13*stories) {
		t.Errorf("%v in %.200s", err, all[len(all)-1])
	}
	if len(ids) < stories {
		t.Errorf("%d findings of %d stories", len(ids), stories)
	}
}
