package pool

import (
	"sync"
	"time"
)

// Released mappings of a few MiB are kept for a moment: a page fault costs 1.2
// microseconds (m), so a stream of 2 MiB messages would pay 0.6 ms each for
// fresh memory, ten times its copying. What is kept is bounded, and goes back
// when it was of no use for keptIdle.
const (
	keptLargest = 8 << 20  // bytes: the largest mapping that is kept
	keptTotal   = 32 << 20 // bytes: all that are kept
	keptIdle    = 2 * time.Second
	keptCount   = keptTotal / mapStep
)

type keptRegion struct {
	region
	old bool // was there at the last look
}

// kept are the released mappings. A timer looks at them every keptIdle, as long as there are any.
var kept struct {
	sync.Mutex
	regions [keptCount]keptRegion
	count   int
	bytes   uintptr
	timer   *time.Timer
	ticking bool
}

// takeKept returns the smallest kept mapping that holds need bytes.
func takeKept(need int) (region, bool) {
	if need > keptLargest {
		return region{}, false
	}
	kept.Lock()
	defer kept.Unlock()
	best := -1
	for i, k := range kept.regions[:kept.count] {
		if len(k.mem) >= need && (best < 0 || len(k.mem) < len(kept.regions[best].mem)) {
			best = i
		}
	}
	if best < 0 {
		return region{}, false
	}
	return removeKeptLocked(best), true
}

func removeKeptLocked(i int) region {
	r := kept.regions[i].region
	kept.count--
	kept.bytes -= r.mapped
	kept.regions[i] = kept.regions[kept.count]
	kept.regions[kept.count] = keptRegion{}
	return r
}

// keepOrReturn takes a released mapping.
func (r region) keepOrReturn() {
	if r.mapped > keptLargest {
		r.returnLater()
	} else if !r.keep() {
		r.unmap()
	}
}

func (r region) keep() bool {
	kept.Lock()
	defer kept.Unlock()
	if kept.bytes+r.mapped > keptTotal {
		return false
	}
	kept.regions[kept.count] = keptRegion{region: r}
	kept.count++
	kept.bytes += r.mapped
	if !kept.ticking {
		kept.ticking = true
		startTimerLocked()
	}
	return true
}

func startTimerLocked() {
	if kept.timer == nil {
		kept.timer = time.AfterFunc(keptIdle, returnIdle)
		return
	}
	kept.timer.Reset(keptIdle)
}

// returnIdle gives back what has been kept since the look before, and looks again if more is left.
func returnIdle() {
	for {
		r, ok := takeOld()
		if !ok {
			return
		}
		r.unmap()
	}
}

// takeOld removes one old mapping; when there is none left, it makes all others old.
func takeOld() (region, bool) {
	kept.Lock()
	defer kept.Unlock()
	for i := range kept.regions[:kept.count] {
		if kept.regions[i].old {
			return removeKeptLocked(i), true
		}
	}
	for i := range kept.regions[:kept.count] {
		kept.regions[i].old = true
	}
	kept.ticking = kept.count > 0
	if kept.ticking {
		startTimerLocked()
	}
	return region{}, false
}

// Trim gives the large memory that is kept for reuse back to the system, and
// returns when that and all earlier releases are done. It need not be called:
// what is kept is at most 32 MiB, and goes by itself 2 to 4 seconds after its
// last use. It may take 30 ms for each GiB just released: not on an event loop.
func Trim() {
	for {
		r, ok := takeAnyKept()
		if !ok {
			break
		}
		r.unmap()
	}
	waitReturned()
}

func takeAnyKept() (region, bool) {
	kept.Lock()
	defer kept.Unlock()
	if kept.count == 0 {
		return region{}, false
	}
	return removeKeptLocked(kept.count - 1), true
}

// Mapped reports the memory outside the Go heap.
func Mapped() MappedStats {
	kept.Lock()
	idle := kept.bytes
	kept.Unlock()
	return MappedStats{Out: mappedOut.Load(), Kept: int64(idle), Returning: returningBytes()}
}
