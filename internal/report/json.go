package report

import (
	"encoding/json"
	"io"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// WriteJSON writes a report as one JSON object, a line each for what a report has and for the elements of
// its lists, findings above all: to look for one, and half as long as with a line for every field
// (33,000 findings are 281 MB instead of 444, which take time to write and to read). Without the blanks the bytes are those of
// encoding/json without SetEscapeHTML (segments are full of "<mss 1460>"), which a test holds; they are appended by hand
// because encoding/json marshals the whole value first, and grows its buffer by copying: for 3,200 findings
// that took 1.0 s and 0.8 s of page faults, this takes 0.03 s and one buffer of 64 KiB.
//
// An error is one of w, or a number that JSON cannot say.
func WriteJSON(w io.Writer, r *Report) error {
	j := newAppender(w)
	j.report(r)
	return j.end()
}

func newAppender(w io.Writer) *appender {
	return &appender{w: w, b: make([]byte, 0, flushFrom+flushFrom/4)}
}

// end ends the text.
func (j *appender) end() error {
	j.b = append(j.b, '\n')
	j.flush()
	return j.err
}

// flushFrom is how much is gathered before it is written.
const flushFrom = 64 << 10

// appender appends JSON to a buffer, which it writes out now and then. After an error it
// goes on and writes no more.
type appender struct {
	w     io.Writer
	b     []byte
	depth int
	err   error
}

// flush writes the buffer out.
func (j *appender) flush() { j.write(len(j.b)) }

// write writes the first n bytes out.
func (j *appender) write(n int) {
	if j.err == nil {
		_, j.err = j.w.Write(j.b[:n])
	}
	j.b = j.b[:copy(j.b, j.b[n:])]
}

// flushIfLong is called between the elements of the long lists. It writes whole pages, which takes a
// file system a little less than parts of them (0.09 to 0.13 s for 280 MB, instead of 0.14); something always stays, for the next line looks at the last byte.
func (j *appender) flushIfLong() {
	if n := (len(j.b) - 1) / flushFrom * flushFrom; n > 0 {
		j.write(n)
	}
}

// deepestLine is how deep in a report lines begin: the elements of its lists have one each, what is in
// them goes on in it.
const deepestLine = 2

// line begins an element or a field, after a comma unless it is the first of its object or list. A
// value never ends in an opening bracket: strings end in a quotation mark.
func (j *appender) line() {
	b := j.b
	first := b[len(b)-1] == '{' || b[len(b)-1] == '['
	switch {
	case j.depth <= deepestLine:
		if !first {
			b = append(b, ',')
		}
		b = append(append(b, '\n'), "    "[:2*j.depth]...)
	case !first:
		b = append(b, ',', ' ')
	}
	j.b = b
}

func (j *appender) open(bracket byte) {
	j.b = append(j.b, bracket)
	j.depth++
}

func (j *appender) close(bracket byte) {
	j.depth--
	if c := j.b[len(j.b)-1]; c != '{' && c != '[' && j.depth < deepestLine {
		j.b = append(append(j.b, '\n'), "    "[:2*j.depth]...)
	}
	j.b = append(j.b, bracket)
}

// key begins a field; it is given as it is written, with its quotation marks and colon.
func (j *appender) key(key string) {
	j.line()
	j.b = append(j.b, key...)
}

func (j *appender) str(key, s string) {
	j.key(key)
	j.text(s)
}

func (j *appender) optStr(key, s string) {
	if s != "" {
		j.str(key, s)
	}
}

func (j *appender) num(key string, n uint64) {
	j.key(key)
	j.b = strconv.AppendUint(j.b, n, 10)
}

func (j *appender) optNum(key string, n uint64) {
	if n != 0 {
		j.num(key, n)
	}
}

func (j *appender) optNumAt(key string, n *uint32) {
	if n != nil {
		j.num(key, uint64(*n))
	}
}

func (j *appender) whole(key string, n int) {
	j.key(key)
	j.b = strconv.AppendInt(j.b, int64(n), 10)
}

func (j *appender) truth(key string, b bool) {
	j.key(key)
	j.b = strconv.AppendBool(j.b, b)
}

func (j *appender) optTruth(key string, b bool) {
	if b {
		j.truth(key, b)
	}
}

func (j *appender) real(key string, f float64) {
	j.key(key)
	j.float(f)
}

// float is encoding/json's: as ECMAScript prints numbers.
func (j *appender) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		if j.err == nil {
			j.err = &json.UnsupportedValueError{Value: reflect.ValueOf(f), Str: strconv.FormatFloat(f, 'g', -1, 64)}
		}
		return
	}
	if f >= leastDecimal && f < mostDecimal {
		if n := int64(math.Round(f * 1e9)); float64(n)/1e9 == f {
			j.b = appendBillionths(j.b, uint64(n))
			return
		}
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	j.b = strconv.AppendFloat(j.b, f, format, -1, 64)
	if n := len(j.b); format == 'e' && n >= 4 && j.b[n-4] == 'e' && (j.b[n-3] == '-' || j.b[n-3] == '+') && j.b[n-2] == '0' {
		j.b[n-2] = j.b[n-1] // e-09 is e-9
		j.b = j.b[:n-1]
	}
}

