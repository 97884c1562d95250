//go:build unix

package tcpwhy

import (
	"syscall"
	"time"
)

// cpuTime is what this process took of the processors so far: unlike the time of day it
// does not depend on what else the machine does. 0 where that is not known.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
