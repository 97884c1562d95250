package capture

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// linuxSYN are the options of a SYN of Linux.
var linuxSYN = []byte{optMSS, 4, 5, 0xb4, optSACKPermitted, 2, optTimestamps, 10, 1, 2, 3, 4, 5, 6, 7, 8, optNop, optWScale, 3, 7}

// What packet decodes by itself is what general makes of it, for the usual frames with each of
// their bytes changed, cut at each, and sent longer than captured.
func TestPacketLikeGeneral(t *testing.T) {
	timestamps := []byte{optNop, optNop, optTimestamps, 10, 1, 2, 3, 4, 5, 6, 7, 8}
	for _, o := range [][]byte{nil, timestamps, linuxSYN} {
		for _, frame := range [][]byte{
			ether(etherIPv4, ip4(protoTCP, join(tcpHeader(o...), []byte("data"))...)...),
			ether(etherIPv6, ip6(protoTCP, join(tcpHeader(o...), []byte("data"))...)...),
		} {
			for i := range frame {
				likeGeneral(t, frame[:i:i], len(frame))
				likeGeneral(t, frame[:i:i], i)
				for _, v := range []byte{0, 1, frame[i] ^ 1, frame[i] ^ 0x10, frame[i] + 4, frame[i] - 4, 0xff} {
					changed := bytes.Clone(frame)
					changed[i] = v
					likeGeneral(t, changed, len(frame))
					likeGeneral(t, changed, len(frame)+1000)
				}
			}
		}
	}
}

// likeGeneral decodes a frame by packet and by general.
func likeGeneral(t *testing.T, frame []byte, wire int) {
	t.Helper()
	seg, why, s := decodeOne(t, linkEthernet, frame, wire)
	want, general := garbage(), &source{notes: new([]segment.Note)}
	want.Doubt, want.VLAN, want.Way, want.Tunnel = 0, 0, 0, segment.Tunnel{}
	r := general.general(&want, linkEther, frame[:len(frame):len(frame)], uint32(wire))
	if reasons[r].code != why || s.longer.n != general.longer.n || s.snapped.n != general.snapped.n {
		t.Fatalf("% x of %d: %q and not %q, or the counters differ", frame, wire, why, reasons[r].code)
	}
	if d := cmp.Diff(want, seg, equalSegments...); why == "" && d != "" {
		t.Fatalf("% x of %d:\n%s", frame, wire, d)
	}
}

// setOptions knows the options of a SYN of Linux by heart; whatever is near them is read as
// all options are.
func TestSetOptionsLikeReadOptions(t *testing.T) {
	check := func(o []byte) {
		t.Helper()
		got, want := garbage(), garbage()
		setOptions(&got, o)
		want.RawOptions = o
		want.Options, want.NSACK, want.WScale, want.MSS = 0, 0, 0, 0
		want.TSVal, want.TSEcr = segment.Segment{}.TSVal, segment.Segment{}.TSEcr
		readOptions(&want, o)
		if d := cmp.Diff(want, got, equalSegments...); d != "" {
			t.Fatalf("% x:\n%s", o, d)
		}
	}
	for i := range linuxSYN {
		check(linuxSYN[:i])
		for v := range 256 {
			o := bytes.Clone(linuxSYN)
			o[i] = byte(v)
			check(o)
			check(append(o, optNop, optWScale, 3, 9))
		}
	}
}

// In a big-endian section the same bytes are another block: the number of this one's kind is
// 0x06000000, which nobody knows.
func TestBareBlockOfTheOtherOrder(t *testing.T) {
	const size = 0x00010100 // reads the same from both ends
	block := littleNG.packet(0, 1, append(bytes.Clone(aFrame), make([]byte, size-bareBlock-len(aFrame))...))
	if len(block) != size {
		t.Fatalf("the block has %#x bytes", len(block))
	}
	for name, c := range map[string]struct {
		g    ng
		want uint64
	}{"little-endian": {littleNG, 2}, "big-endian": {bigNG, 1}} {
		r := openBytes(t, join(c.g.section(), c.g.iface(1, 0), c.g.packet(0, 1, aFrame), block))
		readAll(t, r, 4)
		if st := r.Stats(); st.Segments != c.want || len(st.Warnings) > 0 {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// A frame of a link type that is not read is told of with its number.
func TestUnsupportedLinkOfPcapng(t *testing.T) {
	g := littleNG
	r := openBytes(t, join(g.section(), g.iface(1, 0), g.iface(127, 0), g.packet(0, 1, aFrame), g.packet(1, 2, aFrame)))
	readAll(t, r, 4)
	st := r.Stats()
	if st.Segments != 1 || len(st.Warnings) != 1 || st.Warnings[0].Says != "standard input has 1 frame of link type 127 (802.11 radio), which is not read." {
		t.Errorf("%+v", st)
	}
}
