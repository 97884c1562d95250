package segment

import "testing"

func TestTunnelString(t *testing.T) {
	for _, c := range []struct {
		t    Tunnel
		want string
	}{
		{Tunnel{}, ""},
		{Tunnel{Kind: TunnelVXLAN, Depth: 1}, "VXLAN 0"},
		{Tunnel{Kind: TunnelGRE, Depth: 1}, "GRE"},
		{Tunnel{Kind: TunnelGRE, Depth: 1, ID: 9}, "GRE 9"},
		{Tunnel{Kind: TunnelIP, Depth: 3, ID: 5}, "IP in IP 5 (3 deep)"},
		{Tunnel{Kind: TunnelGTP, Depth: 2, ID: 1<<32 - 1}, "GTP-U 4294967295 (2 deep)"},
		{Tunnel{Kind: 200, Depth: 1}, "tunnel 200"},
	} {
		if got := c.t.String(); got != c.want {
			t.Errorf("%#v: %q, want %q", c.t, got, c.want)
		}
	}
	if s := (MAC{2, 0, 0xab, 0, 0, 1}).String(); s != "02:00:ab:00:00:01" {
		t.Error(s)
	}
	if s := CheckPartial.String() + Check(99).String(); s != "partialunknown" {
		t.Error(s)
	}
}
