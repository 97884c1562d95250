package lab

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// wire sends and receives segments over the TUN device.
type wire struct {
	fd  int
	out *capture.Writer
	buf bytes.Buffer
	in  [65536]byte
	// tap sees every TCP packet that passes, and returns its number; nil: nobody looks.
	tap func(packet []byte, t time.Time) (frame uint64)

	ip4    layers.IPv4
	ip6    layers.IPv6
	tcp    layers.TCP
	data   gopacket.Payload
	parse4 *gopacket.DecodingLayerParser
	parse6 *gopacket.DecodingLayerParser
	seen   []gopacket.LayerType
}

func newWire(fd int) (*wire, error) {
	w := &wire{fd: fd}
	out, err := capture.NewWriter(&w.buf)
	if err != nil {
		return nil, err
	}
	w.out = out
	w.parse4 = gopacket.NewDecodingLayerParser(layers.LayerTypeIPv4, &w.ip4, &w.tcp, &w.data)
	w.parse6 = gopacket.NewDecodingLayerParser(layers.LayerTypeIPv6, &w.ip6, &w.tcp, &w.data)
	w.parse4.IgnoreUnsupported, w.parse6.IgnoreUnsupported = true, true
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
	if len(p) == 0 {
		return s, false
	}
	var err error
	if p[0]>>4 == 4 {
		err = w.parse4.DecodeLayers(p, &w.seen)
		if err == nil {
			s.Src.Addr, s.Dst.Addr = segment.AddrFrom4([4]byte(w.ip4.SrcIP.To4())), segment.AddrFrom4([4]byte(w.ip4.DstIP.To4()))
			s.TTL, s.TOS = w.ip4.TTL, w.ip4.TOS
		}
	} else {
		err = w.parse6.DecodeLayers(p, &w.seen)
		if err == nil {
			s.Src.Addr, s.Dst.Addr = segment.AddrFrom16([16]byte(w.ip6.SrcIP)), segment.AddrFrom16([16]byte(w.ip6.DstIP))
			s.TTL, s.TOS = w.ip6.HopLimit, w.ip6.TrafficClass
		}
	}
	if err != nil || len(w.seen) < 2 || w.seen[1] != layers.LayerTypeTCP {
		return s, false
	}
	t := &w.tcp
	s.Time = time.Now().UnixNano()
	s.Src.Port, s.Dst.Port = uint16(t.SrcPort), uint16(t.DstPort)
	s.Seq, s.Ack, s.Window, s.Urgent = seq.Of(t.Seq), seq.Of(t.Ack), t.Window, t.Urgent
	s.Flags = segment.Flags(t.Contents[12]&1)<<8 | segment.Flags(t.Contents[13])
	s.Len = uint32(len(t.Payload))
	if s.Flags.Has(segment.SYN) { // of the others the order does not matter
		s.RawOptions = slices.Clone(t.Contents[20:])
	}
	for _, o := range t.Options {
		readOption(&s, o)
	}
	return s, true
}

func readOption(s *segment.Segment, o layers.TCPOption) {
	b := o.OptionData
	switch {
	case o.OptionType == layers.TCPOptionKindMSS && len(b) == 2:
		s.Options |= segment.OptMSS
		s.MSS = uint16(b[0])<<8 | uint16(b[1])
	case o.OptionType == layers.TCPOptionKindWindowScale && len(b) == 1:
		s.Options |= segment.OptWScale
		s.WScale = b[0]
	case o.OptionType == layers.TCPOptionKindSACKPermitted:
		s.Options |= segment.OptSACKPermitted
	case o.OptionType == layers.TCPOptionKindSACK:
		s.Options |= segment.OptSACK
	case o.OptionType == layers.TCPOptionKindTimestamps && len(b) == 8:
		s.Options |= segment.OptTimestamps
		s.TSVal, s.TSEcr = seq.Of(be32(b)), seq.Of(be32(b[4:]))
	}
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
