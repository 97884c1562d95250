package capture

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

const (
	// bufferSize is a source's buffer: large enough to make read(2) cheap, small
	// enough to stay in the second-level cache.
	bufferSize = 256 << 10
	// buffersTotal and bufferMin bound the memory where many files are read at once.
	buffersTotal = 64 << 20
	bufferMin    = 64 << 10
	// maxRecord is more than any record can be; a length above it is garbage.
	maxRecord = 256 << 20
	// maxWindow is the largest window of a zstd stream that is accepted, the
	// limit of the zstd command too.
	maxWindow = 128 << 20
)

// source is one file or stream that is being read. All its bytes pass through
// buf, where records are decoded in place: buf[pos:end] is what was read and
// not yet consumed. A record longer than buf is decoded from its beginning; the
// rest of it is thrown away, so that memory stays bounded whatever a length says.
type source struct {
	name    string // as given
	index   int
	device  device
	r       io.Reader // the device, or a decompressor on it
	packed  string    // "gzip", "zstd", or ""
	closers []io.Closer

	buf      []byte
	pos, end int
	discard  uint64 // bytes still to come that belong to the last record
	eof      bool
	yielded  time.Time
	// asleep: it is not open yet; head is the time of its first record. void: it never will
	// be, the file was overwritten.
	asleep, void bool
	// live: it may grow. dry: it did not, when it was last looked at.
	live, dry bool

	ng     bool
	swap   bool // numbers are big-endian
	pcap   pcapState
	pcapng pcapngState
	text   *textState // nil: it is no text

	// head is the time of the next record, for merging; noHead: not known yet.
	head int64
	// frames counts records so far, and delta is what makes a merged frame
	// number of it (it wraps where the merged number is the smaller one).
	frames, delta uint64
	// lastFrame is the merged number of the last record.
	lastFrame uint64
	// lossFrame is the merged number of the record at which it first said that others
	// were lost; 0: it did not.
	lossFrame uint64
	segments  uint64
	// prev is the time of the last record; first and last are the extremes, last of those
	// before the clock stepped back.
	prev, first, last int64

	skipped    [numReasons]tally
	snapped    tally  // TCP segments without the end of their options
	longer     tally  // IP packets longer than their frame
	fragmented tally  // TCP segments that are the first fragment of a packet
	inside     tally  // TCP segments inside tunnels
	timeless   tally  // simple packet blocks
	back       tally  // steps of the clock
	backMax    int64  // the largest, in nanoseconds
	cut        bool   // ends in the middle of a record
	broken     string // why reading stopped early; "" if it did not
	// notes takes what Reader.Notes returns; nil: nobody asks.
	notes *[]segment.Note
	// trace takes what the general way of decoding passes; nil: nobody asks.
	trace *trace
	probe *source // decodes what ICMP errors quote
	walk  *walk   // takes the records themselves; nil: nobody asks

	// badLink is the first link type that is not read; needs skipped[linkUnsupported].
	badLink uint32
}

const (
	noHead = math.MinInt64
	// noTime is prev before the first record; being later than any time, it
	// sends that record through stepBack, which spares every other one a test.
	noTime = math.MaxInt64
)

// status says why a run stopped.
type status uint8

const (
	full    status = iota // the batch is full
	later                 // the next record is later than the limit; head is its time
	starved               // more bytes are needed
	ended                 // nothing comes any more
	brimful               // there are maxNotes notes
)

// run decodes records not later than limit into dst until one of the statuses
// holds, and returns the number of segments. Segments point into buf.
func (s *source) run(dst []segment.Segment, limit int64) (int, status) {
	var n int
	var st status
	switch {
	case s.text != nil:
		n, st = s.runText(dst, limit)
	case s.ng:
		n, st = s.runPcapng(dst, limit)
	default:
		n, st = s.runPcap(dst, limit)
	}
	s.segments += uint64(n)
	return n, st
}

// stepBack notes a record that is earlier than the one before it.
func (s *source) stepBack(t int64) {
	if s.prev == noTime {
		s.first = t
		return
	}
	s.first, s.last = min(s.first, t), max(s.last, s.prev)
	if d := s.prev - t; d > 1e9 {
		s.back.add(s.frames + s.delta)
		s.backMax = max(s.backMax, d)
	}
}

// fill makes room and reads once, so that what a live stream has sent is
// handed on without waiting for more. At the end of the input it sets eof. An
// error is one of the device, not of the format.
func (s *source) fill() error {
	if s.pos > 0 {
		s.end = copy(s.buf, s.buf[s.pos:s.end])
		s.pos = 0
	}
	s.yield()
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if s.discard > 0 {
			d := min(s.discard, uint64(s.end-s.pos))
			s.pos += int(d)
			s.discard -= d
		}
		switch {
		case err == nil && n == 0:
			continue
		case err == nil:
			return nil
		case err == io.EOF && s.live:
			s.dry = true
		case err == io.EOF:
			s.eof = true
		case s.device.err != nil:
			return s.readError(s.device.err)
		case errors.Is(err, io.ErrUnexpectedEOF):
			s.eof, s.cut = true, true
		default:
			s.eof, s.broken = true, s.damage(err)
		}
		return nil
	}
	return s.readError(io.ErrNoProgress)
}

// yieldAfter is less than the 10 ms after which Go's runtime takes a goroutine for one that hogs its processor.
const yieldAfter = 4 * time.Millisecond

// yield lets the scheduler see that this goroutine gives way. From one that does not, the runtime's monitor
// takes the processor away in every read(2) that it meets, and looks again every 20 µs instead of 10 ms,
// as long as it finds something to take: 5 % of the time on a capture of whole frames.
func (s *source) yield() {
	if now := time.Now(); now.Sub(s.yielded) > yieldAfter {
		runtime.Gosched()
		s.yielded = now
	}
}

func (s *source) readError(err error) error {
	return fmt.Errorf("%s: frame %d: reading failed: %w", s.title(), s.frames+1, cause(err))
}

// need fills until n bytes are there, or as many as there are.
func (s *source) need(n int) error {
	for s.end-s.pos < n && !s.eof {
		if err := s.fill(); err != nil {
			return err
		}
	}
	return nil
}

// outOfBytes decides what it means that less than a record is left.
func (s *source) outOfBytes() status {
	if !s.eof {
		return starved
	}
	if (s.end > s.pos || s.discard > 0) && s.broken == "" {
		s.cut = true
	}
	return s.stop()
}

// breakOff stops the reading of a file that makes no sense from here on.
func (s *source) breakOff(why string) status {
	s.broken = why
	return s.stop()
}

func (s *source) stop() status {
	s.pos, s.end, s.discard, s.eof = 0, 0, 0, true
	return ended
}

// brimful tells whether a Read has to end for its notes, or a walk ends.
func (s *source) brimful() bool {
	return s.notes != nil && len(*s.notes) >= maxNotes || s.walk != nil && s.walk.err != nil
}

// close releases the file; the buffer, which segments point into, and the
// counters stay.
func (s *source) close() error {
	var err error
	for i := len(s.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closers[i].Close())
	}
	s.closers, s.r = nil, nil
	return err
}

// title is the name for people.
func (s *source) title() string {
	if s.name == "-" {
		return "standard input"
	}
	return s.name
}
