package capture

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Progress counts what lies on the disk, in all files, and never goes back.
func TestProgress(t *testing.T) {
	file := usualPcap.file(repeat(aFrame, 20000)...)
	for name, files := range map[string][][]byte{
		"one":           {file},
		"two":           {file, file},
		"gzip":          {gz(t, file)},
		"zstd":          {zst(t, file)},
		"gzip and text": {gz(t, file), []byte("IP 10.0.0.1.1000 > 10.0.0.2.80: Flags [S], seq 1, win 1, length 0\n")},
	} {
		want := int64(0)
		for _, f := range files {
			want += int64(len(f))
		}
		r, err := Open(put(t, files...), Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		batch := make([]segment.Segment, 64)
		last, steps := int64(-1), 0
		for {
			_, err := r.Read(batch)
			read, total := r.Progress()
			if total != want || read < last || read > total {
				t.Fatalf("%s: %d of %d after %d, want %d in all", name, read, total, last, want)
			}
			if read > last {
				last, steps = read, steps+1
			}
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if last != want {
			t.Errorf("%s: %d of %d bytes at the end", name, last, want)
		}
		if name == "one" && steps < len(file)/bufferSize {
			t.Errorf("%s: only %d steps", name, steps)
		}
		if r.Frames() < 20000 {
			t.Errorf("%s: %d frames", name, r.Frames())
		}
	}
}

// The end of a stream is not known, also where files are read beside it.
func TestProgressOfStream(t *testing.T) {
	file := usualPcap.file(repeat(aFrame, 20)...)
	r, err := Open([]string{put(t, file)[0], "-"}, Options{Stdin: bytes.NewReader(file)})
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, r, 64)
	if read, total := r.Progress(); read != int64(2*len(file)) || total != 0 {
		t.Errorf("%d of %d", read, total)
	}
}
