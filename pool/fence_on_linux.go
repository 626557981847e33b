//go:build linux && gannetdebug

package pool

import (
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fencedTotal is how much address space of released mappings stays fenced off,
// in bytes: 64 GiB, or 256 MiB where addresses have 32 bits.
const fencedTotal = uint64(1) << (20 + bits.UintSize/4)

// fenced are the released mappings that fault when touched, the oldest first.
// watchLock guards them.
var (
	fenced      []region
	fencedBytes uint64
)

// fence gives r's memory back to the system, but keeps its address space
// inaccessible, so that a slice of the released buffer faults.
func (r region) fence() {
	addr, err := unix.MmapPtr(-1, 0, r.addr(), r.mapped, unix.PROT_NONE, mapFlags|unix.MAP_FIXED)
	if err != nil {
		r.unmap()
		return
	}
	keepFenced(region{mem: unsafe.Slice((*byte)(addr), len(r.mem)), mapped: r.mapped})
}

func keepFenced(r region) {
	watchLock.Lock()
	defer watchLock.Unlock()
	fenced = append(fenced, r)
	fencedBytes += uint64(r.mapped)
	for fencedBytes > fencedTotal {
		fencedBytes -= uint64(fenced[0].mapped)
		fenced[0].unmap()
		fenced = fenced[1:]
	}
}

// remapElsewhere is remap that always moves and fences off where r was, so that
// a slice from before Grow faults.
func (r region) remapElsewhere(size uintptr) (region, bool) {
	to, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, mapFlags)
	if err != nil {
		return region{}, false
	}
	from := r.addr()
	const flags = unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED
	if _, err := unix.MremapPtr(from, r.mapped, to, size, flags); err != nil {
		_ = unix.MunmapPtr(to, size)
		return region{}, false
	}
	mappedOut.Add(int64(size) - int64(r.mapped))
	fenceHole(from, r.mapped)
	return regionAt(to, size), true
}

// fenceHole fences off addresses that were just vacated, unless another thread took them.
func fenceHole(addr unsafe.Pointer, size uintptr) {
	got, err := unix.MmapPtr(-1, 0, addr, size, unix.PROT_NONE, mapFlags|unix.MAP_FIXED_NOREPLACE)
	if err != nil {
		return
	}
	hole := region{mem: unsafe.Slice((*byte)(got), min(size, MaxSize)), mapped: size}
	if got != addr { // a kernel before 4.17 takes the flag for a hint
		hole.unmap()
		return
	}
	keepFenced(hole)
}
