package confine

import "golang.org/x/sys/unix"

// auditArch is the machine as a filter sees it; 0: none is made.
const auditArch = unix.AUDIT_ARCH_X86_64

// foreignNumbers is where the numbers of system calls begin that name the same ones
// once more (__X32_SYSCALL_BIT).
const foreignNumbers = 0x40000000
