package tcpwhy_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/scenario"
)

// damage writes a story as a capture in which the TCP checksums of some frames are wrong.
func damage(t *testing.T, story string, frames ...int) []byte {
	t.Helper()
	s, err := scenario.Read("story", strings.NewReader("# a story\n"+story))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := s.WriteCapture(&file); err != nil {
		t.Fatal(err)
	}
	out, n := bytes.Clone(file.Bytes()[:24]), 0
	records(t, file.Bytes(), func(sec, nsec uint32, frame []byte) {
		if n++; slices.Contains(frames, n) {
			frame = bytes.Clone(frame)
			sum := frame[14+20+16:]
			binary.BigEndian.PutUint16(sum, binary.BigEndian.Uint16(sum)^0x0440)
		}
		out = appendRecord(out, sec, nsec, frame)
	})
	return out
}

const (
	silentStory = `flow 10.0.0.1:1000 10.0.0.2:80
0.000 < S 100:100(0) win 64240 <mss 1460>
0.001 > S. 200:200(0) ack 101 win 64240 <mss 1460>
0.002 < . 101:101(0) ack 201 win 64240
0.003 < F. 101:101(0) ack 201 win 64240
0.004 > F. 201:201(0) ack 102 win 64240
0.005 < . 102:102(0) ack 202 win 64240
flow 10.0.0.1:1001 10.0.0.2:80
1.000 < S 9100:9100(0) win 64240 <mss 1460>
2.000 < S 9100:9100(0) win 64240 <mss 1460>
4.000 < S 9100:9100(0) win 64240 <mss 1460>
`
	resetStory = `0.000 < S 100:100(0) win 64240 <mss 1460>
0.001 > S. 200:200(0) ack 101 win 64240 <mss 1460>
0.002 < . 101:101(0) ack 201 win 64240
0.003 < P. 101:111(10) ack 201 win 64240
0.004 > . 201:201(0) ack 111 win 64240
1.000 > R. 201:201(0) ack 111 win 64240
2.000 < P. 111:121(10) ack 201 win 64240
2.001 > P. 201:211(10) ack 121 win 64240
2.002 < . 121:121(0) ack 211 win 64240
`
)

// TestWrongChecksums: a segment with a wrong checksum is dropped unread, and said to be; one whose
// sender has none that is right is one that the card had still to fill in.
func TestWrongChecksums(t *testing.T) {
	for _, c := range []struct {
		name, story string
		wrong       []int
		want        bool
	}{
		{"damaged SYN", silentStory, []int{7, 8, 9}, true},
		{"one of them was right", silentStory, []int{7, 9}, false},
		{"none of the client's is right", silentStory, []int{1, 3, 4, 6, 7, 8, 9}, false},
		{"all right", silentStory, nil, false},
		{"damaged RST", resetStory, []int{6}, true},
		{"none of the server's is right", resetStory, []int{2, 5, 6, 8}, false},
		{"RST in order", resetStory, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := explainBytes(t, damage(t, c.story, c.wrong...), nil)
			found := false
			for i := range r.Findings {
				v := &r.Findings[i].Verdict
				found = found || v.Cause == "checksum-wrong" && v.Certainty == report.Likely
			}
			if found != c.want {
				t.Errorf("likely checksum-wrong %t, want %t:\n%s", found, c.want, verdicts(r))
			}
		})
	}
}
