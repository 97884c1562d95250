package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// follower reads what is followed, as far as there is something.
type follower struct {
	t *testing.T
	r *Reader
}

func follow(t *testing.T, path string) *follower {
	t.Helper()
	r, err := Open([]string{path}, Options{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &follower{t, r}
}

// more returns the identifications of what came since, and whether it was the end.
func (f *follower) more() (ids []uint16, ended bool) {
	f.t.Helper()
	batch := make([]segment.Segment, 4)
	for {
		n, err := f.r.Read(batch)
		for _, s := range batch[:n] {
			ids = append(ids, s.IPID)
		}
		switch {
		case err == io.EOF:
			return ids, true
		case errors.Is(err, ErrWait):
			return ids, false
		case err != nil:
			f.t.Fatal(err)
		}
	}
}

func (f *follower) want(want ...uint16) {
	f.t.Helper()
	if got, ended := f.more(); ended || !slices.Equal(got, want) {
		f.t.Errorf("got %v (ended %v), want %v", got, ended, want)
	}
}

// end finishes and expects the rest, and the codes of the warnings.
func (f *follower) end(codes []string, want ...uint16) {
	f.t.Helper()
	f.r.Finish()
	if got, ended := f.more(); !ended || !slices.Equal(got, want) {
		f.t.Errorf("at the end got %v (ended %v), want %v", got, ended, want)
	}
	var got []string
	for _, w := range f.r.Stats().Warnings {
		got = append(got, w.Code)
	}
	if !slices.Equal(got, codes) {
		f.t.Errorf("warnings %q, want %q", got, codes)
	}
	misses := slices.ContainsFunc(codes, func(c string) bool { return c != "files-passed-over" })
	if f.r.Missed(f.r.Frames()) != misses {
		f.t.Errorf("Missed is %v with %q", !misses, codes)
	}
}

// rewrite writes a file whose change shows however coarse the clock of the file system is.
func rewrite(t *testing.T, path string, b []byte) {
	t.Helper()
	write(t, path, b)
	at := time.Now().Add(time.Duration(len(b)+int(b[len(b)-1])) * time.Second)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A file that grows, byte by byte and from nothing, gives each record once it is whole.
func TestFollowFile(t *testing.T) {
	ng := join(littleNG.section(), littleNG.iface(linkEthernet, 0), littleNG.packet(0, 1e6, numbered(1)), littleNG.packet(0, 2e6, numbered(2)))
	for name, file := range map[string][]byte{"pcap": stretch(100, 2, 1), "pcapng": ng} {
		path := filepath.Join(t.TempDir(), "x")
		write(t, path, nil)
		f := follow(t, path)
		var got []uint16
		at := []int{}
		for i := range file {
			grow(t, path, file[i:i+1])
			ids, ended := f.more()
			if got = append(got, ids...); len(ids) > 0 {
				at = append(at, i+1)
			}
			if ended {
				t.Fatalf("%s: ended at byte %d", name, i)
			}
		}
		if !slices.Equal(got, []uint16{1, 2}) || at[len(at)-1] != len(file) {
			t.Errorf("%s: %v at %v of %d", name, got, at, len(file))
		}
		f.end(nil)
	}
}

// A record that is not whole at the end is told.
func TestFollowCutRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	file := stretch(100, 2, 1)
	write(t, path, file[:len(file)-1])
	f := follow(t, path)
	f.want(1)
	f.end([]string{"capture-cut-short"})
}

// Files appear one after another, as tcpdump -G and -C make them.
func TestFollowDirectory(t *testing.T) {
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	f := follow(t, dir)
	f.want()
	write(t, name("x0"), stretch(100, 2, 1))
	f.want(1, 2)
	grow(t, name("x0"), usualPcap.rec(103, 0, numbered(3), 0))
	f.want(3)
	write(t, name("x1"), usualPcap.header()) // begun, and no packet yet
	f.want()
	grow(t, name("x0"), usualPcap.rec(104, 0, numbered(4), 0)) // flushed as it was closed
	grow(t, name("x1"), usualPcap.rec(105, 0, numbered(5), 0))
	f.want(4, 5)
	write(t, name("x2"), stretch(106, 1, 6))
	write(t, name("x3"), stretch(107, 1, 7))
	write(t, name("notes.txt"), []byte("These are ours.\n"))
	f.want(6, 7)
	write(t, name("x0.gz"), gz(t, stretch(100, 2, 1))) // tcpdump -z gzip
	if err := os.Remove(name("x0")); err != nil {
		t.Fatal(err)
	}
	f.want()
	write(t, name("x4"), stretch(108, 1, 8))
	f.end([]string{"files-passed-over"}, 8)
}

// What is there already is merged by time, and only the last file may grow.
func TestFollowDirectoryWithFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b"), stretch(100, 3, 1))
	write(t, filepath.Join(dir, "a"), stretch(101, 5, 11))
	f := follow(t, dir)
	f.want(1, 2, 11, 3, 12, 13, 14, 15)
	grow(t, filepath.Join(dir, "a"), usualPcap.rec(107, 0, numbered(16), 0))
	f.want(16)
	// Another capture in the same directory that was written at the same time.
	grow(t, filepath.Join(dir, "b"), usualPcap.rec(107, 0, numbered(4), 0))
	f.want()
	f.end([]string{"file-grew-late"})
}

// tcpdump -W writes to the same names again and again.
func TestFollowRing(t *testing.T) {
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	rewrite(t, name("x0"), stretch(100, 2, 1))
	f := follow(t, dir)
	f.want(1, 2)
	rewrite(t, name("x1"), stretch(102, 2, 3))
	f.want(3, 4)
	rewrite(t, name("x0"), stretch(104, 2, 5)) // as long as the one before
	f.want(5, 6)
	rewrite(t, name("x1"), stretch(106, 1, 7))
	f.want(7)
	f.end(nil)
}

// A ring that is faster than its reader: what was overwritten before its time is told.
func TestFollowRingTooFast(t *testing.T) {
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	rewrite(t, name("x0"), stretch(100, 3, 1))
	rewrite(t, name("x1"), stretch(103, 2, 4))
	r, err := Open([]string{dir}, Options{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := &follower{t, r}
	batch := make([]segment.Segment, 1)
	if n, err := r.Read(batch); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	rewrite(t, name("x1"), stretch(105, 1, 6))
	if _, err := r.scan(); err != nil {
		t.Fatal(err)
	}
	f.want(2, 3, 6)
	f.end([]string{"file-gone"})
}

// A file that is cut to nothing and written anew is another capture.
func TestFollowTruncated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	rewrite(t, path, stretch(100, 3, 1))
	f := follow(t, path)
	f.want(1, 2, 3)
	rewrite(t, path, stretch(200, 1, 4))
	f.want(4)
	grow(t, path, usualPcap.rec(201, 0, numbered(5), 0))
	f.want(5)
	f.end([]string{"file-gone"})
}

func TestFollowErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	write(t, text, []byte("Dear all, the server is slow again, please have a look at it.\n"))
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "check the name, or begin the capture first",
		text:                       "looks like text",
	} {
		r, err := Open([]string{path}, Options{Follow: true})
		if err == nil {
			r.Close()
			t.Errorf("%s: opened", path)
			continue
		}
		checkErrorStyle(t, err, path)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q, want %q", err, want)
		}
	}
	if _, err := Open([]string{text, text}, Options{Follow: true}); err == nil || !strings.Contains(err.Error(), "one capture can be followed") {
		t.Errorf("%v", err)
	}
	// A stream is followed as it is.
	r, err := Open([]string{"-"}, Options{Follow: true, Stdin: bytes.NewReader(stretch(1, 2, 1))})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if ids, ended := (&follower{t, r}).more(); !ended || !slices.Equal(ids, []uint16{1, 2}) {
		t.Errorf("%v, %v", ids, ended)
	}
}
