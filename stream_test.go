package tcpwhy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// A report that is written while it is made is the same, byte for byte, whatever is selected and
// from however many files.
func TestStreamedFindings(t *testing.T) {
	t.Parallel()
	var paths []string
	err := filepath.WalkDir("testdata", func(p string, d fs.DirEntry, err error) error {
		if strings.Contains(p, ".pcap") {
			paths = append(paths, p)
		}
		return err
	})
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d captures: %v", len(paths), err)
	}
	findings, hidden, several := 0, 0, 0
	for i, p := range paths {
		read := []string{p}
		var o tcpwhy.Options
		switch i % 4 {
		case 1:
			o.Only = []string{"reset", "no-time-wait", "stalled"}
		case 2:
			o.Since = "+1s"
		case 3:
			read = append(read, paths[(i+100)%len(paths)])
		}
		want, err := tcpwhy.Explain(t.Context(), read, o)
		if err != nil {
			continue // others test what cannot be read
		}
		var a, b bytes.Buffer
		o.Workers = i % 3
		o.JSON = func(write func(io.Writer) error) error { return write(&b) }
		if _, err := tcpwhy.Explain(t.Context(), read, o); err != nil {
			t.Fatalf("%v: %v", read, err)
		}
		if err := report.WriteJSON(&a, want); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%v: written are\n%s\nwant\n%s", read, b.Bytes(), a.Bytes())
		}
		findings += len(want.Findings)
		hidden += want.HiddenFindings
		if len(want.Capture.Sources) > 1 {
			several += len(want.Findings)
		}
	}
	if findings < 300 || hidden < 30 || several < 50 {
		t.Errorf("only %d findings, %d hidden, %d of several files", findings, hidden, several)
	}
}

// In a capture of many connections whose clock is set back again and again, each finding still comes
// in its place: the corpus's captures one behind the other, as one file.
func TestStreamedOutOfOrder(t *testing.T) {
	t.Parallel()
	for turn := range 3 {
		var whole []byte
		all := labels(t)
		if turn == 1 {
			slices.Reverse(all)
		}
		for i, l := range all {
			if turn == 2 && i%3 != 0 {
				continue
			}
			pcap, err := os.ReadFile(l.path + ".pcap")
			if err != nil {
				t.Fatal(err)
			}
			head, records, err := split(pcap)
			if err != nil || binary.LittleEndian.Uint32(head) != 0xa1b2c3d4 || whole != nil && !bytes.Equal(head[20:24], whole[20:24]) {
				continue
			}
			if whole == nil {
				whole = slices.Clone(head)
			}
			for n, r := range records {
				at := len(whole)
				whole = append(whole, r...)
				if turn == 2 { // within connections, too
					s := binary.LittleEndian.Uint32(whole[at:])
					binary.LittleEndian.PutUint32(whole[at:], s-uint32(n/3%7*400))
				}
			}
		}
		path := filepath.Join(t.TempDir(), "whole.pcap")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		want, err := tcpwhy.Explain(t.Context(), []string{path}, tcpwhy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var a bytes.Buffer
		if err := report.WriteJSON(&a, want); err != nil {
			t.Fatal(err)
		}
		for workers := 1; workers <= 2; workers++ {
			var b bytes.Buffer
			o := tcpwhy.Options{Workers: workers, JSON: func(write func(io.Writer) error) error { return write(&b) }}
			if _, err := tcpwhy.Explain(t.Context(), []string{path}, o); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Errorf("turn %d, %d workers: streamed is another report", turn, workers)
			}
		}
		t.Logf("%d findings of %d connections", len(want.Findings), want.Capture.Connections)
		if len(want.Findings) < 20 {
			t.Errorf("turn %d: only %d findings", turn, len(want.Findings))
		}
	}
}

// That nobody reads any more comes back as the error of Explain.
func TestStreamedToNobody(t *testing.T) {
	t.Parallel()
	gone := errors.New("nobody reads any more")
	for workers := 1; workers <= 2; workers++ {
		o := tcpwhy.Options{Workers: workers, JSON: func(write func(io.Writer) error) error { return write(failing{gone}) }}
		if _, err := tcpwhy.Explain(t.Context(), []string{"testdata/founding/founding.pcap"}, o); !errors.Is(err, gone) {
			t.Errorf("%d workers: error %v, want %v", workers, err, gone)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
