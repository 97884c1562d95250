package capture

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestPcapngVariants(t *testing.T) {
	for _, g := range []ng{littleNG, bigNG} {
		other := littleNG
		if g == littleNG {
			other = bigNG
		}
		null := join([]byte{0, 0, 0, 2}, ip4(protoTCP, tcpHeader()...))
		b := join(
			g.section(),
			g.iface(linkEthernet, 0),
			g.iface(0, 0, g.option(2, []byte("lo")...), g.option(optionResolution, 9)),
			g.packet(0, 1_000_001, aFrame, g.option(1, []byte("a comment")...)),
			g.block(4, []byte{0, 0, 0, 0}), // names: not a frame
			g.packet(1, 2_000_000_002, null),
			g.block(blockCustom, []byte("\x00\x00\x30\x39data")),
			g.oldPacket(0, 0xffff, 3_000_000, aFrame),
			g.simple(len(aFrame), aFrame),
			g.block(0x7777, []byte("unknown")),
			// A second section in the other byte order starts anew.
			other.section(),
			other.iface(101, 0, other.option(optionOffset, other.u64(100)...), other.option(optionEnd), other.option(optionResolution, 9)),
			other.packet(0, 5_000_000, ip6(protoTCP, tcpHeader()...)),
		)
		r := openBytes(t, b)
		segs := readAll(t, r, 3)
		type line struct {
			frame uint64
			at    int64
			iface uint32
		}
		var got []line
		for _, s := range segs {
			got = append(got, line{s.Frame, s.Time, s.Interface})
		}
		want := []line{{1, 1_000_001_000, 0}, {2, 2_000_000_002, 1}, {4, 3_000_000_000, 0}, {5, 3_000_000_000, 0}, {6, 105_000_000_000, 0}}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", g.o, got, want)
		}
		st := r.Stats()
		if st.Packets != 6 || st.First != 1_000_001_000 || st.Last != 105e9 || len(st.Skipped) != 1 || st.Skipped[0].Code != "not-packet" || st.Skipped[0].Frame != 3 {
			t.Errorf("%v: %+v", g.o, st)
		}
		if warningCodes(r) != "timeless" {
			t.Errorf("%v: %+v", g.o, st.Warnings)
		}
	}
}

// A simple packet block is as long as the snap length or its block says.
func TestSimplePacket(t *testing.T) {
	g := littleNG
	frame := ether(etherIPv4, ip4(protoTCP, append(tcpHeader(2, 4, 5, 180), make([]byte, 60)...)...)...)
	for _, c := range []struct {
		snap uint32
		kept int
		why  string
	}{{0, len(frame), ""}, {60, 60, ""}, {0, 60, ""}, {53, 53, "tcp-cut"}, {1 << 31, len(frame), ""}} {
		r := openBytes(t, join(g.section(), g.iface(1, c.snap), g.simple(len(frame), frame[:c.kept])))
		segs := readAll(t, r, 3)
		why := ""
		if st := r.Stats(); len(st.Skipped) > 0 {
			why = st.Skipped[0].Code
		}
		if why != c.why || why == "" && (segs[0].Len != 60 || segs[0].MSS != 1460 || segs[0].Time != 0) {
			t.Errorf("%+v: %q %+v", c, why, segs)
		}
	}
}

// A journal entry before the first packet has no part in the clock.
func TestFirstPacketIsNotFirstFrame(t *testing.T) {
	g := littleNG
	r := openBytes(t, join(g.section(), g.block(blockJournal, []byte("MESSAGE=x\n")), g.iface(1, 0), g.packet(0, 9_000_000, aFrame)))
	segs := readAll(t, r, 3)
	st := r.Stats()
	if len(segs) != 1 || segs[0].Frame != 2 || st.First != 9e9 || st.Last != 9e9 || len(st.Warnings) != 0 {
		t.Errorf("%+v %+v", segs, st)
	}
	r = openBytes(t, join(g.section(), g.block(blockJournal, []byte("MESSAGE=x\n"))))
	readAll(t, r, 3)
	if st := r.Stats(); st.First != 0 || st.Last != 0 || st.Packets != 1 {
		t.Errorf("only a journal entry: %+v", st)
	}
}

