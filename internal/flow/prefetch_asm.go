//go:build amd64 || arm64

package flow

import "unsafe"

// prefetch asks for the cache line at p, and does not wait for it.
//
//go:noescape
func prefetch(p unsafe.Pointer)

// prefetch2 and prefetch4 ask for so many cache lines from p on.
//
//go:noescape
func prefetch2(p unsafe.Pointer)

//go:noescape
func prefetch4(p unsafe.Pointer)

// prefetchAll asks for the cache lines at n addresses. One call for many: a call for each costs as much as
// finding out what to ask for.
//
//go:noescape
func prefetchAll(lines *uintptr, n int)

// prefetchBriefs asks for all the cache lines of the briefs at n addresses.
//
//go:noescape
func prefetchBriefs(briefs *uintptr, n int)
