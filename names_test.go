package tcpwhy_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// TestNames: a host that a text names, or masks, goes by that name in the
// report, hostile ones too; the address that stands for it inside is shown nowhere.
func TestNames(t *testing.T) {
	const odd = `ev"il\` + "\u2028" + `<b>`
	for _, client := range []string{"client", "NODE_IP", "x.x.x.4", odd} {
		text := strings.ReplaceAll(`10:00:00.000000 IP CLIENT.4000 > server.80: Flags [S], seq 4000000000, win 64240, options [mss 1460], length 0
10:00:01.000000 IP CLIENT.4000 > server.80: Flags [S], seq 4000000000, win 64240, options [mss 1460], length 0
10:00:01.000100 IP server.80 > CLIENT.4000: Flags [R.], seq 0, ack 4000000001, win 0, length 0
`, "CLIENT", client)
		var lines []string
		r, err := tcpwhy.Explain(context.Background(), []string{"-"}, tcpwhy.Options{
			Stdin:      strings.NewReader(text),
			Connection: func(c *report.Connection) error { lines = append(lines, c.Client+" "+c.Server); return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Findings) != 1 || r.Findings[0].Flow.Client != client+":4000" || r.Findings[0].Flow.Server != "server:80" {
			t.Errorf("%q: findings %+v", client, r.Findings)
		}
		if len(lines) != 1 || lines[0] != client+":4000 server:80" {
			t.Errorf("%q: connections %q", client, lines)
		}
	}
}

// TestPostsAreExplained: every post is read to its end, and no invented address
// shows.
func TestPostsAreExplained(t *testing.T) {
	files, err := filepath.Glob("testdata/text/*.txt")
	if err != nil || len(files) < 29 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		r, err := tcpwhy.Explain(context.Background(), []string{f}, tcpwhy.Options{})
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if s := string(b); invented(s) {
			t.Errorf("%s: an invented address shows: %s", f, s)
		}
		if r.Capture.Segments == 0 {
			t.Errorf("%s: no segment was read", f)
		}
	}
}

// invented tells whether an address of 240.0.0.0/4 stands in s with a port.
func invented(s string) bool {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789.:", r) }) {
		host, _, ok := strings.Cut(w, ":")
		if ok && strings.Count(host, ".") == 3 && strings.HasPrefix(host, "24") && len(strings.SplitN(host, ".", 2)[0]) == 3 {
			return true
		}
	}
	return false
}
