package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Texts that wait take no more memory than they must, but for a few, and come out as they are.
func TestStreamWaits(t *testing.T) {
	const n = 4 * mostRooms
	all := make([]Finding, n)
	for i := range all {
		all[i] = Finding{ID: fmt.Sprint("f", i+1), Question: "reset", Asks: strings.Repeat("?", i%40*1000)}
	}
	var want, got bytes.Buffer
	if err := WriteJSON(&want, &Report{Findings: all, Connections: []Connection{}}); err != nil {
		t.Fatal(err)
	}
	r := &Report{Findings: []Finding{}, Connections: []Connection{}}
	s := NewStream(&got, r)
	var texts []Packed
	size, room := 0, 0
	var p Packer
	for i := range all {
		texts = append(texts, p.Pack(&all[i]))
	}
	for i, x := range texts {
		size, room = size+len(x.text), room+cap(x.text)
		s.Write(fmt.Sprint("f", i+1), x)
	}
	if most := size + size/8 + mostRooms*packedLen; room > most {
		t.Errorf("texts of %d bytes hold %d, more than %d", size, room, most)
	}
	s.Conclude(r)
	if err := s.End(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		i := 0
		for got.Bytes()[i] == want.Bytes()[i] {
			i++
		}
		t.Errorf("what waited comes out as something else: %.200s, want %.200s", got.Bytes()[i:], want.Bytes()[i:])
	}
	s.Meet(&p)
	if kept := len(s.free) + len(p.free); kept > mostRooms {
		t.Errorf("%d texts are kept to be used again", kept)
	}
}
