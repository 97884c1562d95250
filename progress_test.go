package tcpwhy_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy"
)

// At the end everything was read, whatever lay beside the TCP segments.
func TestProgress(t *testing.T) {
	const name = "testdata/founding/founding.pcap"
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	p := &tcpwhy.Progress{}
	if d := p.Done(); d != (tcpwhy.Done{}) {
		t.Errorf("before: %+v", d)
	}
	r, err := tcpwhy.Explain(context.Background(), []string{name, name}, tcpwhy.Options{Progress: p})
	if err != nil {
		t.Fatal(err)
	}
	want := tcpwhy.Done{Bytes: 2 * info.Size(), Total: 2 * info.Size(), Packets: int64(r.Capture.Packets), All: true}
	if d := p.Done(); d != want {
		t.Errorf("after: %+v, want %+v", d, want)
	}
}

// What a slow stream brought shows while it still runs.
func TestProgressOfStream(t *testing.T) {
	file, err := os.ReadFile(filepath.FromSlash("testdata/founding/founding.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	in, feed := io.Pipe()
	p := &tcpwhy.Progress{}
	done := make(chan error)
	go func() {
		_, err := tcpwhy.Explain(context.Background(), []string{"-"}, tcpwhy.Options{Stdin: in, Progress: p})
		done <- err
	}()
	if _, err := io.Copy(feed, strings.NewReader(string(file))); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); p.Done().Packets < 14 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if d := p.Done(); d.Packets != 14 || d.Bytes != int64(len(file)) || d.Total != 0 || d.All {
		t.Errorf("while it runs: %+v", d)
	}
	if err := feed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !p.Done().All {
		t.Errorf("%v, %+v", err, p.Done())
	}
}
