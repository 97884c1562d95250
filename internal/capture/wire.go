// Package capture turns packet captures into TCP segments: pcap and pcapng
// files and streams, compressed or not, one or several merged in time order.
//
// Reading is the program's hot path. A source keeps one buffer, records are
// decoded where they lie, and nothing is allocated per packet. Everything
// that is not a TCP segment is counted by reason instead.
package capture

// The numbers that stand in files and headers.
const (
	magicMicros = 0xa1b2c3d4
	magicNanos  = 0xa1b23c4d

	// linkEthernet and the others are LINKTYPE_ values
	// (https://www.tcpdump.org/linktypes.html).
	linkEthernet = 1

	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100

	protoTCP = 6

	// TCP option kinds (IANA, TCP Parameters).
	optEnd           = 0
	optNop           = 1
	optMSS           = 2
	optWScale        = 3
	optSACKPermitted = 4
	optSACK          = 5
	optTimestamps    = 8
)
