package diagnose

import (
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// The kernels that leave an ISN behind are those that the assumption names.
func TestLeftBehindNamesTheKernels(t *testing.T) {
	for series, release := range map[string]string{"early 6.12.y": "6.12.43", "6.16": "6.16.12", "early 6.18.y": "6.18.15"} {
		p, err := kernel.ParseRelease(release)
		if err != nil {
			t.Fatal(err)
		}
		if p.Has(&kernel.LeavesISN).Answer != kernel.Yes || !strings.Contains(assumeEarlierLost.Why, series) {
			t.Errorf("%s: %q", release, assumeEarlierLost.Why)
		}
	}
}
