package flow

import (
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Whatever the addresses, the ones that differ from an IPv4 one in a single bit among them, a probe is that of its
// four-tuple.
func TestAim(t *testing.T) {
	table := NewTable(Config{}, &collector{})
	v4 := addr4(0x0a000001)
	addrs := []segment.Addr{v4, addr4(0), addr4(1<<32 - 1), {}, {Lo: 0x1fd77}, {Lo: 0x21f90}, {Hi: 1}, {Hi: 0x20010db8 << 32, Lo: v4.Lo}}
	for bit := 32; bit < 64; bit++ {
		addrs = append(addrs, segment.Addr{Lo: v4.Lo ^ 1<<bit})
	}
	for bit := range 64 {
		addrs = append(addrs, segment.Addr{Hi: 1 << bit, Lo: v4.Lo})
	}
	for _, src := range addrs {
		for _, dst := range addrs {
			s := []segment.Segment{{Src: segment.Endpoint{Addr: src, Port: 1000}, Dst: segment.Endpoint{Addr: dst, Port: 80}}}
			var got [1]probe
			table.aim(s, got[:])
			var k key
			fromHigh := k.set(&s[0])
			if got[0].key() != k || got[0].fromHigh != fromHigh || got[0].hash != table.hash(&k) {
				t.Errorf("from %v to %v: the probe is that of %+v", src.Netip(), dst.Netip(), got[0].key())
			}
		}
	}
}
