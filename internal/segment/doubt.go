package segment

// Doubt says which fields of a segment are not what stood on the wire, because
// it was read from a text that does not tell them. The zero value: all are, as
// in every capture.
type Doubt uint16

// The doubts.
const (
	// SeqRelative: Seq counts from a base that is not known and was invented.
	// Distances between numbers of the same end in the same connection are
	// true; a comparison with any other number means nothing.
	SeqRelative Doubt = 1 << iota
	// AckRelative: the same of Ack, and of SACK blocks.
	AckRelative
	// SeqUnsaid: the text tells no sequence number, and Seq was worked out from
	// the segments around it. tcpdump leaves it out of segments without
	// payload, SYN, FIN and RST.
	SeqUnsaid
	// AckUnsaid: the same of Ack in a segment with ACK.
	AckUnsaid
	// LenUnsaid: the text does not tell the length of the payload; Len is what
	// the segments around it call for, or 0.
	LenUnsaid
	// WindowUnsaid: Window is not the header's field. The text does not tell it
	// (Window is then that of the segment before, or 65535; 0 for an RST), or has
	// scaled it by a factor that it does not tell (as far as it fits; 0 is then a
	// window of 0).
	WindowUnsaid
	// TimeUnsaid: the text tells no time; Time only keeps the order.
	TimeUnsaid
	// IPUnsaid: TTL, TOS and IPID are not known and are 0.
	IPUnsaid
	// FlagsUnsaid: not all of Flags is known: the row of an application protocol
	// stands for a segment with payload, of which only ACK is certain.
	FlagsUnsaid
)

// Has tells whether all the doubts of d are there.
func (x Doubt) Has(d Doubt) bool { return x&d == d }

// Relative tells whether any number has an invented base.
func (x Doubt) Relative() bool { return x&(SeqRelative|AckRelative) != 0 }
