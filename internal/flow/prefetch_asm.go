//go:build amd64 || arm64

package flow

import "unsafe"

// prefetch asks for the cache line at p, and does not wait for it.
//
//go:noescape
func prefetch(p unsafe.Pointer)

// prefetch5 asks for the five cache lines from p on.
//
//go:noescape
func prefetch5(p unsafe.Pointer)
