package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

var aFrame = ether(etherIPv4, ip4(protoTCP, tcpHeader()...)...)

// warningCodes are the codes of the warnings, in order.
func warningCodes(r *Reader) string {
	var codes []string
	for _, w := range r.Stats().Warnings {
		codes = append(codes, w.Code)
	}
	return strings.Join(codes, " ")
}

func TestPcapVariants(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for magic, want := range map[uint32]int64{magicMicros: 7_000_000_123_000, magicNanos: 7_000_000_000_123, magicModified: 7_000_000_123_000} {
			p := pcapSpec{order: order, magic: magic, link: linkEthernet | 0x54000000, record: 16}
			if magic == magicModified {
				p.record = 24
			}
			b := join(p.header(), p.rec(7000, 123, aFrame, 0), p.rec(7000, 123, ether(0x0806), 0), p.rec(7001, 0, aFrame[:54], 1000))
			r := openBytes(t, b)
			segs := readAll(t, r, 8)
			if len(segs) != 2 || segs[0].Time != want || segs[0].Interface != 0 || segs[1].Frame != 3 || segs[1].Len != 0 {
				t.Errorf("%v %x: %+v", order, magic, segs)
			}
			st := r.Stats()
			if st.Packets != 3 || st.Segments != 2 || st.First != want || st.Last != 7_001_000_000_000 || len(st.Warnings) != 0 {
				t.Errorf("%v %x: %+v", order, magic, st)
			}
			if len(st.Skipped) != 1 || st.Skipped[0] != (Count{"not-ip", reasons[notIP].says, 1, 2}) {
				t.Errorf("%v %x: skipped %+v", order, magic, st.Skipped)
			}
		}
	}
}

// Wherever a file is cut, what stands before the cut is read.
func TestCutAnywhere(t *testing.T) {
	g := littleNG
	for name, c := range map[string]struct {
		head    []byte
		records [][]byte
	}{
		"pcap":   {usualPcap.header(), [][]byte{usualPcap.rec(1, 0, aFrame, 0), usualPcap.rec(2, 0, ether(0x0806, 1), 0), usualPcap.rec(3, 0, aFrame, 0)}},
		"pcapng": {join(g.section(), g.iface(1, 0)), [][]byte{g.packet(0, 1, aFrame), g.packet(0, 2, ether(0x0806, 1)), g.simple(len(aFrame), aFrame)}},
	} {
		for end := len(c.head); ; end++ {
			whole, at := uint64(0), len(c.head)
			for _, rec := range c.records {
				if at+len(rec) > end {
					break
				}
				at += len(rec)
				whole++
			}
			r := openBytes(t, join(c.head, join(c.records...))[:end])
			readAll(t, r, 2)
			st := r.Stats()
			var cut []Warning
			for _, w := range st.Warnings {
				if w.Code != "timeless" {
					cut = append(cut, w)
				}
			}
			if st.Packets != whole || (len(cut) == 0) != (at == end) {
				t.Fatalf("%s cut to %d bytes: %d packets, want %d; %+v", name, end, st.Packets, whole, st.Warnings)
			}
			if len(cut) > 0 {
				says := fmt.Sprintf("standard input ends in the middle of a record: frame %d is its last whole one.", whole)
				if cut[0].Code != "capture-cut-short" || cut[0].Frame != whole || cut[0].Says != says {
					t.Fatalf("%s cut to %d bytes: %+v", name, end, cut)
				}
			}
			if whole == uint64(len(c.records)) {
				break
			}
		}
	}
}

