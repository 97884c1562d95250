package diagnose

import (
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/flow"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Describer turns connections into their report values. It keeps buffers, so that
// a million connections cost few allocations. The zero value is ready for use.
type Describer struct {
	buf   []byte
	texts strings.Builder // its strings stay: a full one is left to them
	dates dateCache
}

// textsSize is how much text is allocated at a time.
const textsSize = 32 << 10

// keep returns b as a string.
func (d *Describer) keep(b []byte) string {
	if d.texts.Cap()-d.texts.Len() < len(b) {
		d.texts = strings.Builder{}
		d.texts.Grow(max(textsSize, len(b)))
	}
	at := d.texts.Len()
	d.texts.Write(b)
	return d.texts.String()[at:]
}

// dateCache keeps the text of the last day, which most times share.
type dateCache struct {
	day  int64
	text string // "2006-01-02T"
}

// append writes nanoseconds since the Unix epoch as report.FormatTime does.
func (d *dateCache) append(b []byte, ns int64) []byte {
	const perDay = 24 * 3600 * 1e9
	day, rest := ns/perDay, ns%perDay
	if rest < 0 {
		day, rest = day-1, rest+perDay
	}
	if d.text == "" || day != d.day {
		d.day, d.text = day, report.FormatTime(ns)[:11]
	}
	b = append(b, d.text...)
	sec, frac := uint32(rest/1e9), uint32(rest%1e9)
	b = appendTwoDigits(b, sec/3600)
	b = appendTwoDigits(append(b, ':'), sec/60%60)
	b = appendTwoDigits(append(b, ':'), sec%60)
	b = append(b, '.', byte('0'+frac/1e8))
	b = appendTwoDigits(b, frac/1e6%100)
	b = appendTwoDigits(b, frac/1e4%100)
	b = appendTwoDigits(b, frac/1e2%100)
	b = appendTwoDigits(b, frac%100)
	return append(b, 'Z')
}

// appendTwoDigits writes a number below 100.
func appendTwoDigits(b []byte, n uint32) []byte {
	return append(b, byte('0'+n/10), byte('0'+n%10))
}

func appendEndpoint(b []byte, e segment.Endpoint) []byte {
	if e.Addr.Is4() {
		a := uint32(e.Addr.Lo)
		b = appendByte(b, byte(a>>24))
		b = appendByte(append(b, '.'), byte(a>>16))
		b = appendByte(append(b, '.'), byte(a>>8))
		b = appendByte(append(b, '.'), byte(a))
		b = append(b, ':')
	} else {
		b = e.Addr.Netip().AppendTo(append(b, '['))
		b = append(b, "]:"...)
	}
	return strconv.AppendUint(b, uint64(e.Port), 10)
}

// appendByte writes a number below 256.
func appendByte(b []byte, n byte) []byte {
	switch {
	case n >= 100:
		return append(b, '0'+n/100, '0'+n/10%10, '0'+n%10)
	case n >= 10:
		return append(b, '0'+n/10, '0'+n%10)
	}
	return append(b, '0'+n)
}

// Describe fills out for a connection.
func (d *Describer) Describe(c *flow.Connection, out *report.Connection) {
	b := d.buf[:0]
	b = append(b, 'c')
	b = strconv.AppendUint(b, c.ID, 10)
	id := len(b)
	b = appendEndpoint(b, c.Ends[flow.Opener].Endpoint)
	client := len(b)
	b = appendEndpoint(b, c.Ends[flow.Listener].Endpoint)
	server := len(b)
	b = d.dates.append(b, c.First.Time)
	opened := len(b)
	if c.EndedAt.Seen() {
		b = d.dates.append(b, c.EndedAt.Time)
	}
	closed := len(b)
	b = appendHistory(b, c)
	d.buf = b
	s := d.keep(b)
	out.ID, out.Client, out.Server, out.Opened, out.Closed, out.History = s[:id], s[id:client], s[client:server], s[server:opened], s[opened:closed], s[closed:]
	out.FirstFrame, out.LastFrame, out.DurationS = c.First.Frame, c.LastSeen.Frame, float64(c.LastSeen.Time-c.First.Time)/1e9
	out.State, out.FirstCloser, out.TimeWaitHolder, out.Ended = stateName(c.State), firstCloser(c), timeWaitHolder(c), endedHow(c)
	for i := range c.Ends {
		out.Packets[i], out.Bytes[i] = c.Ends[i].Segments, c.Ends[i].Bytes
	}
}

// appendHistory writes a connection in one word, as Zeek does: upper case for the
// opener: S SYN, H SYN-ACK, D data, F FIN, R RST; "^" where the capture holds no SYN.
func appendHistory(b []byte, c *flow.Connection) []byte {
	o, l := &c.Ends[flow.Opener], &c.Ends[flow.Listener]
	if c.MidStream {
		b = append(b, '^')
	}
	if o.ISN.Seen() && !o.ISNImplied {
		b = append(b, 'S')
	}
	if l.ISN.Seen() && !l.ISNImplied {
		b = append(b, 'h')
	}
	if o.Bytes > 0 {
		b = append(b, 'D')
	}
	if l.Bytes > 0 {
		b = append(b, 'd')
	}
	type ev struct {
		frame uint64
		c     byte
	}
	evs := [4]ev{{o.FIN.Frame, 'F'}, {l.FIN.Frame, 'f'}, {o.RST.Frame, 'R'}, {l.RST.Frame, 'r'}}
	for range evs {
		best := -1
		for i, e := range evs {
			if e.frame != 0 && (best < 0 || e.frame < evs[best].frame) {
				best = i
			}
		}
		if best < 0 {
			return b
		}
		b = append(b, evs[best].c)
		evs[best].frame = 0
	}
	return b
}

var stateNames = [...]string{"syn-only", "syn-acked", "established", "half-closed", "closed", "closing", "reset"}

func stateName(s flow.State) string {
	return stateNames[s]
}

func firstCloser(c *flow.Connection) string {
	o, l := &c.Ends[flow.Opener].FIN, &c.Ends[flow.Listener].FIN
	switch {
	case o.Seen() && l.Seen() && closedActively(c, flow.Opener) && closedActively(c, flow.Listener):
		return "both"
	case o.Seen() && (!l.Seen() || o.Frame < l.Frame):
		return "client"
	case l.Seen():
		return "server"
	}
	return ""
}

// closedActively: the end's FIN does not acknowledge the peer's.
func closedActively(c *flow.Connection, s flow.Side) bool {
	e, p := &c.Ends[s], &c.Ends[s.Other()]
	return e.FIN.Seen() && (!p.FIN.Seen() || e.FINAck.Num.Before(p.FIN.Num))
}

func timeWaitHolder(c *flow.Connection) string {
	o, l := closedActively(c, flow.Opener), closedActively(c, flow.Listener)
	switch {
	case c.State == flow.Reset || c.State < flow.HalfClosed:
		return "none"
	case c.State == flow.HalfClosed:
		return "unknown"
	case orderUnsure(&c.Ends[flow.Opener]) || orderUnsure(&c.Ends[flow.Listener]):
		return "unknown"
	case o && l:
		return "both"
	case o:
		return "client"
	case l:
		return "server"
	}
	return "unknown"
}

func endedHow(c *flow.Connection) string {
	switch c.State {
	case flow.Closed, flow.Closing:
		return "fin"
	case flow.Reset:
		if c.Ends[flow.Opener].RST.Seen() {
			return "reset-by-client"
		}
		return "reset-by-server"
	case flow.SynOnly:
		return "unanswered"
	case flow.SynAcked, flow.Established, flow.HalfClosed:
	}
	return "open"
}
