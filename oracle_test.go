package tcpwhy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/flow/plain"
	"github.com/tcpwhy/tcpwhy/internal/flow/plain/scene"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/scenario"
)

// The oracle: with the plain table of connections in the place of the fast one the
// program must say the same, byte for byte, whatever it reads.

func plainTable(c flow.Config, s flow.Sink) table { return plain.NewTable(c, s) }

// told returns all that Explain says of the bytes of a file: the lines of connections, the
// report or the error.
func told(file []byte, o Options) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	o.Stdin = bytes.NewReader(file)
	if o.NoFindings {
		o.Connection = func(c *report.Connection) error { return e.Encode(c) }
	}
	if o.JSON != nil {
		o.JSON = func(write func(io.Writer) error) error { return write(&out) }
	}
	r, err := Explain(context.Background(), []string{"-"}, o)
	if err != nil {
		return "error: " + err.Error(), nil
	}
	if o.JSON == nil {
		err = report.WriteJSON(&out, r)
	}
	return out.String(), err
}

// differs tells where two texts part, and shows a little of both.
func differs(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	part := func(s string) string { return s[max(0, min(i, len(s))-200):min(len(s), i+200)] }
	return fmt.Sprintf("they part at byte %d:\nflow  …%s…\nplain …%s…", i, part(a), part(b))
}

// sameBothWays explains a file with both tables, and its connections alone.
func sameBothWays(t *testing.T, file []byte, o Options) {
	t.Helper()
	for _, lines := range []bool{false, true} {
		o.NoFindings, o.newTable = lines, nil
		fast, err := told(file, o)
		o.newTable = plainTable
		slow, err2 := told(file, o)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if fast != slow {
			t.Fatalf("lines %v: %s", lines, differs(fast, slow))
		}
	}
}

// inputs returns every file of testdata that Explain can read, and what the
// scenarios write, by name.
func inputs(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		ext := filepath.Ext(path)
		if ext != ".pcap" && ext != ".txt" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch filepath.Dir(path) {
		case "testdata/scenario":
			s, err := scenario.Read(path, bytes.NewReader(b))
			if err != nil {
				return err
			}
			var file bytes.Buffer
			if err := s.WriteCapture(&file); err != nil {
				return err
			}
			b = file.Bytes()
		case "testdata/lab": // scripts, no captures
			return nil
		}
		all[path] = b
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 500 {
		t.Fatalf("only %d files", len(all))
	}
	return all
}

// TestOracle explains all that lies in testdata both ways.
func TestOracle(t *testing.T) {
	for name, file := range inputs(t) {
		t.Run(strings.TrimPrefix(name, "testdata/"), func(t *testing.T) {
			t.Parallel()
			sameBothWays(t, file, Options{})
		})
	}
}

// sceneFile writes a scene as a capture, without segments that no frame can be.
func sceneFile(t testing.TB, script []byte, most int) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := capture.NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	s := scene.New(script, most)
	for i := range s.Segments {
		if x := &s.Segments[i]; x.Len < 60_000 && x.Doubt == 0 {
			if err := w.WriteSegment(x); err != nil {
				t.Fatal(err)
			}
		}
	}
	return file.Bytes()
}

// TestOracleScenes explains scenes at random both ways.
func TestOracleScenes(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	for i := range 150 {
		b := make([]byte, r.Intn(300))
		r.Read(b)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			sameBothWays(t, sceneFile(t, b, 150), Options{Facts: factsOf(byte(i))})
		})
	}
}

// factsOf returns facts for a fuzzer to choose from.
func factsOf(b byte) []string {
	all := [...]string{
		"server:kernel=3.10", "server:kernel=6.1", "server:net.ipv4.tcp_tw_recycle=1", "server:net.ipv4.tcp_rfc1337=1",
		"client:kernel=5.10", "client:net.ipv4.tcp_tw_reuse=1", "server:net.ipv4.tcp_timestamps=0", "server:net.ipv4.tcp_fin_timeout=5",
	}
	var out []string
	for i, f := range all {
		if b>>i&1 != 0 && !(i == 1 && b&1 != 0) {
			out = append(out, f)
		}
	}
	return out
}
