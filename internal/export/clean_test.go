package export

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report/anonymize"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// The hosts of the frames here have addresses that occur by chance nowhere, and every
// payload is this.
const secret = "Gr4ftxQzPayload!"

var (
	macA, macB = []byte{0x7c, 0x9a, 0x1d, 0xe1, 0xe2, 0xe3}, []byte{0x7c, 0x9a, 0x1d, 0xf1, 0xf2, 0xf3}
	a4, b4     = netip.MustParseAddr("77.133.99.211"), netip.MustParseAddr("77.133.99.212")
	a6, b6     = netip.MustParseAddr("fd9b:7c11::ab:c1d2:e3f4"), netip.MustParseAddr("fd9b:7c11::cd:d1e2:f3a4")
)

func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case uint16:
			b = binary.BigEndian.AppendUint16(b, p)
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case netip.Addr:
			b = append(b, p.AsSlice()...)
		}
	}
	return b
}

func ether(t uint16, p []byte) []byte { return cat(macB, macA, t, p) }

func ip4(proto int, options, p []byte) []byte {
	h := cat(0x45+len(options)/4, 0, uint16(20+len(options)+len(p)), 1, 2, 0x40, 0, 64, proto, 0, 0, a4, b4, options)
	binary.BigEndian.PutUint16(h[10:], ^fold(add(0, h)))
	return cat(h, p)
}

func ip6(next int, p []byte) []byte { return cat(0x60, 0, 0, 0, uint16(len(p)), next, 64, a6, b6, p) }

// tcp is a segment whose checksum is right within the packet around it.
func tcp(src, dst netip.Addr, options []byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	h := cat(uint16(40000), uint16(80), 0, 0, 1, 0, 0, 0, 2, 0, (20+len(options))/4<<4, 0x18, uint16(500), 0, 0, 0, 0, options, secret)
	sum := add(add(6+uint32(len(h)), src.AsSlice()), dst.AsSlice())
	binary.BigEndian.PutUint16(h[tcpSum:], ^fold(add(uint32(fold(sum)), h)))
	return h
}

type frameCase struct {
	name  string
	link  uint32
	frame []byte
	keep  int // bytes that stay
}

func frameCases() []frameCase {
	t4, t6 := tcp(a4, b4, nil), tcp(a6, b6, nil)
	over := func(p []byte) []byte { return ether(0x0800, ip4(17, nil, p)) }
	udp := func(port uint16, p []byte) []byte {
		return cat(uint16(5000), port, uint16(8+len(p)), uint16(0x1234), p)
	}
	inner := ether(0x0800, ip4(6, nil, t4))
	addAddr := tcp(a4, b4, cat(30, 8, 0x30, 1, a4)) // MPTCP
	proxied := tcp(a4, b4, cat(254, 8, 0x12, 0x34, b4, 1, 200, 8, 0, 80, a4))
	quote := ip4(6, nil, t4)
	neighbor := func(kind int) []byte {
		return ether(0x86dd, ip6(58, cat(kind, 0, 0, 0, 0, 0, 0, 0, a6, 1, 1, macA, 14, 1, secret[:6])))
	}
	solicited := ip6(58, cat(135, 0, 0, 0, 0, 0, 0, 0, b6, 1, 1, macA))
	copy(solicited[24:], netip.MustParseAddr("ff02::1:ffe2:f3a4").AsSlice())
	return []frameCase{
		{"TCP", 1, ether(0x0800, ip4(6, nil, t4)), 54},
		{"TCP over IPv6", 1, ether(0x86dd, ip6(6, t6)), 74},
		{"VLAN", 1, ether(0x8100, cat(uint16(7), uint16(0x0800), ip4(6, nil, t4))), 58},
		{"padding", 1, cat(inner, secret), 54},
		{"record route", 1, ether(0x0800, ip4(6, cat(7, 11, 4, a4, b4, 0), t4)), 66},
		{"MPTCP", 1, ether(0x0800, ip4(6, nil, addAddr)), 62},
		{"TOA", 1, ether(0x0800, ip4(6, nil, proxied)), 74},
		{"routing header", 1, ether(0x86dd, ip6(43, cat(6, 2, 4, 1, 0, 0, 0, 0, a6, t6))), 98},
		{"home address", 1, ether(0x86dd, ip6(60, cat(6, 2, 1, 2, 0, 0, 201, 16, a6, t6))), 98},
		{"cooked", 113, cat(uint16(0), uint16(1), uint16(6), macA, 0, 0, uint16(0x0800), ip4(6, nil, t4)), 56},
		{"cooked, of a tunnel", 113, cat(uint16(0), uint16(768), uint16(4), a4, 0, 0, 0, 0, uint16(0x0800), ip4(6, nil, t4)), 56},
		{"cooked 2", 276, cat(uint16(0x0800), uint16(0), uint16(0), uint16(2), uint16(1), 0, 6, macA, 0, 0, ip4(6, nil, t4)), 60},
		{"raw", 101, ip4(6, nil, t4), 40},
		{"null", 0, cat(2, 0, 0, 0, ip4(6, nil, t4)), 44},
		{"VXLAN", 1, over(udp(4789, cat(8, 0, 0, 0, 0, 0, 5, 0, inner))), 104},
		{"GRE", 1, ether(0x0800, ip4(47, nil, cat(uint16(0), uint16(0x0800), ip4(6, nil, t4)))), 78},
		{"6in4", 1, ether(0x0800, ip4(41, nil, ip6(6, t6))), 94},
		{"DNS", 1, over(udp(53, []byte(secret))), 42},
		{"fragment", 1, ether(0x0800, func() []byte { p := ip4(6, nil, []byte(secret)); p[7] = 9; return p }()), 34},
		{"ESP", 1, ether(0x0800, ip4(50, nil, []byte(secret))), 34},
		{"LLDP", 1, ether(0x88cc, cat(secret, macA, a4)), 14},
		{"ARP", 1, ether(0x0806, cat(uint16(1), uint16(0x0800), 6, 4, uint16(1), macA, a4, 0, 0, 0, 0, 0, 0, b4, secret)), 42},
		{"ARP of something else", 1, ether(0x0806, cat(uint16(6), uint16(0x0800), 8, 4, uint16(1), macA, macB, a4, b4, secret)), 42},
		{"ICMP error", 1, ether(0x0800, ip4(1, nil, cat(3, 1, 9, 9, 0, 0, 0, 0, quote))), 82},
		{"ICMP error, 8 bytes", 1, ether(0x0800, ip4(1, nil, cat(3, 1, 9, 9, 0, 0, 0, 0, quote[:28]))), 70},
		{"ICMPv6 error", 1, ether(0x86dd, ip6(58, cat(1, 4, 9, 9, 0, 0, 0, 0, ip6(6, t6)))), 122},
		{"echo", 1, ether(0x0800, ip4(1, nil, cat(8, 0, 9, 9, 0, 1, 0, 1, secret))), 42},
		{"redirect", 1, ether(0x0800, ip4(1, nil, cat(5, 1, 9, 9, b4, quote))), 42},
		{"solicitation", 1, neighbor(135), 86},
		{"advertisement", 1, neighbor(136), 86},
		{"router advertisement", 1, neighbor(134), 62},
		{"solicited group", 1, cat(0x33, 0x33, 0xff, 0xe2, 0xf3, 0xa4, macA, uint16(0x86dd), solicited), 86},
		{"802.11", 105, cat(secret, a4, macA), 0},
	}
}

