package pool

// Capacities above SmallMax. A region is one piece of memory of that kind; each
// system has its own way to make, grow and give one back:
//
//	newRegion(need int) (r region, fresh bool)         // len(r.mem) >= need
//	(r region) grow(need int) (r2 region, fresh bool)  // keeps the content; r is gone
//	(r region) release()                               // r is gone
//
// fresh says that the system was asked for memory.

// fillLarge gives b, a large buffer without memory, a region of at least need bytes.
func (b *Buffer) fillLarge(need int, s *shard) {
	var fresh bool
	b.large, fresh = newRegion(need)
	if fresh {
		s.misses.Add(1)
	}
	b.pool.largeBytes.Add(int64(len(b.large.mem)))
}

// growLarge makes b's region hold need bytes.
func (b *Buffer) growLarge(need int, s *shard) {
	mem := b.large.mem
	n := copy(mem, b.B) // only if B no longer begins where the region does
	if need > len(mem) {
		var fresh bool
		b.large, fresh = b.large.grow(need)
		if fresh {
			s.misses.Add(1)
		}
		b.pool.largeBytes.Add(int64(len(b.large.mem) - len(mem)))
	}
	b.B = b.large.mem[:n]
}

// heapStep is the unit of regions on the Go heap, in bytes: the runtime's page,
// so that nothing is lost to rounding.
const heapStep = 8 << 10

// heapGrowth is the capacity to grow a region of have bytes on the Go heap to
// when it must hold need. Growing there copies, and while it copies both regions
// exist: so it doubles while that is cheap and then adds a quarter, which copies
// each byte about four times in all but holds 2.25 times the content instead of 3.
func heapGrowth(have, need int) int {
	grown := int64(have) * 2
	if have >= 64<<20 {
		grown = int64(have) + int64(have)/4
	}
	return int(min(max(grown, int64(need)), MaxSize))
}

// newHeapRegion takes need bytes, rounded up to heapStep, from the Go heap.
func newHeapRegion(need int) region {
	size := (int64(need) + heapStep - 1) &^ (heapStep - 1)
	return region{mem: make([]byte, min(size, MaxSize))}
}
