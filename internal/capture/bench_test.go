package capture

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// benchSegments are short connections: a handshake, data, a close, one in ten
// of them over IPv6.
func benchSegments(n int) []segment.Segment {
	syn := segment.OptMSS | segment.OptSACKPermitted | segment.OptTimestamps | segment.OptWScale
	flags := []segment.Flags{segment.SYN, segment.SYN | segment.ACK, segment.ACK, segment.PSH | segment.ACK, segment.PSH | segment.ACK,
		segment.ACK, segment.FIN | segment.ACK, segment.FIN | segment.ACK, segment.ACK}
	four := [2]segment.Endpoint{endpoint("10.0.0.1:40000"), endpoint("192.168.0.1:8080")}
	six := [2]segment.Endpoint{endpoint("[fd00::1]:40000"), endpoint("[fd00::2]:8080")}
	segs := make([]segment.Segment, n)
	for i := range segs {
		ends := four
		if i/len(flags)%10 == 9 {
			ends = six
		}
		ends[0].Port += uint16(i / len(flags))
		s := segment.Segment{Ref: segment.Ref{Time: int64(i) * 1000}, Src: ends[i%2], Dst: ends[1-i%2], Flags: flags[i%len(flags)],
			Seq: seq.Of(uint32(i)), Ack: seq.Of(uint32(i)), Window: 500, Options: segment.OptTimestamps, TSVal: seq.Of(uint32(i))}
		if s.Flags.Has(segment.SYN) {
			s.Options, s.MSS, s.WScale = syn, 1460, 7
		}
		if s.Flags.Has(segment.PSH) {
			s.Len = 30
		}
		segs[i] = s
	}
	return segs
}

// BenchmarkRead measures Read on a capture in memory, so that it leaves out
// the kernel's part; one operation is one packet.
func BenchmarkRead(b *testing.B) {
	const n = 100_000
	segs := benchSegments(n)
	plain := writeAll(b, segs...)
	block := join(littleNG.section(), littleNG.iface(linkEthernet, 0))
	for i, at := 0, pcapHeader; i < n; i++ {
		size := int(plain[at+8]) // frames are below 256 bytes
		block = append(block, littleNG.packet(0, uint64(i), plain[at+16:at+16+size])...)
		at += 16 + size
	}
	for _, c := range []struct {
		name string
		file []byte
	}{{"pcap", plain}, {"pcapng", block}, {"zstd", zst(b, plain)}, {"gzip", gz(b, plain)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.file)) / n)
			in := bytes.NewReader(c.file)
			for done := 0; done < b.N; done += n {
				in.Reset(c.file)
				if got := drain(b, []string{"-"}, in); got != n {
					b.Fatalf("%d segments", got)
				}
			}
		})
	}
}

// BenchmarkReadFile reads the captures that TCPWHY_BENCH names, a path list, to their end.
func BenchmarkReadFile(b *testing.B) {
	names := os.Getenv("TCPWHY_BENCH")
	if names == "" {
		b.Skip("TCPWHY_BENCH names no capture")
	}
	paths := filepath.SplitList(names)
	var packets int
	for b.Loop() {
		packets += drain(b, paths, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/segment")
}

// drain reads captures to their end and returns the number of segments.
func drain(b *testing.B, paths []string, in io.Reader) (total int) {
	r, err := Open(paths, Options{Stdin: in})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	batch := make([]segment.Segment, 32)
	for {
		n, err := r.Read(batch)
		if err == io.EOF {
			return total
		}
		if err != nil {
			b.Fatal(err)
		}
		total += n
	}
}
