package pages

import (
	"runtime"
	"testing"
	"unsafe"
)

func TestTake(t *testing.T) {
	var m Memory
	defer m.Release()
	for _, n := range []int{1, Large - 1, Large, 3*Large + 5} {
		b := m.Take(n)
		if len(b) != n || cap(b) != n {
			t.Fatalf("%d bytes were asked for: %d, of %d", n, len(b), cap(b))
		}
		if at := uintptr(unsafe.Pointer(&b[0])); at%Large != 0 {
			t.Errorf("%d bytes begin at %#x", n, at)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatal("memory is not zeroed")
			}
			b[i] = 1
		}
	}
	m.Release()
	m.Release() // there is nothing left to give back
}

func TestTakeTooMuch(t *testing.T) {
	var m Memory
	if unsafe.Sizeof(0) == 8 && m.Take(1<<60) != nil {
		t.Error("the system gave more than there is")
	}
}

// What the heap grows by afterwards lies where advice was given, and a claim is given back but for what
// lets the heap grow before garbage is collected.
func TestAdviseHeap(t *testing.T) {
	const n, slack = 64 << 20, 8 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ballast := AdviseHeap(n, slack)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown < n-int64(before.HeapIdle) {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > n/2 {
		t.Errorf("%d bytes are still in use", kept)
	}
	if after.NextGC < 2*slack {
		t.Errorf("garbage is collected at %d bytes", after.NextGC)
	}
	runtime.KeepAlive(ballast)
}
