package diagnose

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// What is given about a host reaches the model; what is not given stays unknown, or
// is what is usual.
func TestFactsReachTheModel(t *testing.T) {
	for _, c := range []struct {
		fact      string
		abort     kernel.Answer
		rfc1337   kernel.Answer
		recycling kernel.Answer
	}{
		{"server:kernel=3.10", kernel.Unknown, kernel.No, kernel.No},
		{"server:tcp_abort_on_overflow=1", kernel.Yes, kernel.No, kernel.No},
		{"server:net.ipv4.tcp_abort_on_overflow=0", kernel.No, kernel.No, kernel.No},
		{"client:tcp_abort_on_overflow=1", kernel.Unknown, kernel.No, kernel.No},
		{"server:tcp_rfc1337=1", kernel.Unknown, kernel.Yes, kernel.No},
		{"server:tcp_tw_recycle=1", kernel.Unknown, kernel.No, kernel.Yes},
	} {
		var f Facts
		if err := f.Add(c.fact); err != nil {
			t.Fatal(err)
		}
		v := hostView{facts: f.of("server", segment.Addr{})}
		h := v.host(kernel.Profile{}, false)
		if h.AbortOnOverflow != c.abort || h.RFC1337 != c.rfc1337 || h.Recycle != c.recycling {
			t.Errorf("%s: tcp_abort_on_overflow %s, tcp_rfc1337 %s, tcp_tw_recycle %s", c.fact, h.AbortOnOverflow, h.RFC1337, h.Recycle)
		}
	}
	if err := new(Facts).Add("server:tcp_no_such_thing=1"); err == nil {
		t.Error("a sysctl that no rule asks for is taken")
	}
}
