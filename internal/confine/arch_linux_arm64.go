package confine

import "golang.org/x/sys/unix"

// auditArch is the machine as a filter sees it; 0: none is made.
const auditArch = unix.AUDIT_ARCH_AARCH64

// foreignNumbers is a number that no system call has: there is one set of them.
const foreignNumbers = 1<<32 - 1
