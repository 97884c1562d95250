//go:build linux

// Command golimit is the upper bound of what one pass over a capture can be in
// Go: it walks the records, decodes Ethernet, IPv4, IPv6 and TCP headers, finds
// or enters the four-tuple in a hash table, and updates counters of each
// direction. It has no state machine, writes nothing about a connection, forgets
// none, and knows neither VLANs nor extension headers of IPv6.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// batchSize is how many packets are decoded, and their lines of the table
// brought into the cache, before the table is touched.
const batchSize = 32

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "golimit: want one capture file (pcap or pcapng, little-endian, Ethernet)")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "golimit:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	p := new(pass)
	p.table.init()
	if err := p.read(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.print()
	return nil
}

// pass is one walk over a capture.
type pass struct {
	table     table
	pkts, tcp uint64
	pcapng    bool
	batch     [batchSize]packet
	waiting   int // packets in batch
}

// read walks a file through a buffer that stays in the cache.
func (p *pass) read(f *os.File) error {
	buf := make([]byte, 256<<10)
	have, first := 0, true
	for {
		n, err := f.Read(buf[have:])
		if n == 0 && errors.Is(err, io.EOF) {
			p.flush()
			return nil
		}
		if err != nil {
			return err
		}
		have += n
		rest := buf[:have]
		if first {
			if have < 24 {
				return errors.New("too short for a capture")
			}
			if p.pcapng = le.Uint32(rest) == 0x0a0d0d0a; !p.pcapng {
				rest = rest[24:]
			}
			first = false
		}
		have = copy(buf, p.walk(rest))
	}
}

// walk takes every whole record of b and returns the rest.
func (p *pass) walk(b []byte) []byte {
	for len(b) >= 28 {
		var pk []byte
		var ts uint64
		if !p.pcapng {
			end := uint64(le.Uint32(b[8:])) + 16
			if end > uint64(len(b)) {
				break
			}
			ts = uint64(le.Uint32(b))*1e9 + uint64(le.Uint32(b[4:]))
			pk, b = b[16:end], b[end:]
		} else {
			total := uint64(le.Uint32(b[4:]))
			if total > uint64(len(b)) || total < 12 {
				break
			}
			if le.Uint32(b) != 6 {
				b = b[total:]
				continue
			}
			end := uint64(le.Uint32(b[20:])) + 28
			if end > total {
				break
			}
			ts = uint64(le.Uint32(b[12:]))<<32 | uint64(le.Uint32(b[16:]))
			pk, b = b[28:end], b[total:]
		}
		x := &p.batch[p.waiting%batchSize]
		p.pkts++
		if !x.decode(pk) {
			continue
		}
		p.tcp++
		x.ts = ts
		p.table.prefetch(x)
		if p.waiting++; p.waiting == batchSize {
			p.flush()
		}
	}
	return b
}

// flush enters what waits.
func (p *pass) flush() {
	for i := range p.batch[:p.waiting] {
		p.table.update(&p.batch[i])
	}
	p.waiting = 0
}

// print prints counts that show that the work was done.
func (p *pass) print() {
	var check, payload, counted uint64
	add := func(d *direction) {
		counted += uint64(d.pkts)
		payload += d.bytes()
		check += uint64(d.seqMax)
	}
	for i := range p.table.v4 {
		add(&p.table.v4[i].dir[0])
		add(&p.table.v4[i].dir[1])
	}
	for i := range p.table.v6 {
		add(&p.table.v6[i].dir[0])
		add(&p.table.v6[i].dir[1])
	}
	fmt.Printf("packets %d tcp %d tuples %d counted %d payload %d check %x\n", p.pkts, p.tcp, p.table.n4+p.table.n6, counted, payload, check)
}
