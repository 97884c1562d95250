package pages

import "syscall"

// adviseLarge asks for large pages. A refusal costs only speed.
func adviseLarge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
