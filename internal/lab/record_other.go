//go:build !linux

package lab

import "context"

// Cases returns the cases that can be recorded here: none.
func Cases() []Case { return nil }

// Record records cases of the kernel that runs here; this system has none.
func Record(context.Context, string, []string, bool) ([]Recorded, error) { return nil, ErrUnsupported }
