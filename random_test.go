package tcpwhy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	randomExecs = flag.Int("execs", 2000, "how many inputs TestExplainRandom makes")
	randomExec  = flag.Int("exec", -1, "make this one only, of the given seed")

	// Seed is also that of the perturbations.
	Seed = flag.Uint64("seed", 0, "of what a test makes at random; 0: a fresh one, which is printed")
)

// seeds are what inputs are made of.
type seeds struct {
	captures []rawCapture
	files    [][]byte // any bytes
	texts    [][]byte
}

// readSeeds reads every capture and text of testdata, and the inputs that fuzzers found
// worth keeping, in an order that is always the same.
func readSeeds(t testing.TB) *seeds {
	t.Helper()
	s := &seeds{}
	all := inputs(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if c, ok := readRaw(all[name]); ok {
			s.captures = append(s.captures, c)
		} else {
			s.texts = append(s.texts, all[name])
		}
	}
	for _, pattern := range []string{"testdata/fuzz/FuzzExplain/*", "internal/capture/testdata/fuzz/FuzzReader/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			s.files = append(s.files, corpusBytes(b)...)
		}
	}
	for _, name := range []string{"internal/capture/testdata/generated.pcapng", "internal/capture/testdata/tunnel/vxlan-any.pcap"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, b)
	}
	s.files = slices.DeleteFunc(s.files, func(b []byte) bool { return len(b) > 8192 })
	if len(s.captures) < 300 || len(s.texts) < 50 || len(s.files) < 50 {
		t.Fatalf("only %d captures, %d texts and %d other files", len(s.captures), len(s.texts), len(s.files))
	}
	return s
}

// corpusBytes returns the byte strings of an input as go test keeps it.
func corpusBytes(b []byte) (all [][]byte) {
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		quoted, ok := strings.CutPrefix(lines.Text(), "[]byte(")
		if s, err := strconv.Unquote(strings.TrimSuffix(quoted, ")")); ok && err == nil {
			all = append(all, []byte(s))
		}
	}
	return all
}

// randomInput is what one execution is about.
type randomInput struct {
	file   []byte
	facts  byte
	how    ways
	frames int // 0: nobody counted
}

// mostFrames is how many frames of a capture an input begins with at most.
const mostFrames = 50

// input makes an input: the same for a seed and a number wherever testdata is the same.
func (s *seeds) input(t testing.TB, seed uint64, n int) randomInput {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	var in randomInput
	switch k := r.IntN(100); {
	case k < 5:
		in.file = spoilBytes(bytes.Clone(s.files[r.IntN(len(s.files))]), r)
	case k < 10:
		in.file = spoilLines(s.texts[r.IntN(len(s.texts))], r)
		if r.IntN(2) == 0 {
			in.file = spoilBytes(in.file, r)
		}
	default:
		c := s.capture(t, r, k < 40)
		if k >= 85 && k < 95 {
			c.splice(s.capture(t, r, r.IntN(4) == 0), r)
		}
		all := spoilings()
		for range r.IntN(7) {
			all[r.IntN(len(all))](&c, r)
		}
		if r.IntN(8) > 0 {
			c.mend()
		}
		in.frames = len(c.frames)
		in.file = c.write(r)
		if r.IntN(6) == 0 {
			in.file = spoilBytes(in.file, r)
		}
	}
	if r.IntN(3) == 0 {
		in.facts = byte(r.Uint32())
	}
	for _, x := range []struct {
		w     ways
		oneIn int
	}{{alsoDuel, 4}, {alsoWorkers, 6}, {alsoStreamed, 3}, {alsoLines, 10}, {alsoLittle, 12}} {
		if r.IntN(x.oneIn) == 0 {
			in.how |= x.w
		}
	}
	return in
}

// capture returns a scene as a capture, or a part of a capture of testdata.
func (s *seeds) capture(t testing.TB, r *rand.Rand, scene bool) rawCapture {
	if scene {
		if c, ok := readRaw(sceneFile(t, randomBytes(r, 8+r.IntN(80)), mostFrames)); ok {
			return c.part(r, mostFrames)
		}
	}
	return s.captures[r.IntN(len(s.captures))].part(r, mostFrames)
}

// try is tryFile without panics.
func (in *randomInput) try() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return tryFile(in.file, in.facts, in.how)
}

// keep writes the input where FuzzExplain, and so every later run of the tests, finds it.
func (in *randomInput) keep() (string, error) {
	text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\nbyte(%q)\nbyte(%q)\n", in.file, rune(in.facts), rune(in.how))
	name := filepath.Join("testdata", "fuzz", "FuzzExplain", fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16])
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	return name, os.WriteFile(name, []byte(text), 0o644)
}

// hangs is after how much CPU time an execution will not end any more.
const hangs = time.Minute

// watch ends the process, with all goroutines shown, if what is begun with it hangs. It must
// be told when that is done. A process that is stopped does not hang.
func watch(what string) (done func()) {
	start, stop := cpuTime(), make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(hangs):
				if cpuTime()-start > hangs {
					panic(what + " hangs")
				}
			}
		}
	}()
	return func() { close(stop) }
}

// TestExplainRandom explains inputs that it makes of the captures of testdata, of scenes and of
// other seeds, by changing frames and bytes. It does what FuzzExplain does, without
// watching which code an input reaches; so it makes some ten times as many in an hour. With
// the seed that it prints it makes the same inputs again, with -exec any one of them alone.
func TestExplainRandom(t *testing.T) {
	seed, execs := *Seed, *randomExecs
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	if testing.Short() {
		execs = min(execs, 500)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	s := readSeeds(t)
	t.Logf("go test . -run TestExplainRandom -execs %d -seed %d", execs, seed)
	from, to := 0, execs
	if *randomExec >= 0 {
		from, to = *randomExec, *randomExec+1
	}
	start, failed := time.Now(), 0
	var size, frames int
	for n := from; n < to && failed < 20; n++ {
		in := s.input(t, seed, n)
		size, frames = size+len(in.file), frames+in.frames
		done := watch(fmt.Sprintf("-seed %d -exec %d", seed, n))
		err := in.try()
		done()
		if err != nil {
			failed++
			name, e := in.keep()
			t.Errorf("-seed %d -exec %d: %v\nkept as %s (%v)", seed, n, err, name, e)
		}
		if (n+1)%10_000 == 0 {
			fmt.Fprintf(os.Stderr, "%s %d executions, %d failed, %d per second\n", time.Now().Format(time.TimeOnly), n+1, failed, int(float64(n+1-from)/time.Since(start).Seconds()))
		}
	}
	t.Logf("%d executions in %v; an input has %d bytes and %d frames in the mean", to-from, time.Since(start).Round(time.Second), size/max(1, to-from), frames/max(1, to-from))
}
