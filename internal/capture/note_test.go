package capture

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// checkNotes holds what must be true of every note.
func checkNotes(t testing.TB, notes []segment.Note) {
	t.Helper()
	if len(notes) > maxNotes {
		t.Errorf("%d notes", len(notes))
	}
	for i, n := range notes {
		if n.Kind == segment.NoteUnknown || n.Frame == 0 || i > 0 && n.Frame <= notes[i-1].Frame || n.Kind != segment.NoteICMP && n.Quoted != (segment.Quoted{}) ||
			n.Kind == segment.NoteICMP && (n.Addr != segment.Addr{}) || !n.Quoted.HasFlags && n.Quoted.Flags != 0 {
			t.Errorf("%+v", n)
		}
	}
}

// readNotes reads a capture to its end and returns its notes.
func readNotes(t testing.TB, b []byte) (all []segment.Note) {
	t.Helper()
	r := openBytes(t, b)
	batch := make([]segment.Segment, 4)
	for {
		_, err := r.Read(batch)
		checkNotes(t, r.Notes())
		all = append(all, r.Notes()...)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func icmpError(kind, code byte, rest, quote []byte) []byte {
	return join([]byte{kind, code, 0, 0}, rest, quote)
}

func TestICMP(t *testing.T) {
	tcp := tcpHeader(2, 4, 5, 180)
	four, six := ip4(protoTCP, append(tcp, make([]byte, 100)...)...), ip6(protoTCP, append(tcp, make([]byte, 100)...)...)
	v := func(s string) segment.Addr { return endpoint(s + ":1").Addr }
	at := func(a segment.Addr, port uint16) segment.Endpoint { return segment.Endpoint{Addr: a, Port: port} }
	short := segment.Quoted{Src: at(v("10.0.0.1"), 1000), Dst: at(v("10.0.0.2"), 2000), Seq: seq.Of(1), TTL: 61, IPID: 777, DF: true, IPLen: 144}
	full := short
	full.HasFlags, full.Flags, full.Ack = true, segment.ACK, seq.Of(2)
	full6 := full
	full6.Src.Addr, full6.Dst.Addr, full6.TTL, full6.IPID, full6.DF, full6.IPLen = v("[fd00::1]"), v("[fd00::2]"), 62, 0, false, 164
	tunnel := full
	tunnel.Tunnel = segment.Tunnel{Kind: segment.TunnelVXLAN, Depth: 1, ID: 5}
	over := func(p []byte) []byte { return ether(etherIPv4, outer4(protoICMP, p...)...) }
	over6 := func(p []byte) []byte { return ether(etherIPv6, ip6(protoICMPv6, p...)...) }
	encapsulated := outer4(protoUDP, udp(4789, vxlan(5, macs(etherIPv4, four...))...)...)
	zero := be32(0)
	for _, c := range []struct {
		name       string
		frame      []byte
		mtu        uint32
		kind, code byte
		want       segment.Quoted
	}{
		{"port unreachable", over(icmpError(3, 3, zero, four[:28])), 0, 3, 3, short},
		{"whole header", over(icmpError(3, 1, zero, four)), 0, 3, 1, full},
		{"fragmentation needed", over(icmpError(3, 4, be32(1400), four[:28])), 1400, 3, 4, short},
		{"fragmentation needed by an old router", over(icmpError(3, 4, zero, four[:28])), 0, 3, 4, short},
		{"mtu of another code", over(icmpError(3, 13, be32(1400), four[:28])), 0, 3, 13, short},
		{"time exceeded", over(icmpError(11, 0, zero, four[:34])), 0, 11, 0, full},
		{"just short of the flags", over(icmpError(11, 0, zero, four[:33])), 0, 11, 0, short},
		{"source quench", over(icmpError(4, 0, zero, four[:28])), 0, 4, 0, short},
		{"parameter problem", over(icmpError(12, 0, []byte{20, 0, 0, 0}, four[:28])), 0, 12, 0, short},
		{"with extensions", over(icmpError(11, 0, []byte{0, 7, 0, 0}, append(four[:28:28], make([]byte, 100)...))), 0, 11, 0, short},
		{"in a vlan", ether(etherVLAN, join(be16(5), be16(etherIPv4), outer4(protoICMP, icmpError(3, 3, zero, four[:28])...))...), 0, 3, 3, short},
		{"about a tunnel", over(icmpError(3, 4, be32(1450), encapsulated)), 1450, 3, 4, tunnel},
		{"v6 unreachable", over6(icmpError(1, 4, zero, six)), 0, 1, 4, full6},
		{"v6 too big", over6(icmpError(2, 0, be32(1280), six)), 1280, 2, 0, full6},
		{"v6 time exceeded", over6(icmpError(3, 0, zero, six[:60])), 0, 3, 0, full6},
		{"v6 parameter problem", over6(icmpError(4, 1, be32(40), six)), 0, 4, 1, full6},
	} {
		notes := readNotes(t, usualPcap.file(c.frame))
		if len(notes) != 1 {
			t.Errorf("%s: %d notes", c.name, len(notes))
			continue
		}
		n := notes[0]
		if n.Kind != segment.NoteICMP || n.Frame != 1 || n.Type != c.kind || n.Code != c.code || n.MTU != c.mtu {
			t.Errorf("%s: %+v", c.name, n)
		}
		if d := cmp.Diff(c.want, n.Quoted, equalSegments...); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		if want := (n.From.Is4() && n.From == v("192.0.2.1") && n.TTL == 9) || n.From == v("[fd00::1]") && n.TTL == 62; !want {
			t.Errorf("%s: from %v with TTL %d", c.name, n.From, n.TTL)
		}
	}
}

func TestICMPNearMisses(t *testing.T) {
	four, six := ip4(protoTCP, tcpHeader()...), ip6(protoTCP, tcpHeader()...)
	over := func(p []byte) []byte { return ether(etherIPv4, outer4(protoICMP, p...)...) }
	over6 := func(p []byte) []byte { return ether(etherIPv6, ip6(protoICMPv6, p...)...) }
	zero := be32(0)
	for name, f := range map[string][]byte{
		"echo":                  over(icmpError(8, 0, zero, four)),
		"redirect":              over(icmpError(5, 0, zero, four)),
		"about udp":             over(icmpError(3, 3, zero, ip4(protoUDP, udp(53)...))),
		"about icmp":            over(icmpError(3, 3, zero, ip4(protoICMP, icmpError(3, 3, zero, four)...))),
		"quote too short":       over(icmpError(3, 3, zero, four[:27])),
		"nothing quoted":        over(icmpError(3, 3, zero, nil)),
		"header cut":            over([]byte{3, 3, 0, 0, 0, 0, 0}),
		"about a later part":    over(icmpError(3, 3, zero, setByte(four, 7, 1))),
		"a fragment":            setByte(over(icmpError(3, 3, zero, four)), 20, 0x20),
		"garbage quoted":        over(icmpError(3, 3, zero, []byte("garbage that is no packet at all"))),
		"version 4's type in 6": over6(icmpError(11, 0, zero, six)),
		"version 6's type in 4": over(icmpError(2, 0, zero, four)),
		"short solicitation":    over6(icmpError(135, 0, zero, make([]byte, 15))),
		"short arp":             ether(etherARP, make([]byte, 27)...),
		"arp of something else": ether(etherARP, make([]byte, 28)...),
		"reverse arp":           ether(etherARP, arp(3, "10.0.0.1", "10.0.0.2")...),
	} {
		if n := readNotes(t, usualPcap.file(f)); len(n) != 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// arp is a message from a host with the MAC 02:…:01.
func arp(op int, from, to string) []byte {
	a, b := endpoint(from+":1").Addr.Netip().As4(), endpoint(to+":1").Addr.Netip().As4()
	return join(be16(1), be16(etherIPv4), []byte{6, 4}, be16(op), []byte{2, 0, 0, 0, 0, 1}, a[:], make([]byte, 6), b[:])
}

func TestWhoHas(t *testing.T) {
	mac := segment.MAC{2, 0, 0, 0, 0, 1}
	target := endpoint("[fd00::77]:1").Addr.Netip().As16()
	solicit := func(kind byte, options ...byte) []byte {
		return ether(etherIPv6, ip6(protoICMPv6, icmpError(kind, 0, be32(0), join(target[:], options))...)...)
	}
	for _, c := range []struct {
		name  string
		frame []byte
		kind  segment.NoteKind
		addr  string
		mac   segment.MAC
	}{
		{"request", ether(etherARP, arp(1, "10.0.0.1", "10.0.0.2")...), segment.NoteWhoHas, "10.0.0.2", mac},
		{"probe", ether(etherARP, arp(1, "0.0.0.0", "10.0.0.2")...), segment.NoteWhoHas, "10.0.0.2", mac},
		{"announcement", ether(etherARP, arp(1, "10.0.0.1", "10.0.0.1")...), segment.NoteIsAt, "10.0.0.1", mac},
		{"reply", ether(etherARP, arp(2, "10.0.0.1", "10.0.0.2")...), segment.NoteIsAt, "10.0.0.1", mac},
		{"request in a vlan", ether(etherVLAN, join(be16(9), be16(etherARP), arp(1, "10.0.0.1", "10.0.0.2"))...), segment.NoteWhoHas, "10.0.0.2", mac},
		{"request in a tunnel", ether(etherIPv4, outer4(protoUDP, udp(4789, vxlan(5, macs(etherARP, arp(1, "10.0.0.1", "10.0.0.2")...))...)...)...), segment.NoteWhoHas, "10.0.0.2", mac},
		{"solicitation", solicit(135, 14, 1, 1, 2, 3, 4, 5, 6, 1, 1, 2, 0, 0, 0, 0, 1), segment.NoteWhoHas, "[fd00::77]", mac},
		{"solicitation without an address", solicit(135), segment.NoteWhoHas, "[fd00::77]", segment.MAC{}},
		{"advertisement", solicit(136, 2, 1, 2, 0, 0, 0, 0, 1), segment.NoteIsAt, "[fd00::77]", mac},
		{"advertisement with the asker's option", solicit(136, 1, 1, 2, 0, 0, 0, 0, 1), segment.NoteIsAt, "[fd00::77]", segment.MAC{}},
		{"option of no length", solicit(136, 2, 0, 2, 0, 0, 0, 0, 1), segment.NoteIsAt, "[fd00::77]", segment.MAC{}},
	} {
		n := readNotes(t, usualPcap.file(c.frame))
		if len(n) != 1 || n[0].Kind != c.kind || n[0].Addr != endpoint(c.addr+":1").Addr || n[0].MAC != c.mac {
			t.Errorf("%s: %+v", c.name, n)
		}
	}
}

// Notes stay in order with the segments, and bounded, however many there are.
func TestNotesInOrder(t *testing.T) {
	ask := ether(etherARP, arp(1, "10.0.0.1", "10.0.0.2")...)
	var frames [][]byte
	for range 3 {
		frames = append(frames, repeat(ask, maxNotes+7)...)
		frames = append(frames, repeat(aFrame, 5)...)
	}
	g := littleNG
	ng := join(g.section(), g.iface(1, 0))
	for i, f := range frames {
		ng = append(ng, g.packet(0, uint64(i), f)...)
	}
	for name, file := range map[string][]byte{"pcap": usualPcap.file(frames...), "pcapng": ng} {
		r := openBytes(t, file)
		batch := make([]segment.Segment, 4)
		seen := map[uint64]bool{}
		var before uint64
		for {
			n, err := r.Read(batch)
			checkNotes(t, r.Notes())
			last := before
			for _, x := range r.Notes() {
				if seen[x.Frame] || x.Frame <= before {
					t.Fatalf("%s: frame %d again, or late", name, x.Frame)
				}
				seen[x.Frame] = true
				last = max(last, x.Frame)
			}
			for _, s := range batch[:n] {
				if seen[s.Frame] || s.Frame <= before {
					t.Fatalf("%s: frame %d again, or late", name, s.Frame)
				}
				seen[s.Frame] = true
				last = max(last, s.Frame)
			}
			before = last
			if err == io.EOF {
				break
			}
			if err != nil || n == 0 && len(r.Notes()) == 0 {
				t.Fatal(n, err)
			}
		}
		if len(seen) != len(frames) {
			t.Errorf("%s: %d frames, want %d", name, len(seen), len(frames))
		}
	}
}
