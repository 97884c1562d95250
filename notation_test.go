package tcpwhy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// eachSegment calls do with the segments of a capture; their RawOptions are
// valid during the call.
func eachSegment(pcap []byte, do func(segment.Segment)) error {
	r, err := capture.Open([]string{"-"}, capture.Options{Stdin: bytes.NewReader(pcap)})
	if err != nil {
		return err
	}
	batch := make([]segment.Segment, 32)
	for {
		n, err := r.Read(batch)
		for _, s := range batch[:n] {
			do(s)
		}
		if errors.Is(err, io.EOF) {
			return r.Close()
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
}

// TestCorpusInPacketdrillNotation: every segment of real kernels survives being
// written down, and what the text holds is what the reader of captures decoded.
func TestCorpusInPacketdrillNotation(t *testing.T) {
	paths, err := filepath.Glob("testdata/corpus/captures/*/*.pcap")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, path := range paths {
		pcap, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		err = eachSegment(pcap, func(s segment.Segment) {
			count++
			text := string(segment.AppendPacketdrill(nil, &s))
			back, err := segment.ParsePacketdrill(text)
			if err != nil {
				t.Errorf("%s: frame %d: %s: %v", path, s.Frame, text, err)
				return
			}
			if again := string(segment.AppendPacketdrill(nil, &back)); again != text {
				t.Errorf("%s: frame %d: %s comes back as %s", path, s.Frame, text, again)
			}
			if got, want := plain(back), plain(s); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: frame %d: %s:\ngot  %+v\nwant %+v", path, s.Frame, text, got, want)
			}
		})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if count < 3000 {
		t.Errorf("only %d segments in %d captures", count, len(paths))
	}
}

// plain returns what of a segment the notation holds, without what is left in
// the fields of options that it does not carry.
func plain(s segment.Segment) segment.Segment {
	p := segment.Segment{
		Seq: s.Seq, Ack: s.Ack, Flags: s.Flags, Window: s.Window, Urgent: s.Urgent, Len: s.Len, Options: s.Options,
	}
	if s.Options.Has(segment.OptMSS) {
		p.MSS = s.MSS
	}
	if s.Options.Has(segment.OptWScale) {
		p.WScale = s.WScale
	}
	if s.HasTS() {
		p.TSVal, p.TSEcr = s.TSVal, s.TSEcr
	}
	if s.Options.Has(segment.OptSACK) {
		p.NSACK = s.NSACK
		copy(p.SACK[:], s.SACK[:s.NSACK])
	}
	return p
}
