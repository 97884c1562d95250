package capture

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// packetSource is what gopacket's two readers have in common.
type packetSource interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

func oracle(t *testing.T, name string) packetSource {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if filepath.Ext(name) == ".pcapng" {
		r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Real captures, read by an independent decoder, give the same segments.
func TestAgainstGopacket(t *testing.T) {
	names, err := filepath.Glob("testdata/*.pcap*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no captures in testdata: %v", err)
	}
	if dir := os.Getenv("TCPWHY_CAPTURES"); dir != "" {
		more, _ := filepath.Glob(filepath.Join(dir, "*.pcap*"))
		names = append(names, more...)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) { againstGopacket(t, name) })
	}
}

func againstGopacket(t *testing.T, name string) {
	o := oracle(t, name)
	r, err := Open([]string{name}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	segs := readAll(t, r, 7)
	var frame uint64
	for {
		data, ci, err := o.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		frame++
		p := gopacket.NewPacket(data, o.LinkType(), gopacket.NoCopy)
		tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok {
			continue
		}
		if len(segs) == 0 || segs[0].Frame != frame {
			t.Fatalf("frame %d is missing", frame)
		}
		s := segs[0]
		segs = segs[1:]
		if s.Time != ci.Timestamp.UnixNano() {
			t.Errorf("frame %d: time %d, want %d", frame, s.Time, ci.Timestamp.UnixNano())
		}
		compareTCP(t, &s, p, tcp)
	}
	if len(segs) != 0 {
		t.Errorf("%d segments too many, from frame %d", len(segs), segs[0].Frame)
	}
	if st := r.Stats(); st.Packets != frame {
		t.Errorf("%d packets, want %d", st.Packets, frame)
	}
}

// compareTCP compares one segment with gopacket's view of it.
func compareTCP(t *testing.T, s *segment.Segment, p gopacket.Packet, tcp *layers.TCP) {
	t.Helper()
	wire := -int(tcp.DataOffset) * 4
	var ttl, tos uint8
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		ttl, tos = ip.TTL, ip.TOS
		wire += int(ip.Length) - int(ip.IHL)*4
		if s.IPID != ip.Id {
			t.Errorf("frame %d: ip id %d, want %d", s.Frame, s.IPID, ip.Id)
		}
	case *layers.IPv6:
		ttl, tos = ip.HopLimit, ip.TrafficClass
		wire += int(ip.Length)
	}
	f := p.NetworkLayer().NetworkFlow()
	if s.Src.Addr.String() != f.Src().String() || s.Dst.Addr.String() != f.Dst().String() || s.TTL != ttl || s.TOS != tos {
		t.Errorf("frame %d: %v > %v ttl %d tos %d, want %v ttl %d tos %d", s.Frame, s.Src, s.Dst, s.TTL, s.TOS, f, ttl, tos)
	}
	flags := segment.Flags(0)
	for i, set := range []bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG, tcp.ECE, tcp.CWR, tcp.NS} {
		if set {
			flags |= 1 << i
		}
	}
	if s.Src.Port != uint16(tcp.SrcPort) || s.Dst.Port != uint16(tcp.DstPort) || s.Seq.Uint32() != tcp.Seq || s.Ack.Uint32() != tcp.Ack ||
		s.Flags != flags || s.Window != tcp.Window || s.Urgent != tcp.Urgent || int(s.Len) != wire {
		t.Errorf("frame %d: %+v\nwant %+v", s.Frame, s, tcp)
	}
	if cut := len(s.RawOptions) < int(tcp.DataOffset)*4-20; cut != s.Options.Has(segment.OptCut) {
		t.Errorf("frame %d: options %b, cut: %v", s.Frame, s.Options, cut)
	} else if cut {
		return // gopacket reads none of them then
	}
	var options segment.Options
	for _, o := range tcp.Options {
		options |= compareOption(t, s, o)
	}
	if s.Options != options {
		t.Errorf("frame %d: options %b, want %b", s.Frame, s.Options, options)
	}
}

// compareOption compares the value of one option and returns its bit.
func compareOption(t *testing.T, s *segment.Segment, o layers.TCPOption) segment.Options {
	t.Helper()
	be := func(i int) (n uint32) {
		for _, b := range o.OptionData[i:min(i+4, len(o.OptionData))] {
			n = n<<8 | uint32(b)
		}
		return n
	}
	switch o.OptionType {
	case layers.TCPOptionKindEndList, layers.TCPOptionKindNop:
		return 0
	case layers.TCPOptionKindMSS:
		if uint32(s.MSS) != be(0) {
			t.Errorf("frame %d: mss %d, want %v", s.Frame, s.MSS, o)
		}
		return segment.OptMSS
	case layers.TCPOptionKindWindowScale:
		if uint32(s.WScale) != be(0) {
			t.Errorf("frame %d: wscale %d, want %v", s.Frame, s.WScale, o)
		}
		return segment.OptWScale
	case layers.TCPOptionKindSACKPermitted:
		return segment.OptSACKPermitted
	case layers.TCPOptionKindSACK:
		if int(s.NSACK) != len(o.OptionData)/8 {
			t.Errorf("frame %d: %d sack blocks, want %v", s.Frame, s.NSACK, o)
		}
		for i, b := range s.SACK[:s.NSACK] {
			if b.Left.Uint32() != be(8*i) || b.Right.Uint32() != be(8*i+4) {
				t.Errorf("frame %d: sack %v, want %v", s.Frame, b, o)
			}
		}
		return segment.OptSACK
	case layers.TCPOptionKindTimestamps:
		if s.TSVal.Uint32() != be(0) || s.TSEcr.Uint32() != be(4) {
			t.Errorf("frame %d: ts %v %v, want %v", s.Frame, s.TSVal, s.TSEcr, o)
		}
		return segment.OptTimestamps
	}
	return segment.OptUnknown
}
