//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package flow

// mapMemory returns n zeroed bytes. Where there is no anonymous mapping they
// come from the Go heap; they hold no pointers, so only their size counts there.
func mapMemory(n int) []byte { return make([]byte, n) }

// unmapMemory leaves the memory to the garbage collector.
func unmapMemory([]byte) {}
