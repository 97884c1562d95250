package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

var usual = report.Connection{
	ID: "c1", Client: "10.0.0.1:51820", Server: "10.0.0.2:80",
	Opened: "2019-05-14T09:30:00.000000000Z", Closed: "2019-05-14T09:30:52.961000000Z",
	FirstFrame: 1, LastFrame: 8, DurationS: 52.961, State: "closed", FirstCloser: "server", TimeWaitHolder: "server",
	Ended: "fin", History: "SsADdFf", Packets: [2]uint64{4, 4}, Bytes: [2]uint64{24, 100},
}

func TestColumns(t *testing.T) {
	odd := report.Connection{
		ID: "c123456789", Client: "[2001:db8::1]:51820", Server: "[2001:db8:1111:2222:3333:4444:5555:6666]:443",
		DurationS: math.Inf(1), State: "reset", Ended: "reset-by-client", FirstCloser: "\x1b[31m",
		Packets: [2]uint64{1 << 63, 1}, History: "S\nr",
	}
	var b bytes.Buffer
	all := []*report.Connection{&usual, {}, &odd}
	err := WriteConnections(&b, Columns, func(emit func(*report.Connection) error) error {
		for _, c := range all {
			if err := emit(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/connections.txt", b.String())
	checkText(t, b.String())
	for line := range strings.Lines(b.String()) {
		if n := len(strings.Fields(line)); n != 13 {
			t.Errorf("%d columns in %q, want 13", n, line)
		}
	}
}

// The heading stands over its columns: each title starts, or ends, where the value does.
func TestHeadingStandsOverColumns(t *testing.T) {
	heading, line := string(connectionHeading()), string(AppendConnection(nil, &usual))
	for title, value := range map[string]string{
		"OPENED": usual.Opened, "FRAMES": "1-8", "CLIENT": usual.Client, "SERVER": usual.Server, "STATE": "closed", "ENDED": "fin",
		"CLOSED-BY": "server  ", "TIME_WAIT": "server     4/4", "PACKETS-C/S": "4/4", "BYTES-C/S": "24/100", "HISTORY": "SsADdFf",
	} {
		if at := strings.Index(heading, title); at < 0 || !strings.HasPrefix(line[at:], value) {
			t.Errorf("%s at %d does not stand over %q in\n%s\n%s", title, at, value, heading, line)
		}
	}
	for title, value := range map[string]string{"ID": usual.ID, "DURATION": "52.961000s"} {
		end := strings.Index(heading, title) + len(title)
		if !strings.HasSuffix(line[:end], " "+value) {
			t.Errorf("%s does not end with %q in\n%s\n%s", title, value, heading, line)
		}
	}
}

// stringsLikely draws text with everything that JSON escapes.
func stringsLikely() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9.:\[\]-]{0,40}`),
		rapid.String(),
		rapid.StringOf(rapid.SampledFrom([]rune("\"\\<>&/\b\f\n\r\t\x00\x1f\x7f\u0080\u2028\u2029\u202a\ufffd😀e'"))),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
}

func connections() *rapid.Generator[report.Connection] {
	return rapid.Custom(func(t *rapid.T) report.Connection {
		s := stringsLikely()
		n := rapid.Uint64()
		duration := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
			0, math.Copysign(0, -1), 1e-6, 9.999e-7, 1e-7, 1e-10, 1e20, 1e21, 1e22, math.MaxFloat64, math.SmallestNonzeroFloat64, -1e-9, 52.961}))
		return report.Connection{
			ID: s.Draw(t, "id"), Client: s.Draw(t, "client"), Server: s.Draw(t, "server"), Opened: s.Draw(t, "opened"), Closed: s.Draw(t, "closed"),
			FirstFrame: n.Draw(t, "first"), LastFrame: n.Draw(t, "last"), DurationS: duration.Draw(t, "duration"), State: s.Draw(t, "state"),
			FirstCloser: s.Draw(t, "closer"), TimeWaitHolder: s.Draw(t, "holder"), Ended: s.Draw(t, "ended"), History: s.Draw(t, "history"),
			Packets: [2]uint64{n.Draw(t, "p0"), n.Draw(t, "p1")}, Bytes: [2]uint64{n.Draw(t, "b0"), n.Draw(t, "b1")},
		}
	})
}

func TestConnectionJSONEqualsMarshal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := connections().Draw(t, "c")
		want, err := json.Marshal(&c)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(AppendConnectionJSON(nil, &c))); d != "" {
			t.Fatalf("-json.Marshal +AppendConnectionJSON:\n%s", d)
		}
	})
}

// A field that is added to the contract must be added here too.
func TestConnectionJSONHasEveryField(t *testing.T) {
	var got report.Connection
	d := json.NewDecoder(bytes.NewReader(AppendConnectionJSON(nil, &usual)))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(usual, got); diff != "" {
		t.Error(diff)
	}
}

func TestConnectionJSONNoNumber(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if b := AppendConnectionJSON(nil, &report.Connection{DurationS: f}); !json.Valid(b) || !bytes.Contains(b, []byte(`"duration_s":null`)) {
			t.Errorf("%v gives %s", f, b)
		}
	}
}

// Both forms append: what stood in the buffer stays.
func TestConnectionAppends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := connections().Draw(t, "c")
		for name, f := range map[string]func([]byte, *report.Connection) []byte{"text": AppendConnection, "json": AppendConnectionJSON} {
			alone := f(nil, &c)
			if got := f([]byte("before "), &c); string(got) != "before "+string(alone) {
				t.Fatalf("%s: %q after %q", name, got, alone)
			}
			if name == "text" {
				checkText(t, string(alone))
			}
			if !utf8.Valid(alone) {
				t.Fatalf("%s: not UTF-8: %q", name, alone)
			}
		}
	})
}

func TestWriteConnectionsErrors(t *testing.T) {
	fine := func(emit func(*report.Connection) error) error { return emit(&usual) }
	if err := WriteConnections(&failingWriter{}, JSONLines, fine); !errors.Is(err, errFull) {
		t.Errorf("a full disk gives %v", err)
	}
	errBad := errors.New("bad frame")
	var b bytes.Buffer
	err := WriteConnections(&b, JSONLines, func(emit func(*report.Connection) error) error {
		if err := emit(&usual); err != nil {
			return err
		}
		return errBad
	})
	if !errors.Is(err, errBad) || !strings.HasSuffix(b.String(), "}\n") {
		t.Errorf("got %v after %q, want the error, and the line before it", err, b.String())
	}
}

// signalWriter tells of its first bytes.
type signalWriter struct {
	once  sync.Once
	first chan struct{}
}

func (w *signalWriter) Write(b []byte) (int, error) {
	w.once.Do(func() { close(w.first) })
	return len(b), nil
}

// A line is seen while the stream is still running.
func TestWriteConnectionsWhileRunning(t *testing.T) {
	w := &signalWriter{first: make(chan struct{})}
	err := WriteConnections(w, JSONLines, func(emit func(*report.Connection) error) error {
		if err := emit(&usual); err != nil {
			return err
		}
		select {
		case <-w.first:
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("the line did not come")
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSeconds(t *testing.T) {
	for _, c := range []struct {
		f    float64
		want string
	}{
		{0, "0.000000"}, {math.Copysign(0, -1), "0.000000"}, {0.0000004, "0.000000"}, {0.0000006, "0.000001"}, {52.961, "52.961000"}, {0.1, "0.100000"},
		{9.9999996, "10.000000"}, {1234.000009, "1234.000009"}, {999999999.5, "999999999.500000"}, {1e9, "1000000000.000000"}, {-0.25, "-0.250000"},
		{math.Inf(1), "+Inf"}, {math.NaN(), "NaN"},
	} {
		if got := string(appendSeconds(nil, c.f)); got != c.want {
			t.Errorf("%v: %s, want %s", c.f, got, c.want)
		}
	}
}

// ascii says the same as its slow sibling.
func TestASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(rapid.StringMatching("[ -~]{0,40}").Draw(t, "s"))
		if len(b) > 0 && rapid.Bool().Draw(t, "odd") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		if s := string(b); ascii(s) != isClean(s) {
			t.Fatalf("%q: %v", s, ascii(s))
		}
	})
}

func TestConnectionsAllocateNothing(t *testing.T) {
	buf := make([]byte, 0, 1024)
	for name, f := range map[string]func([]byte, *report.Connection) []byte{"text": AppendConnection, "json": AppendConnectionJSON} {
		if n := testing.AllocsPerRun(100, func() { buf = f(buf[:0], &usual) }); n != 0 {
			t.Errorf("%s: %v allocations a line", name, n)
		}
	}
}

func BenchmarkAppendConnection(b *testing.B) {
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		buf = AppendConnection(buf[:0], &usual)
	}
}

func BenchmarkAppendConnectionJSON(b *testing.B) {
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		buf = AppendConnectionJSON(buf[:0], &usual)
	}
}

func BenchmarkWriteConnections(b *testing.B) {
	err := WriteConnections(io.Discard, JSONLines, func(emit func(*report.Connection) error) error {
		for b.Loop() {
			if err := emit(&usual); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
