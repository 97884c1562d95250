package listen

import (
	"math/bits"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Offer is what a SYN or SYN-ACK says of the end that sends it: its first window and
// its options (tcp_select_initial_window, tcp_syn_options, tcp_synack_options).
type Offer struct {
	// Options are those that it carries, in their order on the wire, fillers aside
	// (tcp_options_write). Nil: not known.
	Options []segment.Options
	// MSS is that of its own device.
	MSS kernel.Num
	// Window is the header's field, which is never scaled in a SYN.
	Window kernel.Num
	// WScale is what it offers, where it has the option.
	WScale kernel.Num
	// TSEcr is what it echoes, where it has the option.
	TSEcr kernel.Num
	// ECE: it agrees to ECN, where it answers a SYN.
	ECE kernel.Answer
	// Reads are what its window and scale depend on.
	Reads []kernel.Reading
}

// Offering is what an end makes its offer from. Sockets that set a buffer of their own
// and routes with an initrwnd are not thought of.
type Offering struct {
	Host kernel.Host
	// MSS is the largest segment of the own device: its MTU less 40 bytes, with IPv6
	// less 60. 0: not known.
	MSS uint16
	// Rmem and RmemMax are the second and the third number of net.ipv4.tcp_rmem, in
	// bytes; 0: the default of the kernel. RmemMax is net.core.rmem_max where that is more.
	Rmem, RmemMax uint32
	// Roomy: the host has 4 GB of memory or more, so that the default of tcp_rmem is not
	// cut (tcp_init).
	Roomy kernel.Answer
	// SYN is the one that is answered; nil: the end sends a SYN of its own.
	SYN *segment.Segment
	// Cookie: the answer is one.
	Cookie kernel.Answer
	// TakesOver: the own SYN continues a TIME_WAIT, of which it echoes TSRecent.
	TakesOver bool
	TSRecent  kernel.Num
}

// twentySegments is the first window of kernels before 4.20.
var twentySegments = kernel.Behaviour{
	ID: "first-window-of-twenty", Says: "announces a first window of 20 segments (2.6.32: fewer; from 4.20 on as much as the buffer holds)",
	From:    "tcp_default_init_rwnd; run on 3.10.el7, 3.16, 4.9, 4.19",
	First:   kernel.No,
	Changes: []kernel.Change{{Before: kernel.V(2, 6, 32), After: kernel.V(3, 16, 0), To: kernel.Yes}},
	RHEL7:   kernel.Yes,
}

// largeBuffers is the default of the third number of tcp_rmem where memory does not cut it.
var largeBuffers = kernel.Behaviour{
	ID: "buffers-of-32-mb", Says: "lets a receive buffer grow to 32 MB, wscale 10 (others: 6 MB, wscale 7)",
	From:    "tcp_init; run on 3.10.el7, 5.10, 6.1, 6.12.117 (no), 6.18.44, 7.2.13 (yes), with 6 GB and more",
	First:   kernel.Unknown,
	Changes: []kernel.Change{{Before: kernel.V(5, 9, 1), After: kernel.V(5, 10, 0), To: kernel.No}, {Before: kernel.V(6, 12, 117), After: kernel.V(6, 18, 44), To: kernel.Yes}},
	RHEL7:   kernel.No,
}

// dropsECN: once the timer has repeated a SYN-ACK, no later copy of it agrees to ECN.
var dropsECN = kernel.Behaviour{
	ID: "drops-ecn", Says: "leaves ECN out of a SYN-ACK that its timer has repeated before",
	From:    "tcp_ecn_make_synack; run on 5.10, 6.1, 6.18.44 (no), 7.2.13 (yes)",
	Changes: []kernel.Change{{Before: kernel.V(5, 9, 1), After: kernel.V(5, 10, 0), To: kernel.No}, {Before: kernel.V(6, 18, 44), After: kernel.V(7, 2, 13), To: kernel.Yes}},
}

const (
	// stampRoom is what timestamps take of each segment (TCPOLEN_TSTAMP_ALIGNED).
	stampRoom = 12
	// The second number of tcp_rmem where nobody changed it, up to 4.19 and from 4.20.
	rmemBefore, rmemNow = 87380, 131072
	mostWindow          = 1<<16 - 1
	mostScale           = 14
)

// Offer returns the offer.
func (o *Offering) Offer() (f Offer) {
	stamps, known := kernel.No, true
	if o.SYN == nil {
		stamps, known = o.Host.Timestamps, o.Host.Timestamps != kernel.Unknown
		f.Options = []segment.Options{segment.OptMSS, segment.OptSACKPermitted, segment.OptTimestamps, segment.OptWScale}
		if stamps == kernel.No {
			f.Options = []segment.Options{segment.OptMSS, segment.OptSACKPermitted, segment.OptWScale}
		}
		f.TSEcr = kernel.Num{Known: true}
		if o.TakesOver {
			f.TSEcr = o.TSRecent
		}
	} else {
		f.Options, stamps, known = o.answers()
		f.TSEcr = kernel.Known(o.SYN.TSVal)
		f.ECE = kernel.If(o.SYN.Flags.Has(segment.ECE|segment.CWR) && (o.Cookie != kernel.Yes || stamps == kernel.Yes))
	}
	if !known {
		f.Options = nil
	}
	if stamps != kernel.Yes {
		f.TSEcr = kernel.Num{}
	}
	var scaled kernel.Reading
	f.WScale, scaled = o.scale()
	f.Reads = append(f.Reads, scaled)
	if o.MSS > 0 {
		f.MSS = known16(o.MSS)
		// A SYN does not know yet whether there will be timestamps, unless it goes on
		// from a connection that had them (tcp_connect_init).
		if stamps == kernel.Yes && (o.SYN != nil || o.TakesOver) {
			f.Window = o.window(o.MSS-min(o.MSS-1, stampRoom), &f.Reads)
		} else if known || o.SYN == nil {
			f.Window = o.window(o.MSS, &f.Reads)
		}
	}
	return f
}

// Again is the offer of a request's SYN-ACK that is sent once more, by a SYN that comes
// again or by the timer: it echoes what the request remembers by then.
func (f Offer) Again(p kernel.Profile, tsRecent kernel.Num) Offer {
	if f.TSEcr.Known {
		f.TSEcr = tsRecent
	}
	if f.ECE == kernel.Yes && p.Has(&dropsECN).Answer != kernel.No {
		f.ECE = kernel.Unknown // by how often the timer has been there
	}
	return f
}

func known16(n uint16) kernel.Num { return kernel.Num{Num: seq.Of(uint32(n)), Known: true} }

// answers are the options of a SYN-ACK: no more than the SYN offered, and of a cookie
// without timestamps the MSS alone (tcp_clear_options).
func (o *Offering) answers() (options []segment.Options, stamps kernel.Answer, known bool) {
	if o.SYN.Options.Has(segment.OptCut) || o.SYN.HasTS() && o.Host.Timestamps == kernel.Unknown {
		return nil, kernel.Unknown, false
	}
	stamps = kernel.If(o.SYN.HasTS() && o.Host.Timestamps == kernel.Yes)
	options = []segment.Options{segment.OptMSS}
	rest := o.SYN.Options & (segment.OptSACKPermitted | segment.OptWScale)
	switch {
	case o.Cookie == kernel.No || stamps == kernel.Yes:
	case o.Cookie == kernel.Yes:
		rest = 0
	case rest != 0:
		return nil, stamps, false
	}
	if rest.Has(segment.OptSACKPermitted) {
		options = append(options, segment.OptSACKPermitted)
	}
	if stamps == kernel.Yes {
		options = append(options, segment.OptTimestamps)
	}
	if rest.Has(segment.OptWScale) {
		options = append(options, segment.OptWScale)
	}
	return options, stamps, true
}

// FactRmem is how large receive buffers may become.
const FactRmem kernel.Fact = "net.ipv4.tcp_rmem"

// scale is how often the largest buffer must be halved to fit 16 bits.
func (o *Offering) scale() (kernel.Num, kernel.Reading) {
	r, most := kernel.YesIf(true, "the largest receive buffer has %d bytes", o.RmemMax), o.RmemMax
	if most == 0 {
		if o.Roomy != kernel.Yes {
			return kernel.Num{}, kernel.Missing(FactRmem, "the largest receive buffer is not known: it depends on the memory")
		}
		r = o.Host.Profile.Has(&largeBuffers)
		switch r.Answer {
		case kernel.Unknown:
			return kernel.Num{}, r
		case kernel.Yes:
			most = 32 << 20
		case kernel.No:
			most = 6 << 20
		}
	}
	return kernel.Num{Num: seq.Of(uint32(min(max(bits.Len32(most)-16, 0), mostScale))), Known: true}, r
}

// window is the first window for segments of a size: as many of them as half the
// buffer holds, and before 4.20 no more than twenty.
func (o *Offering) window(mss uint16, reads *[]kernel.Reading) kernel.Num {
	size, buffer := uint32(mss), o.Rmem
	large := o.Host.Profile.Has(&kernel.LargeFirstWindow)
	*reads = append(*reads, large)
	most := uint32(mostWindow)
	switch large.Answer {
	case kernel.Unknown:
		return kernel.Num{}
	case kernel.Yes:
		if buffer == 0 {
			buffer = rmemNow
		}
	case kernel.No:
		twenty := o.Host.Profile.Has(&twentySegments)
		*reads = append(*reads, twenty)
		if twenty.Answer != kernel.Yes {
			return kernel.Num{}
		}
		if buffer == 0 {
			buffer = rmemBefore
		}
		most = 20 * size
		if mss > 1460 {
			most = max(20*1460/size, 2) * size
		}
	}
	room := buffer / 2
	if room > size {
		room -= room % size
	}
	return kernel.Num{Num: seq.Of(min(room, most, mostWindow)), Known: true}
}
