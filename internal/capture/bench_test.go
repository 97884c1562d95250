package capture

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// BenchmarkReadFile reads the capture that TCPWHY_BENCH names; per-packet times come from it.
func BenchmarkReadFile(b *testing.B) {
	name := os.Getenv("TCPWHY_BENCH")
	if name == "" {
		b.Skip("TCPWHY_BENCH names no capture")
	}
	for b.Loop() {
		r, err := Open([]string{name}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		batch := make([]segment.Segment, 32)
		for {
			_, err := r.Read(batch)
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(r.Stats().Packets), "ns/packet")
	}
}

var _ = bytes.NewReader
