package svg_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
)

var update = flag.Bool("update", false, "rewrite the golden pictures")

// saved are the reports that the pictures are tested with.
func saved(t testing.TB) map[string]*report.Report {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 5 {
		t.Fatalf("only %d reports: %v", len(paths), err)
	}
	out := map[string]*report.Report{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		r := &report.Report{}
		if err := json.Unmarshal(b, r); err != nil {
			t.Fatal(p, err)
		}
		out[strings.TrimSuffix(filepath.Base(p), ".json")] = r
	}
	return out
}

// pictures draws everything that a report gives.
func pictures(r *report.Report, o svg.Options) map[string][]byte {
	out := map[string][]byte{"overview": svg.Overview(r, o)}
	for i := range r.Findings {
		f := &r.Findings[i]
		id := "f" + strconv.Itoa(i+1)
		out[id+"-ladder"], out[id+"-ring"], out[id+"-clock"], out[id+"-sequence"] = svg.Ladder(f, o), svg.Ring(f, o), svg.Clock(f, o), svg.TimeSequence(f, o)
	}
	for name, b := range out {
		if b == nil {
			delete(out, name)
		}
	}
	return out
}

// check holds a picture against what all must keep.
func check(t *testing.T, name string, b []byte, w int) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	ids := map[string]bool{}
	var vw, vh float64
	var x, y float64
	var anchor, class, refs string
	inText, named := false, 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			at := map[string]string{}
			for _, a := range e.Attr {
				at[a.Name.Local] = a.Value
			}
			if strings.HasPrefix(e.Name.Local, "script") || at["style"] != "" || at["onload"] != "" || at["href"] != "" {
				t.Errorf("%s: element %s", name, e.Name.Local)
			}
			if id := at["id"]; id != "" {
				if ids[id] {
					t.Errorf("%s: id %q twice", name, id)
				}
				ids[id] = true
			}
			if f := at["fill"]; strings.HasPrefix(f, "url(#") {
				refs = strings.TrimSuffix(strings.TrimPrefix(f, "url(#"), ")")
				if !ids[refs] {
					t.Errorf("%s: nothing has the id %q", name, refs)
				}
			}
			switch e.Name.Local {
			case "svg":
				if _, err := fmt.Sscanf(at["viewBox"], "0 0 %g %g", &vw, &vh); err != nil {
					t.Errorf("%s: viewBox %q", name, at["viewBox"])
				}
				if at["role"] != "img" {
					t.Errorf("%s: no role", name)
				}
				if vw != float64(w) {
					t.Errorf("%s: %g wide, want %d", name, vw, w)
				}
			case "text":
				x, _ = strconv.ParseFloat(at["x"], 64)
				y, _ = strconv.ParseFloat(at["y"], 64)
				anchor, class, inText = at["text-anchor"], at["class"], true
			case "rect":
				rx, _ := strconv.ParseFloat(at["x"], 64)
				ry, _ := strconv.ParseFloat(at["y"], 64)
				rw, _ := strconv.ParseFloat(at["width"], 64)
				rh, _ := strconv.ParseFloat(at["height"], 64)
				if rx < 0 || ry < 0 || rx+rw > vw+0.2 || ry+rh > vh+0.2 {
					t.Errorf("%s: rect %g %g %g %g outside %g %g", name, rx, ry, rw, rh, vw, vh)
				}
			case "title", "desc":
				if named < 2 {
					named++
				}
			}
		case xml.EndElement:
			inText = inText && e.Name.Local != "text"
		case xml.CharData:
			if inText {
				inside(t, name, string(e), x, y, anchor, class, vw, vh)
			}
		}
	}
	if named < 2 {
		t.Errorf("%s: no title and description", name)
	}
}

// inside fails where a text leaves the picture.
func inside(t *testing.T, name, s string, x, y float64, anchor, class string, w, h float64) {
	t.Helper()
	size := 11.0
	if strings.Contains(class, "small") {
		size = 10
	}
	n := float64(utf8.RuneCountInString(s)) * size * 0.61
	switch anchor {
	case "middle":
		x -= n / 2
	case "end":
		x -= n
	}
	if x < -0.2 || x+n > w+0.2 || y-size < -1 || y > h {
		t.Errorf("%s: %q at %g,%g is cut (%g x %g)", name, s, x, y, w, h)
	}
}

func TestPictures(t *testing.T) {
	for name, r := range saved(t) {
		for _, w := range []int{320, 360, 800, 1600} {
			for kind, b := range pictures(r, svg.Options{Width: w}) {
				check(t, fmt.Sprintf("%s %s at %d", name, kind, w), b, w)
				again := pictures(r, svg.Options{Width: w})[kind]
				if !bytes.Equal(b, again) {
					t.Errorf("%s %s differs from one drawing to the next", name, kind)
				}
			}
		}
	}
}

