package report

import (
	"bytes"
	"io"
	"slices"
)

// Stream writes a report as WriteJSON does, finding by finding, for who does not want to keep them
// all: as values 33,000 findings take a gigabyte, as their text 440 MB, and memory that is touched for
// the first time costs more than to find them out.
type Stream struct {
	j    *appender
	pack appender
	free [][]byte // room of texts that were written, to be used again
	held int      // texts in such room that are not written yet
}

// NewStream begins with what a report has before its findings. Nothing may have been written to w.
func NewStream(w io.Writer, r *Report) *Stream {
	s := &Stream{j: newAppender(w)}
	s.j.head(r)
	s.j.key(`"findings": `)
	s.j.open('[')
	return s
}

// Packed is the text of a finding, without its ID from at on.
type Packed struct {
	text []byte
	at   int
	held bool
}

const (
	// packedLen is more than most findings take.
	packedLen = 20 << 10
	// mostHeld is how many texts may have that much. More wait only where the clock was set back:
	// those 67 MB of one capture took 190 MB.
	mostHeld = 64
)

// Pack turns a finding, whose ID need not be known yet, into its text, and empties it but for what
// Summary looks at.
func (s *Stream) Pack(f *Finding) Packed {
	if n := len(s.free); n > 0 {
		s.pack.b, s.free = s.free[n-1][:0], s.free[:n-1]
	} else {
		s.pack.b = make([]byte, 0, packedLen)
	}
	s.pack.depth = s.j.depth
	s.pack.finding(f)
	from := len(findingStart) + len(f.ID)
	v := &f.Verdict
	*f = Finding{ID: f.ID, Question: f.Question, ConnectionIDs: f.ConnectionIDs,
		Verdict: Verdict{Certainty: v.Certainty, Cause: v.Cause, Fault: v.Fault, Severity: v.Severity}}
	if s.held < mostHeld {
		s.held++
		return Packed{s.pack.b, from, true}
	}
	s.free = append(s.free, s.pack.b)
	return Packed{slices.Clip(bytes.Clone(s.pack.b)), from, false}
}

// findingStart is how the JSON of a finding begins, up to its ID.
const findingStart = "{\n      \"id\": \""

// Write writes a finding under its ID. The text is the stream's again.
func (s *Stream) Write(id string, text Packed) {
	j := s.j
	j.line()
	j.b = append(j.b, findingStart...)
	j.b = append(j.b, id...)
	j.b = append(j.b, text.text[text.at:]...)
	j.flushIfLong()
	if text.held {
		s.held--
		s.free = append(s.free, text.text)
	}
}

// Conclude writes what a report has between its findings and its connections.
func (s *Stream) Conclude(r *Report) {
	s.j.close(']')
	s.j.conclusion(r)
	s.j.key(`"connections": `)
	s.j.open('[')
}

// Connection writes a connection.
func (s *Stream) Connection(c *Connection) {
	s.j.line()
	s.j.connection(c)
	s.j.flushIfLong()
}

// End ends the report. An error is one of the writer, or a number that JSON cannot say.
func (s *Stream) End() error {
	s.j.close(']')
	s.j.close('}')
	if err := s.j.end(); err != nil {
		return err
	}
	return s.pack.err
}
