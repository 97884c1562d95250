package lab

import (
	"errors"
	"os"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

func tryISN(t *testing.T, p kernel.Profile) *Result {
	t.Helper()
	r, err := TryISN(t.Context(), seedOf(t), p)
	if errors.Is(err, ErrPrivilege) && os.Geteuid() != 0 {
		t.Skip("without root there is no network namespace to try the kernel in")
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLabISN(t *testing.T) {
	t.Parallel()
	r := tryISN(t, here(t))
	mustAgree(t, r)
	seen := 0
	for _, c := range r.ISNs {
		for origin, n := range c.Seen {
			if origin != NoSYNACK.String() && origin != Elsewhere.String() {
				seen += n
			}
		}
	}
	if seen < 100 || seen != r.Probes {
		t.Errorf("%d of %d SYN-ACKs have an origin: %+v", seen, r.Probes, r.ISNs)
	}
}

// A model that is wrong about the number must be caught.
func TestLabISNNoticesAWrongModel(t *testing.T) {
	t.Parallel()
	p := here(t)
	if p.Has(&kernel.KeepsISN).Answer != kernel.Yes || p.Has(&kernel.LeavesISN).Answer != kernel.No {
		t.Skip("needs a kernel that keeps the ISN and leaves none")
	}
	loses := tryISN(t, profile(t, "5.10.223"))
	for _, c := range loses.ISNs {
		if wrong := c.What == intoTimeWait; wrong != (c.Mismatches() > 0) {
			t.Errorf("of a kernel that loses the ISN: %+v", c)
		}
	}
	leaves := tryISN(t, profile(t, "6.12.43"))
	for _, c := range leaves.ISNs {
		if wrong := c.What == afterSYNFIN; wrong != (c.Mismatches() > 0) {
			t.Errorf("of a kernel that leaves the ISN behind: %+v", c)
		}
	}
}
