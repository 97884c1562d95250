package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// bare is a segment without what is of a reader's buffer alone.
func bare(s segment.Segment) segment.Segment {
	s.Raw, s.RawOptions = segment.Raw{}, bytes.Clone(s.RawOptions)
	for i := int(s.NSACK); i < len(s.SACK); i++ {
		s.SACK[i] = segment.SACKBlock{}
	}
	return s
}

// checkLayers holds what must be true of every dissection.
func checkLayers(t testing.TB, data []byte, layers []Layer) {
	t.Helper()
	for i, l := range layers {
		if l.Kind == 0 || l.Off < 0 || l.Len < 0 || l.Off+l.Len > l.End || l.End > len(data) || i > 0 && l.Off < layers[i-1].Off+layers[i-1].Len {
			t.Errorf("layer %d of %d bytes: %+v", i, len(data), layers)
		}
	}
}

// TestRecords: the records are those that Reader's segments and notes are of.
func TestRecords(t *testing.T) {
	tunnels, err := filepath.Glob("testdata/tunnel/*.pcap*")
	if err != nil || len(tunnels) == 0 {
		t.Fatal(err, tunnels)
	}
	sets := [][]string{tunnels, {"testdata/tunnel/vxlan-any.pcap", "testdata/tunnel/vxlan-any.pcap"}}
	for _, name := range tunnels {
		sets = append(sets, []string{name})
	}
	for _, paths := range sets {
		r, err := Open(paths, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []segment.Segment
		var wantNotes, gotNotes []segment.Note
		batch := make([]segment.Segment, 7)
		for err == nil {
			n := 0
			n, err = r.Read(batch)
			for _, s := range batch[:n] {
				want = append(want, bare(s))
			}
			wantNotes = append(wantNotes, r.Notes()...)
		}
		var d Dissector
		var frames uint64
		left, err := Records(paths, func(rec *Record) error {
			frames++
			if rec.Frame != frames || rec.Wire < uint32(len(rec.Data)) {
				t.Errorf("frame %d: %+v", frames, rec.Ref)
			}
			x := d.Dissect(rec)
			checkLayers(t, rec.Data, x.Layers)
			if x.Segment != nil {
				got = append(got, bare(*x.Segment))
				if last := x.Layers[len(x.Layers)-1]; last.Kind != LayerTCP || last.Wire != uint32(last.Len)+x.Segment.Len && x.Segment.Options&segment.OptCut == 0 {
					t.Errorf("frame %d: %+v", rec.Frame, x.Layers)
				}
			}
			gotNotes = append(gotNotes, x.Notes...)
			return nil
		})
		if err != nil || left.Frames != frames || frames != r.Stats().Packets {
			t.Errorf("%q: %d frames, %+v, %v; the reader has %d", paths, frames, left, err, r.Stats().Packets)
		}
		if diff := cmp.Diff(want, got, equalSegments...); diff != "" {
			t.Errorf("%q: segments differ:\n%s", paths, diff)
		}
		if diff := cmp.Diff(wantNotes, gotNotes, equalSegments...); diff != "" {
			t.Errorf("%q: notes differ:\n%s", paths, diff)
		}
		r.Close()
	}
}

func TestRecordsEnd(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(name, usualPcap.file(aFrame, aFrame, aFrame), 0o600); err != nil {
		t.Fatal(err)
	}
	own := errors.New("enough")
	for _, tt := range []struct{ end, want error }{{io.EOF, nil}, {own, own}} {
		n := 0
		_, err := Records([]string{name}, func(*Record) error { n++; return tt.end })
		if n != 1 || !errors.Is(err, tt.want) {
			t.Errorf("%v after %d records, want %v after 1", err, n, tt.want)
		}
	}
}

// TestRecordsPcapng: interfaces, link types that are not read, directions and losses.
func TestRecordsPcapng(t *testing.T) {
	g := bigNG
	name := filepath.Join(t.TempDir(), "x.pcapng")
	b := join(g.section(), g.iface(147, 0), g.iface(1, 0),
		g.packet(1, 1, aFrame, g.option(optionFlags, 0, 0, 0, 2)), g.packet(0, 2, []byte{7}), g.block(blockJournal, nil),
		g.packet(1, 3, aFrame, g.option(optionDropCount, g.u64(4)...)))
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var got []Record
	left, err := Records([]string{name}, func(r *Record) error {
		x := *r
		x.Data = bytes.Clone(r.Data)
		got = append(got, x)
		return nil
	})
	ref := func(n uint64, us int64) segment.Ref { return segment.Ref{Frame: n, SourceFrame: n, Time: us * 1000} }
	n := uint32(len(aFrame))
	want := []Record{
		{Ref: ref(1, 1), Interface: 1, LinkType: 1, Way: segment.WayOut, Wire: n, Data: aFrame},
		{Ref: ref(2, 2), LinkType: 147, Wire: 1, Data: []byte{7}},
		{Ref: ref(4, 3), Interface: 1, LinkType: 1, Wire: n, Data: aFrame},
	}
	if diff := cmp.Diff(want, got, equalSegments...); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if left.Frames != 4 || !slices.Equal(left.Drops, []uint64{4}) {
		t.Errorf("%+v", left)
	}
}

// TestLayers: each tunnel's headers are passed on the way to the segment.
func TestLayers(t *testing.T) {
	for _, tt := range tunnelCases() {
		var d Dissector
		x := d.Dissect(&Record{LinkType: linkEthernet, Wire: uint32(len(tt.frame)), Data: tt.frame})
		checkLayers(t, tt.frame, x.Layers)
		if x.Segment == nil || x.Segment.Tunnel != tt.want {
			t.Errorf("%s: %+v", tt.name, x.Segment)
			continue
		}
		l := x.Layers[len(x.Layers)-1]
		if h := tt.frame[l.Off:]; l.Kind != LayerTCP || l.Len != 20 || !bytes.HasPrefix(h, tcpHeader()[:20]) {
			t.Errorf("%s: the last layer is %+v", tt.name, l)
		}
	}
}

func TestNGWriter(t *testing.T) {
	var b bytes.Buffer
	w, err := NewNGWriter(&b, "a comment", "a program")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Packet(&NGPacket{}); err == nil {
		t.Error("a packet of no interface is written")
	}
	for i, link := range []uint32{147, linkEthernet} {
		if n, err := w.Interface(link, "an interface"); err != nil || int(n) != i {
			t.Fatal(n, err)
		}
	}
	if _, err := w.Interface(1<<16, ""); err == nil {
		t.Error("a link type of 17 bits is written")
	}
	long := string(bytes.Repeat([]byte("ä"), maxComment))
	for i, way := range []segment.Way{segment.WayUnknown, segment.WayIn, segment.WayOut, segment.WayOther} {
		p := NGPacket{Interface: 1, Time: int64(i)*1e15 + 7, Way: way, Wire: 2000, Data: aFrame, Comments: []string{"x", long, "bad \xff"}}
		if err := w.Packet(&p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Drops(1, 9); err != nil {
		t.Fatal(err)
	}
	r := openBytes(t, b.Bytes())
	segs := readAll(t, r, 3)
	for i, want := range []segment.Way{segment.WayUnknown, segment.WayIn, segment.WayOut, segment.WayUnknown} {
		if s := segs[i]; s.Way != want || s.Time != int64(i)*1e15+7 || s.Interface != 1 {
			t.Errorf("frame %d: %+v", i+1, s)
		}
	}
	st := r.Stats()
	if len(segs) != 4 || len(st.Warnings) != 1 || st.Warnings[0].Code != "capture-drops" {
		t.Errorf("%d segments, %+v", len(segs), st)
	}
}
