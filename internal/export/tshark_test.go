package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/export"
)

const founding = "../../testdata/founding/founding.pcap"

// TestWireshark: Wireshark's own reader shows the comments, and finds nothing wrong.
func TestWireshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	file := written(t, explain(t, founding), export.Options{}, founding)
	show := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("tshark", append([]string{"-r", file}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, &stderr)
		}
		return string(out)
	}
	lines := strings.Split(show("-T", "fields", "-e", "frame.comment"), "\n")
	if len(lines) != 15 || lines[0] != "" || !strings.HasPrefix(lines[7], "tcpwhy f1 (open): ") || !strings.Contains(lines[11], "tcpwhy f1 (open), asked about: Why was the SYN in frame 12 accepted") ||
		!strings.Contains(lines[11], "after(3145977016, 4008801888) = false") {
		t.Errorf("comments of frames: %q", lines)
	}
	if bad := show("-Y", "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"); bad != "" {
		t.Errorf("frames with something wrong:\n%s", bad)
	}
	if out := show("-T", "fields", "-e", "frame.cap_len", "-Y", "tcp.len > 0"); out != "66\n66\n" {
		t.Errorf("frames with payload keep %q bytes, want their 66 bytes of headers", out)
	}
	if _, err := exec.LookPath("capinfos"); err != nil {
		return
	}
	out, err := exec.Command("capinfos", "-k", file).Output()
	if err != nil || !strings.Contains(string(out), "f1 (open, notice) 10.0.0.1:51820 > 10.0.0.2:80: Why was the SYN in frame 12 accepted") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestMergedSources: of several captures each frame's comment names its own place.
func TestMergedSources(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile(founding)
	if err != nil {
		t.Fatal(err)
	}
	var halves []string
	for i := range 2 { // every other frame
		part := bytes.Clone(b[:24])
		for n, rest := 0, b[24:]; len(rest) >= 16; n++ {
			size := 16 + int(rest[8]) + int(rest[9])<<8
			if n%2 == i {
				part = append(part, rest[:size]...)
			}
			rest = rest[size:]
		}
		name := filepath.Join(dir, fmt.Sprintf("part%d.pcap", i))
		if err := os.WriteFile(name, part, 0o600); err != nil {
			t.Fatal(err)
		}
		halves = append(halves, name)
	}
	r := explain(t, halves...)
	file := written(t, r, export.Options{}, halves...)
	copied, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"frame 12 (frame 6 of part1.pcap)", "frame 13 (frame 7 of part0.pcap)", "tcpwhy f1"} {
		if !bytes.Contains(copied, []byte(want)) {
			t.Errorf("the copy lacks %q", want)
		}
	}
	if bytes.Contains(copied, []byte(dir)) {
		t.Error("the copy names a directory")
	}
	if got, want := fmt.Sprint(verdicts(explain(t, file))), fmt.Sprint(verdicts(r)); got != want {
		t.Errorf("explained again:\n%s\n%s", got, want)
	}
}

// TestChanged: a capture that has grown since gives the frames that the report knows, and
// one that has shrunk an error.
func TestChanged(t *testing.T) {
	b, err := os.ReadFile(founding)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r := explain(t, name)
	var first, second bytes.Buffer
	if err := export.Write(context.Background(), &first, []string{name}, r, export.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(bytes.Clone(b), b[24:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := export.Write(context.Background(), &second, []string{name}, r, export.Options{}); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("of a longer file: %v, %d and %d bytes", err, first.Len(), second.Len())
	}
	if err := os.WriteFile(name, b[:len(b)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := export.Write(context.Background(), &second, []string{name}, r, export.Options{}); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("of a shorter file: %v", err)
	}
}

func TestCheck(t *testing.T) {
	if err := export.Check([]string{founding}, export.Options{}); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"-", os.DevNull} {
		if err := export.Check([]string{path}, export.Options{}); !errors.Is(err, export.ErrNoFrames) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := export.Check([]string{"no-such-file"}, export.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
