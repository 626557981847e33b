package pool

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The unsafe part of this package: mappings as byte slices.
//
// Why it is safe: a mapping has one owner, the Buffer whose region it is, and
// its slice is made here and nowhere else. The garbage collector ignores
// addresses outside its heap, so it neither keeps nor scans a mapping; nothing
// with pointers is ever stored in one. What would break it is a slice kept
// beyond Release or across Grow: it points at unmapped memory (a fault), or at
// another buffer's. The tag gannetdebug turns both into faults at once.
// TestLargeAgainstModel and FuzzBuffer exercise it; TestStaleSliceFaults proves the latter.

// region is memory of a large buffer.
type region struct {
	mem    []byte  // what can be used: the mapping, but at most MaxSize
	mapped uintptr // bytes of address space; 0 if mem is on the Go heap
}

const (
	// mapStep is the unit of mappings, in bytes. The kernel aligns mappings of such
	// a size to it (since 6.7), and then mremap moves one entry for each 2 MiB
	// instead of 512: growing a wholly written 1 GiB to 2 GiB took 0.2 ms.
	mapStep = 2 << 20

	// Huge pages are not asked for. Writing 512 MiB in pieces of 512 KiB, as a loop
	// does, the worst piece in a hundred took 7 ms with them and 0.6 to 2.4 without
	// (m): a single fault then clears 2 MiB, after compacting memory or having the
	// host find it. What they save in all is not worth holding a loop for that long.
	mapProt  = unix.PROT_READ | unix.PROT_WRITE
	mapFlags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
)

var mappedOut atomic.Int64

func newRegion(need int) (region, bool) {
	if r, ok := takeKept(need); ok {
		mappedOut.Add(int64(r.mapped))
		return r, false
	}
	if r, ok := mapRegion(stepUp(need)); ok {
		return r, true
	}
	// No address space, or too many mappings (vm.max_map_count, 65,530 by default).
	return newHeapRegion(need), true
}

// grow at least doubles r in address space, or takes what is needed when that is refused.
func (r region) grow(need int) (region, bool) {
	if r.mapped != 0 {
		double := min(max(2*uint64(r.mapped), uint64(stepUp(need))), MaxSize+1)
		if grown, ok := r.remap(uintptr(double)); ok {
			return grown, true
		}
		if grown, ok := r.remap(stepUp(need)); ok {
			return grown, true
		}
	}
	grown, ok := mapRegion(stepUp(heapGrowth(len(r.mem), need)))
	if !ok {
		grown = newHeapRegion(heapGrowth(len(r.mem), need))
	}
	copy(grown.mem, r.mem)
	r.release()
	return grown, true
}

func (r region) release() {
	switch {
	case r.mapped == 0: // the garbage collector's
		if watching {
			poison(r.mem)
		}
		return
	case watching:
		r.fence()
	default:
		r.keepOrReturn()
	}
	mappedOut.Add(-int64(r.mapped))
}

// stepUp rounds n, at most MaxSize, up to mapStep. It fits 32 bits.
func stepUp(n int) uintptr {
	return (uintptr(n) + mapStep - 1) &^ (mapStep - 1)
}

func mapRegion(size uintptr) (region, bool) {
	addr, err := unix.MmapPtr(-1, 0, nil, size, mapProt, mapFlags)
	if err != nil {
		return region{}, false
	}
	mappedOut.Add(int64(size))
	return regionAt(addr, size), true
}

// remap makes r's mapping size bytes long, elsewhere if it must.
func (r region) remap(size uintptr) (region, bool) {
	if watching {
		return r.remapElsewhere(size)
	}
	addr, err := unix.MremapPtr(r.addr(), r.mapped, nil, size, unix.MREMAP_MAYMOVE)
	if err != nil {
		return region{}, false
	}
	mappedOut.Add(int64(size) - int64(r.mapped))
	return regionAt(addr, size), true
}

func regionAt(addr unsafe.Pointer, size uintptr) region {
	return region{
		mem:    unsafe.Slice((*byte)(addr), min(size, MaxSize)),
		mapped: size,
	}
}

func (r region) addr() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(r.mem)) }

// unmap gives r's address space and memory back. The kernel refuses only if it
// cannot split a mapping (vm.max_map_count); then it is left alone: the address
// space is lost, and the memory goes by MADV_DONTNEED.
func (r region) unmap() {
	if unix.MunmapPtr(r.addr(), r.mapped) != nil {
		_ = unix.Madvise(r.mem, unix.MADV_DONTNEED)
	}
}