// Between these a number that is a whole number of billionths, as times are, has at most 15 digits: no
// other number of so few digits is the same float64, so that they are the shortest ones.
const leastDecimal, mostDecimal = 1e-6, 1e6

// appendBillionths appends n/1e9 without zeros at its end.
func appendBillionths(b []byte, n uint64) []byte {
	b = strconv.AppendUint(b, n/1e9, 10)
	rest := uint32(n % 1e9)
	if rest == 0 {
		return b
	}
	digits := [10]byte{'.'}
	for i := 9; i > 0; i-- {
		digits[i] = byte('0' + rest%10)
		rest /= 10
	}
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	return append(b, digits[:end]...)
}

// list appends a list; one that is nil is null.
func list[T any](j *appender, key string, xs []T, each func(*appender, *T)) {
	j.key(key)
	if xs == nil {
		j.b = append(j.b, "null"...)
		return
	}
	j.open('[')
	for i := range xs {
		j.line()
		each(j, &xs[i])
	}
	j.close(']')
}

func optList[T any](j *appender, key string, xs []T, each func(*appender, *T)) {
	if len(xs) > 0 {
		list(j, key, xs, each)
	}
}

func text(j *appender, s *string)   { j.text(*s) }
func number(j *appender, n *uint64) { j.b = strconv.AppendUint(j.b, *n, 10) }
func float(j *appender, f *float64) { j.float(*f) }

// plain are the bytes that stand for themselves in a string.
var plain = func() (p [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		p[c] = c != '"' && c != '\\'
	}
	return p
}()

// text appends a string in quotation marks.
func (j *appender) text(s string) {
	b := append(j.b, '"')
	if isPlain(s) {
		b = append(b, s...)
		j.b = append(b, '"')
		return
	}
	from := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if size > 1 && r != '\u2028' && r != '\u2029' {
			i += size
			continue
		}
		b = append(b, s[from:i]...)
		b = appendEscaped(b, r, size)
		i += size
		from = i
	}
	b = append(b, s[from:]...)
	j.b = append(b, '"')
}

// isPlain tells whether all bytes stand for themselves; eight at once: a byte with its upper bit
// set, one below the blank, a quotation mark and a backslash each leave an upper bit.
func isPlain(s string) bool {
	const ones, upper = 0x0101010101010101, 0x8080808080808080
	if len(s) < 8 {
		for i := range len(s) {
			if !plain[s[i]] {
				return false
			}
		}
		return true
	}
	odd := uint64(0)
	for from := 0; ; from += 8 {
		from = min(from, len(s)-8)
		t := s[from : from+8]
		x := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 | uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		quote, backslash := x^ones*'"', x^ones*'\\'
		odd |= x | (x - ones*' ') | (quote-ones)&^quote | (backslash-ones)&^backslash
		if from == len(s)-8 {
			return odd&upper == 0
		}
	}
}

// appendEscaped appends a character that cannot stand for itself, or, where it is the
// first byte of none, the replacement character.
func appendEscaped(b []byte, r rune, size int) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r == utf8.RuneError && size == 1:
		return append(b, `\ufffd`...)
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == '\b':
		return append(b, `\b`...)
	case r == '\f':
		return append(b, `\f`...)
	case r == '\n':
		return append(b, `\n`...)
	case r == '\r':
		return append(b, `\r`...)
	case r == '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', hex[r>>12&0xf], hex[r>>8&0xf], hex[r>>4&0xf], hex[r&0xf])
}