func dissect(link uint32, frame []byte) (capture.Dissection, *capture.Record) {
	r := &capture.Record{LinkType: link, Wire: uint32(len(frame)), Data: frame}
	return new(capture.Dissector).Dissect(r), r
}

// TestClean: of every frame the headers stay, nothing of payload does, and no address of
// anybody's is left where they are replaced.
func TestClean(t *testing.T) {
	for _, tt := range frameCases() {
		d, r := dissect(tt.link, tt.frame)
		before := bytes.Clone(r.Data)
		kept := (&cleaner{keepPayload: true}).clean(r.Data, d.Layers)
		if !bytes.Equal(kept, tt.frame) {
			t.Errorf("%s: kept as % x", tt.name, kept)
		}
		plain := (&cleaner{}).clean(r.Data, d.Layers)
		if !bytes.Equal(plain, tt.frame[:min(len(tt.frame), tt.keep)]) || len(plain) != tt.keep {
			t.Errorf("%s: %d bytes of %d stay, want %d:\n% x\n% x", tt.name, len(plain), len(tt.frame), tt.keep, plain, tt.frame)
		}
		m := new(anonymize.Mapping)
		got := (&cleaner{mapping: m}).clean(r.Data, d.Layers)
		if len(got) != tt.keep {
			t.Errorf("%s: %d bytes stay, want %d", tt.name, len(got), tt.keep)
		}
		for _, s := range [][]byte{macA, macB, macA[3:], macB[3:], a4.AsSlice(), b4.AsSlice(), a6.AsSlice()[8:], b6.AsSlice()[8:], b6.AsSlice()[13:], []byte(secret)[:6]} {
			if bytes.Contains(got, s) {
				t.Errorf("%s: % x is still there: % x", tt.name, s, got)
			}
		}
		if !bytes.Equal(before, r.Data) {
			t.Errorf("%s: the capture's own bytes were changed", tt.name)
		}
		if d.Segment == nil {
			continue
		}
		want := *d.Segment
		again := new(capture.Dissector).Dissect(&capture.Record{LinkType: tt.link, Wire: r.Wire, Data: got}).Segment
		if again == nil || again.Src.Addr != segment.AddrFromNetip(m.Addr(want.Src.Addr.Netip())) || again.Dst.Addr != segment.AddrFromNetip(m.Addr(want.Dst.Addr.Netip())) ||
			again.Seq != want.Seq || again.Len != want.Len || again.Flags != want.Flags || again.Options != want.Options || again.Tunnel != want.Tunnel || again.Src.Port != want.Src.Port {
			t.Errorf("%s: the segment was\n%+v, is\n%+v", tt.name, want, again)
		}
	}
}

