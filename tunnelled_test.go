package tcpwhy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/scenario"
)

// vxlan puts an Ethernet frame into VXLAN, as the other interface of the same machine shows it
// (RFC 7348 §5).
func vxlan(frame []byte, vni uint32) []byte {
	be := binary.BigEndian
	b := []byte{2, 0, 0, 0, 9, 2, 2, 0, 0, 0, 9, 1, 8, 0}
	b = append(b, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 168, 9, 1, 192, 168, 9, 2)
	be.PutUint16(b[16:], uint16(20+8+8+len(frame)))
	b = be.AppendUint16(be.AppendUint16(b, 50000), 4789)
	b = be.AppendUint16(be.AppendUint16(b, uint16(8+8+len(frame))), 0)
	b = be.AppendUint32(be.AppendUint32(b, 8<<24), vni<<8)
	return append(b, frame...)
}

// records calls f for each record of a pcap file with nanoseconds in it.
func records(t *testing.T, file []byte, f func(sec, nsec uint32, frame []byte)) {
	t.Helper()
	le := binary.LittleEndian
	for at := 24; at < len(file); {
		n := int(le.Uint32(file[at+8:]))
		f(le.Uint32(file[at:]), le.Uint32(file[at+4:]), file[at+16:at+16+n])
		at += 16 + n
	}
}

func appendRecord(b []byte, sec, nsec uint32, frame []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(le.AppendUint32(b, sec), nsec)
	b = le.AppendUint32(le.AppendUint32(b, uint32(len(frame))), uint32(len(frame)))
	return append(b, frame...)
}

// TestSeenTunnelledAndBare: a capture on all interfaces of a machine shows each frame inside the
// tunnel and outside of it. It is one connection, and says what one of the two alone says.
func TestSeenTunnelledAndBare(t *testing.T) {
	for _, name := range []string{"reset-data-after-close", "time-wait-paws", "stalled-peer-gone", "nothing-wrong", "connect-refused"} {
		file, err := os.ReadFile(filepath.Join("testdata", "scenario", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Read(name, bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Segments {
			s.Segments[i].IPID = uint16(i + 1) // as real ones have, which tells a copy from a repeat
		}
		var once bytes.Buffer
		if err := s.WriteCapture(&once); err != nil {
			t.Fatal(err)
		}
		twice, inside := bytes.Clone(once.Bytes()[:24]), bytes.Clone(once.Bytes()[:24])
		records(t, once.Bytes(), func(sec, nsec uint32, frame []byte) {
			first, second := frame, vxlan(frame, 42)
			if frame[9] == 0 && frame[11] == 1 { // into the tunnel one way, out of it the other
				first, second = second, first
			}
			twice = appendRecord(twice, sec, nsec, first)
			twice = appendRecord(twice, sec, nsec+15_000, second)
			inside = appendRecord(inside, sec, nsec, vxlan(frame, 42))
		})
		bare, both, alone := explainBytes(t, once.Bytes(), s.Facts), explainBytes(t, twice, s.Facts), explainBytes(t, inside, s.Facts)
		if both.Capture.Connections != bare.Capture.Connections || alone.Capture.Connections != bare.Capture.Connections {
			t.Errorf("%s: %d connections bare, %d seen twice, %d inside", name, bare.Capture.Connections, both.Capture.Connections, alone.Capture.Connections)
		}
		if a, b, c := verdicts(bare), verdicts(both), verdicts(alone); a != b || a != c {
			t.Errorf("%s: bare\n%stwice\n%sinside\n%s", name, a, b, c)
		}
		if !warns(both, "duplicates") || !warns(both, "tunnels") || !warns(alone, "tunnels") || warns(alone, "duplicates") {
			t.Errorf("%s: warnings twice %v, inside %v", name, both.Capture.Warnings, alone.Capture.Warnings)
		}
	}
}

func verdicts(r *report.Report) string {
	var b strings.Builder
	for i := range r.Findings {
		v := &r.Findings[i].Verdict
		b.WriteString("  " + r.Findings[i].Question + " " + string(v.Certainty) + " " + v.Cause + "\n")
	}
	return b.String()
}

func warns(r *report.Report, code string) bool {
	for _, w := range r.Capture.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

func explainBytes(t *testing.T, file []byte, facts []string) *report.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.pcap")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := tcpwhy.Explain(context.Background(), []string{path}, tcpwhy.Options{Facts: facts})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
