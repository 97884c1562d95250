//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package pages

// mapMemory takes the bytes from the Go heap where there is no anonymous mapping.
func mapMemory(n int) []byte { return make([]byte, n) }

// unmapMemory leaves them to the garbage collector.
func unmapMemory([]byte) {}
