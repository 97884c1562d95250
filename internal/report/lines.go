package report

import (
	"encoding/json"
	"io"
)

// LinesSchema names the contract of a report as lines: a JSON object a line, one FindingLine
// for each finding and an EndLine as the last.
const LinesSchema = "tcpwhy.lines/1"

// FindingLine is a finding with the connections that it names.
type FindingLine struct {
	Finding     *Finding     `json:"finding"`
	Connections []Connection `json:"connections"`
}

// EndLine is what a report says beside its findings. Its fields are those of Report.
type EndLine struct {
	Schema           string  `json:"schema"`
	MadeBy           string  `json:"made_by,omitempty"`
	Capture          Capture `json:"capture"`
	Summary          []Group `json:"summary"`
	QuietConnections uint64  `json:"quiet_connections"`
	HiddenFindings   int     `json:"hidden_findings,omitempty"`
}

// WriteLines writes a report as lines.
func WriteLines(w io.Writer, r *Report) error {
	if err := WriteFindingLines(w, r); err != nil {
		return err
	}
	return WriteEndLine(w, r)
}

// WriteFindingLines writes a line for each finding of a report.
func WriteFindingLines(w io.Writer, r *Report) error {
	lines := make(map[string]*Connection, len(r.Connections))
	for i := range r.Connections {
		lines[r.Connections[i].ID] = &r.Connections[i]
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		l := FindingLine{Finding: f, Connections: []Connection{}}
		for _, id := range f.ConnectionIDs {
			if c := lines[id]; c != nil {
				l.Connections = append(l.Connections, *c)
			}
		}
		if err := writeLine(w, l); err != nil {
			return err
		}
	}
	return nil
}

// WriteEndLine writes the last line.
func WriteEndLine(w io.Writer, r *Report) error {
	return writeLine(w, EndLine{LinesSchema, r.MadeBy, r.Capture, r.Summary, r.QuietConnections, r.HiddenFindings})
}

func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // segments are full of "<mss 1460>"
	return e.Encode(v)
}
