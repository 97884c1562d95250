package tcpwhy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// With two workers every report is the same, to the byte.
func TestWorkersChangeNothing(t *testing.T) {
	var files []string
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, ".pcap") || strings.HasPrefix(path, "testdata/posts/") && strings.HasSuffix(path, ".txt") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 150 {
		t.Fatalf("only %d captures", len(files))
	}
	for _, name := range files {
		one, two := explainWith(t, name, 1), explainWith(t, name, 2)
		if !bytes.Equal(one, two) {
			t.Errorf("%s: the reports differ", name)
		}
	}
	all := files[:40]
	one, err1 := Explain(context.Background(), all, Options{})
	two, err2 := Explain(context.Background(), all, Options{Workers: 2})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	a, _ := json.Marshal(one)
	b, _ := json.Marshal(two)
	if !bytes.Equal(a, b) {
		t.Error("merged captures: the reports differ")
	}
}

func explainWith(t *testing.T, name string, workers int) []byte {
	t.Helper()
	r, err := Explain(context.Background(), []string{name}, Options{Workers: workers})
	if err != nil {
		return []byte(err.Error())
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An error, a cancelled context and an interrupt end the reading of two workers as they do that of one.
func TestWorkersStop(t *testing.T) {
	name := "testdata/founding/founding.pcap"
	stop := errors.New("enough")
	_, err := Explain(context.Background(), []string{name}, Options{Workers: 2, Connection: func(*report.Connection) error { return stop }})
	if !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Explain(ctx, []string{name}, Options{Workers: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	c := make(chan struct{})
	close(c)
	r, err := Explain(context.Background(), []string{name}, Options{Workers: 2, Interrupt: c})
	if err != nil || r == nil {
		t.Errorf("after an interrupt: %v", err)
	}
}
