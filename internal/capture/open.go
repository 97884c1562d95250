package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// openSource opens one file and reads its header. size is that of the buffer.
func openSource(name string, index, size int, stdin io.Reader) (*source, error) {
	s := &source{name: name, index: index, head: noHead, prev: noTime, last: math.MinInt64}
	if err := s.openFile(stdin); err != nil {
		return nil, err
	}
	s.buf = make([]byte, size)
	if err := s.openFormat(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *source) openFile(stdin io.Reader) error {
	if s.name == "-" {
		if stdin == nil {
			return errors.New("standard input: there is nothing to read from: name a file")
		}
		s.device.r = stdin
		return nil
	}
	f, err := os.Open(s.name)
	if err != nil {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s: %w: check the name", s.name, fs.ErrNotExist)
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("%s: %w: run as a user who may read it, or copy it", s.name, fs.ErrPermission)
		}
		return fmt.Errorf("%s: cannot be opened: %w", s.name, cause(err))
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		f.Close()
		return fmt.Errorf("%s: is a directory", s.name) // it was none when it was looked at
	} else if err == nil && st.Mode().IsRegular() && s.device.size == 0 {
		s.device.size = st.Size()
	}
	s.device.r = f
	s.closers = append(s.closers, f)
	return nil
}

// cause strips what Go puts before the system's word.
func cause(err error) error {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}

// openFormat finds out what the bytes are and reads the file header.
func (s *source) openFormat() error {
	s.r = &s.device
	if err := s.need(4); err != nil {
		return err
	}
	if s.end == 0 {
		return fmt.Errorf("%s: is empty: check that the capture was running and its file was flushed", s.title())
	}
	if s.end >= 4 {
		if err := s.unpack(); err != nil {
			return err
		}
	}
	b := s.buf[:s.end]
	if len(b) < 4 {
		return s.unknown(b)
	}
	if _, _, _, ok := pcapMagic(b); ok {
		return s.openPcap()
	}
	if binary.LittleEndian.Uint32(b) == blockSection {
		return s.openPcapng()
	}
	// A little more shows better what it is instead.
	if err := s.need(64); err != nil {
		return err
	}
	return s.unknown(s.buf[:s.end])
}

// unpack puts a decompressor before the file where its magic number asks for one.
func (s *source) unpack() error {
	b := s.buf[:s.end]
	m := binary.LittleEndian.Uint32(b)
	zst := m == 0xfd2fb528 || m&^0xf == 0x184d2a50 // a frame, or a skippable one
	if !zst && m&0xffff != 0x8b1f {
		return nil
	}
	packed := io.MultiReader(bytes.NewReader(bytes.Clone(b)), &s.device)
	if zst {
		s.packed = "zstd"
		z, err := zstd.NewReader(packed, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return s.badPacking(err)
		}
		s.r = z
		s.closers = append(s.closers, closeFunc(z.Close))
	} else {
		s.packed = "gzip"
		z, err := gzip.NewReader(packed)
		if err != nil {
			return s.badPacking(err)
		}
		s.r = z // its Close does nothing but repeat its last error
	}
	s.pos, s.end, s.eof = 0, 0, false
	if err := s.need(4); err != nil {
		return err
	}
	switch {
	case s.broken == wideWindow:
		return fmt.Errorf("%s: %s: unpack it first (zstd -dc --long=31 FILE | tcpwhy -)", s.title(), s.broken)
	case s.broken != "" && s.end < 4:
		return fmt.Errorf("%s: %s: copy it again", s.title(), s.broken)
	case s.cut && s.end < 4:
		return fmt.Errorf("%s: its %s data is cut off: copy it again", s.title(), s.packed)
	case s.end == 0:
		return fmt.Errorf("%s: holds nothing but %s packing: check that the capture was running", s.title(), s.packed)
	}
	return nil
}

// wideWindow is what is wrong with a stream that would take too much memory.
const wideWindow = "its zstd data needs a window of more than 128 MiB"

// damage puts the error of a decompressor into words.
func (s *source) damage(err error) string {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return wideWindow
	}
	return "its " + s.packed + " data is damaged"
}

func (s *source) badPacking(err error) error {
	if s.device.err != nil {
		return s.readError(s.device.err)
	}
	return fmt.Errorf("%s: begins like %s data but is damaged: copy it again", s.title(), s.packed)
}

// unknown opens a text, and is the error for any other file that is no capture,
// which says what it may be.
func (s *source) unknown(b []byte) error {
	for _, k := range []struct{ magic, what string }{
		{"\xfd7zXZ\x00", "is packed with xz: unpack it first (xz -dc FILE | tcpwhy -)"},
		{"BZh", "is packed with bzip2: unpack it first (bzip2 -dc FILE | tcpwhy -)"},
		{"\x04\x22\x4d\x18", "is packed with lz4: unpack it first (lz4 -dc FILE | tcpwhy -)"},
		{"PK\x03\x04", "is a zip archive: unpack it first"},
		{"\x1f\x8b", "is packed twice: unpack it once"},
		{"\x28\xb5\x2f\xfd", "is packed twice: unpack it once"},
		{"snoop\x00\x00\x00", "is a snoop capture: convert it first (editcap FILE out.pcapng)"},
		{"GMBU", "is a Network Monitor capture: convert it first (editcap FILE out.pcapng)"},
		{"RTSS", "is a Network Monitor capture: convert it first (editcap FILE out.pcapng)"},
	} {
		if len(b) >= len(k.magic) && string(b[:len(k.magic)]) == k.magic {
			return fmt.Errorf("%s: %s", s.title(), k.what)
		}
	}
	if mayBeText(b) {
		return s.openText()
	}
	return fmt.Errorf("%s: is neither pcap nor pcapng (it begins with % x): give the file that tcpdump -w or Wireshark wrote",
		s.title(), b[:min(len(b), 4)])
}

// isText tells whether b, the beginning of a file, is for people to read.
func isText(b []byte) bool {
	for i := 0; i < len(b); {
		if i > 0 && !utf8.FullRune(b[i:]) {
			return true // the beginning ends within a character
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return false
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != 0x1b || r == 0x7f {
			return false
		}
		i += n
	}
	return true
}

// closeFunc makes an io.Closer of a Close method without a result.
type closeFunc func()

func (f closeFunc) Close() error {
	f()
	return nil
}

// device is the file or stream itself. It keeps its own failure, which a
// decompressor would pass on as if the data were damaged.
type device struct {
	r    io.Reader
	err  error
	size int64 // bytes of a regular file; 0: a stream, whose end is not known
	// read is how many bytes came so far: a decompressor reads from a goroutine of its own.
	read atomic.Int64
}

func (d *device) Read(b []byte) (int, error) {
	n, err := d.r.Read(b)
	d.read.Add(int64(n))
	if err != nil && err != io.EOF {
		d.err = err
	}
	return n, err
}
