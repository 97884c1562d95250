package segment

import "strconv"

// TunnelKind is a way to carry packets inside others.
type TunnelKind uint8

// The tunnels that are looked into.
const (
	TunnelNone    TunnelKind = iota
	TunnelVXLAN              // RFC 7348
	TunnelGeneve             // RFC 8926
	TunnelGRE                // RFC 2784 and 2890; NVGRE (RFC 7637), PPTP (RFC 2637)
	TunnelERSPAN             // draft-foschiano-erspan: a mirror's copies
	TunnelIP                 // IP in IP: RFC 2003, 4213 (6in4, SIT), 2473
	TunnelEtherIP            // RFC 3378
	TunnelPPPoE              // RFC 2516
	TunnelMPLS               // RFC 3032
	TunnelGTP                // GTP-U, 3GPP TS 29.281
)

var tunnelNames = [...]string{"", "VXLAN", "GENEVE", "GRE", "ERSPAN", "IP in IP", "EtherIP", "PPPoE", "MPLS", "GTP-U"}

// String is the name for people; "" for none.
func (k TunnelKind) String() string {
	if int(k) < len(tunnelNames) {
		return tunnelNames[k]
	}
	return "tunnel " + strconv.Itoa(int(k))
}

// Tunnel says inside what a segment was carried. The zero value is none: the
// segment's IP header is the frame's own. It is comparable, and is equal for
// all segments of one direction on one link. It need not be equal for both
// directions (MPLS labels never are; the VNI of Cilium is the sender's identity,
// of OVN and of asymmetric routing the sender's network), nor need both
// directions be in a tunnel (a server behind LVS answers outside). A capture
// may hold one packet inside a tunnel and outside.
type Tunnel struct {
	// Kind is that of the innermost tunnel.
	Kind TunnelKind
	// Depth is how many tunnels there are around the segment.
	Depth uint8
	// ID is the innermost identifier: a VNI, GRE's key (of NVGRE, the VSID is
	// in its upper 24 bits), ERSPAN's or PPPoE's session, the bottom label of
	// MPLS, GTP's TEID. 0 where none has one.
	ID uint32
}

// String prints "VXLAN 5", or "" outside of tunnels; with further tunnels
// around it "VXLAN 5 (2 deep)".
func (t Tunnel) String() string {
	if t.Kind == TunnelNone {
		return ""
	}
	s := t.Kind.String()
	if t.ID != 0 || t.Kind == TunnelVXLAN || t.Kind == TunnelGeneve {
		s += " " + strconv.FormatUint(uint64(t.ID), 10)
	}
	if t.Depth > 1 {
		s += " (" + strconv.Itoa(int(t.Depth)) + " deep)"
	}
	return s
}
