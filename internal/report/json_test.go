package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference is what WriteJSON must write, without the blanks.
func reference(t interface{ Fatal(...any) }, r *Report) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sameJSON(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, r *Report) {
	var written, got bytes.Buffer
	if err := WriteJSON(&written, r); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&got, written.Bytes()); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	want := reference(t, r)
	for i := range want {
		if i >= got.Len() || got.Bytes()[i] != want[i] {
			from := max(0, i-80)
			t.Fatalf("at byte %d got\n%s\nwant\n%s", i, got.Bytes()[from:min(got.Len(), i+80)], want[from:min(len(want), i+80)])
		}
	}
	if got.Len() != len(want) {
		t.Fatalf("%d bytes, want %d", got.Len(), len(want))
	}
}

func TestWriteJSON(t *testing.T) {
	sameJSON(t, &Report{})
	sameJSON(t, full())
	minus := full()
	minus.Findings[0].Clock.TSRate = math.Copysign(0, -1)
	sameJSON(t, minus)
	names, err := filepath.Glob("text/testdata/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal("no reports to try", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(data)
		if err != nil {
			continue // a report of another version, which a presenter must refuse
		}
		sameJSON(t, r)
	}
}

// A line for each of what a report has, and of its lists' elements, which end the lines before the comma.
func TestJSONLines(t *testing.T) {
	r := &Report{Schema: "s", Capture: Capture{Sources: []string{"a", "b"}, Warnings: []Warning{{Code: "w"}}},
		Findings:    []Finding{{ID: "f1", Frames: []uint64{1, 2}, Causes: []Cause{{Cause: "a"}, {Cause: "b"}}}, {ID: "f2"}},
		Connections: []Connection{}}
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"{\n  \"schema\": \"s\",\n  \"capture\": {\n    \"sources\": [\"a\", \"b\"],\n",
		",\n    \"warnings\": [{\"code\": \"w\", \"says\": \"\"}]\n  },\n  \"findings\": [\n    {\"id\": \"f1\", ",
		" \"frames\": [1, 2], ",
		"},\n    {\"id\": \"f2\", ",
		"}\n  ],\n  \"summary\": null,\n  \"quiet_connections\": 0,\n  \"connections\": []\n}\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
}

// A long report is written in whole pages, but for its end.
func TestWriteJSONPages(t *testing.T) {
	r := &Report{Findings: make([]Finding, 2000)}
	var sizes writeSizes
	if err := WriteJSON(&sizes, r); err != nil {
		t.Fatal(err)
	}
	if len(sizes) < 3 {
		t.Fatalf("%d writes", len(sizes))
	}
	for _, n := range sizes[:len(sizes)-1] {
		if n%flushFrom != 0 {
			t.Errorf("%d bytes were written at once", n)
		}
	}
}

// writeSizes are how much each Write wrote.
type writeSizes []int

func (w *writeSizes) Write(b []byte) (int, error) {
	*w = append(*w, len(b))
	return len(b), nil
}

// Every byte at every place of a string, alone and beside one that must be escaped.
func TestEscapes(t *testing.T) {
	for at := range 20 {
		for c := range 256 {
			for _, also := range []int{-1, (at + 1) % 20, (at + 9) % 20} {
				b := []byte("abcdefghijklmnopqrst")
				b[at] = byte(c)
				if also >= 0 {
					b[also] = '"'
				}
				j := &appender{}
				j.text(string(b))
				var want bytes.Buffer
				e := json.NewEncoder(&want)
				e.SetEscapeHTML(false)
				if err := e.Encode(string(b)); err != nil {
					t.Fatal(err)
				}
				if got := string(j.b) + "\n"; got != want.String() {
					t.Fatalf("%q is written %s, want %s", b, got, want.String())
				}
			}
		}
	}
}

// Any report: strings with all that must be escaped, numbers with all ways of writing
// them, lists that are nil, empty and long enough that the buffer is written in between.
func TestWriteJSONAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Report{}
		draw(t, reflect.ValueOf(r).Elem())
		if n := len(r.Findings); n > 0 && rapid.IntRange(0, 9).Draw(t, "many") == 0 {
			for len(r.Findings) < 200 {
				r.Findings = append(r.Findings, r.Findings[:n]...)
			}
		}
		sameJSON(t, r)
	})
}

