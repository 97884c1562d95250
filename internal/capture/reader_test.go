package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// readAll reads to the end in batches of the given size and copies what would
// not stay valid. The batch starts out as garbage, as it does between reads.
func readAll(t testing.TB, r *Reader, size int) []segment.Segment {
	t.Helper()
	batch := make([]segment.Segment, size)
	for i := range batch {
		batch[i] = garbage()
	}
	var all []segment.Segment
	for {
		n, err := r.Read(batch)
		if err == io.EOF && n == 0 {
			break
		}
		if err != nil || n == 0 && len(r.Notes()) == 0 {
			t.Fatalf("Read: %d, %v", n, err)
		}
		checkNotes(t, r.Notes())
		for _, s := range batch[:n] {
			checkWire(t, r, &s)
			s.Raw = segment.Raw{} // where it lies depends on how it was read
			s.RawOptions = bytes.Clone(s.RawOptions)
			clear(s.SACK[s.NSACK:])
			all = append(all, s)
		}
	}
	if n, err := r.Read(batch); n != 0 || err != io.EOF {
		t.Errorf("Read after the end: %d, %v", n, err)
	}
	return all
}

func garbage() segment.Segment {
	x := seq.Of(0xdeadbeef)
	return segment.Segment{
		Ref: segment.Ref{Frame: 1 << 60, Time: -5, Source: 999, SourceFrame: 1 << 59},
		Src: segment.Endpoint{Addr: segment.Addr{Hi: 1, Lo: 2}, Port: 3}, Dst: segment.Endpoint{Addr: segment.Addr{Hi: 4, Lo: 5}, Port: 6},
		Seq: x, Ack: x, Flags: 0xffff, Window: 7, Urgent: 8, Len: 9, Options: 0xffff, NSACK: 200, WScale: 10, MSS: 11, TSVal: x, TSEcr: x,
		SACK: [4]segment.SACKBlock{{Left: x, Right: x}, {Left: x, Right: x}, {Left: x, Right: x}, {Left: x, Right: x}}, RawOptions: []byte("garbage"),
		TTL: 12, TOS: 13, IPID: 14, VLAN: 15, Interface: 16, Way: 17, Tunnel: segment.Tunnel{Kind: 18, Depth: 19, ID: 20},
		Raw: segment.Raw{At: 21, Kept: 22, Wire: 23, Link: 24},
	}
}

// openBytes opens a capture held in memory.
func openBytes(t testing.TB, b []byte) *Reader {
	t.Helper()
	r, err := Open([]string{"-"}, Options{Stdin: bytes.NewReader(b)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// put writes files into a new folder and returns their paths in order.
func put(t testing.TB, files ...[]byte) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, b := range files {
		p := filepath.Join(dir, string(rune('a'+i))+".pcap")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

var equalSegments = []cmp.Option{cmp.AllowUnexported(seq.Num{}), cmpopts.EquateEmpty()}

// What the writer writes, the reader gives back, down to the last field.
func TestReadBack(t *testing.T) {
	want := exampleSegments()
	for size := 1; size < 10; size++ {
		got := readAll(t, openBytes(t, writeAll(t, want...)), size)
		if len(got) != len(want) {
			t.Fatalf("%d segments, want %d", len(got), len(want))
		}
		for i := range got {
			w := want[i]
			w.Frame, w.SourceFrame = uint64(i+1), uint64(i+1)
			if w.Src.Addr.Is4() == false {
				w.IPID = 0
			}
			w.RawOptions = got[i].RawOptions
			if d := cmp.Diff(w, got[i], equalSegments...); d != "" {
				t.Errorf("segment %d (-want +got):\n%s", i, d)
			}
			if o, _ := appendOptions(nil, &w); !bytes.HasPrefix(got[i].RawOptions, o) {
				t.Errorf("segment %d: raw options % x, want % x", i, got[i].RawOptions, o)
			}
		}
	}
}

// Several captures come out in the order of time, equal times in the order of
// the files, and each file in its own order even where its clock goes back.
func TestMerge(t *testing.T) {
	seg := func(at int64, n uint32) segment.Segment {
		return segment.Segment{Ref: segment.Ref{Time: at * 1e9}, Src: endpoint("10.0.0.1:1"), Dst: endpoint("10.0.0.2:2"), Seq: seq.Of(n)}
	}
	a := writeAll(t, seg(10, 0), seg(20, 1), seg(20, 2), seg(50, 3))
	b := writeAll(t, seg(5, 100), seg(20, 101), seg(12, 102), seg(20, 103), seg(60, 104))
	c := writeAll(t)
	d := writeAll(t, seg(20, 300))
	paths := put(t, a, b, c, d)
	for size := 1; size < 12; size++ {
		r, err := Open(paths, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var order []uint32
		for i, s := range readAll(t, r, size) {
			order = append(order, s.Seq.Uint32())
			if s.Frame != uint64(i+1) {
				t.Errorf("frame %d at place %d", s.Frame, i+1)
			}
			if src, frame, ok := r.Locate(s.Frame); !ok || src != int(s.Source) || frame != s.SourceFrame {
				t.Errorf("Locate(%d) = %d, %d, %v, want %d, %d", s.Frame, src, frame, ok, s.Source, s.SourceFrame)
			}
			if want := uint64(s.Seq.Uint32()%100) + 1; s.SourceFrame != want || uint32(s.Source) != s.Seq.Uint32()/100 {
				t.Errorf("seq %v: source %d frame %d", s.Seq, s.Source, s.SourceFrame)
			}
		}
		if want := []uint32{100, 0, 1, 2, 101, 102, 103, 300, 3, 104}; !slices.Equal(order, want) {
			t.Errorf("batch %d: order %v, want %v", size, order, want)
		}
		for _, f := range []uint64{0, 11, 1 << 63} {
			if _, _, ok := r.Locate(f); ok {
				t.Errorf("Locate(%d) is ok", f)
			}
		}
		if !slices.Equal(r.Sources(), paths) {
			t.Errorf("sources %v", r.Sources())
		}
		st := r.Stats()
		if st.Packets != 10 || st.Segments != 10 || st.First != 5e9 || st.Last != 60e9 || len(st.Skipped) != 0 {
			t.Errorf("stats %+v", st)
		}
		if len(st.Warnings) != 1 || st.Warnings[0].Code != "clock-backwards" || st.Warnings[0].Source != 1 || st.Warnings[0].Frame != 6 {
			t.Errorf("warnings %+v", st.Warnings)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(make([]segment.Segment, 1)); err == nil {
			t.Error("Read after Close works")
		}
	}
}

type brokenReader struct {
	io.Reader
}

var errBroken = errors.New("device gone")

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

// An error of the device is an error, not the end of the capture.
func TestReadError(t *testing.T) {
	b := writeAll(t, exampleSegments()...)
	r, err := Open([]string{"-"}, Options{Stdin: brokenReader{bytes.NewReader(b)}})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]segment.Segment, 100)
	if n, err := r.Read(batch); n != len(exampleSegments()) || err != nil {
		t.Errorf("Read: %d, %v", n, err)
	}
	for range 2 {
		n, err := r.Read(batch)
		if n != 0 || !errors.Is(err, errBroken) {
			t.Fatalf("Read: %d, %v", n, err)
		}
		if want := "standard input: frame 8: reading failed: device gone"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
	}
}
