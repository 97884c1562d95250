//go:build linux

// Command run measures tcpwhy: CPU time per packet against the limit of what one
// pass can be (golimit) and against a bare decoding loop (gopkt), memory per open
// connection, and whether memory stays flat as a capture grows. It builds
// everything, makes the captures, and prints figures; they are ratios taken pair by
// pair, so that a machine that is shared or changes its clock tells the same.
//
//	go run ./bench/run              a million connections: some minutes
//	go run ./bench/run -scale 0.1   a tenth: for a first look at the speed
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	scale := flag.Float64("scale", 1, "size of the captures; 1 is a million connections (1.7 GB of disk)")
	rounds := flag.Int("rounds", 7, "rounds that count; one more goes before them")
	flat := flag.Bool("flat", true, "also measure memory as a capture grows: 33 million packets, not scaled")
	dir := flag.String("dir", "", "folder to work in (default: a temporary one, removed in the end)")
	flag.Parse()
	if flag.NArg() > 0 || *scale < 0.001 || *scale > 10 || *rounds < 1 {
		fmt.Fprintln(os.Stderr, "run: want a scale from 0.001 to 10, at least one round, and no arguments")
		os.Exit(2)
	}
	if err := run(*scale, *rounds, *flat, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(scale float64, rounds int, flat bool, dir string) error {
	if dir == "" {
		temp, err := os.MkdirTemp("", "tcpwhy-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp) // what stays behind is in the folder for such things
		dir = temp
	}
	b := &bench{dir: dir, rounds: rounds, out: bufio.NewWriter(os.Stdout)}
	err := b.all(int(1e6*scale), flat)
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

// The flags of package gen for the two captures, but for the number of connections.
const (
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
	maxRatio    = 3.0
	maxResident = 400
	// maxGrowth allows for what the Go runtime does with its heap.
	maxGrowth = 1.1
)

func (b *bench) all(conns int, flat bool) error {
	if err := b.build(); err != nil {
		return err
	}
	s1, err := b.generate("S1.pcap", shortFlows, conns, 0)
	if err != nil {
		return err
	}
	s3, err := b.generate("S3.pcap", openFlows, conns, conns)
	if err != nil {
		return err
	}
	if err := b.speed("S1: short connections, 10,000 open at a time", s1); err != nil {
		return err
	}
	peak, err := b.speedPeak("S3: every connection stays open", s3)
	if err != nil {
		return err
	}
	if err := b.resident(s3, peak); err != nil {
		return err
	}
	if !flat {
		return nil
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
