//go:build !linux

package lab

import (
	"context"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// Run plays the stories on the kernel that runs here; this system has none.
func Run(context.Context, []Story, kernel.Profile) ([]Outcome, error) { return nil, ErrUnsupported }

// Kernel returns the kernel that runs here; this system has none.
func Kernel() (kernel.Profile, error) { return kernel.Profile{}, ErrUnsupported }

// TryISN tries where the numbers of SYN-ACKs come from; this system has no kernel to try.
func TryISN(context.Context, uint64, kernel.Profile) (*Result, error) { return nil, ErrUnsupported }
