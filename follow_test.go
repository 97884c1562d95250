package tcpwhy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// segmentsOf reads the segments of a capture.
func segmentsOf(t testing.TB, file []byte) []segment.Segment {
	t.Helper()
	r, err := capture.Open([]string{"-"}, capture.Options{Stdin: bytes.NewReader(file)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []segment.Segment
	batch := make([]segment.Segment, 64)
	for {
		n, err := r.Read(batch)
		for _, s := range batch[:n] {
			s.RawOptions = bytes.Clone(s.RawOptions)
			all = append(all, s)
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// storyEvery is how far apart the captures of testdata are in a long one, longer than a
// four-tuple is remembered.
const storyEvery = 420 * int64(time.Second)

// longCapture strings the captures of testdata together, some minutes apart. With apart
// each has addresses of its own.
func longCapture(t testing.TB, apart bool) []byte {
	t.Helper()
	all := inputs(t)
	var out bytes.Buffer
	w, err := capture.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	start, stories := int64(1_700_000_000)*int64(time.Second), uint64(0)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasSuffix(name, ".pcap") && !strings.Contains(name, "testdata/scenario") {
			continue
		}
		ss := segmentsOf(t, all[name])
		if len(ss) == 0 || ss[len(ss)-1].Time-ss[0].Time > storyEvery/3 {
			continue
		}
		stories++
		first := ss[0].Time
		for i := range ss {
			s := &ss[i]
			s.Time += start - first
			if apart {
				s.Src.Addr.Lo ^= stories << 16
				s.Dst.Addr.Lo ^= stories << 16
			}
			if err := w.WriteSegment(s); err != nil {
				t.Fatal(name, err)
			}
		}
		start += storyEvery
	}
	if stories < 300 {
		t.Fatalf("only %d stories", stories)
	}
	return out.Bytes()
}

// followed is what Follow says of a stream: all findings, and how many before the end.
func followed(t testing.TB, in io.Reader, o Options) (all []report.Finding, early int, whole *Report) {
	t.Helper()
	o.Stdin = in
	ids := map[string]bool{}
	whole, err := Follow(context.Background(), "-", o, func(s *Sure) error {
		if s.Report == nil {
			return nil
		}
		for i := range s.Report.Findings {
			f := s.Report.Findings[i]
			if ids[f.ID] {
				t.Errorf("%s is given twice", f.ID)
			}
			ids[f.ID] = true
			all = append(all, f)
			if !s.Last {
				early++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, early, whole
}

// asksOf names a question: what it is and about which frames.
func asksOf(f *report.Finding) string {
	b, _ := json.Marshal(f.Frames[:1])
	return f.Question + string(b)
}

// Of a long capture, what is told as it becomes sure is what is told at the end.
func TestFollowSaysTheSame(t *testing.T) {
	file := longCapture(t, true)
	got, early, whole := followed(t, bytes.NewReader(file), Options{})
	r, err := Explain(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(file)})
	if err != nil {
		t.Fatal(err)
	}
	if early < len(got)/2 || len(got) < 400 { // many stories leave a connection open
		t.Errorf("%d findings, %d of them before the end", len(got), early)
	}
	want := map[string]*report.Finding{}
	for i := range r.Findings {
		want[asksOf(&r.Findings[i])] = &r.Findings[i]
	}
	differ := 0
	for i := range got {
		f := &got[i]
		w := want[asksOf(f)]
		if w == nil {
			t.Errorf("asked while following only: %s", f.Asks)
			continue
		}
		delete(want, asksOf(f))
		if f.Verdict != w.Verdict {
			differ++
			t.Logf("%s\n  while following: %+v\n  at the end: %+v", f.Asks, f.Verdict, w.Verdict)
		}
	}
	for _, w := range want {
		t.Errorf("asked at the end only: %s", w.Asks)
	}
	if differ > 0 {
		t.Errorf("%d of %d verdicts differ", differ, len(got))
	}
	if d := cmp.Diff(r.Summary, whole.Summary, ignoreFirst, anyOrder); d != "" {
		t.Errorf("summary (-explain +follow):\n%s", d)
	}
	whole.Summary, whole.Findings, whole.Connections = r.Summary, r.Findings, r.Connections
	if d := cmp.Diff(r, whole); d != "" {
		t.Errorf("the rest (-explain +follow):\n%s", d)
	}
}

// anyOrder compares groups that are alike whatever their order: theirs is that of their ids.
var anyOrder = cmpopts.SortSlices(func(a, b report.Group) bool {
	a.First, b.First = "", ""
	return fmt.Sprint(a) < fmt.Sprint(b)
})

// ignoreFirst leaves out the ids, which are given in another order.
var ignoreFirst = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".First" }, cmp.Ignore())

// Where the same hosts tell many stories, less is known of them earlier: what is certain then is
// never told otherwise in the end.
func TestFollowIsNotWrong(t *testing.T) {
	file := longCapture(t, false)
	got, _, _ := followed(t, bytes.NewReader(file), Options{})
	r, err := Explain(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(file)})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*report.Finding{}
	for i := range r.Findings {
		want[asksOf(&r.Findings[i])] = &r.Findings[i]
	}
	missing := 0
	for i := range got {
		f := &got[i]
		w := want[asksOf(f)]
		if w == nil {
			missing++
			t.Logf("asked while following only: %s", f.Asks)
			continue
		}
		if f.Verdict.Certainty == report.Certain && w.Verdict.Certainty == report.Certain && f.Verdict.Cause != w.Verdict.Cause {
			t.Errorf("%s\n  while following: %+v\n  at the end: %+v", f.Asks, f.Verdict, w.Verdict)
		}
	}
	if missing > len(got)/100 || len(got) < 400 {
		t.Errorf("%d of %d are asked while following only", missing, len(got))
	}
}

// pieces is a reader that returns pieces of random lengths.
type pieces struct {
	b   []byte
	rnd *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+p.rnd.IntN(300))], p.b)
	p.b = p.b[n:]
	return n, nil
}

// However a stream comes in pieces, each finding is given in the same words at its place.
func TestFollowInPieces(t *testing.T) {
	file := longCapture(t, false)
	file = file[:len(file)/3]
	want, _, whole := followed(t, bytes.NewReader(file), Options{})
	for seed := range uint64(3) {
		got, _, w := followed(t, &pieces{file, rand.New(rand.NewPCG(seed, 0))}, Options{})
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("seed %d (-whole +pieces):\n%s", seed, d)
		}
		if d := cmp.Diff(whole, w); d != "" {
			t.Fatalf("seed %d (-whole +pieces):\n%s", seed, d)
		}
	}
}

