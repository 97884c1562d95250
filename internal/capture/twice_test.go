package capture

import (
	"io"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// A capture on all interfaces of a host (Linux 6.18, tcpdump -i any) with a
// connection over VXLAN, a refused one, and a host that does not answer ARP:
// each frame was seen on the tunnel's interface and inside the tunnel. What it
// takes to see that two are one is there: same IP id, other interface and tunnel.
func TestSeenTwice(t *testing.T) {
	r, err := Open([]string{"testdata/tunnel/vxlan-any.pcap"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	batch := make([]segment.Segment, 64)
	var pair segment.Segment
	var checked segment.Wire
	var asked, answered, pairs int
	vxlan := segment.Tunnel{Kind: segment.TunnelVXLAN, Depth: 1, ID: 42}
	for {
		n, err := r.Read(batch)
		for _, x := range r.Notes() {
			if x.Addr.String() == "10.42.0.9" && x.Kind == segment.NoteWhoHas {
				asked++
			}
			if x.Addr.String() == "10.42.0.9" && x.Kind == segment.NoteIsAt {
				answered++
			}
		}
		for _, s := range batch[:n] {
			w := r.Wire(&s)
			if s.Frame%2 == 1 {
				pair, checked = s, w
				continue
			}
			pairs++
			if s.Seq != pair.Seq || s.Ack != pair.Ack || s.Flags != pair.Flags || s.Src != pair.Src || s.IPID != pair.IPID || s.TTL != pair.TTL || s.Way != pair.Way {
				t.Errorf("frames %d and %d are not the same: %+v", pair.Frame, s.Frame, s)
			}
			if s.Interface == pair.Interface || (s.Tunnel == vxlan) == (pair.Tunnel == vxlan) || s.Tunnel.Depth+pair.Tunnel.Depth != 1 {
				t.Errorf("frames %d and %d: interfaces %d and %d, %q and %q", pair.Frame, s.Frame, pair.Interface, s.Interface, pair.Tunnel, s.Tunnel)
			}
			if w.TCPCheck != checked.TCPCheck || w.TCPCheck == segment.CheckBad || w.TCPCheck == segment.CheckUnknown || w.IPCheck != segment.CheckGood {
				t.Errorf("frames %d and %d: checksums %v and %v, ip %v", pair.Frame, s.Frame, checked.TCPCheck, w.TCPCheck, w.IPCheck)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if pairs != 12 || asked != 6 || answered != 0 {
		t.Errorf("%d pairs, asked %d times for 10.42.0.9, %d answers", pairs, asked, answered)
	}
	if st := r.Stats(); st.Tunnelled != 12 || st.FirstTunnelled != 6 {
		t.Errorf("%+v", st)
	}
}
