//go:build !(amd64 || arm64)

package flow

import "unsafe"

// prefetch would ask for the cache line at p; here it leaves it to come when it is needed.
func prefetch(unsafe.Pointer) {}

// prefetch5 would ask for the five cache lines from p on.
func prefetch5(unsafe.Pointer) {}
