package capture

import (
	"encoding/binary"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Wire reads what the frame of a segment says beside the segment's own fields.
// The segment must be one that the last Read returned; of another, as of one
// without a frame, the answer is the zero value, or in rare cases wrong.
func (r *Reader) Wire(seg *segment.Segment) segment.Wire {
	var none segment.Wire
	if int(seg.Source) >= len(r.sources) {
		return none
	}
	if t := r.sources[seg.Source].text; t != nil {
		return t.wire(seg)
	}
	if seg.Raw.Kept == 0 {
		return none
	}
	buf := r.sources[seg.Source].buf
	at, end := uint64(seg.Raw.At), uint64(seg.Raw.At)+uint64(seg.Raw.Kept)
	if end > uint64(len(buf)) {
		return none
	}
	if r.probe == nil {
		r.probe = &source{trace: new(trace)}
	}
	*r.probe.trace = trace{}
	var again segment.Segment
	why := r.probe.general(&again, linkKind(seg.Raw.Link), buf[at:end:end], seg.Raw.Wire)
	if why != 0 || again.Src != seg.Src || again.Dst != seg.Dst || again.Seq != seg.Seq || again.Tunnel != seg.Tunnel {
		return none
	}
	w := r.probe.trace.wire(&again)
	w.Captured, w.Length = seg.Raw.Kept, seg.Raw.Wire
	return w
}

// trace is what the decoder passes on its way to a segment, for those who want
// more of it than the segment. Its slices are of the frame.
type trace struct {
	src, dst segment.MAC // of the innermost Ethernet header
	depth    uint8       // IP headers so far
	outerSrc segment.Addr
	outerDst segment.Addr
	outerTTL uint8
	header   []byte   // the innermost IP header, without extensions
	ipLen    uint32   // its packet's length
	tcp      []byte   // from the TCP header on, as far as it was captured
	tcpLen   uint32   // as it was sent
	more     bool     // a first fragment
	layers   *[]Layer // nil: nobody asks
	end      int      // the frame's length, for the layers
	quoted   bool     // what is read is what an ICMP error repeats
}

func (t *trace) ethernet(p []byte) {
	t.dst, t.src = segment.MAC(p[:6]), segment.MAC(p[6:12])
	t.layer(LayerEthernet, p, 14, 0, 0)
}

// cooked takes the address of a cooked header if it has the length of a MAC.
func (t *trace) cooked(addr []byte, length uint16) {
	if t.dst, t.src = (segment.MAC{}), (segment.MAC{}); length == 6 {
		t.src = segment.MAC(addr)
	}
}

// ip takes a header whose addresses are in seg.
func (t *trace) ip(seg *segment.Segment, p []byte, hl, total uint32) {
	if t.depth == 0 {
		t.outerSrc, t.outerDst, t.outerTTL = seg.Src.Addr, seg.Dst.Addr, seg.TTL
	}
	t.depth++
	t.header, t.ipLen = p[:min(hl, uint32(len(p)))], total
	kind := LayerIPv4
	if p[0]>>4 == 6 {
		kind = LayerIPv6
	}
	t.layer(kind, p[:min(total, uint32(len(p)))], hl, total, 0)
}

// fragmentBits are IPv4's.
func (t *trace) fragmentBits() (df, mf bool) {
	if len(t.header) < 20 || t.header[0]>>4 != 4 {
		return false, false
	}
	return t.header[6]&0x40 != 0, t.header[6]&0x20 != 0
}

// wire puts together what was passed on the way to seg.
func (t *trace) wire(seg *segment.Segment) segment.Wire {
	w := segment.Wire{Known: true, SrcMAC: t.src, DstMAC: t.dst, IPLen: t.ipLen}
	w.DF, w.MF = t.fragmentBits()
	w.MF = w.MF || t.more
	if t.depth > 1 {
		w.OuterSrc, w.OuterDst, w.OuterTTL = t.outerSrc, t.outerDst, t.outerTTL
	}
	var pseudo uint64
	if seg.Src.Addr.Is4() && t.header[0]>>4 == 4 {
		pseudo = sum16(t.header[12:20])
		w.IPCheck = ipCheck(t.header)
	} else {
		w.FlowLabel = binary.BigEndian.Uint32(t.header) & 0xfffff
		pseudo = sum16(t.header[8:40])
	}
	if !w.MF && uint32(len(t.tcp)) >= t.tcpLen {
		w.TCPCheck = tcpCheck(t.tcp, pseudo+protoTCP+uint64(t.tcpLen))
	}
	return w
}

// ipCheck verifies an IPv4 header, which the snap length may have cut.
func ipCheck(h []byte) segment.Check {
	switch {
	case len(h) < int(h[0]&15)*4:
		return segment.CheckUnknown
	case fold16(sum16(h)) == 0xffff:
		return segment.CheckGood
	}
	return segment.CheckBad
}

// tcpCheck verifies a whole segment against the sum of its pseudo-header.
func tcpCheck(p []byte, pseudo uint64) segment.Check {
	switch {
	case fold16(pseudo+sum16(p)) == 0xffff:
		return segment.CheckGood
	case binary.BigEndian.Uint16(p[16:]) == fold16(pseudo):
		// net/ipv4/tcp_ipv4.c __tcp_v4_send_check
		return segment.CheckPartial
	}
	return segment.CheckBad
}
