package tcpwhy_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// TestCorpusWithoutAFrame takes each frame away in turn, on either side of the
// wire: with less to see less may be said, but nothing wrong as certain. In short
// mode every eighth capture stands for all.
func TestCorpusWithoutAFrame(t *testing.T) {
	all := labels(t)
	if testing.Short() {
		n := 0
		all = slices.DeleteFunc(all, func(*label) bool { n++; return n%8 != 1 })
	}
	// Thousands of short runs, each with its own table: without this half of the
	// time goes into collecting them.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var mu sync.Mutex
	runs, doubts := 0, 0
	each(all, func(l *label) {
		server, err := os.ReadFile(l.path + ".pcap")
		if err != nil {
			t.Error(err)
			return
		}
		n, d := withoutEach(t, l, ".pcap", server, l.asked())
		if l.client {
			pcap, err := os.ReadFile(l.path + ".client.pcap")
			if err != nil {
				t.Error(err)
				return
			}
			asked, err := sameSYN(server, l.asked(), pcap)
			if err != nil {
				t.Errorf("%s: %v", l, err)
				return
			}
			n2, d2 := withoutEach(t, l, ".client.pcap", pcap, asked)
			n, d = n+n2, d+d2
		}
		mu.Lock()
		defer mu.Unlock()
		runs += n
		doubts += d
	})
	t.Logf("%d runs; other SYNs with an unexpected certain cause: %d", runs, doubts)
	if runs < 10*len(all) {
		t.Errorf("only %d runs", runs)
	}
}

// withoutEach runs the capture whole and with each of its frames away. asked is
// the frame of the SYN that the label explains, 0 if there is none. It returns the number
// of runs, and in how many of them another SYN got a certain cause that the
// label does not lead to expect.
func withoutEach(t *testing.T, l *label, kind string, pcap []byte, asked uint64) (runs, doubts int) {
	t.Helper()
	head, records, err := split(pcap)
	if err != nil {
		t.Errorf("%s%s: %v", l, kind, err)
		return 0, 0
	}
	for away := range uint64(len(records)) + 1 { // frames count from 1; 0: none is taken away
		rest := slices.Clone(head)
		for i, rec := range records {
			if uint64(i)+1 != away {
				rest = append(rest, rec...)
			}
		}
		r, err := explain(rest)
		if err != nil {
			t.Errorf("%s%s without frame %d: %v", l, kind, away, err)
			continue
		}
		runs++
		frame := asked
		switch {
		case asked == 0 || asked == away:
			frame = 0
		case away != 0 && asked > away:
			frame--
		}
		for i := range r.Findings {
			f := &r.Findings[i]
			v := f.Verdict
			if v.Certainty != report.Certain || l.allows(v.Cause) {
				continue
			}
			switch {
			case frame != 0 && slices.Contains(f.Frames, frame):
				t.Errorf("%s%s (%s) without frame %d, frames %d: %s: certain of %s: %s",
					l, kind, l.Cause, away, f.Frames, f.Question, v.Cause, v.Says)
			case !slices.Contains(afterwards, v.Cause):
				doubts++
				t.Logf("%s%s (%s) without frame %d, frames %d: %s: certain of %s: %s",
					l, kind, l.Cause, away, f.Frames, f.Question, v.Cause, v.Says)
			}
		}
	}
	return runs, doubts
}

// split takes a pcap file (little-endian) apart into its header and its records.
func split(pcap []byte) (head []byte, records [][]byte, err error) {
	const header, recordHeader = 24, 16
	if len(pcap) < header {
		return nil, nil, io.ErrUnexpectedEOF
	}
	switch binary.LittleEndian.Uint32(pcap) {
	case 0xa1b2c3d4, 0xa1b23c4d:
	default:
		return nil, nil, errors.New("no little-endian pcap file")
	}
	head = pcap[:header]
	for b := pcap[header:]; len(b) > 0; {
		if len(b) < recordHeader {
			return nil, nil, io.ErrUnexpectedEOF
		}
		n := recordHeader + uint64(binary.LittleEndian.Uint32(b[8:]))
		if n > uint64(len(b)) {
			return nil, nil, io.ErrUnexpectedEOF
		}
		records = append(records, b[:n])
		b = b[n:]
	}
	return head, records, nil
}

// sameSYN returns the frame of capture b that shows the SYN in the given frame of
// capture a (0 for 0). The other side of the wire numbers its frames in its own
// way, and in some scenarios a box between rewrites addresses, sequence numbers
// and timestamps, so that only its place among the SYNs tells it.
func sameSYN(a []byte, frame uint64, b []byte) (uint64, error) {
	if frame == 0 {
		return 0, nil
	}
	in, err := syns(a)
	if err != nil {
		return 0, err
	}
	out, err := syns(b)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(in, func(s segment.Segment) bool { return s.Frame == frame })
	if i < 0 || i >= len(out) {
		return 0, fmt.Errorf("frame %d is no SYN, or the other side has only %d SYNs", frame, len(out))
	}
	return out[i].Frame, nil
}

// syns reads the SYNs without ACK of a capture.
func syns(pcap []byte) ([]segment.Segment, error) {
	var all []segment.Segment
	err := eachSegment(pcap, func(s segment.Segment) {
		if s.Flags&(segment.SYN|segment.ACK) == segment.SYN {
			s.RawOptions = nil // the reader's, gone with its next Read
			all = append(all, s)
		}
	})
	return all, err
}
