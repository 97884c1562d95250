package segment

import (
	"net/netip"
	"testing"
)

func TestAddrAndEndpointText(t *testing.T) {
	for _, text := range []string{"10.0.0.1:80", "[2001:db8::1]:443", "[::]:0", "255.255.255.255:65535"} {
		ap := netip.MustParseAddrPort(text)
		e := Endpoint{AddrFromNetip(ap.Addr()), ap.Port()}
		if e.String() != text {
			t.Errorf("got %s, want %s", e, text)
		}
	}
}