// Every frame of a finding has its row, and the row its numbers.
func TestLadderFrames(t *testing.T) {
	for name, r := range saved(t) {
		for i := range r.Findings {
			f := &r.Findings[i]
			b := string(svg.Ladder(f, svg.Options{ID: "p1-", Rows: -1}))
			for _, s := range f.Ladder {
				if s.Frame != 0 && !strings.Contains(b, fmt.Sprintf(`id="p1-frame-%d"`, s.Frame)) {
					t.Errorf("%s: frame %d is missing", name, s.Frame)
				}
				if s.Fields != nil && !strings.Contains(b, strconv.FormatUint(uint64(s.Fields.Seq), 10)) {
					t.Errorf("%s: frame %d: no seq %d", name, s.Frame, s.Fields.Seq)
				}
			}
			for _, l := range f.Lanes {
				for _, s := range l.Spans {
					if !strings.Contains(b, ">"+s.State+"<") {
						t.Errorf("%s: no label %s", name, s.State)
					}
				}
			}
		}
	}
}

// A long ladder is folded, and keeps the frames asked about.
func TestLongLadder(t *testing.T) {
	f := &report.Finding{Asks: "Why?"}
	for i := range 200 {
		f.Ladder = append(f.Ladder, report.Step{Frame: uint64(i + 1), AtS: float64(i), From: []string{"client", "server"}[i%2], Segment: ". 1:101(100) ack 1", Asked: i == 120})
	}
	b := svg.Ladder(f, svg.Options{})
	check(t, "long", b, 800)
	s := string(b)
	for _, want := range []string{`id="frame-1"`, `id="frame-121"`, `id="frame-200"`, "frames not drawn"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(s, `class="row"`); n > 60 || n < 30 {
		t.Errorf("%d rows", n)
	}
	if n := strings.Count(string(svg.Ladder(f, svg.Options{Rows: -1})), `class="row"`); n != 200 {
		t.Errorf("%d rows of 200", n)
	}
}

// TestGolden holds the founding case's pictures against files that were looked at.
func TestGolden(t *testing.T) {
	for kind, b := range pictures(saved(t)["founding"], svg.Options{}) {
		path := filepath.Join("testdata", "founding-"+kind+".svg")
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, want) {
			t.Errorf("%s differs; go test ./internal/report/svg -update, then look at it", path)
		}
	}
}

// FuzzStrings puts any bytes into every string: markup stays text.
func FuzzStrings(f *testing.F) {
	f.Add("<script>alert(1)</script>", "\"'&\x00\xff\u202e]]>", int64(5), 360)
	f.Add(strings.Repeat("x", 300), "a b", int64(-1), 0)
	f.Fuzz(func(t *testing.T, a, b string, n int64, w int) {
		w = min(max(w, 0), 4000)
		after := n%2 == 0
		num := uint32(n)
		r := &report.Report{Capture: report.Capture{Sources: []string{a}, First: a, Last: b}, Findings: []report.Finding{{
			ID: a, Question: b, Asks: a + b, Flow: report.Flow{Client: a, Server: b}, ConnectionIDs: []string{a},
			Verdict: report.Verdict{Certainty: report.Certainty(a), Cause: b, Says: b, Severity: report.Severity(a)},
			Ladder: []report.Step{
				{Frame: 1, AtS: float64(n), From: a, Segment: b, Note: a, Incarnation: 1, Time: b},
				{Frame: 2, AtS: float64(n) / 7, From: "client", Segment: a, Fields: &report.Fields{Flags: b, Seq: num, Ack: 1, TSVal: &num, Len: num}, Asked: true, Incarnation: 2},
				{Note: b}, {Frame: 3, AtS: float64(n) * 3, From: "server", Fields: &report.Fields{Flags: "S.", Seq: num + 7}},
			},
			Lanes: []report.Lane{{End: "client", Spans: []report.Span{{State: a, FromS: float64(n), ToS: 1, Note: b, Assumed: after}, {State: b, FromS: 2, ToS: 1, EndsS: []float64{3, float64(n)}}}}},
			Ring:  &report.Ring{End: a, RcvNxt: &num, Seq: num * 3, After: &after, ISN: &num, Candidates: []report.Candidate{{Name: b, Value: num, Tolerance: num}}},
			Clock: &report.Clock{End: b, ISNs: []report.ClockPoint{{AtS: float64(n), Value: num, Is: a}, {AtS: 1, Value: 5, Is: b}}, TSVals: []report.ClockPoint{{AtS: 2, Value: num}}, TSRate: float64(n)},
		}}, Connections: []report.Connection{{ID: a, Client: b, Server: a, Opened: a, Closed: b, DurationS: float64(n), State: b}}}
		for kind, p := range pictures(r, svg.Options{Width: w}) {
			want := w
			if w == 0 {
				want = 800
			}
			check(t, kind, p, max(want, 320))
			if bytes.Contains(p, []byte("<script")) {
				t.Errorf("%s: markup", kind)
			}
		}
	})
}
