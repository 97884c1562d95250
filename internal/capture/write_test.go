package capture

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// endpoint reads "address:port".
func endpoint(s string) segment.Endpoint {
	a := netip.MustParseAddrPort(s)
	return segment.Endpoint{Addr: segment.AddrFromNetip(a.Addr()), Port: a.Port()}
}

func writeAll(t testing.TB, segs ...segment.Segment) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range segs {
		if err := w.WriteSegment(&segs[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// exampleSegments are one of each shape that the writer knows.
func exampleSegments() []segment.Segment {
	c, s := endpoint("10.0.0.1:51820"), endpoint("192.168.7.2:80")
	c6, s6 := endpoint("[2001:db8::1]:51820"), endpoint("[fe80::2]:80")
	at := func(ns int64) segment.Ref { return segment.Ref{Time: 1700000000_000000000 + ns} }
	syn := segment.OptMSS | segment.OptSACKPermitted | segment.OptTimestamps | segment.OptWScale
	return []segment.Segment{
		{Ref: at(1), Src: c, Dst: s, Seq: seq.Of(100), Flags: segment.SYN, Window: 64240, Options: syn, MSS: 1460, WScale: 7,
			TSVal: seq.Of(9), TTL: 64, IPID: 77},
		{Ref: at(2), Src: s, Dst: c, Seq: seq.Of(4294967295), Ack: seq.Of(101), Flags: segment.SYN | segment.ACK | segment.ECE,
			Window: 65160, Options: segment.OptMSS | segment.OptSACKPermitted | segment.OptWScale, MSS: 536, TTL: 3, VLAN: 4095},
		{Ref: at(3), Src: c, Dst: s, Seq: seq.Of(101), Ack: seq.Of(0), Flags: segment.ACK | segment.AE, TTL: 255, TOS: 0xab, Len: 7},
		{Ref: at(4), Src: c6, Dst: s6, Seq: seq.Of(1), Flags: segment.FIN | segment.URG | segment.PSH | segment.ACK | segment.CWR,
			Urgent: 5, Options: segment.OptTimestamps, TSVal: seq.Of(1 << 31), TSEcr: seq.Of(3), TTL: 1, TOS: 0x5c, Len: 1448},
		{Ref: at(5), Src: s6, Dst: c6, Seq: seq.Of(1), Ack: seq.Of(2), Flags: segment.ACK, TTL: 64, VLAN: 1,
			Options: segment.OptTimestamps | segment.OptSACK, NSACK: 3, TSVal: seq.Of(5), TSEcr: seq.Of(6),
			SACK: [4]segment.SACKBlock{{Left: seq.Of(10), Right: seq.Of(20)}, {Left: seq.Of(30), Right: seq.Of(40)}, {Left: seq.Of(4294967290), Right: seq.Of(3)}}},
		{Ref: at(6), Src: s, Dst: c, Flags: segment.RST, TTL: 64},
		{Ref: at(7), Src: s, Dst: c, Flags: segment.ACK, TTL: 64, Len: 65535 - 40},
	}
}

// An independent decoder must find lengths and checksums right.
func TestWriterAgainstGopacket(t *testing.T) {
	segs := exampleSegments()
	r, err := pcapgo.NewReader(bytes.NewReader(writeAll(t, segs...)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range segs {
		want := &segs[i]
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if ci.Timestamp.UnixNano() != want.Time {
			t.Errorf("%d: time %v", i, ci.Timestamp)
		}
		p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
		if p.ErrorLayer() != nil {
			t.Fatalf("%d: %v", i, p.ErrorLayer().Error())
		}
		tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok {
			t.Fatalf("%d: no tcp in %v", i, p)
		}
		if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		if err, bad := p.VerifyChecksums(); err != nil || len(bad) != 0 {
			t.Errorf("%d: checksums %v %v", i, err, bad)
		}
		if tcp.Seq != want.Seq.Uint32() || tcp.Ack != want.Ack.Uint32() || len(tcp.Payload) != int(want.Len) {
			t.Errorf("%d: seq %d ack %d len %d", i, tcp.Seq, tcp.Ack, len(tcp.Payload))
		}
		if src := p.NetworkLayer().NetworkFlow().Src().String(); src != want.Src.Addr.String() {
			t.Errorf("%d: from %s, want %v", i, src, want.Src.Addr)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("after the last: %v", err)
	}
}

// The order and padding of options are Linux's.
func TestWriterOptionLayout(t *testing.T) {
	ts := segment.OptTimestamps
	for _, c := range []struct {
		name string
		s    segment.Segment
		want string
	}{
		{"none", segment.Segment{}, ""},
		{"syn", segment.Segment{Options: segment.OptMSS | segment.OptSACKPermitted | ts | segment.OptWScale, MSS: 1460, TSVal: seq.Of(1), WScale: 7},
			"\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x03\x07"},
		{"syn without timestamps", segment.Segment{Options: segment.OptMSS | segment.OptSACKPermitted, MSS: 536},
			"\x02\x04\x02\x18\x01\x01\x04\x02"},
		{"ack", segment.Segment{Options: ts | segment.OptSACK, NSACK: 1, TSEcr: seq.Of(2), SACK: [4]segment.SACKBlock{{Left: seq.Of(3), Right: seq.Of(4)}}},
			"\x01\x01\x08\x0a\x00\x00\x00\x00\x00\x00\x00\x02\x01\x01\x05\x0a\x00\x00\x00\x03\x00\x00\x00\x04"},
		{"raw", segment.Segment{Options: ts | segment.OptFastOpen, RawOptions: []byte("\x01\x02\x04\x01\x00\x22\x02\x00\x13")},
			"\x01\x01\x08\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x22\x02"},
	} {
		got, err := appendOptions(nil, &c.s)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: % x, %v; want % x", c.name, got, err, c.want)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	a4, a6 := endpoint("10.0.0.1:1"), endpoint("[::1]:2")
	for _, c := range []struct {
		name string
		s    segment.Segment
	}{
		{"two families", segment.Segment{Src: a4, Dst: a6}},
		{"before 1970", segment.Segment{Ref: segment.Ref{Time: -1}}},
		{"after 2106", segment.Segment{Ref: segment.Ref{Time: 1 << 62}}},
		{"ipv4 too long", segment.Segment{Src: a4, Dst: a4, Len: 65535 - 39}},
		{"ipv6 too long", segment.Segment{Src: a6, Dst: a6, Len: 65535 - 19}},
		{"absurd length", segment.Segment{Src: a6, Dst: a6, Len: 1<<32 - 1}},
		{"vlan", segment.Segment{VLAN: 4096}},
		{"no sack blocks", segment.Segment{Options: segment.OptSACK}},
		{"five sack blocks", segment.Segment{Options: segment.OptSACK, NSACK: 5}},
		{"options over 40 bytes", segment.Segment{Options: segment.OptSACK | segment.OptTimestamps, NSACK: 4}},
		{"raw options", segment.Segment{RawOptions: []byte{30, 4}}},
	} {
		var b bytes.Buffer
		w, err := NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		n := b.Len()
		if err := w.WriteSegment(&c.s); err == nil || !strings.Contains(err.Error(), "frame 1") {
			t.Errorf("%s: error %v, want one that names frame 1", c.name, err)
		}
		if b.Len() != n {
			t.Errorf("%s: %d bytes written", c.name, b.Len()-n)
		}
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (f *failingWriter) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriterPassesErrorsOn(t *testing.T) {
	if _, err := NewWriter(&failingWriter{}); !errors.Is(err, errFull) {
		t.Errorf("header: %v", err)
	}
	w, err := NewWriter(&failingWriter{left: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteSegment(&segment.Segment{}); !errors.Is(err, errFull) {
		t.Errorf("segment: %v", err)
	}
}
