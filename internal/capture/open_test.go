package capture

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func gz(t testing.TB, members ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, m := range members {
		w := gzip.NewWriter(&b)
		if _, err := w.Write(m); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func zst(t testing.TB, frames ...[]byte) (b []byte) {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		b = w.EncodeAll(f, b)
	}
	return b
}

// Every error names the file, is one line in lower case, and says what to do.
func TestOpenErrors(t *testing.T) {
	p := usualPcap
	good := p.file(aFrame)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "is empty: "},
		{"one byte", []byte{0xd4}, "is neither pcap nor pcapng"},
		{"text", []byte("Dear all, the server is slow again.\n"), "looks like text, and no line of it reads as a packet"},
		{"short text", []byte("hi\n"), "looks like text"},
		{"text with umlauts, cut in one", []byte(strings.Repeat("a", 63) + "ü"), "looks like text"},
		{"garbage", []byte("\x00\x01\x02\x03\x04\x05"), "is neither pcap nor pcapng (it begins with 00 01 02 03): "},
		{"elf", []byte("\x7fELF\x02\x01\x01"), "is neither pcap nor pcapng"},
		{"pcap header cut", good[:23], "the file header is cut off after 23 of 24 bytes: "},
		{"pcap version", setByte(good, 4, 3), "pcap version 3.4 is not known"},
		{"section header cut", littleNG.section()[:27], "the section header is cut off after 27 of 28 bytes: "},
		{"byte order", setByte(littleNG.section(), 9, 0), "its byte-order magic is wrong: "},
		{"xz", []byte("\xfd7zXZ\x00\x00\x04"), "is packed with xz: unpack it first"},
		{"bzip2", []byte("BZh91AY&SY"), "is packed with bzip2"},
		{"zip", []byte("PK\x03\x04\x14\x00\x00\x00"), "is a zip archive"},
		{"snoop", []byte("snoop\x00\x00\x00\x00\x00\x00\x02"), "is a snoop capture: convert it first"},
		{"gzip of nothing", gz(t, nil), "holds nothing but gzip packing"},
		{"zstd of nothing", zst(t, nil), "holds nothing but zstd packing"},
		{"gzip of text", gz(t, []byte("hello, world")), "looks like text"},
		{"packed twice", gz(t, gz(t, good)), "is packed twice: unpack it once"},
		{"gzip header cut", gz(t, good)[:7], "begins like gzip data but is damaged: "},
		{"gzip cut", gz(t, good)[:12], "its gzip data is cut off: "},
		{"gzip damaged", join(gz(t, good)[:10], bytes.Repeat([]byte{0xff}, 20)), "its gzip data is damaged: "},
		{"zstd cut", zst(t, good)[:8], "its zstd data is cut off: "},
		{"zstd damaged", setByte(zst(t, good), 4, 0xff), "its zstd data is "},
		{"zstd, wide window", []byte("\x28\xb5\x2f\xfd\x00\x98\x01\x00\x00"), "its zstd data needs a window of more than 128 MiB: unpack it first"},
		{"gzip, pcap header cut", gz(t, good[:20]), "the file header is cut off after 20 of 24 bytes: "},
	} {
		path := put(t, c.file)[0]
		for _, paths := range [][]string{{path}, {"-"}, {put(t, good)[0], path}} {
			r, err := Open(paths, Options{Stdin: bytes.NewReader(c.file)})
			if err == nil {
				r.Close()
				t.Errorf("%s: opened", c.name)
				continue
			}
			title := paths[len(paths)-1]
			if title == "-" {
				title = "standard input"
			}
			if !strings.HasPrefix(err.Error(), title+": "+c.want) && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %q, want %q", c.name, err, c.want)
			}
			checkErrorStyle(t, err, title)
		}
	}
}

func checkErrorStyle(t *testing.T, err error, title string) {
	t.Helper()
	says, named := strings.CutPrefix(err.Error(), title+": ")
	if !named || strings.Contains(says, "\n") || strings.ToLower(says[:1]) != says[:1] || strings.HasSuffix(says, ".") || strings.Contains(says, "EOF") {
		t.Errorf("style of %q", err)
	}
}

func TestOpenFileErrors(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		path, want string
		is         error
	}{
		{filepath.Join(dir, "none.pcap"), "file does not exist: check the name", fs.ErrNotExist},
		{dir, "is a directory without a capture file: name the one that tcpdump -w or Wireshark writes to", nil},
		{filepath.Join(put(t, nil)[0], "x"), "cannot be opened: not a directory", nil},
	} {
		_, err := Open([]string{c.path}, Options{})
		if err == nil || err.Error() != c.path+": "+c.want || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%q, want %q", err, c.want)
		}
	}
	locked := put(t, usualPcap.file(aFrame))[0]
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(locked); err == nil {
		f.Close() // root may read it all the same
	} else if _, err := Open([]string{locked}, Options{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "permission denied: run as") {
		t.Errorf("%q", err)
	}
	for _, paths := range [][]string{nil, {"-"}, {"-", "-"}, make([]string, maxSources+1)} {
		o := Options{}
		if len(paths) == 2 {
			o.Stdin = bytes.NewReader(usualPcap.file(aFrame))
		}
		if r, err := Open(paths, o); err == nil {
			r.Close()
			t.Errorf("%d paths: opened", len(paths))
		}
	}
}

