//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// warmed is how much memory is touched before a program is measured: more than any of them takes.
const warmed = 768 << 20

// warmFlag, alone on the command line, is how this program calls itself to touch memory: in a process
// of its own, because a child's peak is never below that of the process which starts it.
const warmFlag = "-touch-memory-and-leave"

// warm has the system own some memory that is free. The host of a virtual machine takes back what
// lies idle, and to have it again costs whoever touches it first: 4.7 ms for 2 MiB where this was measured,
// instead of 0.15 ms. Whether a program met such memory was up to what ran a second before.
func warm() error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	if err := exec.Command(own, warmFlag).Run(); err != nil {
		return fmt.Errorf("touching %d MiB: %w", warmed>>20, err)
	}
	return nil
}

// touch touches memory, in large pages where the system has them.
func touch() {
	b, err := syscall.Mmap(-1, 0, warmed, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // a refusal costs time only
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
}
