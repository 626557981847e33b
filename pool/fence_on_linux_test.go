//go:build linux && gannetdebug

package pool

import (
	"runtime/debug"
	"testing"
)

var sink byte

// faults reports whether reading mem faults.
func faults(mem []byte) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	sink = mem[0] + mem[len(mem)-1]
	return false
}

func TestStaleSliceFaults(t *testing.T) {
	p := New()
	b := p.Get(2 << 20)
	b.Append([]byte("content"))
	before := b.B
	if faults(before) {
		t.Fatal("a live buffer faults")
	}
	b.Grow(3 << 20)
	if string(b.B) != "content" || faults(b.B) {
		t.Errorf("after Grow: %q", b.B)
	}
	if !faults(before) {
		t.Error("a slice from before Grow can be read")
	}
	after := b.B
	b.Release()
	if !faults(after) {
		t.Error("a slice of a released buffer can be read")
	}
	mustBeHome(t, p)
}

func TestFencedAddressSpaceIsBounded(t *testing.T) {
	p := New()
	size := int(min(fencedTotal/4, MaxSize))
	for range 2 * fencedTotal / uint64(size) {
		p.Get(size).Release()
	}
	watchLock.Lock()
	defer watchLock.Unlock()
	if fencedBytes > fencedTotal || fencedBytes < fencedTotal/2 {
		t.Errorf("%d bytes fenced off", fencedBytes)
	}
}
