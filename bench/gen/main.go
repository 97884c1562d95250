// Command gen writes made-up TCP captures (pcap or pcapng) of any size.
//
// The same flags and seed always give the same bytes. Packets are written as
// they are made, so that a capture of any size needs memory only for the
// connections open at the same time. Checksums, lengths, sequence and
// acknowledgement numbers, SACK blocks and timestamp echoes are right.
package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
)

// config is what the flags say.
type config struct {
	conns, concurrent, packets int
	reqMin, reqMax             int
	respMin, respMax           int
	segMin, segMax             int
	bulkFrac                   float64
	bulkMin, bulkMax           int
	snap                       int
	retrans, ooo, lost         float64
	reuse, v6, rst, open, mid  float64
	ts                         bool
	ng, nano, cksum            bool
	gap                        int
	clients, servers           int
	seed                       uint64
	out                        string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	c := flags()
	if c.clients < 1 || c.clients > 1<<16 || c.servers < 1 || c.servers > 1<<16 ||
		c.conns > c.clients*28000 || c.concurrent < 1 || c.gap < 1 {
		return fmt.Errorf("a flag is out of range (at most %d connections from %d clients)", c.clients*28000, c.clients)
	}
	f := os.Stdout
	if c.out != "-" {
		var err error
		if f, err = os.Create(c.out); err != nil {
			return err
		}
	}
	g := newGen(c, bufio.NewWriterSize(f, 1<<20))
	g.fileHeader()
	g.loop()
	err := g.w.Flush() // the first error of any write
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "packets %d bytes %d connections %d reused %d retransmitted %d lost-before-capture %d reordered %d\n",
		g.packets, g.bytes, g.made, g.nReuse, g.nRetrans, g.nLost, g.nOOO)
	return nil
}

func flags() config {
	var c config
	flag.IntVar(&c.conns, "conns", 1000, "connections to make")
	flag.IntVar(&c.concurrent, "concurrent", 100, "connections open at the same time")
	flag.IntVar(&c.packets, "packets", 0, "stop after this many packets (0: when every connection is done)")
	flag.IntVar(&c.reqMin, "req-min", 80, "request bytes, least")
	flag.IntVar(&c.reqMax, "req-max", 600, "request bytes, most (at most one segment)")
	flag.IntVar(&c.respMin, "resp-min", 100, "bytes in the last response segment, least")
	flag.IntVar(&c.respMax, "resp-max", 1400, "bytes in the last response segment, most")
	flag.IntVar(&c.segMin, "segs-min", 1, "response segments of a short connection, least")
	flag.IntVar(&c.segMax, "segs-max", 1, "response segments of a short connection, most")
	flag.Float64Var(&c.bulkFrac, "bulk-frac", 0, "share of connections that are bulk flows")
	flag.IntVar(&c.bulkMin, "bulk-min", 1000, "response segments of a bulk flow, least")
	flag.IntVar(&c.bulkMax, "bulk-max", 2000, "response segments of a bulk flow, most")
	flag.IntVar(&c.snap, "snaplen", 262144, "bytes kept of each packet")
	flag.Float64Var(&c.retrans, "retrans", 0, "share of data segments seen, lost later, and sent again")
	flag.Float64Var(&c.lost, "lost", 0, "share of data segments lost before the capture point (only the second sending is seen)")
	flag.Float64Var(&c.ooo, "ooo", 0, "share of data segments swapped with the one after")
	flag.Float64Var(&c.reuse, "reuse", 0, "share of connections that take the four-tuple of one closed within the last 60 s")
	flag.Float64Var(&c.v6, "v6", 0, "share of connections over IPv6")
	flag.Float64Var(&c.rst, "rst", 0, "share of connections closed by RST")
	flag.Float64Var(&c.open, "open", 0, "share of connections never closed (1: all stay open)")
	flag.Float64Var(&c.mid, "mid", 0, "share of connections whose handshake is not in the capture")
	flag.BoolVar(&c.ts, "ts", true, "TCP timestamps option")
	flag.BoolVar(&c.ng, "ng", false, "write pcapng instead of pcap")
	flag.BoolVar(&c.nano, "nano", true, "nanosecond times (else microsecond)")
	flag.BoolVar(&c.cksum, "cksum", true, "right TCP checksums (else 0)")
	flag.IntVar(&c.gap, "gap", 10000, "mean time between packets, ns")
	flag.IntVar(&c.clients, "clients", 5000, "client addresses")
	flag.IntVar(&c.servers, "servers", 500, "server addresses")
	flag.Uint64Var(&c.seed, "seed", 1, "seed")
	flag.StringVar(&c.out, "o", "-", "output file (-: standard output)")
	flag.Parse()
	return c
}

// gen is a capture in the making.
type gen struct {
	r        rng
	c        config
	w        *bufio.Writer
	now      uint64 // ns
	buf      []byte
	noise    []byte // payload bytes come from here
	freed    []uint32
	freedAt  []uint64
	nextID   uint32
	made     int
	packets  int
	bytes    int64
	nRetrans int
	nOOO     int
	nLost    int
	nReuse   int
	mss      [2]int // IPv4, IPv6
}

func newGen(c config, w *bufio.Writer) *gen {
	g := &gen{
		c: c, r: rng(c.seed), w: w,
		now: 1_700_000_000_000_000_000, buf: make([]byte, 2048), noise: make([]byte, 1<<16),
	}
	if !c.nano {
		g.now -= g.now % 1000
	}
	for i := 0; i+8 <= len(g.noise); i += 8 {
		binary.LittleEndian.PutUint64(g.noise[i:], g.r.next())
	}
	opt := 0
	if c.ts {
		opt = 12
	}
	g.mss = [2]int{1460 - opt, 1440 - opt}
	return g
}

// rng is splitmix64: small, fast, and the same on every platform.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n returns a number below n.
func (r *rng) n(n int) int { return int((r.next() >> 32) * uint64(n) >> 32) }

// p returns true with probability p.
func (r *rng) p(p float64) bool { return p > 0 && float64(r.next()>>11)/(1<<53) < p }

// between returns a number from a to b.
func (r *rng) between(a, b int) int {
	if b <= a {
		return a
	}
	return a + r.n(b-a+1)
}

// mix spreads the bits of x (the finish of MurmurHash3).
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
