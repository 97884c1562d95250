// Package report is the result of an analysis as plain values. Marshalled with
// encoding/json it is the public JSON contract "tcpwhy.report/1"; every
// presenter is made from this value alone, and fields are only ever added.
package report

import "time"

// Schema names the version of the contract.
const Schema = "tcpwhy.report/1"

// Report is everything that was concluded from a capture. Findings are sorted
// by the time of the first frame asked about, then by connection.
type Report struct {
	Schema string `json:"schema"`
	// MadeBy is the program that drew the conclusions, with its version; empty where it
	// is not said.
	MadeBy   string    `json:"made_by,omitempty"`
	Capture  Capture   `json:"capture"`
	Findings []Finding `json:"findings"`
	// Summary groups the findings, the worst first.
	Summary []Group `json:"summary"`
	// QuietConnections is how many of the capture's connections no finding above
	// harmless names, hidden findings included.
	QuietConnections uint64 `json:"quiet_connections"`
	// HiddenFindings is how many findings were not selected. Those that are shown keep
	// the ids that they have among all.
	HiddenFindings int `json:"hidden_findings,omitempty"`
	// Connections holds those that a finding names.
	Connections []Connection `json:"connections"`
}

// Capture says what was read, and what must be known before trusting it.
type Capture struct {
	Sources     []string  `json:"sources"`
	Packets     uint64    `json:"packets"`
	Segments    uint64    `json:"segments"`
	Connections uint64    `json:"connections"`
	First       string    `json:"first,omitempty"` // RFC 3339 UTC, nine digits
	Last        string    `json:"last,omitempty"`
	Warnings    []Warning `json:"warnings"`
}

// Warning is a doubt about the capture or about what a finding rests on.
type Warning struct {
	Code  string `json:"code"`
	Says  string `json:"says"`
	Frame uint64 `json:"frame,omitempty"`
}

// Flow names the two ends: the client sent the SYN that is asked about.
type Flow struct {
	Client string `json:"client"`
	Server string `json:"server"`
}

// Certainty is how sure a verdict is.
type Certainty string

// The certainties.
const (
	Certain Certainty = "certain"
	Likely  Certainty = "likely"
	Open    Certainty = "open"
)

// Fault is the side whose doing it is.
type Fault string

// The sides that may be at fault.
const (
	ClientHost        Fault = "client-host"
	ServerHost        Fault = "server-host"
	ClientApplication Fault = "client-application"
	ServerApplication Fault = "server-application"
	Path              Fault = "path"
	Nobody            Fault = "nobody"
	FaultUnknown      Fault = "unknown"
)

// Severity is how much it matters.
type Severity string

// The severities.
const (
	Harmless Severity = "harmless"
	Notice   Severity = "notice"
	Problem  Severity = "problem"
)

// Finding is one question and its answer.
type Finding struct {
	ID       string    `json:"id"`
	Question string    `json:"question"`
	Asks     string    `json:"asks"`
	Flow     Flow      `json:"flow"`
	Frames   []uint64  `json:"frames"`
	Refs     []Ref     `json:"refs,omitempty"` // of Frames, where more than one source was read
	Verdict  Verdict   `json:"verdict"`
	Causes   []Cause   `json:"causes"`
	Settle   []Settle  `json:"settle"`
	Advice   []string  `json:"advice"`
	Warnings []Warning `json:"warnings,omitempty"`
	// Ladder is the deciding frames in order, both incarnations.
	Ladder []Step `json:"ladder"`
	// Lanes, Ring and Clock are what pictures are drawn from; nil where they do not apply.
	Lanes []Lane `json:"lanes,omitempty"`
	Ring  *Ring  `json:"ring,omitempty"`
	Clock *Clock `json:"clock,omitempty"`
	// ConnectionIDs are the connections that the finding is about, oldest first.
	ConnectionIDs []string `json:"connections"`
}

// Verdict is the answer. Cause is empty where it is open.
type Verdict struct {
	Certainty Certainty `json:"certainty"`
	Cause     string    `json:"cause"`
	Says      string    `json:"says"`
	Fault     Fault     `json:"fault"`
	Severity  Severity  `json:"severity"`
}

