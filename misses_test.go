package tcpwhy_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// That nothing armed TIME_WAIT anew is certain only of a capture that is whole: with
// its end cut off the same story is no more than likely.
func TestExpiryOfACutCapture(t *testing.T) {
	var b bytes.Buffer
	if err := readScenario(t, "time-wait-expired").WriteCapture(&b); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want report.Certainty
		tail []byte
	}{{report.Certain, nil}, {report.Likely, []byte{1, 2, 3}}} {
		r, err := tcpwhy.Explain(context.Background(), []string{"-"}, tcpwhy.Options{Stdin: bytes.NewReader(append(bytes.Clone(b.Bytes()), c.tail...))})
		if err != nil {
			t.Fatal(err)
		}
		if v := r.Findings[0].Verdict; v.Certainty != c.want || v.Cause != "time-wait-expired" {
			t.Errorf("with %d bytes of a cut record: %s %s, want %s", len(c.tail), v.Certainty, v.Cause, c.want)
		}
	}
}

// A text without times does not tell whether TIME_WAIT was over.
func TestATextWithoutTimes(t *testing.T) {
	const text = `IP 10.0.0.1.5000 > 10.0.0.2.80: Flags [S], seq 1000, win 64240, options [mss 1460], length 0
IP 10.0.0.2.80 > 10.0.0.1.5000: Flags [S.], seq 5000, ack 1001, win 65160, options [mss 1460], length 0
IP 10.0.0.1.5000 > 10.0.0.2.80: Flags [.], ack 1, win 64240, length 0
IP 10.0.0.2.80 > 10.0.0.1.5000: Flags [F.], seq 1, ack 1, win 65160, length 0
IP 10.0.0.1.5000 > 10.0.0.2.80: Flags [F.], seq 1, ack 2, win 64240, length 0
IP 10.0.0.2.80 > 10.0.0.1.5000: Flags [.], ack 2, win 65160, length 0
IP 10.0.0.1.5000 > 10.0.0.2.80: Flags [S], seq 900, win 64240, options [mss 1460], length 0
IP 10.0.0.2.80 > 10.0.0.1.5000: Flags [S.], seq 777777777, ack 901, win 65160, options [mss 1460], length 0
`
	r, err := tcpwhy.Explain(t.Context(), []string{"-"}, tcpwhy.Options{Stdin: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].Verdict.Certainty == report.Certain || r.Findings[0].Verdict.Says == "" {
		t.Fatalf("%+v", r.Findings)
	}
	for _, c := range r.Findings[0].Causes {
		if c.Cause == "time-wait-expired" && c.Stands == report.RuledOut {
			t.Errorf("ruled out: %s", c.Says)
		}
	}
}
