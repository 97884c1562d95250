package pages

import (
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
