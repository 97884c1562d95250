//go:build amd64 || arm64

package flow

import "unsafe"

// prefetch asks for the cache line at p, and does not wait for it.
//
//go:noescape
func prefetch(p unsafe.Pointer)

// prefetch2, prefetch3 and prefetch4 ask for so many cache lines from p on.
//
//go:noescape
func prefetch2(p unsafe.Pointer)

//go:noescape
func prefetch3(p unsafe.Pointer)

//go:noescape
func prefetch4(p unsafe.Pointer)