// A file that grows, and a directory in which files appear, give what the stream gives; a finding is
// there before the capture ends. An interrupt ends it.
func TestFollowGrowing(t *testing.T) {
	file := longCapture(t, false)
	file = file[:len(file)/4]
	want, _, _ := followed(t, bytes.NewReader(file), Options{})
	dir := t.TempDir()
	one, set := filepath.Join(dir, "one.pcap"), filepath.Join(dir, "set")
	if err := os.Mkdir(set, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, grow := range map[string]func(part int, b []byte) error{
		one: func(_ int, b []byte) error { return appendTo(one, b) },
		set: func(part int, b []byte) error {
			name := filepath.Join(set, "t"+string(rune('a'+part/4)))
			if part%4 == 0 && part > 0 {
				b = append(bytes.Clone(file[:24]), b...)
			}
			return appendTo(name, b)
		},
	} {
		if name == one {
			if err := appendTo(one, nil); err != nil {
				t.Fatal(err)
			}
		}
		var got []report.Finding
		stop := make(chan struct{})
		parts := cutRecords(file, 8)
		fed := 0
		_, err := Follow(context.Background(), name, Options{Interrupt: stop}, func(s *Sure) error {
			if s.Report != nil {
				got = append(got, s.Report.Findings...)
				return nil
			}
			if fed == len(parts) {
				if len(got) == 0 {
					t.Error("no finding before the end")
				}
				close(stop)
				return nil
			}
			fed++
			return grow(fed-1, parts[fed-1])
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			stripRefs(&got[i])
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-stream +grown):\n%s", filepath.Base(name), d)
		}
	}
}

func stripRefs(f *report.Finding) {
	f.Refs = nil
	for i := range f.Causes {
		for j := range f.Causes[i].Evidence {
			f.Causes[i].Evidence[j].Refs = nil
		}
	}
}

func appendTo(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// cutRecords cuts a pcap file between records into about n parts.
func cutRecords(file []byte, n int) (parts [][]byte) {
	from := 0
	for at := 24; at < len(file); {
		if at+16 > len(file) {
			break
		}
		at += 16 + int(uint32(file[at+8])|uint32(file[at+9])<<8|uint32(file[at+10])<<16)
		if at > len(file) {
			break
		}
		if at-from > len(file)/n {
			parts = append(parts, file[from:at])
			from = at
		}
	}
	return append(parts, file[from:])
}

// An interrupt while a capture is read ends the reading there, and says so.
func TestInterrupted(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	file := longCapture(t, true)
	r, err := Explain(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(file), Interrupt: stop})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Capture.Warnings
	if len(w) == 0 || w[len(w)-1].Code != "interrupted" || w[len(w)-1].Frame != r.Capture.Packets || r.Capture.Packets > 100 || r.Capture.Packets == 0 {
		t.Errorf("%d packets, %+v", r.Capture.Packets, w)
	}
}
