package report

import (
	"io"

	"github.com/tcpwhy/tcpwhy/internal/pages"
)

// Store keeps findings as the JSON that they are to be written as, while a report is made
// of which nothing else is wanted. As values they take twice the memory, in 200 pieces
// each, and page faults and the garbage collector then cost more than to find them out:
// 110 µs a finding, for 3,200 of them; here it is 8 µs. The zero value is empty and ready.
type Store struct {
	memory pages.Memory
	rest   []byte // what is left of the last piece
	texts  [][]byte
	order  []int
	j      appender
}

const (
	// firstPiece comes from the heap: most captures need no more.
	firstPiece = 128 << 10
	// nextPieces are mapped, in large pages.
	nextPieces = 32 << 20
)

// Pack takes a finding, whose ID need not be known yet, and empties it but for what
// Summarize, Quiet and Matters look at. The number that it returns is for Arrange.
func (s *Store) Pack(f *Finding) int {
	s.j.b, s.j.depth = s.rest[:0], 2
	s.j.finding(f)
	s.texts = append(s.texts, s.keep(s.j.b)[len(findingStart)+len(f.ID):])
	v := &f.Verdict
	*f = Finding{ID: f.ID, Question: f.Question, ConnectionIDs: f.ConnectionIDs,
		Verdict: Verdict{Certainty: v.Certainty, Cause: v.Cause, Fault: v.Fault, Severity: v.Severity}}
	return len(s.texts) - 1
}

// findingStart is how the JSON of a finding begins, up to its ID.
const findingStart = "{\n      \"id\": \""

// keep returns a text where it stays: where it is, if it was appended to what was left, else
// it had no room there, and is copied to the next piece.
func (s *Store) keep(text []byte) []byte {
	if len(text) <= len(s.rest) {
		out := s.rest[:len(text):len(text)]
		s.rest = s.rest[len(text):]
		return out
	}
	if s.texts == nil {
		s.rest = make([]byte, max(firstPiece, len(text)))
	} else if s.rest = s.memory.Take(max(nextPieces, len(text))); s.rest == nil {
		s.rest = make([]byte, len(text))
	}
	n := copy(s.rest, text)
	out := s.rest[:n:n]
	s.rest = s.rest[n:]
	return out
}

// Arrange says which of the findings the report has, in its order, by their numbers.
func (s *Store) Arrange(order []int) { s.order = order }

// WriteJSON is WriteJSON for a report whose findings are those that were arranged.
func (s *Store) WriteJSON(w io.Writer, r *Report) error {
	if s.j.err != nil {
		return s.j.err // a number that JSON cannot say
	}
	j := newAppender(w)
	if len(s.order) == len(r.Findings) {
		j.store = s // else they were not put here: the report has them
	}
	j.report(r)
	return j.end()
}

// Close gives the memory back.
func (s *Store) Close() {
	s.memory.Release()
	*s = Store{}
}

// finding appends the i-th finding of the report.
func (s *Store) finding(j *appender, i int, id string) {
	j.b = append(j.b, findingStart...)
	j.b = append(j.b, id...)
	j.b = append(j.b, s.texts[s.order[i]]...)
}
