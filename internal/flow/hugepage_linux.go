package flow

import "syscall"

// adviseHuge asks for 2 MiB pages, as look-ups at random places otherwise miss
// the translation cache too. A refusal costs only speed.
func adviseHuge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
