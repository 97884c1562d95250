package tcpwhy_test

import (
	"bytes"
	"context"
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
