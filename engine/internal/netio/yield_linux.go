package netio

import (
	"runtime"
	"sync/atomic"
)

// yields decides whether a loop lets other goroutines of its processor (GOMAXPROCS) run before its thread
// sleeps. A thread asleep in a system call keeps the processor until the scheduler's monitor takes
// it away, 20 microseconds to 10 milliseconds later, and whoever was made runnable on it waits for that where no
// other processor is idle. But each runtime.Gosched takes 0.6 microseconds, and where one is idle it wakes that one's
// thread for nothing, which takes 3: as much as a small echo.
//
// So the loop yields before each sleep while others work with it: somebody wrote, or woke it, while it was away. What else
// its callbacks made runnable waits for a few sleeps at most, or for the monitor.
type yields struct {
	away   atomic.Bool // the loop sleeps or yields: who calls now is somebody else
	met    atomic.Bool // somebody did
	sleeps int         // since the last yield
	mates  int         // before how many sleeps to yield in any case
}

const (
	// mostSleeps: each so many sleeps the loop yields, whoever works with it.
	mostSleeps = 16
	// mateSleeps is for how many sleeps somebody who worked with the loop is expected again.
	mateSleeps = 64
)

// leave is called before the thread sleeps.
func (y *yields) leave() {
	y.away.Store(true)
	if y.met.Load() {
		y.met.Store(false)
		y.mates = mateSleeps
	}
	if y.sleeps++; y.mates > 0 || y.sleeps >= mostSleeps {
		y.mates = max(y.mates-1, 0)
		y.sleeps = 0
		runtime.Gosched()
	}
}

// come is called when it has slept.
func (y *yields) come() { y.away.Store(false) }

// called notes a call from any goroutine.
func (y *yields) called() {
	if y.away.Load() && !y.met.Load() {
		y.met.Store(true)
	}
}