func TestDrops(t *testing.T) {
	for _, g := range []ng{littleNG, bigNG} {
		drop := func(n uint64) []byte { return g.option(optionDropCount, g.u64(n)...) }
		ifDrop := func(n uint64) []byte { return g.option(optionIfDrop, g.u64(n)...) }
		osDrop := func(n uint64) []byte { return g.option(optionOSDrop, g.u64(n)...) }
		head := join(g.section(), g.iface(1, 0), g.iface(1, 0), g.packet(0, 1, aFrame))
		for _, c := range []struct {
			name  string
			rest  []byte
			says  string
			frame uint64
		}{
			{"none", join(g.statistics(0, ifDrop(0), osDrop(0)), g.packet(1, 2, aFrame, drop(0))), "", 0},
			{"the last statistics count", join(g.statistics(0, ifDrop(5)), g.statistics(0, ifDrop(7), osDrop(1))), "8 packets", 0},
			{"interfaces add up", join(g.statistics(0, ifDrop(5)), g.statistics(1, osDrop(2)), g.statistics(9, osDrop(100))), "7 packets", 0},
			{"packets add up", join(g.packet(0, 2, aFrame), g.packet(0, 3, aFrame, g.option(1, []byte("hm")...), drop(1)), g.packet(0, 4, aFrame, drop(2))), "3 packets", 3},
			{"both are one", join(g.packet(0, 2, aFrame, drop(1)), g.statistics(0, ifDrop(1))), "1 packet", 2},
			{"old packet block", join(g.oldPacket(0, 4, 2, aFrame), g.oldPacket(0, 0xffff, 2, aFrame)), "4 packets", 2},
			{"sections add up", join(g.statistics(0, ifDrop(5)), g.section(), g.iface(1, 0), g.statistics(0, ifDrop(6))), "11 packets", 0},
			{"of a wrong size", join(g.statistics(0, g.option(optionIfDrop, 1, 0, 0, 0)), g.packet(0, 2, aFrame, g.option(optionDropCount, 9))), "", 0},
			{"behind the end", join(g.packet(0, 2, aFrame, g.option(optionEnd), drop(9))), "", 0},
			{"statistics too short", g.block(blockStatistics, make([]byte, 8)), "", 0},
			{"option too long", g.statistics(0, []byte{0, 5, 5, 0}, g.u64(9)), "", 0},
		} {
			r := openBytes(t, join(head, c.rest))
			readAll(t, r, 2)
			w := r.Stats().Warnings
			if c.says == "" {
				if len(w) != 0 {
					t.Errorf("%s: %+v", c.name, w)
				}
				continue
			}
			if want := "standard input says that the capture lost " + c.says + "."; len(w) != 1 || w[0] != (Warning{"capture-drops", want, c.frame, 0}) {
				t.Errorf("%s: %+v, want %q", c.name, w, want)
			}
		}
	}
}

// Block lengths without their padding are forgiven.
func TestUnpaddedLength(t *testing.T) {
	g := littleNG
	frame := append(aFrame[:len(aFrame):len(aFrame)], 0, 0, 0) // 57 bytes: padded to 60
	b := g.packet(0, 1, frame)
	unpadded := byte(len(b) - 3)
	b = setByte(setByte(b, 4, unpadded), len(b)-4, unpadded)
	r := openBytes(t, join(g.section(), g.iface(1, 0), b, g.packet(0, 2, aFrame)))
	if segs := readAll(t, r, 2); len(segs) != 2 || len(r.Stats().Warnings) != 0 {
		t.Errorf("%+v %+v", segs, r.Stats())
	}
}

func TestClock(t *testing.T) {
	const ticks = 1_700_000_000_123_456
	for _, c := range []struct {
		resolution uint8
		offset     int64
		ticks      uint64
		want       int64
	}{
		{6, 0, ticks, ticks * 1000},
		{9, 0, ticks * 1000, ticks * 1000},
		{3, 5, 1_700_000_000_123, 1_700_000_005_123_000_000},
		{0, -5, 1_700_000_000, 1_699_999_995_000_000_000},
		{12, 0, 5_000_000_001_999, 5_000_000_001},
		{28, 0, math.MaxUint64, 1},
		{29, 7, math.MaxUint64, 7_000_000_000},
		{0x80, 0, 3, 3_000_000_000},
		{0x80 | 10, 0, 1536, 1_500_000_000},
		{0x80 | 32, 0, 1700000000<<32 | 1<<31, 1_700_000_000_500_000_000},
		{0x80 | 63, 0, 1 << 62, 500_000_000},
		{0x80 | 64, 0, 1 << 63, 500_000_000},
		{0x80 | 127, 0, math.MaxUint64, 0},
		{6, 0, math.MaxUint64, timeMax / 1000 * 1000},
		{9, math.MaxInt64, math.MaxUint64, timeMax + offsetMax*1e9},
		{9, math.MinInt64, 0, -offsetMax * 1e9},
	} {
		k := clockOf(c.resolution, c.offset)
		got := k.time(c.ticks)
		if got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// The arithmetic on two words agrees with that on numbers of any size.
func TestClockProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		resolution := rapid.Uint8().Draw(t, "resolution")
		ticks := rapid.Uint64().Draw(t, "ticks")
		if rapid.Bool().Draw(t, "small") {
			ticks >>= rapid.UintRange(0, 63).Draw(t, "shift")
		}
		per := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(resolution)), nil)
		if resolution&0x80 != 0 {
			per.Lsh(big.NewInt(1), uint(resolution&0x7f))
		}
		want := new(big.Int).SetUint64(ticks)
		want.Mul(want, big.NewInt(1e9)).Div(want, per)
		k := clockOf(resolution, 0)
		got := k.time(ticks)
		switch {
		case want.Cmp(big.NewInt(timeMax/2)) > 0:
			if got < timeMax/2 {
				t.Fatalf("%d, want at least %d", got, int64(timeMax/2))
			}
		case got != want.Int64():
			t.Fatalf("%d, want %v", got, want)
		}
	})
}
