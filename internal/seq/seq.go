// Package seq holds the numbers of TCP that wrap: sequence numbers and timestamps.
//
// Both live on a circle of 2^32 points. "Later" on that circle is not "<": the
// kernel looks at the sign of the 32-bit difference (before() and after() in
// include/net/tcp.h, and the same cast for timestamps). A Num is a struct so
// that the compiler refuses "<" on it.
package seq

import (
	"fmt"
	"strconv"
)

// Num is a point on the circle of 2^32 numbers. Its zero value is the number 0,
// which is an ordinary sequence number: "not known" must be said beside it.
type Num struct{ n uint32 }

// Of returns the point with the given 32-bit value.
func Of(n uint32) Num { return Num{n} }

// Uint32 returns the value as it stands in a header.
func (a Num) Uint32() uint32 { return a.n }

// Before mirrors the kernel's before(a, b): the 32-bit difference a-b is
// negative. At a distance of exactly 2^31 both a.Before(b) and b.Before(a) hold.
func (a Num) Before(b Num) bool { return int32(a.n-b.n) < 0 }

// After mirrors the kernel's after(a, b), which is before(b, a). At a distance
// of exactly 2^31 it holds together with Before.
func (a Num) After(b Num) bool { return b.Before(a) }

// Add returns the point n steps further round the circle.
func (a Num) Add(n uint32) Num { return Num{a.n + n} }

// Sub returns the signed distance a-b that the kernel's compare looks at:
// positive where a is ahead of b, -2^31 at the point opposite.
func (a Num) Sub(b Num) int32 { return int32(a.n - b.n) }

// Ahead returns the unsigned distance one has to walk forward from b to reach a.
func (a Num) Ahead(b Num) uint32 { return a.n - b.n }

// InWindow mirrors tcp_in_window(seq, endSeq, start, end) of tcp_minisocks.c:
// whether the segment [a, end) touches the window [left, right).
func (a Num) InWindow(end, left, right Num) bool {
	if a == left {
		return true
	}
	if end.After(left) && a.Before(right) {
		return true
	}
	return a == right && a == end
}

// String prints the number in decimal, as capture tools do.
func (a Num) String() string { return strconv.FormatUint(uint64(a.n), 10) }

// Parse reads a number that a person typed. A value over 2^32-1 is refused, not
// cut: losing its upper digits would give an innocent number with another
// meaning.
func Parse(s string) (Num, error) {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return Num{}, fmt.Errorf("%q is not a 32-bit number", s)
	}
	if v > 1<<32-1 {
		return Num{}, fmt.Errorf("%s is no 32-bit number: the largest is 4294967295 (a digit too many?)", s)
	}
	return Num{uint32(v)}, nil
}
