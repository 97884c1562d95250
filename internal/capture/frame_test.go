package capture

import (
	"bytes"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Every link type leads to the same segment.
func TestLinks(t *testing.T) {
	four, six := ip4(protoTCP, tcpHeader()...), ip6(protoTCP, tcpHeader()...)
	vlan := func(id int, inner int) []byte { return join(be16(id), be16(inner)) }
	cooked := func(proto int, p []byte) []byte {
		return join(be16(0), be16(1), be16(6), make([]byte, 8), be16(proto), p)
	}
	cooked2 := func(proto int, p []byte) []byte { return join(be16(proto), make([]byte, 18), p) }
	for _, c := range []struct {
		name  string
		link  uint32
		frame []byte
		vlan  uint16
	}{
		{"ethernet", 1, ether(etherIPv4, four...), 0},
		{"ethernet ipv6", 1, ether(etherIPv6, six...), 0},
		{"802.1Q", 1, ether(etherVLAN, join(vlan(5, etherIPv4), four)...), 5},
		{"802.1Q with priority", 1, ether(etherVLAN, join(vlan(0xe005, etherIPv6), six)...), 5},
		{"QinQ", 1, ether(etherQinQ, join(vlan(7, etherVLAN), vlan(5, etherIPv4), four)...), 5},
		{"old QinQ", 1, ether(etherOldQ, join(vlan(7, etherVLAN), vlan(4095, etherIPv4), four)...), 4095},
		{"three tags", 1, ether(etherQinQ, join(vlan(7, etherQinQ), vlan(8, etherVLAN), vlan(9, etherIPv6), six)...), 9},
		{"cooked", 113, cooked(etherIPv4, four), 0},
		{"cooked ipv6", 113, cooked(etherIPv6, six), 0},
		{"cooked vlan", 113, cooked(etherVLAN, join(vlan(6, etherIPv4), four)), 6},
		{"cooked 2", 276, cooked2(etherIPv4, four), 0},
		{"cooked 2 ipv6", 276, cooked2(etherIPv6, six), 0},
		{"raw", 101, four, 0},
		{"raw ipv6", 101, six, 0},
		{"raw 12", 12, six, 0},
		{"raw 14", 14, four, 0},
		{"raw ipv4", 228, four, 0},
		{"raw ipv6 only", 229, six, 0},
		{"null little-endian", 0, join([]byte{2, 0, 0, 0}, four), 0},
		{"null big-endian", 0, join([]byte{0, 0, 0, 2}, four), 0},
		{"null NetBSD", 0, join([]byte{24, 0, 0, 0}, six), 0},
		{"null FreeBSD", 0, join([]byte{0, 0, 0, 28}, six), 0},
		{"null macOS", 0, join([]byte{30, 0, 0, 0}, six), 0},
		{"loop", 108, join([]byte{0, 0, 0, 2}, four), 0},
	} {
		for _, pad := range []int{0, 1, 6, 18} {
			seg, why, _ := decodeOne(t, c.link, append(bytes.Clone(c.frame), make([]byte, pad)...), 0)
			if why != "" || seg.Len != 0 || seg.VLAN != c.vlan || seg.Src.Port != 1000 || seg.Dst.Port != 2000 {
				t.Errorf("%s with %d bytes of padding: %q %+v", c.name, pad, why, seg)
			}
		}
		// However the frame is cut, no segment but with its whole header.
		for n := range len(c.frame) {
			if seg, why, _ := decodeOne(t, c.link, c.frame[:n], len(c.frame)); why == "" {
				t.Errorf("%s cut to %d bytes: %+v", c.name, n, seg)
			}
			if seg, why, _ := decodeOne(t, c.link, c.frame[:n], n); why == "" {
				t.Errorf("%s of %d bytes: %+v", c.name, n, seg)
			}
		}
	}
}

// What gives no segment, and why; what looks odd, and yet gives one.
func TestFrames(t *testing.T) {
	tcp := tcpHeader()
	data := append(bytes.Clone(tcp), make([]byte, 100)...)
	four, six := ip4(protoTCP, data...), ip6(protoTCP, data...)
	fragment := func(next byte, offset, more int) []byte {
		return join([]byte{next, 0}, be16(offset<<3|more), be32(0x12345678))
	}
	ah := []byte{protoTCP, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	ext := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	long := func(next byte) []byte { return join([]byte{next, 2}, make([]byte, 22)) }
	for _, c := range []struct {
		name  string
		frame []byte
		wire  int // 0: not cut
		why   string
		size  uint32 // of the payload
		ipid  uint16
	}{
		{"arp", ether(0x0806, make([]byte, 28)...), 0, "not-ip", 0, 0},
		{"802.3 length", ether(38, make([]byte, 46)...), 0, "not-ip", 0, 0},
		{"mpls, no label", ether(etherMPLS, four...), 0, "not-ip", 0, 0},
		{"pppoe, no session", ether(etherPPPoE, four...), 0, "not-ip", 0, 0},
		{"no frame", nil, 0, "frame-short", 0, 0},
		{"no ip header", ether(etherIPv4), 0, "frame-short", 0, 0},
		{"vlan tag cut", ether(etherVLAN, 0, 5), 0, "frame-short", 0, 0},

		{"ipv4", ether(etherIPv4, four...), 0, "", 100, 777},
		{"ipv4 options", ether(etherIPv4, ip4Options(protoTCP, make([]byte, 40), data...)...), 0, "", 100, 777},
		{"udp", ether(etherIPv4, ip4(protoUDP, tcp...)...), 0, "not-tcp", 0, 0},
		{"short udp", ether(etherIPv4, ip4(protoUDP, 1, 2)...), 0, "not-tcp", 0, 0},
		{"vxlan, too short", ether(etherIPv4, ip4(protoUDP, join(be16(5), be16(4789))...)...), 0, "not-tcp", 0, 0},
		{"icmp", ether(etherIPv4, ip4(1, tcp...)...), 0, "not-tcp", 0, 0},
		{"gre with something else", ether(etherIPv4, ip4(protoGRE, tcp...)...), 0, "not-ip", 0, 0},
		{"ip in ip", ether(etherIPv4, ip4(protoIPIP, four...)...), 0, "", 100, 777},
		{"esp", ether(etherIPv4, ip4(protoESP, tcp...)...), 0, "encrypted", 0, 0},
		{"ah", ether(etherIPv4, ip4(protoAH, join(ah, data)...)...), 0, "", 100, 777},
		{"ah over udp", ether(etherIPv4, ip4(protoAH, join(setByte(ah, 0, protoUDP), data)...)...), 0, "not-tcp", 0, 0},
		{"ah longer than the packet", ether(etherIPv4, ip4(protoAH, setByte(ah, 1, 255)...)...), 0, "ip-malformed", 0, 0},
		{"version 5", ether(etherIPv4, setByte(four, 0, 0x55)...), 0, "ip-malformed", 0, 0},
		{"ipv6 called ipv4", ether(etherIPv4, six...), 0, "ip-malformed", 0, 0},
		{"ipv4 called ipv6", ether(etherIPv6, four...), 0, "ip-malformed", 0, 0},
		{"header length 4", ether(etherIPv4, setByte(four, 0, 0x44)...), 0, "ip-malformed", 0, 0},
		{"header longer than the packet", ether(etherIPv4, setByte(ip4(protoTCP, tcp...), 0, 0x4f)...), 0, "ip-malformed", 0, 0},
		{"total length below the header", ether(etherIPv4, setByte(four, 3, 19)...), 0, "ip-malformed", 0, 0},
		{"total length 0", ether(etherIPv4, setByte(four, 3, 0)...), 0, "", 100, 777},
		{"total length 0, cut, over 64 KiB", ether(etherIPv4, setByte(four, 3, 0)...), 14 + 20 + 20 + 200000, "", 200000, 777},
		{"total length 0, absurd", ether(etherIPv4, setByte(four, 3, 0)...), 1 << 30, "ip-malformed", 0, 0},
		{"total length 0 and no data", ether(etherIPv4, setByte(ip4(protoTCP, tcp...), 3, 0)...), 0, "", 0, 777},
		{"first fragment", ether(etherIPv4, setByte(four, 6, 0x20)...), 0, "", 100, 777},
		{"first fragment, too small", ether(etherIPv4, setByte(ip4(protoTCP, tcp[:8]...), 6, 0x20)...), 0, "ip-fragment", 0, 0},
		{"later fragment", ether(etherIPv4, setByte(four, 7, 1)...), 0, "ip-fragment", 0, 0},
		{"last fragment, far", ether(etherIPv4, setByte(four, 6, 0x10)...), 0, "ip-fragment", 0, 0},
		{"fragment of udp", ether(etherIPv4, setByte(ip4(protoUDP, data...), 7, 1)...), 0, "not-tcp", 0, 0},
		{"ipv4 cut in the ip header", ether(etherIPv4, four[:19]...), 200, "ip-cut", 0, 0},
		{"ipv4 cut in its options", ether(etherIPv4, ip4Options(protoTCP, make([]byte, 40), data...)[:40]...), 200, "tcp-cut", 0, 0},
		{"cut behind the ports", ether(etherIPv4, four[:24]...), 200, "tcp-cut", 0, 0},
		{"cut in the data", ether(etherIPv4, four[:50]...), 154, "", 100, 777},
		{"tcp too short", ether(etherIPv4, ip4(protoTCP, tcp[:19]...)...), 0, "tcp-malformed", 0, 0},
		{"tcp too short, padded", ether(etherIPv4, join(ip4(protoTCP, tcp[:19]...), make([]byte, 7))...), 0, "tcp-malformed", 0, 0},
		{"data offset 4", ether(etherIPv4, ip4(protoTCP, setByte(data, 12, 0x40)...)...), 0, "tcp-malformed", 0, 0},
		{"data offset past the end", ether(etherIPv4, ip4(protoTCP, setByte(tcp, 12, 0x60)...)...), 0, "tcp-malformed", 0, 0},

		{"ipv6", ether(etherIPv6, six...), 0, "", 100, 0},
		{"hop by hop", ether(etherIPv6, ip6(protoHopByHop, join(ext(protoTCP), data)...)...), 0, "", 100, 0},
		{"all headers", ether(etherIPv6, ip6(protoHopByHop, join(ext(protoDestOpts), ext(protoRouting), long(protoFragment), fragment(protoAH, 0, 0), setByte(ah, 0, protoDestOpts), ext(protoTCP), data)...)...), 0, "", 100, 0x5678},
		{"first fragment, v6", ether(etherIPv6, ip6(protoFragment, join(fragment(protoTCP, 0, 1), data)...)...), 0, "", 100, 0x5678},
		{"first fragment, v6, too small", ether(etherIPv6, ip6(protoFragment, join(fragment(protoTCP, 0, 1), tcp[:16])...)...), 0, "ip-fragment", 0, 0},
		{"later fragment, v6", ether(etherIPv6, ip6(protoFragment, join(fragment(protoTCP, 1, 0), data)...)...), 0, "ip-fragment", 0, 0},
		{"far fragment, v6", ether(etherIPv6, ip6(protoFragment, join(fragment(protoTCP, 0x1f00, 1), data)...)...), 0, "ip-fragment", 0, 0},
		{"fragment of udp, v6", ether(etherIPv6, ip6(protoFragment, join(fragment(protoUDP, 1, 0), data)...)...), 0, "not-tcp", 0, 0},
		{"icmp v6", ether(etherIPv6, ip6(58, data...)...), 0, "not-tcp", 0, 0},
		{"no next header", ether(etherIPv6, ip6(59)...), 0, "not-tcp", 0, 0},
		{"esp v6", ether(etherIPv6, ip6(protoDestOpts, join(ext(protoESP), data)...)...), 0, "encrypted", 0, 0},
		{"ipv4 in ipv6", ether(etherIPv6, ip6(protoIPIP, four...)...), 0, "", 100, 777},
		{"extension past the end", ether(etherIPv6, ip6(protoHopByHop, setByte(ext(protoTCP), 1, 9)...)...), 0, "ip-malformed", 0, 0},
		{"extension too short", ether(etherIPv6, ip6(protoHopByHop, protoTCP, 0, 0)...), 0, "ip-malformed", 0, 0},
		{"ipv6 cut", ether(etherIPv6, six[:39]...), 200, "ip-cut", 0, 0},
		{"ipv6 cut in an extension", ether(etherIPv6, ip6(protoHopByHop, join(ext(protoTCP), data)...)[:44]...), 200, "ip-cut", 0, 0},
		{"ipv6 cut behind an extension's start", ether(etherIPv6, ip6(protoHopByHop, join(long(protoTCP), data)...)[:48]...), 200, "tcp-cut", 0, 0},
		{"payload length 0", ether(etherIPv6, setByte(six, 5, 0)...), 0, "", 100, 0},
		{"payload length 0, cut, over 64 KiB", ether(etherIPv6, setByte(six, 5, 0)...), 14 + 40 + 20 + 200000, "", 200000, 0},
	} {
		seg, why, _ := decodeOne(t, linkEthernet, c.frame, c.wire)
		if why != c.why {
			t.Errorf("%s: %q, want %q", c.name, why, c.why)
			continue
		}
		if why == "" && (seg.Len != c.size || seg.IPID != c.ipid || seg.Src.Port != 1000) {
			t.Errorf("%s: len %d ip id %x, want %d %x", c.name, seg.Len, seg.IPID, c.size, c.ipid)
		}
	}
}

// A packet whose IP length is more than its record says (a mirror that cuts
// and does not tell) counts with the IP length; that it did so is noted.
func TestLengthContradicts(t *testing.T) {
	for _, f := range [][]byte{
		ether(etherIPv4, ip4(protoTCP, append(tcpHeader(), make([]byte, 100)...)...)...),
		ether(etherIPv6, ip6(protoTCP, append(tcpHeader(), make([]byte, 100)...)...)...),
	} {
		seg, why, s := decodeOne(t, linkEthernet, f[:80], 80)
		if why != "" || seg.Len != 100 || s.longer.n != 1 {
			t.Errorf("%q len %d noted %d", why, seg.Len, s.longer.n)
		}
	}
}

func TestLinkUnsupported(t *testing.T) {
	for _, link := range []uint32{2, 9, 105, 127, 147, 239, 65535} {
		if _, why, _ := decodeOne(t, link, make([]byte, 100), 0); why != "link-unsupported" {
			t.Errorf("link type %d: %q", link, why)
		}
	}
}

func TestOptions(t *testing.T) {
	const (
		ts  = segment.OptTimestamps
		cut = segment.OptCut
	)
	stamp := "\x08\x0a\x00\x00\x00\x05\x00\x00\x00\x06"
	for _, c := range []struct {
		name, raw string
		want      segment.Segment // Options and their fields
	}{
		{"none", "", segment.Segment{}},
		{"nops", "\x01\x01\x01\x01", segment.Segment{}},
		{"usual", "\x01\x01" + stamp, segment.Segment{Options: ts, TSVal: seq.Of(5), TSEcr: seq.Of(6)}},
		{"behind", stamp + "\x01\x01", segment.Segment{Options: ts, TSVal: seq.Of(5), TSEcr: seq.Of(6)}},
		{"stamp too short", "\x08\x09\x00\x00\x00\x05\x00\x00\x00\x02\x04\x05\xb4", segment.Segment{Options: segment.OptUnknown | segment.OptMSS, MSS: 1460}},
		{"syn", "\x02\x04\x05\xb4\x04\x02" + stamp + "\x01\x03\x03\x0e", segment.Segment{
			Options: ts | segment.OptMSS | segment.OptWScale | segment.OptSACKPermitted, MSS: 1460, WScale: 14, TSVal: seq.Of(5), TSEcr: seq.Of(6)}},
		{"end", "\x02\x04\x02\x18\x00\x03\x03\x07", segment.Segment{Options: segment.OptMSS, MSS: 536}},
		{"one sack", "\x05\x0a\x00\x00\x00\x01\xff\xff\xff\xff", segment.Segment{Options: segment.OptSACK, NSACK: 1,
			SACK: [4]segment.SACKBlock{{Left: seq.Of(1), Right: seq.Of(1<<32 - 1)}}}},
		{"four sacks", "\x05\x22" + "\x00\x00\x00\x01\x00\x00\x00\x02" + "\x00\x00\x00\x03\x00\x00\x00\x04" + "\x00\x00\x00\x05\x00\x00\x00\x06" + "\x00\x00\x00\x07\x00\x00\x00\x08",
			segment.Segment{Options: segment.OptSACK, NSACK: 4, SACK: [4]segment.SACKBlock{
				{Left: seq.Of(1), Right: seq.Of(2)}, {Left: seq.Of(3), Right: seq.Of(4)}, {Left: seq.Of(5), Right: seq.Of(6)}, {Left: seq.Of(7), Right: seq.Of(8)}}}},
		{"empty sack", "\x05\x02\x01\x01", segment.Segment{Options: segment.OptUnknown}},
		{"half a sack", "\x05\x06\x00\x00\x00\x01", segment.Segment{Options: segment.OptUnknown}},
		{"fast open", "\x22\x0a12345678", segment.Segment{Options: segment.OptFastOpen}},
		{"fast open request", "\x22\x02", segment.Segment{Options: segment.OptFastOpen}},
		{"experimental fast open", "\xfe\x04\xf9\x89", segment.Segment{Options: segment.OptFastOpen}},
		{"another experiment", "\xfe\x04\xf9\x88", segment.Segment{Options: segment.OptUnknown}},
		{"short experiment", "\xfe\x03\xf9", segment.Segment{Options: segment.OptUnknown}},
		{"mptcp", "\x1e\x0c\x00\x8112345678", segment.Segment{Options: segment.OptMPTCP}},
		{"md5", "\x13\x121234567890123456", segment.Segment{Options: segment.OptMD5}},
		{"short md5", "\x13\x04ab", segment.Segment{Options: segment.OptUnknown}},
		{"ao", "\x1d\x10\x01\x02123456789012", segment.Segment{Options: segment.OptAO}},
		{"unknown, then known", "\xfd\x03x\x04\x02", segment.Segment{Options: segment.OptUnknown | segment.OptSACKPermitted}},
		{"length 0", "\x04\x02\x02\x00\x05\xb4\x03\x03", segment.Segment{Options: segment.OptSACKPermitted | cut}},
		{"length 1", "\x04\x02\x02\x01", segment.Segment{Options: segment.OptSACKPermitted | cut}},
		{"past the end", "\x04\x02\x01\x01\x01\x01\x08\x0a", segment.Segment{Options: segment.OptSACKPermitted | cut}},
		{"kind without length", "\x01\x01\x01\x02", segment.Segment{Options: cut}},
	} {
		f := ether(etherIPv4, ip4(protoTCP, append(tcpHeader([]byte(c.raw)...), "data"...)...)...)
		got, why, s := decodeOne(t, linkEthernet, f, 0)
		clear(got.SACK[got.NSACK:])
		if why != "" || got.Options != c.want.Options || got.MSS != c.want.MSS || got.WScale != c.want.WScale || got.TSVal != c.want.TSVal ||
			got.TSEcr != c.want.TSEcr || got.NSACK != c.want.NSACK || got.SACK != c.want.SACK || got.Len != 4 {
			t.Errorf("%s: %q %+v", c.name, why, got)
		}
		if !bytes.HasPrefix(got.RawOptions, []byte(c.raw)) || len(got.RawOptions) != (len(c.raw)+3)&^3 {
			t.Errorf("%s: raw options % x, want % x", c.name, got.RawOptions, c.raw)
		}
		if s.snapped.n != 0 {
			t.Errorf("%s: counted as snapped", c.name)
		}
	}
}

// Options that the snap length cuts give what is left of them, and OptCut.
func TestOptionsSnapped(t *testing.T) {
	f := ether(etherIPv4, ip4(protoTCP, append(tcpHeader([]byte("\x02\x04\x05\xb4\x01\x01\x08\x0a\x00\x00\x00\x05\x00\x00\x00\x06\x03\x03\x07")...), "data"...)...)...)
	for n := 14 + 40; n <= len(f); n++ {
		seg, why, s := decodeOne(t, linkEthernet, f[:n], len(f))
		whole := n >= 14+40+20
		if why != "" || seg.Options.Has(segment.OptCut) == whole || (s.snapped.n == 0) != whole || seg.Len != 4 {
			t.Errorf("%d bytes: %q %+v", n, why, seg)
		}
		kept := n - 14 - 40
		for opt, size := range map[segment.Options]int{segment.OptMSS: 4, segment.OptTimestamps: 16, segment.OptWScale: 19} {
			if seg.Options.Has(opt) != (kept >= size) {
				t.Errorf("%d bytes of options: %b", kept, seg.Options)
			}
		}
	}
}
