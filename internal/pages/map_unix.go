//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package pages

import "syscall"

// mapMemory returns n zeroed bytes, nil where the system gives no more.
func mapMemory(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil
	}
	return b
}

// unmapMemory gives back what mapMemory returned; it fails for nothing else.
func unmapMemory(b []byte) { _ = syscall.Munmap(b) }