// Stands is how a cause came out.
type Stands string

// How a cause can come out.
const (
	Fits      Stands = "fits"
	RuledOut  Stands = "ruled-out"
	StaysOpen Stands = "open"
)

// Cause is one story that was tried against the frames.
type Cause struct {
	Cause   string   `json:"cause"`
	Stands  Stands   `json:"stands"`
	Says    string   `json:"says"`
	Assumes []string `json:"assumes"`
	// AgainstDB is how much speaks against a cause that stands, in decibans (ten
	// times the decimal logarithm of the odds): the weight of what it assumes,
	// and of the signs of the kernel's age. 10 more than the best is one in ten.
	AgainstDB int        `json:"against_db"`
	Evidence  []Evidence `json:"evidence"`
}

// Evidence is one sentence with the answer it gives, the frames it rests on and
// the place in a kernel's source or an RFC that it follows.
type Evidence struct {
	Says   string   `json:"says"`
	Answer string   `json:"answer"` // yes, no, unknown
	Frames []uint64 `json:"frames"`
	Refs   []Ref    `json:"refs,omitempty"`
	Source string   `json:"source,omitempty"`
}

// Ref is a frame in its own file, given where more than one source was read.
type Ref struct {
	Source string `json:"source"`
	Frame  uint64 `json:"frame"`
	Time   string `json:"time,omitempty"`
}

// Settle is a host command that decides what stays open.
type Settle struct {
	On      string `json:"on"` // client or server
	Command string `json:"command"`
	If      string `json:"if"`
	Then    string `json:"then"` // a cause
}

// Step is a rung of the ladder: a deciding frame, or a stretch without any.
type Step struct {
	Frame uint64 `json:"frame,omitempty"` // 0: not a frame but a gap or a change of state
	Time  string `json:"time,omitempty"`
	// AtS is the time since the first step, in seconds.
	AtS float64 `json:"at_s"`
	// From is client or server, as in Flow.
	From string `json:"from,omitempty"`
	// Segment is the frame in packetdrill's notation without direction and time.
	Segment string `json:"segment,omitempty"`
	// Fields are the frame's numbers; nil for a step that is no frame.
	Fields *Fields `json:"fields,omitempty"`
	// Note says what the step means, or what the gap is.
	Note string `json:"note,omitempty"`
	// Asked marks the frames that the finding asks about.
	Asked bool `json:"asked,omitempty"`
	// Incarnation counts connections on this four-tuple from 1.
	Incarnation int `json:"incarnation,omitempty"`
}

// Connection is one incarnation of a four-tuple.
type Connection struct {
	ID             string    `json:"id"`
	Client         string    `json:"client"`
	Server         string    `json:"server"`
	Opened         string    `json:"opened"`
	Closed         string    `json:"closed,omitempty"`
	FirstFrame     uint64    `json:"first_frame"`
	LastFrame      uint64    `json:"last_frame"`
	DurationS      float64   `json:"duration_s"`
	State          string    `json:"state"`
	FirstCloser    string    `json:"first_closer"`     // client, server, both, ""
	TimeWaitHolder string    `json:"time_wait_holder"` // client, server, both, none, unknown
	Ended          string    `json:"ended"`            // fin, reset-by-client, reset-by-server, open …
	History        string    `json:"history"`
	Packets        [2]uint64 `json:"packets"` // from the client, from the server
	Bytes          [2]uint64 `json:"bytes"`   // payload from the client, from the server
}

// FormatTime prints nanoseconds since the Unix epoch as the contract wants it:
// "2006-01-02T15:04:05.000000000Z". time.Time.Format takes four times as long.
func FormatTime(ns int64) string {
	t := time.Unix(0, ns).UTC()
	b := []byte("0000-00-00T00:00:00.000000000Z")
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for _, f := range [...]struct{ end, n int }{{4, year}, {7, int(month)}, {10, day}, {13, hour}, {16, minute}, {19, second}, {29, t.Nanosecond()}} {
		for i, n := f.end-1, f.n; n > 0; i, n = i-1, n/10 {
			b[i] = byte('0' + n%10)
		}
	}
	return string(b)
}
