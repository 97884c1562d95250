package report

import (
	"bytes"
	"cmp"
	"io"
)

// Stream writes a report as WriteJSON does, finding by finding, for who does not want to keep them
// all: as values 33,000 findings take a gigabyte, as their text 281 MB, and memory that is touched for
// the first time costs more than to find them out.
type Stream struct {
	j    *appender
	free [][]byte // room of texts that were written, to be used again
	err  error    // a number that JSON cannot say
}

// NewStream begins with what a report has before its findings. Nothing may have been written to w.
func NewStream(w io.Writer, r *Report) *Stream {
	s := &Stream{j: newAppender(w)}
	s.j.head(r)
	s.j.key(`"findings": `)
	s.j.open('[')
	return s
}

// Packer turns findings into text for a Stream, beside which it may work. The zero value is ready.
type Packer struct {
	a    appender
	free [][]byte
	made int    // how much room it made so far
	own  []byte // where texts are made that have no such room
}

// Packed is the text of a finding, without its ID from at on.
type Packed struct {
	text []byte
	at   int
	room bool // its room is to be used again
}

const (
	// packedLen is more than most findings take.
	packedLen = 20 << 10
	// mostRooms is how many texts may have that much. More wait only where connections live for
	// long, or the clock was set back: those 67 MB of one capture took 190 MB.
	mostRooms = 512
)

// Pack turns a finding, whose ID need not be known yet, into its text, and empties it but for what
// Summary looks at.
func (p *Packer) Pack(f *Finding) Packed {
	room := true
	switch n := len(p.free); {
	case n > 0:
		p.a.b, p.free = p.free[n-1][:0], p.free[:n-1]
	case p.made < mostRooms:
		p.a.b = make([]byte, 0, packedLen)
		p.made++
	default:
		p.a.b, room = p.own[:0], false
	}
	p.a.depth = deepestLine
	p.a.finding(f)
	from := len(findingStart) + len(f.ID)
	v := &f.Verdict
	*f = Finding{ID: f.ID, Question: f.Question, ConnectionIDs: f.ConnectionIDs,
		Verdict: Verdict{Certainty: v.Certainty, Cause: v.Cause, Fault: v.Fault, Severity: v.Severity}}
	if !room {
		p.own = p.a.b
		return Packed{bytes.Clone(p.own), from, false}
	}
	return Packed{p.a.b, from, true}
}

// Meet gives a packer, which must not be at work, room of texts that were written, and takes its errors.
func (s *Stream) Meet(p *Packer) {
	n := min(len(s.free), mostRooms-len(p.free))
	p.free = append(p.free, s.free[len(s.free)-n:]...)
	s.free = s.free[:len(s.free)-n]
	s.err = cmp.Or(s.err, p.a.err)
}

// findingStart is how the JSON of a finding begins, up to its ID.
const findingStart = "{\"id\": \""

// Write writes a finding under its ID. The text is the stream's again.
func (s *Stream) Write(id string, text Packed) {
	j := s.j
	j.line()
	j.b = append(j.b, findingStart...)
	j.b = append(j.b, id...)
	j.b = append(j.b, text.text[text.at:]...)
	j.flushIfLong()
	if text.room {
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

// Err returns an error that End will return, as soon as it is known.
func (s *Stream) Err() error { return cmp.Or(s.j.err, s.err) }

// End ends the report. An error is one of the writer, or a number that JSON cannot say.
func (s *Stream) End() error {
	s.j.close(']')
	s.j.close('}')
	if err := s.j.end(); err != nil {
		return err
	}
	return s.err
}
