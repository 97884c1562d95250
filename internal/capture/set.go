package capture

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Sets of files: rotated captures, directories. A file of a set is looked at once for the
// time of its first record, and closed; it is opened when the merging comes to that time,
// and closed at its end. So only files whose spans overlap are open at once.

// mostOpen is how many captures that were named one by one are opened at once whatever
// their times; of more than that each waits for its time.
const mostOpen = 32

// largeBuffers is how many sources may have a buffer of bufferSize; further ones that are
// open at the same time have bufferMin.
const largeBuffers = buffersTotal / bufferSize / 2

// errNoRecord: a capture, and as yet without a record.
var errNoRecord = errors.New("holds no packet")

// probe opens a file to see what it is and when its first record was captured. The source is
// closed again, unless it is a text, which was read whole. An errNoRecord has a source too.
func probe(path string, index int) (*source, error) {
	s, err := openSource(path, index, bufferMin, nil)
	if err != nil {
		return nil, err
	}
	if s.text != nil {
		return s, nil
	}
	err = s.peek()
	if e := s.close(); err == nil && e != nil {
		err = fmt.Errorf("%s: closing failed: %w", s.title(), cause(e))
	}
	return s, err
}

// peek reads up to the first record, whose time is then s.head. A source that was
// peeked into has to be opened anew.
func (s *source) peek() error {
	var one [1]segment.Segment
	for {
		switch _, st := s.run(one[:], math.MinInt64); st {
		case starved:
			if err := s.fill(); err != nil {
				return err
			}
		case ended:
			if s.frames == 0 {
				return fmt.Errorf("%s: %w", s.title(), errNoRecord)
			}
			return nil // it has events only, which have no time
		case full, later, brimful:
			return nil
		}
	}
}

// sleeping makes the source that stands for a probed file until its time comes.
func (s *source) sleeping(index int) *source {
	z := &source{name: s.name, index: index, head: s.head, prev: noTime, last: math.MinInt64, asleep: true}
	z.device.size = s.device.size
	return z
}

// wake opens a sleeping source.
func (s *source) wake(size int) error {
	s.asleep = false
	if err := s.openFile(nil); err != nil {
		return err
	}
	s.buf = make([]byte, size)
	if err := s.openFormat(); err != nil {
		return errors.Join(err, s.close())
	}
	if s.walk != nil {
		s.pcap.link = linkEach
	}
	return nil
}

// wake opens a source of r whose time has come.
func (r *Reader) wake(s *source) error {
	if s.void {
		return nil
	}
	size := bufferSize
	if r.awake >= largeBuffers {
		size = bufferMin
	}
	if err := s.wake(size); err != nil {
		return err
	}
	r.awake++
	return nil
}

// passedOver is a file of a directory that is no capture.
type passedOver struct {
	name string
	err  error
}

// directory returns sleeping sources for the captures in a directory, by the time of their first
// record and then by name, and what else lies there. Hidden files are not looked at.
func directory(dir string) ([]*source, []passedOver, error) {
	names, err := listing(dir)
	if err != nil {
		return nil, nil, err
	}
	var all []*source
	var others []passedOver
	for _, name := range names {
		s, err := probeMember(filepath.Join(dir, name))
		if err != nil {
			others = append(others, passedOver{name, err})
			continue
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("%s: is a directory without a capture file: name the one that tcpdump -w or Wireshark writes to", dir)
	}
	slices.SortStableFunc(all, func(a, b *source) int { return cmp.Compare(a.head, b.head) })
	return all, others, nil
}

// probeMember probes a file of a directory. There, a text is rather a note about the captures
// than one of them.
func probeMember(path string) (*source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, cause(err)
	case info.IsDir():
		return nil, errors.New("a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("no file that can be read twice")
	}
	s, err := probe(path, 0)
	if err != nil && !errors.Is(err, errNoRecord) {
		return nil, err
	}
	if s.text != nil {
		return nil, errors.Join(errors.New("a text"), s.close())
	}
	return s.sleeping(0), nil
}

// listing names the files of a directory in order, without the hidden ones.
func listing(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("%s: %w: run as a user who may read it", dir, fs.ErrPermission)
		}
		return nil, fmt.Errorf("%s: cannot be listed: %w", dir, cause(err))
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// mostNamed is how many files that were passed over a warning names.
const mostNamed = 3

// overlooked words what was passed over in a directory.
func overlooked(dir string, others []passedOver) Warning {
	var b strings.Builder
	fmt.Fprintf(&b, "%s holds %s that no capture could be read from, passed over: ", dir, count(uint64(len(others)), "file"))
	for i, o := range others {
		if i == mostNamed {
			fmt.Fprintf(&b, " and %d more", len(others)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s)", o.name, strings.TrimPrefix(o.err.Error(), filepath.Join(dir, o.name)+": "))
	}
	b.WriteString(".")
	return Warning{Code: "files-passed-over", Says: b.String()}
}

// add appends a source, which gets its index.
func (r *Reader) add(s *source) error {
	if len(r.sources) == maxSources {
		return errors.Join(fmt.Errorf("more than %d captures are too many to be read at once: merge some with mergecap", maxSources), s.close())
	}
	s.index, s.notes = len(r.sources), &r.notes
	r.sources = append(r.sources, s)
	r.heap = append(r.heap, s)
	for i := len(r.heap) - 1; i > 0 && less(r.heap[i], r.heap[(i-1)/2]); i = (i - 1) / 2 {
		r.heap[i], r.heap[(i-1)/2] = r.heap[(i-1)/2], r.heap[i]
	}
	if !s.asleep {
		r.awake++
	}
	return nil
}

// open adds one path: a file, a stream, or a directory.
func (r *Reader) open(path string, many bool, size int, stdin io.Reader) error {
	info, err := os.Stat(path)
	switch {
	case path != "-" && err == nil && info.IsDir():
		all, others, err := directory(path)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			r.overlooked = append(r.overlooked, overlooked(path, others))
		}
		for _, s := range all {
			if err := r.add(s); err != nil {
				return err
			}
		}
		return nil
	case many && path != "-" && err == nil && info.Mode().IsRegular():
		s, err := probe(path, len(r.sources))
		if err != nil && !errors.Is(err, errNoRecord) {
			return err
		}
		if s.text == nil {
			s = s.sleeping(len(r.sources))
		}
		return r.add(s)
	}
	s, err := openSource(path, len(r.sources), size, stdin)
	if err != nil {
		return err
	}
	return r.add(s)
}
