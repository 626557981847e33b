//go:build linux || darwin || freebsd || netbsd || openbsd

package mask

import (
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fenced returns size bytes between two pages that nobody may touch. size must
// be a multiple of the page.
func fenced(t *testing.T, size int) []byte {
	page := unix.Getpagesize()
	all, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(all); err != nil {
			t.Error(err)
		}
	})
	for _, fence := range [][]byte{all[:page], all[page+size:]} {
		if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return all[page : page+size : page+size]
}

// TestGuardPages runs every kernel on bytes that end, and on bytes that begin,
// at a page without access: a read or a write of one byte too many faults.
func TestGuardPages(t *testing.T) {
	size := unix.Getpagesize()
	a, b := fenced(t, size), fenced(t, size)
	for _, k := range allKernels(t) {
		for n := range min(maxLength, size) + 1 {
			notFaulting(t, k.name, n, func() {
				k.xor(a[:n], 3)
				k.xor(a[size-n:], 3)
				k.copy(a[:n], b[:n], 5)
				k.copy(a[size-n:], b[:n], 5)
				k.copy(a[:n], b[size-n:], 5)
				k.copy(a[size-n:], b[size-n:], 5)
			})
		}
	}
}

// TestGuardPagesFault proves that the fences above are worth something.
func TestGuardPagesFault(t *testing.T) {
	b := fenced(t, unix.Getpagesize())
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("a read behind the fence did not fault")
		}
	}()
	XOR(unsafe.Slice(unsafe.SliceData(b), len(b)+1), 1)
}

func notFaulting(t *testing.T, name string, n int, f func()) {
	t.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s, %d bytes: %v", name, n, p)
		}
	}()
	f()
}
