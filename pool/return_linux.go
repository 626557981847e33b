package pool

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Giving memory back takes about 30 ms per GiB of written 4 KiB pages (m), and
// munmap keeps every other mmap, mremap and page fault of the process waiting for
// some of it, those of the Go runtime included. So mappings that are too large to
// keep are given back by a goroutine: first the memory, in steps short enough
// (0.1 ms) to wait for, then the address space. Against munmap in steps of 16 MiB
// that cut the longest wait of others by a third.
const returnStep = 2 << 20 // bytes

// returning are the mappings on their way back. One goroutine serves them; it
// exists only while there are any.
var returning struct {
	sync.Mutex
	regions []region // the first is being unmapped
	bytes   uintptr
	done    sync.Cond // signalled, with the mutex as its lock, when regions is empty
}

func init() { returning.done.L = &returning.Mutex }

func (r region) returnLater() {
	returning.Lock()
	defer returning.Unlock()
	returning.bytes += r.mapped
	returning.regions = append(returning.regions, r)
	if len(returning.regions) == 1 {
		go returnAll(r)
	}
}

func returnAll(r region) {
	for ok := true; ok; {
		r.unmapInSteps()
		r, ok = nextReturning(r.mapped)
	}
}

// nextReturning strikes off the first mapping, of that many bytes, and returns the one after it.
func nextReturning(bytes uintptr) (region, bool) {
	returning.Lock()
	defer returning.Unlock()
	returning.bytes -= bytes
	returning.regions = returning.regions[1:]
	if len(returning.regions) == 0 {
		returning.regions = nil
		returning.done.Broadcast()
		return region{}, false
	}
	return returning.regions[0], true
}

// unmapInSteps takes the memory away piece by piece, and then the empty mapping.
func (r region) unmapInSteps() {
	for rest := r.mem; len(rest) > returnStep; rest = rest[returnStep:] {
		_ = unix.Madvise(rest[:returnStep], unix.MADV_DONTNEED) // if refused, unmap does it all
	}
	r.unmap()
}

func waitReturned() {
	returning.Lock()
	defer returning.Unlock()
	for len(returning.regions) > 0 {
		returning.done.Wait()
	}
}

func returningBytes() int64 {
	returning.Lock()
	defer returning.Unlock()
	return int64(returning.bytes)
}
