package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

const dumpText = `Hello, this is what I see:
  3  10:00:00.000100 IP (tos 0x0, ttl 64, id 7, offset 0, flags [DF], proto TCP (6), length 60)
    10.0.0.1.4000 > 10.0.0.2.445: Flags [S], cksum 0x1 (correct), seq 4000000000, win 64240, options [mss 1460,sackOK,TS val 5 ecr 0,nop,wscale 7], length 0
  7  10:00:00.000200 IP 10.0.0.2 > 10.0.0.1: ICMP 10.0.0.2 tcp port 445 unreachable, length 68
  8  10:00:00.000300 ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28
  9  10:00:01.000100 IP 10.0.0.1.4000 > 10.0.0.2.445: Flags [S], seq 4000000000, win 64240, options [mss 1460,sackOK,TS val 1005 ecr 0,nop,wscale 7], length 0
`

// readText reads everything, with the notes.
func readText(t *testing.T, r *Reader) (segs []segment.Segment, notes []segment.Note) {
	t.Helper()
	batch := make([]segment.Segment, 1)
	for {
		n, err := r.Read(batch)
		for i := range batch[:n] {
			s := batch[i]
			segs = append(segs, s)
			if w := r.Wire(&s); w.DF != (s.TTL != 0) {
				t.Errorf("frame %d: DF is %v", s.Frame, w.DF)
			}
		}
		notes = append(notes, r.Notes()...)
		if errors.Is(err, io.EOF) {
			return segs, notes
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestText(t *testing.T) {
	utf16le := []byte("\xff\xfe")
	for _, c := range utf16.Encode([]rune(dumpText)) {
		utf16le = append(utf16le, byte(c), byte(c>>8))
	}
	for name, in := range map[string][]byte{
		"plain": []byte(dumpText), "gzip": gz(t, []byte(dumpText)), "UTF-16": utf16le,
		"Latin-1": []byte(strings.Replace(dumpText, "Hello", "Gr\xfc\xdfe", 1)),
	} {
		r, err := Open([]string{"-"}, Options{Stdin: bytes.NewReader(in)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		segs, notes := readText(t, r)
		if len(segs) != 2 || segs[0].Frame != 3 || segs[1].Frame != 9 || segs[1].Time-segs[0].Time != 1e9 || segs[0].IPID != 7 {
			t.Errorf("%s: segments %+v", name, segs)
		}
		if len(notes) != 2 || notes[0].Frame != 7 || notes[0].Type != 3 || notes[0].Code != 3 || notes[0].Quoted.Dst != segs[0].Dst {
			t.Errorf("%s: notes %+v", name, notes)
		} else if n := notes[1]; n.Kind != segment.NoteWhoHas || n.Frame != 8 || n.Addr != segs[0].Dst.Addr || n.From != segs[0].Src.Addr {
			t.Errorf("%s: note of ARP %+v", name, n)
		}
		st := r.Stats()
		if st.Packets != 4 || st.Segments != 2 {
			t.Errorf("%s: %d packets, %d segments", name, st.Packets, st.Segments)
		}
		if len(st.Warnings) != 1 || st.Warnings[0].Code != "date-missing" || !strings.HasPrefix(st.Warnings[0].Says, "standard input tells no date") {
			t.Errorf("%s: warnings %+v", name, st.Warnings)
		}
		if src, own, ok := r.Locate(9); !ok || src != 0 || own != 9 {
			t.Errorf("%s: frame 9 is %d of source %d (%v)", name, own, src, ok)
		}
	}
}

// TestTextMerged reads a text together with another: frames count in the merged
// order, and lead back to the numbers of the text.
func TestTextMerged(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.txt")
	other := strings.ReplaceAll(strings.ReplaceAll(dumpText, "10:00:00.0001", "10:00:00.5001"), "10.0.0.1", "10.0.0.3")
	for name, s := range map[string]string{a: dumpText, b: other} {
		if err := os.WriteFile(name, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open([]string{a, b}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	segs, _ := readText(t, r)
	if len(segs) != 4 {
		t.Fatalf("%d segments", len(segs))
	}
	last := uint64(0)
	for _, s := range segs {
		src, own, ok := r.Locate(s.Frame)
		if !ok || src != int(s.Source) || own != s.SourceFrame || s.Frame <= last {
			t.Errorf("frame %d of source %d (%d there) leads to %d of %d (%v)", s.Frame, s.Source, s.SourceFrame, own, src, ok)
		}
		last = s.Frame
	}
}

// TestTextThenCapture: what a text left in a batch does not stay with the
// segments of a capture.
func TestTextThenCapture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte(dumpText), 0o666); err != nil {
		t.Fatal(err)
	}
	batch := make([]segment.Segment, 8)
	doubts := 0
	for _, name := range []string{file, filepath.FromSlash("../../testdata/founding/founding.pcap")} {
		r, err := Open([]string{name}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.Read(batch)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		doubts = 0
		for _, s := range batch[:n] {
			doubts += int(s.Doubt)
		}
		if (doubts > 0) != (name == file) {
			t.Errorf("%s: doubts %d", name, doubts)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
