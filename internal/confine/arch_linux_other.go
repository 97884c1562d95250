//go:build linux && !amd64 && !arm64 && !riscv64

package confine

// auditArch is the machine as a filter sees it; 0: none is made. Other machines have
// several sets of system calls, or one call for all that sockets do.
const auditArch = 0

// foreignNumbers is not used where no filter is made.
const foreignNumbers = 1<<32 - 1
