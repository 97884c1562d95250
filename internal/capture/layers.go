package capture

import "github.com/tcpwhy/tcpwhy/internal/segment"

// LayerKind is a kind of header in a frame.
type LayerKind uint8

// The headers that hold addresses, or after which payload may begin. LayerTag is a
// VLAN tag, LayerNull the address family of BSD's loopback, LayerExtension an
// extension header of IPv6, or AH.
const (
	LayerEthernet LayerKind = iota + 1
	LayerCooked
	LayerCooked2
	LayerNull
	LayerTag
	LayerARP
	LayerIPv4
	LayerIPv6
	LayerExtension
	LayerUDP
	LayerTCP
	LayerICMP
	LayerICMPv6
)

// Layer is a header in a frame. The headers of tunnels lie between the layers that
// they join.
type Layer struct {
	Kind LayerKind
	// Off is where it begins, Len its length as far as it was captured, and End where
	// the captured bytes end that belong to it and what it carries.
	Off, Len, End int
	// Wire is the length of header and content as they were sent, of IP and TCP only.
	Wire uint32
	// Proto is what an extension header is.
	Proto uint8
	// Quoted: it is of the packet that an ICMP error repeats.
	Quoted bool
}

// Dissection is a record taken apart. It is valid until the next one.
type Dissection struct {
	// Segment is nil where the record holds none.
	Segment *segment.Segment
	Notes   []segment.Note
	// Layers are the headers from the outermost on, as far as they are understood.
	Layers []Layer
}

// Dissector takes records apart as Reader does. The zero value is ready.
type Dissector struct {
	s      source
	trace  trace
	seg    segment.Segment
	notes  []segment.Note
	layers []Layer
}

// Dissect takes a record apart. Offsets are into its Data.
func (d *Dissector) Dissect(r *Record) Dissection {
	d.notes, d.layers = d.notes[:0], d.layers[:0]
	d.s.notes = &d.notes
	d.trace = trace{layers: &d.layers, end: len(r.Data)}
	d.s.trace = &d.trace
	d.seg = segment.Segment{Ref: r.Ref, Interface: r.Interface}
	p := r.Data[:len(r.Data):len(r.Data)]
	why := d.s.general(&d.seg, linkKindOf(r.LinkType), p, max(r.Wire, uint32(len(p))))
	out := Dissection{Notes: d.notes, Layers: d.layers}
	if why == 0 {
		out.Segment = &d.seg
	}
	return out
}

// layer notes a header of n bytes at the beginning of p, which is of the frame and
// reaches, by its capacity, to the frame's end.
func (t *trace) layer(kind LayerKind, p []byte, n, wire uint32, proto uint8) {
	if t.layers == nil {
		return
	}
	off := t.end - cap(p)
	*t.layers = append(*t.layers, Layer{Kind: kind, Off: off, Len: int(min(n, uint32(len(p)))), End: off + len(p),
		Wire: wire, Proto: proto, Quoted: t.quoted})
}

// segment takes what begins with a TCP header.
func (t *trace) segment(p []byte, wire uint32, more bool) {
	t.tcp, t.tcpLen, t.more = p, wire, more
	n := uint32(20)
	if len(p) > 12 {
		n = max(n, uint32(p[12]>>4)*4)
	}
	t.layer(LayerTCP, p, min(n, wire), wire, protoTCP)
}

// carried takes what an IP packet carries that is not TCP itself.
func (t *trace) carried(proto uint8, p []byte) {
	switch proto {
	case protoUDP:
		t.layer(LayerUDP, p, 8, 0, proto)
	case protoICMP:
		t.layer(LayerICMP, p, 8, 0, proto)
	case protoICMPv6:
		t.layer(LayerICMPv6, p, 8, 0, proto)
	}
}
