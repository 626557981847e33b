//go:build !linux

package pool

// region is memory of a large buffer: a slice on the Go heap. Only Linux can
// grow a mapping without copying it (mremap), so there is no mapping here.
type region struct {
	mem []byte
}

func newRegion(need int) (region, bool) { return newHeapRegion(need), true }

func (r region) grow(need int) (region, bool) {
	grown := newHeapRegion(heapGrowth(len(r.mem), need))
	copy(grown.mem, r.mem)
	return grown, true
}

// release leaves the memory to the garbage collector.
func (r region) release() {
	if watching {
		poison(r.mem)
	}
}

// Trim gives the large memory that is kept for reuse back to the system. On this
// system none is kept.
func Trim() {}

// Mapped reports the memory outside the Go heap. On this system there is none.
func Mapped() MappedStats { return MappedStats{} }
