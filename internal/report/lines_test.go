package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every finding has a line with its connections, and the last line has the rest.
func TestWriteLines(t *testing.T) {
	r := &Report{Schema: Schema, MadeBy: "me", Capture: Capture{Sources: []string{"a"}, Packets: 3, Warnings: []Warning{}}, QuietConnections: 4, HiddenFindings: 1,
		Findings:    []Finding{{ID: "f1", Question: "reset", Asks: "Why <S>?", ConnectionIDs: []string{"c2"}}, {ID: "f2", ConnectionIDs: []string{"c1", "c2"}}},
		Connections: []Connection{{ID: "c1", Client: "x"}, {ID: "c2", Client: "y"}}}
	r.Summary = Summarize(r.Findings)
	var b bytes.Buffer
	if err := WriteLines(&b, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "Why <S>?") {
		t.Fatalf("%d lines:\n%s", len(lines), b.String())
	}
	back := &Report{Schema: Schema, Connections: r.Connections}
	for i, l := range lines[:2] {
		var f FindingLine
		if err := json.Unmarshal([]byte(l), &f); err != nil {
			t.Fatal(err)
		}
		back.Findings = append(back.Findings, *f.Finding)
		var ids []string
		for _, c := range f.Connections {
			ids = append(ids, c.ID)
		}
		if d := cmp.Diff(r.Findings[i].ConnectionIDs, ids); d != "" {
			t.Errorf("connections of line %d:\n%s", i, d)
		}
	}
	var e EndLine
	if err := json.Unmarshal([]byte(lines[2]), &e); err != nil {
		t.Fatal(err)
	}
	back.MadeBy, back.Capture, back.Summary, back.QuietConnections, back.HiddenFindings = e.MadeBy, e.Capture, e.Summary, e.QuietConnections, e.HiddenFindings
	if d := cmp.Diff(r, back); d != "" || e.Schema != LinesSchema {
		t.Errorf("schema %q, read back:\n%s", e.Schema, d)
	}
	// The last line alone is no report.
	if _, err := Decode([]byte(lines[2])); err == nil {
		t.Error("the end was read as a report")
	}
}
