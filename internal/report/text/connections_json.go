package text

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// AppendConnectionJSON appends exactly the bytes that json.Marshal gives for c,
// without reflection and without allocation where b has room: a capture may
// hold millions of connections. A duration that JSON cannot say (not a number,
// infinite), which json.Marshal refuses, becomes null.
func AppendConnectionJSON(b []byte, c *report.Connection) []byte {
	b = appendString(append(b, `{"id":`...), c.ID)
	b = appendString(append(b, `,"client":`...), c.Client)
	b = appendString(append(b, `,"server":`...), c.Server)
	b = appendString(append(b, `,"opened":`...), c.Opened)
	if c.Closed != "" {
		b = appendString(append(b, `,"closed":`...), c.Closed)
	}
	b = strconv.AppendUint(append(b, `,"first_frame":`...), c.FirstFrame, 10)
	b = strconv.AppendUint(append(b, `,"last_frame":`...), c.LastFrame, 10)
	b = appendFloat(append(b, `,"duration_s":`...), c.DurationS)
	b = appendString(append(b, `,"state":`...), c.State)
	b = appendString(append(b, `,"first_closer":`...), c.FirstCloser)
	b = appendString(append(b, `,"time_wait_holder":`...), c.TimeWaitHolder)
	b = appendString(append(b, `,"ended":`...), c.Ended)
	b = appendString(append(b, `,"history":`...), c.History)
	b = appendPair(append(b, `,"packets":[`...), c.Packets)
	b = appendPair(append(b, `],"bytes":[`...), c.Bytes)
	return append(b, "]}"...)
}

func appendPair(b []byte, n [2]uint64) []byte {
	b = strconv.AppendUint(b, n[0], 10)
	return strconv.AppendUint(append(b, ','), n[1], 10)
}

// appendFloat prints as encoding/json does, which follows ES6: an exponent only
// for very small and very large numbers, and without a leading zero.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, f, format, -1, 64)
	if n := len(b); format == 'e' && n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}

// verbatim tells which ASCII bytes stand for themselves in a string. As
// json.Marshal does, "<", ">" and "&" are escaped too.
var verbatim = func() (t [utf8.RuneSelf]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if !verbatim[c] {
				b = append(b, s[start:i]...)
				b = appendEscaped(b, c)
				start = i + 1
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + n
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, "0123456789abcdef"[r&15])
			start = i + n
		}
		i += n
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// appendEscaped writes an ASCII byte that may not stand for itself.
func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
