// Command gopkt decodes a capture with gopacket's fastest means (no copy of the
// data, no allocation per packet) and counts what it finds: a program built on
// gopacket cannot be faster than this loop.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "gopkt: want one capture file (pcap or pcapng)")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gopkt:", err)
		os.Exit(1)
	}
}

// source is what pcapgo's two readers share.
type source interface {
	ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

func open(r io.Reader) (source, error) {
	b := bufio.NewReaderSize(r, 1<<18)
	magic, err := b.Peek(4)
	if err != nil {
		return nil, err
	}
	if string(magic) == "\x0a\x0d\x0d\x0a" {
		return pcapgo.NewNgReader(b, pcapgo.DefaultNgReaderOptions)
	}
	return pcapgo.NewReader(b)
}

func run(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	src, err := open(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var (
		eth     layers.Ethernet
		ip4     layers.IPv4
		ip6     layers.IPv6
		tcp     layers.TCP
		payload gopacket.Payload
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &ip4, &ip6, &tcp, &payload)
	// Without this a payload on a port that gopacket knows counts as an error.
	parser.IgnoreUnsupported = true
	decoded := make([]gopacket.LayerType, 0, 8)
	packets, segments := 0, 0
	for {
		data, _, err := src.ZeroCopyReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: packet %d: %w", path, packets+1, err)
		}
		packets++
		// A packet that was cut gives an error behind its headers.
		_ = parser.DecodeLayers(data, &decoded)
		for _, l := range decoded {
			if l == layers.LayerTypeTCP {
				segments++
			}
		}
	}
	fmt.Printf("packets %d tcp %d\n", packets, segments)
	return nil
}
