// Package capture turns packet captures into TCP segments: pcap and pcapng
// files and streams, compressed or not, one or several merged in time order.
//
// Reading is the program's hot path. A source keeps one buffer, records are
// decoded where they lie, and nothing is allocated per packet. Everything
// that is not a TCP segment is counted by reason instead.
package capture

// The numbers that stand in files and headers.
const (
	// pcap magics, as read in the byte order of the machine that wrote them
	// (draft-ietf-opsawg-pcap; the last is Alexey Kuznetsov's variant, whose
	// records have eight bytes more).
	magicMicros   = 0xa1b2c3d4
	magicNanos    = 0xa1b23c4d
	magicModified = 0xa1b2cd34

	// pcapng block types (draft-ietf-opsawg-pcapng).
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockOldPacket  = 2
	blockSimple     = 3
	blockStatistics = 5
	blockPacket     = 6
	// Those that hold no packet, and yet are numbered as frames by Wireshark
	// 4.0: systemd journal, Sysdig events, and custom blocks.
	blockJournal  = 9
	blockEvent    = 0x204
	blockEventV2  = 0x216
	blockEventBig = 0x221
	blockCustom   = 0xbad
	blockCustomNC = 0x40000bad

	byteOrderMagic = 0x1a2b3c4d

	// pcapng options.
	optionEnd         = 0
	optionComment     = 1  // of any block: opt_comment
	optionDescription = 3  // of an interface block: if_description
	optionProgram     = 4  // of a section: shb_userappl
	optionFlags       = 2  // of an enhanced packet block: epb_flags
	optionDropCount   = 4  // of an enhanced packet block: epb_dropcount
	optionIfDrop      = 5  // of a statistics block: isb_ifdrop
	optionOSDrop      = 7  // of a statistics block: isb_osdrop
	optionResolution  = 9  // of an interface block: if_tsresol
	optionOffset      = 14 // of an interface block: if_tsoffset

	// linkEthernet is LINKTYPE_ETHERNET; linkKindOf knows the others.
	linkEthernet = 1

	// EtherTypes.
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherBridged = 0x6558 // an Ethernet frame, in GRE and Geneve
	etherIPv6    = 0x86dd
	etherVLAN    = 0x8100 // 802.1Q
	etherQinQ    = 0x88a8 // 802.1ad
	etherOldQ    = 0x9100 // QinQ before the standard
	etherMPLS    = 0x8847
	etherMPLSM   = 0x8848
	etherPPPoE   = 0x8864
	etherERSPAN  = 0x88be // types I and II, in GRE
	etherERSPAN3 = 0x22eb
	etherWCCP    = 0x883e // in GRE
	etherPPP     = 0x880b // in GRE
	etherLenMax  = 1500   // at or below, the field is an 802.3 length

	// PPP protocols.
	pppIPv4 = 0x0021
	pppIPv6 = 0x0057
	pppMPLS = 0x0281

	// UDP ports of tunnels.
	portGTP      = 2152
	portVXLAN    = 4789
	portVXLANOld = 8472 // Linux's default
	portGeneve   = 6081
	portMPLS     = 6635

	// IP protocols and IPv6 extension headers.
	protoHopByHop = 0
	protoICMP     = 1
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoESP      = 50
	protoAH       = 51
	protoICMPv6   = 58
	protoDestOpts = 60
	protoEtherIP  = 97
	protoMPLS     = 137

	// TCP option kinds (IANA, TCP Parameters).
	optEnd           = 0
	optNop           = 1
	optMSS           = 2
	optWScale        = 3
	optSACKPermitted = 4
	optSACK          = 5
	optTimestamps    = 8
	optMD5           = 19
	optAO            = 29
	optMPTCP         = 30
	optFastOpen      = 34
	optExperiment    = 254
	// fastOpenMagic marks an experimental option as fast open (RFC 7413 §4.1.1).
	fastOpenMagic = 0xf989
)
