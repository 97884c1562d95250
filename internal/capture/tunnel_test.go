package capture

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// udpTo is the UDP header of n bytes to a port.
func udpTo(port, n int) []byte { return join(be16(50000), be16(port), be16(8+n), be16(0)) }

func udp(port int, payload ...byte) []byte { return join(udpTo(port, len(payload)), payload) }

// outer4 is ip4 with other addresses, 192.0.2.1 to 192.0.2.2, and TTL 9.
func outer4(proto byte, payload ...byte) []byte {
	p := setByte(ip4(proto, payload...), 8, 9)
	copy(p[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	return p
}

// macs is ether between two hosts.
func macs(etherType int, payload ...byte) []byte {
	f := ether(etherType, payload...)
	copy(f, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1})
	return f
}

func vxlan(vni int, frame []byte) []byte { return join(be32(8<<24), be32(vni<<8), frame) }
func geneve(options byte, t, vni int, p []byte) []byte {
	return join([]byte{options, 0}, be16(t), be32(vni<<8), make([]byte, 4*int(options&0x3f)), p)
}
func label(n, bottom int) []byte { return be32(n<<12 | bottom<<8 | 64) }
func pppoe(session int, ppp []byte) []byte {
	return join([]byte{0x11, 0}, be16(session), be16(len(ppp)), ppp)
}

// tunnelCase is a frame with a segment from port 1000 to 2000 inside tunnels.
type tunnelCase struct {
	name  string
	frame []byte
	want  segment.Tunnel
	vlan  uint16
	// alone tells that gopacket, or Wireshark too, does not look inside.
	alone string
}

func tunnelCases() []tunnelCase {
	four, six := ip4(protoTCP, tcpHeader()...), ip6(protoTCP, tcpHeader()...)
	inner, inner6 := macs(etherIPv4, four...), macs(etherIPv6, six...)
	tagged := macs(etherVLAN, join(be16(5), be16(etherIPv4), four)...)
	over := func(proto byte, p ...byte) []byte { return ether(etherIPv4, outer4(proto, p...)...) }
	over6 := func(proto byte, p ...byte) []byte { return ether(etherIPv6, ip6(proto, p...)...) }
	erspan2 := join(be16(0x1000|77), be16(300), be32(0))
	erspan3 := join(be16(0x2000|78), be16(301), make([]byte, 7), []byte{0})
	one := func(k segment.TunnelKind, id uint32) segment.Tunnel { return segment.Tunnel{Kind: k, Depth: 1, ID: id} }
	gopacketNot, bothNot := "gopacket", "gopacket wireshark"
	return []tunnelCase{
		{"vxlan", over(protoUDP, udp(4789, vxlan(5, inner)...)...), one(segment.TunnelVXLAN, 5), 0, ""},
		{"vxlan ipv6", over6(protoUDP, udp(4789, vxlan(1<<24-1, inner6)...)...), one(segment.TunnelVXLAN, 1<<24-1), 0, ""},
		{"vxlan, linux port", over(protoUDP, udp(8472, vxlan(1, tagged)...)...), one(segment.TunnelVXLAN, 1), 5, bothNot},
		{"vxlan with policy", over(protoUDP, udp(4789, join(be32(0x88000007), be32(9<<8), inner)...)...), one(segment.TunnelVXLAN, 9), 0, ""},
		{"vxlan in a vlan", ether(etherVLAN, join(be16(44), be16(etherIPv4), outer4(protoUDP, udp(4789, vxlan(5, inner)...)...))...), one(segment.TunnelVXLAN, 5), 0, ""},
		{"vxlan, udp without a length", over(protoUDP, setByte(setByte(udp(4789, vxlan(5, inner)...), 4, 0), 5, 0)...), one(segment.TunnelVXLAN, 5), 0, bothNot},
		{"geneve", over(protoUDP, udp(6081, geneve(0, etherBridged, 6, inner)...)...), one(segment.TunnelGeneve, 6), 0, ""},
		{"geneve with options", over(protoUDP, udp(6081, geneve(2, etherBridged, 6, tagged)...)...), one(segment.TunnelGeneve, 6), 5, gopacketNot},
		{"geneve ipv4", over(protoUDP, udp(6081, geneve(0, etherIPv4, 6, four)...)...), one(segment.TunnelGeneve, 6), 0, ""},
		{"gtp-u", over(protoUDP, udp(2152, join([]byte{0x30, 255}, be16(len(four)), be32(99), four)...)...), one(segment.TunnelGTP, 99), 0, gopacketNot},
		{"gtp-u with an extension", over(protoUDP, udp(2152, join([]byte{0x34, 255}, be16(len(six)+8), be32(99), []byte{0, 0, 0, 0x85, 1, 0, 1, 0}, six)...)...), one(segment.TunnelGTP, 99), 0, gopacketNot},
		{"gre", over(protoGRE, join(be16(0), be16(etherIPv4), four)...), one(segment.TunnelGRE, 0), 0, ""},
		{"gre with all fields", over(protoGRE, join(be16(0xb000), be16(etherIPv6), be32(0), be32(1234), be32(1), six)...), one(segment.TunnelGRE, 1234), 0, ""},
		{"gre with ethernet", over(protoGRE, join(be16(0x2000), be16(etherBridged), be32(55<<8), inner)...), one(segment.TunnelGRE, 55<<8), 0, ""},
		{"gre over ipv6", over6(protoGRE, join(be16(0), be16(etherIPv4), four)...), one(segment.TunnelGRE, 0), 0, ""},
		{"pptp", over(protoGRE, join(be16(0x3081), be16(etherPPP), be16(len(four)+4), be16(31), be32(1), be32(2), []byte{0xff, 3}, be16(pppIPv4), four)...), one(segment.TunnelGRE, 31), 0, gopacketNot},
		{"wccp", over(protoGRE, join(be16(0), be16(etherWCCP), be32(0), four)...), one(segment.TunnelGRE, 0), 0, gopacketNot},
		{"erspan I", over(protoGRE, join(be16(0), be16(etherERSPAN), inner)...), one(segment.TunnelERSPAN, 0), 0, gopacketNot},
		{"erspan II", over(protoGRE, join(be16(0x1000), be16(etherERSPAN), be32(1), erspan2, inner)...), one(segment.TunnelERSPAN, 300), 77, ""},
		{"erspan II tagged", over(protoGRE, join(be16(0x1000), be16(etherERSPAN), be32(1), erspan2, tagged)...), one(segment.TunnelERSPAN, 300), 5, ""},
		{"erspan III", over(protoGRE, join(be16(0x1000), be16(etherERSPAN3), be32(1), erspan3, inner)...), one(segment.TunnelERSPAN, 301), 78, gopacketNot},
		{"erspan III with a subheader", over(protoGRE, join(be16(0x1000), be16(etherERSPAN3), be32(1), setByte(erspan3, 11, 1), make([]byte, 8), inner)...), one(segment.TunnelERSPAN, 301), 78, gopacketNot},
		{"ip in ip", over(protoIPIP, four...), one(segment.TunnelIP, 0), 0, ""},
		{"6in4", over(protoIPv6, six...), one(segment.TunnelIP, 0), 0, ""},
		{"ipv6 in ipv6", over6(protoIPv6, six...), one(segment.TunnelIP, 0), 0, ""},
		{"ipv6 in ipv6 with a limit", over6(protoDestOpts, join([]byte{protoIPv6, 0, 4, 1, 4, 1, 0, 0}, six)...), one(segment.TunnelIP, 0), 0, ""},
		{"etherip", over(protoEtherIP, join([]byte{0x30, 0}, inner)...), one(segment.TunnelEtherIP, 0), 0, ""},
		{"pppoe", ether(etherPPPoE, pppoe(17, join(be16(pppIPv4), four))...), one(segment.TunnelPPPoE, 17), 0, ""},
		{"pppoe in a vlan", ether(etherVLAN, join(be16(7), be16(etherPPPoE), pppoe(17, join(be16(pppIPv6), six)))...), one(segment.TunnelPPPoE, 17), 7, ""},
		{"pppoe, short protocol", ether(etherPPPoE, pppoe(17, join([]byte{pppIPv4}, four))...), one(segment.TunnelPPPoE, 17), 0, gopacketNot},
		{"mpls", ether(etherMPLS, join(label(100, 1), four)...), one(segment.TunnelMPLS, 100), 0, ""},
		{"mpls stack", ether(etherMPLS, join(label(100, 0), label(1<<20-1, 0), label(300, 1), six)...), one(segment.TunnelMPLS, 300), 0, ""},
		{"mpls over udp", over(protoUDP, udp(portMPLS, join(label(100, 1), four)...)...), one(segment.TunnelMPLS, 100), 0, gopacketNot},
		{"mpls over ip", over(protoMPLS, join(label(100, 1), four)...), one(segment.TunnelMPLS, 100), 0, gopacketNot},
		{"pseudowire", ether(etherMPLS, join(label(101, 1), be32(0), inner)...), one(segment.TunnelMPLS, 101), 0, gopacketNot},
		{"pseudowire without a control word", ether(etherMPLS, join(label(102, 1), inner6)...), one(segment.TunnelMPLS, 102), 0, gopacketNot},
		{"pseudowire to a mac like ipv4", ether(etherMPLS, join(label(100, 1), setByte(setByte(tagged, 0, 0x44), 2, 0xff))...), one(segment.TunnelMPLS, 100), 5, bothNot},
		{"mpls over gre", over(protoGRE, join(be16(0), be16(etherMPLS), label(100, 1), four)...), segment.Tunnel{Kind: segment.TunnelMPLS, Depth: 2, ID: 100}, 0, ""},
		{"ip in ip in vxlan", over(protoUDP, udp(4789, vxlan(5, macs(etherIPv4, outer4(protoIPIP, four...)...))...)...), segment.Tunnel{Kind: segment.TunnelIP, Depth: 2, ID: 5}, 0, ""},
		{"four deep", over(protoIPIP, outer4(protoIPIP, outer4(protoIPIP, outer4(protoIPIP, four...)...)...)...), segment.Tunnel{Kind: segment.TunnelIP, Depth: 4}, 0, ""},
	}
}

// Each tunnel leads to the segment, with its own mark, and a frame that is cut
// anywhere before the end of the TCP header leads to none but to a reason.
func TestTunnels(t *testing.T) {
	for _, c := range tunnelCases() {
		seg, why, s := decodeOne(t, linkEthernet, c.frame, 0)
		if why != "" || seg.Tunnel != c.want || seg.VLAN != c.vlan || seg.Src.Port != 1000 || seg.Len != 0 || seg.TTL < 61 || s.inside.n != 1 || s.longer.n != 0 {
			t.Errorf("%s: %q %v vlan %d %+v", c.name, why, seg.Tunnel, seg.VLAN, seg)
		}
		for n := range len(c.frame) {
			if seg, why, _ := decodeOne(t, linkEthernet, c.frame[:n:n], len(c.frame)); why == "" || n >= 14 && !strings.HasSuffix(why, "-cut") && why != "not-tcp" && why != "frame-short" && why != "not-ip" {
				t.Errorf("%s cut to %d bytes: %q %+v", c.name, n, why, seg)
			}
		}
		// All headers but the last are whole: the inner TCP header is at fault.
		if _, why, _ := decodeOne(t, linkEthernet, c.frame[:len(c.frame)-1], len(c.frame)); why != "tcp-cut" {
			t.Errorf("%s cut in the TCP header: %q", c.name, why)
		}
	}
}

// What is not quite a tunnel is not opened.
func TestTunnelNearMisses(t *testing.T) {
	four := ip4(protoTCP, tcpHeader()...)
	inner := macs(etherIPv4, four...)
	over := func(proto byte, p ...byte) []byte { return ether(etherIPv4, outer4(proto, p...)...) }
	good := over(protoUDP, udp(4789, vxlan(5, inner)...)...)
	const u = 14 + 20 + 8 // where what UDP carries begins
	deep := four
	for range 5 {
		deep = outer4(protoIPIP, deep...)
	}
	for _, c := range []struct {
		name  string
		frame []byte
		wire  int
		why   string
	}{
		{"vxlan to another port", setByte(good, u-5, 0xb4), 0, "not-tcp"},
		{"vxlan from its port only", setByte(join(good[:u-8], be16(4789), be16(50000), good[u-4:]), 0, 0), 0, "not-tcp"},
		{"vxlan without a VNI", setByte(good, u, 0), 0, "not-tcp"},
		{"vxlan with unknown flags", setByte(good, u, 0x0c), 0, "not-tcp"},
		{"vxlan with something reserved", setByte(good, u+7, 1), 0, "not-tcp"},
		{"garbage to vxlan's port", over(protoUDP, udp(4789, []byte("some text of an ordinary conversation, long enough")...)...), 0, "not-tcp"},
		{"a short packet to vxlan's port", over(protoUDP, udp(4789, 8, 0, 0)...), 0, "not-tcp"},
		{"vxlan header alone", over(protoUDP, udp(4789, vxlan(5, nil)...)...), 0, "frame-short"},
		{"vxlan cut in its header", good[:u+7], len(good), "tunnel-cut"},
		{"vxlan cut in the inner ethernet", good[:u+8+13], len(good), "tunnel-cut"},
		{"vxlan cut in the inner ip", good[:u+8+14+19], len(good), "ip-cut"},
		{"vxlan with inner udp", over(protoUDP, udp(4789, vxlan(5, macs(etherIPv4, ip4(protoUDP, udp(53)...)...))...)...), 0, "not-tcp"},
		{"vxlan with inner arp", over(protoUDP, udp(4789, vxlan(5, macs(etherARP, make([]byte, 28)...))...)...), 0, "not-ip"},
		{"vxlan, inner ip too long for udp", over(protoUDP, udp(4789, vxlan(5, macs(etherIPv4, setByte(four, 0, 0x4f)...))...)...), 0, "ip-malformed"},
		{"later fragment of vxlan", setByte(good, 21, 9), 0, "not-tcp"},
		{"geneve version 1", over(protoUDP, udp(6081, geneve(0x40, etherBridged, 6, inner)...)...), 0, "not-tcp"},
		{"geneve control", over(protoUDP, udp(6081, setByte(geneve(0, etherBridged, 6, inner), 1, 0x80)...)...), 0, "not-tcp"},
		{"geneve of another protocol", over(protoUDP, udp(6081, geneve(0, etherARP, 6, inner)...)...), 0, "not-tcp"},
		{"geneve options past the end", over(protoUDP, udp(6081, setByte(geneve(0, etherBridged, 6, inner), 0, 63)...)...), 0, "not-tcp"},
		{"gtp-u echo", over(protoUDP, udp(2152, join([]byte{0x32, 1}, be16(4), be32(0), be32(0))...)...), 0, "not-tcp"},
		{"gtp-u, endless extensions", over(protoUDP, udp(2152, join([]byte{0x34, 255}, be16(8), be32(0), []byte{0, 0, 0, 1, 0, 0, 0, 1}, four)...)...), 0, "not-tcp"},
		{"gre with source routes", over(protoGRE, join(be16(0x4000), be16(etherIPv4), four)...), 0, "tunnel"},
		{"gre version 2", over(protoGRE, join(be16(2), be16(etherIPv4), four)...), 0, "tunnel"},
		{"gre keepalive", over(protoGRE, join(be16(0), be16(0))...), 0, "not-ip"},
		{"gre too short", over(protoGRE, 0x20, 0, 8, 0), 0, "frame-short"},
		{"later fragment of gre", setByte(over(protoGRE, join(be16(0), be16(etherIPv4), four)...), 21, 9), 0, "ip-fragment"},
		{"erspan II of another version", over(protoGRE, join(be16(0x1000), be16(etherERSPAN), be32(1), be32(0), be32(0), inner)...), 0, "tunnel"},
		{"pptp, encrypted", over(protoGRE, join(be16(0x3001), be16(etherPPP), be16(60), be16(31), be32(1), be16(0x00fd), four)...), 0, "not-ip"},
		{"etherip version 2", over(protoEtherIP, join([]byte{0x20, 0}, inner)...), 0, "not-tcp"},
		{"pppoe with lcp", ether(etherPPPoE, pppoe(17, join(be16(0xc021), four))...), 0, "not-ip"},
		{"pppoe discovery", ether(0x8863, pppoe(17, join(be16(pppIPv4), four))...), 0, "not-ip"},
		{"pppoe code 9", ether(etherPPPoE, setByte(pppoe(17, join(be16(pppIPv4), four)), 1, 9)...), 0, "not-ip"},
		{"mpls without a bottom", ether(etherMPLS, join(label(1, 0), label(2, 0))...), 0, "frame-short"},
		{"mpls with nothing below", ether(etherMPLS, label(1, 1)...), 0, "frame-short"},
		{"mpls, operations channel", ether(etherMPLS, join(label(13, 1), be32(0x10000007), make([]byte, 40))...), 0, "not-ip"},
		{"six deep", ether(etherIPv4, deep...), 0, "tunnel"},
	} {
		if seg, why, _ := decodeOne(t, linkEthernet, c.frame, c.wire); why != c.why {
			t.Errorf("%s: %q, want %q: %+v", c.name, why, c.why, seg)
		}
	}
}

// The first fragment of a tunnel's packet tells the inner length.
func TestTunnelFragment(t *testing.T) {
	data := append(tcpHeader(), make([]byte, 1000)...)
	whole := outer4(protoUDP, udp(4789, vxlan(5, macs(etherIPv4, ip4(protoTCP, data...)...))...)...)
	const n = 20 + 8 + 8 + 14 + 20 + 20 + 100
	first := join(whole[:2], be16(n), whole[4:6], be16(0x2000), whole[8:n])
	seg, why, s := decodeOne(t, linkEthernet, ether(etherIPv4, first...), 0)
	if why != "" || seg.Len != 1000 || s.longer.n != 0 {
		t.Errorf("%q len %d, contradicts %d", why, seg.Len, s.longer.n)
	}
}

// Gopacket and Wireshark see the same segments inside the tunnels that they know.
func TestTunnelsAgainstOthers(t *testing.T) {
	var frames [][]byte
	var names []string
	for _, c := range tunnelCases() {
		if !strings.Contains(c.alone, "gopacket") {
			p := gopacket.NewPacket(c.frame, layers.LinkTypeEthernet, gopacket.NoCopy)
			var last *layers.TCP
			for _, l := range p.Layers() {
				if tcp, ok := l.(*layers.TCP); ok {
					last = tcp
				}
			}
			if last == nil || last.SrcPort != 1000 || last.DstPort != 2000 {
				t.Errorf("%s: gopacket sees %v", c.name, p)
			}
		}
		if !strings.Contains(c.alone, "wireshark") {
			frames, names = append(frames, c.frame), append(names, c.name)
		}
	}
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("there is no tshark here")
	}
	name := filepath.Join(t.TempDir(), "tunnels.pcap")
	if err := os.WriteFile(name, usualPcap.file(frames...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", name, "-d", "mpls.label==101,pwethcw", "-d", "mpls.label==102,pwethnocw", "-T", "fields", "-E", "occurrence=l", "-e", "frame.number", "-e", "tcp.srcport").Output()
	if err != nil {
		t.Skipf("tshark: %v", err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(names) {
		t.Fatalf("tshark sees %d frames, want %d", len(lines), len(names))
	}
	for i, l := range lines {
		if l != fmt.Sprintf("%d\t1000", i+1) {
			t.Errorf("%s: tshark says %q", names[i], l)
		}
	}
}
