package flow

import (
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// The log of closings is bounded: at 4,000 a second it reaches back a TIME_WAIT.
const (
	closingBits   = 18
	bucketBits    = 14
	maxClosings   = 4    // what Closings returns
	closingsAsked = 4096 // how many entries a look-up goes through
)

// TimeWait is a connection with timestamps that an end closed first, so that it
// then held TIME_WAIT.
type TimeWait struct {
	// TSVal is the peer's timestamp that the end remembers (ts_recent).
	TSVal seq.Num
	// At is when the connection was closed on both sides.
	At Point
	// Conn is the connection's ID.
	Conn uint64
}

// closing is an entry of the log.
type closing struct {
	pair   uint64 // hash of both addresses
	time   int64
	conn   uint64
	frame  uint64
	tsVal  seq.Num
	before uint32 // number of the entry before in the same bucket
}

// closings is a log of who closed first towards whom. Entries of one pair of
// addresses are chained, so that writing goes on in a row. It stays readable
// after Close.
type closings struct {
	seed    uint64
	mem     *arena
	log     [1 << (closingBits - chunkBits)]*chunk[closing]
	n       uint32 // entries written so far, from 1
	buckets [1 << bucketBits]uint32
}

// hash stands for a pair of addresses: among as many as fit into the log, two
// are not the same in practice.
func (c *closings) hash(server, client segment.Addr) uint64 {
	x := fold(server.Lo^c.seed, client.Lo^0xe7037ed1a0b428db)
	return fold(x^server.Hi, client.Hi^0x8ebc6af09c88c6e3^c.seed)
}

func (c *closings) at(n uint32) **chunk[closing] {
	return &c.log[n>>chunkBits%uint32(len(c.log))]
}

func (c *closings) bucket(pair uint64) *uint32 { return &c.buckets[pair>>(64-bucketBits)] }

func (c *closings) push(v *closing) {
	at := c.at(c.n + 1)
	if *at == nil {
		b := c.mem.take(int(unsafe.Sizeof(chunk[closing]{})))
		if b == nil {
			return
		}
		*at = (*chunk[closing])(unsafe.Pointer(unsafe.SliceData(b)))
	}
	c.n++
	head := c.bucket(v.pair)
	v.before, *head = *head, c.n
	(*at)[c.n%(1<<chunkBits)] = *v
}

// get returns the last entries of a pair of addresses, the oldest first.
func (c *closings) get(server, client segment.Addr) []TimeWait {
	var v []TimeWait
	pair := c.hash(server, client)
	at := *c.bucket(pair)
	for range closingsAsked {
		if at == 0 || c.n-at >= 1<<closingBits || len(v) == maxClosings {
			break
		}
		e := &(*c.at(at))[at%(1<<chunkBits)]
		if e.pair == pair {
			v = append(v, TimeWait{e.tsVal, Point{e.frame, e.time}, e.conn})
		}
		at = e.before
	}
	for i, j := 0, len(v)-1; i < j; i, j = i+1, j-1 {
		v[i], v[j] = v[j], v[i]
	}
	return v
}
