package tcpwhy_test

import (
	"os"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// recordedWaits are captures that TestWaits kept, with the cause that was set up.
var recordedWaits = map[string]string{
	"small_writes":     "delayed-ack-nagle",
	"slow_answer":      "application-idle",
	"orphan_timed_out": "fin-wait2-timeout",
}

// TestRecordedWaits: of real programs over real kernels, what kept them waiting is the one finding.
func TestRecordedWaits(t *testing.T) {
	for name, cause := range recordedWaits {
		pcap, err := os.ReadFile("testdata/corpus/waits/linux-6.18.44/" + name + ".pcap")
		if err != nil {
			t.Fatal(err)
		}
		r, err := explain(pcap)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Findings) != 1 || r.Findings[0].Verdict.Cause != cause || r.Findings[0].Verdict.Certainty != report.Likely {
			t.Errorf("%s: %d findings, the first %+v; want %s, likely", name, len(r.Findings), r.Findings[0].Verdict, cause)
		}
	}
}
