package flow

import "syscall"

// adviseHuge asks for large pages: look-ups at random places otherwise miss the
// translation cache too, and a fault for every small page costs more than most
// work on it. A refusal costs only speed.
func adviseHuge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
