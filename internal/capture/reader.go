package capture

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Options are what Open may need beside the names.
type Options struct {
	// Stdin is read for the name "-".
	Stdin io.Reader
	// Follow: the only path is a file that grows, or a directory in which files that grow
	// appear one after another (tcpdump -G and -C), or "-". Read returns ErrWait where
	// nothing more has come yet, until Finish is called.
	Follow bool
}

// Reader reads the TCP segments of one or several captures. It is not safe for
// use by several goroutines at once.
type Reader struct {
	sources []*source
	// heap holds the sources that are not at their end; the one whose next
	// record is the earliest is first.
	heap   []*source
	frames uint64 // records so far, of all sources
	runs   runList
	err    error // what every further Read returns
	notes  []segment.Note
	probe  *source // decodes frames once more, for Wire
	// closing are the sources that ended in the last Read, whose segments may
	// still be asked about.
	closing []*source
	awake   int // sources that are open
	// overlooked are warnings about what lay beside the captures in directories.
	overlooked []Warning
	watch      *watch // what may bring more; nil: nothing does
	missed     bool   // something of what was followed was not read
}

// maxSources is what a segment.Ref can tell apart.
const maxSources = math.MaxUint16

// Open opens captures in the order given; "-" is opts.Stdin. Each may be pcap or
// pcapng, or text that tcpdump, tshark or Wireshark printed (read whole, see
// package pasted), plain, gzip or zstd, whatever its name; or a directory, which
// stands for the captures in it by the time of their first packets. If one cannot be
// read, none is opened; the error names it and says what to do.
func Open(paths []string, opts Options) (*Reader, error) {
	if len(paths) == 0 {
		return nil, errors.New("no capture to read: name a file, or - for standard input")
	}
	if len(paths) > maxSources {
		return nil, fmt.Errorf("%d captures are too many, %d can be read at once: merge some with mergecap", len(paths), maxSources)
	}
	r := &Reader{}
	if opts.Follow && !slices.Equal(paths, []string{"-"}) {
		if err := r.follow(paths); err != nil {
			return nil, err
		}
		return r, nil
	}
	many := len(paths) > mostOpen
	size := min(bufferSize, max(bufferMin, buffersTotal/len(paths)))
	for i, p := range paths {
		err := error(nil)
		if p == "-" && slices.Contains(paths[:i], "-") {
			err = errors.New("standard input: was named twice, but can be read only once")
		} else {
			err = r.open(p, many, size, opts.Stdin)
		}
		if err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// Read fills batch with the next segments in time order and returns how many:
// fewer than asked where the buffer is used up, and 0 only with an error, which
// is io.EOF at the end and may be ErrWait with Options.Follow, or with Notes, which there may be with an error too.
// Their RawOptions are valid until the next Read. A field of an option that a
// segment does not have is zero, but for the SACK blocks from NSACK on, which
// keep what was in batch. Segments beyond those returned hold garbage.
func (r *Reader) Read(batch []segment.Segment) (int, error) {
	n := 0
	r.notes = r.notes[:0]
	for _, s := range r.closing {
		s.buf = nil
	}
	r.closing = r.closing[:0]
	for r.err == nil && n < len(batch) {
		if len(r.heap) == 0 {
			if r.watch != nil {
				more, err := r.lookAgain()
				if !more && err == nil {
					return n, r.waiting(n)
				}
				r.err = err
				continue
			}
			r.err = io.EOF
			break
		}
		s := r.heap[0]
		if s.asleep {
			if err := r.wake(s); err != nil || s.void {
				r.lost(s, err)
				continue
			}
		}
		before := s.frames
		s.delta = r.frames - s.frames
		m, st := s.run(batch[n:], r.limit())
		if s.frames != before {
			r.runs.add(run{r.frames + 1, before + 1, s.index})
			r.frames += s.frames - before
			s.lastFrame = r.frames
		}
		n += m
		switch st {
		case full:
		case later:
			r.sink()
		case starved:
			// What is in batch points into the buffers, so it goes first, and a
			// live stream may not send more for long.
			if n > 0 || len(r.notes) > 0 {
				return n, nil
			}
			if err := s.fill(); err != nil {
				r.err = err
			}
			if s.dry {
				s.dry = false
				more, err := r.lookAgain()
				if !more && err == nil {
					return 0, ErrWait
				}
				r.err = err
			}
		case ended:
			if err := s.close(); err != nil && r.err == nil {
				r.err = fmt.Errorf("%s: closing failed: %w", s.title(), cause(err))
			}
			r.closing = append(r.closing, s)
			r.awake--
			r.watch.ended(s)
			r.drop()
		case brimful:
			return n, nil
		}
	}
	if n > 0 || len(batch) == 0 {
		return n, nil
	}
	return 0, r.err
}

// less is the order of merging: by time, then as given.
func less(a, b *source) bool {
	return a.head < b.head || a.head == b.head && a.index < b.index
}

// limit is up to which time the first source is to be read before another one.
func (r *Reader) limit() int64 {
	var next *source
	for _, s := range r.heap[1:min(3, len(r.heap))] {
		if next == nil || less(s, next) {
			next = s
		}
	}
	switch {
	case next == nil:
		return math.MaxInt64
	case r.heap[0].index < next.index:
		return next.head
	}
	// The other was given first, so that its head is later than that of this
	// one and the difference does not overflow.
	return next.head - 1
}

// drop takes the first source out of the heap.
func (r *Reader) drop() {
	last := len(r.heap) - 1
	r.heap[0] = r.heap[last]
	r.heap = r.heap[:last]
	r.sink()
}

// lost takes out a source that could be opened before and cannot any more. Of files that
// are written all the time the oldest may be removed; else it is an error.
func (r *Reader) lost(s *source, err error) {
	if r.watch == nil {
		r.err = err
		return
	}
	r.watch.gone(s, err)
	r.drop()
}

// sink puts the first source to its place in the heap after its head moved.
func (r *Reader) sink() {
	h := r.heap
	for i := 0; ; {
		k := 2*i + 1
		if k+1 < len(h) && less(h[k+1], h[k]) {
			k++
		}
		if k >= len(h) || !less(h[k], h[i]) {
			return
		}
		h[i], h[k] = h[k], h[i]
		i = k
	}
}

// Sources returns the names of the files: as given to Open, those in a directory behind its name.
func (r *Reader) Sources() []string {
	names := make([]string, len(r.sources))
	for i, s := range r.sources {
		names[i] = s.name
	}
	return names
}

// Progress tells how many bytes of the files were read, and how many there are: as
// they lie on the disk, packed where they are. total is 0 where one is a stream. It may be
// called while another goroutine reads, but not with Options.Follow.
func (r *Reader) Progress() (read, total int64) {
	known := true
	for _, s := range r.sources {
		read += s.device.read.Load()
		total += s.device.size
		known = known && s.device.size > 0
	}
	if !known {
		total = 0
	}
	return read, total
}

// Consumed is how many bytes of a source, an index into Sources, were read, as they lie on the disk.
func (r *Reader) Consumed(source int) int64 { return r.sources[source].device.read.Load() }

// Frames is how many records were read so far, of all files together: the number of the last.
func (r *Reader) Frames() uint64 { return r.frames }

// Locate finds the file that a merged frame number stands for, as an index into
// Sources, and the number of the frame in it. It is not ok for frames not yet
// read, and for the oldest ones where files alternate more than a few million times.
func (r *Reader) Locate(frame uint64) (source int, sourceFrame uint64, ok bool) {
	if frame == 0 || frame > r.frames {
		return 0, 0, false
	}
	return r.runs.find(frame)
}

// Close closes what is still open. Further Reads fail.
func (r *Reader) Close() error {
	var err error
	for _, s := range r.sources {
		err = errors.Join(err, s.close())
		s.buf = nil
	}
	r.heap, r.watch = nil, nil
	if r.err == nil {
		r.err = errors.New("the capture is closed")
	}
	return err
}
