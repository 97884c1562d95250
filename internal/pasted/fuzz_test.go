package pasted_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/pasted"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// FuzzParse: whatever is pasted, nothing panics, every line is accounted for, and
// packets stand in the order of their lines with numbers that count up.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/tools/*.txt", "testdata/dialects/*.txt", "../../testdata/text/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b[:min(len(b), 3000)])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := pasted.Parse(b)
		check(t, b, x)
		// Equal input gives equal packets.
		y := pasted.Parse(bytes.Clone(b))
		if len(x.Packets) != len(y.Packets) {
			t.Fatalf("%d packets, and %d", len(x.Packets), len(y.Packets))
		}
		for i := range x.Packets {
			if x.Packets[i].Seq != y.Packets[i].Seq || x.Packets[i].Src != y.Packets[i].Src || x.Packets[i].Time != y.Packets[i].Time {
				t.Fatalf("packet %d: %+v, and %+v", i, x.Packets[i], y.Packets[i])
			}
		}
	})
}

// check holds what must be true of any text.
func check(t *testing.T, b []byte, x *pasted.Text) {
	t.Helper()
	if !bytes.HasPrefix(b, []byte("\xff\xfe")) && !bytes.HasPrefix(b, []byte("\xfe\xff")) {
		s := string(b)
		lines := strings.Count(s, "\n")
		if s != "" && !strings.HasSuffix(s, "\n") {
			lines++
		}
		if len(x.Uses) != lines {
			t.Fatalf("%d lines are accounted for, the text has %d", len(x.Uses), lines)
		}
	}
	type place struct {
		line, last int
		ref        segment.Ref
	}
	var all []place
	o := 0
	for i := range x.Packets {
		p := &x.Packets[i]
		for ; o < len(x.Opaque) && x.Opaque[o].Frame < p.Frame; o++ {
			all = append(all, place{x.Opaque[o].Line, x.Opaque[o].LastLine, x.Opaque[o].Ref})
		}
		all = append(all, place{p.Line, p.LastLine, p.Ref})
		if p.NSACK > 4 || p.Doubt.Has(segment.LenUnsaid|segment.SeqUnsaid) && p.Len > 1<<16 && !p.Doubt.Has(segment.FlagsUnsaid) {
			t.Fatalf("line %d: %+v", p.Line, p)
		}
	}
	for ; o < len(x.Opaque); o++ {
		all = append(all, place{x.Opaque[o].Line, x.Opaque[o].LastLine, x.Opaque[o].Ref})
	}
	last := place{}
	for _, p := range all {
		if p.line < last.last || p.last < p.line || p.last > len(x.Uses) || p.ref.Frame <= last.ref.Frame {
			t.Fatalf("%+v follows %+v", p, last)
		}
		if x.Uses[p.line-1] != pasted.OfPacket {
			t.Fatalf("line %d of a packet is used as %v", p.line, x.Uses[p.line-1])
		}
		last = p
	}
	unread := 0
	for i, u := range x.Uses {
		if u == pasted.Unread {
			if unread++; x.NotUnderstood[unread-1] != i+1 {
				t.Fatalf("line %d is not in %v", i+1, x.NotUnderstood)
			}
		}
	}
	if unread != len(x.NotUnderstood) {
		t.Fatalf("%d lines were not understood, %v are listed", unread, x.NotUnderstood)
	}
}