// A length that cannot be ends the reading, and takes no memory.
func TestAbsurdLengths(t *testing.T) {
	g, p := littleNG, usualPcap
	bad := func(rec []byte, at int, n uint32) []byte {
		rec = bytes.Clone(rec)
		binary.LittleEndian.PutUint32(rec[at:], n)
		return rec
	}
	unlimited := p
	unlimited.snap = 0
	ngHead := join(g.section(), g.iface(1, 0), g.packet(0, 1, aFrame))
	for name, b := range map[string][]byte{
		"pcap, far over the snap length":     join(p.file(aFrame), bad(p.rec(1, 0, aFrame, 0), 8, 1<<20+1), aFrame),
		"pcap, all ones":                     join(p.file(aFrame), bad(p.rec(1, 0, aFrame, 0), 8, 1<<32-1), aFrame),
		"pcap, without a snap length":        join(unlimited.file(aFrame), bad(p.rec(1, 0, aFrame, 0), 8, maxRecord+1), aFrame),
		"pcapng block, all ones":             join(ngHead, bad(g.packet(0, 1, aFrame), 4, 1<<32-1)),
		"pcapng block, over the limit":       join(ngHead, bad(g.packet(0, 1, aFrame), 4, maxRecord+1)),
		"pcapng block, too small":            join(ngHead, bad(g.packet(0, 1, aFrame), 4, 11)),
		"pcapng block, lengths differ":       join(ngHead, bad(g.packet(0, 1, aFrame), 4, 12+20+56-4)),
		"pcapng block, its end differs":      join(ngHead, bad(g.packet(0, 1, aFrame), len(g.packet(0, 1, aFrame))-4, 84)),
		"pcapng packet, all ones":            join(ngHead, bad(g.packet(0, 1, aFrame), 20, 1<<32-1)),
		"pcapng packet, more than its block": join(ngHead, bad(g.packet(0, 1, aFrame), 20, 57)),
		"pcapng packet block without header": join(ngHead, g.block(blockPacket, make([]byte, 16))),
		"pcapng unknown interface":           join(ngHead, g.packet(1, 1, aFrame)),
		"pcapng unknown interface, old":      join(ngHead, g.oldPacket(7, 0, 1, aFrame)),
		"pcapng simple packet, empty":        join(ngHead, g.block(blockSimple, nil)),
		"pcapng simple packet, no interface": join(ngHead, g.section(), g.simple(60, aFrame)),
		"pcapng interface too short":         join(ngHead, g.block(blockInterface, make([]byte, 4))),
		"pcapng section too short":           join(ngHead, g.block(blockSection, g.section()[8:16])),
		"pcapng section of another version":  join(ngHead, setByte(g.section(), 12, 2)),
		"pcapng section, wrong byte order":   join(ngHead, setByte(g.section(), 8, 2)),
		"pcapng interfaces without end":      join(ngHead, bytes.Repeat(g.iface(1, 0), maxInterfaces)),
		"pcapng packet of a section before":  join(ngHead, g.section(), g.packet(0, 1, aFrame)),
	} {
		r := openBytes(t, b)
		readAll(t, r, 4)
		st := r.Stats()
		if st.Packets != 1 || len(st.Warnings) != 1 || st.Warnings[0].Code != "capture-broken" || st.Warnings[0].Frame != 1 {
			t.Errorf("%s: %+v", name, st)
		}
		if n := cap(r.sources[0].pcapng.ifaces); n > 2*maxInterfaces {
			t.Errorf("%s: room for %d interfaces", name, n)
		}
	}
}

// A record larger than the buffer gives its headers; the next one is found.
func TestRecordOverBuffer(t *testing.T) {
	big := ether(etherIPv4, ip4(protoTCP, append(tcpHeader(), make([]byte, 2*bufferSize+100)...)...)...)
	big = setByte(setByte(big, 16, 0), 17, 0) // total length 0: the record's counts
	p, g := usualPcap, bigNG
	for name, c := range map[string]struct{ head, before, big, after []byte }{
		"pcap":   {p.header(), p.rec(1, 0, aFrame, 0), p.rec(2, 0, big, 0), p.rec(3, 0, aFrame, 0)},
		"pcapng": {join(g.section(), g.iface(1, 0)), g.packet(0, 1, aFrame), g.packet(0, 2, big, g.option(optionDropCount, g.u64(9)...)), g.packet(0, 3, aFrame)},
		"simple": {join(g.section(), g.iface(1, 0)), g.packet(0, 1, aFrame), g.simple(len(big), big), g.packet(0, 3, aFrame)},
		"other":  {join(g.section(), g.iface(1, 0)), g.packet(0, 1, aFrame), g.block(blockCustom, big), g.packet(0, 3, aFrame)},
	} {
		if name == "pcap" {
			p.snap = 1 << 20
			c.head = p.header()
		}
		want := 3
		if name == "other" {
			want = 2
		}
		r := openBytes(t, join(c.head, c.before, c.big, c.after))
		segs := readAll(t, r, 4)
		if len(segs) != want || segs[want-1].SourceFrame != 3 {
			t.Fatalf("%s: %d segments, %+v", name, len(segs), r.Stats())
		}
		if want == 3 && segs[1].Len != uint32(len(big)-14-40) {
			t.Errorf("%s: payload of %d bytes, want %d", name, segs[1].Len, len(big)-14-40)
		}
		if len(r.sources) != 1 || strings.ReplaceAll(warningCodes(r), "timeless", "") != "" {
			t.Errorf("%s: %+v", name, r.Stats().Warnings)
		}
		// Cut in the part that is thrown away.
		r = openBytes(t, join(c.head, c.before, c.big[:len(c.big)-10]))
		if readAll(t, r, 4); !strings.Contains(warningCodes(r), "capture-cut-short") || r.Stats().Packets != 2 {
			t.Errorf("%s, cut: %+v", name, r.Stats())
		}
	}
}

