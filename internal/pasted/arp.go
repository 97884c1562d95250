package pasted

// arpKind is what a line about ARP says.
type arpKind uint8

const (
	noARP  arpKind = iota
	arpAsk         // dst is asked for by src
	arpIs          // src says where it is
)

var (
	arpAsks = pattern{text: `(?i)\bwho[- ]has ([^\s?,]+)\??(?: \([^)]*\))?,? tell ([^\s,]+)`}
	arpSays = pattern{text: `(?i)(?:^|\s)([^\s,]+) is[- ]at `}
)

// takeARP reads what tcpdump or Wireshark says of an ARP packet, and notes whom it is about.
func (r *row) takeARP() {
	if m := arpAsks.FindStringSubmatch(r.info); m != nil {
		r.arp, r.src, r.dst = arpAsk, host{host: m[2]}, host{host: m[1]}
		if m[1] == m[2] {
			r.arp = arpIs // it announces itself (RFC 5227 §2.3)
		}
	} else if m := arpSays.FindStringSubmatch(r.info); m != nil {
		r.arp, r.src, r.dst = arpIs, host{host: m[1]}, host{host: m[1]}
	}
}
