package live

import (
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// Peer is what a socket remembers of the peer's acknowledgements.
type Peer struct {
	SndUna kernel.Num
	// SndWL1 is the seq of the segment that last announced a window (snd_wl1),
	// PeerWnd that window as it stood in the header.
	SndWL1, PeerWnd kernel.Num
	// MaxWindow is the peer's largest window in bytes (max_window), BytesAcked
	// how many bytes it has acknowledged, a FIN counted, the SYN-ACK not.
	MaxWindow, BytesAcked kernel.Num
	// RTO is the retransmission timeout as it is now, doublings counted.
	RTO kernel.Duration
	// Memory: the socket has memory at hand for the data of a segment
	// (sk_forward_alloc), without which the fast path takes none.
	Memory kernel.Answer
}

// largestWindow is the largest that a header can announce: 65535 << 14.
const largestWindow = 65535 << 14

// SndNxt lies behind the own FIN once that was sent. acksFIN tells whether the
// segment is the first to acknowledge it.
func (c *Case) acksFIN() kernel.Reading {
	switch c.State {
	case FinWait1, Closing, LastAck:
	case UnknownState, SynRecv, Established, FinWait2, CloseWait:
		return kernel.YesIf(false, "no FIN of its own waits to be acknowledged")
	}
	if !c.Segment.Flags.Has(segment.ACK) {
		return kernel.YesIf(false, "it carries no ACK")
	}
	if !c.SndNxt.Known {
		return kernel.Missing(kernel.FactSndNxt, "snd_nxt is not known")
	}
	return kernel.Compare(c.Segment.Ack == c.SndNxt.Num, "ack %s, snd_nxt %s", c.Segment.Ack, c.SndNxt.Num)
}

// old tells whether the segment acknowledges less than snd_una.
func (c *Case) old() kernel.Reading {
	if !c.Segment.Flags.Has(segment.ACK) {
		return kernel.YesIf(false, "it carries no ACK")
	}
	if !c.SndUna.Known {
		if c.SndNxt.Known && c.Segment.Ack == c.SndNxt.Num {
			return kernel.YesIf(false, "ack %s is snd_nxt", c.Segment.Ack)
		}
		return kernel.Missing(kernel.FactSndUna, "snd_una is not known")
	}
	return kernel.Compare(c.Segment.Ack.Before(c.SndUna.Num), "ack %s, snd_una %s", c.Segment.Ack, c.SndUna.Num)
}

// tooOld tells whether it lies behind snd_una by more than a window, and more than
// the peer has acknowledged.
func (c *Case) tooOld() kernel.Reading {
	if r := c.old(); r.Answer != kernel.Yes {
		return r
	}
	if r := c.Host.Profile.Has(&kernel.ChallengesOldACK); r.Answer != kernel.Yes {
		return r
	}
	behind := c.SndUna.Ahead(c.Segment.Ack)
	if c.MaxWindow.Known && behind > c.MaxWindow.Uint32() || behind > largestWindow {
		return kernel.YesIf(true, "ack %s lies %d behind snd_una, more than the peer's largest window", c.Segment.Ack, behind)
	}
	counts := c.Host.Profile.Has(&kernel.CountsAckedBytes)
	switch {
	case counts.Answer == kernel.Yes && c.BytesAcked.Known && behind > c.BytesAcked.Uint32():
		return kernel.YesIf(true, "ack %s lies %d behind snd_una, of %d bytes acknowledged", c.Segment.Ack, behind, c.BytesAcked.Uint32())
	case counts.Answer == kernel.Unknown:
		return counts
	case !c.MaxWindow.Known || counts.Answer == kernel.Yes && !c.BytesAcked.Known:
		return kernel.Missing(kernel.FactMaxWindow, "ack %s lies %d behind snd_una, and how far an old ACK may lie is not known", c.Segment.Ack, behind)
	}
	return kernel.YesIf(false, "ack %s lies only %d behind snd_una", c.Segment.Ack, behind)
}

// beyond tells whether the segment acknowledges more than was sent.
func (c *Case) beyond() kernel.Reading {
	if !c.Segment.Flags.Has(segment.ACK) {
		return kernel.YesIf(false, "it carries no ACK")
	}
	if !c.SndNxt.Known {
		return kernel.Missing(kernel.FactSndNxt, "snd_nxt is not known")
	}
	if c.SndUna.Known && c.Segment.Ack.Before(c.SndUna.Num) { // which is asked first
		return kernel.Compare(false, "ack %s is before snd_una %s", c.Segment.Ack, c.SndUna.Num)
	}
	if !c.SndUna.Known && c.Segment.Ack.Ahead(c.SndNxt.Num) > largestWindow && c.Segment.Ack.After(c.SndNxt.Num) {
		return kernel.Missing(kernel.FactSndUna, "ack %s lies far from snd_nxt %s, and snd_una is not known", c.Segment.Ack, c.SndNxt.Num)
	}
	return kernel.Compare(c.Segment.Ack.After(c.SndNxt.Num), "ack %s, snd_nxt %s", c.Segment.Ack, c.SndNxt.Num)
}

// badACK tells whether the acknowledgement gets a challenge ACK: one too far
// behind, one of what was never sent, and while the connection closes in some
// kernels any old one.
func (c *Case) badACK() kernel.Reading {
	r := c.tooOld()
	if r.Answer == kernel.Yes {
		return r
	}
	others := []kernel.Reading{c.beyond()} // a kernel that is silent then was asked before
	if c.State != Established {
		others = []kernel.Reading{
			both(c.beyond(), c.Host.Profile.Has(&kernel.ChallengesBadACK)),
			both(c.old(), c.Host.Profile.Has(&kernel.TakesOldACK).Not()),
		}
	}
	for _, other := range others {
		switch other.Answer {
		case kernel.Yes:
			return other
		case kernel.Unknown:
			if r.Answer == kernel.No {
				r = other
			}
		case kernel.No:
		}
	}
	return r
}

// both joins two readings: no if one is, then unknown if one is.
func both(a, b kernel.Reading) kernel.Reading {
	if a.Answer == kernel.No || b.Answer == kernel.Yes {
		return a
	}
	if b.Answer == kernel.No || a.Answer == kernel.Yes {
		return b
	}
	return a
}

// announces tells whether a segment at the right place, with an ACK that is not
// old, changes the peer's window (tcp_may_update_window).
func (c *Case) announces() kernel.Reading {
	s := &c.Segment
	switch {
	case c.SndUna.Known && s.Ack.After(c.SndUna.Num):
		return kernel.YesIf(true, "ack %s is new", s.Ack)
	case !c.SndUna.Known || !c.SndWL1.Known:
		return kernel.Missing(kernel.FactPeerWindow, "which segment announced the peer's window is not known")
	case s.Seq.After(c.SndWL1.Num):
		return kernel.Compare(true, "seq %s is after snd_wl1 %s", s.Seq, c.SndWL1.Num)
	case s.Seq != c.SndWL1.Num:
		return kernel.Compare(false, "seq %s is before snd_wl1 %s", s.Seq, c.SndWL1.Num)
	case !c.PeerWnd.Known:
		return kernel.Missing(kernel.FactPeerWindow, "the peer's window is not known")
	}
	return kernel.YesIf(uint32(s.Window) > c.PeerWnd.Uint32() || s.Window == 0, "win %d, the peer's window was %s", s.Window, c.PeerWnd.Num)
}

// disordered tells whether PAWS forgives an older timestamp: that of a duplicate
// ACK which was overtaken within a retransmission timeout (tcp_disordered_ack).
func (c *Case) disordered() kernel.Reading {
	s := &c.Segment
	if !s.Flags.Has(segment.ACK) || s.End() != s.Seq || c.RcvNxt.Known && s.Seq != c.RcvNxt.Num {
		return kernel.YesIf(false, "it is no bare ACK at rcv_nxt")
	}
	if !c.RcvNxt.Known {
		return kernel.Missing(kernel.FactRcvNxt, "rcv_nxt is not known")
	}
	if !c.SndUna.Known {
		return kernel.Missing(kernel.FactSndUna, "snd_una is not known")
	}
	if s.Ack != c.SndUna.Num {
		return kernel.Compare(false, "ack %s is not snd_una %s", s.Ack, c.SndUna.Num)
	}
	if r := c.announces(); r.Answer != kernel.No {
		return r.Not()
	}
	// The timeout is counted in ticks of up to 1200 Hz by newer kernels, of 1024
	// by older ones; it is never below 200 ms, nor above 120 s.
	age := int64(c.TSRecent.Sub(s.TSVal))
	least, most := int64(200), int64(120_000)
	if c.RTO.Known {
		least = c.RTO.Milliseconds()
		most = least
	}
	switch {
	case age <= least:
		return kernel.YesIf(true, "TSval %s is %d ticks older than ts_recent, less than a retransmission timeout", s.TSVal, age)
	case age > most*12/10+20:
		return kernel.YesIf(false, "TSval %s is %d ticks older than ts_recent, more than a retransmission timeout", s.TSVal, age)
	}
	return kernel.Missing(kernel.FactRTO, "TSval %s is %d ticks older than ts_recent, and the retransmission timeout is not known so well", s.TSVal, age)
}

// fastPath tells whether a segment of ESTABLISHED is one that header prediction
// takes before its ACK is looked at (tcp_rcv_established).
func (c *Case) fastPath() kernel.Reading {
	s := &c.Segment
	wants := segment.Options(0)
	if c.HasTS != kernel.No {
		wants = segment.OptTimestamps
	}
	switch {
	case c.State != Established, s.Flags&^segment.PSH != segment.ACK, !c.RcvNxt.Known || s.Seq != c.RcvNxt.Num,
		s.Options != wants, c.AheadN > 0, c.SndNxt.Known && s.Ack.After(c.SndNxt.Num), c.PeerWnd.Known && uint32(s.Window) != c.PeerWnd.Uint32(),
		wants != 0 && c.TSRecent.Known && s.TSVal.Sub(c.TSRecent.Num) < 0:
		return kernel.YesIf(false, "header prediction does not take it")
	case s.Len > 0 && c.Memory == kernel.No:
		return kernel.YesIf(false, "no memory is at hand")
	}
	for _, x := range []struct {
		missing bool
		fact    kernel.Fact
	}{
		{c.HasTS == kernel.Unknown || wants != 0 && !c.TSRecent.Known, kernel.FactTSRecent}, {!c.PeerWnd.Known, kernel.FactPeerWindow},
		{!c.SndNxt.Known, kernel.FactSndNxt}, {c.AheadUnknown, kernel.FactAhead}, {s.Len > 0 && c.Memory == kernel.Unknown, kernel.FactFastPath},
	} {
		if x.missing {
			return kernel.Missing(x.fact, "whether header prediction takes it is not known")
		}
	}
	return kernel.YesIf(true, "header prediction takes it")
}

// heard returns an outcome after what a segment that fits tells: the timestamp,
// the acknowledgement and the window.
func (o Outcome) heard(c *Case) Outcome {
	a := &o.After
	a.TSRecent = c.stamp()
	s := &c.Segment
	if s.Flags.Has(segment.URG) {
		defer func() { a.PeerWnd = kernel.Num{} }() // no header prediction until that is read
	}
	if !s.Flags.Has(segment.ACK) || c.old().Answer == kernel.Yes {
		return o
	}
	switch c.announces().Answer {
	case kernel.Yes:
		if c.PeerWnd.Known && uint32(s.Window) > c.PeerWnd.Uint32() {
			a.MaxWindow = kernel.Num{}
		}
		a.SndWL1, a.PeerWnd = kernel.Known(s.Seq), kernel.Known(seq.Of(uint32(s.Window)))
	case kernel.Unknown:
		a.SndWL1, a.PeerWnd, a.MaxWindow = kernel.Num{}, kernel.Num{}, kernel.Num{}
	case kernel.No:
	}
	switch {
	case c.SndUna.Known:
		if c.BytesAcked.Known {
			a.BytesAcked.Num = c.BytesAcked.Add(s.Ack.Ahead(c.SndUna.Num))
		}
		a.SndUna.Num = s.Ack
	case c.SndNxt.Known && s.Ack == c.SndNxt.Num:
		a.SndUna, a.BytesAcked = c.SndNxt, kernel.Num{}
	default:
		a.BytesAcked = kernel.Num{}
	}
	switch c.acksFIN().Answer {
	case kernel.Yes:
		if c.State == FinWait1 {
			a.State = FinWait2
		}
		a.RTO = kernel.Duration{}
	case kernel.Unknown:
		if c.State == FinWait1 {
			a.State = UnknownState
		}
	case kernel.No:
	}
	return o
}

// stamp is what ts_recent is after a segment that fits (tcp_replace_ts_recent):
// its TSval, if it lies not ahead of rcv_nxt, is not older, and its ACK is not old.
// Header prediction may store it before it looks at the ACK.
func (c *Case) stamp() kernel.Num {
	s, now := &c.Segment, c.TSRecent
	switch {
	case !s.HasTS() || c.HasTS == kernel.No || c.RcvNxt.Known && s.Seq.After(c.RcvNxt.Num):
		return now
	case c.HasTS == kernel.Unknown || !now.Known || !c.RcvNxt.Known:
		return kernel.Num{}
	case s.TSVal == now.Num:
		return now
	}
	stores := c.old().Not()
	if stores.Answer == kernel.No {
		stores = c.fastPath()
		// Of the others only ACKs that are turned away were tried.
		if stores.Answer == kernel.Yes && c.Host.Profile.Has(&kernel.StampsFirst).Answer != kernel.Yes {
			stores.Answer = kernel.Unknown
		}
	}
	newer := kernel.Yes
	if now.Sub(s.TSVal) > 0 {
		newer = kernel.No
		if now.Uint32() == 0 {
			newer = c.Host.Profile.Has(&kernel.ZeroTSRecentPasses).Answer
		}
	}
	switch {
	case stores.Answer == kernel.No || newer == kernel.No:
		return now
	case stores.Answer == kernel.Yes && newer == kernel.Yes:
		return kernel.Known(s.TSVal)
	}
	return kernel.Num{}
}

// shrink is what tcp_time_wait makes of the socket as it is after the segment.
func (o Outcome) shrink(c *Case, to timewait.Substate) Outcome {
	a := &o.After
	o.Shrinks = true
	o.Small = timewait.Socket{
		Substate: to, RcvNxt: a.RcvNxt, SndNxt: a.SndNxt, RcvWnd: a.RcvWnd, WScale: a.WScale, HasTS: a.HasTS, TSRecent: a.TSRecent,
	}
	if to == timewait.TimeWait {
		o.Small.Armed = c.Now
	}
	if a.TSRecent.Known && a.TSRecent != c.TSRecent {
		o.Small.TSStored = c.Now
	}
	o.After = Socket{}
	return o
}
