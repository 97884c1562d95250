package capture

// reason says why a frame gave no segment; 0 means that it gave one.
type reason uint8

const (
	_ reason = iota
	notIP
	notTCP
	tunnelled
	encrypted
	laterFragment
	linkUnsupported
	frameShort
	ipCut
	ipMalformed
	tcpCut
	tcpMalformed
	tunnelCut
	notPacket
	numReasons
)

// reasons are the words for each reason, in the order of the constants.
var reasons = [numReasons]struct{ code, says string }{
	notIP:           {"not-ip", "not IP (ARP, LLDP, spanning tree and the like)"},
	notTCP:          {"not-tcp", "IP, but not TCP (UDP, ICMP and the like)"},
	tunnelled:       {"tunnel", "inside tunnels in a way that is not read (nested more than four deep, or GRE with source routes)"},
	encrypted:       {"encrypted", "encrypted by IPsec (ESP)"},
	laterFragment:   {"ip-fragment", "IP fragments without a TCP header"},
	linkUnsupported: {"link-unsupported", "of a link type that is not read"},
	frameShort:      {"frame-short", "too short for the headers they announce"},
	ipCut:           {"ip-cut", "cut by the snap length before the end of the IP header"},
	ipMalformed:     {"ip-malformed", "IP headers that contradict themselves (version, header length or total length)"},
	tcpCut:          {"tcp-cut", "cut by the snap length inside the TCP header"},
	tcpMalformed:    {"tcp-malformed", "TCP headers that contradict themselves (data offset, or longer than the packet)"},
	tunnelCut:       {"tunnel-cut", "cut by the snap length inside the headers of a tunnel"},
	notPacket:       {"not-packet", "records of a pcapng file that hold no packet (journal entries, system events, custom blocks)"},
}

// tally counts something and remembers the merged number of the first frame.
type tally struct {
	n     uint64
	frame uint64
}

func (t *tally) add(frame uint64) {
	if t.n == 0 {
		t.frame = frame
	}
	t.n++
}

// join adds o, keeping the earlier frame.
func (t *tally) join(o tally) {
	if o.n == 0 {
		return
	}
	if t.n == 0 || o.frame < t.frame {
		t.frame = o.frame
	}
	t.n += o.n
}
