// Package confine takes from this process what a reader of captures does not need:
// a capture may come from anybody, and the bytes in it must be able to hurt nothing,
// whatever mistakes their reader has. It is not undone, and children inherit it.
//
// Where the kernel offers less, less is taken: it never fails.
package confine

import "fmt"

// Status is what is taken, or what a kernel offers to take. The zero value: nothing.
type Status struct {
	// Files: no file can be written, created, removed, renamed or cut, but below the
	// directories that were named (Linux: Landlock).
	Files bool `json:"files"`
	// Network: no socket can be made, of any kind (Linux: seccomp). Those that are open, such as a
	// standard input, go on.
	Network bool `json:"network"`
	// Landlock is the version of the kernel's interface, 0 where there is none. Before version 3 it
	// does not keep from cutting files off, and Files is not set, although the rest is done.
	Landlock int `json:"landlock,omitempty"`
}

// String says it in a few words.
func (s Status) String() string {
	files, network := "files may be written", "the network may be used"
	switch {
	case s.Files:
		files = fmt.Sprintf("no files are written (Landlock %d)", s.Landlock)
	case s.Landlock > 0:
		files = fmt.Sprintf("no files are written, but might be cut off (Landlock %d)", s.Landlock)
	}
	if s.Network {
		network = "no network (seccomp)"
	}
	return files + ", " + network
}

// wholeFrom is the version of Landlock from which all ways to change a file are covered
// (LANDLOCK_ACCESS_FS_TRUNCATE, Linux 6.2).
const wholeFrom = 3
