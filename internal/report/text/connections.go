package text

import (
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

// Form is how a list of connections is written.
type Form uint8

// The forms: columns under a heading, or a JSON object a line.
const (
	Columns Form = iota
	JSONLines
)

// flushInterval is how long a line may wait in the buffer: whoever watches a
// stream wants to see a connection soon after it ended.
const flushInterval = 200 * time.Millisecond

// WriteConnections writes a line for each connection that list hands to its
// argument, in that order; none is kept. The error of list is returned, which is
// that of w if list passes on what its argument returns. What was written before
// an error reaches w.
func WriteConnections(w io.Writer, form Form, list func(emit func(*report.Connection) error) error) error {
	appendTo := AppendConnectionJSON
	out := lines{w: w, buf: make([]byte, 0, linesBuffer+4096)}
	if form == Columns {
		appendTo = AppendConnection
		out.buf = append(connectionHeading(), '\n')
	}
	ticker := time.NewTicker(flushInterval)
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				out.flush()
			}
		}
	}()
	err := list(func(c *report.Connection) error {
		out.mu.Lock()
		out.buf = append(appendTo(out.buf, c), '\n')
		full := len(out.buf) >= linesBuffer
		err := out.err
		out.mu.Unlock()
		if full {
			out.flush()
		}
		return err
	})
	ticker.Stop()
	close(done)
	<-gone
	if out.flush(); err == nil {
		err = out.err
	}
	return err
}

// linesBuffer is how many bytes of lines are written at once.
const linesBuffer = 64 << 10

// lines collects lines. After an error nothing is written any more.
type lines struct {
	w   io.Writer
	mu  sync.Mutex // guards what follows
	buf []byte
	err error
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && len(l.buf) > 0 {
		_, l.err = l.w.Write(l.buf)
	}
	l.buf = l.buf[:0]
}

// The widths of the columns. They are fixed so that no line waits for another;
// a longer value (an IPv6 address) pushes the rest of its own line to the right.
const (
	idWidth       = 8
	openedWidth   = 30
	durationWidth = 14
	framesWidth   = 15
	endWidth      = 21
	stateWidth    = 11
	endedWidth    = 15
	closerWidth   = 9
	holderWidth   = 9
	packetsWidth  = 11
	bytesWidth    = 17
)

// connectionHeading returns the line that stands above those of AppendConnection.
func connectionHeading() []byte {
	b := alignRight([]byte("ID"), 0, idWidth)
	b = column(b, "OPENED", openedWidth)
	b = append(b, "  "...)
	at := len(b)
	b = alignRight(append(b, "DURATION"...), at, durationWidth)
	b = column(b, "FRAMES", framesWidth)
	b = column(b, "CLIENT", endWidth)
	b = column(b, "SERVER", endWidth)
	b = column(b, "STATE", stateWidth)
	b = column(b, "ENDED", endedWidth)
	b = column(b, "CLOSED-BY", closerWidth)
	b = column(b, "TIME_WAIT", holderWidth)
	b = column(b, "PACKETS-C/S", packetsWidth)
	b = column(b, "BYTES-C/S", bytesWidth)
	return append(b, "  HISTORY"...)
}

// AppendConnection appends a line of text without its newline, in columns two
// spaces apart: id, time of the first frame, duration in seconds, first and last
// frame, client, server, state, how it ended, who closed first, who holds
// TIME_WAIT, packets and bytes from the client and from the server, history. A
// value that is not known is "-", so that the number of columns stays the same. It
// allocates nothing where b has room.
func AppendConnection(b []byte, c *report.Connection) []byte {
	at := len(b)
	b = alignRight(appendValue(b, c.ID), at, idWidth)
	b = column(b, c.Opened, openedWidth)
	b = append(b, "  "...)
	at = len(b)
	b = appendSeconds(b, c.DurationS)
	b = alignRight(append(b, 's'), at, durationWidth)
	b = pair(b, c.FirstFrame, '-', c.LastFrame, framesWidth)
	b = column(b, c.Client, endWidth)
	b = column(b, c.Server, endWidth)
	b = column(b, c.State, stateWidth)
	b = column(b, c.Ended, endedWidth)
	b = column(b, c.FirstCloser, closerWidth)
	b = column(b, c.TimeWaitHolder, holderWidth)
	b = pair(b, c.Packets[0], '/', c.Packets[1], packetsWidth)
	b = pair(b, c.Bytes[0], '/', c.Bytes[1], bytesWidth)
	b = append(b, "  "...)
	return appendValue(b, c.History)
}

// appendSeconds appends a number of seconds with six decimals.
func appendSeconds(b []byte, f float64) []byte {
	if !(f >= 0 && f < 1e9) {
		return strconv.AppendFloat(b, f, 'f', 6, 64)
	}
	us := uint64(f*1e6 + 0.5)
	b = strconv.AppendUint(b, us/1e6, 10)
	at := len(b)
	b = append(b, ".000000"...)
	for us, at = us%1e6, at+6; us > 0; us, at = us/10, at-1 {
		b[at] = byte('0' + us%10)
	}
	return b
}

const blanks = "                                                "

// column appends two spaces and s, padded to width.
func column(b []byte, s string, width int) []byte {
	b = append(b, "  "...)
	if s == "" || !ascii(s) {
		at := len(b)
		return pad(appendValue(b, s), at, width)
	}
	b = append(b, s...)
	if n := width - len(s); n > 0 {
		b = append(b, blanks[:n]...)
	}
	return b
}

// pair appends two spaces and two numbers as one column.
func pair(b []byte, x uint64, between byte, y uint64, width int) []byte {
	b = append(b, "  "...)
	at := len(b)
	b = strconv.AppendUint(b, x, 10)
	b = append(b, between)
	b = strconv.AppendUint(b, y, 10)
	if n := at + width - len(b); n > 0 {
		b = append(b, blanks[:n]...)
	}
	return b
}

// appendValue appends s fit for a terminal, "-" where it is empty.
func appendValue(b []byte, s string) []byte {
	switch {
	case s == "":
		return append(b, '-')
	case ascii(s):
		return append(b, s...)
	}
	return appendClean(b, s)
}

// ascii tells whether s is printable ASCII, as nearly every value is: eight
// bytes at a time, whose top bits show what is not (a byte above 0x7f, one
// that 0x20 cannot be taken from, and 0x7f plus one).
func ascii(s string) bool {
	const ones = 0x0101010101010101
	for len(s) >= 8 {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if (x|(x-0x20*ones)|(x+ones))&(0x80*ones) != 0 {
			return false
		}
		s = s[8:]
	}
	return isClean(s)
}

// pad fills what stands behind at up to width characters.
func pad(b []byte, at, width int) []byte {
	if n := width - utf8.RuneCount(b[at:]); n > 0 {
		b = append(b, blanks[:n]...)
	}
	return b
}

// alignRight moves what stands behind at to the right end of width characters.
func alignRight(b []byte, at, width int) []byte {
	n := width - utf8.RuneCount(b[at:])
	if n <= 0 {
		return b
	}
	end := len(b)
	b = append(b, blanks[:n]...)
	copy(b[at+n:], b[at:end])
	copy(b[at:at+n], blanks)
	return b
}
