package report

// What the pictures of a finding are drawn from. All of it is optional: a picture
// whose value is missing is not drawn.

// Fields are the numbers of a frame that a ladder shows, absolute, as on the wire.
type Fields struct {
	Flags  string `json:"flags"` // as tcpdump prints them: "S.", "F.", "R"
	Seq    uint32 `json:"seq"`
	Ack    uint32 `json:"ack"` // 0 without the ACK flag
	Len    uint32 `json:"len"` // payload, bytes
	Window uint16 `json:"window"`
	// TSVal and TSEcr are set where the frame carries timestamps.
	TSVal *uint32 `json:"tsval,omitempty"`
	TSEcr *uint32 `json:"tsecr,omitempty"`
	TTL   uint8   `json:"ttl,omitempty"`   // 0: not known
	IPID  uint16  `json:"ip_id,omitempty"` // 0: none, or not known
	MSS   uint16  `json:"mss,omitempty"`   // 0: no such option
	// Relative: the text that was read gives relative numbers; Seq and Ack count from
	// bases that were made up.
	Relative bool `json:"relative,omitempty"`
}

// Lane is what one end's socket was, over time, as far as the capture and the model
// tell.
type Lane struct {
	End   string `json:"end"` // client or server, as in Flow
	Spans []Span `json:"spans"`
}

// Span is a stretch of time in one state. Times are in seconds since the first step
// of the ladder, as Step.AtS.
type Span struct {
	State string  `json:"state"` // SYN_SENT, ESTABLISHED, TIME_WAIT, CLOSED, …, or "?" where it is not known
	FromS float64 `json:"from_s"`
	ToS   float64 `json:"to_s"`
	// Frame begins the span; 0 where no frame does (a timer, or what is not known).
	Frame uint64 `json:"frame,omitempty"`
	// Assumed: the state is what the verdict's story assumes, not what frames force.
	Assumed bool `json:"assumed,omitempty"`
	// EndsS is when a timer ends the state by itself (TIME_WAIT, FIN_WAIT2), at the
	// earliest and the latest; empty where none does.
	EndsS []float64 `json:"ends_s,omitempty"`
	Note  string    `json:"note,omitempty"`
}

// Ring is the circle of sequence numbers at the moment of a SYN on a four-tuple with
// a past: what the end in question waited for, and the numbers that are compared.
type Ring struct {
	End string `json:"end"` // whose numbers: client or server
	// RcvNxt and SndNxt are the old connection's, nil where not known; Seq is the SYN's.
	RcvNxt *uint32 `json:"rcv_nxt,omitempty"`
	SndNxt *uint32 `json:"snd_nxt,omitempty"`
	Seq    uint32  `json:"seq"`
	// After: after(seq, rcv_nxt) by the kernel's signed compare; nil where not known.
	After *bool `json:"after,omitempty"`
	// ISN is the number of the SYN-ACK that came, nil where none did.
	ISN *uint32 `json:"isn,omitempty"`
	// Candidates are the numbers that the stories predict for it.
	Candidates []Candidate `json:"candidates,omitempty"`
	Frames     []uint64    `json:"frames"`
}

// Candidate is a predicted initial sequence number.
type Candidate struct {
	Name      string `json:"name"` // "snd_nxt + 65537", "clock line"
	Value     uint32 `json:"value"`
	Tolerance uint32 `json:"tolerance,omitempty"` // on either side
	Met       bool   `json:"met"`                 // ISN is that number
}

// Clock is the initial sequence numbers and the timestamps of one end over time.
type Clock struct {
	End string `json:"end"`
	// ISNs of its SYNs or SYN-ACKs on this four-tuple; on one boot they lie on a line of
	// 15.625 million a second unless one was inherited.
	ISNs []ClockPoint `json:"isns"`
	// TSVals are the timestamps that it sent.
	TSVals []ClockPoint `json:"tsvals,omitempty"`
	// TSRate is how many ticks a second its timestamps count, 0 where not known.
	TSRate float64 `json:"ts_rate,omitempty"`
}

// ClockPoint is one number. Times as Step.AtS.
type ClockPoint struct {
	Frame uint64  `json:"frame"`
	AtS   float64 `json:"at_s"`
	Value uint32  `json:"value"`
	// Is says what the number is: "base", "on the line", "inherited", "off the line";
	// empty for timestamps.
	Is string `json:"is,omitempty"`
}
