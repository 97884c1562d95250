package capture

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// FuzzReader: whatever the bytes, reading ends without a panic, counts every
// record once, and does not depend on how the bytes arrive.
func FuzzReader(f *testing.F) {
	names, err := filepath.Glob("testdata/*.pcap*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 4096 { // large seeds make the fuzzer slow, not better
			f.Add(b)
		}
	}
	p, l, g := usualPcap, littleNG, bigNG
	f.Add(p.file(aFrame, ether(0x0806), aFrame[:50]))
	f.Add(gz(f, p.file(aFrame)))
	f.Add(zst(f, p.file(aFrame), p.rec(1, 1, aFrame, 0)))
	f.Add(join(g.section(), g.iface(1, 0, g.option(optionResolution, 0x8a), g.option(optionOffset, g.u64(5)...)), g.packet(0, 1, aFrame, g.option(optionDropCount, g.u64(1)...)),
		g.oldPacket(0, 1, 2, aFrame), g.simple(60, aFrame), g.statistics(0, g.option(optionIfDrop, g.u64(3)...)), l.section(), l.iface(113, 96), l.block(blockJournal, nil)))
	quote := ip4(protoTCP, tcpHeader()...)
	f.Add(p.file(aFrame, ether(etherARP, arp(1, "10.0.0.1", "10.0.0.2")...), ether(etherIPv4, ip4(protoICMP, icmpError(3, 4, be32(1400), quote)...)...),
		ether(etherIPv6, ip6(protoICMPv6, icmpError(2, 0, be32(1280), ip6(protoTCP, tcpHeader()...))...)...), aFrame))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, ok := fuzzRead(t, bytes.NewReader(b), 64)
		parts, ok2 := fuzzRead(t, iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(b))), 3)
		if ok != ok2 {
			t.Fatalf("opened whole: %v, in parts: %v", ok, ok2)
		}
		if d := cmp.Diff(whole, parts, equalSegments...); d != "" {
			t.Fatalf("whole and in parts differ:\n%s", d)
		}
	})
}

// fuzzRead returns the segments of a capture; not ok if it was not opened.
func fuzzRead(t *testing.T, in io.Reader, size int) (segs []segment.Segment, ok bool) {
	r, err := Open([]string{"-"}, Options{Stdin: in})
	if err != nil {
		return nil, false
	}
	segs = readAll(t, r, size)
	st := r.Stats()
	sum := st.Segments
	for _, c := range st.Skipped {
		sum += c.Count
		if c.Frame == 0 || c.Frame > st.Packets {
			t.Errorf("%+v of %d packets", c, st.Packets)
		}
	}
	if sum != st.Packets || st.Segments != uint64(len(segs)) || st.First > st.Last {
		t.Errorf("%d segments, %+v", len(segs), st)
	}
	for i, s := range segs {
		if s.Frame != s.SourceFrame || i > 0 && s.Frame <= segs[i-1].Frame || s.NSACK > 4 || len(s.RawOptions) > 40 {
			t.Errorf("%+v", s)
		}
		if src, n, ok := r.Locate(s.Frame); !ok || src != 0 || n != s.Frame {
			t.Errorf("Locate(%d) = %d, %d, %v", s.Frame, src, n, ok)
		}
	}
	for _, w := range st.Warnings {
		if w.Code == "" || w.Says == "" || w.Frame > st.Packets {
			t.Errorf("%+v", w)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return segs, true
}

// FuzzDecode: no frame makes the decoder panic or read what is not there, and
// the short way through Ethernet and IPv4 gives what the general one does.
func FuzzDecode(f *testing.F) {
	four, six := ip4(protoTCP, tcpHeader(2, 4, 5, 180, 4, 2)...), ip6(protoHopByHop, join([]byte{protoTCP, 0, 1, 4, 0, 0, 0, 0}, tcpHeader(1, 1, 5, 10, 1, 2, 3, 4, 5, 6, 7, 8))...)
	f.Add(uint16(1), ether(etherIPv4, four...), uint32(0))
	f.Add(uint16(1), ether(etherIPv4, append(four, make([]byte, 50)...)...), uint32(0))
	f.Add(uint16(1), ether(etherVLAN, join([]byte{0, 5, 0x86, 0xdd}, six)...), uint32(1500))
	f.Add(uint16(113), join(make([]byte, 14), be16(etherIPv6), six), uint32(0))
	f.Add(uint16(276), join(be16(etherIPv4), make([]byte, 18), ip4(protoAH, join([]byte{protoTCP, 4}, make([]byte, 22), tcpHeader())...)), uint32(0))
	f.Add(uint16(0), join([]byte{30, 0, 0, 0}, six), uint32(0))
	f.Add(uint16(101), ip4Options(protoTCP, make([]byte, 40), tcpHeader(254, 4, 0xf9, 0x89)...), uint32(0))
	f.Add(uint16(101), ip6(protoFragment, join([]byte{protoTCP, 0, 0, 1, 0, 0, 0, 9}, tcpHeader())...), uint32(70000))
	for _, c := range tunnelCases() {
		f.Add(uint16(1), c.frame, uint32(0))
	}
	f.Fuzz(func(t *testing.T, link uint16, frame []byte, wire uint32) {
		seg, why, _ := decodeOne(t, uint32(link), frame, int(wire&(1<<28-1)))
		if why == "" {
			checkDecoded(t, &seg, frame)
		}
		if link != linkEthernet || len(frame) < 14 {
			return
		}
		cooked := join(make([]byte, 14), frame[12:])
		seg2, why2, _ := decodeOne(t, 113, cooked, max(int(wire&(1<<28-1)), len(frame))+2)
		if why != why2 {
			t.Fatalf("ethernet says %q, cooked %q", why, why2)
		}
		if why == "" {
			seg2.Way = seg.Way
			if d := cmp.Diff(seg, seg2, equalSegments...); d != "" {
				t.Fatalf("ethernet and cooked differ:\n%s", d)
			}
		}
	})
}

func checkDecoded(t *testing.T, seg *segment.Segment, frame []byte) {
	if len(seg.RawOptions) > 40 || cap(seg.RawOptions) != len(seg.RawOptions) || !bytes.Contains(frame, seg.RawOptions) {
		t.Errorf("raw options % x, room for %d", seg.RawOptions, cap(seg.RawOptions))
	}
	if seg.NSACK > 4 || (seg.NSACK > 0) != seg.Options.Has(segment.OptSACK) || seg.VLAN > 4095 || seg.Flags > 0x1ff {
		t.Errorf("%+v", seg)
	}
	if !seg.HasTS() && (seg.TSVal.Uint32() != 0 || seg.TSEcr.Uint32() != 0) || !seg.Options.Has(segment.OptMSS) && seg.MSS != 0 {
		t.Errorf("a field without its option: %+v", seg)
	}
	if seg.Len > maxBigPacket {
		t.Errorf("%d bytes of payload", seg.Len)
	}
}
