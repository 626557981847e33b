//go:build !gannetdebug

package pool

import (
	"testing"
	"unsafe"
)

// Two loops must not write the reference counts of two buffers on one cache
// line. 128 is a size class of the Go heap, whose objects are aligned to it.
func TestBufferFillsCacheLines(t *testing.T) {
	if size := unsafe.Sizeof(Buffer{}); size != 128 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("a Buffer has %d bytes", size)
	}
}
