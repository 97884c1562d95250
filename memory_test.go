package tcpwhy

import (
	"bytes"
	"context"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// silentSYNs is a pcap of n SYNs, each on a four-tuple of its own, a millisecond apart.
func silentSYNs(t testing.TB, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := capture.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s := segment.Segment{Flags: segment.SYN, Window: 64240, TTL: 64, Seq: seq.Of(uint32(i) * 2654435761)}
		s.Time = 1_700_000_000e9 + int64(i)*1e6
		s.Src = segment.Endpoint{Addr: segment.Addr{Lo: 0xffff0a000000 | uint64(i>>8)}, Port: uint16(1024 + i&0xff)}
		s.Dst = segment.Endpoint{Addr: segment.Addr{Lo: 0xffffac100001}, Port: 80}
		if err := w.WriteSegment(&s); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// What does not find room is counted, and where that begins is named; nothing is certain
// because of what was not seen.
func TestMaxMemory(t *testing.T) {
	const n = 40000
	file := silentSYNs(t, n)
	check := func(name string, r *Report, fs []report.Finding) {
		t.Helper()
		codes := map[string]report.Warning{}
		for _, w := range r.Capture.Warnings {
			codes[w.Code] = w
		}
		f, a := codes["forgotten"], codes["not-answered"]
		if f.Frame == 0 && a.Frame == 0 || f.Frame > n || a.Frame > n {
			t.Errorf("%s: warnings %+v", name, r.Capture.Warnings)
		}
		if len(fs) == 0 || len(fs) > n*3/4 {
			t.Errorf("%s: %d findings of %d", name, len(fs), n)
		}
		for i := range fs {
			if fs[i].Verdict.Certainty == report.Certain {
				t.Fatalf("%s: certain: %+v", name, fs[i].Verdict)
			}
		}
	}
	o := Options{Stdin: bytes.NewReader(file), MaxMemory: 16 << 20}
	r, err := Explain(context.Background(), []string{"-"}, o)
	if err != nil {
		t.Fatal(err)
	}
	check("explain", r, r.Findings)
	fs, _, whole := followed(t, bytes.NewReader(file), Options{MaxMemory: 16 << 20})
	check("follow", whole, fs)
	// With room for all, all are told.
	if fs, _, whole := followed(t, bytes.NewReader(file[:24+16*1000]), Options{MaxMemory: 256 << 20}); len(whole.Capture.Warnings) > 1 || len(fs) < 200 {
		t.Errorf("%d findings, %+v", len(fs), whole.Capture.Warnings)
	}
}
