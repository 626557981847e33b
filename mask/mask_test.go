package mask

import (
	"math"
	"testing"
	"unsafe"
)

// TestRFCExample is the masked "Hello" of RFC 6455 5.7.
func TestRFCExample(t *testing.T) {
	key := Key([4]byte{0x37, 0xfa, 0x21, 0x3d})
	b := []byte{0x7f, 0x9f, 0x4d, 0x51, 0x58}
	next := XOR(b, key)
	if string(b) != "Hello" {
		t.Errorf("unmasked %q", b)
	}
	if want := Key([4]byte{0xfa, 0x21, 0x3d, 0x37}); next != want {
		t.Errorf("key for the sixth byte %08x, want %08x", next, want)
	}
}

func TestKeyOrder(t *testing.T) {
	if got := Key([4]byte{1, 2, 3, 4}); got != 0x04030201 {
		t.Errorf("Key = %08x", got)
	}
}

func TestRotate(t *testing.T) {
	for n, want := range map[int]uint32{
		0: 0x44332211, 1: 0x11443322, 2: 0x22114433, 3: 0x33221144, 4: 0x44332211,
		-1: 0x33221144, -5: 0x33221144, math.MaxInt: 0x33221144, math.MinInt: 0x44332211,
	} {
		if got := Rotate(0x44332211, n); got != want {
			t.Errorf("Rotate(%d) = %08x, want %08x", n, got, want)
		}
	}
}

func TestEmpty(t *testing.T) {
	for _, k := range allKernels(t) {
		for _, b := range [][]byte{nil, {}, make([]byte, 8)[8:]} {
			if k.xor(b, 7) != 7 || k.copy(b, b, 7) != 7 || k.copy(make([]byte, 4), b, 7) != 7 {
				t.Errorf("%s: an empty slice turned the key", k.name)
			}
		}
	}
}

func TestCopyIntoLonger(t *testing.T) {
	dst := []byte{0, 0, 0, 0xee}
	if next := Copy(dst, []byte{1, 2, 3}, 0); next != 0 || string(dst) != "\x01\x02\x03\xee" {
		t.Errorf("dst %x, key %08x", dst, next)
	}
}

func TestCopyIntoShorterPanics(t *testing.T) {
	defer func() {
		if p := recover(); p != "mask: Copy: dst is shorter than src" {
			t.Errorf("recovered %v", p)
		}
	}()
	Copy(make([]byte, 3, 8), make([]byte, 4), 0)
	t.Error("no panic")
}

func TestNoAllocation(t *testing.T) {
	a, b := make([]byte, 300), make([]byte, 300)
	key := uint32(1)
	if n := testing.AllocsPerRun(1000, func() { key = Copy(a, b, XOR(b, key)) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// alignedBytes returns size bytes that start at a multiple of 64.
func alignedBytes(size int) []byte {
	b := make([]byte, size+63)
	return b[-address(b)&63:][:size:size]
}

func address(b []byte) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }
