package capture

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// numbered is a frame that can be told from others: its IP identification is n.
func numbered(n int) []byte {
	b := bytes.Clone(aFrame)
	b[14+4], b[14+5] = byte(n>>8), byte(n)
	return b
}

// stretch is a pcap of n frames, a second apart from second from on; their identifications count from id.
func stretch(from, n, id int) []byte {
	b := usualPcap.header()
	for i := range n {
		b = append(b, usualPcap.rec(uint32(from+i), 0, numbered(id+i), 0)...)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Hundreds of files, each of which overlaps the next one, are merged with few of them
// open, and numbered as if all were.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	const files, each, step = 300, 10, 8
	type want struct {
		time int64
		file int
		own  uint64
	}
	var wanted []want
	var paths []string
	for i := range files {
		from := 1000 + step*i
		b := stretch(from, each, 0)
		if i%7 == 0 {
			b = gz(t, b)
		}
		p := filepath.Join(dir, fmt.Sprintf("trace%03d", files-i)) // the names do not tell the order
		write(t, p, b)
		paths = append(paths, p)
		for j := range each {
			wanted = append(wanted, want{int64(from+j) * 1e9, i, uint64(j + 1)})
		}
	}
	slices.SortStableFunc(wanted, func(a, b want) int { return cmp.Compare(a.time, b.time) })
	for name, given := range map[string][]string{"named": paths, "directory": {dir}} {
		r, err := Open(given, Options{})
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]segment.Segment, 7)
		most, n := 0, 0
		for {
			k, err := r.Read(batch)
			most = max(most, r.awake)
			for _, s := range batch[:k] {
				w := wanted[n]
				n++
				src, own, ok := r.Locate(uint64(n))
				if s.Frame != uint64(n) || s.Time != w.time || s.SourceFrame != w.own || r.Sources()[s.Source] != paths[w.file] || src != int(s.Source) || own != w.own || !ok {
					t.Fatalf("%s: segment %d: %+v in %s, want %+v; Locate %d, %d, %v", name, n, s.Ref, r.Sources()[s.Source], w, src, own, ok)
				}
			}
			if err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				break
			}
		}
		st := r.Stats()
		if n != len(wanted) || most > 3 || len(st.Warnings) != 0 || st.Packets != uint64(n) {
			t.Errorf("%s: %d segments, %d files open at once, %+v", name, n, most, st)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A directory stands for the captures in it; the rest is told, not fatal.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.pcap"), stretch(100, 2, 1))
	write(t, filepath.Join(dir, "a.pcap"), stretch(200, 2, 3))
	write(t, filepath.Join(dir, "c.pcapng.gz"), gz(t, littleNG.section(), littleNG.iface(linkEthernet, 0), littleNG.packet(0, 150e6, numbered(9))))
	write(t, filepath.Join(dir, "header-only.pcap"), usualPcap.header())
	write(t, filepath.Join(dir, ".hidden.pcap"), stretch(100, 1, 7))
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, "notes.txt"), []byte("10:00:00.000000 IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [S], seq 1, win 64240, length 0\n"))
	write(t, filepath.Join(dir, "zz"), []byte("\x00\x01\x02\x03garbage"))
	if err := os.Mkdir(filepath.Join(dir, "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := Open([]string{dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var ids []uint16
	for _, s := range readAll(t, r, 3) {
		ids = append(ids, s.IPID)
	}
	if d := gocmp.Diff([]uint16{1, 2, 9, 3, 4}, ids); d != "" {
		t.Errorf("segments (-want +got):\n%s", d)
	}
	var names []string
	for _, s := range r.Sources() {
		names = append(names, filepath.Base(s))
	}
	if d := gocmp.Diff([]string{"header-only.pcap", "b.pcap", "c.pcapng.gz", "a.pcap"}, names); d != "" {
		t.Errorf("sources (-want +got):\n%s", d)
	}
	ws := r.Stats().Warnings
	if len(ws) != 1 || ws[0].Code != "files-passed-over" || !strings.Contains(ws[0].Says, "holds 4 files that no capture could be read from, passed over: empty (is empty: ") ||
		!strings.Contains(ws[0].Says, "notes.txt (a text), old (a directory) and 1 more.") {
		t.Errorf("warnings %+v", ws)
	}
	// Walked a second time, it is the same.
	left, err := Records([]string{dir}, func(*Record) error { return nil })
	if err != nil || left.Frames != 5 {
		t.Errorf("%+v, %v", left, err)
	}
	if err := Rereadable([]string{dir}); err != nil {
		t.Error(err)
	}
}

// A file that was there when it was looked at and is gone when its time comes is an error.
func TestFileRemovedBeforeItsTime(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), stretch(100, 2, 1))
	write(t, filepath.Join(dir, "b"), stretch(200, 2, 3))
	r, err := Open([]string{dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Remove(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	batch := make([]segment.Segment, 2)
	if n, err := r.Read(batch); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := r.Read(batch); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), filepath.Join(dir, "b")+": ") {
		t.Errorf("%v", err)
	}
}
