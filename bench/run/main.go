//go:build linux

// Command run measures tcpwhy: CPU time per packet against the limit of what one
// pass can be (golimit), against a bare decoding loop (gopkt) and against whichever of
// tshark, argus, softflowd, tcptrace and tcpdump is installed, memory per connection, and whether
// memory stays flat as a capture grows. It builds everything, makes the captures, and prints
// figures; they are ratios taken pair by pair, so that a machine that is shared or
// changes its clock tells the same.
//
//	go run ./bench/run              a million connections: some ten minutes, 8 GB of disk
//	go run ./bench/run -scale 0.1   a tenth: for a first look at the speed
//	go run ./bench/run -others      only tshark, argus, softflowd, tcptrace and tcpdump
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == warmFlag {
		touch()
		return
	}
	scale := flag.Float64("scale", 1, "size of the captures; 1 is a million connections (8 GB of disk)")
	rounds := flag.Int("rounds", 7, "rounds that count; one more goes before them")
	flat := flag.Bool("flat", true, "also measure memory as a capture grows: 33 million packets, not scaled")
	others := flag.Bool("others", false, "measure only what else is installed, a minute")
	dir := flag.String("dir", "", "folder to work in (default: a temporary one, removed in the end)")
	flag.Parse()
	if flag.NArg() > 0 || *scale < 0.001 || *scale > 10 || *rounds < 1 {
		fmt.Fprintln(os.Stderr, "run: want a scale from 0.001 to 10, at least one round, and no arguments")
		os.Exit(2)
	}
	if err := run(*scale, *rounds, *flat, *others, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(scale float64, rounds int, flat, others bool, dir string) error {
	if dir == "" {
		temp, err := os.MkdirTemp("", "tcpwhy-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp) // what stays behind is in the folder for such things
		dir = temp
	}
	b := &bench{dir: dir, rounds: rounds, out: bufio.NewWriter(os.Stdout)}
	conns := int(1e6 * scale)
	var err error
	if others {
		if err = b.build(); err == nil {
			err = b.others(conns / 100)
		}
	} else {
		err = b.all(conns, flat)
	}
	if e := b.out.Flush(); err == nil {
		err = e
	}
	return err
}

// bench is a run: where its programs and captures lie, and where it reports.
type bench struct {
	dir    string
	rounds int
	out    *bufio.Writer
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// The flags of package gen for the captures, but for the number of connections.
const (
	bulkFlows  = "-concurrent 200 -bulk-frac 1 -bulk-min 1530 -bulk-max 1730 -retrans .002 -lost .002 -ooo .005 -v6 .1 -gap 2500 -clients 500"
	shortFlows = "-concurrent 10000 -snaplen 96 -retrans .002 -reuse .01 -v6 .1 -rst .02 -gap 10000 -clients 5000"
	openFlows  = "-segs-min 0 -segs-max 0 -open 1 -snaplen 96 -v6 .1 -gap 10000"
	// In flatFlows a packet comes every 2 ms, so that the capture is much longer
	// than a closed four-tuple is remembered.
	flatFlows = "-concurrent 100 -snaplen 96 -v6 .1 -gap 2000000 -clients 5000"
	// flatConns are 6,000 s of it: enough to fill what flow keeps at a fixed size
	// (the log of the last 262,144 closes, the hosts).
	flatConns = 300_000
)

// The targets that the project has set itself.
const (
	maxResident = 256
	// freeFinding is what a finding may cost beside; the packets are measured without it.
	freeFinding = 40 * time.Microsecond
	// maxGrowth allows for what the Go runtime does with its heap.
	maxGrowth = 1.1
)

func (b *bench) all(conns int, flat bool) error {
	if err := b.build(); err != nil {
		return err
	}
	for _, c := range []struct {
		title, name, flags string
		conns, concurrent  int
		limit              float64 // CPU over golimit's at most
		decode             bool    // and less than gopkt's
		memory             string  // of what a connection's memory is told
	}{
		{"S1: short connections, 10,000 open at a time", "S1.pcap", shortFlows, conns, 0, 2.0, true, "a closed connection that may still matter"},
		{"S2: bulk, whole frames, 200 connections at a time", "S2.pcap", bulkFlows, max(conns/500, 1), 0, 1.4, false, ""},
		{"S3: every connection stays open", "S3.pcap", openFlows, conns, conns, 2.0, false, "an open connection"},
		{"S4: S1 as pcapng", "S4.pcapng", shortFlows + " -ng", conns, 0, 2.2, false, ""},
	} {
		m, err := b.generate(c.name, c.flags, c.conns, c.concurrent)
		if err != nil {
			return err
		}
		explain, err := b.speed(c.title, m, c.limit, c.decode)
		if err == nil && c.memory != "" {
			err = b.resident(m, c.memory, explain.peak())
		}
		if err == nil {
			err = os.Remove(m.path)
		}
		if err != nil {
			return err
		}
	}
	if err := b.others(conns / 100); err != nil || !flat {
		return err
	}
	return b.flat()
}

// verdict words how a figure stands to its target.
func verdict(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}
