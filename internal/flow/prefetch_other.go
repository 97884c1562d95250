//go:build !(amd64 || arm64)

package flow

import "unsafe"

// prefetch would ask for the cache line at p; here it leaves it to come when it is needed.
func prefetch(unsafe.Pointer) {}

// prefetch2 and prefetch4 would ask for so many cache lines from p on.
func prefetch2(unsafe.Pointer) {}
func prefetch4(unsafe.Pointer) {}

// prefetchAll and prefetchBriefs would ask for the cache lines at n addresses.
func prefetchAll(*uintptr, int)    {}
func prefetchBriefs(*uintptr, int) {}
