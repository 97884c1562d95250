package capture

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// checkWire holds what must be true of every frame of a segment.
func checkWire(t testing.TB, r *Reader, s *segment.Segment) {
	t.Helper()
	w := r.Wire(s)
	if w.Known != (s.Raw.Kept > 0) {
		t.Errorf("frame %d: %+v of %+v", s.Frame, w, s.Raw)
	}
	if !w.Known {
		return // of a text
	}
	if w.Captured > w.Length || w.Captured != s.Raw.Kept || w.IPLen < 40 || w.DF && !s.Src.Addr.Is4() {
		t.Errorf("frame %d: %+v of %+v", s.Frame, w, s)
	}
	if (w.OuterSrc != segment.Addr{}) && s.Tunnel.Depth == 0 {
		t.Errorf("frame %d: outside of a tunnel, and yet inside %v", s.Frame, w.OuterSrc)
	}
	if w.TCPCheck != segment.CheckUnknown && w.Captured < 40+s.Len {
		t.Errorf("frame %d: checksum %v of %d bytes", s.Frame, w.TCPCheck, w.Captured)
	}
}

// readWires reads a capture and returns the frames of its segments.
func readWires(t testing.TB, r *Reader) (all []segment.Wire) {
	t.Helper()
	batch := make([]segment.Segment, 3)
	for {
		n, err := r.Read(batch)
		for i := range batch[:n] {
			all = append(all, r.Wire(&batch[i]))
		}
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// withChecks sets the checksums of a frame from macs with ip4 and TCP in it.
func withChecks(frame []byte) []byte {
	f := bytes.Clone(frame)
	ip, tcp := f[14:34], f[34:]
	put := func(field, covers []byte, pseudo uint64) {
		field[0], field[1] = 0, 0
		c := ^fold16(sum16(covers) + pseudo)
		field[0], field[1] = byte(c>>8), byte(c)
	}
	put(ip[10:], ip, 0)
	put(tcp[16:], tcp, sum16(ip[12:20])+protoTCP+uint64(len(tcp)))
	return f
}

// withPartial leaves the sum of the pseudo-header where the checksum belongs.
func withPartial(frame []byte) []byte {
	f := withChecks(frame)
	sum := fold16(sum16(f[26:34]) + protoTCP + uint64(len(f)-34))
	f[50], f[51] = byte(sum>>8), byte(sum)
	return f
}

func TestWire(t *testing.T) {
	tcp := append(tcpHeader(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2), "abc"...)
	plain := withChecks(macs(etherIPv4, ip4(protoTCP, tcp...)...))
	six := macs(etherIPv6, setByte(setByte(ip6(protoTCP, tcp...), 1, 0x0a), 3, 7)...)
	src, dst := segment.MAC{2, 0, 0, 0, 0, 1}, segment.MAC{2, 0, 0, 0, 0, 2}
	v := func(s string) segment.Addr { return endpoint(s + ":1").Addr }
	n, n6 := uint32(len(plain)), uint32(len(six))
	good, bad, partial := segment.CheckGood, segment.CheckBad, segment.CheckPartial
	base := segment.Wire{Known: true, SrcMAC: src, DstMAC: dst, DF: true, IPLen: n - 14, Captured: n, Length: n, IPCheck: good, TCPCheck: good}
	with := func(change func(*segment.Wire)) segment.Wire { w := base; change(&w); return w }
	encapsulated := ether(etherIPv4, outer4(protoUDP, udp(4789, vxlan(5, plain)...)...)...)
	for _, c := range []struct {
		name  string
		link  uint32
		frame []byte
		wire  int
		want  segment.Wire
	}{
		{"plain", 1, plain, 0, base},
		{"padded", 1, append(bytes.Clone(plain), 0, 0, 0), 0, with(func(w *segment.Wire) { w.Captured, w.Length = n+3, n+3 })},
		{"no DF", 1, withChecks(setByte(plain, 20, 0)), 0, with(func(w *segment.Wire) { w.DF = false })},
		{"flag changed", 1, setByte(plain, 47, 4), 0, with(func(w *segment.Wire) { w.TCPCheck = bad })},
		{"TTL changed", 1, setByte(plain, 22, 4), 0, with(func(w *segment.Wire) { w.IPCheck = bad })},
		{"offloaded", 1, withPartial(plain), 0, with(func(w *segment.Wire) { w.TCPCheck = partial })},
		{"last byte cut", 1, plain[:n-1], int(n), with(func(w *segment.Wire) { w.Captured, w.TCPCheck = n-1, segment.CheckUnknown })},
		{"first fragment", 1, withChecks(setByte(plain, 20, 0x20)), 0, with(func(w *segment.Wire) { w.DF, w.MF, w.TCPCheck = false, true, segment.CheckUnknown })},
		{"ipv6", 1, six, 0, segment.Wire{Known: true, SrcMAC: src, DstMAC: dst, FlowLabel: 0xa0007, IPLen: n6 - 14, Captured: n6, Length: n6, TCPCheck: bad}},
		{"raw", 101, plain[14:], 0, with(func(w *segment.Wire) {
			w.SrcMAC, w.DstMAC, w.Captured, w.Length = segment.MAC{}, segment.MAC{}, n-14, n-14
		})},
		{"cooked", 113, join(be16(4), be16(1), be16(6), src[:], be16(0), be16(etherIPv4), plain[14:]), 0, with(func(w *segment.Wire) { w.DstMAC, w.Captured, w.Length = segment.MAC{}, n+2, n+2 })},
		{"cooked, no address", 113, join(be16(4), be16(1), be16(0), src[:], be16(0), be16(etherIPv4), plain[14:]), 0, with(func(w *segment.Wire) {
			w.SrcMAC, w.DstMAC, w.Captured, w.Length = segment.MAC{}, segment.MAC{}, n+2, n+2
		})},
		{"cooked 2", 276, join(be16(etherIPv4), be16(0), be32(3), be16(1), []byte{0, 6}, src[:], be16(0), plain[14:]), 0, with(func(w *segment.Wire) { w.DstMAC, w.Captured, w.Length = segment.MAC{}, n+6, n+6 })},
		{"vxlan", 1, encapsulated, 0, with(func(w *segment.Wire) {
			w.OuterSrc, w.OuterDst, w.OuterTTL = v("192.0.2.1"), v("192.0.2.2"), 9
			w.Captured, w.Length = n+50, n+50
		})},
		{"ip in ip", 1, macs(etherIPv4, outer4(protoIPIP, plain[14:]...)...), 0, with(func(w *segment.Wire) {
			w.OuterSrc, w.OuterDst, w.OuterTTL = v("192.0.2.1"), v("192.0.2.2"), 9
			w.Captured, w.Length = n+20, n+20
		})},
		{"mpls", 1, macs(etherMPLS, join(label(9, 1), plain[14:])...), 0, with(func(w *segment.Wire) { w.Captured, w.Length = n+4, n+4 })},
	} {
		p := usualPcap
		p.link = c.link
		got := readWires(t, openBytes(t, join(p.header(), p.rec(1, 0, c.frame, c.wire))))
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s:\n%+v, want\n%+v", c.name, got, c.want)
		}
	}
}

// What the writer writes has the checksums right.
func TestWireOfWriter(t *testing.T) {
	for i, w := range readWires(t, openBytes(t, writeAll(t, exampleSegments()...))) {
		if w.TCPCheck != segment.CheckGood || w.IPCheck == segment.CheckBad {
			t.Errorf("segment %d: %+v", i, w)
		}
	}
}

// Wire answers for the segments of the last Read, also where their file ended or
// changed its byte order in it, and not for others.
func TestWireLifetime(t *testing.T) {
	frame := macs(etherIPv4, ip4(protoTCP, tcpHeader()...)...)
	l, g := littleNG, bigNG
	file := join(l.section(), l.iface(1, 0), l.packet(0, 1e6, frame), g.section(), g.iface(101, 0), g.packet(0, 1e6, frame[14:]), g.simple(40, frame[14:]))
	r, err := Open([]string{"-"}, Options{Stdin: iotest.DataErrReader(bytes.NewReader(file))})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batch := make([]segment.Segment, 32)
	n, err := r.Read(batch)
	if n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if n := testing.AllocsPerRun(100, func() { r.Wire(&batch[0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var with []bool
	for i := range batch[:n] {
		w := r.Wire(&batch[i])
		if !w.Known || w.IPLen != 40 {
			t.Errorf("segment %d: %+v", i, w)
		}
		with = append(with, w.SrcMAC != segment.MAC{})
	}
	if want := []bool{true, false, false}; !slices.Equal(with, want) {
		t.Errorf("with a MAC: %v, want %v", with, want)
	}
	other := batch[0]
	other.Dst.Port++
	for name, s := range map[string]segment.Segment{"made by hand": {}, "another": other, "past the buffer": {Raw: segment.Raw{At: 1 << 31, Kept: 1 << 31}},
		"no such source": {Ref: segment.Ref{Source: 9}, Raw: batch[0].Raw}} {
		if w := r.Wire(&s); w != (segment.Wire{}) {
			t.Errorf("%s: %+v", name, w)
		}
	}
	if _, err := r.Read(batch[5:]); err != io.EOF {
		t.Fatal(err)
	}
	if w := r.Wire(&batch[0]); w.Known {
		t.Errorf("after the next Read: %+v", w)
	}
}

// The way and the interface of a frame, by cooked headers and by pcapng.
func TestWays(t *testing.T) {
	four := ip4(protoTCP, tcpHeader()...)
	l := littleNG
	flags := func(n byte) []byte { return l.option(optionFlags, n, 0, 0, 0) }
	type seen struct {
		way   segment.Way
		iface uint32
	}
	cooked, cooked2 := usualPcap, usualPcap
	cooked.link, cooked2.link = 113, 276
	sll := func(kind int) []byte {
		return join(be16(kind), be16(1), be16(6), make([]byte, 8), be16(etherIPv4), four)
	}
	sll2 := func(kind byte, index int) []byte {
		return join(be16(etherIPv4), be16(0), be32(index), be16(1), []byte{kind, 6}, make([]byte, 8), four)
	}
	for _, c := range []struct {
		name string
		file []byte
		want []seen
	}{
		{"ethernet", usualPcap.file(ether(etherIPv4, four...)), []seen{{}}},
		{"cooked", cooked.file(sll(0), sll(1), sll(2), sll(3), sll(4), sll(5)),
			[]seen{{segment.WayIn, 0}, {segment.WayIn, 0}, {segment.WayIn, 0}, {segment.WayOther, 0}, {segment.WayOut, 0}, {}}},
		{"cooked 2", cooked2.file(sll2(0, 3), sll2(4, 7), sll2(9, 1)), []seen{{segment.WayIn, 3}, {segment.WayOut, 7}, {segment.WayUnknown, 1}}},
		{"pcapng", join(l.section(), l.iface(1, 0), l.iface(101, 0), l.packet(1, 1, four, flags(1)), l.packet(1, 1, four, flags(2)), l.packet(0, 1, ether(etherIPv4, four...)),
			l.packet(1, 1, four, flags(3)), l.packet(1, 1, four, flags(0x1d))),
			[]seen{{segment.WayIn, 1}, {segment.WayOut, 1}, {}, {segment.WayUnknown, 1}, {segment.WayIn, 1}}},
	} {
		var got []seen
		for _, s := range readAll(t, openBytes(t, c.file), 2) {
			got = append(got, seen{s.Way, s.Interface})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