// draw sets everything below v to something.
func draw(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.SampledFrom([]string{"", "text", "<mss 1460> & \"x\\", "\x00\x1f\b\f\n\r\t\x7f", "\u2028\u2029\ufffd", "\xff\xc3(", "é漢🙂"}), rapid.String()).Draw(t, "s"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "b"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt32, math.MinInt32}).Draw(t, "i"))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.SampledFrom([]uint64{0, 1, 10, 255, 65535, math.MaxUint32, math.MaxUint64}).Draw(t, "u") & (1<<v.Type().Bits() - 1))
	case reflect.Float64:
		v.SetFloat(rapid.OneOf(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 0.1, 1e-6, 9.99e-7, 1e-9, 1e-10, 1e20, 1e21, 1.5e300, -2.5e-300}), rapid.Float64()).Draw(t, "f"))
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			draw(t, v.Index(i))
		}
	case reflect.Slice:
		switch n := rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "len"); {
		case n > 0, rapid.Bool().Draw(t, "nil"):
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			draw(t, v.Index(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem())
		}
	default:
		t.Fatalf("a report has a %s: teach WriteJSON what it is", v.Kind())
	}
}

func TestWriteJSONFails(t *testing.T) {
	r := full()
	r.Findings[0].Ladder[0].AtS = math.NaN()
	var unsupported *json.UnsupportedValueError
	if err := WriteJSON(&bytes.Buffer{}, r); !errors.As(err, &unsupported) {
		t.Errorf("a number that is none gives %v", err)
	}
	broken := errors.New("broken pipe")
	if err := WriteJSON(failing{broken}, full()); !errors.Is(err, broken) {
		t.Errorf("a writer that fails gives %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func BenchmarkWriteJSON(b *testing.B) {
	r := full()
	for len(r.Findings) < 100 {
		r.Findings = append(r.Findings, r.Findings...)
	}
	b.SetBytes(int64(len(reference(b, r))))
	b.ReportAllocs()
	for b.Loop() {
		if err := WriteJSON(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

// A stream writes the same bytes, whatever the order in which the findings are packed.
func TestStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Report{}
		draw(t, reflect.ValueOf(r).Elem())
		for i := range r.Findings {
			r.Findings[i].ID = "f" + strconv.Itoa(i+1)
		}
		if r.Findings == nil {
			r.Findings = []Finding{}
		}
		if r.Connections == nil {
			r.Connections = []Connection{}
		}
		if n := len(r.Findings); n > 0 && rapid.Bool().Draw(t, "many") {
			for len(r.Findings) < 300 { // more than is gathered before it is written
				r.Findings = append(r.Findings, r.Findings[:n]...)
			}
		}
		var want, got bytes.Buffer
		if err := WriteJSON(&want, r); err != nil {
			t.Fatal(err)
		}
		s := NewStream(&got, r)
		n := len(r.Findings)
		texts := make([]Packed, n)
		copies := slices.Clone(r.Findings)
		var p Packer
		group := rapid.IntRange(1, 4).Draw(t, "waiting")
		for from := 0; from < n; from += group {
			part := copies[from:min(from+group, n)]
			for i := len(part) - 1; i >= 0; i-- {
				f := &part[i]
				id := f.ID
				f.ID = rapid.SampledFrom([]string{"", id}).Draw(t, "known")
				says := f.Says()
				texts[from+i] = p.Pack(f)
				if f.Says() != says {
					t.Fatal("what a finding concludes is lost")
				}
			}
			for i := range part {
				s.Write(r.Findings[from+i].ID, texts[from+i])
			}
			s.Meet(&p)
		}
		s.Conclude(r)
		for i := range r.Connections {
			s.Connection(&r.Connections[i])
		}
		if err := s.End(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatalf("got\n%s\nwant\n%s", got.Bytes(), want.Bytes())
		}
	})
}

func TestStreamFails(t *testing.T) {
	r := full()
	s := NewStream(io.Discard, r)
	r.Findings[0].Ladder[0].AtS = math.NaN()
	var p Packer
	s.Write("f1", p.Pack(&r.Findings[0]))
	s.Meet(&p)
	s.Conclude(r)
	if err := s.End(); err == nil {
		t.Error("a number that is none gives no error")
	}
	full := errors.New("no space")
	s = NewStream(failing{full}, r)
	s.Conclude(r)
	if err := s.End(); !errors.Is(err, full) {
		t.Errorf("a writer that fails gives %v", err)
	}
}