// Packed captures are known by their first bytes, and give the same as plain ones.
func TestPacked(t *testing.T) {
	frames := repeat(aFrame, 20000) // more than a buffer
	file := usualPcap.file(frames...)
	half := len(file)/2 + 3
	skippable := []byte("\x5a\x2a\x4d\x18\x03\x00\x00\x00abc")
	for name, b := range map[string][]byte{
		"plain":                 file,
		"gzip":                  gz(t, file),
		"gzip, two members":     gz(t, file[:half], file[half:]),
		"gzip, tiny first":      gz(t, file[:1], nil, file[1:]),
		"zstd":                  zst(t, file),
		"zstd, two frames":      zst(t, file[:half], file[half:]),
		"zstd, skippable first": join(skippable, zst(t, file)),
		"gzip, pcapng":          gz(t, join(littleNG.section(), littleNG.iface(1, 0), bytes.Repeat(littleNG.packet(0, 100e6, aFrame), len(frames)))),
	} {
		path := put(t, b)[0]
		r, err := Open([]string{path}, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		segs := readAll(t, r, 64)
		if len(segs) != len(frames) || segs[0].Time/1e9 != 100 || len(r.Stats().Warnings) != 0 {
			t.Errorf("%s: %d segments, %+v", name, len(segs), r.Stats())
		}
	}
}

// A packed capture that is cut or damaged gives what comes before that.
func TestPackedDamage(t *testing.T) {
	var frames [][]byte
	for i := range 30000 { // different enough to give some blocks
		frames = append(frames, setByte(setByte(aFrame, 38, byte(i>>8)), 39, byte(i*7)))
	}
	file := usualPcap.file(frames...)
	for name, c := range map[string]struct {
		b    []byte
		code string
	}{
		"gzip cut":           {cutTail(gz(t, file), 0.5), "capture-cut-short"},
		"gzip, trailer cut":  {cutTail(gz(t, file), 0.9999), "capture-cut-short"},
		"gzip, wrong check":  {flipAt(gz(t, file), -6), "capture-broken"},
		"gzip, damaged":      {flipAt(gz(t, file), len(gz(t, file))/2), "capture-"},
		"gzip, garbage tail": {join(gz(t, file), []byte("garbage after the end")), "capture-broken"},
		"zstd cut":           {cutTail(zst(t, file), 0.5), "capture-cut-short"},
		"zstd, damaged":      {flipAt(zst(t, file), len(zst(t, file))/2), "capture-"},
		"zstd, garbage tail": {join(zst(t, file), []byte("garbage after the end")), "capture-broken"},
	} {
		r, err := Open([]string{"-"}, Options{Stdin: bytes.NewReader(c.b)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		readAll(t, r, 64)
		st := r.Stats()
		whole := strings.Contains(name, "check") || strings.Contains(name, "tail")
		if whole && st.Packets != uint64(len(frames)) || !whole && st.Packets == 0 {
			t.Errorf("%s: %d packets of %d", name, st.Packets, len(frames))
		}
		if len(st.Warnings) == 0 || !strings.HasPrefix(st.Warnings[0].Code, c.code) {
			t.Errorf("%s: %+v", name, st.Warnings)
		}
	}
}

func cutTail(b []byte, keep float64) []byte { return b[:int(float64(len(b))*keep)] }

// flipAt changes the byte at i, counted from the end where i is negative.
func flipAt(b []byte, i int) []byte {
	if i < 0 {
		i += len(b)
	}
	return setByte(b, i, b[i]^0x55)
}

// Many captures at once share a bounded amount of memory.
func TestManySources(t *testing.T) {
	const n = 300
	dir := t.TempDir()
	var paths []string
	for i := range n {
		p := filepath.Join(dir, fmt.Sprintf("%03d", i))
		if err := os.WriteFile(p, join(usualPcap.header(), usualPcap.rec(uint32(n-i), 0, aFrame, 0)), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	r, err := Open(paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, s := range r.sources {
		total += cap(s.buf)
	}
	if total > buffersTotal {
		t.Errorf("%d bytes of buffers", total)
	}
	segs := readAll(t, r, 16)
	for i, s := range segs {
		if int(s.Source) != n-1-i || s.Frame != uint64(i+1) || s.SourceFrame != 1 {
			t.Fatalf("place %d: %+v", i, s.Ref)
		}
	}
	if len(segs) != n {
		t.Errorf("%d segments", len(segs))
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