func TestClockBackwards(t *testing.T) {
	p := usualPcap
	for _, c := range []struct {
		micros []uint32
		steps  int
		says   string
	}{
		{[]uint32{5_000_000, 4_000_000, 4_000_000}, 0, ""},
		{[]uint32{5_000_000, 3_999_999, 9_000_000, 5_000_000}, 2, "standard input has a clock that goes backwards 2 times, by up to 4s."},
		{[]uint32{5_000_000, 3_999_999}, 1, "standard input has a clock that goes backwards 1 time, by up to 1.000001s."},
	} {
		b := p.header()
		for _, at := range c.micros {
			b = append(b, p.rec(at/1e6, at%1e6, aFrame, 0)...)
		}
		r := openBytes(t, b)
		readAll(t, r, 3)
		st := r.Stats()
		if (c.steps > 0) != (len(st.Warnings) == 1) {
			t.Fatalf("%v: %+v", c.micros, st.Warnings)
		}
		if c.steps > 0 && (st.Warnings[0].Says != c.says || st.Warnings[0].Code != "clock-backwards" || st.Warnings[0].Frame != 2) {
			t.Errorf("%v: %+v", c.micros, st.Warnings)
		}
		if c.steps == 0 && (st.First != 4e9 || st.Last != 5e9) {
			t.Errorf("%v: %+v", c.micros, st)
		}
	}
}

// Each doubt about the frames themselves is put into a sentence.
func TestFrameWarnings(t *testing.T) {
	p := usualPcap
	tcp := append(tcpHeader(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2), make([]byte, 100)...)
	f := ether(etherIPv4, ip4(protoTCP, tcp...)...)
	cut := func(n int) []byte { return join(p.header(), p.rec(1, 0, f[:n], len(f))) }
	wifi := p
	wifi.link = 127
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"whole headers":  {cut(66), ""},
		"no options":     {cut(65), "snapped"},
		"tcp header":     {cut(50), "snapped"},
		"ip header":      {cut(30), "snapped"},
		"malformed":      {p.file(setByte(f, 14, 0x42)), "malformed"},
		"fragment":       {p.file(setByte(f, 21, 9)), "ip-fragments"},
		"tunnel":         {p.file(setByte(setByte(f, 23, protoGRE), 34, 0x43)), "tunnel"},
		"tunnel header":  {join(p.header(), p.rec(1, 0, ether(etherIPv4, ip4(protoUDP, udp(portVXLAN, vxlan(1, f)...)...)...)[:49], 14+20+8+8+len(f))), "snapped"},
		"first fragment": {p.file(setByte(f, 20, 0x20)), "ip-fragments"},
		"udp":            {p.file(setByte(f, 23, protoUDP)), ""},
		"shortened":      {p.file(f[:100]), "length-contradicts"},
		"wifi":           {wifi.file(f, f), "link-unsupported"},
	} {
		r := openBytes(t, c.file)
		readAll(t, r, 1)
		if got := warningCodes(r); got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
		for _, w := range r.Stats().Warnings {
			if w.Frame != 1 || !strings.HasPrefix(w.Says, "standard input has ") || !strings.HasSuffix(w.Says, ".") {
				t.Errorf("%s: %+v", name, w)
			}
			if name == "wifi" && !strings.Contains(w.Says, "2 frames of link type 127 (802.11 radio)") {
				t.Errorf("%s: %s", name, w.Says)
			}
		}
	}
}

// What a live stream has sent is handed on at once, whole frames only.
func TestLiveStream(t *testing.T) {
	p := usualPcap
	in, out := io.Pipe()
	sent := make(chan int)
	go func() {
		b := p.rec(1, 0, aFrame, 0)
		out.Write(p.header())
		for i := range 3 {
			out.Write(b[:20])
			out.Write(b[20:])
			sent <- i
		}
		out.Close()
	}()
	r, err := Open([]string{"-"}, Options{Stdin: in})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]segment.Segment, 32)
	for i := range 3 {
		n, err := r.Read(batch)
		if n != 1 || err != nil {
			t.Fatalf("read %d: %d, %v", i, n, err)
		}
		select {
		case <-sent: // the writer waits for this before it sends more
		case <-time.After(10 * time.Second):
			t.Fatal("the reader was ahead of the writer")
		}
	}
	if n, err := r.Read(batch); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// Reading does not allocate, whatever the frames are.
func TestReadAllocatesNothing(t *testing.T) {
	g := littleNG
	b := join(g.section(), g.iface(1, 0))
	for i := range 2000 {
		b = append(b, g.packet(0, uint64(i), aFrame, g.option(optionDropCount, g.u64(1)...))...)
		b = append(b, g.packet(0, uint64(i), ether(etherIPv6, ip6(protoTCP, tcpHeader(5, 10, 1, 2, 3, 4, 5, 6, 7, 8)...)...))...)
		b = append(b, g.packet(0, uint64(i), ether(0x0806, make([]byte, 28)...))...)
		b = append(b, g.statistics(0, g.option(optionIfDrop, g.u64(1)...))...)
	}
	for name, file := range map[string][]byte{"pcapng": b, "pcap": usualPcap.file(repeat(aFrame, 4000)...)} {
		r := openBytes(t, file)
		batch := make([]segment.Segment, 8)
		if n := testing.AllocsPerRun(200, func() {
			if n, err := r.Read(batch); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a read", name, n)
		}
	}
}

func repeat(b []byte, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = b
	}
	return all
}
