package lab

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// wire sends and receives segments over the TUN device.
type wire struct {
	fd  int
	out *capture.Writer
	buf bytes.Buffer
	in  [65536]byte
	// tap sees every TCP packet that passes, and returns its number; nil: nobody looks.
	tap func(packet []byte, t time.Time) (frame uint64)

	dissect capture.Dissector
}

func newWire(fd int) (*wire, error) {
	w := &wire{fd: fd}
	out, err := capture.NewWriter(&w.buf)
	if err != nil {
		return nil, err
	}
	w.out = out
	return w, nil
}

// recordHead is what capture.Writer puts before the IP packet: the record's
// header and Ethernet's.
const recordHead = 16 + 14

// send hands the segment to the kernel; its answer is mostly there on return.
func (w *wire) send(s *segment.Segment) error {
	w.buf.Reset()
	if err := w.out.WriteSegment(s); err != nil {
		return err
	}
	if w.tap != nil {
		s.Frame = w.tap(w.buf.Bytes()[recordHead:], time.Now())
	}
	if _, err := unix.Write(w.fd, w.buf.Bytes()[recordHead:]); err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	return nil
}

// receive returns the next segment of the kernel, waiting for it up to the
// time given; ok is false where none came.
func (w *wire) receive(wait time.Duration) (s segment.Segment, ok bool, err error) {
	until := time.Now().Add(wait)
	for {
		n, err := unix.Read(w.fd, w.in[:])
		switch {
		case err == nil:
			if s, ok := w.decode(w.in[:n]); ok {
				if w.tap != nil {
					s.Frame = w.tap(w.in[:n], time.Unix(0, s.Time))
				}
				return s, true, nil
			}
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EAGAIN):
			return s, false, fmt.Errorf("tun: %w", err)
		}
		left := time.Until(until)
		if left <= 0 {
			return s, false, nil
		}
		p := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, int(left/time.Millisecond)+1); err != nil && !errors.Is(err, unix.EINTR) {
			return s, false, fmt.Errorf("tun: %w", err)
		}
	}
}

// decode reads an IP packet; ok is false where it carries no TCP.
func (w *wire) decode(p []byte) (s segment.Segment, ok bool) {
	d := w.dissect.Dissect(&capture.Record{LinkType: linkTypeRaw, Data: p, Wire: uint32(len(p))})
	if d.Segment == nil {
		return s, false
	}
	s = *d.Segment
	s.Time = time.Now().UnixNano()
	if s.Flags.Has(segment.SYN) { // of the others the order does not matter
		s.RawOptions = slices.Clone(s.RawOptions)
	} else {
		s.RawOptions = nil
	}
	return s, true
}