// TestChecksums: one that was right, wrong, partial or not filled in is so afterwards.
func TestChecksums(t *testing.T) {
	for _, tt := range frameCases() {
		for _, change := range []string{"", "tcp bad", "tcp partial", "ip bad", "ip zero"} {
			frame := bytes.Clone(tt.frame)
			d, r := dissect(tt.link, frame)
			for i, l := range d.Layers {
				switch {
				case l.Kind == capture.LayerTCP && change == "tcp bad" && l.Len >= 20:
					frame[l.Off+tcpSum] ^= 0x55
				case l.Kind == capture.LayerTCP && change == "tcp partial" && l.Len >= 20:
					binary.BigEndian.PutUint16(frame[l.Off+tcpSum:], pseudo(frame, d.Layers, i))
				case l.Kind == capture.LayerIPv4 && change == "ip bad":
					frame[l.Off+ipv4Sum] ^= 0x55
				case l.Kind == capture.LayerIPv4 && change == "ip zero":
					frame[l.Off+ipv4Sum], frame[l.Off+ipv4Sum+1] = 0, 0
				}
			}
			b := bytes.Clone(r.Data)
			c := cleaner{mapping: new(anonymize.Mapping)}
			c.rewrite(b, d.Layers)
			for i, l := range d.Layers {
				if l.Kind == capture.LayerUDP {
					continue // has none afterwards
				}
				was, is := measure(r.Data, d.Layers, i), measure(b, d.Layers, i)
				if was.worth != is.worth || was.worth == unknown && l.Kind != capture.LayerTCP && was.sum != is.sum {
					t.Errorf("%s, %s: layer %d was %+v, is %+v", tt.name, change, i, was, is)
				}
				if l.Kind == capture.LayerTCP && !l.Quoted && change == "" && was.worth != good {
					t.Errorf("%s: the test's checksum is %v", tt.name, was.worth)
				}
			}
		}
	}
}

// FuzzClean: whatever a frame is, what stays is a beginning of it without addresses
// replaced, and no shorter or longer with them.
func FuzzClean(f *testing.F) {
	for _, tt := range frameCases() {
		f.Add(tt.link, tt.frame, uint32(0))
		f.Add(tt.link, tt.frame[:len(tt.frame)*2/3], uint32(100))
	}
	f.Fuzz(func(t *testing.T, link uint32, frame []byte, more uint32) {
		r := &capture.Record{LinkType: link, Wire: uint32(len(frame)) + more%70000, Data: frame}
		d := new(capture.Dissector).Dissect(r)
		plain := bytes.Clone((&cleaner{}).clean(r.Data, d.Layers))
		m := new(anonymize.Mapping)
		got := (&cleaner{mapping: m}).clean(r.Data, d.Layers)
		if !bytes.HasPrefix(frame, plain) || len(got) != len(plain) {
			t.Fatalf("% x\n% x\n% x", frame, plain, got)
		}
		for _, l := range d.Layers {
			if l.Kind == capture.LayerTCP && l.Off+l.Len > len(plain) {
				t.Fatalf("a header is cut: %+v of %d", l, len(plain))
			}
		}
		if d.Segment == nil {
			return
		}
		want := *d.Segment
		again := new(capture.Dissector).Dissect(&capture.Record{LinkType: link, Wire: r.Wire, Data: got}).Segment
		if again == nil || again.Seq != want.Seq || again.Flags != want.Flags || again.Src.Port != want.Src.Port || again.Len != want.Len ||
			again.Src.Addr != segment.AddrFromNetip(m.Addr(want.Src.Addr.Netip())) {
			t.Fatalf("%s\nthe segment was\n%+v, is\n%+v", hex.Dump(frame), want, again)
		}
	})
}

func TestShorten(t *testing.T) {
	lines := strings.Split(strings.Repeat("0123456789\n", 20), "\n")[:20]
	if got := shorten(lines, 220); got != strings.Join(lines, "\n") {
		t.Errorf("%q", got)
	}
	got := shorten(lines, 100)
	if len(got) > 100 || !strings.HasSuffix(got, "\nand 12 more") || strings.Count(got, "0123456789") != 8 {
		t.Errorf("%q", got)
	}
	if got := shorten([]string{strings.Repeat("ä", 100)}, 101); got != strings.Repeat("ä", 50) {
		t.Errorf("%q", got)
	}
	if got := plain("a\x1b[1m\u202e\xff\nb"); got != "a\uFFFD[1m\uFFFD\uFFFD\uFFFDb" {
		t.Errorf("%q", got)
	}
}
