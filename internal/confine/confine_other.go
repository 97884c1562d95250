//go:build !linux

package confine

// Offered tells what Apply would take: nothing on this system.
func Offered() Status { return Status{} }

// Apply lets a process write below the given directories only, and make no sockets any
// more. It returns what of that is so: nothing on this system.
func Apply(writable ...string) Status { return Status{} }
