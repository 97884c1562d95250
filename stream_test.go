package tcpwhy_test

import (
	"bytes"
	"io"
	"io/fs"
	"path/filepath"
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
