package tcpwhy

import (
	"flag"
	"io"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

var workersCapture = flag.String("capture", "", "the `file` that BenchmarkWorkers reads")

// rusageThread is RUSAGE_THREAD of getrusage(2), which package syscall does not name.
const rusageThread = 1

func threadTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWorkers measures what one worker takes for a report, and what the busier of two takes, in
// CPU time of their threads; collecting garbage is done by others, and counted beside.
func BenchmarkWorkers(b *testing.B) {
	if *workersCapture == "" {
		b.Skip("no -capture")
	}
	explain := func(workers int) (first, second, all, wall time.Duration) {
		var mu sync.Mutex
		o := Options{
			Workers: workers,
			JSON:    func(write func(io.Writer) error) error { return write(io.Discard) },
			worker: func(isFirst bool) func() {
				runtime.LockOSThread()
				began := threadTime()
				return func() {
					took := threadTime() - began
					runtime.UnlockOSThread()
					mu.Lock()
					defer mu.Unlock()
					if isFirst {
						first += took
					} else {
						second += took
					}
				}
			},
		}
		began, cpu := time.Now(), cpuTime()
		if _, err := Explain(b.Context(), []string{*workersCapture}, o); err != nil {
			b.Fatal(err)
		}
		return first, second, cpuTime() - cpu, time.Since(began)
	}
	for b.Loop() {
		_, alone, allOfOne, wallOfOne := explain(1)
		first, second, all, wall := explain(2)
		b.Logf("one worker %v (process %v, wall %v); two: %v and %v (process %v, wall %v): the busier has 1/%.2f",
			alone, allOfOne, wallOfOne, first, second, all, wall, alone.Seconds()/max(first, second).Seconds())
	}
}
