package lab

import (
	"fmt"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// deviceMTU is that of a TUN device which nobody changed.
const deviceMTU = 1500

// buffers are the receive buffers of the host: the second and the third number of
// net.ipv4.tcp_rmem. 0: not known.
type buffers struct{ usual, most uint32 }

// offering is what a host makes the offer of a SYN-ACK from.
func (b buffers) offering(h kernel.Host, syn *segment.Segment, cookie bool) *listen.Offer {
	o := listen.Offering{Host: h, MSS: deviceMTU - 40, Rmem: b.usual, RmemMax: b.most, SYN: syn, Cookie: kernel.If(cookie)}
	if h.IPv6 {
		o.MSS = deviceMTU - 60
	}
	f := o.Offer()
	return &f
}

// predict asks the model what the host answers to a segment, and what a SYN-ACK
// offers: by its own SYN, or once more what the request offered.
func (v *view) predict(h kernel.Host, s segment.Segment, now int64) prediction {
	p := v.decide(h, s, now)
	p.after.buffers = v.buffers
	again := v.at == atLive && v.live.State == live.SynRecv && p.reply.ISN == kernel.ISNUnknown
	switch {
	case p.unsure != "":
		return p
	case p.reply.Kind == kernel.ReplySYNACK && again && v.offer != nil:
		f := v.offer.Again(h.Profile, v.live.TSRecent)
		p.offer = &f
	case p.reply.Kind == kernel.ReplySYNACK && !again:
		p.offer = v.buffers.offering(h, &s, p.reply.ISN == kernel.ISNCookie)
	}
	if p.after.at == atLive && p.after.live.State == live.SynRecv {
		p.after.offer = v.offer
		if !again {
			p.after.offer = p.offer
		}
	}
	return p
}

// requestOffer is what the SYN-ACK of a story's own SYN offered, which was made under
// the defaults.
func (s *Story) requestOffer(p kernel.Profile, b buffers) *listen.Offer {
	syn := segment.Segment{Flags: segment.SYN, Options: segment.OptMSS | segment.OptWScale}
	if s.TS {
		syn.Options |= segment.OptTimestamps | segment.OptSACKPermitted
		syn.TSVal = s.TSVal
	}
	return b.offering(Settings{}.host(p, s.IPv6), &syn, false)
}

// compareOffer holds a SYN-ACK against what it should offer: window, options with
// their order and values, the echoed timestamp, ECN.
func compareOffer(f *listen.Offer, s *segment.Segment) (diffs []Difference) {
	add := func(field string, want kernel.Num, got uint32) {
		if want.Known && want.Uint32() != got {
			diffs = append(diffs, Difference{field, want.String(), fmt.Sprint(got)})
		}
	}
	add("window", f.Window, uint32(s.Window))
	if f.Options != nil {
		if want, got := optionWords(f.Options), wireOptions(s.RawOptions); want != got {
			return append(diffs, Difference{"options", want, got})
		}
	}
	add("mss", f.MSS, uint32(s.MSS))
	if s.Options.Has(segment.OptWScale) {
		add("wscale", f.WScale, uint32(s.WScale))
	}
	if s.HasTS() {
		add("tsecr", f.TSEcr, s.TSEcr.Uint32())
	}
	if ece := kernel.If(s.Flags.Has(segment.ECE)); f.ECE != kernel.Unknown && f.ECE != ece {
		diffs = append(diffs, Difference{"ece", f.ECE.String(), ece.String()})
	}
	return diffs
}

// optionKinds are the kinds of the options on the wire, by their names here.
var optionKinds = [...]struct {
	kind   byte
	option segment.Options
	word   string
}{{2, segment.OptMSS, "mss"}, {3, segment.OptWScale, "wscale"}, {4, segment.OptSACKPermitted, "sackOK"}, {8, segment.OptTimestamps, "TS"}}

func optionWords(all []segment.Options) (words string) {
	for _, o := range all {
		for _, k := range optionKinds {
			if k.option == o {
				words += " " + k.word
			}
		}
	}
	return words
}

// wireOptions names the options as they stand on the wire, fillers aside.
func wireOptions(raw []byte) (words string) {
	for len(raw) > 0 && raw[0] != 0 {
		if raw[0] == 1 {
			raw = raw[1:]
			continue
		}
		if len(raw) < 2 || int(raw[1]) < 2 || int(raw[1]) > len(raw) {
			return words + " malformed"
		}
		word := fmt.Sprintf(" kind %d", raw[0])
		for _, k := range optionKinds {
			if k.kind == raw[0] {
				word = " " + k.word
			}
		}
		words, raw = words+word, raw[raw[1]:]
	}
	return words
}

// stampTolerance is how far off its line a TSval may be: what a busy machine takes
// between its clock and the wire, and the low bits of a cookie's.
const stampTolerance = 100 * time.Millisecond

// compareStamp holds a TSval against the clock of its four-tuple, where that counts
// milliseconds.
func compareStamp(h *kernel.Host, s *segment.Segment, n *Numbers, sent int64) (Difference, bool) {
	if !s.HasTS() || n.TSTime == 0 {
		return Difference{}, true
	}
	c := listen.ClocksOf(h.Profile)
	if c.MaxTick != time.Millisecond {
		return Difference{}, true
	}
	slack := stampTolerance + time.Duration(s.Time-n.TSTime)/drift
	from, _ := c.TSVal(n.TSEcr, time.Duration(sent-n.TSTime)-slack)
	_, to := c.TSVal(n.TSEcr, time.Duration(s.Time-n.TSAsked)+slack)
	if s.TSVal.Ahead(from) > to.Ahead(from) {
		return Difference{"tsval", fmt.Sprintf("%s to %s", from, to), s.TSVal.String()}, false
	}
	return Difference{}, true
}

// replyWords are the reply that is predicted, with the offer of a SYN-ACK.
func (p *prediction) replyWords() string {
	words := replyText(p.reply)
	if p.offer == nil {
		return words
	}
	if w := p.offer.Window; w.Known {
		words += " win " + w.String()
	}
	for _, o := range p.offer.Options {
		words += optionWords([]segment.Options{o})
		switch o {
		case segment.OptMSS:
			words += " " + p.offer.MSS.String()
		case segment.OptWScale:
			words += " " + p.offer.WScale.String()
		case segment.OptTimestamps:
			words += " ecr " + p.offer.TSEcr.String()
		}
	}
	return words
}

// differences holds the answers of the kernel, to a segment sent at a time, against
// what was predicted.
func (p *prediction) differences(h *kernel.Host, got []segment.Segment, n *Numbers, sent int64) []Difference {
	diffs := compare(p.reply, got, n, sent)
	if len(got) == 0 || p.reply.Kind == kernel.NoReply || got[0].Flags&^segment.ECE != flagsOf(p.reply) {
		return diffs
	}
	if p.offer != nil {
		diffs = append(diffs, compareOffer(p.offer, &got[0])...)
	}
	if d, ok := compareStamp(h, &got[0], n, sent); !ok {
		diffs = append(diffs, d)
	}
	return diffs
}
